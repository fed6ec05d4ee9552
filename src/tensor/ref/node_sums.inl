// node_sums: the traffic that each node sends, that each receives, and the total (E7).   x [T,F], F = N N, flow
//   f = N origin + destination -> y [T,2N+1]: sums over destinations, sums over origins, sum of all.  Added in double,
//   in the order of the flows
#include "tensor/ref.h"

KERNEL(node_sums, fwd)
{
    const real *x = in_x(c, 0);
    real *y = out_x(c, 0);
    const int64_t T = c->in[0]->shape.d[0], F = c->in[0]->shape.d[1], N = (c->out[0]->shape.d[1] - 1) / 2;
#pragma omp parallel for if (T * F > PAR_MIN)
    for (int64_t t = 0; t < T; t++) {
        const real *row = x + t * F;
        real *sums = y + t * (2 * N + 1);
        double all = 0;
        for (int64_t f = 0; f < F; f++) all += (double)row[f];
        sums[2 * N] = (real)all;
        for (int64_t n = 0; n < N; n++) {
            double sent = 0, received = 0;
            for (int64_t m = 0; m < N; m++) sent += (double)row[n * N + m], received += (double)row[m * N + n];
            sums[n] = (real)sent;
            sums[N + n] = (real)received;
        }
    }
}
