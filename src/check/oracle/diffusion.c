// The schedule's ops.  Conversions are not written out kind by kind: the two given quantities are linear forms of
// (x0, eps), so the 2 x 2 system is solved and the wanted form is evaluated.  With sqrt(ab) = cos phi:
//   x_t = cos phi x0 + sin phi eps,   v = d x_t / d phi = -sin phi x0 + cos phi eps
#include <complex.h>
#include <math.h>

#include "check/oracle.h"
#include "tensor/philox.h"

void timestep_embed_oracle(const OpCall *c, long double *const *out)
{
    const double *t = c->in[0]->x;
    const int64_t D = c->out[0]->shape.d[1], half = D / 2;
    const long double ratio = powl(((const TimestepEmbedParams *)c->p)->max_period, -1.0L / (long double)half);
    for (int64_t r = 0; r < c->out[0]->shape.d[0]; r++) {
        long double angle = t[r];               // angle of frequency i: t ratio^i
        for (int64_t i = 0; i < half; i++, angle *= ratio) {
            const complex long double turn = cexpl(CMPLXL(0, angle));
            out[0][r * D + i] = cimagl(turn);
            out[0][r * D + half + i] = creall(turn);
        }
    }
}

void q_sample_oracle(const OpCall *c, long double *const *out)
{
    const double *x0 = c->in[0]->x, *eps = c->in[1]->x, *ab = c->in[2]->x;
    const int64_t len = numel(c->in[0]) / numel(c->in[2]);
    for (int64_t i = 0; i < numel(c->in[0]); i++) {
        const long double phi = acosl(sqrtl(ab[i / len]));
        out[0][i] = cosl(phi) * x0[i] + sinl(phi) * eps[i];
    }
}

typedef struct Form { long double x0, eps; } Form;   // a linear form of (x0, eps)

void convert_oracle(const OpCall *c, long double *const *out)
{
    const double *a = c->in[0]->x, *b = c->in[1]->x, *ab = c->in[2]->x;
    const ConvertKind kind = ((const ConvertParams *)c->p)->kind;
    const int64_t len = numel(c->in[0]) / numel(c->in[2]);
    for (int64_t i = 0; i < numel(c->in[0]); i++) {
        const long double cs = sqrtl(ab[i / len]), sn = sqrtl(1 - (long double)ab[i / len]);
        const Form x0 = {1, 0}, eps = {0, 1}, xt = {cs, sn}, v = {-sn, cs};
        Form first = xt, second = v, want = x0;
        switch (kind) {
        case V_FROM_X0_EPS:  first = x0;    second = eps;   want = v;     break;
        case X0_FROM_XT_V:   first = xt;    second = v;     want = x0;    break;
        case EPS_FROM_XT_V:  first = xt;    second = v;     want = eps;   break;
        case X0_FROM_XT_EPS: first = xt;    second = eps;   want = x0;    break;
        case EPS_FROM_XT_X0: first = xt;    second = x0;    want = eps;   break;
        }
        const long double det = first.x0 * second.eps - first.eps * second.x0;      // Cramer
        const long double x0_is = (a[i] * second.eps - first.eps * b[i]) / det;
        const long double eps_is = (first.x0 * b[i] - a[i] * second.x0) / det;
        out[0][i] = want.x0 * x0_is + want.eps * eps_is;
    }
}

void sampler_step_oracle(const OpCall *c, long double *const *out)
{
    const SamplerStepParams *p = c->p;
    const long double factor[3] = {p->a, p->b, p->c};
    for (int64_t i = 0; i < numel(c->out[0]); i++) out[0][i] = 0;
    for (int j = c->n_in - 1; j >= 0; j--)
        for (int64_t i = 0; c->in[j] && i < numel(c->in[j]); i++)
            out[0][i] = fmal(factor[j], ((const double *)c->in[j]->x)[i], out[0][i]);
}

static uint32_t step_of(RandomAddress at, const OpCall *c)
{
    return at.step + (c->in[2] ? (uint32_t)*(const int32_t *)c->in[2]->x : 0);
}

// The time as the first of 1..T whose share of the interval reaches the draw.
void diffusion_times_oracle(const OpCall *c, long double *const *out)
{
    const DiffusionTimesParams *p = c->p;
    const int64_t T = numel(c->in[0]) - 1, B = numel(c->out[0]), first = (int64_t)p->at.offset;
    for (int64_t b = 0; b < B; b++) {
        const uint64_t draw = (uint64_t)(first + b);
        const uint32_t u = philox_u32(p->at.seed, philox_subsequence(SITE_TIMESTEP, step_of(p->at, c)), draw);
        const uint32_t v = philox_u32(p->at.seed, philox_subsequence(SITE_COND_DROP, step_of(p->at, c)), draw);
        const int64_t part = first + b - (first + b) / p->parts * p->parts;
        const long double place = ((long double)part + philox_unit(u)) / (long double)p->parts;
        int64_t t = 1;
        while (t < T && (long double)t / (long double)T <= place) t++;
        out[0][b] = (long double)t;
        out[1][b] = ((const double *)c->in[0]->x)[t];
        out[2][b] = ((const double *)c->in[1]->x)[t];
        out[3][b] = (long double)philox_unit(v) < p->drop ? 0 : 1;
    }
}
