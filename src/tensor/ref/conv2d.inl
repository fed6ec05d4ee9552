// conv2d: cross-correlation.   x [N,H,W,C], w [KH,KW,C,O], b [O] or NULL, stride s, pad p (zeros, all four sides)
//   -> y [N,Ho,Wo,O],  Ho = (H + 2p - KH) / s + 1,  Wo alike
//   y[n,i,j,o] = b[o] + sum_{a,e,c} x[n, i s + a - p, j s + e - p, c] w[a,e,c,o]      (x = 0 outside the image)
//   dx[n,h,v,c]  += sum_{a,e,o} dy[n,i,j,o] w[a,e,c,o]   over the (i,j) with i s + a - p = h, j s + e - p = v
//   dw[a,e,c,o]  += sum_{n,i,j} x[n, i s + a - p, j s + e - p, c] dy[n,i,j,o]         db[o] += sum_{n,i,j} dy[n,i,j,o]
#include "tensor/ref.h"

typedef struct { int64_t N, H, W, C, KH, KW, O, Ho, Wo, s, p; } Dims;

static Dims dims(const OpCall *c)
{
    const int64_t *x = c->in[0]->shape.d, *w = c->in[1]->shape.d, *y = c->out[0]->shape.d;
    const Conv2dParams *p = c->p;
    return (Dims){.N = x[0], .H = x[1], .W = x[2], .C = x[3], .KH = w[0], .KW = w[1], .O = w[3],
                  .Ho = y[1], .Wo = y[2], .s = p->stride, .p = p->pad};
}

static int64_t flops(const Dims *d) { return d->N * d->Ho * d->Wo * d->KH * d->KW * d->C * d->O; }

KERNEL(conv2d, fwd)
{
    const real *x = in_x(c, 0), *w = in_x(c, 1), *b = in_x(c, 2);
    real *y = out_x(c, 0);
    const Dims d = dims(c);
#pragma omp parallel for if (flops(&d) > PAR_MIN)
    for (int64_t row = 0; row < d.N * d.Ho; row++) {
        const int64_t n = row / d.Ho, i = row % d.Ho;
        for (int64_t j = 0; j < d.Wo; j++) {
            real *yo = y + (row * d.Wo + j) * d.O;
            for (int64_t o = 0; o < d.O; o++) yo[o] = b ? b[o] : 0;
            for (int64_t a = 0; a < d.KH; a++)
                for (int64_t e = 0; e < d.KW; e++) {
                    const int64_t h = i * d.s + a - d.p, v = j * d.s + e - d.p;
                    if (h < 0 || h >= d.H || v < 0 || v >= d.W) continue;
                    const real *xc = x + ((n * d.H + h) * d.W + v) * d.C, *wc = w + (a * d.KW + e) * d.C * d.O;
                    for (int64_t k = 0; k < d.C; k++)
                        for (int64_t o = 0; o < d.O; o++) yo[o] += xc[k] * wc[k * d.O + o];
                }
        }
    }
}

// The output index i with i s + a - p = h, or -1 when there is none.
static int64_t output_at(int64_t h, int64_t a, int64_t p, int64_t s, int64_t out)
{
    const int64_t t = h + p - a;
    return t >= 0 && t % s == 0 && t / s < out ? t / s : -1;
}

static void backward_x(const Dims d, const real *w, const real *dy, real *dx)
{
#pragma omp parallel for if (flops(&d) > PAR_MIN)
    for (int64_t row = 0; row < d.N * d.H; row++) {
        const int64_t n = row / d.H, h = row % d.H;
        for (int64_t v = 0; v < d.W; v++)
            for (int64_t a = 0; a < d.KH; a++)
                for (int64_t e = 0; e < d.KW; e++) {
                    const int64_t i = output_at(h, a, d.p, d.s, d.Ho), j = output_at(v, e, d.p, d.s, d.Wo);
                    if (i < 0 || j < 0) continue;
                    const real *dyo = dy + ((n * d.Ho + i) * d.Wo + j) * d.O, *wc = w + (a * d.KW + e) * d.C * d.O;
                    for (int64_t k = 0; k < d.C; k++) {
                        real sum = 0;
                        for (int64_t o = 0; o < d.O; o++) sum += dyo[o] * wc[k * d.O + o];
                        dx[(row * d.W + v) * d.C + k] += sum;
                    }
                }
    }
}

static void backward_w(const Dims d, const real *x, const real *dy, real *dw)
{
#pragma omp parallel for if (flops(&d) > PAR_MIN)
    for (int64_t row = 0; row < d.KH * d.KW * d.C; row++) {   // row (a,e,k) of dw belongs to one thread
        const int64_t k = row % d.C, e = row / d.C % d.KW, a = row / d.C / d.KW;
        for (int64_t n = 0; n < d.N; n++)
            for (int64_t i = 0; i < d.Ho; i++)
                for (int64_t j = 0; j < d.Wo; j++) {
                    const int64_t h = i * d.s + a - d.p, v = j * d.s + e - d.p;
                    if (h < 0 || h >= d.H || v < 0 || v >= d.W) continue;
                    const real xk = x[((n * d.H + h) * d.W + v) * d.C + k];
                    const real *dyo = dy + ((n * d.Ho + i) * d.Wo + j) * d.O;
                    for (int64_t o = 0; o < d.O; o++) dw[row * d.O + o] += xk * dyo[o];
                }
    }
}

KERNEL(conv2d, bwd)
{
    const real *dy = out_g(c, 0);
    real *dx = in_g(c, 0), *dw = in_g(c, 1), *db = in_g(c, 2);
    const Dims d = dims(c);
    if (dx) backward_x(d, in_x(c, 1), dy, dx);
    if (dw) backward_w(d, in_x(c, 0), dy, dw);
    if (db)
        for (int64_t r = 0; r < d.N * d.Ho * d.Wo; r++)
            for (int64_t o = 0; o < d.O; o++) db[o] += dy[r * d.O + o];
}
