// E1 to E9 on a network of four nodes, decoded by hand: every intermediate value is printed, computed here by plain
// loops and formulas from the traffic and the parameters alone, and beside it what the library says.  The text is
// tests/golden/example.txt, to be read beside docs/math.md.
#include "golden.h"
#include "lead_world.h"
#include "plain_lead.h"
#include "plain_sampler.h"
#include "traffic/metrics.h"

enum { N = 4, F = N * N, H = 4, K = 2, D = 4, S = 4, FLOW = 6, AT = 100, STEP = 3 };   // flow 6: node 1 to node 2

typedef struct Example {
    TestLog *log;
    Golden g;
    const SmallLead *x;
    PlainLead m;
    int64_t end;                 // of the training rows
} Example;

// One line of the text; both numbers must agree.
static void line(Example *e, const char *what, double hand, double library)
{
    TEST(e->log, fabs(hand - library) <= 2e-6 * (1 + fabs(library)), "%s: by hand %.9g, library %.9g", what, hand,
         library);
    golden_put(&e->g, "%-48s by hand %13.6g   library %13.6g\n", what, hand, library);
}

static double value_of(const Tensor *x, int64_t i) { return ((const double *)x->x)[i]; }

static double kbps(const Example *e, int64_t t, int f) { return (double)e->x->s.x[t * F + f]; }

static double max_of(const Example *e, int f)
{
    double most = 0;
    for (int64_t t = 0; t < e->end; t++) most = fmax(most, kbps(e, t, f));
    return most;
}

static double scaled(const Example *e, int64_t t, int f) { return kbps(e, t, f) / max_of(e, f); }

// E2: what is usual in the slot of the week of row t
static double usual(const Example *e, int64_t t, int f)
{
    double sum = 0;
    int n = 0;
    for (int64_t u = 0; u < e->end; u++)
        if ((u - t) % (7 * D) == 0) sum += scaled(e, u, f), n++;
    return sum / n;
}

// E2: half over the root mean square of what goes into tanh
static double gain(const Example *e, bool change)
{
    double sum = 0, n = 0;
    for (int64_t t = change ? 1 : 0; t < e->end; t++)
        for (int f = 0; f < F; f++) {
            if (t == 0) continue;   // pairs of neighbours, for both
            sum += pow(scaled(e, t, f) - (change ? scaled(e, t - 1, f) : usual(e, t, f)), 2);
            n++;
        }
    return fmin(0.5 / sqrt(sum / n), 1000);
}

static void scale_and_image(Example *e)
{
    const double *rgb = (double *)e->x->b.frames->x + ((H - 1) * F + FLOW) * 3, u = scaled(e, AT, FLOW);
    line(e, "E1 traffic of flow 6 at row 100, kbit/s", kbps(e, AT, FLOW), (double)e->x->s.x[AT * F + FLOW]);
    line(e, "E1 its largest value in the training rows", max_of(e, FLOW), (double)e->x->st.scale.flowmax_kbps[FLOW]);
    line(e, "E1 scaled", u, value_of(e->x->b.window, H * F + FLOW));
    line(e, "E2 usual in this slot of the week", usual(e, AT, FLOW),
         (double)slot_means_at(&e->x->st.means, &e->x->s, AT, 0)[FLOW]);
    line(e, "E2 gain of the change", gain(e, true), (double)e->x->st.gains.k_g);
    line(e, "E2 gain of the deviation", gain(e, false), (double)e->x->st.gains.k_b);
    line(e, "E2 red", 2 * u - 1, rgb[0]);
    line(e, "E2 green", tanh(gain(e, true) * (u - scaled(e, AT - 1, FLOW))), rgb[1]);
    line(e, "E2 blue", tanh(gain(e, false) * (u - usual(e, AT, FLOW))), rgb[2]);
}

static Map map_of(const Example *e, const Tensor *x, int64_t i, int64_t c)
{
    Map m = map_new(&e->m.p, N, N, c);
    memcpy(m.x, (double *)x->x + i * F * c, (size_t)(F * c) * sizeof *m.x);
    return m;
}

static PlainWindow window_of(const Example *e, Map frame[H])
{
    for (int h = 0; h < H; h++) frame[h] = map_of(e, e->x->b.frames, h, 3);
    return (PlainWindow){frame, e->x->b.slot->x, e->x->b.dow->x,
                         map_of(e, e->x->b.context, 0, e->m.shape.context_channels)};
}

static PlainCondition condition(Example *e, const PlainWindow *w)
{
    const LeadModel *m = e->x->m;
    Tape *t = &e->x->w->t;
    const Plain *p = &e->m.p;
    Tensor *frames = tape_reshape(t, e->x->b.frames, SHAPE(H, N, N, 3)), *f = vision_apply(t, &m->vision, frames);
    line(e, "E3 first feature of the last frame", plain_vision(&e->m, w->frame[H - 1]).x[0],
         value_of(f, (H - 1) * m->cfg.enc_width));
    f = tape_reshape(t, f, SHAPE(1, H, m->cfg.enc_width));
    const Tensor *token = aggregator_apply(t, &m->agg, f, e->x->b.slot, e->x->b.dow);
    const Map tokens = plain_tokens(&e->m, w);
    line(e, "E4 first number of the first token", tokens.x[0], value_of(token, 0));
    line(e, "E4 last number of the last token", tokens.x[tokens.h * tokens.c - 1], value_of(token, numel(token) - 1));
    Map in = plain_linear(p, "to_llm.1", plain_layer_norm(p, "to_llm.norm", tokens, 1e-5));
    in = plain_linear(p, "to_llm.2", plain_each(in, plain_gelu));
    in = plain_layer_norm(p, "to_llm.norm_out", in, 1e-5);
    Tensor *enters = tape_tensor(t, SHAPE(1, in.h, in.c));
    tensor_set_f64(enters, in.x, in.h * in.c);
    const Gpt2Hook adapters = adapter_hook(m->adapters);
    line(e, "E5 GPT-2 with adapters, first number", plain_gpt2(&e->m, in).x[0],
         value_of(gpt2_forward_embeds(t, m->llm, enters, &adapters), 0));
    const PlainCondition c = plain_condition(&e->m, w);
    const Condition l = lead_condition(t, m, &e->x->b);
    line(e, "E6 first number of g", c.g.x[0], value_of(l.g, 0));
    line(e, "E6 first number of S", c.s.x[0], value_of(l.s, 0));
    return c;
}

// E7: the change k steps ahead of row t in units of its mean size over the training windows, and their root mean square
// after asinh
static double change(const Example *e, int64_t t, int f, int k) { return scaled(e, t + 1 + k, f) - scaled(e, t, f); }

static void units(const Example *e, int f, int k, double *sigma, double *gamma)
{
    double size = 0, all = 0, square = 0, n = 0;
    for (int64_t t = H - 1; t + K < e->end; t++, n++) {
        size += fabs(change(e, t, f, k));
        for (int i = 0; i < F * K; i++) all += fabs(change(e, t, i / K, i % K)) / (F * K);
    }
    *sigma = fmax(size / n, all / n / 100);
    for (int64_t t = H - 1; t + K < e->end; t++) square += pow(asinh(change(e, t, f, k) / *sigma), 2) / n;
    *gamma = fmax(sqrt(square), 0.05);
}

static void diffusion(Example *e, const PlainWindow *w, PlainCondition c)
{
    const LeadConfig *cfg = &e->m.cfg;
    const uint64_t seed = (uint64_t)cfg->seed;
    Tape *t = &e->x->w->t;
    double sigma, gamma, times[F], loss = 0;
    units(e, FLOW, 1, &sigma, &gamma);
    line(e, "E7 mean size of its change in two steps", sigma, (double)e->x->st.sigma[F + FLOW]);
    line(e, "E7 root mean square after asinh", gamma, (double)e->x->st.gamma[F + FLOW]);
    line(e, "E7 target x_0", asinh(change(e, AT, FLOW, 1) / sigma) / gamma, value_of(e->x->b.target, FLOW * K + 1));
    const double u = (double)philox_unit(philox_u32(seed, philox_subsequence(SITE_TIMESTEP, STEP), 0));
    const double time = 1 + floor(u * cfg->diffusion_steps);
    const double ab = plain_alpha_bar((ScheduleKind)cfg->schedule, (int)time, cfg->diffusion_steps);
    const double weight = plain_min_snr(PREDICT_V, ab, cfg->min_snr_gamma);
    const DiffusionTimes d = tape_diffusion_times(t, e->x->m->ab, e->x->m->min_snr, 1, 1,
                                                  (RandomAddress){.seed = seed, .site = SITE_NOISE}, 0, t->clock);
    line(e, "E7 time t", time, value_of(d.time, 0));
    line(e, "E7 alpha_bar of t", ab, value_of(d.ab, 0));
    line(e, "E7 weight of the window", weight, value_of(d.weight, 0));
    Map xt = map_new(&e->m.p, N, N, K), v = map_new(&e->m.p, N, N, K);
    for (int i = 0; i < F * K; i++) {
        units(e, i / K, i % K, &sigma, &gamma);
        const double x0 = asinh(change(e, AT, i / K, i % K) / sigma) / gamma;
        const double noise = (double)philox_normal(seed, philox_subsequence(SITE_NOISE, STEP), (uint64_t)i);
        xt.x[i] = sqrt(ab) * x0 + sqrt(1 - ab) * noise;
        v.x[i] = sqrt(ab) * noise - sqrt(1 - ab) * x0;
    }
    for (int f = 0; f < F; f++) times[f] = time;
    const Map out = plain_network(&e->m, xt, times, w->context, c);
    for (int i = 0; i < F * K; i++) loss += weight * pow(out.x[i] - v.x[i], 2) / (F * K);
    golden_put(&e->g, "%-48s %13.6g\n%-48s %13.6g\n%-48s %13.6g\n", "E7 x_t of flow 6, two steps ahead",
               xt.x[FLOW * K + 1], "E7 v that is wanted there", v.x[FLOW * K + 1], "E7 v that the network says there",
               out.x[FLOW * K + 1]);
    line(e, "E7 loss", loss, value_of(lead_loss(t, e->x->m, &e->x->b), 0));
}

// E8: DDIM's three calls from noise; S samples of flow 6, two steps ahead, in kbit/s
static void samples(Example *e, const PlainWindow *w, PlainCondition c, double *z)
{
    const LeadConfig *cfg = &e->m.cfg;
    Tape *t = &e->x->w->t;
    const Sampler how = {.kind = SAMPLER_DDIM, .steps = cfg->sample_steps, .seed = (uint64_t)cfg->seed,
                         .antithetic = true};
    t->record = false;
    Tensor *x0 = lead_sample(t, e->x->m, &e->x->b, 1, S, (int64_t[]){AT}, NULL);
    const Tensor *volume = lead_data_decode(t, &e->x->data, &e->x->b, x0);
    double sigma, gamma, low = 0, high = 0, times[F];
    units(e, FLOW, 1, &sigma, &gamma);
    for (int64_t r = H - 1; r + K < e->end; r++) {
        const double y = asinh(change(e, r, FLOW, 1) / sigma) / gamma;
        low = fmin(low, 1.1 * y), high = fmax(high, 1.1 * y);
    }
    line(e, "E8 most that is decoded", high, (double)e->x->st.high[F + FLOW]);
    for (int s = 0; s < S; s++) {
        Map x = map_new(&e->m.p, N, N, K);
        for (int i = 0; i < F * K; i++) x.x[i] = plain_noise(&how, 0, AT * S + s, F * K, i);
        for (int i = 0; i < how.steps; i++) {
            const int now = plain_time_at(cfg->diffusion_steps, how.steps, i);
            const double ab = plain_alpha_bar((ScheduleKind)cfg->schedule, now, cfg->diffusion_steps);
            const PlainStep step = plain_step(&how, (ScheduleKind)cfg->schedule, cfg->diffusion_steps, -1, now,
                                              plain_time_at(cfg->diffusion_steps, how.steps, i + 1));
            for (int f = 0; f < F; f++) times[f] = now;
            const Map out = plain_network(&e->m, x, times, w->context, c);
            for (int k = 0; k < F * K; k++) {
                const double estimate = plain_x0(PREDICT_V, x.x[k], out.x[k], ab);
                x.x[k] = step.x * x.x[k] + step.x0 * (cfg->sample_clip > 0 ? fmax(-cfg->sample_clip,
                                                      fmin(cfg->sample_clip, estimate)) : estimate);
            }
        }
        const double y = x.x[FLOW * K + 1], d = sigma * sinh(gamma * fmax(low, fmin(high, y)));
        z[s] = fmax(0, scaled(e, AT, FLOW) + d) * max_of(e, FLOW);
        line(e, arena_printf(e->m.p.a, "E8 sample %d: x_0 of flow 6, two steps ahead", s), y,
             value_of(x0, (s * F + FLOW) * K + 1));
        line(e, arena_printf(e->m.p.a, "E8 sample %d: kbit/s", s), z[s], value_of(volume, (s * K + 1) * F + FLOW));
    }
    t->record = true;
}

// E9: distance from what came, and of samples from each other, but not within a pair
static void score(Example *e, const double *z)
{
    const double y = kbps(e, AT + 2, FLOW);
    double away = 0, apart = 0, mean = 0;
    float unsorted[S], sorted[S];
    for (int i = 0; i < S; i++) {
        unsorted[i] = (float)z[i];
        mean += z[i] / S;
        away += fabs(z[i] - y) / S;
        for (int j = 0; j < S; j++)
            if (i / 2 != j / 2) apart += fabs(z[i] - z[j]) / (2.0 * S * (S - 2));
    }
    for (int i = 0; i < S; i++) {
        int at = 0;
        for (int j = 0; j < S; j++) at += unsorted[j] < unsorted[i] || (unsorted[j] == unsorted[i] && j < i);
        sorted[at] = unsorted[i];
    }
    const MetricTerms m = metric_terms((float)y, (float)mean, sorted, S, DIST_PAIRS, metric_within_pairs(unsorted, S));
    line(e, "E9 what came, kbit/s", y, m.y);
    line(e, "E9 error of the mean", mean - y, m.error);
    line(e, "E9 CRPS", away - apart, m.crps);
    // 50 %: positions 1/4 (S + 2) from below and from above
    const double lower = (double)sorted[0] + 0.5 * (double)(sorted[1] - sorted[0]),
                 upper = (double)sorted[3] - 0.5 * (double)(sorted[3] - sorted[2]);
    line(e, "E9 inside the 50 % band (1: yes)", y >= lower && y <= upper, m.in50);
}

void test_example(TestLog *log)
{
    Arena *a = arena_new("example", (size_t)1 << 30, NULL);
    LeadConfig cfg = tiny_lead(tiny_llm(log, a));
    cfg.history = H, cfg.horizon = K, cfg.batch = 1, cfg.samples = S, cfg.sampler = SAMPLER_DDIM, cfg.eta = 0;
    cfg.cond_drop = 0, cfg.dropout = 0, cfg.base = BASE_LAST, cfg.scale = SCALE_FLOWMAX, cfg.antithetic = true;
    cfg.prediction = PREDICT_V, cfg.guidance = 1;
    const Device dev = device_cpu_f64();
    const int64_t at = AT;
    Example e = {.log = log, .x = small_lead_new(log, &dev, &cfg, N, &at, 1, false)};
    e.m = (PlainLead){{&e.x->w->ps, a}, cfg, e.x->m->shape, tiny_config()};
    e.end = traffic_splits(e.x->s.T, PROTOCOL_CLEAN).train.end;
    golden_begin(&e.g);
    Map frame[H];
    double z[S];
    tape_set_step(&e.x->w->t, STEP);
    scale_and_image(&e);
    const PlainWindow w = window_of(&e, frame);
    const PlainCondition c = condition(&e, &w);
    diffusion(&e, &w, c);
    samples(&e, &w, c, z);
    score(&e, z);
    golden_end(log, &e.g, "example", 2e-5, 2e-6);
    world_delete(e.x->w);
    arena_delete(a);
}
