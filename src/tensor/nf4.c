#include "tensor/nf4.h"

#include <math.h>
#include <string.h>

#include "tensor/device.h"

static const float values[16] = NF4_VALUES;

// What is quantised together.
typedef struct Group {
    Nf4Block block[NF4_GROUP];
    Nf4Range range;
} Group;

// Where group g of panel p lies in a matrix [K,N]: blocks b0.., columns n0...
typedef struct Place { int64_t p, b0, blocks, n0, columns, K; } Place;

static Place place_of(Shape s, int64_t p, int64_t g)
{
    const int64_t left = nf4_blocks(s.d[0]) - g * NF4_GROUP, columns = s.d[1] - p * PANEL;
    return (Place){p, g * NF4_GROUP, left < NF4_GROUP ? left : NF4_GROUP, p * PANEL, columns < PANEL ? columns : PANEL,
                   s.d[0]};
}

static int64_t panels_of(Shape s) { return (s.d[1] + PANEL - 1) / PANEL; }
static int64_t groups_of(Shape s) { return (nf4_blocks(s.d[0]) + NF4_GROUP - 1) / NF4_GROUP; }

static int64_t rows_of(const Place *at, int64_t b)
{
    const int64_t left = at->K - (at->b0 + b) * NF4_BLOCK;
    return left < NF4_BLOCK ? left : NF4_BLOCK;
}

static float value_at(ColumnValues v, int64_t k, int64_t n)
{
    const int64_t i = k * v.rk + n * v.rn;
    return v.wide ? (float)((const double *)v.x)[i] : ((const float *)v.x)[i];
}

static float scale_of(const Nf4Range *r, int q) { return fmaf((float)q, r->step, r->least); }

static float largest(ColumnValues v, int64_t k0, int64_t rows, int64_t n)
{
    float most = 0;
    for (int64_t k = k0; k < k0 + rows; k++) {
        const float a = fabsf(value_at(v, k, n));
        if (!(a <= most)) most = a;
        if (!isfinite(a)) return NAN;
    }
    return most;
}

// 255 steps reach from the least to the largest of the scales.
static Nf4Range range_of(const float *scale, const Place *at)
{
    float least = scale[0], most = scale[0];
    for (int64_t i = 0; i < at->blocks * PANEL; i++) {
        if (i % PANEL >= at->columns) continue;
        if (!isfinite(scale[i])) return (Nf4Range){NAN, 0};
        if (scale[i] < least) least = scale[i];
        if (scale[i] > most) most = scale[i];
    }
    Nf4Range r = {least, (most - least) / 255};
    while (scale_of(&r, 255) < most) r.step = nextafterf(r.step, INFINITY);
    return r;
}

// The least q whose scale is not below s.
static int scale_code(const Nf4Range *r, float s)
{
    int q = r->step > 0 ? (int)((s - r->least) / r->step) : 0;
    q = q > 255 ? 255 : q;
    while (q > 0 && scale_of(r, q - 1) >= s) q--;
    while (q < 255 && scale_of(r, q) < s) q++;
    return q;
}

// The nearest value of the code book.
static int value_code(float x, float scale)
{
    int low = 0;
    for (int half = 8; half; half /= 2)   // low: the last value whose lower border is not above x
        if (x > (values[low + half - 1] + values[low + half]) * 0.5f * scale) low += half;
    return low;
}

static void quantise(Group *g, ColumnValues v, const Place *at)
{
    float scale[NF4_GROUP * PANEL] = {0};
    for (int64_t b = 0; b < at->blocks; b++)
        for (int64_t n = 0; n < at->columns; n++)
            scale[b * PANEL + n] = largest(v, (at->b0 + b) * NF4_BLOCK, rows_of(at, b), at->n0 + n);
    g->range = range_of(scale, at);
    for (int64_t b = 0; b < at->blocks; b++) {
        Nf4Block *block = &g->block[b];
        memset(block->scale, 0, sizeof block->scale);
        memset(block->code, NF4_ZERO | NF4_ZERO << 4, sizeof block->code);
        if (isnan(g->range.least)) continue;
        for (int64_t n = 0; n < at->columns; n++) {
            block->scale[n] = (uint8_t)scale_code(&g->range, scale[b * PANEL + n]);
            const float s = scale_of(&g->range, block->scale[n]);
            for (int64_t k = 0; k < rows_of(at, b); k++) {
                const int code = value_code(value_at(v, (at->b0 + b) * NF4_BLOCK + k, at->n0 + n), s);
                uint8_t *pair = &block->code[k / 2][n];
                *pair = (uint8_t)(k % 2 ? (*pair & 15) | code << 4 : (*pair & 240) | code);
            }
        }
    }
}

static void restore(const Group *g, ColumnValues to, const Place *at)
{
    for (int64_t b = 0; b < at->blocks; b++)
        for (int64_t k = 0; k < rows_of(at, b); k++)
            for (int64_t n = 0; n < at->columns; n++) {
                const int code = g->block[b].code[k / 2][n] >> (k % 2 ? 4 : 0) & 15;
                const float x = values[code] * scale_of(&g->range, g->block[b].scale[n]);
                const int64_t i = ((at->b0 + b) * NF4_BLOCK + k) * to.rk + (at->n0 + n) * to.rn;
                if (to.wide) ((double *)to.x)[i] = (double)x;
                else ((float *)to.x)[i] = x;
            }
}

void nf4_put(Tensor *w, ColumnValues from)
{
    const int64_t groups = groups_of(w->shape);
#pragma omp parallel for if (!w->dev->memory)
    for (int64_t i = 0; i < panels_of(w->shape) * groups; i++) {
        const Place at = place_of(w->shape, i / groups, i % groups);
        Group g;
        quantise(&g, from, &at);
        device_put(w->dev, (void *)(uintptr_t)nf4_block(w->x, at.K, at.p, at.b0), g.block,
                   (size_t)at.blocks * sizeof *g.block);
        device_put(w->dev, (void *)(uintptr_t)nf4_range(w->x, at.K, at.p, at.b0), &g.range, sizeof g.range);
    }
}

void nf4_get(const Tensor *w, ColumnValues to)
{
    const int64_t groups = groups_of(w->shape);
    for (int64_t i = 0; i < panels_of(w->shape) * groups; i++) {
        const Place at = place_of(w->shape, i / groups, i % groups);
        Group g;
        device_get(w->dev, g.block, nf4_block(w->x, at.K, at.p, at.b0), (size_t)at.blocks * sizeof *g.block);
        device_get(w->dev, &g.range, nf4_range(w->x, at.K, at.p, at.b0), sizeof g.range);
        restore(&g, to, &at);
    }
}

bool nf4_read_by(const Device *dev)
{
    return dev->nf4 || (!dev->memory && dev->real_size == sizeof(float) && dev->isa >= ISA_AVX2);
}

Tensor *tensor_new_nf4(Arena *a, const Device *dev, Shape shape, const char *name)
{
    CHECK(shape.n == 2 && nf4_read_by(dev), "tensor_new_nf4: %s: %s has no such matrices", name, dev->name);
    Tensor *w = arena_alloc(a, sizeof *w);
    *w = (Tensor){.shape = shape, .dev = dev, .layout = LAYOUT_NF4, .name = name};
    w->x = device_alloc(dev, a, nf4_bytes(shape));
    return w;
}

void tensor_pack_nf4(Tensor *w, Arena *a)
{
    if (w->layout == LAYOUT_NF4) return;
    tensor_check_frozen(w, "tensor_pack_nf4");
    const bool reads = nf4_read_by(w->dev);
    void *old = w->x, *packed = reads ? device_alloc(w->dev, a, nf4_bytes(w->shape)) : NULL;
    const size_t bytes = tensor_bytes(w), mark = arena_mark(a);
    const bool here = !w->dev->memory && w->dev->real_size == sizeof(float);
    const int64_t n = numel(w), groups = groups_of(w->shape);
    float *x = here ? old : arena_alloc(a, (size_t)n * sizeof *x);
    const ColumnValues rows = {.x = x, .rk = w->shape.d[1], .rn = 1};
    if (!here) tensor_get_f32(w, x, n);
    if (reads) {
        w->x = packed;
        w->layout = LAYOUT_NF4;
        nf4_put(w, rows);
        if (here) memory_unused(old, bytes);
    } else {
        for (int64_t i = 0; i < panels_of(w->shape) * groups; i++) {
            const Place at = place_of(w->shape, i / groups, i % groups);
            Group g;
            quantise(&g, rows, &at);
            restore(&g, rows, &at);
        }
        if (!here) tensor_set_f32(w, x, n);
    }
    arena_rewind(a, mark);
}
