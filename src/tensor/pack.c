#include "tensor/pack.h"

#include <string.h>

#include "tensor/device.h"
#include "tensor/nf4.h"

void tensor_check_frozen(const Tensor *w, const char *who)
{
    CHECK(w->dtype == REAL && w->shape.n == 2 && !w->needs_grad && !w->g && !w->view_of && w->layout == LAYOUT_ROWS,
          "%s: %s is no frozen matrix in rows", who, w->name ? w->name : "?");
}

static bool reads_panels(const Device *d) { return !d->memory && d->real_size == sizeof(float) && d->isa >= ISA_AVX2; }

void tensor_pack(Tensor *w, Arena *a)
{
    tensor_check_frozen(w, "tensor_pack");
    const int64_t K = w->shape.d[0], N = w->shape.d[1];
    if (!reads_panels(w->dev) || N % PANEL) return;
    const float *x = w->x;
    float *packed = arena_alloc(a, tensor_bytes(w));
#pragma omp parallel for
    for (int64_t k0 = 0; k0 < K; k0 += 64)   // some rows at a time: they are read in order
        for (int64_t n = 0; n < N; n += PANEL)
            for (int64_t k = k0; k < K && k < k0 + 64; k++)
                memcpy(packed + (n / PANEL * K + k) * PANEL, x + k * N + n, PANEL * sizeof *x);
    memory_unused(w->x, tensor_bytes(w));
    w->x = packed;
    w->layout = LAYOUT_PANELS;
}

// x: element (k,n) at x[k rk + n rn]
static void *bf16_panels(const float *x, Shape s, int64_t rk, int64_t rn, Arena *a)
{
    const int64_t K = s.d[0], N = s.d[1], pairs = (K + 1) / 2;
    uint16_t *packed = arena_alloc(a, bf16_panel_bytes(s));
#pragma omp parallel for
    for (int64_t n0 = 0; n0 < N; n0 += PANEL)
        for (int64_t k = 0; k < 2 * pairs; k++)
            for (int64_t n = n0; n < n0 + PANEL; n++)
                packed[((n0 / PANEL * pairs + k / 2) * PANEL + n - n0) * 2 + k % 2] =
                    k < K && n < N ? f32_to_bf16(x[k * rk + n * rn]) : 0;
    return packed;
}

Tensor *tensor_new_columns(Arena *a, const Device *dev, Shape shape, const char *name)
{
    CHECK(shape.n == 2 && dev->bf16_columns, "tensor_new_columns: %s: %s has no such matrices", name, dev->name);
    Tensor *w = arena_alloc(a, sizeof *w);
    *w = (Tensor){.shape = shape, .dev = dev, .layout = LAYOUT_COLUMNS_BF16, .name = name};
    w->x = device_alloc(dev, a, bf16_column_bytes(shape));
    return w;
}

enum { PART = 4096 };   // values on their way between host and device

void columns_put(Tensor *w, ColumnValues from)
{
    if (w->layout == LAYOUT_NF4) {
        nf4_put(w, from);
        return;
    }
    const int64_t K = w->shape.d[0], ld = column_length(K), all = w->shape.d[1] * ld;
    uint16_t part[PART];
    for (int64_t i = 0, m, n = 0, k = 0; i < all; i += m) {
        m = all - i < PART ? all - i : PART;
        for (int64_t j = 0; j < m; j++, k = k + 1 < ld ? k + 1 : 0, n += k == 0) {
            const int64_t at = k * from.rk + n * from.rn;
            part[j] = k >= K ? 0 : f32_to_bf16(from.wide ? (float)((double *)from.x)[at] : ((float *)from.x)[at]);
        }
        device_put(w->dev, (uint16_t *)w->x + i, part, (size_t)m * sizeof *part);
    }
}

void columns_get(const Tensor *w, ColumnValues to)
{
    if (w->layout == LAYOUT_NF4) {
        nf4_get(w, to);
        return;
    }
    const int64_t K = w->shape.d[0], ld = column_length(K), all = w->shape.d[1] * ld;
    uint16_t part[PART];
    for (int64_t i = 0, m, n = 0, k = 0; i < all; i += m) {
        m = all - i < PART ? all - i : PART;
        device_get(w->dev, part, (uint16_t *)w->x + i, (size_t)m * sizeof *part);
        for (int64_t j = 0; j < m; j++, k = k + 1 < ld ? k + 1 : 0, n += k == 0) {
            const int64_t at = k * to.rk + n * to.rn;
            if (k >= K) continue;
            if (to.wide) ((double *)to.x)[at] = (double)bf16_to_f32(part[j]);
            else ((float *)to.x)[at] = bf16_to_f32(part[j]);
        }
    }
}

// w, in rows, becomes columns; the device memory of the rows stays taken until arena a is rewound.
static void pack_columns(Tensor *w, Arena *a)
{
    void *columns = device_alloc(w->dev, a, bf16_column_bytes(w->shape));
    const size_t mark = arena_mark(a);
    float *x = arena_alloc(a, tensor_bytes(w));
    tensor_get_f32(w, x, numel(w));
    w->x = columns;
    w->layout = LAYOUT_COLUMNS_BF16;
    tensor_set_f32(w, x, numel(w));
    arena_rewind(a, mark);
}

void tensor_pack_bf16(Tensor *w, Arena *a)
{
    if (is_bf16(w)) return;
    tensor_check_frozen(w, "tensor_pack_bf16");
    if (w->dev->bf16_columns) {
        pack_columns(w, a);
        return;
    }
    if (reads_panels(w->dev)) {
        void *packed = bf16_panels(w->x, w->shape, w->shape.d[1], 1, a);
        memory_unused(w->x, tensor_bytes(w));
        w->x = packed;
        w->layout = LAYOUT_PANELS_BF16;
        return;
    }
    const int64_t n = numel(w);
    const size_t mark = arena_mark(a);
    float *x = arena_alloc(a, (size_t)n * sizeof *x);
    tensor_get_f32(w, x, n);
    for (int64_t i = 0; i < n; i++) x[i] = bf16_to_f32(f32_to_bf16(x[i]));
    tensor_set_f32(w, x, n);
    arena_rewind(a, mark);
}

Tensor *tensor_transposed_bf16(const Tensor *x, Arena *a)
{
    tensor_check_frozen(x, "tensor_transposed_bf16");
    const int64_t N = x->shape.d[0], K = x->shape.d[1];
    if (reads_panels(x->dev)) {
        Tensor *w = arena_alloc(a, sizeof *w);
        *w = (Tensor){.shape = SHAPE(K, N), .dev = x->dev, .layout = LAYOUT_PANELS_BF16, .name = x->name};
        w->x = bf16_panels(x->x, w->shape, 1, K, a);
        return w;
    }
    const bool columns = x->dev->bf16_columns;
    Tensor *w = columns ? tensor_new_columns(a, x->dev, SHAPE(K, N), x->name)
                        : tensor_new(a, x->dev, REAL, SHAPE(K, N), x->name);
    const size_t mark = arena_mark(a);
    float *rows = arena_alloc(a, (size_t)(2 * N * K) * sizeof *rows), *transposed = rows + N * K;
    tensor_get_f32(x, rows, N * K);
    if (columns) {
        columns_put(w, (ColumnValues){.x = rows, .rk = 1, .rn = K});
        arena_rewind(a, mark);
        return w;
    }
    for (int64_t n = 0; n < N; n++)
        for (int64_t k = 0; k < K; k++) transposed[k * N + n] = bf16_to_f32(f32_to_bf16(rows[n * K + k]));
    tensor_set_f32(w, transposed, N * K);
    arena_rewind(a, mark);
    return w;
}
