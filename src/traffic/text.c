#include "traffic/text.h"

#include <string.h>
#include <strings.h>

#include "io/number.h"
#include "tensor/utf8.h"

enum { PIECE = 1 << 20 };    // bytes after which pages are given back

Status text_source_check(const TextSource *s, int64_t *lines)
{
    *lines = 1;
    const bool wide = s->size > 3 && (!memcmp(s->bytes, "\xff\xfe", 2) || !memcmp(s->bytes, "\xfe\xff", 2) ||
                                      (!s->bytes[1] && !s->bytes[3]) || (!s->bytes[0] && !s->bytes[2]));
    if (wide) return ERROR("%s: want text in UTF-8, got UTF-16 (iconv -f UTF-16 -t UTF-8 converts it)", s->path);
    for (size_t at = 0; at < s->size; at += PIECE) {
        const char *p = s->bytes + at, *end = s->size - at < PIECE ? s->bytes + s->size : p + PIECE;
        const char *nul = memchr(p, 0, (size_t)(end - p));
        if (nul) return ERROR("%s: want text, got a NUL byte after %zu bytes", s->path, (size_t)(nul - s->bytes));
        for (const char *q = p; (q = memchr(q, '\n', (size_t)(end - q))) != NULL; q++) ++*lines;
        if (s->mapped) memory_unused((void *)p, (size_t)(end - p));
    }
    return OK;
}

TextLines text_lines(const TextSource *s)
{
    const size_t mark = s->size >= 3 && !memcmp(s->bytes, "\xef\xbb\xbf", 3) ? 3 : 0;
    TextLines l = {.from = s, .p = s->bytes + mark, .unused = s->bytes};
    const char *end = s->size - mark > 5 ? memchr(l.p, '\n', s->size - mark < 8 ? s->size - mark : 8) : NULL;
    if (!end || memcmp(l.p, "sep=", 4)) return l;
    l.p = end + 1;                                        // what Excel wants to be told; we see it
    l.number = 1;
    return l;
}

bool text_next(TextLines *l, TextLine *line)
{
    const char *end = l->from->bytes + l->from->size;
    while (l->p < end) {
        if (l->from->mapped && l->p - l->unused > PIECE) {
            memory_unused((void *)l->unused, (size_t)(l->p - l->unused));
            l->unused = l->p;
        }
        const char *stop = memchr(l->p, '\n', (size_t)(end - l->p));
        *line = (TextLine){l->p, stop ? stop : end, ++l->number};
        l->p = stop ? stop + 1 : end;
        if (line->end > line->p && line->end[-1] == '\r') line->end--;
        const char *p = line->p;
        while (p < line->end && (*p == ' ' || *p == '\t')) p++;
        if (p < line->end && *p != '#') return true;
    }
    return false;
}

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

// A field in quotes at p; returns the place of the closing quote, before the separator or the end of the line; else
// NULL: the quote belongs to the field ('s-Hertogenbosch).
static const char *closing_quote(const char *p, const char *end, char separator)
{
    const char *q = memchr(p + 1, *p, (size_t)(end - p - 1));
    while (q && q + 1 < end && q[1] == *p) q = q + 2 < end ? memchr(q + 2, *p, (size_t)(end - q - 2)) : NULL;
    const char *next = q ? q + 1 : end;
    while (next < end && is_blank(*next) && *next != separator) next++;
    return next == end || *next == separator || (separator == ' ' && is_blank(next[-1])) ? q : NULL;
}

int64_t text_split(const TextLine *line, char separator, TextField *field, int64_t most)
{
    int64_t n = 0;
    const char *p = line->p, *end = line->end;
    const bool blanks = separator == ' ';
    while (blanks && end > p && is_blank(end[-1])) end--;
    for (;;) {
        while (p < end && (*p == ' ' || (is_blank(*p) && separator != '\t'))) p++;
        const char *close = p < end && (*p == '"' || *p == '\'') ? closing_quote(p, end, separator) : NULL;
        const char *from = close ? p + 1 : p, *to = close;
        p = close ? close + 1 : p;
        while (p < end && *p != separator && !(blanks && is_blank(*p))) p++;
        if (!to) for (to = p; to > from && is_blank(to[-1]); ) to--;
        if (n < most) field[n] = (TextField){from, (size_t)(to - from)};
        n++;
        if (p >= end) return n;
        p++;
    }
}

bool text_is(TextField f, const char *word) { return f.n == strlen(word) && !strncasecmp(f.p, word, f.n); }

bool text_missing(TextField f)
{
    static const char *const word[] = {"NA", "N/A", "NaN", "null", "none", "nil", "-", "--", "?", "missing", "<NA>"};
    if (!f.n) return true;
    for (size_t i = 0; i < sizeof word / sizeof *word; i++)
        if (text_is(f, word[i])) return true;
    return false;
}

bool text_number(TextField f, char point, double *v)
{
    return f.n && number_parse(f.p, f.p + f.n, point, v) == f.p + f.n;
}

const char *text_safe(Arena *a, const char *text)
{
    const size_t n = strlen(text), mark = arena_mark(a);
    char *safe = arena_alloc(a, 4 * n + 5);
    text_clean(safe, 4 * n + 5, text, n);
    if (strcmp(safe, text)) return safe;
    arena_rewind(a, mark);
    return text;
}

const char *text_copy(Arena *a, TextField f) { return arena_printf(a, "%.*s", (int)(f.n > 4096 ? 4096 : f.n), f.p); }

TextField text_name(Arena *a, TextField f)
{
    if (f.n < 2 || !memmem(f.p, f.n, "\"\"", 2)) return f;
    char *name = arena_alloc(a, f.n + 1);
    size_t n = 0;
    for (size_t i = 0; i < f.n; i++) {
        name[n++] = f.p[i];
        if (f.p[i] == '"' && i + 1 < f.n && f.p[i + 1] == '"') i++;
    }
    name[n] = 0;
    return (TextField){name, n};
}
