#include "traffic/long_json.h"

#include <string.h>

static bool is_blank(char c) { return c == ' ' || c == '\t'; }

static const char *skip_blanks(const char *p, const char *end)
{
    while (p < end && is_blank(*p)) p++;
    return p;
}

// Depth of braces and whether a text is open, carried over lines: a text of JSON holds no newline, but a broken one may
// seem to.
typedef struct Depth { int64_t braces; bool text, escape; } Depth;

// Reads on to the byte behind the } that closes the object; NULL: not in this line.
static const char *object_end(Depth *d, const char *p, const char *end)
{
    for (; p < end; p++) {
        if (d->escape) d->escape = false;
        else if (d->text && *p == '\\') d->escape = true;
        else if (*p == '"') d->text = !d->text;
        else if (!d->text && *p == '{') d->braces++;
        else if (!d->text && *p == '}' && --d->braces == 0) return p + 1;
    }
    return NULL;
}

JsonObjects json_objects(const TextSource *s)
{
    JsonObjects o = {.lines = text_lines(s)};
    TextLines look = o.lines;
    TextLine line;
    if (!text_next(&look, &line)) return o;
    const char *p = skip_blanks(line.p, line.end);
    if (*p == '[') o.layout = JSON_IN_ARRAY;
    if (*p != '{') return o;
    const char *end = object_end(&(Depth){0}, p, line.end);
    o.layout = end && skip_blanks(end, line.end) == line.end ? JSON_LINES : JSON_SPREAD;
    return o;
}

// To the next byte that is no blank; false at the end of the text.
static bool next_byte(JsonObjects *o)
{
    for (;;) {
        o->rest.p = skip_blanks(o->rest.p, o->rest.end);
        if (o->rest.p < o->rest.end) return true;
        if (!text_next(&o->lines, &o->rest)) return false;
    }
}

static Status wants(const JsonObjects *o, const char *what)
{
    const int n = o->rest.end - o->rest.p > 20 ? 20 : (int)(o->rest.end - o->rest.p);
    return ERROR("%s:%lld: want %s, got '%.*s'", o->lines.from->path, (long long)o->rest.number, what, n, o->rest.p);
}

// In an array: what stands before its next object.
static Status next_element(JsonObjects *o, bool *more)
{
    bool text = next_byte(o);
    if (!o->inside) {                                     // its [, which json_objects saw
        o->inside = true;
        o->rest.p++;
        text = next_byte(o);
    }
    if (!text) return ERROR("%s: want ] at the end of the array, got the end of the file",
                                    o->lines.from->path);
    const bool comma = *o->rest.p == ',';
    if (*o->rest.p == ']') {
        o->rest.p++;
        o->ended = true;
        return next_byte(o) ? wants(o, "nothing behind the array") : OK;
    }
    if (comma != o->any) return wants(o, o->any ? "a comma or ] behind an object" : "an object");
    if (comma) {
        o->rest.p++;
        if (!next_byte(o)) return ERROR("%s: want an object behind the last comma, got the end of the file",
                                        o->lines.from->path);
    }
    *more = o->any = true;
    return OK;
}

Status json_objects_next(JsonObjects *o, TextLine *object, bool *more)
{
    if (o->layout == JSON_LINES) {
        *more = text_next(&o->lines, object);
        return OK;
    }
    *more = false;
    if (o->ended) return OK;
    if (o->layout == JSON_IN_ARRAY) TRY(next_element(o, more));
    else *more = next_byte(o);
    if (!*more) return OK;
    if (*o->rest.p != '{') return wants(o, "an object with time, source, destination and value");
    *object = (TextLine){o->rest.p, NULL, o->rest.number};
    Depth d = {0};
    while (!(object->end = object_end(&d, o->rest.p, o->rest.end)))
        if (!text_next(&o->lines, &o->rest))
            return ERROR("%s:%lld: want } at the end of the object that begins here, got the end of the file",
                         o->lines.from->path, (long long)object->number);
    o->rest.p = object->end;
    return OK;
}

Status json_object_parse(const Json **out, Arena *a, const TextLine *object, const char *path)
{
    const Status s = json_parse(out, a, object->p, (size_t)(object->end - object->p), "");
    if (s.code) {                                          // ":line:column: what"
        int line = 1, at = 0;
        sscanf(s.msg, ":%d:%n", &line, &at);
        return ERROR("%s:%lld: want a JSON object: column %s", path, (long long)object->number + line - 1, s.msg + at);
    }
    if ((*out)->type != JSON_OBJECT)
        return ERROR("%s:%lld: want a JSON object a line", path, (long long)object->number);
    return OK;
}

TextField json_field(const Json *v, Arena *a)
{
    if (!v || v->type == JSON_NULL) return (TextField){"", 0};
    if (v->type == JSON_STRING) return (TextField){v->string, (size_t)v->n};
    if (v->type != JSON_NUMBER) return (TextField){"?!", 2};
    const char *text = v->is_int ? arena_printf(a, "%lld", (long long)v->n) : arena_printf(a, "%.17g", v->number);
    return (TextField){text, strlen(text)};
}
