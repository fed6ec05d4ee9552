#include "io/npy.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"
#include "io/safetensors.h"

enum { MAX_HEADER = 65536 };

// ---- header --------------------------------------------------------------------------------------------------------

// The text after 'key': in the header's Python dictionary, or NULL.
static const char *header_value(const char *header, const char *key)
{
    char quoted[32];
    for (const char *q = "'\""; *q; q++) {
        snprintf(quoted, sizeof quoted, "%c%s%c", *q, key, *q);
        const char *p = strstr(header, quoted);
        if (!p) continue;
        p += strlen(quoted);
        while (*p == ' ') p++;
        if (*p++ != ':') return NULL;
        while (*p == ' ') p++;
        return *p ? p : NULL;
    }
    return NULL;
}

static Status parse_shape(NpyView *out, const char *p, const char *name)
{
    if (*p++ != '(') return ERROR("%s: npy header: want 'shape': (T, N, N), got none", name);
    for (out->n_dims = 0, out->count = 1; ; ) {
        while (*p == ' ' || *p == ',') p++;
        if (*p == ')') break;
        char *end;
        errno = 0;
        long long d = strtoll(p, &end, 10);
        if (end == p || errno || d < 0) return ERROR("%s: npy header: unreadable shape at '%.20s'", name, p);
        if (out->n_dims == NPY_MAX_DIMS) return ERROR("%s: npy header: more than %d dimensions", name, NPY_MAX_DIMS);
        if (d == 0) return ERROR("%s: the array is empty (dimension %d is 0)", name, out->n_dims);
        out->dims[out->n_dims++] = d;
        if (__builtin_mul_overflow(out->count, (int64_t)d, &out->count))
            return ERROR("%s: npy header: the shape has more than 2^63 elements", name);
        p = end + (*end == 'L');                  // Python 2 wrote long integers so
    }
    return OK;
}

// Seconds in the unit of a datetime64, "[s]", "[25ms]"; 0: none that is a fixed number of seconds.
static double date_unit(const char *p)
{
    static const struct { const char *name; double seconds; } unit[] = {
        {"ns]", 1e-9}, {"us]", 1e-6}, {"ms]", 1e-3}, {"s]", 1}, {"m]", 60}, {"h]", 3600}, {"D]", 86400},
        {"W]", 7 * 86400}};
    if (*p++ != '[') return 0;
    char *end;
    const long times = strtol(p, &end, 10);
    if (end != p && (times < 1 || times > 1000000)) return 0;
    for (size_t i = 0; i < sizeof unit / sizeof *unit; i++)
        if (!strncmp(end, unit[i].name, strlen(unit[i].name))) return unit[i].seconds * (end != p ? (double)times : 1);
    return 0;
}

static bool width_fits(char kind, long width)
{
    switch (kind) {
    case 'f': return width == 2 || width == 4 || width == 8;
    case 'i':
    case 'u': return width == 1 || width == 2 || width == 4 || width == 8;
    case 'M': return width == 8;
    case 'S':
    case 'U': return width >= 1 && width <= 4096;
    default: return false;
    }
}

static Status parse_dtype(NpyView *v, const char *p, const char *name)
{
    const char quote = *p;
    const char *end = quote == '\'' || quote == '"' ? strchr(p + 1, quote) : NULL;
    if (!end || end - p < 4 || !strchr("<>|=", p[1]))
        return ERROR("%s: want a dtype of numbers such as '<f4', '<f8' or '<i8', got %.24s", name, p);
    char *behind;
    const long width = strtol(p + 3, &behind, 10);
    v->kind = p[2];
    v->big_endian = p[1] == '>';
    v->seconds = v->kind == 'M' ? date_unit(behind) : 0;
    if (!width_fits(v->kind, width) || (v->kind == 'M' ? v->seconds == 0 : behind != end))
        return ERROR("%s: want a dtype of numbers such as '<f4', '<f8' or '<i8', or dates, got %.*s", name,
                     (int)(end - p < 24 ? end - p + 1 : 24), p);
    v->width = v->kind == 'U' ? 4 * (int)width : (int)width;
    return OK;
}

static Status parse_header(NpyView *v, const char *header, const char *name)
{
    const char *descr = header_value(header, "descr"), *order = header_value(header, "fortran_order");
    const char *shape = header_value(header, "shape");
    if (!descr || !order || !shape)
        return ERROR("%s: npy header: want keys 'descr', 'fortran_order', 'shape', got '%.60s'", name, header);
    TRY(parse_dtype(v, descr, name));
    v->fortran = !strncmp(order, "True", 4);
    if (!v->fortran && strncmp(order, "False", 5))
        return ERROR("%s: npy header: want 'fortran_order': True or False, got %.5s", name, order);
    return parse_shape(v, shape, name);
}

Status npy_parse(NpyView *v, const void *bytes, size_t size, const char *name)
{
    const unsigned char *pre = bytes;
    *v = (NpyView){.kind = 0};
    if (size < 12) return ERROR("%s: truncated: want an npy header of at least 12 bytes, got %zu", name, size);
    if (memcmp(pre, "\x93NUMPY", 6)) return ERROR("%s: want an .npy file (magic \\x93NUMPY), got other bytes", name);
    if (pre[6] < 1 || pre[6] > 3) return ERROR("%s: want npy version 1, 2 or 3, got %d.%d", name, pre[6], pre[7]);
    size_t len = (size_t)pre[8] | (size_t)pre[9] << 8, at = 10, want;
    if (pre[6] > 1) {
        len |= (size_t)pre[10] << 16 | (size_t)pre[11] << 24;
        at = 12;
    }
    if (len > MAX_HEADER) return ERROR("%s: npy header: want at most %d bytes, got %zu", name, MAX_HEADER, len);
    if (len > size - at)
        return ERROR("%s: truncated: the header claims %zu bytes, the file has %zu left", name, len, size - at);
    char header[MAX_HEADER + 1];
    memcpy(header, pre + at, len);
    header[len] = 0;
    at += len;
    TRY(parse_header(v, header, name));
    if (__builtin_mul_overflow((size_t)v->count, (size_t)v->width, &want) || want != size - at)
        return ERROR("%s: the header promises %lld values of %d bytes, the file has %zu bytes of data", name,
                     (long long)v->count, v->width, size - at);
    v->data = pre + at;
    return OK;
}

// ---- values --------------------------------------------------------------------------------------------------------

static uint64_t element_bits(const NpyView *v, int64_t i)
{
    const unsigned char *p = v->data + i * v->width;
    uint64_t bits = 0;
    for (int b = 0; b < v->width; b++) bits |= (uint64_t)p[b] << 8 * (v->big_endian ? v->width - 1 - b : b);
    return bits;
}

static int64_t sign_extend(uint64_t bits, int width)
{
    const int unused = 64 - 8 * width;
    return (int64_t)(bits << unused) >> unused;
}

double npy_number(const NpyView *v, int64_t i)
{
    const uint64_t bits = element_bits(v, i);
    if (v->kind == 'u') return (double)bits;
    if (v->kind == 'i') return (double)sign_extend(bits, v->width);
    if (v->kind == 'M') return (int64_t)bits == INT64_MIN ? NAN : (double)(int64_t)bits;
    if (v->width == 2) return (double)f16_to_f32((uint16_t)bits);
    if (v->width == 8) {
        double d;
        memcpy(&d, &bits, sizeof d);
        return d;
    }
    const uint32_t low = (uint32_t)bits;
    float f;
    memcpy(&f, &low, sizeof f);
    return (double)f;
}

bool npy_integer(int64_t *out, const NpyView *v, int64_t i)
{
    const uint64_t bits = element_bits(v, i);
    if (v->kind == 'f') {
        const double d = npy_number(v, i);
        if (!(fabs(d) < 9.2e18) || d != rint(d)) return false;
        *out = (int64_t)d;
        return true;
    }
    *out = v->kind == 'u' ? (int64_t)bits : sign_extend(bits, v->width);
    return v->kind == 'u' ? bits <= INT64_MAX : v->kind != 'M' || *out != INT64_MIN;
}

// Calls put(to, from) with the place in C order and the place in the file of every element, in C order.
#define FOR_EACH_ELEMENT(v, to, from) \
    for (int64_t to = 0, from = 0, index[NPY_MAX_DIMS] = {0}; to < (v)->count; to++, from = next_place(v, index, from))

static int64_t next_place(const NpyView *v, int64_t *index, int64_t place)
{
    if (!v->fortran) return place + 1;
    int64_t stride = v->count;
    for (int d = v->n_dims - 1; d >= 0; d--) {
        stride /= v->dims[d];                     // product of the dims before d
        place += stride;
        if (++index[d] < v->dims[d]) return place;
        place -= stride * v->dims[d];
        index[d] = 0;
    }
    return place;
}

void npy_floats(float *out, const NpyView *v)
{
    if (v->kind == 'f' && v->width == 4 && !v->big_endian && !v->fortran) {
        memcpy(out, v->data, (size_t)v->count * sizeof *out);
        return;
    }
    FOR_EACH_ELEMENT(v, to, from) out[to] = (float)npy_number(v, from);
}

Status npy_read(NpyArray *out, Arena *a, const char *path)
{
    FileMap map;
    NpyView v;
    *out = (NpyArray){.n_dims = 0};
    TRY(file_map(&map, path));
    Status s = npy_parse(&v, map.data, map.size, path);
    if (!s.code && (v.kind == 'U' || v.kind == 'S')) 
        s = ERROR("%s: want a dtype of numbers such as '<f4' or '<f8', got text", path);
    if (!s.code) {
        const bool integers = v.kind == 'M' || (v.width == 8 && v.kind != 'f'), doubles = v.kind == 'f' && v.width == 8;
        *out = (NpyArray){.n_dims = v.n_dims, .count = v.count};
        memcpy(out->dims, v.dims, sizeof out->dims);
        memcpy(out->type, integers ? "<i8" : doubles ? "<f8" : "<f4", sizeof out->type);
        void *data = arena_alloc(a, (size_t)v.count * (integers || doubles ? 8 : 4));
        out->data = data;
        if (!integers && !doubles) npy_floats(data, &v);
        else FOR_EACH_ELEMENT(&v, to, from) {
            const uint64_t bits = element_bits(&v, from);
            memcpy((char *)data + 8 * to, &bits, sizeof bits);
        }
    }
    file_unmap(&map);
    return s;
}

// ---- writing -------------------------------------------------------------------------------------------------------

int npy_header(char header[NPY_HEADER_MAX], const char *type, const int64_t *dims, int n_dims)
{
    char shape[256] = "";
    size_t at = 0;
    CHECK(n_dims >= 0 && n_dims <= NPY_MAX_DIMS, "npy_header: n_dims = %d", n_dims);
    for (int i = 0; i < n_dims; i++)
        at += (size_t)snprintf(shape + at, sizeof shape - at, "%s%lld", i ? ", " : "", (long long)dims[i]);
    const int n = snprintf(header + 10, NPY_HEADER_MAX - 10,
                           "{'descr': '%s', 'fortran_order': False, 'shape': (%s%s), }", type, shape,
                           n_dims == 1 ? "," : "");
    const int padded = (n + 1 + 10 + 63) / 64 * 64 - 10;   // the data start on a multiple of 64 bytes
    memset(header + 10 + n, ' ', (size_t)(padded - n));
    header[10 + padded - 1] = '\n';
    memcpy(header, "\x93NUMPY\1", 8);
    header[8] = (char)(padded & 255);
    header[9] = (char)(padded >> 8);
    return 10 + padded;
}

void npy_put(FileWriter *w, const char *type, const int64_t *dims, int n_dims, const void *data)
{
    char header[NPY_HEADER_MAX];
    size_t bytes = type[2] == '4' ? 4 : 8;
    for (int i = 0; i < n_dims; i++) bytes *= (size_t)dims[i];
    file_put(w, header, (size_t)npy_header(header, type, dims, n_dims));
    file_put(w, data, bytes);
}

Status npy_write(const char *path, const char *type, const int64_t *dims, int n_dims, const void *data)
{
    FileWriter w;
    TRY(file_open(&w, path));
    npy_put(&w, type, dims, n_dims, data);
    return file_commit(&w, false);
}
