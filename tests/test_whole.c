// The whole model a second time: training loss and samples of every kind of configuration beside plain loops over one
// window, in double (plain_lead.h, plain_sampler.h).  What a batch holds (frames, planes, base) is taken as given:
// test_features derives that a second time.
#include "lead_world.h"
#include "plain_lead.h"
#include "plain_sampler.h"

enum { NODES = 5, F = NODES * NODES, B = 3, K = 2, STEP = 9 };
static const int64_t at_rows[B] = {20, 33, 47};

typedef struct Setup {
    const char *what, *keys;
    bool missing;                 // some targets were not measured
} Setup;

#define FLOWS "denoiser=flow conditions=none mean_head=true scale_head=true "
#define FLOWS_OF_RIDGE FLOWS "base=ridge history=12 flow_context=true "
#define LINEAR_VISION "vision=linear llm_kind=none denoiser=unet unet_levels=1 "

static const Setup cases[] = {
    {"flows with heads", FLOWS, false},
    {"flows with heads, targets missing", FLOWS, true},
    {"flows, mean head alone, epsilon",
     FLOWS "scale_head=false prediction=epsilon schedule=linear loss_traffic=0.5 min_snr_gamma=0 samples=3", false},
    {"flows, scale head alone, x0", FLOWS "mean_head=false prediction=x0 min_snr_gamma=1", false},
    {"flows without heads, traffic loss", FLOWS "mean_head=false scale_head=false loss_traffic=0.7", false},
    {"flows, ridge", FLOWS_OF_RIDGE "seed=3", false},
    {"flows, ridge of each day, or a moving average", FLOWS_OF_RIDGE "base=ridge-online base_blend=true", true},
    {"flows told apart by their statistics", FLOWS_OF_RIDGE "flow_identity=statistics", false},
    {"flows with g", FLOWS "conditions=global cond_drop=0.4", false},
    {"flows with g and S, no image, LoRA",
     FLOWS "conditions=dual vision=none adapter_width=0 lora_rank=2 lora_targets=all lora_alpha=3", false},
    {"U-Net, g and S", "loss_pool=0.3 loss_sobel=0.2 loss_traffic=0.5 cond_drop=0.4", false},
    {"U-Net, g and S, targets missing", "loss_pool=0.3 loss_sobel=0.2 loss_traffic=0.5", true},
    {"U-Net of three levels and two blocks", "unet_levels=3 unet_blocks=2 conditions=none", false},
    {"U-Net with heads", "mean_head=true scale_head=true conditions=global schedule=scaled-linear", false},
    {"U-Net with S alone, mean head", "mean_head=true conditions=sequence cond_drop=0.5 prediction=x0", false},
    {"U-Net without planes", "pixel_condition=false prediction=epsilon loss_pool=0.3 seed=8", false},
    {"U-Net and flows", "denoiser=both mean_head=true scale_head=true cond_drop=0.4", false},
    {"U-Net and flows, S alone", "denoiser=both conditions=sequence loss_pool=0.3", false},
    {"images of levels", "target=level loss_pool=0.3 loss_sobel=0.2", false},
    {"images of levels, grey, single-scale vision", "target=level encoding=grey vision=single enc_stages=3", false},
    {"attention in place of GPT-2", LINEAR_VISION "llm_kind=attention adapter_width=0", false},
    {"nothing in place of GPT-2", LINEAR_VISION "adapter_width=0", false},
    {"random GPT-2 with adapters", LINEAR_VISION "llm_kind=random", false},
    {"LoRA on c_attn", LINEAR_VISION "llm_kind=gpt2 adapter_width=0 lora_rank=3", false},
    {"LoRA on attention, and adapters", LINEAR_VISION "llm_kind=gpt2 lora_rank=1 lora_targets=attention", false},
};
enum { N_CASES = sizeof cases / sizeof *cases };

static LeadConfig case_config(const char *llm, const Setup *c)
{
    static const char *const small =
        "history=3 horizon=2 samples=4 sample_steps=3 diffusion_steps=20 cond_width=8 flow_width=8 flow_hidden=8 "
        "enc_base=4 enc_stages=2 enc_width=8 agg_layers=1 agg_heads=2 tokens=3 adapter_width=4 unet_base=8 "
        "unet_levels=2 unet_blocks=1 unet_heads=3 dropout=0 cond_drop=0 min_snr_gamma=5";
    LeadConfig cfg = tiny_lead(llm);
    char text[600], *rest = text;
    snprintf(text, sizeof text, "%s %s", small, c->keys);
    for (char *key = strtok_r(text, " ", &rest); key; key = strtok_r(NULL, " ", &rest)) {
        char *value = strchr(key, '=');
        *value++ = 0;
        const Status s = config_set(&cfg, key, value);
        CHECK(!s.code, "%s", s.msg);
    }
    return cfg;
}

// ---- one window, as plain values

static Map map_of(const Plain *p, const Tensor *x, int64_t i, int64_t h, int64_t w, int64_t c)
{
    Map m = map_new(p, h, w, c);
    memcpy(m.x, (double *)x->x + i * h * w * c, (size_t)(h * w * c) * sizeof *m.x);
    return m;
}

static PlainWindow window_of(const PlainLead *m, const LeadBatch *b, int i)
{
    const Plain *p = &m->p;
    const int64_t H = m->cfg.history, N = NODES;
    Map *frame = arena_alloc(p->a, (size_t)H * sizeof *frame);
    for (int64_t h = 0; h < H; h++) frame[h] = map_of(p, b->frames, i * H + h, N, N, m->shape.image_channels);
    return (PlainWindow){frame, (int32_t *)b->slot->x + i * H, (int32_t *)b->dow->x + i * H,
                         b->context ? map_of(p, b->context, i, N, N, m->shape.context_channels) : (Map){0}};
}

typedef struct Heads { Map location, log_scale; } Heads;   // [N,N,K]; .x = NULL: there is none

// raw: before bounds and trust.  Flow 5 is silent in most rows, so its base stays.
static Heads heads_of(const PlainLead *m, Map context, bool raw)
{
    const Plain *p = &m->p;
    Heads y = {{0}, {0}};
    Map *const out[2] = {&y.location, &y.log_scale};
    const char *const name[2] = {"heads.location", "heads.log_scale"};
    const double most[2] = {30, 3};
    for (int i = 0; i < 2; i++) {
        if (!(i ? m->cfg.scale_head : m->cfg.mean_head)) continue;
        *out[i] = map_new(p, NODES, NODES, K);
        for (int f = 0; f < F; f++) {
            const Map one = plain_linear(p, name[i],
                                         plain_trunk(p, "heads", (Map){1, 1, context.c, context.x + f * context.c}, f));
            for (int k = 0; k < K; k++)
                out[i]->x[f * K + k] = raw ? one.x[k] : f == 5 ? 0 : fmax(-most[i], fmin(most[i], one.x[k]));
        }
    }
    return y;
}

// ---- the loss

typedef struct Second {
    const SmallLead *x;
    PlainLead m;
} Second;

static double unit(const LeadConfig *c, uint32_t site, int64_t at)
{
    return (double)philox_unit(philox_u32((uint64_t)c->seed, philox_subsequence(site, STEP), (uint64_t)at));
}

// Change of flow f k steps ahead of window b from its base, in units of its spread.
static double residual_of(const SmallLead *x, int b, int f, int k)
{
    const int H = x->cfg.history, kf = k * F + f;
    const double *u = (double *)x->b.window->x + b * x->b.window->shape.d[1] * F;
    const double base = x->b.base ? ((double *)x->b.base->x)[b * K * F + kf] : u[H * F + f];
    return (u[(H + 1 + k) * F + f] - base) / (double)x->st.sigma[kf];
}

static double seen_of(const SmallLead *x, int b, int f, int k)
{
    return x->s.seen ? x->s.seen[(at_rows[b] + 1 + k) * F + f] : 1;
}

static double huber4(double e) { return fabs(e) <= 4 ? e * e / 2 : 4 * (fabs(e) - 2); }

// What the heads add to the loss: of window b, over all windows' values.
static double heads_loss(const Second *s, int b, Heads raw, Heads used)
{
    double sum = 0;
    for (int i = 0; i < F * K; i++) {
        const double seen = seen_of(s->x, b, i / K, i % K), z = residual_of(s->x, b, i / K, i % K);
        if (raw.location.x) sum += huber4(seen * (raw.location.x[i] - fmax(-30, fmin(30, z)))) / (B * F * K);
        if (!raw.log_scale.x) continue;
        const double away = fabs(used.location.x ? z - used.location.x[i] : z) + 0.1;
        sum += 0.5 * pow(seen * (raw.log_scale.x[i] - (double)logl((long double)away)), 2) / (B * F * K);
    }
    return sum;
}

// What the network is to draw of window b: the residual that the heads leave, or the images of the next matrices.
static Map target_of(const Second *s, int b, Heads used)
{
    const PlainLead *m = &s->m;
    const int64_t C = m->shape.target_channels;
    Map y = map_of(&m->p, s->x->b.target, b, NODES, NODES, C);
    for (int i = 0; i < F * K && m->cfg.target == TARGET_RESIDUAL; i++) {
        const double z = residual_of(s->x, b, i / K, i % K) - (used.location.x ? used.location.x[i] : 0);
        y.x[i] = asinh(z / (used.log_scale.x ? exp(used.log_scale.x[i]) : 1)) /
                 (double)s->x->st.gamma[i % K * F + i / K];
    }
    return y;
}

// The weighted error of the implied x0 in 2x2 squares; of an odd size the last row and column count nothing.
static double pool_loss(Map x, Map y, double ab)
{
    const int64_t h = x.h / 2, w = x.w / 2;
    double sum = 0;
    for (int64_t i = 0; i < h; i++)
        for (int64_t j = 0; j < w; j++)
            for (int64_t k = 0; k < x.c; k++) {
                double d = 0;
                for (int64_t q = 0; q < 4; q++) {
                    const int64_t row = 2 * i + q / 2, column = 2 * j + q % 2;
                    d += (pixel_of(x, row, column)[k] - pixel_of(y, row, column)[k]) / 4;
                }
                sum += d * d;
            }
    return ab * sum / (double)(B * h * w * x.c);
}

// .. of its slopes: (1 2 1) across, (-1 0 1) along, both ways; zeros outside.
static double sobel_loss(Map x, Map y, double ab)
{
    double sum = 0;
    for (int64_t i = 0; i < x.h; i++)
        for (int64_t j = 0; j < x.w; j++)
            for (int64_t k = 0; k < x.c; k++) {
                double down = 0, right = 0;
                for (int64_t a = -1; a <= 1; a++)
                    for (int64_t e = -1; e <= 1; e++) {
                        if (i + a < 0 || j + e < 0 || i + a >= x.h || j + e >= x.w) continue;
                        const double d = pixel_of(x, i + a, j + e)[k] - pixel_of(y, i + a, j + e)[k];
                        down += (double)a * (e ? 1 : 2) * d;
                        right += (double)e * (a ? 1 : 2) * d;
                    }
                sum += down * down + right * right;
            }
    return ab * sum / (double)(B * x.h * x.w * x.c * 2);
}

// The root of flow f's share of the next matrix k, mean 1.
static double share_of(const SmallLead *x, int b, int f, int k)
{
    const double *next = (double *)x->b.window->x + (b * x->b.window->shape.d[1] + x->cfg.history + 1 + k) * F;
    double mean = 0;
    for (int i = 0; i < F; i++) mean += next[i] / F;
    return sqrt(next[f] / mean);
}

typedef struct Drawn { double time[F], ab[F], weight[F], kept; Map noise; } Drawn;

// Times, noise and whether the condition stays, of window b.  With flows alone, each flow has its own time.
static Drawn drawn_for(const Second *s, int b)
{
    const LeadConfig *c = &s->m.cfg;
    const bool alone = c->denoiser == DENOISER_FLOW;
    const int64_t C = s->m.shape.target_channels, each = alone ? C : F * C, padded = (each + 3) / 4 * 4;
    Drawn d = {.kept = unit(c, SITE_COND_DROP, alone ? b * F : b) >= c->cond_drop,
               .noise = map_new(&s->m.p, NODES, NODES, C)};
    for (int f = 0; f < F; f++) {
        const int64_t row = alone ? b * F + f : b;
        const double place = alone ? unit(c, SITE_TIMESTEP, row) : (b + unit(c, SITE_TIMESTEP, b)) / B;
        d.time[f] = 1 + floor(place * c->diffusion_steps);
        const double ab = plain_alpha_bar((ScheduleKind)c->schedule, (int)d.time[f], c->diffusion_steps);
        d.ab[f] = (double)(float)ab;   // kept in floats
        d.weight[f] = (double)(float)plain_min_snr((Prediction)c->prediction, ab, c->min_snr_gamma);
        for (int64_t k = 0; k < C; k++)
            d.noise.x[f * C + k] =
                (double)philox_normal((uint64_t)c->seed, philox_subsequence(SITE_NOISE, STEP),
                                      (uint64_t)(row * padded + (alone ? k : f * C + k)));
    }
    return d;
}

static double window_loss(const Second *s, int b)
{
    const PlainLead *m = &s->m;
    const LeadConfig *c = &m->cfg;
    const Prediction p = (Prediction)c->prediction;
    const int64_t C = m->shape.target_channels, per = C / K;
    const PlainWindow w = window_of(m, &s->x->b, b);
    const Heads raw = heads_of(m, w.context, true), used = heads_of(m, w.context, false);
    const Drawn d = drawn_for(s, b);
    const PlainCondition given = plain_condition(m, &w), null = plain_null(m);
    const PlainCondition told = {given.g.x && d.kept < 1 ? null.g : given.g,
                                 given.s.x && d.kept < 1 ? null.s : given.s};
    Map x0 = target_of(s, b, used), xt = map_new(&m->p, NODES, NODES, C), implied = map_new(&m->p, NODES, NODES, C);
    double loss = heads_loss(s, b, raw, used);
    for (int64_t i = 0; i < F * C; i++) {
        const double ab = d.ab[i / C];
        x0.x[i] *= seen_of(s->x, b, (int)(i / C), (int)(i % C / per));
        xt.x[i] = sqrt(ab) * x0.x[i] + sqrt(1 - ab) * d.noise.x[i];
    }
    const Map out = plain_network(m, xt, d.time, plain_known(m, w.context, used.location, used.log_scale), told);
    for (int64_t i = 0; i < F * C; i++) {
        const int f = (int)(i / C), k = (int)(i % C / per);
        const double ab = d.ab[f], seen = seen_of(s->x, b, f, k);
        const double e = seen * (out.x[i] - plain_target_of(p, x0.x[i], d.noise.x[i], ab));
        implied.x[i] = seen * plain_x0(p, xt.x[i], out.x[i], ab);
        loss += d.weight[f] * e * e / (double)(B * F * C);
        const double far = implied.x[i] - x0.x[i];
        loss += c->loss_traffic * ab * pow(share_of(s->x, b, f, k) * far, 2) / (double)(B * F * C);
    }
    if (c->loss_pool > 0) loss += c->loss_pool * pool_loss(implied, x0, d.ab[0]);
    if (c->loss_sobel > 0) loss += c->loss_sobel * sobel_loss(implied, x0, d.ab[0]);
    return loss;
}

static void check_loss(TestLog *log, const char *what, const Second *s)
{
    Tape *t = &s->x->w->t;
    tape_reset(t);
    tape_set_step(t, STEP);
    const double got = ((double *)lead_loss(t, s->x->m, &s->x->b)->x)[0];
    double want = 0;
    for (int b = 0; b < B; b++) want += window_loss(s, b);
    TEST(log, fabs(got - want) <= 1e-9 * want && want > 0.01, "%s: the loss is %.14g, by plain loops %.14g", what, got,
         want);
}

// ---- samples

static const int64_t drawn_at[B] = {7, 3, 4};

static Map plain_guided(const Second *s, Map x, int time, Map known, PlainCondition c)
{
    double times[F];
    for (int f = 0; f < F; f++) times[f] = time;
    const Map with = plain_network(&s->m, x, times, known, c);
    const double w = s->m.cfg.guidance;
    if (w == 1) return with;
    const PlainCondition null = plain_null(&s->m);
    const Map without = plain_network(&s->m, x, times, known,
                                      (PlainCondition){c.g.x ? null.g : c.g, c.s.x ? null.s : c.s});
    for (int64_t i = 0; i < F * x.c; i++) with.x[i] = without.x[i] + w * (with.x[i] - without.x[i]);
    return with;
}

static Map plain_sample(const Second *s, const Sampler *how, int64_t row, Map known, PlainCondition told)
{
    const LeadConfig *c = &s->m.cfg;
    const int T = c->diffusion_steps;
    const ScheduleKind kind = (ScheduleKind)c->schedule;
    const int64_t C = s->m.shape.target_channels, n = F * C;
    Map x = map_new(&s->m.p, NODES, NODES, C), before = map_new(&s->m.p, NODES, NODES, C);
    for (int64_t i = 0; i < n; i++) x.x[i] = plain_noise(how, 0, row, n, i);
    for (int i = 0, earlier = -1; i < how->steps; i++) {
        const int now = plain_time_at(T, how->steps, i), next = plain_time_at(T, how->steps, i + 1);
        const double ab = plain_alpha_bar(kind, now, T);
        const PlainStep step = plain_step(how, kind, T, earlier, now, next);
        const Map out = plain_guided(s, x, now, known, told);
        for (int64_t k = 0; k < n; k++) {
            double x0 = plain_x0((Prediction)c->prediction, x.x[k], out.x[k], ab);
            if (how->clip > 0) x0 = fmax(-how->clip, fmin(how->clip, x0));
            const double z = step.z > 0 ? plain_noise(how, i + 1, row, n, k) : 0;
            x.x[k] = step.x * x.x[k] + step.x0 * x0 + step.before * before.x[k] + step.z * z;
            before.x[k] = x0;
        }
        earlier = now;
    }
    return x;
}

// The last window's samples, drawn with the others.
static void check_samples(TestLog *log, const char *what, Second *s, const LeadConfig *how)
{
    const SmallLead *x = s->x;
    Tape *t = &x->w->t;
    const int b = B - 1;
    const size_t mark = arena_mark(s->m.p.a);
    LeadBatch batch = x->b;
    tape_reset(t);
    t->record = false;
    x->m->cfg = s->m.cfg = *how;
    batch.moments = lead_moments(t, x->m, &batch);
    const Tensor *got = lead_sample(t, x->m, &batch, B, how->samples, drawn_at, NULL);
    const int S = how->samples;   // odd: no pairs, one would belong to two windows
    const Sampler plain = {.kind = (SamplerKind)how->sampler, .steps = how->sample_steps, .eta = how->eta,
                           .clip = how->sample_clip, .seed = (uint64_t)how->seed,
                           .antithetic = how->antithetic && S % 2 == 0};
    const PlainWindow w = window_of(&s->m, &x->b, b);
    const Heads used = heads_of(&s->m, w.context, false);
    const PlainCondition told = plain_condition(&s->m, &w);
    const Map known = plain_known(&s->m, w.context, used.location, used.log_scale);
    const int64_t n = F * s->m.shape.target_channels;
    double worst = 0, size = 0;
    for (int64_t i = 0; i < S; i++) {
        const Map want = plain_sample(s, &plain, drawn_at[b] * S + i, known, told);
        for (int64_t k = 0; k < n; k++) {
            worst = check_fold(worst, fabs(want.x[k] - ((double *)got->x)[(b * S + i) * n + k]));
            size = fmax(size, fabs(want.x[k]));
        }
    }
    TEST(log, worst < 1e-9 * (1 + size) && size > 0.1,
         "%s, sampler %d, guidance %g, clip %g: samples are off by %g of %g", what, how->sampler, how->guidance,
         how->sample_clip, worst, size);
    t->record = true;
    x->m->cfg = s->m.cfg = x->cfg;
    arena_rewind(s->m.p.a, mark);
}

static void check_case(TestLog *log, const char *llm, int i)
{
    const Device dev = device_cpu_f64();
    const LeadConfig cfg = case_config(llm, &cases[i]);
    SmallLead *x = small_lead_new(log, &dev, &cfg, NODES, at_rows, B, cases[i].missing);
    Second s = {x, {{&x->w->ps, arena_new("plain", (size_t)1 << 32, NULL)}, cfg, x->m->shape, tiny_config()}};
    CHECK(s.m.p.a, "no address space");
    const bool pairs = cfg.flow_identity == IDENTITY_PAIR;
    for (int k = 0; k < 2; k++)
        TEST(log, !param_find(&x->w->ps, k ? "flow.in.weight" : "heads.in.weight") ||
                      pairs == (param_find(&x->w->ps, k ? "flow.pair" : "heads.pair") != NULL),
             "%s: an embedding of pairs where there should be none, or none", cases[i].what);
    check_loss(log, cases[i].what, &s);
    LeadConfig how = cfg;
    how.sampler = i % 3;
    how.eta = i % 2 ? 0.6 : 0;
    how.antithetic = i % 4 < 2;
    how.sample_clip = i % 5 ? 6 : 0.3;
    how.guidance = i % 2 ? 1.7 : 1;
    how.sample_steps = 2 + i % 4;
    check_samples(log, cases[i].what, &s, &how);
    arena_delete(s.m.p.a);
    world_delete(x->w);
}

void test_whole(TestLog *log)
{
    Arena *a = arena_new("names", (size_t)1 << 27, NULL);
    const char *llm = tiny_llm(log, a);
    for (int i = 0; i < N_CASES; i++) check_case(log, llm, i);
    arena_delete(a);
}
