// cross_entropy: y = mean over rows r with target[r] >= 0 of lse[r] - x[r,target[r]], lse[r] = log sum_v exp x[r,v].
//   x [R,V] logits, target I32 [R] in [0,V) or -1 = ignored -> y [1] (0 when no row counts), lse [R] (for backward)
//   dx[r,v] += dy (exp(x[r,v] - lse[r]) - [v = target[r]]) / rows counted
#include "tensor/ref.h"

static int64_t count_rows(const int32_t *target, int64_t R, int64_t V)
{
    int64_t n = 0;
    for (int64_t r = 0; r < R; r++) {
        CHECK(target[r] >= -1 && target[r] < V, "cross_entropy: want a target in [-1,%lld), got %d", (long long)V,
              target[r]);
        n += target[r] >= 0;
    }
    return n;
}

KERNEL(cross_entropy, fwd)
{
    const real *x = in_x(c, 0);
    const int32_t *target = c->in[1]->x;
    real *lse = out_x(c, 1);
    const int64_t V = shape_last(c->in[0]->shape), R = numel(c->in[1]), n = count_rows(target, R, V);
#pragma omp parallel for if (R * V > PAR_MIN)
    for (int64_t r = 0; r < R; r++) {
        const real *row = x + r * V;
        // pass 1: the largest logit, so that no exp overflows
        real max = row[0];
        for (int64_t v = 1; v < V; v++)
            if (!(row[v] <= max)) max = row[v];   // written so that a NaN stays
        // pass 2: the sum of exp(x - max); lse = max + its log
        double sum = 0;
        for (int64_t v = 0; v < V; v++) sum += (double)R(exp)(row[v] - max);
        lse[r] = max + (real)log(sum);
    }
    // over the rows: what the target's logit lacks to lse
    double loss = 0;
    for (int64_t r = 0; r < R; r++)
        if (target[r] >= 0) loss += (double)lse[r] - (double)x[r * V + target[r]];
    out_x(c, 0)[0] = n ? (real)(loss / (double)n) : 0;
}

KERNEL(cross_entropy, bwd)
{
    const real *x = in_x(c, 0), *lse = out_x(c, 1);
    const int32_t *target = c->in[1]->x;
    real *dx = in_g(c, 0);
    const int64_t V = shape_last(c->in[0]->shape), R = numel(c->in[1]), n = count_rows(target, R, V);
    if (!dx || !n) return;
    const real f = out_g(c, 0)[0] / (real)n;
#pragma omp parallel for if (R * V > PAR_MIN)
    for (int64_t r = 0; r < R; r++) {
        if (target[r] < 0) continue;
        // one pass: the probability again from lse, minus 1 at the target
        for (int64_t v = 0; v < V; v++)
            dx[r * V + v] += f * (R(exp)(x[r * V + v] - lse[r]) - (real)(v == target[r]));
    }
}
