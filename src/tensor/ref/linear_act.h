// What linear_gelu and linear_silu share: y = act(h), h = x w + b.
//   x [..,K], w [K,N], b [N] or NULL -> y [..,N], h [..,N] (for backward)
//   dh = dy act'(h), then linear's backward
#ifndef LEAD_TENSOR_REF_LINEAR_ACT_H
#define LEAD_TENSOR_REF_LINEAR_ACT_H

#include "tensor/ref/act.h"

static void linear_act(const OpCall *c, real (*act)(real))
{
    OpCall lin = *c;
    lin.op = OP_linear;
    lin.n_out = 1;
    lin.out[0] = c->out[1];
    SYMBOL(linear, fwd)(&lin);
    const real *h = out_x(c, 1);
    real *y = out_x(c, 0);
    const int64_t n = numel(c->out[0]);
#pragma omp parallel for if (n > PAR_MIN)
    for (int64_t i = 0; i < n; i++) y[i] = act(h[i]);
}

static void linear_act_back(const OpCall *c, real (*slope)(real))
{
    const real *h = out_x(c, 1), *dy = out_g(c, 0);
    const int64_t n = numel(c->out[0]);
    real *dh = arena_alloc(c->scratch, (size_t)n * sizeof *dh);
#pragma omp parallel for if (n > PAR_MIN)
    for (int64_t i = 0; i < n; i++) dh[i] = dy[i] * slope(h[i]);
    Tensor pre = *c->out[1];
    pre.g = dh;
    OpCall lin = *c;
    lin.op = OP_linear;
    lin.n_out = 1;
    lin.out[0] = &pre;
    SYMBOL(linear, bwd)(&lin);
}

#endif
