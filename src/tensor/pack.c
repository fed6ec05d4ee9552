#include "tensor/pack.h"

#include <string.h>

#include "tensor/device.h"

void tensor_pack(Tensor *w, Arena *a)
{
    CHECK(w->dtype == REAL && w->shape.n == 2 && !w->needs_grad && !w->g && !w->view_of && w->layout == LAYOUT_ROWS,
          "tensor_pack: %s is no frozen matrix in rows", w->name ? w->name : "?");
    const int64_t K = w->shape.d[0], N = w->shape.d[1];
    const Device *d = w->dev;
    if (d->memory || d->real_size != sizeof(float) || d->isa < ISA_AVX2 || N % PANEL) return;
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
