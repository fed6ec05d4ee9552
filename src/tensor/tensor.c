#include "tensor/pack.h"

#include <stdio.h>
#include <string.h>

#include "tensor/device.h"
#include "tensor/nf4.h"

Shape shape_make(int n, const int64_t *d)
{
    CHECK(n >= 0 && n <= MAX_DIMS, "shape: want at most %d dimensions, got %d", MAX_DIMS, n);
    Shape s = {.n = n};
    for (int i = 0; i < n; i++) {
        CHECK(d[i] >= 0, "shape: dimension %d is %lld", i, (long long)d[i]);
        s.d[i] = d[i];
    }
    return s;
}

int64_t shape_numel(Shape s)
{
    int64_t n = 1;
    for (int i = 0; i < s.n; i++) n *= s.d[i];
    return n;
}

int64_t shape_last(Shape s) { return s.n ? s.d[s.n - 1] : 1; }

int64_t shape_rows(Shape s)
{
    int64_t n = 1;
    for (int i = 0; i + 1 < s.n; i++) n *= s.d[i];
    return n;
}

bool shape_equal(Shape a, Shape b)
{
    if (a.n != b.n) return false;
    for (int i = 0; i < a.n; i++)
        if (a.d[i] != b.d[i]) return false;
    return true;
}

const char *shape_text(Shape s, char buf[96])
{
    int at = snprintf(buf, 96, "[");
    for (int i = 0; i < s.n && at < 80; i++)
        at += snprintf(buf + at, (size_t)(96 - at), "%s%lld", i ? "," : "", (long long)s.d[i]);
    snprintf(buf + at, (size_t)(96 - at), "]");
    return buf;
}

static size_t value_size(const Tensor *t) { return t->dtype == I32 ? sizeof(int32_t) : t->dev->real_size; }
size_t tensor_bytes(const Tensor *t)
{
    if (t->layout == LAYOUT_COLUMNS_BF16) return bf16_column_bytes(t->shape);
    if (t->layout == LAYOUT_NF4) return nf4_bytes(t->shape);
    return t->layout == LAYOUT_PANELS_BF16 ? bf16_panel_bytes(t->shape) : (size_t)numel(t) * value_size(t);
}

Tensor *tensor_new(Arena *a, const Device *dev, DType dtype, Shape shape, const char *name)
{
    Tensor *t = arena_alloc(a, sizeof *t);
    *t = (Tensor){.shape = shape, .dev = dev, .dtype = dtype, .name = name};
    t->x = device_alloc(dev, a, tensor_bytes(t));
    return t;
}

static void check_access(const Tensor *t, DType dtype, int64_t n)
{
    char buf[96];
    CHECK(t->dtype == dtype && n == numel(t), "tensor %s %s: access of %lld values of the %s type",
          t->name ? t->name : "?", shape_text(t->shape, buf), (long long)n, t->dtype == dtype ? "right" : "wrong");
}

// Values of another type than the device's are converted in parts.
enum { PART = 4096 };
static int64_t part_length(int64_t left) { return left < PART ? left : PART; }

// Row order of a matrix that moves whole, in host memory.
static ColumnValues in_rows(const Tensor *t, const void *x, bool wide)
{
    return (ColumnValues){.x = (void *)(uintptr_t)x, .wide = wide, .rk = t->shape.d[1], .rn = 1};
}

void tensor_set_f32(Tensor *t, const float *src, int64_t n)
{
    check_access(t, REAL, n);
    if (moves_whole(t)) {
        columns_put(t, in_rows(t, src, false));
        return;
    }
    if (t->layout != LAYOUT_ROWS) {
        for (int64_t i = 0; i < n; i++) packed_set(t, i, src[i]);
        return;
    }
    if (t->dev->real_size == sizeof(float)) {
        device_put(t->dev, t->x, src, (size_t)n * sizeof(float));
        return;
    }
    double part[PART];
    for (int64_t i = 0, m; i < n; i += m) {
        m = part_length(n - i);
        for (int64_t k = 0; k < m; k++) part[k] = (double)src[i + k];
        device_put(t->dev, (double *)t->x + i, part, (size_t)m * sizeof *part);
    }
}

void tensor_set_f64(Tensor *t, const double *src, int64_t n)
{
    check_access(t, REAL, n);
    if (moves_whole(t)) {
        columns_put(t, in_rows(t, src, true));
        return;
    }
    if (t->layout != LAYOUT_ROWS) {
        for (int64_t i = 0; i < n; i++) packed_set(t, i, (float)src[i]);
        return;
    }
    if (t->dev->real_size == sizeof(double)) {
        device_put(t->dev, t->x, src, (size_t)n * sizeof(double));
        return;
    }
    float part[PART];
    for (int64_t i = 0, m; i < n; i += m) {
        m = part_length(n - i);
        for (int64_t k = 0; k < m; k++) part[k] = (float)src[i + k];
        device_put(t->dev, (float *)t->x + i, part, (size_t)m * sizeof *part);
    }
}

void tensor_set_i32(Tensor *t, const int32_t *src, int64_t n)
{
    check_access(t, I32, n);
    device_put(t->dev, t->x, src, (size_t)n * sizeof(int32_t));
}

void tensor_get_f32(const Tensor *t, float *dst, int64_t n)
{
    check_access(t, REAL, n);
    if (moves_whole(t)) {
        columns_get(t, in_rows(t, dst, false));
        return;
    }
    if (t->layout != LAYOUT_ROWS) {
        for (int64_t i = 0; i < n; i++) dst[i] = packed_get(t, i);
        return;
    }
    if (t->dev->real_size == sizeof(float)) {
        device_get(t->dev, dst, t->x, (size_t)n * sizeof(float));
        return;
    }
    double part[PART];
    for (int64_t i = 0, m; i < n; i += m) {
        m = part_length(n - i);
        device_get(t->dev, part, (const double *)t->x + i, (size_t)m * sizeof *part);
        for (int64_t k = 0; k < m; k++) dst[i + k] = (float)part[k];
    }
}

static void get_f64(const Tensor *t, const void *src, double *dst, int64_t n)
{
    check_access(t, REAL, n);
    if (!src) {
        memset(dst, 0, (size_t)n * sizeof(double));
        return;
    }
    if (moves_whole(t)) {
        columns_get(t, in_rows(t, dst, true));
        return;
    }
    if (t->layout != LAYOUT_ROWS) {   // has no gradient: src is t->x
        for (int64_t i = 0; i < n; i++) dst[i] = (double)packed_get(t, i);
        return;
    }
    if (t->dev->real_size == sizeof(double)) {
        device_get(t->dev, dst, src, (size_t)n * sizeof(double));
        return;
    }
    float part[PART];
    for (int64_t i = 0, m; i < n; i += m) {
        m = part_length(n - i);
        device_get(t->dev, part, (const float *)src + i, (size_t)m * sizeof *part);
        for (int64_t k = 0; k < m; k++) dst[i + k] = (double)part[k];
    }
}

void tensor_get_f64(const Tensor *t, double *dst, int64_t n) { get_f64(t, t->x, dst, n); }

static const Tensor *grad_owner(const Tensor *t)
{
    while (t->view_of) t = t->view_of;
    return t;
}

void tensor_get_grad_f64(const Tensor *t, double *dst, int64_t n) { get_f64(t, grad_owner(t)->g, dst, n); }

void tensor_fill(Tensor *t, double value)
{
    check_access(t, REAL, numel(t));   // panels of floats: every value is the same
    if (value == 0) {
        device_zero(t->dev, t->x, tensor_bytes(t));
        return;
    }
    if (moves_whole(t)) {
        columns_put(t, (ColumnValues){.x = &value, .wide = true});
        return;
    }
    if (t->layout == LAYOUT_PANELS_BF16) {
        for (int64_t i = 0, n = numel(t); i < n; i++) packed_set(t, i, (float)value);
        return;
    }
    double wide[PART];
    float narrow[PART];
    for (int64_t k = 0; k < PART; k++) narrow[k] = (float)(wide[k] = value);
    const size_t word = t->dev->real_size;
    for (int64_t i = 0, n = numel(t), m; i < n; i += m) {
        m = part_length(n - i);
        device_put(t->dev, (char *)t->x + (size_t)i * word, word == sizeof *wide ? (void *)wide : narrow,
                   (size_t)m * word);
    }
}
