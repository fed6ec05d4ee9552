#include "diffusion/sampler.h"

#include <math.h>

void sampler_times(int T, int steps, int *out)
{
    CHECK(steps >= 1 && steps <= T, "sampler: want 1 <= steps <= %d, got %d", T, steps);
    for (int i = 0; i < steps; i++) out[i] = T - (int)((int64_t)i * T / steps);
}

// What the network calls need of the host, put on the device once: row i of [steps,R] is value[i] for every row of x.
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

// Rows of one address; neighbours in `row` are drawn in one call.
static Tensor *noise(const Sampler *s, Tape *t, Shape shape, int step, const int64_t *row)
{
    const RandomAddress at = {.seed = s->seed, .site = SITE_SAMPLE, .step = (uint32_t)step};
    Tensor *y = tape_tensor(t, shape);
    const int64_t rows = shape.d[0];
    const size_t row_bytes = tensor_bytes(y) / (size_t)(rows ? rows : 1);
    for (int64_t r = 0, n; r < rows; r += n) {
        for (n = 1; r + n < rows && row[r + n] == row[r] + n; n++) {}
        Shape part = shape;
        part.d[0] = n;
        device_copy(t->dev, (char *)y->x + (size_t)r * row_bytes, tape_randn(t, part, at, row[r])->x,
                    (size_t)n * row_bytes);
    }
    return y;
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

Tensor *sampler_run(const Sampler *s, const Schedule *sch, Prediction p, Tape *t, Shape shape, const int64_t *row,
                    Denoiser *net, void *ctx)
{
    CHECK(!t->record, "sampler_run: the tape records; sampling needs no gradients");
    int *times = arena_alloc(t->step, ((size_t)s->steps + 1) * sizeof *times);
    sampler_times(sch->T, s->steps, times);
    times[s->steps] = 0;
    double *value = arena_alloc(t->step, 2 * (size_t)s->steps * sizeof *value), *ab_value = value + s->steps;
    for (int i = 0; i < s->steps; i++) value[i] = times[i], ab_value[i] = sch->ab[times[i]];
    Tensor *time = table_of(t, value, s->steps, shape.d[0]), *alpha_bar = table_of(t, ab_value, s->steps, shape.d[0]);
    Tensor *x = noise(s, t, shape, 0, row);                   // x and the previous estimate live below the mark
    Tensor *prev = tape_zeros(t, shape);
    double lambda_prev = 0, lambda_before = 0;                 // log-SNR at the last two times
    for (int i = 0; i < s->steps; i++) {
        const size_t mark = arena_mark(t->step);
        const double ab = sch->ab[times[i]], ab_next = sch->ab[times[i + 1]];
        Tensor *x0 = predict_x0(s, p, t, x, table_row(t, time, i), table_row(t, alpha_bar, i), net, ctx), *next;
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
            Tensor *z = eta > 0 ? noise(s, t, shape, i + 1, row) : NULL;
            next = ddim_update(t, x, x0, z, ab, ab_next, eta);
        }
        device_copy(t->dev, prev->x, x0->x, tensor_bytes(x0));
        device_copy(t->dev, x->x, next->x, tensor_bytes(next));
        arena_rewind(t->step, mark);
    }
    return x;
}
