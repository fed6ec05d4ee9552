// Samplers against closed forms for Gaussian data N(mu, sd^2).  There the best network is known and linear in x, so the
// end of every sampler is linear in its start and its noise, x_0 = b + a_0 z_0 + a_1 z_1 + ..: coefficients by a
// recursion of a few lines, from the textbook form of each step (plain_sampler.h).  Each sample must be that sum, to
// rounding; its mean b and variance sum a_i^2 must be those of the data, the nearer the more calls there are.
#include "lead_world.h"
#include "plain_sampler.h"

enum { ROWS = 3, LENGTH = 5 };

typedef struct Normal { double mu, sd; } Normal;

// E[x0 | x] = m x + n at alpha_bar ab.
static double best_slope(Normal d, double ab) { return sqrt(ab) * d.sd * d.sd / (ab * d.sd * d.sd + 1 - ab); }
static double best_shift(Normal d, double ab) { return d.mu * (1 - best_slope(d, ab) * sqrt(ab)); }

typedef struct Best { Normal data; ScheduleKind kind; int T; Prediction p; } Best;

static Tensor *best_network(void *ctx, Tape *t, Tensor *x, Tensor *time)
{
    const Best *b = ctx;
    const double ab = plain_alpha_bar(b->kind, (int)*(double *)time->x, b->T), *v = x->x;
    Tensor *y = tape_tensor(t, x->shape);
    for (int64_t i = 0; i < numel(x); i++) {
        const double x0 = best_slope(b->data, ab) * v[i] + best_shift(b->data, ab);
        ((double *)y->x)[i] = plain_target_of(b->p, x0, (v[i] - sqrt(ab) * x0) / sqrt(1 - ab), ab);
    }
    return y;
}

enum { MOST_STEPS = 250 };

// constant + sum of z[i] times the noise of call i, i = 0: the start
typedef struct Sum { double constant, z[MOST_STEPS + 1]; } Sum;

static Sum sum_of(const Sum *a, double x, const Sum *b, double y, int n)
{
    Sum s = {.constant = x * a->constant + y * b->constant};
    for (int i = 0; i <= n; i++) s.z[i] = x * a->z[i] + y * b->z[i];
    return s;
}

static Sum closed_form(const Best *b, const Sampler *s)
{
    Sum x = {.z = {1}}, before = {0};
    const Sum one = {.constant = 1};
    for (int i = 0, earlier = -1; i < s->steps; i++) {
        const int now = plain_time_at(b->T, s->steps, i), next = plain_time_at(b->T, s->steps, i + 1);
        const double ab = plain_alpha_bar(b->kind, now, b->T);
        const PlainStep step = plain_step(s, b->kind, b->T, earlier, now, next);
        const Sum x0 = sum_of(&x, best_slope(b->data, ab), &one, best_shift(b->data, ab), s->steps);
        const Sum moved = sum_of(&x, step.x, &x0, step.x0, s->steps);
        x = sum_of(&moved, 1, &before, step.before, s->steps);
        x.z[i + 1] += step.z;
        before = x0;
        earlier = now;
    }
    return x;
}

// Whether the samples are the sum; the largest error.
static double off_the_sum(World *w, const Best *b, const Sampler *s, const Sum *want)
{
    static const int64_t row[ROWS] = {6, 7, 2};
    const Schedule sch = schedule_new(w->perm, b->kind, b->T);
    Best ctx = *b;
    tape_reset(&w->t);
    const double *x = sampler_run(s, &sch, b->p, &w->t, SHAPE(ROWS, LENGTH), row, best_network, &ctx)->x;
    double worst = 0;
    for (int r = 0; r < ROWS; r++)
        for (int i = 0; i < LENGTH; i++) {
            double sum = want->constant;
            for (int k = 0; k <= s->steps; k++)
                if (want->z[k] != 0) sum += want->z[k] * plain_noise(s, k, row[r], LENGTH, i);
            worst = check_fold(worst, fabs(x[r * LENGTH + i] - sum));
        }
    return worst;
}

static const struct { const char *name; SamplerKind kind; double eta; bool antithetic; } samplers[] = {
    {"ddpm", SAMPLER_DDPM, 0, false},           {"ddim", SAMPLER_DDIM, 0, false},
    {"ddim, eta 0.5", SAMPLER_DDIM, 0.5, true}, {"ddim, eta 1", SAMPLER_DDIM, 1, false},
    {"dpm++2m", SAMPLER_DPMPP2M, 0, true},
};

// Mean and spread of the closed form beside the data's, with MOST_STEPS calls of 1000 times.  Without noise on the way
// the end is that of the probability flow: x_0 = mu + sd (x_T - sqrt(ab) mu) / sqrt(ab sd^2 + 1 - ab), ab that of T.
// The last call returns the estimate at its time, which lacks the spread of what it cannot know.
static void check_distribution(TestLog *log, const Best *b, const Sampler *s, const char *name)
{
    const Sum x = closed_form(b, s);
    const Normal d = b->data;
    const double ab = plain_alpha_bar(b->kind, b->T, b->T);
    const double left = s->kind == SAMPLER_DDPM || s->eta > 0 ? 0 : d.sd / sqrt(ab * d.sd * d.sd + 1 - ab);
    const double mean = d.mu * (1 - left * sqrt(ab)), sd = left > 0 ? left : d.sd;
    double variance = 0;
    for (int i = 0; i <= s->steps; i++) variance += x.z[i] * x.z[i];
    TEST(log, fabs(x.constant - mean) < (left > 0 ? 0.003 : 0.015) && fabs(sqrt(variance) / sd - 1) < 0.03,
         "%s, schedule %d: mean %g and sd %g, want %g and %g", name, (int)b->kind, x.constant, sqrt(variance), mean,
         sd);
}

void test_samplers(TestLog *log)
{
    World *w = world_new(device_cpu_f64(), true);
    w->t.record = false;
    const Normal data = {0.7, 0.6};
    for (int kind = 0; kind < 3; kind++)
        for (size_t i = 0; i < sizeof samplers / sizeof *samplers; i++) {
            Sampler s = {.kind = samplers[i].kind, .eta = samplers[i].eta, .antithetic = samplers[i].antithetic,
                         .seed = 9};
            for (int p = 0; p < 3; p++)
                for (int few = 0; few < 2; few++) {
                    const Best b = {data, (ScheduleKind)kind, few ? 10 : 100, (Prediction)p};
                    s.steps = few ? 10 : 12;
                    const Sum want = closed_form(&b, &s);
                    const double off = off_the_sum(w, &b, &s, &want);
                    TEST(log, off < 1e-10,
                         "%s, schedule %d, prediction %d, %d calls of %d times: off its closed form by %g",
                         samplers[i].name, kind, p, s.steps, b.T, off);
                }
            s.steps = MOST_STEPS;
            check_distribution(log, &(Best){data, (ScheduleKind)kind, 1000, PREDICT_X0}, &s, samplers[i].name);
        }
    world_delete(w);
}
