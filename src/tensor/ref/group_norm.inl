// group_norm: x [N,S..,C], gamma [C], beta [C], groups, silu, eps -> y like x, mean [N,groups], rstd [N,groups]
//   y = gamma xhat + beta, or silu of it.   Formulas, backward and numerics: modulate.h.
#include "tensor/ref/modulate.h"

static Affine shared(const OpCall *c) { return (Affine){.gamma = in_x(c, 1), .beta = in_x(c, 2), .one = 0, .step = 0}; }

KERNEL(group_norm, fwd)
{
    const Affine a = shared(c);
    group_fwd(c, &a);
}

KERNEL(group_norm, bwd)
{
    const Affine a = shared(c);
    if (in_g(c, 0)) group_bwd_x(c, &a, in_g(c, 0));
    group_bwd_affine(c, &a, in_g(c, 1), in_g(c, 2));
}
