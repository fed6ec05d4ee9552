// selective_scan: the state space of Mamba (Gu and Dao 2023, arXiv 2312.00752), N states for each channel:
//   h_t = exp(Delta_t A) h_{t-1} + Delta_t B_t x_t,  h_{-1} = 0      y_t = sum_n C_t h_t + D x_t
//   x, Delta [S,T,W] of S sequences, A [W,N], B, C [S,T,N], D [W] -> y like x;   h is [S,T,W,N]
// backward, with u_t = exp(Delta_t A) h_{t-1} and g_t = dL/dh_t = C_t dy_t + exp(Delta_{t+1} A) g_{t+1}:
//   dx += Delta sum_n g B + D dy      dDelta += sum_n g (A u + B x)      dA += sum_{s,t} g Delta u
//   dB += sum_w g Delta x             dC += sum_w h dy                   dD += sum_{s,t} x dy
#include "tensor/ref.h"

KERNEL(selective_scan, fwd)
{
    const real *x = in_x(c, 0), *delta = in_x(c, 1), *A = in_x(c, 2), *B = in_x(c, 3), *C = in_x(c, 4), *D = in_x(c, 5);
    real *y = out_x(c, 0);
    const int64_t *d = c->in[0]->shape.d, T = d[1], W = d[2], N = c->in[2]->shape.d[1];
#pragma omp parallel for if (d[0] * T * W * N > PAR_MIN)
    for (int64_t i = 0; i < d[0] * W; i++) {            // a channel of a sequence
        const int64_t w = i % W, first = i / W * T;
        for (int64_t r = first; r < first + T; r++) y[r * W + w] = D[w] * x[r * W + w];
        for (int64_t n = 0; n < N; n++) {
            real h = 0;
            for (int64_t r = first; r < first + T; r++) {
                const real step = delta[r * W + w];
                h = R(exp)(step * A[w * N + n]) * h + step * B[r * N + n] * x[r * W + w];
                y[r * W + w] += C[r * N + n] * h;
            }
        }
    }
}

// h, u and g of every state.
static void states(const OpCall *c, real *h, real *u, real *g)
{
    const real *x = in_x(c, 0), *delta = in_x(c, 1), *A = in_x(c, 2), *B = in_x(c, 3), *C = in_x(c, 4);
    const real *dy = out_g(c, 0);
    const int64_t *d = c->in[0]->shape.d, T = d[1], W = d[2], N = c->in[2]->shape.d[1];
#pragma omp parallel for if (d[0] * T * W * N > PAR_MIN)
    for (int64_t i = 0; i < d[0] * W * N; i++) {        // a state of a sequence
        const int64_t q = i % (W * N), w = q / N, n = q % N, first = i / (W * N) * T;
        real state = 0, after = 0;
        for (int64_t r = first; r < first + T; r++) {
            u[r * W * N + q] = R(exp)(delta[r * W + w] * A[q]) * state;
            state = u[r * W * N + q] + delta[r * W + w] * B[r * N + n] * x[r * W + w];
            h[r * W * N + q] = state;
        }
        for (int64_t r = first + T - 1; r >= first; r--) {
            g[r * W * N + q] = C[r * N + n] * dy[r * W + w] + after;
            after = R(exp)(delta[r * W + w] * A[q]) * g[r * W * N + q];
        }
    }
}

KERNEL(selective_scan, bwd)
{
    const real *x = in_x(c, 0), *delta = in_x(c, 1), *A = in_x(c, 2), *B = in_x(c, 3), *D = in_x(c, 5);
    const real *dy = out_g(c, 0);
    real *dx = in_g(c, 0), *ddelta = in_g(c, 1), *dA = in_g(c, 2), *dB = in_g(c, 3), *dC = in_g(c, 4), *dD = in_g(c, 5);
    const int64_t *d = c->in[0]->shape.d, rows = d[0] * d[1], W = d[2], N = c->in[2]->shape.d[1];
    const size_t size = (size_t)(rows * W * N) * sizeof(real);
    real *h = arena_alloc(c->scratch, size), *u = arena_alloc(c->scratch, size), *g = arena_alloc(c->scratch, size);
    states(c, h, u, g);
    for (int64_t i = 0; i < rows * W; i++) {
        const int64_t r = i / W, w = i % W;
        for (int64_t n = 0; dx && n < N; n++) dx[i] += delta[i] * g[i * N + n] * B[r * N + n];
        if (dx) dx[i] += D[w] * dy[i];
        for (int64_t n = 0; ddelta && n < N; n++)
            ddelta[i] += g[i * N + n] * (A[w * N + n] * u[i * N + n] + B[r * N + n] * x[i]);
        for (int64_t n = 0; dA && n < N; n++) dA[w * N + n] += g[i * N + n] * delta[i] * u[i * N + n];
        for (int64_t n = 0; dB && n < N; n++) dB[r * N + n] += g[i * N + n] * delta[i] * x[i];
        for (int64_t n = 0; dC && n < N; n++) dC[r * N + n] += h[i * N + n] * dy[i];
        if (dD) dD[w] += x[i] * dy[i];
    }
}
