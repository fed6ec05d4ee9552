#include "io/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"

// Short escapes: \name and the byte it stands for.
static const char escape_names[] = "\"\\/bfnrt", escape_bytes[] = "\"\\/\b\f\n\r\t";

// ---- Reader -------------------------------------------------------------------------------------------------------

// Nodes and strings are reserved before parsing.  Each value but the first follows a ',', '[' or '{', so counting
// those bytes bounds the nodes; a decoded string and its NUL are never longer than its quoted source.
typedef struct Parser {
    const unsigned char *text;
    size_t len, pos;
    const char *name;
    Arena *a;
    Json *nodes;
    size_t n_nodes, max_nodes;
    char *strings;
} Parser;

// Position of byte `at` as line and column, then the message.
static Status fail(const Parser *p, size_t at, const char *msg)
{
    size_t line = 1, start = 0;
    for (size_t i = 0; i < at; i++)
        if (p->text[i] == '\n') {
            line++;
            start = i + 1;
        }
    return ERROR("%s:%zu:%zu: %s", p->name, line, at - start + 1, msg);
}

static Status want(const Parser *p, const char *what)
{
    char msg[120];
    if (p->pos >= p->len)
        snprintf(msg, sizeof msg, "want %s, got the end of the text", what);
    else if (p->text[p->pos] > 0x20 && p->text[p->pos] < 0x7F)
        snprintf(msg, sizeof msg, "want %s, got '%c'", what, p->text[p->pos]);
    else
        snprintf(msg, sizeof msg, "want %s, got byte 0x%02X", what, p->text[p->pos]);
    return fail(p, p->pos, msg);
}

// The next byte, or -1 at the end.
static int peek(const Parser *p) { return p->pos < p->len ? p->text[p->pos] : -1; }

static void skip_space(Parser *p)
{
    for (int c = peek(p); c == ' ' || c == '\t' || c == '\n' || c == '\r'; c = peek(p)) p->pos++;
}

static Json *new_node(Parser *p)
{
    CHECK(p->n_nodes < p->max_nodes, "json: %zu nodes are not enough for %s", p->max_nodes, p->name);
    Json *v = &p->nodes[p->n_nodes++];
    *v = (Json){.type = JSON_NULL};
    return v;
}

// Four hex digits at p->pos.
static bool read_hex4(Parser *p, uint32_t *out)
{
    uint32_t v = 0;
    if (p->len - p->pos < 4) return false;
    for (int i = 0; i < 4; i++) {
        unsigned char c = p->text[p->pos + (size_t)i];
        static const char digits[] = "0123456789abcdefABCDEF";
        const char *hit = c ? strchr(digits, c) : NULL;
        if (!hit) return false;
        uint32_t d = (uint32_t)(hit - digits);
        v = v << 4 | (d < 16 ? d : d - 6);
    }
    p->pos += 4;
    *out = v;
    return true;
}

// After the backslash; appends the character to *out.
static Status read_escape(Parser *p, unsigned char **out)
{
    size_t at = p->pos - 1;
    int c = peek(p);
    const char *hit = c > 0 ? strchr(escape_names, c) : NULL;
    if (hit) {
        *(*out)++ = (unsigned char)escape_bytes[hit - escape_names];
        p->pos++;
        return OK;
    }
    if (c != 'u') return want(p, "one of \"\\/bfnrtu after a backslash");
    p->pos++;
    uint32_t cp, low;
    if (!read_hex4(p, &cp)) return fail(p, at, "want four hex digits after \\u");
    if (cp >= 0xDC00 && cp < 0xE000) return fail(p, at, "a low surrogate without a high one before it");
    if (cp >= 0xD800 && cp < 0xDC00) {
        bool pair = p->len - p->pos >= 2 && p->text[p->pos] == '\\' && p->text[p->pos + 1] == 'u';
        if (pair) p->pos += 2;
        if (!pair || !read_hex4(p, &low) || low < 0xDC00 || low > 0xDFFF)
            return fail(p, at, "a high surrogate without a low one after it");
        cp = 0x10000 + ((cp - 0xD800) << 10) + (low - 0xDC00);
    }
    *out += utf8_encode(*out, cp);
    return OK;
}

static Status read_string(Parser *p, const char **str, size_t *len)
{
    if (peek(p) != '"') return want(p, "a string");
    size_t open = p->pos++;
    unsigned char *start = (unsigned char *)p->strings, *out = start;
    for (;;) {
        int c = peek(p);
        if (c < 0) return fail(p, open, "this string has no end");
        if (c == '"') break;
        if (c < 0x20) return want(p, "a \\u escape for a control character in a string");
        if (c == '\\') {
            p->pos++;
            TRY(read_escape(p, &out));
            continue;
        }
        uint32_t cp;
        int n = utf8_decode(p->text + p->pos, p->len - p->pos, &cp);
        if (n == 0) return want(p, "valid UTF-8");
        for (int i = 0; i < n; i++) *out++ = p->text[p->pos++];
    }
    p->pos++;
    *out = 0;
    *str = p->strings;
    *len = (size_t)(out - start);
    p->strings += *len + 1;
    return OK;
}

static void skip_digits(Parser *p)
{
    while (p->pos < p->len && p->text[p->pos] >= '0' && p->text[p->pos] <= '9') p->pos++;
}

static bool is_digit(int c) { return c >= '0' && c <= '9'; }

// The exact value of -?[0-9]+ when it fits.
static bool to_int64(const char *s, int64_t *out)
{
    bool neg = *s == '-';
    int64_t v = 0;
    for (s += neg; *s; s++)
        if (__builtin_mul_overflow(v, 10, &v) || __builtin_sub_overflow(v, *s - '0', &v)) return false;
    if (!neg && v == INT64_MIN) return false;
    *out = neg ? v : -v;
    return true;
}

static Status read_number(Parser *p, Json *v)
{
    size_t start = p->pos;
    bool integer = true;
    if (peek(p) == '-') p->pos++;
    if (!is_digit(peek(p))) return want(p, "a digit");
    if (peek(p) == '0')
        p->pos++;
    else
        skip_digits(p);
    if (is_digit(peek(p))) return want(p, "no digit after a leading zero");
    if (peek(p) == '.') {
        integer = false;
        p->pos++;
        if (!is_digit(peek(p))) return want(p, "a digit after the decimal point");
        skip_digits(p);
    }
    if (peek(p) == 'e' || peek(p) == 'E') {
        integer = false;
        p->pos++;
        if (peek(p) == '+' || peek(p) == '-') p->pos++;
        if (!is_digit(peek(p))) return want(p, "a digit in the exponent");
        skip_digits(p);
    }
    char *copy = p->strings;   // for strtod, which needs a NUL; overwritten by the next string
    memcpy(copy, p->text + start, p->pos - start);
    copy[p->pos - start] = 0;
    v->type = JSON_NUMBER;
    v->number = strtod(copy, NULL);
    v->is_int = integer && to_int64(copy, &v->n);
    if (!isfinite(v->number)) return fail(p, start, "this number is too large for a double");
    return OK;
}

static int compare_keys(const void *a, const void *b)
{
    const Json *x = *(const Json *const *)a, *y = *(const Json *const *)b;
    if (x->key_len != y->key_len) return x->key_len < y->key_len ? -1 : 1;
    return memcmp(x->key, y->key, x->key_len);
}

static Status refuse_duplicates(const Parser *p, const Json *obj)
{
    if (obj->n < 2) return OK;
    Status s = OK;
    size_t mark = arena_mark(p->a), n = 0;
    const Json **sorted = arena_alloc(p->a, (size_t)obj->n * sizeof *sorted);
    for (const Json *m = obj->child; m; m = m->next) sorted[n++] = m;
    qsort(sorted, n, sizeof *sorted, compare_keys);
    for (size_t i = 1; i < n && !s.code; i++)
        if (compare_keys(&sorted[i - 1], &sorted[i]) == 0) {
            char msg[200];
            snprintf(msg, sizeof msg, "the object that ends here has the key \"%.100s\" twice", sorted[i]->key);
            s = fail(p, p->pos - 1, msg);
        }
    arena_rewind(p->a, mark);
    return s;
}

static Status read_value(Parser *p, Json *v, int depth);

// An array or object; p->pos is just after its opening bracket.
static Status read_children(Parser *p, Json *v, int depth)
{
    bool object = v->type == JSON_OBJECT;
    int close = object ? '}' : ']';
    const Json **link = &v->child;
    *link = NULL;
    skip_space(p);
    if (peek(p) == close) {
        p->pos++;
        return OK;
    }
    for (;;) {
        Json *m = new_node(p);
        if (object) {
            skip_space(p);
            TRY(read_string(p, &m->key, &m->key_len));
            skip_space(p);
            if (peek(p) != ':') return want(p, "':' after a key");
            p->pos++;
        }
        TRY(read_value(p, m, depth + 1));
        *link = m;
        link = &m->next;
        v->n++;
        skip_space(p);
        int c = peek(p);
        if (c != ',' && c != close) return want(p, object ? "',' or '}'" : "',' or ']'");
        p->pos++;
        if (c == close) return object ? refuse_duplicates(p, v) : OK;
    }
}

static Status read_value(Parser *p, Json *v, int depth)
{
    static const struct { const char *word; JsonType type; bool boolean; } words[] = {
        {"null", JSON_NULL, false}, {"true", JSON_BOOL, true}, {"false", JSON_BOOL, false}};
    skip_space(p);
    int c = peek(p);
    if (c == '"') {
        size_t len;
        TRY(read_string(p, &v->string, &len));
        v->type = JSON_STRING;
        v->n = (int64_t)len;
        return OK;
    }
    if (c == '-' || is_digit(c)) return read_number(p, v);
    if (c == '{' || c == '[') {
        if (depth >= JSON_MAX_DEPTH) return fail(p, p->pos, "more than 128 levels of nesting");
        v->type = c == '{' ? JSON_OBJECT : JSON_ARRAY;
        p->pos++;
        return read_children(p, v, depth);
    }
    for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
        size_t n = strlen(words[i].word);
        if (p->len - p->pos >= n && memcmp(p->text + p->pos, words[i].word, n) == 0) {
            v->type = words[i].type;
            v->boolean = words[i].boolean;
            p->pos += n;
            return OK;
        }
    }
    return want(p, "a value");
}

Status json_parse(const Json **root, Arena *a, const char *text, size_t len, const char *name)
{
    Parser p = {.text = (const unsigned char *)text, .len = len, .name = name, .a = a, .max_nodes = 1};
    for (size_t i = 0; i < len; i++) p.max_nodes += text[i] == ',' || text[i] == '[' || text[i] == '{';
    CHECK(p.max_nodes <= SIZE_MAX / sizeof(Json), "json: %zu nodes", p.max_nodes);
    p.nodes = arena_alloc(a, p.max_nodes * sizeof(Json));
    p.strings = arena_alloc(a, len + 1);
    Json *v = new_node(&p);
    TRY(read_value(&p, v, 0));
    skip_space(&p);
    if (p.pos != len) return want(&p, "nothing after the value");
    *root = v;
    return OK;
}

Status json_read(const Json **root, Arena *a, const char *path, size_t max_bytes)
{
    char *text;
    size_t size;
    TRY(file_read(&text, &size, a, path, max_bytes));
    return json_parse(root, a, text, size, path);
}

const Json *json_find(const Json *obj, const char *key)
{
    if (!obj || obj->type != JSON_OBJECT) return NULL;
    size_t len = strlen(key);
    for (const Json *m = obj->child; m; m = m->next)
        if (m->key_len == len && memcmp(m->key, key, len) == 0) return m;
    return NULL;
}

bool json_is_off(const Json *v)
{
    if (!v || v->type == JSON_NULL) return true;
    if (v->type == JSON_BOOL) return !v->boolean;
    return v->type != JSON_NUMBER && v->n == 0;
}

JsonWords json_describe(const Json *v)
{
    JsonWords w;
    size_t n = sizeof w.s;
    if (!v)
        snprintf(w.s, n, "nothing");
    else if (v->type == JSON_STRING)
        snprintf(w.s, n, "\"%.60s\"%s", v->string, v->n > 60 ? "..." : "");
    else if (v->type == JSON_NUMBER && v->is_int)
        snprintf(w.s, n, "%" PRId64, v->n);
    else if (v->type == JSON_NUMBER)
        snprintf(w.s, n, "%.17g", v->number);
    else if (v->type == JSON_ARRAY || v->type == JSON_OBJECT)
        snprintf(w.s, n, "an %s of %" PRId64, v->type == JSON_ARRAY ? "array" : "object", v->n);
    else
        snprintf(w.s, n, "%s", v->type == JSON_NULL ? "null" : v->boolean ? "true" : "false");
    return w;
}

Status json_get_int(int64_t *out, const Json *obj, const char *key, int64_t min, int64_t max, const char *where)
{
    const Json *v = json_find(obj, key);
    if (!v || v->type != JSON_NUMBER || !v->is_int || v->n < min || v->n > max)
        return ERROR("%s: %s: want an integer in %" PRId64 "..%" PRId64 ", got %s", where, key, min, max,
                     json_describe(v).s);
    *out = v->n;
    return OK;
}

Status json_get_number(double *out, const Json *obj, const char *key, const char *where)
{
    const Json *v = json_find(obj, key);
    if (!v || v->type != JSON_NUMBER)
        return ERROR("%s: %s: want a number, got %s", where, key, json_describe(v).s);
    *out = v->number;
    return OK;
}

Status json_get_string(const char **out, const Json *obj, const char *key, const char *where)
{
    const Json *v = json_find(obj, key);
    if (!v || v->type != JSON_STRING || strlen(v->string) != (size_t)v->n)
        return ERROR("%s: %s: want a string without NUL, got %s", where, key, json_describe(v).s);
    *out = v->string;
    return OK;
}

Status json_get_bool(bool *out, const Json *obj, const char *key, const char *where)
{
    const Json *v = json_find(obj, key);
    if (!v || v->type != JSON_BOOL)
        return ERROR("%s: %s: want true or false, got %s", where, key, json_describe(v).s);
    *out = v->boolean;
    return OK;
}

// ---- Writer -------------------------------------------------------------------------------------------------------

JsonWriter json_writer(Arena *a, int indent)
{
    JsonWriter w = {.a = a, .indent = indent, .cap = 1024};
    w.text = arena_alloc(a, w.cap);
    w.text[0] = 0;
    return w;
}

void json_reset(JsonWriter *w)
{
    w->len = 0;
    w->depth = 0;
    w->done = false;
    w->text[0] = 0;
}

static void append(JsonWriter *w, const char *s, size_t n)
{
    if (n >= w->cap - w->len) {   // the old buffer stays in the arena: less than the new one, all together
        while (n >= w->cap - w->len) w->cap *= 2;
        char *p = arena_alloc(w->a, w->cap);
        memcpy(p, w->text, w->len);
        w->text = p;
    }
    memcpy(w->text + w->len, s, n);
    w->len += n;
    w->text[w->len] = 0;
}

static void append_string(JsonWriter *w, const char *s, size_t n)
{
    append(w, "\"", 1);
    size_t run = 0, i = 0;   // [run, i) is plain text not yet copied
    while (i < n) {
        unsigned char c = (unsigned char)s[i];
        uint32_t cp;
        int len = utf8_decode((const unsigned char *)s + i, n - i, &cp);
        if (len && c >= 0x20 && c != '"' && c != '\\') {
            i += (size_t)len;
            continue;
        }
        char esc[8];
        const char *hit = len && c ? strchr(escape_bytes, c) : NULL;
        if (!len) snprintf(esc, sizeof esc, "\xEF\xBF\xBD");
        else if (hit) snprintf(esc, sizeof esc, "\\%c", escape_names[hit - escape_bytes]);
        else snprintf(esc, sizeof esc, "\\u%04x", c);
        append(w, s + run, i - run);
        append(w, esc, strlen(esc));
        run = ++i;
    }
    append(w, s + run, n - run);
    append(w, "\"", 1);
}

static void new_line(JsonWriter *w)
{
    if (!w->indent) return;
    append(w, "\n", 1);
    for (int i = 0; i < w->depth * w->indent; i++) append(w, " ", 1);
}

// The comma, line break and key in front of a value.
static void open_value(JsonWriter *w, const char *key)
{
    if (w->depth == 0) {
        CHECK(!w->done && !key, "json writer: a second outermost value, or a key for it");
        w->done = true;
        return;
    }
    int level = w->depth - 1;
    CHECK((w->closer[level] == '}') == (key != NULL), "json writer: key %s in %s", key ? key : "NULL",
          w->closer[level] == '}' ? "an object" : "an array");
    if (w->filled[level]) append(w, ",", 1);
    w->filled[level] = true;
    new_line(w);
    if (!key) return;
    append_string(w, key, strlen(key));
    append(w, ": ", w->indent ? 2 : 1);
}

static void open_level(JsonWriter *w, const char *key, const char *open, char close)
{
    open_value(w, key);
    CHECK(w->depth < JSON_MAX_DEPTH, "json writer: more than %d levels", JSON_MAX_DEPTH);
    append(w, open, 1);
    w->closer[w->depth] = close;
    w->filled[w->depth++] = false;
}

void json_object(JsonWriter *w, const char *key) { open_level(w, key, "{", '}'); }
void json_array(JsonWriter *w, const char *key) { open_level(w, key, "[", ']'); }

void json_end(JsonWriter *w)
{
    CHECK(w->depth > 0, "json writer: nothing to close");
    w->depth--;
    if (w->filled[w->depth]) new_line(w);
    append(w, &w->closer[w->depth], 1);
}

static void put_word(JsonWriter *w, const char *key, const char *word)
{
    open_value(w, key);
    append(w, word, strlen(word));
}

void json_null(JsonWriter *w, const char *key) { put_word(w, key, "null"); }
void json_bool(JsonWriter *w, const char *key, bool v) { put_word(w, key, v ? "true" : "false"); }

void json_int(JsonWriter *w, const char *key, int64_t v)
{
    char s[24];
    snprintf(s, sizeof s, "%" PRId64, v);
    put_word(w, key, s);
}

void json_double(JsonWriter *w, const char *key, double v)
{
    char s[40] = "null";
    if (isfinite(v))
        for (int digits = 15; digits <= 17; digits++) {
            snprintf(s, sizeof s, "%.*g", digits, v);
            if (strtod(s, NULL) == v) break;
        }
    put_word(w, key, s);
}

void json_string_n(JsonWriter *w, const char *key, const char *v, size_t n)
{
    open_value(w, key);
    append_string(w, v, n);
}

void json_string(JsonWriter *w, const char *key, const char *v) { json_string_n(w, key, v, strlen(v)); }

const char *json_text(JsonWriter *w, size_t *len)
{
    CHECK(w->depth == 0 && w->done, "json writer: the text is not complete, %d levels are open", w->depth);
    if (w->text[w->len - 1] != '\n') append(w, "\n", 1);
    if (len) *len = w->len;
    return w->text;
}
