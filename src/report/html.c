#include "report/html.h"

#include <stdarg.h>
#include <string.h>

#include "tensor/status.h"
#include "tensor/utf8.h"

Html html_begin(FILE *f, const char *title, const char *const *css)
{
    Html h = {.f = f};
    fputs("<!DOCTYPE html>\n", f);
    html_open(&h, "html", " lang=\"en\"");
    html_open(&h, "head", "%s", "");
    html_empty(&h, "meta", " charset=\"utf-8\"");
    html_empty(&h, "meta", " http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
               "style-src 'unsafe-inline'\"");
    html_empty(&h, "meta", " name=\"viewport\" content=\"width=device-width, initial-scale=1\"");
    html_empty(&h, "meta", " name=\"color-scheme\" content=\"light dark\"");
    html_put(&h, "title", "", "%s", title);
    html_open(&h, "style", "%s", "");
    for (; *css; css++) fputs(*css, f);
    html_close(&h);
    html_close(&h);
    fputc('\n', f);
    html_open(&h, "body", "%s", "");
    return h;
}

void html_end(Html *h)
{
    html_close(h);
    html_close(h);
    fputc('\n', h->f);
    CHECK(h->depth == 0, "html: %d elements are open at the end, the last a %s", h->depth, h->tag[h->depth - 1]);
}

void html_open(Html *h, const char *tag, const char *attributes, ...)
{
    CHECK(h->depth < HTML_MAX_DEPTH, "html: more than %d elements inside each other", HTML_MAX_DEPTH);
    va_list ap;
    va_start(ap, attributes);
    fprintf(h->f, "<%s", tag);
    vfprintf(h->f, attributes, ap);
    va_end(ap);
    fputc('>', h->f);
    h->tag[h->depth++] = tag;
}

void html_close(Html *h)
{
    CHECK(h->depth > 0, "html: no element is open");
    const char *tag = h->tag[--h->depth];
    fprintf(h->f, "</%s>", tag);
    if (strchr("ptdhfs", *tag) && h->depth < 6) fputc('\n', h->f);   // lines that an editor can show
}

void html_empty(Html *h, const char *tag, const char *attributes, ...)
{
    va_list ap;
    va_start(ap, attributes);
    fprintf(h->f, "<%s", tag);
    vfprintf(h->f, attributes, ap);
    va_end(ap);
    fputs("/>", h->f);
}

static void put_char(FILE *f, const char *p, size_t n)
{
    const char *escaped = *p == '<' ? "&lt;" : *p == '>' ? "&gt;" : *p == '&' ? "&amp;" : *p == '"' ? "&quot;" : NULL;
    char safe[32];
    if (escaped) fputs(escaped, f);
    else if (*p == '\n' || *p == '\t') fputc(*p, f);
    else {
        text_clean(safe, sizeof safe, p, n);
        fputs(safe, f);
    }
}

void html_text(Html *h, const char *text)
{
    for (size_t n = strlen(text); n > 0;) {
        uint32_t cp;
        const int length = utf8_decode((const unsigned char *)text, n, &cp);
        const bool character = length > 0 && (cp & 0xfffe) != 0xfffe;   // U+FFFE and U+FFFF are none in XML
        const size_t step = character ? (size_t)length : 1;
        put_char(h->f, text, step);
        text += step;
        n -= step;
    }
}

static void put_formatted(Html *h, const char *fmt, va_list ap)
{
    char text[4096];
    vsnprintf(text, sizeof text, fmt, ap);
    html_text(h, text);
}

void html_textf(Html *h, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    put_formatted(h, fmt, ap);
    va_end(ap);
}

void html_put(Html *h, const char *tag, const char *class_name, const char *fmt, ...)
{
    if (*class_name) html_open(h, tag, " class=\"%s\"", class_name);
    else html_open(h, tag, "%s", "");
    va_list ap;
    va_start(ap, fmt);
    put_formatted(h, fmt, ap);
    va_end(ap);
    html_close(h);
}

int html_id(Html *h) { return ++h->ids; }
