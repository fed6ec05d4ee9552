// conv2d_multi: convolutions of one image with n windows, side by side: the multi-scale stem of an encoder (E3).
//   x [N,H,W,C];  w_m [k_m,k_m,C,O_m], b_m [O_m] or NULL for 1 <= m <= n: inputs 2m-1 and 2m.  k_m odd, none smaller
//   than the one before; stride 1, p_m = (k_m - 1) / 2 zeros on all four sides
//   -> y [N,H,W,O], O = O_1 + .. + O_n: the outputs of branch m stand at o_m = O_1 + .. + O_(m-1)
//   y[n,i,j,o_m+o] = b_m[o] + sum_{a,e,c} x[n, i + a - p_m, j + e - p_m, c] w_m[a,e,c,o]      (x = 0 outside the image)
//   dx[n,h,v,c]  += sum_{m,a,e,o} dy[n, h - a + p_m, v - e + p_m, o_m+o] w_m[a,e,c,o]
//   dw_m[a,e,c,o] += sum_{n,i,j} x[n, i + a - p_m, j + e - p_m, c] dy[n,i,j,o_m+o]
//   db_m[o] += sum_{n,i,j} dy[n,i,j,o_m+o]
#include "tensor/ref.h"

typedef struct { int64_t N, H, W, C, O; } Dims;
typedef struct { int m; int64_t first, O, k, p; } Branch;

static Dims dims(const OpCall *c)
{
    const int64_t *x = c->in[0]->shape.d;
    return (Dims){.N = x[0], .H = x[1], .W = x[2], .C = x[3], .O = c->out[0]->shape.d[3]};
}

// The branch after b; the one after {0} is the first.
static Branch next(const OpCall *c, Branch b)
{
    const int64_t *w = c->in[2 * b.m + 1]->shape.d;
    return (Branch){.m = b.m + 1, .first = b.first + b.O, .O = w[3], .k = w[0], .p = w[0] / 2};
}

// Where the values of pixel (i,j) of image n under tap (a,e) stand, or -1 outside the image.
static int64_t under(const Dims *d, const Branch *b, int64_t row, int64_t j, int64_t a, int64_t e)
{
    const int64_t h = row % d->H + a - b->p, v = j + e - b->p;
    return h < 0 || h >= d->H || v < 0 || v >= d->W ? -1 : ((row + a - b->p) * d->W + v) * d->C;
}

static void forward(const Dims *d, const Branch *b, const real *x, const real *w, const real *bias, real *y)
{
#pragma omp parallel for if (d->N * d->H * d->W * b->k * b->k * d->C * b->O > PAR_MIN)
    for (int64_t row = 0; row < d->N * d->H; row++)
        for (int64_t j = 0; j < d->W; j++) {
            real *yo = y + (row * d->W + j) * d->O + b->first;
            for (int64_t o = 0; o < b->O; o++) yo[o] = bias ? bias[o] : 0;
            for (int64_t tap = 0; tap < b->k * b->k; tap++) {
                const int64_t at = under(d, b, row, j, tap / b->k, tap % b->k);
                for (int64_t k = 0; at >= 0 && k < d->C; k++)
                    for (int64_t o = 0; o < b->O; o++) yo[o] += x[at + k] * w[(tap * d->C + k) * b->O + o];
            }
        }
}

// Images share no dx.
static void backward_x(const Dims *d, const Branch *b, const real *w, const real *dy, real *dx)
{
#pragma omp parallel for if (d->N * d->H * d->W * b->k * b->k * d->C * b->O > PAR_MIN)
    for (int64_t n = 0; n < d->N; n++)
        for (int64_t pixel = 0; pixel < d->H * d->W; pixel++) {
            const int64_t row = n * d->H + pixel / d->W, j = pixel % d->W;
            const real *dyo = dy + (row * d->W + j) * d->O + b->first;
            for (int64_t tap = 0; tap < b->k * b->k; tap++) {
                const int64_t at = under(d, b, row, j, tap / b->k, tap % b->k);
                for (int64_t k = 0; at >= 0 && k < d->C; k++) {
                    real sum = 0;
                    for (int64_t o = 0; o < b->O; o++) sum += dyo[o] * w[(tap * d->C + k) * b->O + o];
                    dx[at + k] += sum;
                }
            }
        }
}

static void backward_w(const Dims *d, const Branch *b, const real *x, const real *dy, real *dw)
{
#pragma omp parallel for if (d->N * d->H * d->W * b->k * b->k * d->C * b->O > PAR_MIN)
    for (int64_t tap = 0; tap < b->k * b->k; tap++)   // which belongs to one thread
        for (int64_t row = 0; row < d->N * d->H; row++)
            for (int64_t j = 0; j < d->W; j++) {
                const real *dyo = dy + (row * d->W + j) * d->O + b->first;
                const int64_t at = under(d, b, row, j, tap / b->k, tap % b->k);
                for (int64_t k = 0; at >= 0 && k < d->C; k++)
                    for (int64_t o = 0; o < b->O; o++) dw[(tap * d->C + k) * b->O + o] += x[at + k] * dyo[o];
            }
}

KERNEL(conv2d_multi, fwd)
{
    const Dims d = dims(c);
    Branch b = {0};
    while (2 * b.m + 1 < c->n_in) {
        b = next(c, b);
        forward(&d, &b, in_x(c, 0), in_x(c, 2 * b.m - 1), in_x(c, 2 * b.m), out_x(c, 0));
    }
}

KERNEL(conv2d_multi, bwd)
{
    const Dims d = dims(c);
    const real *dy = out_g(c, 0);
    Branch b = {0};
    while (2 * b.m + 1 < c->n_in) {
        b = next(c, b);
        real *dx = in_g(c, 0), *dw = in_g(c, 2 * b.m - 1), *db = in_g(c, 2 * b.m);
        if (dx) backward_x(&d, &b, in_x(c, 2 * b.m - 1), dy, dx);
        if (dw) backward_w(&d, &b, in_x(c, 0), dy, dw);
        if (db)
            for (int64_t r = 0; r < d.N * d.H * d.W; r++)
                for (int64_t o = 0; o < b.O; o++) db[o] += dy[r * d.O + b.first + o];
    }
}
