// The selective scan without its recurrence: each step's input, weighted by what remains of it at every later step.
#include <math.h>

#include "check/oracle.h"

void selective_scan_oracle(const OpCall *c, long double *const *out)
{
    const double *x = c->in[0]->x, *delta = c->in[1]->x, *A = c->in[2]->x, *B = c->in[3]->x, *C = c->in[4]->x,
                 *D = c->in[5]->x;
    const int64_t *d = c->in[0]->shape.d, T = d[1], W = d[2], N = c->in[2]->shape.d[1];
    for (int64_t i = 0; i < numel(c->in[0]); i++) out[0][i] = (long double)D[i % W] * x[i];
    for (int64_t i = 0; i < numel(c->in[0]); i++) {         // input i reaches the steps from its own to the last
        const int64_t from = i / W;
        long double elapsed = 0;
        for (int64_t to = from; to == from || to % T; to++) {
            if (to > from) elapsed += delta[to * W + i % W];
            for (int64_t n = 0; n < N; n++)
                out[0][to * W + i % W] += expl(elapsed * A[i % W * N + n]) * delta[i] * x[i] * B[from * N + n] *
                                          C[to * N + n];
        }
    }
}
