// randn: normals at an address (tensor/philox.h), the same bits as on the CPU: this file is compiled with -fmad=false.
// One Philox quad (about 100 integer and 120 float operations) gives four normals, written as 16 bytes: bound by
// arithmetic.  Expected: 132 SMs x 128 lanes x 1.7 GHz / 60 operations a value = 480 G normals/s, 0.4 of the store rate.
#include "kernel.h"
#include "tensor/philox.h"

static __global__ void randn_kernel(RandnParams p, const uint32_t *clock, int64_t rows, int64_t len, float *y)
{
    const int64_t quads = (len + 3) / 4, job = (int64_t)blockIdx.x * MAP_BLOCK + threadIdx.x;
    if (job >= rows * quads) return;
    const int64_t r = quotient(job, quads), q = job - r * quads;
    const uint64_t sub = philox_subsequence(p.at.site, p.at.step + clock_value(clock));
    const Philox4 d = philox_quad(p.at.seed, sub, p.at.offset / 4 + (uint64_t)((p.row0 + r) * quads + q));
    Pack<4> n;
    philox_normal2(d.v[0], d.v[1], &n.v[0], &n.v[1]);
    philox_normal2(d.v[2], d.v[3], &n.v[2], &n.v[3]);
    float *to = y + r * len + 4 * q;
    if (4 * q + 4 <= len && ((uintptr_t)to & 15) == 0) {
        store<4>(to, n);
    } else {
#pragma unroll
        for (int i = 0; i < 4; i++)
            if (4 * q + i < len) to[i] = n.v[i];
    }
}

CUDA_KERNEL(randn, fwd)
{
    const Shape s = c->out[0]->shape;
    const int64_t rows = s.n ? s.d[0] : 1, len = rows ? numel(c->out[0]) / rows : 0;
    launch(c, randn_kernel, grid_of(rows * div_up(len, 4), MAP_BLOCK), MAP_BLOCK, 0, *params<RandnParams>(c), clock_of(c, 0),
           rows, len, out_x(c, 0));
}
