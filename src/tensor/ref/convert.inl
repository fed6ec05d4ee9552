// convert: between the quantities a diffusion model predicts (E7).   a, b [N,..], ab [N] (no gradient) -> y like a
//   y = p a + q b; ConvertParams.kind gives (p, q), with s = sqrt(ab), e = sqrt(1 - ab):
//     V_FROM_X0_EPS (-e, s)      X0_FROM_XT_V (s, -e)         EPS_FROM_XT_V (e, s)
//     X0_FROM_XT_EPS (1/s, -e/s)   EPS_FROM_XT_X0 (1/e, -s/e)
//   da += p dy     db += q dy
#include "tensor/ref.h"

static void factors(ConvertKind kind, real ab, real *p, real *q)
{
    const real s = R(sqrt)(ab), e = R(sqrt)(1 - ab);
    *p = *q = 0;
    switch (kind) {
    case V_FROM_X0_EPS:  *p = -e;    *q = s;      break;
    case X0_FROM_XT_V:   *p = s;     *q = -e;     break;
    case EPS_FROM_XT_V:  *p = e;     *q = s;      break;
    case X0_FROM_XT_EPS: *p = 1 / s; *q = -e / s; break;
    case EPS_FROM_XT_X0: *p = 1 / e; *q = -s / e; break;
    }
}

KERNEL(convert, fwd)
{
    const ConvertKind kind = ((const ConvertParams *)c->p)->kind;
    const real *a = in_x(c, 0), *b = in_x(c, 1), *ab = in_x(c, 2);
    real *y = out_x(c, 0);
    const int64_t N = numel(c->in[2]), R = N ? numel(c->in[0]) / N : 0;
    for (int64_t n = 0; n < N; n++) {
        real p, q;
        factors(kind, ab[n], &p, &q);
        for (int64_t i = n * R; i < (n + 1) * R; i++) y[i] = p * a[i] + q * b[i];
    }
}

KERNEL(convert, bwd)
{
    const ConvertKind kind = ((const ConvertParams *)c->p)->kind;
    const real *ab = in_x(c, 2), *dy = out_g(c, 0);
    real *da = in_g(c, 0), *db = in_g(c, 1);
    const int64_t N = numel(c->in[2]), R = N ? numel(c->in[0]) / N : 0;
    for (int64_t n = 0; n < N; n++) {
        real p, q;
        factors(kind, ab[n], &p, &q);
        for (int64_t i = n * R; i < (n + 1) * R; i++) {
            if (da) da[i] += p * dy[i];
            if (db) db[i] += q * dy[i];
        }
    }
}
