#include "diffusion/sampler.h"

#include <math.h>

void sampler_times(int T, int steps, int *out)
{
    CHECK(steps >= 1 && steps <= T, "sampler: want 1 <= steps <= %d, got %d", T, steps);
    for (int i = 0; i < steps; i++) out[i] = T - (int)((int64_t)i * T / steps);
}

// A table for the network calls, copied to the device once: row i of [steps,R] is value[i] for every row of x.
static Tensor *table_of(Tape *t, const double *value, int64_t steps, int64_t rows)
{
    Tensor *y = tape_tensor(t, SHAPE(steps, rows));
    const size_t mark = arena_mark(t->scratch);
    double *all = arena_alloc(t->scratch, (size_t)(steps * rows) * sizeof *all);
    for (int64_t i = 0; i < steps * rows; i++) all[i] = value[i / rows];
    tensor_set_f64(y, all, steps * rows);
    arena_rewind(t->scratch, mark);
    return y;
}

static Tensor *table_row(Tape *t, Tensor *table, int64_t i)
{
    return tape_reshape(t, tape_slice(t, table, 0, i, 1), SHAPE(table->shape.d[1]));
}

static Tensor *predict_x0(const Sampler *s, Prediction p, Tape *t, Tensor *x, Tensor *time, Tensor *ab, Denoiser *net,
                          void *ctx)
{
    Tensor *out = net(ctx, t, x, time);
    Tensor *x0 = p == PREDICT_V ? tape_convert(t, x, out, ab, X0_FROM_XT_V)
                 : p == PREDICT_EPS ? tape_convert(t, x, out, ab, X0_FROM_XT_EPS) : out;
    return s->clip > 0 ? tape_clamp(t, x0, s->clip) : x0;
}

static Tensor *noise(const SamplerPlan *plan, Tape *t, int step)
{
    const RandomAddress at = {.seed = plan->s.seed, .site = SITE_SAMPLE, .step = (uint32_t)step};
    Tensor *z = tape_randn_rows(t, plan->x0->shape, at, plan->row);
    return plan->sign ? tape_mul_rows(t, z, plan->sign) : z;
}

// Row numbers as the pairs of words that randn takes; both rows of an antithetic pair have the number of the even one.
static Tensor *row_table(Tape *t, const int64_t *row, int64_t n, bool antithetic)
{
    int32_t *words = arena_alloc(t->step, 2 * (size_t)n * sizeof *words);
    for (int64_t i = 0; i < n; i++) {
        const int64_t drawn = antithetic ? row[i] & ~(int64_t)1 : row[i];
        words[2 * i] = (int32_t)(uint32_t)drawn;
        words[2 * i + 1] = (int32_t)(drawn >> 32);
    }
    return tape_from_i32(t, SHAPE(n, 2), words);
}

static Tensor *sign_table(Tape *t, const int64_t *row, int64_t n)
{
    float *sign = arena_alloc(t->step, (size_t)n * sizeof *sign);
    for (int64_t i = 0; i < n; i++) sign[i] = row[i] & 1 ? -1 : 1;
    return tape_from_f32(t, SHAPE(n), sign);
}

// x_{t} -> x_{t'} from the estimate x0 of ddpm and ddim (ddpm is ddim with eta = 1):
//   sigma = eta sqrt((1-ab')/(1-ab)) sqrt(1 - ab/ab');  x' = sqrt(ab') x0 + sqrt(1-ab'-sigma^2) eps + sigma z,
//   eps = (x - sqrt(ab) x0)/sqrt(1-ab), collected as x' = a x + b x0 + c z.
static Tensor *ddim_update(Tape *t, Tensor *x, Tensor *x0, Tensor *z, double ab, double ab_next, double eta)
{
    const double sigma = eta * sqrt((1 - ab_next) / (1 - ab)) * sqrt(1 - ab / ab_next);
    const double dir = 1 - ab_next - sigma * sigma, a = sqrt(dir > 0 ? dir : 0) / sqrt(1 - ab);
    return tape_sampler_step(t, x, x0, z, a, sqrt(ab_next) - a * sqrt(ab), sigma);
}

static double log_snr(double ab) { return 0.5 * log(ab / (1 - ab)); }   // lambda = log(alpha/sigma)

// out[0..steps): the times; out[steps] = 0, where they lead
static const int *times_of(const Sampler *s, const Schedule *sch, Arena *a)
{
    int *times = arena_alloc(a, ((size_t)s->steps + 1) * sizeof *times);
    sampler_times(sch->T, s->steps, times);
    times[s->steps] = 0;
    return times;
}

SamplerPlan sampler_plan(const Sampler *s, const Schedule *sch, Prediction p, Tape *t, Shape shape, const int64_t *row)
{
    const int *times = times_of(s, sch, t->step);
    double *value = arena_alloc(t->step, 2 * (size_t)s->steps * sizeof *value), *ab = value + s->steps;
    for (int i = 0; i < s->steps; i++) value[i] = times[i], ab[i] = sch->ab[times[i]];
    return (SamplerPlan){.s = *s, .sch = sch, .prediction = p, .row = row_table(t, row, shape.d[0], s->antithetic),
                         .sign = s->antithetic ? sign_table(t, row, shape.d[0]) : NULL,
                         .time = table_of(t, value, s->steps, shape.d[0]), .ab = table_of(t, ab, s->steps, shape.d[0]),
                         .x0 = tape_tensor(t, shape)};
}

void sampler_draw(const SamplerPlan *plan, Tape *t, Denoiser *net, void *ctx)
{
    CHECK(!t->record, "sampler_draw: the tape records; sampling needs no gradients");
    const Sampler *s = &plan->s;
    const size_t start = arena_mark(t->step);
    const int *times = times_of(s, plan->sch, t->step);
    Tensor *x = plan->x0;
    const Shape shape = x->shape;
    device_copy(t->dev, x->x, noise(plan, t, 0)->x, tensor_bytes(x));
    Tensor *prev = tape_zeros(t, shape);                       // the previous estimate lives below the mark
    double lambda_prev = 0, lambda_before = 0;                 // log-SNR at the last two times
    for (int i = 0; i < s->steps; i++) {
        const size_t mark = arena_mark(t->step);
        const double ab = plan->sch->ab[times[i]], ab_next = plan->sch->ab[times[i + 1]];
        Tensor *time = table_row(t, plan->time, i), *alpha_bar = table_row(t, plan->ab, i), *next;
        Tensor *x0 = predict_x0(s, plan->prediction, t, x, time, alpha_bar, net, ctx);
        if (times[i + 1] == 0) {
            next = x0;
        } else if (s->kind == SAMPLER_DPMPP2M) {
            // x' = (sigma'/sigma) x - alpha' (e^{-h} - 1) D,   D = (1 + 1/(2r)) x0 - 1/(2r) prev,  r = h_prev / h
            const double lambda = log_snr(ab), h = log_snr(ab_next) - lambda, b = -sqrt(ab_next) * expm1(-h);
            lambda_before = lambda_prev;
            lambda_prev = lambda;
            Tensor *d = x0;
            if (i > 0) {
                const double half_r = 0.5 * h / (lambda - lambda_before);
                d = tape_sampler_step(t, x0, prev, NULL, 1 + half_r, -half_r, 0);
            }
            next = tape_sampler_step(t, x, d, NULL, sqrt((1 - ab_next) / (1 - ab)), b, 0);
        } else {
            const double eta = s->kind == SAMPLER_DDPM ? 1 : s->eta;
            Tensor *z = eta > 0 ? noise(plan, t, i + 1) : NULL;
            next = ddim_update(t, x, x0, z, ab, ab_next, eta);
        }
        device_copy(t->dev, prev->x, x0->x, tensor_bytes(x0));
        device_copy(t->dev, x->x, next->x, tensor_bytes(next));
        arena_rewind(t->step, mark);
    }
    arena_rewind(t->step, start);
}

Tensor *sampler_run(const Sampler *s, const Schedule *sch, Prediction p, Tape *t, Shape shape, const int64_t *row,
                    Denoiser *net, void *ctx)
{
    const SamplerPlan plan = sampler_plan(s, sch, p, t, shape, row);
    sampler_draw(&plan, t, net, ctx);
    return plan.x0;
}
