// Reductions and losses in long double, added from the end.
#include <math.h>

#include "check/oracle.h"

static long double total(const OpCall *c, long double (*term)(const OpCall *c, int64_t i))
{
    long double sum = 0;
    for (int64_t i = numel(c->in[0]) - 1; i >= 0; i--) sum += term(c, i);
    return sum;
}

static long double value(const OpCall *c, int64_t i) { return ((const double *)c->in[0]->x)[i]; }
static long double square(const OpCall *c, int64_t i) { return value(c, i) * value(c, i); }
static long double difference(const OpCall *c, int64_t i) { return value(c, i) - ((const double *)c->in[1]->x)[i]; }
static long double squared(const OpCall *c, int64_t i) { return difference(c, i) * difference(c, i); }

static long double weighted(const OpCall *c, int64_t i)
{
    return squared(c, i) * ((const double *)c->in[2]->x)[i * numel(c->in[2]) / numel(c->in[0])];
}

// With m = min(|d|, delta): m (|d| - m/2) is d^2/2 inside and delta (|d| - delta/2) outside.
static long double bent(const OpCall *c, int64_t i)
{
    const long double d = fabsl(difference(c, i)), m = fminl(d, ((const HuberParams *)c->p)->delta);
    return m * (d - m / 2);
}

static long double average(const OpCall *c, long double (*term)(const OpCall *c, int64_t i))
{
    return total(c, term) / (long double)numel(c->in[0]);
}

// The larger of two less the smaller is their distance.
static long double apart(const OpCall *c, int j, int k, int64_t i)
{
    const long double p = ((const double *)c->in[j]->x)[i], q = ((const double *)c->in[k]->x)[i];
    return fmaxl(p, q) - fminl(p, q);
}

// The fair score, and of the two as an ensemble (its spread: over all four pairs), in their shares.
static long double pair_score(const OpCall *c, int64_t i)
{
    const long double fair = ((const CrpsPairParams *)c->p)->fair;
    const long double error = (apart(c, 0, 2, i) + apart(c, 1, 2, i)) / 2, spread = apart(c, 0, 1, i);
    const long double ensemble = error - (0 + spread + spread + 0) / (2 * 2 * 2);
    return fair * (error - spread / 2) + (1 - fair) * ensemble;
}

void sum_oracle(const OpCall *c, long double *const *out) { out[0][0] = total(c, value); }
void sumsq_oracle(const OpCall *c, long double *const *out) { out[0][0] = total(c, square); }
void mean_oracle(const OpCall *c, long double *const *out) { out[0][0] = average(c, value); }
void mse_oracle(const OpCall *c, long double *const *out) { out[0][0] = average(c, squared); }
void wmse_oracle(const OpCall *c, long double *const *out) { out[0][0] = average(c, weighted); }
void huber_oracle(const OpCall *c, long double *const *out) { out[0][0] = average(c, bent); }
void crps_pair_oracle(const OpCall *c, long double *const *out) { out[0][0] = average(c, pair_score); }

// Without subtracting the maximum: long double reaches exp(11000).
void cross_entropy_oracle(const OpCall *c, long double *const *out)
{
    const double *x = c->in[0]->x;
    const int32_t *target = c->in[1]->x;
    const int64_t R = c->in[0]->shape.d[0], V = c->in[0]->shape.d[1];
    long double loss = 0;
    int64_t counted = 0;
    for (int64_t r = 0; r < R; r++) {
        long double sum = 0;
        for (int64_t v = 0; v < V; v++) sum += expl(x[r * V + v]);
        out[1][r] = logl(sum);
        if (target[r] < 0) continue;
        loss -= logl(expl(x[r * V + target[r]]) / sum);
        counted++;
    }
    out[0][0] = counted ? loss / (long double)counted : 0;
}
