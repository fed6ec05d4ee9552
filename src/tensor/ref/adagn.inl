// adagn: group normalisation whose affine part comes from the condition (E6; Dhariwal, Nichol 2021).
//   x [N,S..,C], s [N,2C]: gamma = s[n,0:C], beta = s[n,C:2C] -> y like x, mean [N,groups], rstd [N,groups]
//   y = (1 + gamma) xhat + beta, or silu of it.   Formulas, backward and numerics: modulate.h.
#include "tensor/ref/modulate.h"

KERNEL(adagn, fwd)
{
    const Affine a = affine_of_sample(c);
    group_fwd(c, &a);
}

KERNEL(adagn, bwd)
{
    const Affine a = affine_of_sample(c);
    real *ds = in_g(c, 1);
    if (in_g(c, 0)) group_bwd_x(c, &a, in_g(c, 0));
    if (ds) group_bwd_affine(c, &a, ds, ds + shape_last(c->in[0]->shape));
}
