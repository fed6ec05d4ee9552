// Running the lead binary from tests: arguments in, exit code, stdout and stderr out.
#ifndef LEAD_TESTS_RUN_LEAD_H
#define LEAD_TESTS_RUN_LEAD_H

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tensor/arena.h"
#include "tests/test.h"

typedef struct Ran {
    int code;                // exit status, or 128 + signal
    const char *out, *err;   // NUL-terminated
} Ran;

static inline const char *slurp(Arena *a, const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f) return "";
    fseek(f, 0, SEEK_END);
    const long n = ftell(f);
    rewind(f);
    char *text = arena_zalloc(a, (size_t)n + 1);
    const size_t got = fread(text, 1, (size_t)n, f);
    fclose(f);
    text[got] = 0;
    return text;
}

// Starts lead with the words of `args`, split at blanks (no word may hold one).  out_path: where stdout goes.
static inline pid_t lead_start(TestLog *log, Arena *a, const char *out_path, const char *err_path, const char *args)
{
    char *copy = arena_printf(a, "%s", args), *argv[64] = {(char *)(uintptr_t)log->lead};
    int n = 1;
    for (char *save, *w = strtok_r(copy, " ", &save); w && n < 63; w = strtok_r(NULL, " ", &save)) argv[n++] = w;
    fflush(stdout);
    const pid_t pid = fork();
    if (pid != 0) return pid;
    signal(SIGHUP, SIG_DFL);   // where the tests run below nohup it is ignored, and would be here
    const int in = open("/dev/null", O_RDONLY), out = open(out_path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    const int err = open(err_path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    if (in < 0 || out < 0 || err < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0) _exit(99);
    execv(log->lead, argv);
    _exit(98);
}

static inline int lead_wait(pid_t pid)
{
    int status;
    if (pid < 0 || waitpid(pid, &status, 0) != pid) return 97;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static inline Ran lead_run(TestLog *log, Arena *a, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static inline Ran lead_run(TestLog *log, Arena *a, const char *fmt, ...)
{
    char args[8192];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(args, sizeof args, fmt, ap);
    va_end(ap);
    const char *out = arena_printf(a, "%s/stdout", log->tmp), *err = arena_printf(a, "%s/stderr", log->tmp);
    const int code = lead_wait(lead_start(log, a, out, err, args));
    return (Ran){code, slurp(a, out), slurp(a, err)};
}

// Runs a command of the shell; what it said on both, and its exit status.
static inline Ran shell_run(TestLog *log, Arena *a, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
static inline Ran shell_run(TestLog *log, Arena *a, const char *fmt, ...)
{
    char cmd[8192];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(cmd, sizeof cmd, fmt, ap);
    va_end(ap);
    const char *out = arena_printf(a, "%s/shell.out", log->tmp);
    fflush(stdout);
    const int status = system(arena_printf(a, "{ %s; } > '%s' 2>&1 < /dev/null", cmd, out));
    return (Ran){WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), slurp(a, out), ""};
}

// A make that knows nothing of the one that runs this test, with an environment in which its words mean something else.
#define MAKE "env -u MAKEFLAGS -u MAKELEVEL BUILD=x AREA=x OP=x WORD=x CUDA=/usr/local/cuda SIMD=y QUICK=x make"

#endif
