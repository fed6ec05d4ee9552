#include "io/npy.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"

enum { MAX_HEADER = 65536 };

// ---- reading -------------------------------------------------------------------------------------------------------

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
        return p;
    }
    return NULL;
}

static Status parse_shape(NpyArray *out, const char *p, const char *path)
{
    if (*p++ != '(') return ERROR("%s: npy header: want 'shape': (T, N, N), got none", path);
    for (out->n_dims = 0, out->count = 1; ; ) {
        while (*p == ' ' || *p == ',') p++;
        if (*p == ')') break;
        char *end;
        errno = 0;
        long long d = strtoll(p, &end, 10);
        if (end == p || errno || d < 0) return ERROR("%s: npy header: unreadable shape at '%.20s'", path, p);
        if (out->n_dims == NPY_MAX_DIMS) return ERROR("%s: npy header: more than %d dimensions", path, NPY_MAX_DIMS);
        if (d == 0) return ERROR("%s: the array is empty (dimension %d is 0)", path, out->n_dims);
        out->dims[out->n_dims++] = d;
        if (__builtin_mul_overflow(out->count, (int64_t)d, &out->count))
            return ERROR("%s: npy header: the shape has more than 2^63 elements", path);
        p = end;
    }
    return OK;
}

static Status parse_header(NpyArray *out, const char *header, const char *path)
{
    const char *descr = header_value(header, "descr"), *order = header_value(header, "fortran_order");
    const char *shape = header_value(header, "shape");
    if (!descr || !order || !shape)
        return ERROR("%s: npy header: want keys 'descr', 'fortran_order', 'shape', got '%.60s'", path, header);
    if (strncmp(descr + 1, "<f4", 3) && strncmp(descr + 1, "<f8", 3) && strncmp(descr + 1, "<i8", 3))
        return ERROR("%s: want dtype '<f4', '<f8' or '<i8' (times), got %.12s", path, descr);
    if (descr[4] != descr[0]) return ERROR("%s: want dtype '<f4', '<f8' or '<i8', got %.12s", path, descr);
    memcpy(out->type, descr + 1, 3);
    out->type[3] = 0;
    if (strncmp(order, "False", 5)) return ERROR("%s: want C order ('fortran_order': False), got %.5s", path, order);
    return parse_shape(out, shape, path);
}

// bytes[0..size) opens with the header; *at = where the data begin.
static Status read_header(NpyArray *out, const char *bytes, size_t size, size_t *at, const char *path)
{
    const unsigned char *pre = (const unsigned char *)bytes;
    if (size < 12) return ERROR("%s: truncated: want an npy header of at least 12 bytes, got %zu", path, size);
    if (memcmp(pre, "\x93NUMPY", 6)) return ERROR("%s: want an .npy file (magic \\x93NUMPY), got other bytes", path);
    if (pre[6] < 1 || pre[6] > 3) return ERROR("%s: want npy version 1, 2 or 3, got %d.%d", path, pre[6], pre[7]);
    size_t len = (size_t)pre[8] | (size_t)pre[9] << 8;
    *at = 10;
    if (pre[6] > 1) {
        len |= (size_t)pre[10] << 16 | (size_t)pre[11] << 24;
        *at = 12;
    }
    if (len > MAX_HEADER) return ERROR("%s: npy header: want at most %d bytes, got %zu", path, MAX_HEADER, len);
    if (len > size - *at)
        return ERROR("%s: truncated: the header claims %zu bytes, the file has %zu left", path, len, size - *at);
    char header[MAX_HEADER + 1];
    memcpy(header, bytes + *at, len);
    header[len] = 0;
    *at += len;
    return parse_header(out, header, path);
}

Status npy_read(NpyArray *out, Arena *a, const char *path)
{
    char *bytes;
    size_t size, at;
    int64_t want;
    *out = (NpyArray){.n_dims = 0};
    TRY(file_read(&bytes, &size, a, path, SIZE_MAX / 2));
    TRY(read_header(out, bytes, size, &at, path));
    const int64_t each = out->type[2] == '4' ? 4 : 8;
    if (__builtin_mul_overflow(out->count, each, &want) || (uint64_t)want != (uint64_t)(size - at))
        return ERROR("%s: the header promises %lld values of %lld bytes, the file has %zu bytes of data", path,
                     (long long)out->count, (long long)each, size - at);
    out->data = memmove(bytes, bytes + at, size - at);   // to the start of the allocation: aligned
    return OK;
}

// ---- writing -------------------------------------------------------------------------------------------------------

void npy_put(FileWriter *w, const char *type, const int64_t *dims, int n_dims, const void *data)
{
    char shape[256] = "", header[512];
    size_t bytes = type[2] == '4' ? 4 : 8, at = 0;
    CHECK(n_dims >= 1 && n_dims <= NPY_MAX_DIMS, "npy_put: n_dims = %d", n_dims);
    for (int i = 0; i < n_dims; i++) {
        at += (size_t)snprintf(shape + at, sizeof shape - at, "%s%lld", i ? ", " : "", (long long)dims[i]);
        bytes *= (size_t)dims[i];
    }
    int n = snprintf(header, sizeof header, "{'descr': '%s', 'fortran_order': False, 'shape': (%s%s), }", type, shape,
                     n_dims == 1 ? "," : "");
    int padded = (n + 1 + 10 + 63) / 64 * 64 - 10;   // the data start on a multiple of 64 bytes
    memset(header + n, ' ', (size_t)(padded - n));
    header[padded - 1] = '\n';
    unsigned char pre[10] = {0x93, 'N', 'U', 'M', 'P', 'Y', 1, 0, (unsigned char)(padded & 255),
                             (unsigned char)(padded >> 8)};
    file_put(w, pre, sizeof pre);
    file_put(w, header, (size_t)padded);
    file_put(w, data, bytes);
}

Status npy_write(const char *path, const char *type, const int64_t *dims, int n_dims, const void *data)
{
    FileWriter w;
    TRY(file_open(&w, path));
    npy_put(&w, type, dims, n_dims, data);
    return file_commit(&w, false);
}
