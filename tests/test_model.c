// Model-level properties that are exact and need no golden files: what starts as the
// identity is the identity, rows do not know of each other, samplers return what a truthful network tells them.
#include <omp.h>

#include "lead_world.h"

// ---- the diffusion process (E7)

static const char *const schedule_names[] = {"cosine", "linear", "scaled-linear"};
static const char *const sampler_names[] = {"ddpm", "ddim", "dpm++2m"};
static const char *const prediction_names[] = {"epsilon", "v", "x0"};

static void check_schedules(TestLog *log, Arena *a)
{
    static const int steps[] = {2, 10, 50, 1000};
    for (int kind = 0; kind < 3; kind++)
        for (int i = 0; i < 4; i++) {
            const int T = steps[i];
            const Schedule s = schedule_new(a, (ScheduleKind)kind, T);
            bool falls = s.ab[0] == 1;
            for (int t = 1; t <= T; t++) falls = falls && s.ab[t] < s.ab[t - 1] && s.ab[t] > 0;
            TEST(log, falls, "%s, T = %d: alpha_bar is not strictly falling from 1", schedule_names[kind], T);
            TEST(log, s.ab[T] < 0.01, "%s, T = %d: alpha_bar ends at %g", schedule_names[kind], T, s.ab[T]);
            TEST(log, T < 1000 || s.ab[1] > 0.998, "%s, T = %d: alpha_bar begins at %g", schedule_names[kind], T,
                 s.ab[1]);
        }
    // known values: cos^2 in the middle; the product of the betas
    const Schedule c = schedule_new(a, SCHEDULE_COSINE, 1000), l = schedule_new(a, SCHEDULE_LINEAR, 1000);
    const double f0 = pow(cos(0.008 / 1.008 * acos(-1) / 2), 2), f = pow(cos(0.508 / 1.008 * acos(-1) / 2), 2);
    TEST(log, fabs(c.ab[500] - f / f0) < 1e-12, "cosine: alpha_bar(500) = %.15g, want %.15g", c.ab[500], f / f0);
    double product = 1;
    for (int t = 1000; t >= 1; t--) product *= 1 - (1e-4 + (t - 1) / 999.0 * (0.02 - 1e-4));
    TEST(log, fabs(l.ab[1000] / product - 1) < 1e-11, "linear: alpha_bar(1000) = %.15g, want %.15g", l.ab[1000],
         product);
}

static void check_min_snr(TestLog *log, Arena *a)
{
    const Schedule s = schedule_new(a, SCHEDULE_COSINE, 1000);
    for (int t = 1; t <= 1000; t += 37) {
        const double snr = s.ab[t] / (1 - s.ab[t]), least = fmin(snr, 5);
        const double want[3] = {least / snr, least / (snr + 1), least};   // of eps, v, x0
        for (int p = 0; p < 3; p++) {
            const double w = schedule_min_snr(&s, (Prediction)p, t, 5);
            TEST(log, fabs(w - want[p]) <= 1e-12 * want[p], "min-SNR, %s, t = %d: %.15g, want %.15g",
                 prediction_names[p], t, w, want[p]);
            TEST(log, schedule_min_snr(&s, (Prediction)p, t, 0) == 1, "min-SNR, gamma = 0: want 1");
        }
    }
    // an error d in x0 is an error of d sqrt(snr) in eps and d sqrt(1 + snr) in v: all three weigh it alike
    const double e = schedule_min_snr(&s, PREDICT_EPS, 300, 5), v = schedule_min_snr(&s, PREDICT_V, 300, 5);
    const double x = schedule_min_snr(&s, PREDICT_X0, 300, 5), snr = s.ab[300] / (1 - s.ab[300]);
    TEST(log, fabs(e * snr - x) < 1e-12 && fabs(v * (snr + 1) - x) < 1e-12,
         "min-SNR: eps %g, v %g and x0 %g weigh differently", e, v, x);
}

static void check_conversions(TestLog *log, World *w)
{
    Tape *t = &w->t;
    tape_reset(t);
    Tensor *x0 = normal_tensor(w, SHAPE(5, 7), 1), *eps = normal_tensor(w, SHAPE(5, 7), 2),
           *ab = tape_tensor(t, SHAPE(5));
    tensor_set_f64(ab, (double[]){0.999, 0.7, 0.5, 0.1, 1e-3}, 5);
    Tensor *xt = tape_q_sample(t, x0, eps, ab), *v = tape_convert(t, x0, eps, ab, V_FROM_X0_EPS);
    const struct { const char *name; Tensor *got, *want; } c[] = {
        {"x0 from v", tape_convert(t, xt, v, ab, X0_FROM_XT_V), x0},
        {"eps from v", tape_convert(t, xt, v, ab, EPS_FROM_XT_V), eps},
        {"x0 from eps", tape_convert(t, xt, eps, ab, X0_FROM_XT_EPS), x0},
        {"eps from x0", tape_convert(t, xt, x0, ab, EPS_FROM_XT_X0), eps}};
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        const double e = max_error(c[i].got, c[i].want->x, 35, w->scratch);
        TEST(log, e < 1e-12, "%s: error %g", c[i].name, e);
    }
}

// One pass over the image gives the bits of randn, q_sample and convert one after another.
static void check_diffuse(TestLog *log)
{
    World *w = world_new(world_f32(), false);
    Tape *t = &w->t;
    const Shape s = SHAPE(5, 3, 7, 5);
    Tensor *x0 = normal_tensor(w, s, 1), *ab = tape_tensor(t, SHAPE(5));
    tensor_set_f64(ab, (double[]){0.999, 0.7, 0.5, 0.1, 1e-3}, 5);
    const RandomAddress at = {.seed = 77, .site = SITE_NOISE, .step = 3};
    tape_set_step(t, 40);
    Tensor *eps = tape_randn_clock(t, s, at, 0);
    Tensor *const want[] = {eps, tape_convert(t, x0, eps, ab, V_FROM_X0_EPS), x0}, *xt = tape_q_sample(t, x0, eps, ab);
    for (int k = 0; k < 3; k++) {
        const Diffused d = tape_diffuse(t, x0, ab, at, (DiffuseTarget)k, t->clock);
        TEST(log, same_bits(d.xt, xt) && same_bits(d.target, want[k]), "diffuse, target %d: other bits than apart", k);
    }
    world_delete(w);
}

// A network that knows x0 and answers truthfully about the x it is shown.
typedef struct Truth {
    const Schedule *sch;
    Prediction p;
    const double *x0;
    double *first;               // eps implied by the first x
    int calls;
    double off_line;             // largest |implied eps - first|: 0 on a deterministic path
    double worst_mean, worst_variance;   // of the implied eps, which must be standard normal at every time
} Truth;

static Tensor *truth_net(void *ctx, Tape *t, Tensor *x, Tensor *time)
{
    Truth *c = ctx;
    const int64_t n = numel(x);
    const double ab = c->sch->ab[(int)*(double *)time->x], *v = x->x;
    Tensor *y = tape_tensor(t, x->shape);
    double sum = 0, sum2 = 0;
    for (int64_t i = 0; i < n; i++) {
        const double eps = (v[i] - sqrt(ab) * c->x0[i]) / sqrt(1 - ab);
        if (c->calls == 0) c->first[i] = eps;
        c->off_line = check_fold(c->off_line, fabs(eps - c->first[i]));
        sum += eps;
        sum2 += eps * eps;
        ((double *)y->x)[i] = c->p == PREDICT_EPS ? eps
                              : c->p == PREDICT_V ? sqrt(ab) * eps - sqrt(1 - ab) * c->x0[i]
                                                  : c->x0[i];
    }
    c->worst_mean = check_fold(c->worst_mean, fabs(sum / (double)n));
    c->worst_variance = check_fold(c->worst_variance, fabs(sum2 / (double)n - 1));
    c->calls++;
    return y;
}

// x0 comes back; deterministic samplers stay on the line sqrt(ab) x0 + sqrt(1-ab) eps, ancestral ones in its
// distribution.
static void check_truthful(TestLog *log, World *w)
{
    enum { R = 4, D = 2000 };
    static const int64_t row[R] = {3, 4, 9, 0};
    const Schedule sch = schedule_new(w->perm, SCHEDULE_LINEAR, 100);
    const Tensor *x0 = normal_tensor(w, SHAPE(R, D), 3);
    double *first = arena_alloc(w->perm, R * D * sizeof *first);
    for (int kind = 0; kind < 3; kind++)
        for (int p = 0; p < 3; p++)
            for (int eta = 0; eta <= (kind == SAMPLER_DDIM); eta++) {
                Truth c = {.sch = &sch, .p = (Prediction)p, .x0 = x0->x, .first = first};
                const Sampler s = {.kind = (SamplerKind)kind, .steps = 20, .eta = 0.5 * eta, .seed = 4};
                tape_reset(&w->t);
                const Tensor *x = sampler_run(&s, &sch, (Prediction)p, &w->t, SHAPE(R, D), row, truth_net, &c);
                const double e = max_error(x, x0->x, R * D, w->scratch);
                TEST(log, e < 1e-9 && c.calls == 20, "%s, %s: x0 comes back with error %g after %d calls",
                     sampler_names[kind], prediction_names[p], e, c.calls);
                const bool noisy = kind == SAMPLER_DDPM || eta;
                TEST(log, noisy == (c.off_line > 0.1) && (noisy || c.off_line < 1e-9),
                     "%s, eta %g: leaves the line by %g", sampler_names[kind], s.eta, c.off_line);
                TEST(log, c.worst_mean < 5 / sqrt(R * D) && c.worst_variance < 5 * sqrt(2.0 / (R * D)),
                     "%s, eta %g: noise of mean %g, variance 1 +- %g", sampler_names[kind], s.eta, c.worst_mean,
                     c.worst_variance);
            }
}

// A network that is odd in x: x/2.
static Tensor *odd_net(void *ctx, Tape *t, Tensor *x, Tensor *time)
{
    (void)ctx, (void)time;
    return tape_scale(t, x, 0.5, 0);
}

// Antithetic rows draw opposite noise at every step: an odd network's samples are opposite to the last bit.  Even rows
// are what they are without, and a row does not depend on whether its partner is drawn too.
static void check_antithetic(TestLog *log, World *w)
{
    enum { R = 5, D = 40 };
    static const int64_t row[R] = {6, 7, 9, 8, 3};
    const Schedule sch = schedule_new(w->perm, SCHEDULE_COSINE, 100);
    for (int kind = 0; kind < 3; kind++) {
        double x[2][R][D];
        for (int i = 0; i < 2; i++) {
            const Sampler s = {.kind = (SamplerKind)kind, .steps = 7, .seed = 4, .antithetic = i};
            tape_reset(&w->t);
            memcpy(x[i], sampler_run(&s, &sch, PREDICT_X0, &w->t, SHAPE(R, D), row, odd_net, NULL)->x, sizeof x[i]);
        }
        bool opposite = true;
        for (int i = 0; i < D; i++) opposite &= x[1][1][i] == -x[1][0][i] && x[1][2][i] == -x[1][3][i];
        TEST(log, opposite, "%s: rows 6 and 7, or 9 and 8, are not opposite", sampler_names[kind]);
        TEST(log, !memcmp(x[0][0], x[1][0], sizeof x[0][0]) && !memcmp(x[0][3], x[1][3], sizeof x[0][3]),
             "%s: even rows changed", sampler_names[kind]);
        TEST(log, memcmp(x[0][1], x[1][1], sizeof x[0][1]) && memcmp(x[0][4], x[1][4], sizeof x[0][4]),
             "%s: odd rows did not change", sampler_names[kind]);
        const Sampler s = {.kind = (SamplerKind)kind, .steps = 7, .seed = 4, .antithetic = true};
        tape_reset(&w->t);
        const Tensor *alone = sampler_run(&s, &sch, PREDICT_X0, &w->t, SHAPE(1, D), &row[2], odd_net, NULL);
        TEST(log, !memcmp(alone->x, x[1][2], sizeof x[1][2]), "%s: row 9 alone differs", sampler_names[kind]);
    }
}

// Data N(0, sd^2): the best network is known, and so is the end of the probability flow:
// x_t = x_T sqrt((ab_t sd^2 + 1 - ab_t) / (ab_T sd^2 + 1 - ab_T)).
typedef struct Gauss { const Schedule *sch; double sd, x_start, ratio; int middle; } Gauss;

static Tensor *gauss_net(void *ctx, Tape *t, Tensor *x, Tensor *time)
{
    Gauss *g = ctx;
    const int at = (int)*(double *)time->x;
    const double ab = g->sch->ab[at], v = g->sd * g->sd, *in = x->x;
    Tensor *y = tape_tensor(t, x->shape);
    *(double *)y->x = sqrt(ab) * v * *in / (ab * v + 1 - ab);
    if (at == g->sch->T) g->x_start = *in;
    if (at == g->middle) {
        const double abT = g->sch->ab[g->sch->T];
        g->ratio = *in / g->x_start / sqrt((ab * v + 1 - ab) / (abT * v + 1 - abT));
    }
    return y;
}

// Twice the steps: half the error of DDIM (first order), a quarter of DPM-Solver++(2M)'s (second order).
static void check_order_of_samplers(TestLog *log, World *w)
{
    const Schedule sch = schedule_new(w->perm, SCHEDULE_LINEAR, 1000);
    for (int kind = SAMPLER_DDIM; kind <= SAMPLER_DPMPP2M; kind++) {
        double error[2];
        for (int i = 0; i < 2; i++) {
            Gauss g = {.sch = &sch, .sd = 0.5, .middle = 200};
            const Sampler s = {.kind = (SamplerKind)kind, .steps = i ? 200 : 100, .seed = 8};
            tape_reset(&w->t);
            sampler_run(&s, &sch, PREDICT_X0, &w->t, SHAPE(1, 1), (int64_t[]){0}, gauss_net, &g);
            error[i] = fabs(g.ratio - 1);
        }
        const double gain = error[0] / error[1], want = kind == SAMPLER_DDIM ? 2 : 4;
        TEST(log, fabs(gain / want - 1) < 0.25 && error[1] < 0.02,
             "%s: error %.3g with 100 steps, %.3g with 200: want %g times less", sampler_names[kind], error[0],
             error[1], want);
    }
}

// The times of a sampler: from T, falling, and as many as asked for.
static void check_times(TestLog *log)
{
    static const int c[][2] = {{1000, 1}, {1000, 7}, {1000, 1000}, {10, 9}, {2, 2}};
    for (size_t i = 0; i < sizeof c / sizeof *c; i++) {
        int t[1000];
        sampler_times(c[i][0], c[i][1], t);
        bool fine = t[0] == c[i][0];
        for (int k = 1; k < c[i][1]; k++) fine = fine && t[k] < t[k - 1];
        TEST(log, fine && t[c[i][1] - 1] >= 1, "sampler_times(%d, %d)", c[i][0], c[i][1]);
    }
}

// ---- the composed model

enum { NODES = 5, ROWS = 4, SAMPLES = 2 };

// One source of windows, from which any rows can be drawn in any order.
typedef struct Source { const LeadModel *m; float *frames, *context; int64_t n_frames, n_context; } Source;

static LeadShape model_shape(void)
{
    return (LeadShape){.N = NODES, .slots_per_day = 6, .image_channels = 3, .target_channels = 2,
                       .context_channels = 3};
}

static Source source_new(World *w, const LeadModel *m)
{
    const LeadShape *s = &m->shape;
    const int64_t F = s->N * s->N, nf = m->cfg.history * F * s->image_channels, nc = F * s->context_channels;
    Source src = {.m = m,
                  .n_frames = nf,
                  .n_context = nc,
                  .frames = arena_alloc(w->perm, (size_t)(ROWS * nf) * sizeof(float)),
                  .context = arena_alloc(w->perm, (size_t)(ROWS * nc) * sizeof(float))};
    random_f32(src.frames, ROWS * nf, 21);
    random_f32(src.context, ROWS * nc, 22);
    return src;
}

static LeadBatch pick(World *w, const Source *src, int n, const int64_t *row)
{
    Tape *t = &w->t;
    const LeadShape *s = &src->m->shape;
    const int64_t N = s->N, H = src->m->cfg.history;
    float *frames = arena_alloc(w->step, (size_t)(n * src->n_frames) * sizeof *frames);
    float *context = arena_alloc(w->step, (size_t)(n * src->n_context) * sizeof *context);
    int32_t *slot = arena_alloc(w->step, (size_t)(n * H) * sizeof *slot),
            *dow = arena_alloc(w->step, (size_t)(n * H) * sizeof *dow);
    for (int i = 0; i < n; i++) {
        memcpy(frames + i * src->n_frames, src->frames + row[i] * src->n_frames,
               (size_t)src->n_frames * sizeof *frames);
        memcpy(context + i * src->n_context, src->context + row[i] * src->n_context,
               (size_t)src->n_context * sizeof *context);
        for (int64_t h = 0; h < H; h++) {
            slot[i * H + h] = (int32_t)((row[i] + h) % s->slots_per_day);
            dow[i * H + h] = (int32_t)(row[i] % 7);
        }
    }
    return (LeadBatch){.frames = tape_from_f32(t, SHAPE(n, H, N, N, s->image_channels), frames),
                       .slot = tape_from_i32(t, SHAPE(n, H), slot),
                       .dow = tape_from_i32(t, SHAPE(n, H), dow),
                       .context = tape_from_f32(t, SHAPE(n, N, N, s->context_channels), context)};
}

static LeadConfig model_config(const char *llm)
{
    LeadConfig c = tiny_lead(llm);
    c.unet_base = 8, c.unet_levels = 3, c.sample_steps = 3, c.enc_stages = 3;
    return c;
}

// Samples of `n` windows, copied to perm.
static Tensor *sampled(World *w, LeadModel *m, const Source *src, int n, const int64_t *row)
{
    tape_reset(&w->t);
    const LeadBatch b = pick(w, src, n, row);
    const Tensor *x = lead_sample(&w->t, m, &b, n, SAMPLES, row, NULL);
    Tensor *keep = tensor_new(w->perm, &w->dev, REAL, x->shape, "sample");
    memcpy(keep->x, x->x, tensor_bytes(x));
    return keep;
}

static bool same_row(const Tensor *a, int64_t i, const Tensor *b, int64_t j, int64_t rows_each)
{
    const size_t bytes = tensor_bytes(a) / (size_t)a->shape.d[0] * (size_t)rows_each;
    return memcmp((char *)a->x + (size_t)i * bytes, (char *)b->x + (size_t)j * bytes, bytes) == 0;
}

// Conditions, network and samples of a row: the same bits alone, among others and in another order; any thread count.
static void check_rows(TestLog *log, const Device *dev, const char *llm)
{
    World *w = world_new(*dev, true);
    w->t.record = w->t.training = false;
    LeadConfig cfg = model_config(llm);
    cfg.sampler = SAMPLER_DDPM, cfg.guidance = 2, cfg.unet_levels = dev->isa == ISA_SCALAR ? 2 : 3;
    LeadModel *m = lead_world_model(w, &cfg, model_shape(), 0.1);
    const Source src = source_new(w, m);
    static const int64_t all[ROWS] = {0, 1, 2, 3}, turned[ROWS] = {2, 0, 3, 1};
    const Tensor *one = sampled(w, m, &src, ROWS, all), *two = sampled(w, m, &src, ROWS, turned);
    for (int64_t i = 0; i < ROWS; i++) {
        TEST(log, same_row(one, turned[i], two, i, SAMPLES), "%s: the samples of row %lld change with its place",
             dev->name, (long long)turned[i]);
        const Tensor *alone = sampled(w, m, &src, 1, &i);
        TEST(log, same_row(one, i, alone, 0, SAMPLES), "%s: the samples of row %lld change when drawn alone", dev->name,
             (long long)i);
    }
    TEST(log, !same_row(one, 0, one, 1, SAMPLES) && !same_row(one, 0, one, 1, 1),
         "%s: rows or samples are copies of each other", dev->name);
    tape_reset(&w->t);
    const LeadBatch b = pick(w, &src, ROWS, all), p = pick(w, &src, ROWS, turned);
    const Condition cb = lead_condition(&w->t, m, &b), cp = lead_condition(&w->t, m, &p);
    Tensor *x = normal_tensor(w, SHAPE(ROWS, NODES, NODES, 2), 31),
           *y = tensor_new(w->perm, &w->dev, REAL, x->shape, "turned");
    for (int64_t i = 0; i < ROWS; i++) {
        const size_t bytes = tensor_bytes(x) / ROWS;
        memcpy((char *)y->x + (size_t)i * bytes, (char *)x->x + (size_t)turned[i] * bytes, bytes);
    }
    const Tensor *ux = lead_denoise(&w->t, m, x, tape_from_f32(&w->t, SHAPE(ROWS), (float[]){1, 2, 3, 4}),
                                    &(Known){.c = cb, .planes = b.context});
    const Tensor *uy = lead_denoise(&w->t, m, y, tape_from_f32(&w->t, SHAPE(ROWS), (float[]){3, 1, 4, 2}),
                                    &(Known){.c = cp, .planes = p.context});
    for (int64_t i = 0; i < ROWS; i++)
        TEST(log,
             same_row(cb.g, turned[i], cp.g, i, 1) && same_row(cb.s, turned[i], cp.s, i, 1) &&
                 same_row(ux, turned[i], uy, i, 1),
             "%s: permuting the batch does not permute the output, row %lld", dev->name, (long long)i);
    const int before = omp_get_max_threads();
    static const int threads[] = {1, 2, 3, 7};
    for (int i = 0; i < 4; i++) {
        omp_set_num_threads(threads[i]);
        TEST(log, same_bits(one, sampled(w, m, &src, ROWS, all)), "%s: %d threads draw other samples than %d",
             dev->name, threads[i], before);
    }
    omp_set_num_threads(before);
    world_delete(w);
}

// A zero-initialised adapter, or LoRA, leaves the conditions as they are without it.
static void check_adapter_start(TestLog *log, const char *llm)
{
    World *w[3];
    Condition c[3];
    for (int i = 0; i < 3; i++) {
        w[i] = world_new(world_f32(), true);
        LeadConfig cfg = model_config(llm);
        cfg.adapter_width = i == 1 ? 4 : 0;
        cfg.lora_rank = i == 2 ? 2 : 0;
        LeadModel *m = lead_world_model(w[i], &cfg, model_shape(), 0);
        const Source src = source_new(w[i], m);
        const LeadBatch b = pick(w[i], &src, 3, (int64_t[]){0, 1, 2});
        c[i] = lead_condition(&w[i]->t, m, &b);
        TEST(log, (m->adapters != NULL) == (i == 1) && (m->llm->block[0].c_attn.lora_a != NULL) == (i == 2),
             "adapters and LoRA are as configured");
    }
    for (int i = 1; i < 3; i++)
        TEST(log, same_bits(c[0].g, c[i].g) && same_bits(c[0].s, c[i].s),
             "%s: conditions change at the start of training", i == 1 ? "adapters" : "LoRA");
    for (int i = 0; i < 3; i++) world_delete(w[i]);
}

// FiLM and AdaGN with gamma = beta = 0; a U-Net whose modulations are zero does not see g.
static void check_film(TestLog *log, World *w)
{
    Tape *t = &w->t;
    tape_reset(t);
    Tensor *x = normal_tensor(w, SHAPE(3, 5, 5, 8), 41), *zero = tape_zeros(t, SHAPE(3, 16));
    TEST(log, same_bits(x, tape_film(t, x, zero, false)), "FiLM with gamma = beta = 0 is not the identity");
    Tensor *one = tape_zeros(t, SHAPE(8)), *none = tape_zeros(t, SHAPE(8));
    tensor_fill(one, 1);
    const Tensor *gn = tape_group_norm(t, x, one, none, 4, false), *ada = tape_adagn(t, x, zero, 4, false);
    double worst = 0;
    for (int64_t i = 0; i < numel(x); i++)
        worst = check_fold(worst, fabs((double)((float *)gn->x)[i] - (double)((float *)ada->x)[i]));
    TEST(log, worst < 1e-6, "AdaGN with gamma = beta = 0 differs from GroupNorm by %g", worst);
}

// Guidance: 0 the unconditional output, 1 the conditional one, w in between on a line; the null condition matters only
// off 1.
static void check_guidance(TestLog *log, const char *llm)
{
    World *w = world_new(world_f32(), true);
    w->t.record = w->t.training = false;
    LeadConfig cfg = model_config(llm);
    cfg.prediction = PREDICT_X0, cfg.sample_steps = 1, cfg.sample_clip = 0;   // the sample is the network's output at T
    LeadModel *m = lead_world_model(w, &cfg, model_shape(), 0.1);
    const Source src = source_new(w, m);
    static const int64_t row[2] = {0, 1};
    const Tensor *out[3];
    for (int g = 0; g < 3; g++) {
        m->cfg.guidance = g;
        out[g] = sampled(w, m, &src, 2, row);
    }
    const float *u = out[0]->x, *c = out[1]->x, *d = out[2]->x;
    double worst = 0, apart = 0;
    for (int64_t i = 0; i < numel(out[0]); i++) {
        worst = check_fold(worst, fabs((double)d[i] - (2 * (double)c[i] - (double)u[i])));
        apart = check_fold(apart, fabs((double)c[i] - (double)u[i]));
    }
    TEST(log, apart > 1e-3, "the conditional output equals the unconditional one (%g): nothing is shown", apart);
    TEST(log, worst < 1e-5 * (1 + apart), "guidance 2: off u + 2 (c - u) by %g", worst);
    // both outputs computed by hand: noise of the sample's own address, one call at T
    tape_reset(&w->t);
    const LeadBatch b = pick(w, &src, 1, row);
    const Condition k[2] = {lead_condition_drop(&w->t, m, lead_condition(&w->t, m, &b), tape_zeros(&w->t, SHAPE(1))),
                            lead_condition(&w->t, m, &b)};
    for (int g = 0; g < 2; g++) {
        Tensor *z = tape_randn(&w->t, SHAPE(1, NODES, NODES, 2),
                               (RandomAddress){.seed = (uint64_t)cfg.seed, .site = SITE_SAMPLE}, 0);
        const Tensor *by_hand = lead_denoise(&w->t, m, z,
                                             tape_from_f32(&w->t, SHAPE(1), (float[]){(float)cfg.diffusion_steps}),
                                             &(Known){.c = k[g], .planes = b.context});
        TEST(log, memcmp(by_hand->x, out[g]->x, tensor_bytes(by_hand)) == 0,
             "guidance %d is not the %sconditional output", g, g ? "" : "un");
    }
    tensor_fill(m->null_g, 3);
    m->cfg.guidance = 1;
    TEST(log, same_bits(out[1], sampled(w, m, &src, 2, row)), "guidance 1 depends on the null condition");
    m->cfg.guidance = 2;
    TEST(log, !same_bits(out[2], sampled(w, m, &src, 2, row)), "guidance 2 does not depend on the null condition");
    world_delete(w);
}

// Condition dropout: keep = 1 the condition, 0 the null condition, row by row.
static void check_drop(TestLog *log, const char *llm)
{
    World *w = world_new(world_f32(), true);
    const LeadConfig cfg = model_config(llm);
    LeadModel *m = lead_world_model(w, &cfg, model_shape(), 0.1);
    const Source src = source_new(w, m);
    const LeadBatch b = pick(w, &src, 3, (int64_t[]){0, 1, 2});
    const Condition c = lead_condition(&w->t, m, &b),
                    d = lead_condition_drop(&w->t, m, c, tape_from_f32(&w->t, SHAPE(3), (float[]){1, 0, 1}));
    for (int64_t i = 0; i < 3; i++) {
        const bool kept = same_row(c.g, i, d.g, i, 1) && same_row(c.s, i, d.s, i, 1);
        TEST(log, kept == (i != 1), "condition dropout, row %lld", (long long)i);
    }
    const size_t g = tensor_bytes(m->null_g), s = tensor_bytes(m->null_s);
    TEST(log, memcmp((char *)d.g->x + g, m->null_g->x, g) == 0 && memcmp((char *)d.s->x + s, m->null_s->x, s) == 0,
         "a dropped condition is not the null condition");
    world_delete(w);
}

// At its start the network says 0, so the loss is known: mean eps^2, mean x0^2 or mean v^2.
static void check_first_loss(TestLog *log, const char *llm)
{
    for (int p = 0; p < 3; p++) {
        World *w = world_new(world_f32(), true);
        LeadConfig cfg = model_config(llm);
        cfg.prediction = p, cfg.min_snr_gamma = 0, cfg.diffusion_steps = 2, cfg.sample_steps = 1;
        LeadModel *m = lead_world_model(w, &cfg, model_shape(), 0);
        const Source src = source_new(w, m);
        LeadBatch b = pick(w, &src, ROWS, (int64_t[]){0, 1, 2, 3});
        b.target = normal_tensor(w, SHAPE(ROWS, NODES, NODES, 2), 51);
        float loss;
        tape_set_step(&w->t, 17);
        tensor_get_f32(lead_loss(&w->t, m, &b), &loss, 1);
        const Tensor *eps = tape_randn(&w->t, b.target->shape,
                                       (RandomAddress){.seed = (uint64_t)cfg.seed, .site = SITE_NOISE, .step = 17}, 0);
        double want = 0;
        const int64_t n = numel(eps);
        // Stratified times over T = 2: rows 0, 1 are at t = 1 and rows 2, 3 at t = 2.
        for (int64_t i = 0; i < n; i++) {
            const double ab = m->schedule.ab[i < n / 2 ? 1 : 2], e = (double)((float *)eps->x)[i],
                         x = (double)((float *)b.target->x)[i];
            const double y = p == PREDICT_EPS ? e : p == PREDICT_X0 ? x : sqrt(ab) * e - sqrt(1 - ab) * x;
            want += y * y / (double)n;
        }
        TEST(log, fabs((double)loss - want) < 1e-5 * want, "first loss, %s: %.8g, want %.8g", prediction_names[p],
             (double)loss, want);
        world_delete(w);
    }
}

// Every number of nodes: 4 to 64, odd ones and those that halve to odd ones.
static void check_sizes(TestLog *log)
{
    static const int sizes[] = {4, 5, 7, 12, 22, 23, 64};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
        for (int levels = 1; levels <= UNET_MAX_LEVELS; levels++) {
            const int N = sizes[i];
            if (log->quick && (N > 12 || levels == 2)) continue;
            if (N == 64 && levels < 3) continue;   // self-attention over 4096 pixels: minutes
            World *w = world_new(world_f32(), true);
            const UNetConfig c = {.in_channels = 3, .out_channels = 2, .base = 8, .levels = levels,
                                  .mult = {1, 2, 2, 2}, .blocks = 1, .cond_width = 4, .seq_width = 4, .heads = 2};
            const UNet u = unet_new(&w->ps, "unet", c);
            world_randomise(w, 0.05);
            w->t.record = false;
            const Tensor *y = unet_apply(&w->t, &u, normal_tensor(w, SHAPE(1, N, N, 3), 61),
                                         tape_from_f32(&w->t, SHAPE(1), (float[]){9}),
                                         normal_tensor(w, SHAPE(1, 4), 62), normal_tensor(w, SHAPE(1, 2, 4), 63));
            bool finite = true;
            double last_row = 0, last_column = 0;
            for (int64_t k = 0; k < numel(y); k++) {
                const double v = (double)((float *)y->x)[k];
                finite &= isfinite(v) != 0;
                if (k / 2 / N == N - 1) last_row += fabs(v);
                if (k / 2 % N == N - 1) last_column += fabs(v);
            }
            TEST(log, shape_equal(y->shape, SHAPE(1, N, N, 2)) && finite && last_row > 0 && last_column > 0,
                 "U-Net, N = %d, %d levels", N, levels);
            world_delete(w);
        }
}

void test_model(TestLog *log)
{
    World *w64 = world_new(device_cpu_f64(), true), *w32 = world_new(world_f32(), true);
    w64->t.record = w32->t.record = false;
    const char *llm = tiny_llm(log, w64->perm);
    check_schedules(log, w64->perm);
    check_min_snr(log, w64->perm);
    check_diffuse(log);
    check_conversions(log, w64);
    check_truthful(log, w64);
    check_antithetic(log, w64);
    check_order_of_samplers(log, w64);
    check_times(log);
    check_film(log, w32);
    check_adapter_start(log, llm);
    check_guidance(log, llm);
    check_drop(log, llm);
    check_first_loss(log, llm);
    for (int isa = 0; isa < ISA_COUNT; isa++) {
        const Device dev = device_cpu_f32((Isa)isa);
        if (dev.isa == (Isa)isa) check_rows(log, &dev, llm);
        else test_skip(log, "skipped: this CPU has no %s", isa_name((Isa)isa));
    }
    check_sizes(log);
    world_delete(w32);
    world_delete(w64);
}
