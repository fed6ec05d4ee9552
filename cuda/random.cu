// randn, diffuse, dropout: draws at an address (tensor/philox.h), the same bits as on the CPU: this file is compiled
// with -fmad=false.  Normals: one Philox quad (about 100 integer and 120 float operations) gives four, written as 16
// bytes: bound by arithmetic.  Expected: 132 SMs x 128 lanes x 1.7 GHz / 60 operations a value = 480 G normals/s, 0.4
// of the store rate.  dropout: a map (kernel.h), bound by memory.
#include "kernel.h"
#include "tensor/philox.h"

static __global__ void randn_kernel(RandnParams p, const uint32_t *clock, const uint32_t *row, int64_t rows,
                                    int64_t len, float *y)
{
    const int64_t quads = (len + 3) / 4, job = (int64_t)blockIdx.x * MAP_BLOCK + threadIdx.x;
    if (job >= rows * quads) return;
    const int64_t r = quotient(job, quads), q = job - r * quads;
    const uint64_t sub = philox_subsequence(p.at.site, p.at.step + clock_value(clock));
    const uint64_t from = row ? __ldg(row + 2 * r) | (uint64_t)__ldg(row + 2 * r + 1) << 32 : (uint64_t)(p.row0 + r);
    const Philox4 d = philox_quad(p.at.seed, sub, p.at.offset / 4 + from * (uint64_t)quads + (uint64_t)q);
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
    launch(c, randn_kernel, grid_of(rows * div_up(len, 4), MAP_BLOCK), MAP_BLOCK, 0, *params<RandnParams>(c),
           clock_of(c, 0), clock_of(c, 1), rows, len, out_x(c, 0));
}

// diffuse (E7): noise, x_t and what is to be predicted.  A quad a thread.  Beside randn, q_sample and convert it saves
// two launches and, of 5 values a pixel written and 6 read, all but 2 written and 1 read: the noise stays in registers.
static __global__ void diffuse_kernel(RandomAddress at, DiffuseTarget kind, const uint32_t *clock, int64_t rows,
                                      int64_t len, const float *x0, const float *ab, float *xt, float *target)
{
    const int64_t quads = (len + 3) / 4, job = (int64_t)blockIdx.x * MAP_BLOCK + threadIdx.x;
    if (job >= rows * quads) return;
    const int64_t r = quotient(job, quads), first = (job - r * quads) * 4;
    const uint64_t sub = philox_subsequence(at.site, at.step + clock_value(clock));
    const Philox4 d = philox_quad(at.seed, sub, at.offset / 4 + (uint64_t)job);
    const float s = sqrtf(ab[r]), e = sqrtf(1 - ab[r]);
    Pack<4> n, x = {}, y, z;
    philox_normal2(d.v[0], d.v[1], &n.v[0], &n.v[1]);
    philox_normal2(d.v[2], d.v[3], &n.v[2], &n.v[3]);
    const int64_t i = r * len + first;
    const bool wide = first + 4 <= len && ((((uintptr_t)(x0 + i) | (uintptr_t)(xt + i)) & 15) == 0) &&
                      (!target || ((uintptr_t)(target + i) & 15) == 0);
    if (wide) x = load<4>(x0 + i);
#pragma unroll
    for (int j = 0; j < 4; j++) {
        if (!wide && first + j < len) x.v[j] = x0[i + j];
        y.v[j] = s * x.v[j] + e * n.v[j];
        z.v[j] = kind == DIFFUSE_V ? s * n.v[j] - e * x.v[j] : n.v[j];
    }
    if (wide) {
        store<4>(xt + i, y);
        if (target) store<4>(target + i, z);
        return;
    }
#pragma unroll
    for (int j = 0; j < 4; j++)
        if (first + j < len) {
            xt[i + j] = y.v[j];
            if (target) target[i + j] = z.v[j];
        }
}

CUDA_KERNEL(diffuse, fwd)
{
    const DiffuseParams *p = params<DiffuseParams>(c);
    const int64_t rows = numel(c->in[1]), len = rows ? numel(c->in[0]) / rows : 0;
    launch(c, diffuse_kernel, grid_of(rows * div_up(len, 4), MAP_BLOCK), MAP_BLOCK, 0, p->at, p->target,
           clock_of(c, 2), rows, len, in_x(c, 0), in_x(c, 1), out_x(c, 0), c->n_out > 1 ? out_x(c, 1) : NULL);
}

// dropout: one Philox quad for each four draws; the wide kernel wants offset % 4 = 0, so that a pack is one quad

struct Dropout {
    const float *x;
    DropoutParams p;
    const uint32_t *clock;
    float factor;
    template <int W> __device__ Pack<W> at(int64_t i) const
    {
        const uint64_t sub = philox_subsequence(p.at.site, p.at.step + clock_value(clock)),
                       draw = p.at.offset + (uint64_t)i;
        const Philox4 d = philox_quad(p.at.seed, sub, draw / 4);
        Pack<W> r = load<W>(x + i);
#pragma unroll
        for (int k = 0; k < W; k++) {
            const uint32_t which = W == 4 ? (uint32_t)k : (uint32_t)(draw % 4);
            const uint32_t bits = which == 0 ? d.v[0] : which == 1 ? d.v[1] : which == 2 ? d.v[2] : d.v[3];
            r.v[k] *= (double)philox_unit(bits) >= p.p ? factor : 0.0f;
        }
        return r;
    }
};

static Dropout dropout_of(const OpCall *c, const float *x)
{
    const DropoutParams *p = params<DropoutParams>(c);
    return Dropout{x, *p, clock_of(c, 1), (float)(1 / (1 - p->p))};
}

static bool wide_dropout(const Dropout &f) { return aligned16(f.x) && f.p.at.offset % 4 == 0; }

CUDA_KERNEL(dropout, fwd)
{
    const Dropout f = dropout_of(c, in_x(c, 0));
    map<false>(c, numel(c->in[0]), out_x(c, 0), f, wide_dropout(f));
}

CUDA_KERNEL(dropout, bwd)
{
    const Dropout f = dropout_of(c, out_g(c, 0));
    if (in_g(c, 0)) map<true>(c, numel(c->in[0]), in_g(c, 0), f, wide_dropout(f));
}
