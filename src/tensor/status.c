#include "tensor/status.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/utf8.h"

Status status_error(int code, const char *file, int line, const char *fmt, ...)
{
    Status s = {.code = code, .line = line, .file = file};
    char raw[4 * sizeof s.msg];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(raw, sizeof raw, fmt, ap);
    va_end(ap);
    for (char *p = raw; *p; p++)
        if (*p == '\n' || *p == '\r') *p = ' ';   // a message is one line, whatever a file name holds
    text_clean(s.msg, sizeof s.msg, raw, strlen(raw));
    return s;
}

_Noreturn void check_failed(const char *file, int line, const char *cond, const char *fmt, ...)
{
    fprintf(stderr, "%s:%d: bug: CHECK(%s): ", file, line, cond);
    va_list ap;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    abort();
}
