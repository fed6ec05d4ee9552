// Networks over flows (lead/flow.h), and what LEAD makes of them: location, scale, shape (E7), the loss, samples and
// their spread.  Everything is derived a second time by plain loops over single flows, in double; gradients against
// central differences where the loss has no constants made of parameters.
#include <math.h>
#include <omp.h>

#include "lead/calibrate.h"
#include "lead_world.h"
#include "plain_lead.h"

enum { N = 4, F = N * N, B = 3, H = 3, K = 2, WIDTH = 8, HIDDEN = 6, COND = 4 };

// ---- a small LEAD

static const int64_t at_rows[B] = {20, 33, 47};

static LeadConfig small_config(const char *llm)
{
    LeadConfig c = tiny_lead(llm);
    c.history = H, c.horizon = K, c.batch = B, c.samples = 4;
    c.mean_head = c.scale_head = true, c.denoiser = DENOISER_FLOW, c.conditions = CONDITIONS_NONE;
    c.flow_width = WIDTH, c.flow_hidden = HIDDEN, c.cond_width = COND, c.cond_drop = 0;
    c.enc_base = 2, c.enc_stages = 1, c.enc_width = 4, c.agg_layers = 1, c.tokens = 2, c.adapter_width = 4;
    c.unet_base = 4, c.unet_levels = 1, c.unet_heads = 1;
    return c;
}

static double clamped(double x, double most) { return fmax(-most, fmin(most, x)); }

static Map one_flow(const Plain *p, const double *x, int64_t n)
{
    Map m = map_new(p, 1, 1, n);
    memcpy(m.x, x, (size_t)n * sizeof *x);
    return m;
}

// Location and log scale of flow f of window b, [2 K]; raw: before bounds and trust.
static void plain_moments(const SmallLead *x, int b, int f, bool raw, double *out)
{
    const Plain p = {&x->w->ps, x->w->scratch};
    const size_t mark = arena_mark(p.a);
    const int C = x->m->shape.context_channels;
    const Map h = plain_trunk(&p, "heads", one_flow(&p, (double *)x->b.context->x + (b * F + f) * C, C), f);
    memcpy(out, plain_linear(&p, "heads.location", h).x, K * sizeof *out);
    memcpy(out + K, plain_linear(&p, "heads.log_scale", h).x, K * sizeof *out);
    for (int k = 0; k < K && !raw; k++) {
        const double trust = f == 5 ? 0 : 1;
        out[k] = trust * clamped(out[k], 30);
        out[K + k] = trust * clamped(out[K + k], 3);
    }
    arena_rewind(p.a, mark);
}

// The denoiser's output for one flow: x [K], condition input `known` of n values, g [COND] or NULL.
static void plain_denoise(const World *w, const double *x, double time, const double *known, int n, int f,
                          const double *g, double *out)
{
    const Plain p = {&w->ps, w->scratch};
    const size_t mark = arena_mark(p.a);
    const Map y = plain_flow(&p, one_flow(&p, x, K), time, one_flow(&p, known, n), f,
                             g ? one_flow(&p, g, COND) : (Map){0});
    memcpy(out, y.x, K * sizeof *out);
    arena_rewind(p.a, mark);
}

static void check_moments(TestLog *log, const SmallLead *x)
{
    x->w->t.record = false;
    const ResidualMoments m = lead_moments(&x->w->t, x->m, &x->b);
    double worst = 0, sum = 0, silent = 0;
    for (int b = 0; b < B; b++)
        for (int f = 0; f < F; f++) {
            double want[2 * K];
            plain_moments(x, b, f, false, want);
            for (int k = 0; k < K; k++) {
                const int64_t i = (b * F + f) * K + k;
                const double a = ((double *)m.location->x)[i], c = ((double *)m.log_scale->x)[i];
                worst = check_fold(worst, fabs(a - want[k]) + fabs(c - want[K + k]));
                sum += fabs(a) + fabs(c);
                if (f == 5) silent += fabs(a) + fabs(c);
            }
        }
    TEST(log, worst < 1e-12 && sum > 1, "location and log scale are off by %g, of %g in all", worst, sum);
    TEST(log, silent == 0, "a flow that is silent in most rows has a location or scale: %g", silent);
}

// ---- the loss

// What flow f of window b is to draw (x_0), its residual z, and where it is expected.
typedef struct Drawn { double z[K], moments[2 * K], raw[2 * K], x0[K]; } Drawn;

static Drawn plain_target(const SmallLead *x, int b, int f)
{
    Drawn d;
    const int64_t W = x->b.window->shape.d[1];
    const double *u = (double *)x->b.window->x + b * W * F;
    plain_moments(x, b, f, false, d.moments);
    plain_moments(x, b, f, true, d.raw);
    for (int k = 0; k < K; k++) {
        d.z[k] = (u[(H + 1 + k) * F + f] - u[H * F + f]) / (double)x->st.sigma[k * F + f];   // base: the last matrix
        d.x0[k] = asinh((d.z[k] - d.moments[k]) / exp(d.moments[K + k])) / (double)x->st.gamma[k * F + f];
    }
    return d;
}

static double huber4(double e) { return fabs(e) <= 4 ? e * e / 2 : 4 * (fabs(e) - 2); }

static void check_loss(TestLog *log, SmallLead *x)
{
    Tape *t = &x->w->t;
    const int C = x->m->shape.context_channels;
    const RandomAddress at = {.seed = (uint64_t)x->cfg.seed, .site = SITE_NOISE};
    tape_reset(t);
    tape_set_step(t, 9);
    const double got = ((double *)lead_loss(t, x->m, &x->b)->x)[0];
    const DiffusionTimes d = tape_diffusion_times(t, x->m->ab, x->m->min_snr, B * F, 1, at, 0, t->clock);
    const double *eps = tape_randn_clock(t, SHAPE(B * F, K), at, 0)->x;
    double diffusion = 0, location = 0, scale = 0;
    for (int i = 0; i < B * F; i++) {
        const Drawn w = plain_target(x, i / F, i % F);
        const double ab = ((double *)d.ab->x)[i], weight = ((double *)d.weight->x)[i];
        double xt[K], out[K], known[160];
        memcpy(known, (double *)x->b.context->x + i * C, (size_t)C * sizeof *known);
        memcpy(known + C, w.moments, sizeof w.moments);
        for (int k = 0; k < K; k++) xt[k] = sqrt(ab) * w.x0[k] + sqrt(1 - ab) * eps[i * K + k];
        plain_denoise(x->w, xt, ((double *)d.time->x)[i], known, C + 2 * K, i % F, NULL, out);
        for (int k = 0; k < K; k++) {
            const double v = sqrt(ab) * eps[i * K + k] - sqrt(1 - ab) * w.x0[k], n = B * F * K;
            diffusion += weight * pow(out[k] - v, 2) / n;
            location += huber4(w.raw[k] - clamped(w.z[k], 30)) / n;
            const double size = (double)logl((long double)fabs(w.z[k] - w.moments[k]) + 0.1L);   // `log` is the test's
            scale += pow(w.raw[K + k] - size, 2) / n;
        }
    }
    const double want = diffusion + location + scale / 2;
    TEST(log, fabs(got - want) < 1e-10 * want, "the loss is %.12g, by hand %.12g = %g + %g + %g / 2", got, want,
         diffusion, location, scale);
}

// ---- denoising with a condition

static void check_denoiser(TestLog *log, const char *llm, ConditionKind conditions)
{
    LeadConfig cfg = small_config(llm);
    cfg.conditions = conditions, cfg.mean_head = cfg.scale_head = false;
    const Device dev = device_cpu_f64();
    SmallLead *x = small_lead_new(log, &dev, &cfg, N, at_rows, B, false);
    Tape *t = &x->w->t;
    t->record = false;
    const Condition c = lead_condition(t, x->m, &x->b);
    const Known known = lead_known(t, x->m, &x->b, c);
    Tensor *xt = normal_tensor(x->w, SHAPE(B, N, N, K), 5), *time = tape_from_f32(t, SHAPE(B), (float[]){3, 17, 40});
    const double *got = lead_denoise(t, x->m, xt, time, &known)->x;
    const int C = x->m->shape.context_channels;
    double worst = 0, size = 0;
    for (int i = 0; i < B * F; i++) {
        double in[160], out[K];
        memcpy(in, (double *)x->b.context->x + i * C, (size_t)C * sizeof *in);
        plain_denoise(x->w, (double *)xt->x + i * K, ((double *)time->x)[i / F], in, C, i % F,
                      c.g ? (double *)c.g->x + i / F * COND : NULL, out);
        for (int k = 0; k < K; k++) {
            worst = check_fold(worst, fabs(out[k] - got[i * K + k]));
            size = fmax(size, fabs(out[k]));
        }
    }
    TEST(log, worst < 1e-11 && size > 0.1, "flow denoiser, conditions %d: off by %g of %g", conditions, worst, size);
    TEST(log, (c.g != NULL) == (conditions != CONDITIONS_NONE), "conditions %d: g is %p", conditions, (void *)c.g);
    world_delete(x->w);
}

// Networks without an embedding of pairs: no parameter has the size of the network of nodes, and any number of flows
// goes through.
static void check_without_pairs(TestLog *log)
{
    enum { C = 5, FLOWS = 7 };
    World *w = world_new(device_cpu_f64(), false);
    const FlowSizes s = {.flows = 0, .planes = C, .steps = K, .width = WIDTH, .hidden = HIDDEN};
    const FlowHeads heads = flow_heads_new(&w->ps, "heads", &s, true, true);
    const FlowDenoiser denoiser = flow_denoiser_new(&w->ps, "flow", &s);
    world_randomise(w, 0.3);
    Tape *t = &w->t;
    t->record = false;
    Tensor *planes = normal_tensor(w, SHAPE(B, FLOWS, C), 3), *xt = normal_tensor(w, SHAPE(B, FLOWS, K), 4);
    Tensor *time = tape_from_f32(t, SHAPE(B), (float[]){3, 17, 40});
    const double *location = flow_heads_apply(t, &heads, planes).location->x;
    Tensor *known = flow_condition(t, &denoiser, planes, (ResidualMoments){0});
    const double *drawn = flow_denoise(t, &denoiser, xt, time, known, NULL)->x;
    double worst = 0, size = 0;
    for (int i = 0; i < B * FLOWS; i++) {
        const Plain p = {&w->ps, w->scratch};
        const size_t mark = arena_mark(p.a);
        double want[K], out[K];
        const double *in = (double *)planes->x + i * C;
        const Map h = plain_trunk(&p, "heads", one_flow(&p, in, C), 0);
        memcpy(want, plain_linear(&p, "heads.location", h).x, sizeof want);
        arena_rewind(p.a, mark);
        plain_denoise(w, (double *)xt->x + i * K, ((double *)time->x)[i / FLOWS], in, C, 0, NULL, out);
        for (int k = 0; k < K; k++) {
            worst = check_fold(worst, fabs(want[k] - location[i * K + k]) + fabs(out[k] - drawn[i * K + k]));
            size = fmax(size, fmin(fabs(want[k]), fabs(out[k])));
        }
    }
    TEST(log, worst < 1e-11 && size > 0.1, "without pairs: off by %g of %g", worst, size);
    world_delete(w);
}

// ---- gradients

typedef struct GradientCase { const SmallLead *x; ResidualMoments use; } GradientCase;

static Tensor *loss_of_all(Tape *t, void *ctx)
{
    const GradientCase *c = ctx;
    tape_set_step(t, 7);
    return lead_loss(t, c->x->m, &c->x->b);
}

static Tensor *loss_of_heads(Tape *t, void *ctx)
{
    const GradientCase *c = ctx;
    const LeadBatch *b = &c->x->b;
    Tensor *planes = tape_reshape(t, b->context, SHAPE(B, F, c->x->m->shape.context_channels));
    return flow_heads_loss(t, flow_heads_apply(t, &c->x->m->heads, planes), c->use, b->window, b->base, b->units, H,
                           NULL);
}

// prefix: of the parameters whose gradient is checked
static void check_gradients(TestLog *log, const char *what, const SmallLead *x, ModuleLoss *loss, const char *prefix)
{
    Tensor *in[512];
    int n = 0;
    for (int i = 0; i < x->w->ps.n; i++) {
        Param *p = x->w->ps.p[i];
        if (!p->frozen && !strncmp(p->t.name, prefix, strlen(prefix))) in[n++] = &p->t;
    }
    GradientCase c = {x, {normal_tensor(x->w, SHAPE(B, F, K), 8), NULL}};
    module_gradients(log, what, x->w, loss, &c, in, n);
}

static void check_all_gradients(TestLog *log, const char *llm)
{
    static const struct { const char *what; DenoiserKind denoiser; ConditionKind conditions; double drop;
                          const char *checked; VisionKind vision; LlmKind llm; } cases[] = {
        {"flow denoiser alone", DENOISER_FLOW, CONDITIONS_NONE, 0, "", 0, 0},
        {"flow denoiser with g, some dropped", DENOISER_FLOW, CONDITIONS_GLOBAL, 0.4, "cond.", 0, 0},
        {"vision of one scale, attention for the LLM", DENOISER_FLOW, CONDITIONS_GLOBAL, 0, "vision.", VISION_SINGLE,
         LLM_ATTENTION},
        {"attention for the LLM", DENOISER_FLOW, CONDITIONS_GLOBAL, 0, "instead.", VISION_SINGLE, LLM_ATTENTION},
        {"linear vision, random LLM", DENOISER_FLOW, CONDITIONS_GLOBAL, 0, "vision.", VISION_LINEAR, LLM_RANDOM},
        {"no image, no LLM", DENOISER_FLOW, CONDITIONS_GLOBAL, 0, "to_llm.", VISION_NONE, LLM_NONE},
        {"U-Net and flow denoiser, g and S", DENOISER_BOTH, CONDITIONS_DUAL, 0.4, "flow.layer", 0, 0},
        {"U-Net without conditions", DENOISER_UNET, CONDITIONS_NONE, 0, "cond.", 0, 0},
        {"U-Net with S alone", DENOISER_UNET, CONDITIONS_SEQUENCE, 0.4, "cond.", 0, 0},
    };
    const Device dev = device_cpu_f64();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        LeadConfig cfg = small_config(llm);
        cfg.denoiser = cases[i].denoiser, cfg.conditions = cases[i].conditions, cfg.cond_drop = cases[i].drop;
        cfg.vision = cases[i].vision, cfg.llm_kind = cases[i].llm;
        cfg.mean_head = cfg.scale_head = false;   // their output is a constant for the rest: not in this derivative
        SmallLead *x = small_lead_new(log, &dev, &cfg, N, at_rows, B, false);
        check_gradients(log, cases[i].what, x, loss_of_all, cases[i].checked);
        world_delete(x->w);
    }
}

// ---- samples

// x' = m + a (x - m) for each window, flow and step; decoding what the diffusion should draw gives the truth.
static void check_samples(TestLog *log, SmallLead *x)
{
    Tape *t = &x->w->t;
    enum { S = 4 };
    t->record = false;
    x->st.spread[1] = 1.25, x->st.head_weight[0] = 0.5F;
    lead_data_set_calibration(&x->data, t, x->w->perm);
    Tensor *in = normal_tensor(x->w, SHAPE(B * S, N, N, K), 12);
    const double *a = in->x, *y = lead_data_spread(t, &x->data, in, S)->x;
    double worst = 0;
    for (int b = 0; b < B; b++)
        for (int j = 0; j < F * K; j++) {
            double mean = 0;
            for (int s = 0; s < S; s++) mean += a[(b * S + s) * F * K + j] / S;
            for (int s = 0; s < S; s++) {
                const int i = (b * S + s) * F * K + j;
                worst = check_fold(worst, fabs(y[i] - (mean + (j % K ? 1.25 : 1) * (a[i] - mean))));
            }
        }
    TEST(log, worst < 1e-12, "spread: off by %g", worst);
    x->b.moments = lead_moments(t, x->m, &x->b);
    const ResidualParams p = {H, RESIDUAL_SHAPE};
    Tensor *x0 = tape_residual_target(t, x->b.window, x->b.base, x->b.units->sigma, x->b.units->gamma, x->b.moments,
                                      &p);
    const double *kbps = lead_data_decode(t, &x->data, &x->b, tape_reshape(t, x0, SHAPE(B, N, N, K)))->x;
    const double *head = lead_data_head(t, &x->data, &x->b)->x;
    const int64_t W = x->b.window->shape.d[1];
    for (int i = 0; i < B * K * F; i++) {
        const int b = i / (K * F), k = i / F % K, f = i % F;
        const double truth = (double)x->s.x[(at_rows[b] + 1 + k) * F + f], unit = (double)x->st.scale.flowmax_kbps[f];
        const double now = ((double *)x->b.window->x)[(b * W + H) * F + f];
        const double z = (k ? 1 : 0.5) * ((double *)x->b.moments.location->x)[(b * F + f) * K + k];
        const int kf = k * F + f;
        const double z_in = sinh(fmin((double)x->st.high[kf], fmax((double)x->st.low[kf], asinh(z))));
        worst = check_fold(worst, fabs(kbps[i] - truth) / unit);
        const double want = fmax(0, now + (double)x->st.sigma[kf] * z_in);
        worst = check_fold(worst, fabs(fmax(0, head[i] / unit) - want) / 10);
    }
    TEST(log, worst < 1e-6, "decoding: off by %g of the flow's maximum", worst);
    x->b.moments = (ResidualMoments){0};
}

// ---- combinations that the configuration refuses

static void check_refusals(TestLog *log, const char *llm)
{
    LeadConfig c = small_config(llm);
    TEST(log, config_check(&c).code == 0, "the small configuration is refused: %s", config_check(&c).msg);
    c.loss_sobel = 1;
    TEST(log, strstr(config_check(&c).msg, "loss_sobel"), "Sobel loss without images: '%s'", config_check(&c).msg);
    c = small_config(llm);
    c.pixel_condition = false;
    TEST(log, strstr(config_check(&c).msg, "mean_head"), "heads without planes: '%s'", config_check(&c).msg);
    c = small_config(llm);
    c.mean_head = false, c.point = POINT_HEAD;
    TEST(log, strstr(config_check(&c).msg, "point"), "point of a head that is not there: '%s'", config_check(&c).msg);
}

void test_flow(TestLog *log)
{
    const int before = omp_get_max_threads();
    omp_set_num_threads(1);
    Arena *a = arena_new("names", (size_t)1 << 27, NULL);
    const char *llm = tiny_llm(log, a);
    const Device dev = device_cpu_f64();
    const LeadConfig cfg = small_config(llm);
    SmallLead *x = small_lead_new(log, &dev, &cfg, N, at_rows, B, false);
    check_moments(log, x);
    check_loss(log, x);
    check_gradients(log, "heads", x, loss_of_heads, "heads.");
    check_samples(log, x);
    world_delete(x->w);
    check_denoiser(log, llm, CONDITIONS_NONE);
    check_denoiser(log, llm, CONDITIONS_GLOBAL);
    check_without_pairs(log);
    check_all_gradients(log, llm);
    check_refusals(log, llm);
    arena_delete(a);
    omp_set_num_threads(before);
}
