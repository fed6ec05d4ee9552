#include "io/safetensors.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/json.h"

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "safetensors.c copies little-endian values as they are"
#endif

enum { PREFIX = 8, MAX_HEADER = 100000000 };

static const struct { const char *name; size_t size; } types[SAFE_TYPE_COUNT] = {
    [SAFE_BOOL] = {"BOOL", 1}, [SAFE_U8] = {"U8", 1},   [SAFE_I8] = {"I8", 1},     [SAFE_I16] = {"I16", 2},
    [SAFE_U16] = {"U16", 2},   [SAFE_F16] = {"F16", 2}, [SAFE_BF16] = {"BF16", 2}, [SAFE_I32] = {"I32", 4},
    [SAFE_U32] = {"U32", 4},   [SAFE_F32] = {"F32", 4}, [SAFE_F64] = {"F64", 8},   [SAFE_I64] = {"I64", 8},
    [SAFE_U64] = {"U64", 8}};

const char *safetensors_type_name(SafeType t) { return types[t].name; }
size_t safetensors_type_size(SafeType t) { return types[t].size; }

// ---- Reader -------------------------------------------------------------------------------------------------------

// A tensor of the header with its place in the data.
typedef struct Entry {
    SafeTensor t;
    int64_t begin, end;
} Entry;

// "[2,3]"; a dimension of -1 prints as '?'.  Long shapes are cut with "...".
typedef struct ShapeText { char s[96]; } ShapeText;

static ShapeText shape_text(int n_dim, const int64_t *shape)
{
    ShapeText t = {"["};
    size_t used = 1;
    for (int i = 0; i < n_dim; i++) {
        const char *comma = i ? "," : "";
        if (used > sizeof t.s - 30) {
            used += (size_t)snprintf(t.s + used, sizeof t.s - used, "%s...", comma);
            break;
        }
        used += (size_t)(shape[i] < 0 ? snprintf(t.s + used, sizeof t.s - used, "%s?", comma)
                                      : snprintf(t.s + used, sizeof t.s - used, "%s%" PRId64, comma, shape[i]));
    }
    snprintf(t.s + used, sizeof t.s - used, "]");
    return t;
}

static Status read_type(SafeType *out, const Json *info, const char *name, const char *path)
{
    static const char *const others[] = {"F4", "F6_E2M3", "F6_E3M2", "F8_E5M2", "F8_E4M3", "F8_E8M0", "F8_E4M3FNUZ",
                                         "F8_E5M2FNUZ", "C64"};
    const Json *v = json_find(info, "dtype");
    if (v && v->type == JSON_STRING) {
        for (int i = 0; i < SAFE_TYPE_COUNT; i++)
            if (strcmp(types[i].name, v->string) == 0) {
                *out = (SafeType)i;
                return OK;
            }
        for (size_t i = 0; i < sizeof others / sizeof *others; i++)
            if (strcmp(others[i], v->string) == 0)
                return ERROR("%s: %.100s: dtype %s is not supported; convert it to F32", path, name, others[i]);
    }
    return ERROR("%s: %.100s: want a dtype (BOOL U8 I8 I16 U16 F16 BF16 I32 U32 F32 F64 I64 U64), got %s", path, name,
                 json_describe(v).s);
}

static Status read_shape(SafeTensor *t, int64_t *bytes, Arena *a, const Json *info, const char *path)
{
    const Json *v = json_find(info, "shape");
    if (!v || v->type != JSON_ARRAY || v->n > INT32_MAX)
        return ERROR("%s: %.100s: want an array as shape, got %s", path, t->name, json_describe(v).s);
    int64_t *shape = arena_alloc(a, (size_t)v->n * sizeof *shape);
    t->n_dim = 0;
    t->shape = shape;
    t->count = 1;
    bool fits = true;
    for (const Json *d = v->child; d; d = d->next) {
        if (d->type != JSON_NUMBER || !d->is_int || d->n < 0)
            return ERROR("%s: %.100s: want an integer >= 0 as dimension %d, got %s", path, t->name, t->n_dim,
                         json_describe(d).s);
        shape[t->n_dim++] = d->n;
        fits = fits && !__builtin_mul_overflow(t->count, d->n, &t->count);
    }
    if (!fits || __builtin_mul_overflow(t->count, (int64_t)types[t->type].size, bytes))
        return ERROR("%s: %.100s: %s %s has more than 2^63 bytes", path, t->name, types[t->type].name,
                     shape_text(t->n_dim, shape).s);
    return OK;
}

static Status read_entry(Entry *e, Arena *a, const Json *m, const char *path)
{
    e->t.name = m->key;
    if (strlen(m->key) != m->key_len) return ERROR("%s: the tensor name \"%.100s...\" holds a NUL", path, m->key);
    if (m->type != JSON_OBJECT)
        return ERROR("%s: %.100s: want an object with dtype, shape and data_offsets, got %s", path, m->key,
                     json_describe(m).s);
    int64_t bytes = 0;
    TRY(read_type(&e->t.type, m, m->key, path));
    TRY(read_shape(&e->t, &bytes, a, m, path));
    const Json *v = json_find(m, "data_offsets"), *b = v && v->type == JSON_ARRAY && v->n == 2 ? v->child : NULL;
    if (!b || b->type != JSON_NUMBER || !b->is_int || b->n < 0 || b->next->type != JSON_NUMBER || !b->next->is_int
        || b->next->n < b->n)
        return ERROR("%s: %.100s: want data_offsets [begin, end] with 0 <= begin <= end, got %s", path, m->key,
                     json_describe(v).s);
    e->begin = b->n;
    e->end = b->next->n;
    if (e->end - e->begin != bytes)
        return ERROR("%s: %.100s: %s %s: want %" PRId64 " bytes, got data_offsets of %" PRId64, path, m->key,
                     types[e->t.type].name, shape_text(e->t.n_dim, e->t.shape).s, bytes, e->end - e->begin);
    return OK;
}

static Status read_metadata(SafeFile *f, Arena *a, const Json *m)
{
    if (m->type != JSON_OBJECT)
        return ERROR("%s: __metadata__: want an object of strings, got %s", f->path, json_describe(m).s);
    SafeMeta *meta = arena_alloc(a, (size_t)m->n * sizeof *meta);
    for (const Json *v = m->child; v; v = v->next) {
        if (v->type != JSON_STRING || strlen(v->string) != (size_t)v->n || strlen(v->key) != v->key_len)
            return ERROR("%s: __metadata__: %.100s: want a string without NUL, got %s", f->path, v->key,
                         json_describe(v).s);
        meta[f->n_meta++] = (SafeMeta){v->key, v->string};
    }
    f->meta = meta;
    return OK;
}

static int compare_places(const void *a, const void *b)
{
    const Entry *x = a, *y = b;
    if (x->begin != y->begin) return x->begin < y->begin ? -1 : 1;
    return x->end < y->end ? -1 : x->end > y->end;
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(((const SafeTensor *)a)->name, ((const SafeTensor *)b)->name);
}

// The entries must tile `size` bytes of data.
static Status check_places(Entry *e, int64_t n, int64_t size, const char *path)
{
    qsort(e, (size_t)n, sizeof *e, compare_places);
    int64_t at = 0;
    for (int64_t i = 0; i < n; i++) {
        if (e[i].begin != at)
            return ERROR("%s: %.100s: want data_offsets that begin at %" PRId64 ", where the tensor before ends, got %"
                         PRId64, path, e[i].t.name, at, e[i].begin);
        at = e[i].end;
        if (at > size)
            return ERROR("%s: %.100s: want data up to byte %" PRId64 ", got %" PRId64 " bytes of data in the file",
                         path, e[i].t.name, at, size);
    }
    if (at != size)
        return ERROR("%s: want %" PRId64 " bytes of data, got %" PRId64, path, at, size);
    return OK;
}

static Status read_header(SafeFile *f, Arena *a, const unsigned char *bytes, size_t size)
{
    if (size < PREFIX) return ERROR("%s: want at least 8 bytes, got %zu", f->path, size);
    uint64_t n;
    memcpy(&n, bytes, sizeof n);
    if (n > MAX_HEADER)
        return ERROR("%s: want a header of at most %d bytes, got %" PRIu64 ": not a safetensors file?", f->path,
                     MAX_HEADER, n);
    if (n > size - PREFIX)
        return ERROR("%s: want %" PRIu64 " bytes of header, got %zu: the file is cut short", f->path, n,
                     size - PREFIX);
    const char *text = (const char *)bytes + PREFIX;
    if (n == 0 || text[0] != '{') return ERROR("%s: want a header that begins with '{'", f->path);
    const Json *root;
    TRY(json_parse(&root, a, text, (size_t)n, f->path));

    Entry *e = arena_alloc(a, (size_t)root->n * sizeof *e);
    for (const Json *m = root->child; m; m = m->next) {
        if (m->key_len == strlen("__metadata__") && strcmp(m->key, "__metadata__") == 0)
            TRY(read_metadata(f, a, m));
        else
            TRY(read_entry(&e[f->n_tensor++], a, m, f->path));
    }
    int64_t data = PREFIX + (int64_t)n;
    TRY(check_places(e, f->n_tensor, (int64_t)size - data, f->path));
    SafeTensor *t = arena_alloc(a, (size_t)f->n_tensor * sizeof *t);
    for (int64_t i = 0; i < f->n_tensor; i++) {
        t[i] = e[i].t;
        t[i].data = bytes + data + e[i].begin;
    }
    qsort(t, (size_t)f->n_tensor, sizeof *t, compare_names);
    f->tensor = t;
    return OK;
}

Status safetensors_open(SafeFile *f, Arena *a, const char *path)
{
    *f = (SafeFile){.path = arena_printf(a, "%s", path)};
    TRY(file_map(&f->map, path));
    Status s = read_header(f, a, f->map.data, f->map.size);
    if (s.code) safetensors_close(f);
    return s;
}

Status safetensors_parse(SafeFile *f, Arena *a, const void *bytes, size_t size, const char *name)
{
    *f = (SafeFile){.path = arena_printf(a, "%s", name)};
    Status s = read_header(f, a, bytes, size);
    if (s.code) safetensors_close(f);
    return s;
}

void safetensors_close(SafeFile *f)
{
    file_unmap(&f->map);
    f->n_tensor = f->n_meta = 0;
}

const SafeTensor *safetensors_find(const SafeFile *f, const char *name)
{
    if (f->n_tensor == 0) return NULL;
    SafeTensor key = {.name = name};
    return bsearch(&key, f->tensor, (size_t)f->n_tensor, sizeof key, compare_names);
}

const char *safetensors_meta(const SafeFile *f, const char *key)
{
    for (int64_t i = 0; i < f->n_meta; i++)
        if (strcmp(f->meta[i].key, key) == 0) return f->meta[i].value;
    return NULL;
}

Status safetensors_get(const SafeTensor **out, const SafeFile *f, const char *name, int n_dim, const int64_t *shape)
{
    const SafeTensor *t = safetensors_find(f, name);
    if (!t) return ERROR("%s: want %s, got nothing of that name in %s", name, shape_text(n_dim, shape).s, f->path);
    bool same = t->n_dim == n_dim;
    for (int i = 0; same && i < n_dim; i++) same = shape[i] == -1 || shape[i] == t->shape[i];
    if (!same)
        return ERROR("%s: want %s, got %s in %s", name, shape_text(n_dim, shape).s,
                     shape_text(t->n_dim, t->shape).s, f->path);
    *out = t;
    return OK;
}

// ---- Values -------------------------------------------------------------------------------------------------------

static float f32_of_bits(uint32_t bits)
{
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

float f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, mantissa = h & 0x3FF;
    if (exponent == 31) return f32_of_bits(sign | 0x7F800000 | mantissa << 13);            // infinity, NaN
    if (exponent) return f32_of_bits(sign | (exponent + 112) << 23 | mantissa << 13);      // bias 15 -> 127
    float tiny = (float)mantissa * 0x1p-24f;                                               // zero, subnormal
    return sign ? -tiny : tiny;
}

// Value i, of any integer type but U64.
static int64_t integer_at(const SafeTensor *t, int64_t i)
{
    const unsigned char *p = (const unsigned char *)t->data + (size_t)i * types[t->type].size;
    union { int8_t i8; int16_t i16; int32_t i32; int64_t i64; uint16_t u16; uint32_t u32; } v = {0};
    memcpy(&v, p, types[t->type].size);
    switch (t->type) {
    case SAFE_BOOL: return p[0] != 0;
    case SAFE_U8: return p[0];
    case SAFE_I8: return v.i8;
    case SAFE_I16: return v.i16;
    case SAFE_U16: return v.u16;
    case SAFE_I32: return v.i32;
    case SAFE_U32: return v.u32;
    case SAFE_I64: return v.i64;
    default: CHECK(0, "safetensors: %s is not an integer type below U64", types[t->type].name);
    }
}

static double value_at(const SafeTensor *t, int64_t i)
{
    const unsigned char *p = (const unsigned char *)t->data + (size_t)i * types[t->type].size;
    union { uint16_t u16; float f32; double f64; uint64_t u64; } v = {0};
    memcpy(&v, p, types[t->type].size);
    switch (t->type) {
    case SAFE_F64: return v.f64;
    case SAFE_F32: return (double)v.f32;
    case SAFE_F16: return (double)f16_to_f32(v.u16);
    case SAFE_BF16: return (double)bf16_to_f32(v.u16);
    case SAFE_U64: return (double)v.u64;
    default: return (double)integer_at(t, i);
    }
}

void safetensors_read_f32(float *out, const SafeTensor *t)
{
    if (t->type == SAFE_F32 && t->count)
        memcpy(out, t->data, (size_t)t->count * sizeof *out);
    else
        for (int64_t i = 0; i < t->count; i++) out[i] = (float)value_at(t, i);
}

void safetensors_read_f64(double *out, const SafeTensor *t)
{
    if (t->type == SAFE_F64 && t->count)
        memcpy(out, t->data, (size_t)t->count * sizeof *out);
    else
        for (int64_t i = 0; i < t->count; i++) out[i] = value_at(t, i);
}

Status safetensors_read_i64(int64_t *out, const SafeTensor *t)
{
    if (t->type == SAFE_F16 || t->type == SAFE_BF16 || t->type == SAFE_F32 || t->type == SAFE_F64)
        return ERROR("%s: want an integer type, got %s", t->name, types[t->type].name);
    if (t->type != SAFE_U64) {
        for (int64_t i = 0; i < t->count; i++) out[i] = integer_at(t, i);
        return OK;
    }
    if (t->count) memcpy(out, t->data, (size_t)t->count * sizeof *out);
    for (int64_t i = 0; i < t->count; i++)
        if (out[i] < 0)
            return ERROR("%s: value %" PRId64 ": want at most 2^63 - 1, got %" PRIu64, t->name, i, (uint64_t)out[i]);
    return OK;
}

// ---- Writer -------------------------------------------------------------------------------------------------------

// The order of the reference implementation: type, largest first, then name.
static int compare_canonical(const void *a, const void *b)
{
    const SafeTensor *x = a, *y = b;
    if (x->type != y->type) return x->type > y->type ? -1 : 1;
    return strcmp(x->name, y->name);
}

static int compare_meta(const void *a, const void *b)
{
    return strcmp(((const SafeMeta *)a)->key, ((const SafeMeta *)b)->key);
}

static Status check_utf8(const char *s, const char *path)
{
    uint32_t cp;
    int n;
    for (size_t i = 0, len = strlen(s); i < len; i += (size_t)n) {
        n = utf8_decode((const unsigned char *)s + i, len - i, &cp);
        if (n == 0) return ERROR("%s: want UTF-8 in names and metadata, got byte 0x%02X in \"%.100s\"", path,
                                 (unsigned char)s[i], s);
    }
    return OK;
}

Status safetensors_check_meta(const SafeMeta *meta, int64_t n_meta, const char *path)
{
    for (int64_t i = 0; i < n_meta; i++) {
        TRY(check_utf8(meta[i].key, path));
        TRY(check_utf8(meta[i].value, path));
    }
    return OK;
}

// Sorted copies of both lists; refuses what a reader would refuse.
static Status sort_and_check(SafeTensor *t, int64_t n_tensor, SafeMeta *m, int64_t n_meta, const char *path)
{
    qsort(t, (size_t)n_tensor, sizeof *t, compare_names);
    qsort(m, (size_t)n_meta, sizeof *m, compare_meta);
    for (int64_t i = 0; i < n_tensor; i++) {
        TRY(check_utf8(t[i].name, path));
        if (strcmp(t[i].name, "__metadata__") == 0) return ERROR("%s: no tensor can be named __metadata__", path);
        if (i && strcmp(t[i].name, t[i - 1].name) == 0)
            return ERROR("%s: %s: two tensors of that name", path, t[i].name);
    }
    TRY(safetensors_check_meta(m, n_meta, path));
    for (int64_t i = 0; i < n_meta; i++) {
        if (i && strcmp(m[i].key, m[i - 1].key) == 0) return ERROR("%s: metadata %s: twice", path, m[i].key);
    }
    qsort(t, (size_t)n_tensor, sizeof *t, compare_canonical);
    return OK;
}

static int64_t tensor_bytes(SafeTensor *t)
{
    int64_t bytes = (int64_t)types[t->type].size;
    for (int i = 0; i < t->n_dim; i++)
        CHECK(t->shape[i] >= 0 && !__builtin_mul_overflow(bytes, t->shape[i], &bytes), "%s: shape %s", t->name,
              shape_text(t->n_dim, t->shape).s);
    return bytes;
}

static void digest_text(Sha256 *h, const char *text) { sha256_add(h, text, strlen(text) + 1); }

static void digest_tensor(Sha256 *h, SafeTensor *t)
{
    const int64_t n = t->n_dim;
    digest_text(h, t->name);
    digest_text(h, types[t->type].name);
    sha256_add(h, &n, sizeof n);
    sha256_add(h, t->shape, (size_t)n * sizeof *t->shape);
    sha256_add(h, t->data, (size_t)tensor_bytes(t));
}

Sha256Hex safetensors_digest(const SafeTensor *tensor, int64_t n_tensor, const SafeMeta *meta, int64_t n_meta,
                             const char *but, Arena *scratch)
{
    const size_t mark = arena_mark(scratch);
    SafeTensor *t = arena_alloc(scratch, (size_t)n_tensor * sizeof *t);
    SafeMeta *m = arena_alloc(scratch, (size_t)n_meta * sizeof *m);
    for (int64_t i = 0; i < n_tensor; i++) t[i] = tensor[i];
    for (int64_t i = 0; i < n_meta; i++) m[i] = meta[i];
    qsort(t, (size_t)n_tensor, sizeof *t, compare_names);
    qsort(m, (size_t)n_meta, sizeof *m, compare_meta);
    Sha256 h = sha256_new();
    for (int64_t i = 0; i < n_meta; i++) {
        if (strcmp(m[i].key, but) == 0) continue;
        digest_text(&h, m[i].key);
        digest_text(&h, m[i].value);
    }
    for (int64_t i = 0; i < n_tensor; i++) digest_tensor(&h, &t[i]);
    arena_rewind(scratch, mark);
    return sha256_hex(&h);
}

static void write_header(JsonWriter *w, SafeTensor *t, int64_t n_tensor, const SafeMeta *m, int64_t n_meta)
{
    json_object(w, NULL);
    if (n_meta) {
        json_object(w, "__metadata__");
        for (int64_t i = 0; i < n_meta; i++) json_string(w, m[i].key, m[i].value);
        json_end(w);
    }
    int64_t at = 0;
    for (int64_t i = 0; i < n_tensor; i++) {
        json_object(w, t[i].name);
        json_string(w, "dtype", types[t[i].type].name);
        json_array(w, "shape");
        for (int d = 0; d < t[i].n_dim; d++) json_int(w, NULL, t[i].shape[d]);
        json_end(w);
        json_array(w, "data_offsets");
        json_int(w, NULL, at);
        json_int(w, NULL, at += tensor_bytes(&t[i]));
        json_end(w);
        json_end(w);
    }
    json_end(w);
}

static Status write_sorted(const char *path, SafeTensor *t, int64_t n_tensor, SafeMeta *m, int64_t n_meta,
                           bool keep_previous, Arena *scratch)
{
    TRY(sort_and_check(t, n_tensor, m, n_meta, path));
    JsonWriter w = json_writer(scratch, 0);
    write_header(&w, t, n_tensor, m, n_meta);
    size_t text_len;
    const char *text = json_text(&w, &text_len);
    text_len--;                                       // without the newline
    uint64_t header = (text_len + 7) / 8 * 8;
    if (header > MAX_HEADER)
        return ERROR("%s: want a header of at most %d bytes, got %" PRIu64, path, MAX_HEADER, header);
    FileWriter out;
    TRY(file_open(&out, path));
    file_put(&out, &header, sizeof header);
    file_put(&out, text, text_len);
    file_put(&out, "       ", (size_t)header - text_len);
    for (int64_t i = 0; i < n_tensor; i++) file_put(&out, t[i].data, (size_t)tensor_bytes(&t[i]));
    return file_commit(&out, keep_previous);
}

Status safetensors_write(const char *path, const SafeTensor *tensor, int64_t n_tensor, const SafeMeta *meta,
                         int64_t n_meta, bool keep_previous, Arena *scratch)
{
    size_t mark = arena_mark(scratch);
    SafeTensor *t = arena_alloc(scratch, (size_t)n_tensor * sizeof *t);
    SafeMeta *m = arena_alloc(scratch, (size_t)n_meta * sizeof *m);
    if (n_tensor) memcpy(t, tensor, (size_t)n_tensor * sizeof *t);
    if (n_meta) memcpy(m, meta, (size_t)n_meta * sizeof *m);
    Status s = write_sorted(path, t, n_tensor, m, n_meta, keep_previous, scratch);
    arena_rewind(scratch, mark);
    return s;
}
