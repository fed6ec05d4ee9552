// linear_gelu: y = gelu_tanh(h), h = x w + b.   x [..,K], w [K,N], b [N] or NULL -> y [..,N], h [..,N] (for backward)
//   dh = dy gelu_tanh'(h), then linear's backward
#include "tensor/ref/act.h"

KERNEL(linear_gelu, fwd)
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
    for (int64_t i = 0; i < n; i++) y[i] = act_gelu_tanh(h[i]);
}

KERNEL(linear_gelu, bwd)
{
    const real *h = out_x(c, 1), *dy = out_g(c, 0);
    const int64_t n = numel(c->out[0]);
    real *dh = arena_alloc(c->scratch, (size_t)n * sizeof *dh);
#pragma omp parallel for if (n > PAR_MIN)
    for (int64_t i = 0; i < n; i++) dh[i] = dy[i] * act_gelu_tanh_grad(h[i]);
    Tensor pre = *c->out[1];
    pre.g = dh;
    OpCall lin = *c;
    lin.op = OP_linear;
    lin.n_out = 1;
    lin.out[0] = &pre;
    SYMBOL(linear, bwd)(&lin);
}
