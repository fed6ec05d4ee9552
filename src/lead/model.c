#include "lead/model.h"

#include <string.h>

#include "lead/rival.h"
#include "llm/lora.h"

enum { PIXEL_WIDTH = 8 };

static const unsigned lora_mask[] = {
    [LORA_ON_C_ATTN] = LORA_C_ATTN, [LORA_ON_ATTENTION] = LORA_C_ATTN | LORA_C_PROJ, [LORA_ON_ALL] = LORA_ALL,
};

static Tensor *constant(const LeadModel *m, Shape s, const float *x, const char *name)
{
    Tensor *y = tensor_new(m->ps->perm, m->ps->dev, REAL, s, name);
    tensor_set_f32(y, x, numel(y));
    return y;
}

// Puts on the device, once, the tables that every step reads.
static void put_constants(LeadModel *m, Arena *scratch)
{
    static const float sobel[18] = {-1, -1, 0, -2, 1, -1, -2, 0, 0, 0, 2, 0, -1, 1, 0, 2, 1, 1};
    const size_t mark = arena_mark(scratch), n = (size_t)m->schedule.T + 1;
    float *ab = arena_alloc(scratch, n * sizeof *ab), *w = arena_alloc(scratch, n * sizeof *w);
    w[0] = 0;
    for (int i = 0; i <= m->schedule.T; i++) ab[i] = (float)m->schedule.ab[i];
    for (int i = 1; i <= m->schedule.T; i++)
        w[i] = (float)schedule_min_snr(&m->schedule, (Prediction)m->cfg.prediction, i, m->cfg.min_snr_gamma);
    m->ab = constant(m, SHAPE((int64_t)n), ab, "alpha_bar");
    m->min_snr = constant(m, SHAPE((int64_t)n), w, "min_snr");
    m->sobel = constant(m, SHAPE(3, 3, 1, 2), sobel, "sobel");
    arena_rewind(scratch, mark);
}

static bool uses_g(const LeadConfig *c)
{
    return c->conditions == CONDITIONS_DUAL || c->conditions == CONDITIONS_GLOBAL;
}

static bool uses_s(const LeadConfig *c)
{
    return c->conditions == CONDITIONS_DUAL || c->conditions == CONDITIONS_SEQUENCE;
}

// The LLM or what stands for it, of the LLM's width.
static Status llm_part(LeadModel *m, Arena *scratch)
{
    ParamSet *ps = m->ps;
    const LeadConfig *cfg = &m->cfg;
    Gpt2Config c;
    switch ((LlmKind)cfg->llm_kind) {
    case LLM_GPT2:
        TRY(gpt2_load(&m->llm, ps, "llm", cfg->llm, GPT2_FROZEN | GPT2_BLANK, scratch));
        c = m->llm->c;
        break;
    case LLM_RANDOM:
        TRY(gpt2_config_read(&c, cfg->llm, scratch));
        TRY(gpt2_config_check(&c, cfg->llm));
        m->llm = gpt2_new(ps, "llm", &c, GPT2_FROZEN);
        break;
    default: TRY(gpt2_config_read(&c, cfg->llm, scratch));
    }
    m->llm_width = (int)c.width, m->llm_heads = (int)c.heads;
    if (m->llm) gpt2_pack(m->llm, ps->perm);
    if (m->llm && cfg->tokens > c.positions)
        return USAGE_ERROR("tokens: want at most the %lld positions of %s, got %d", (long long)c.positions, cfg->llm,
                           cfg->tokens);
    if (cfg->llm_kind == LLM_ATTENTION) {
        m->instead_norm = layernorm_new(ps, "instead.norm", c.width);
        m->instead = attention_new(ps, "instead.attn", c.width, c.width, (int)c.heads, false);
    }
    return OK;
}

static void adapters_part(LeadModel *m)
{
    ParamSet *ps = m->ps;
    const LeadConfig *cfg = &m->cfg;
    if (cfg->adapter_width)
        m->adapters = adapter_new(ps, "adapter", (int)m->llm->c.layers, m->llm_width,
                                  &(AdapterConfig){.bottleneck = cfg->adapter_width});
    if (cfg->lora_rank)
        lora_attach(ps, "lora", m->llm, &(LoraConfig){cfg->lora_rank, cfg->lora_alpha, lora_mask[cfg->lora_targets]});
}

// E3 to E6: what turns frames into the conditions.
static Status condition_part(LeadModel *m, Arena *scratch)
{
    ParamSet *ps = m->ps;
    const LeadConfig *cfg = &m->cfg;
    const LeadShape *shape = &m->shape;
    const int d = cfg->enc_width, w = cfg->cond_width, M = cfg->tokens;
    TRY(llm_part(m, scratch));
    const int D = m->llm_width;
    m->vision = vision_new(ps, "vision", (VisionKind)cfg->vision, shape->N, shape->image_channels, cfg->enc_base,
                           cfg->enc_stages, d);
    m->agg = aggregator_new(ps, "agg", cfg->history, shape->slots_per_day, d, cfg->agg_layers, cfg->agg_heads, M,
                            cfg->dropout);
    m->in_norm = layernorm_new(ps, "to_llm.norm", d);
    m->in1 = linear_new(ps, "to_llm.1", d, D, false);
    m->in2 = linear_new(ps, "to_llm.2", D, D, false);
    m->out_norm = layernorm_new(ps, "to_llm.norm_out", D);
    if (m->llm) adapters_part(m);
    if (uses_g(cfg)) {
        m->pool = linear_new(ps, "cond.pool", D, 1, false);
        m->g1 = linear_new(ps, "cond.g1", D, w, false);
        m->g2 = linear_new(ps, "cond.g2", w, w, false);
    }
    if (uses_s(cfg)) {
        m->s_norm = layernorm_new(ps, "cond.s_norm", D);
        m->s_proj = linear_new(ps, "cond.s", D, w, false);
    }
    return OK;
}

static int heads(const LeadConfig *cfg) { return (cfg->mean_head ? 1 : 0) + (cfg->scale_head ? 1 : 0); }

static void unet_part(LeadModel *m)
{
    ParamSet *ps = m->ps;
    const LeadConfig *cfg = &m->cfg;
    const LeadShape *shape = &m->shape;
    m->pixel = param_add(ps, "", "pixel", SHAPE(shape->N, shape->N, PIXEL_WIDTH), (Init){INIT_NORMAL, 0.5},
                         PARAM_NO_DECAY);
    const int known = shape->context_channels + heads(cfg) * shape->target_channels;
    UNetConfig u = {.in_channels = shape->target_channels + known + PIXEL_WIDTH,
                    .out_channels = shape->target_channels, .base = cfg->unet_base, .levels = cfg->unet_levels,
                    .blocks = cfg->unet_blocks, .cond_width = cfg->cond_width, .seq_width = cfg->cond_width,
                    .heads = cfg->unet_heads};
    for (int l = 0; l < u.levels; l++) u.mult[l] = 1 << l;
    m->unet = unet_new(ps, "unet", u);
}

static void flow_part(LeadModel *m)
{
    const LeadConfig *cfg = &m->cfg;
    const int64_t K = m->shape.target_channels, N = m->shape.N;
    FlowSizes s = {.flows = cfg->flow_identity == IDENTITY_PAIR ? N * N : 0, .planes = m->shape.context_channels,
                   .steps = K, .width = cfg->flow_width, .hidden = cfg->flow_hidden,
                   .cond_width = uses_g(cfg) ? cfg->cond_width : 0};
    if (lead_has_heads(cfg)) m->heads = flow_heads_new(m->ps, "heads", &s, cfg->mean_head, cfg->scale_head);
    s.planes += heads(cfg) * K;
    if (lead_has_flow(cfg)) m->flow = flow_denoiser_new(m->ps, "flow", &s);
}

Status lead_model_new(LeadModel *m, ParamSet *ps, const LeadConfig *cfg, const LeadShape *shape, Arena *scratch)
{
    *m = (LeadModel){.cfg = *cfg, .shape = *shape, .ps = ps};
    TRY(config_check(cfg));
    if (cfg->model) return lead_rival_new(m, scratch);
    m->schedule = schedule_new(ps->perm, (ScheduleKind)cfg->schedule, cfg->diffusion_steps);
    put_constants(m, scratch);
    if (lead_uses_llm(cfg)) TRY(condition_part(m, scratch));
    if (uses_g(cfg) || lead_has_unet(cfg))   // the null conditions; a U-Net wants both
        m->null_g = param_add(ps, "cond", "null_g", SHAPE(cfg->cond_width), (Init){INIT_ZERO, 0}, PARAM_NO_DECAY);
    if (uses_s(cfg) || lead_has_unet(cfg))
        m->null_s = param_add(ps, "cond", "null_s", SHAPE(cfg->tokens, cfg->cond_width), (Init){INIT_ZERO, 0},
                              PARAM_NO_DECAY);
    if (lead_has_unet(cfg)) unet_part(m);
    flow_part(m);
    return OK;
}

// ---- conditions (E3..E6)

// E5: GPT-2 with its adapters, or what stands for it.
static Tensor *language_apply(Tape *t, const LeadModel *m, Tensor *x)
{
    if (m->cfg.llm_kind == LLM_NONE) return x;
    if (m->cfg.llm_kind == LLM_ATTENTION) {
        Tensor *n = norm_apply(t, &m->instead_norm, x, false);
        return attention_into(t, &m->instead, n, n, true, x, 0);
    }
    Gpt2Hook hook = {0};
    if (m->adapters) hook = adapter_hook(m->adapters);
    return gpt2_forward_embeds(t, m->llm, x, &hook);
}

Condition lead_condition(Tape *t, const LeadModel *m, const LeadBatch *b)
{
    if (!lead_uses_llm(&m->cfg)) return (Condition){0};
    const Shape s = b->frames->shape;   // [B,H,N,N,C]
    Tensor *frames = tape_reshape(t, b->frames, SHAPE(s.d[0] * s.d[1], s.d[2], s.d[3], s.d[4]));
    Tensor *f = tape_reshape(t, vision_apply(t, &m->vision, frames), SHAPE(s.d[0], s.d[1], m->cfg.enc_width));
    Tensor *tok = aggregator_apply(t, &m->agg, f, b->slot, b->dow);
    tok = tape_linear_gelu(t, norm_apply(t, &m->in_norm, tok, false), m->in1.w, m->in1.b);
    tok = norm_apply(t, &m->out_norm, linear_apply(t, &m->in2, tok), false);
    Tensor *z = language_apply(t, m, tok);   // [B,M,D]
    const int64_t B = z->shape.d[0], M = z->shape.d[1], D = z->shape.d[2];
    Condition c = {0};
    if (uses_g(&m->cfg)) {   // attention pooling: p = softmax(Z w) over the tokens, g = MLP(p Z)
        Tensor *p = tape_softmax(t, tape_reshape(t, linear_apply(t, &m->pool, z), SHAPE(B, 1, M)));
        Tensor *pooled = tape_reshape(t, tape_matmul(t, p, z, false, false), SHAPE(B, D));
        c.g = linear_apply(t, &m->g2, tape_linear_gelu(t, pooled, m->g1.w, m->g1.b));
    }
    if (uses_s(&m->cfg)) c.s = linear_apply(t, &m->s_proj, norm_apply(t, &m->s_norm, z, false));
    return c;
}

// keep * c + (1 - keep) * null, row by row; the second term as a product [B,1] [1,W].
static Tensor *drop_rows(Tape *t, Tensor *c, Tensor *null, Tensor *keep, Tensor *drop)
{
    if (!c) return NULL;
    const int64_t B = c->shape.d[0], W = numel(null);
    Tensor *kept = tape_reshape(t, tape_mul_rows(t, c, keep), SHAPE(B, W));
    Tensor *y = tape_linear_add(t, tape_reshape(t, drop, SHAPE(B, 1)), tape_reshape(t, null, SHAPE(1, W)), NULL, kept);
    return tape_reshape(t, y, c->shape);
}

Condition lead_condition_drop(Tape *t, const LeadModel *m, Condition c, Tensor *keep)
{
    Tensor *drop = tape_scale(t, keep, -1, 1);
    return (Condition){.g = drop_rows(t, c.g, m->null_g, keep, drop), .s = drop_rows(t, c.s, m->null_s, keep, drop)};
}

// ---- location and scale (E7)

static const double MOST_LOCATION = 30, MOST_LOG_SCALE = 3;   // of residuals in units of their training error

static Tensor *flat_planes(Tape *t, const LeadModel *m, Tensor *planes)   // [B,N,N,C] -> [B,F,C]
{
    return tape_reshape(t, planes, SHAPE(planes->shape.d[0], m->shape.N * m->shape.N, shape_last(planes->shape)));
}

// The heads' output held within bounds, where they are trusted, without a gradient.
static ResidualMoments settle(Tape *t, const LeadBatch *b, ResidualMoments fit)
{
    ResidualMoments m = {0};
    if (fit.location) m.location = tape_mul(t, tape_clamp(t, fit.location, MOST_LOCATION), b->trust);
    if (fit.log_scale) m.log_scale = tape_mul(t, tape_clamp(t, fit.log_scale, MOST_LOG_SCALE), b->trust);
    return m;
}

ResidualMoments lead_moments(Tape *t, const LeadModel *m, const LeadBatch *b)
{
    if (!lead_has_heads(&m->cfg)) return (ResidualMoments){0};
    return settle(t, b, flow_heads_apply(t, &m->heads, flat_planes(t, m, b->context)));
}

// ---- diffusion (E7)

Known lead_known(Tape *t, const LeadModel *m, const LeadBatch *b, Condition c)
{
    Known k = {.c = c, .planes = b->context};
    if (lead_has_flow(&m->cfg)) k.flows = flow_condition(t, &m->flow, flat_planes(t, m, b->context), b->moments);
    Tensor *in[3] = {b->context};
    int n = 1;
    if (b->moments.location) in[n++] = b->moments.location;
    if (b->moments.log_scale) in[n++] = b->moments.log_scale;
    if (n == 1 || !lead_has_unet(&m->cfg)) return k;
    const int64_t N = m->shape.N, B = b->context->shape.d[0];
    for (int i = 1; i < n; i++) in[i] = tape_reshape(t, in[i], SHAPE(B, N, N, shape_last(in[i]->shape)));
    k.planes = tape_concat(t, in, n, 3);
    return k;
}

// c, or as many rows of the null condition.
static Tensor *or_null(Tape *t, Tensor *c, Tensor *null, int64_t rows)
{
    if (c) return c;
    Shape s = {.n = null->shape.n + 1, .d = {rows}};
    for (int i = 0; i < null->shape.n; i++) s.d[i + 1] = null->shape.d[i];
    return tape_add(t, tape_zeros(t, s), null);
}

static Tensor *unet_denoise(Tape *t, const LeadModel *m, Tensor *x, Tensor *time, const Known *k)
{
    const Shape s = x->shape;
    Tensor *pixel = tape_add(t, tape_zeros(t, SHAPE(s.d[0], s.d[1], s.d[2], PIXEL_WIDTH)), m->pixel);
    Tensor *in = k->planes ? tape_concat(t, (Tensor *[]){x, k->planes, pixel}, 3, 3)
                           : tape_concat(t, (Tensor *[]){x, pixel}, 2, 3);
    return unet_apply(t, &m->unet, in, time, or_null(t, k->c.g, m->null_g, s.d[0]),
                      or_null(t, k->c.s, m->null_s, s.d[0]));
}

Tensor *lead_denoise(Tape *t, const LeadModel *m, Tensor *x, Tensor *time, const Known *k)
{
    Tensor *y = lead_has_unet(&m->cfg) ? unet_denoise(t, m, x, time, k) : NULL;
    if (!lead_has_flow(&m->cfg)) return y;
    const int64_t R = numel(time), P = numel(x) / shape_last(x->shape) / R;   // flows for each time
    Tensor *rows = tape_reshape(t, x, SHAPE(R, P, shape_last(x->shape)));
    Tensor *known = tape_reshape(t, k->flows, SHAPE(R, P, shape_last(k->flows->shape)));
    Tensor *v = tape_reshape(t, flow_denoise(t, &m->flow, rows, time, known, k->c.g), x->shape);
    return y ? tape_add(t, y, v) : v;
}

Tensor *lead_implied_x0(Tape *t, const LeadModel *m, Tensor *xt, Tensor *out, Tensor *ab)
{
    switch ((Prediction)m->cfg.prediction) {
    case PREDICT_V: return tape_convert(t, xt, out, ab, X0_FROM_XT_V);
    case PREDICT_EPS: return tape_convert(t, xt, out, ab, X0_FROM_XT_EPS);
    case PREDICT_X0: return out;
    }
    return out;
}

// Gradients of both directions of every channel by Sobel's 3x3 kernels: [B,N,N,C] -> [B*C,N,N,2].
static Tensor *sobel(Tape *t, const LeadModel *m, Tensor *x)
{
    const Shape s = x->shape;
    Tensor *y = tape_permute(t, x, (int[]){0, 3, 1, 2});
    return tape_conv2d(t, tape_reshape(t, y, SHAPE(s.d[0] * s.d[3], s.d[1], s.d[2], 1)), m->sobel, NULL, 1, 1);
}

static Tensor *pool_even(Tape *t, Tensor *x)
{
    const int h = (int)(x->shape.d[1] % 2), w = (int)(x->shape.d[2] % 2);
    return tape_avgpool2(t, h || w ? tape_crop2d(t, x, 0, h, 0, w) : x);
}

static Tensor *add_term(Tape *t, Tensor *loss, double weight, Tensor *term)
{
    return tape_add(t, loss, tape_scale(t, term, weight, 0));
}

// The schedule's Prediction as a target of op diffuse.
static DiffuseTarget diffuse_target(Prediction p)
{
    return p == PREDICT_EPS ? DIFFUSE_EPS : p == PREDICT_V ? DIFFUSE_V : DIFFUSE_X0;
}

// The terms of the loss that hold the implied x0 to the target: ab weights them, x0 means little in noise.
static Tensor *add_image_terms(Tape *t, const LeadModel *m, Tensor *loss, Tensor *x0, Tensor *target, Tensor *weight,
                               Tensor *ab)
{
    const LeadConfig *cfg = &m->cfg;
    if (cfg->loss_traffic > 0 && weight)
        loss = add_term(t, loss, cfg->loss_traffic,
                        tape_wmse(t, tape_mul(t, x0, weight), tape_mul(t, target, weight), ab));
    if (cfg->loss_pool > 0)
        loss = add_term(t, loss, cfg->loss_pool, tape_wmse(t, pool_even(t, x0), pool_even(t, target), ab));
    if (cfg->loss_sobel > 0) {
        Tensor *a = sobel(t, m, x0), *z = sobel(t, m, target);
        const Shape s = SHAPE(numel(ab), numel(a) / numel(ab));
        loss = add_term(t, loss, cfg->loss_sobel, tape_wmse(t, tape_reshape(t, a, s), tape_reshape(t, z, s), ab));
    }
    return loss;
}

// x, a value or more for each flow and step, with 0 where the target was not measured: there forecast and target agree.
static Tensor *only_seen(Tape *t, const LeadBatch *b, Tensor *x)
{
    if (!b->seen) return x;
    const int64_t n = numel(b->seen);
    Tensor *rows = tape_reshape(t, x, SHAPE(n, numel(x) / n));
    return tape_reshape(t, tape_mul_rows(t, rows, tape_reshape(t, b->seen, SHAPE(n))), x->shape);
}

Tensor *lead_shape_target(Tape *t, const LeadModel *m, const LeadBatch *b)
{
    if (!lead_has_heads(&m->cfg)) return b->target;
    const ResidualParams p = {m->cfg.history, RESIDUAL_SHAPE};
    Tensor *y = tape_residual_target(t, b->window, b->base, b->units->sigma, b->units->gamma, b->moments, &p);
    return tape_reshape(t, y, b->target->shape);
}

Tensor *lead_loss(Tape *t, const LeadModel *m, const LeadBatch *batch)
{
    const LeadConfig *cfg = &m->cfg;
    if (m->rival) return lead_rival_loss(t, m, batch);
    LeadBatch b = *batch;
    ResidualMoments fit = {0};
    if (lead_has_heads(cfg)) {
        fit = flow_heads_apply(t, &m->heads, flat_planes(t, m, b.context));
        b.moments = settle(t, &b, fit);
    }
    Tensor *target = only_seen(t, &b, lead_shape_target(t, m, &b)), *weight = b.weight;
    const int64_t B = target->shape.d[0], C = shape_last(target->shape);
    // a row of the diffusion is a window, or one flow of it where each is drawn for itself
    const int64_t rows = lead_has_unet(cfg) ? B : numel(target) / C, whole = t->part.of ? t->part.of : B;
    const int64_t parts = rows > B ? 1 : whole, before = rows / B * t->part.begin;
    RandomAddress at = {.seed = (uint64_t)cfg->seed, .site = SITE_NOISE};   // the clock is the step
    at.offset = (uint64_t)before;
    const DiffusionTimes d = tape_diffusion_times(t, m->ab, m->min_snr, rows, parts, at, cfg->cond_drop, t->clock);
    Condition c = lead_condition(t, m, &b);
    if (cfg->cond_drop > 0 && lead_uses_llm(cfg)) {
        Tensor *keep = tape_slice(t, tape_reshape(t, d.keep, SHAPE(B, rows / B)), 1, 0, 1);
        c = lead_condition_drop(t, m, c, tape_reshape(t, keep, SHAPE(B)));
    }
    if (rows > B) {
        target = tape_reshape(t, target, SHAPE(rows, C));
        if (weight) weight = tape_reshape(t, weight, SHAPE(rows, C));
    }
    at.offset *= (uint64_t)((numel(target) / rows + 3) / 4 * 4);   // a row's draws (ref/randn.inl)
    const Diffused x = tape_diffuse(t, target, d.ab, at, diffuse_target((Prediction)cfg->prediction), t->clock);
    const Known known = lead_known(t, m, &b, c);
    Tensor *out = lead_denoise(t, m, x.xt, d.time, &known);
    Tensor *loss = tape_wmse(t, only_seen(t, &b, out), only_seen(t, &b, x.target), d.weight);
    if (lead_has_heads(cfg))
        loss = tape_add(t, loss, flow_heads_loss(t, fit, b.moments, b.window, b.base, b.units, cfg->history, b.seen));
    if (cfg->loss_traffic <= 0 && cfg->loss_pool <= 0 && cfg->loss_sobel <= 0) return loss;
    Tensor *x0 = only_seen(t, &b, lead_implied_x0(t, m, x.xt, out, d.ab));
    return add_image_terms(t, m, loss, x0, target, weight, d.ab);
}

// ---- sampling

typedef struct SampleContext { const LeadModel *m; Known known; Condition null; } SampleContext;

static Tensor *sample_denoise(void *ctx, Tape *t, Tensor *x, Tensor *time)
{
    const SampleContext *s = ctx;
    const double w = s->m->cfg.guidance;
    Tensor *out = lead_denoise(t, s->m, x, time, &s->known);
    if (w == 1) return out;
    Known without = s->known;
    without.c = s->null;
    Tensor *un = lead_denoise(t, s->m, x, time, &without);
    return tape_sampler_step(t, out, un, NULL, w, 1 - w, 0);   // un + w (out - un)
}

// The rows of x that index names; NULL of NULL.
static Tensor *repeat_rows(Tape *t, Tensor *x, Tensor *index)
{
    if (!x) return NULL;
    Shape s = x->shape;
    Tensor *flat = tape_reshape(t, x, SHAPE(s.d[0], numel(x) / s.d[0]));
    s.d[0] = numel(index);
    return tape_reshape(t, tape_embedding(t, flat, index), s);
}

// A sampling whose inputs have all been copied to the device.
typedef struct SampleWork {
    Tape *t;
    const LeadModel *m;
    const LeadBatch *b;
    Tensor *index;       // I32 [R]: each of the B rows S times
    SamplerPlan plan;
} SampleWork;

static void sample_rows(const SampleWork *w, const Known *k)
{
    Tape *t = w->t;
    SampleContext ctx = {.m = w->m,
                         .known = {.c = {repeat_rows(t, k->c.g, w->index), repeat_rows(t, k->c.s, w->index)},
                                   .planes = lead_has_unet(&w->m->cfg) ? repeat_rows(t, k->planes, w->index) : NULL,
                                   .flows = repeat_rows(t, k->flows, w->index)}};
    if (w->m->cfg.guidance != 1)
        ctx.null = lead_condition_drop(t, w->m, ctx.known.c, tape_zeros(t, SHAPE(numel(w->index))));
    sampler_draw(&w->plan, t, sample_denoise, &ctx);
}

static void sample_work(void *arg)
{
    const SampleWork *w = arg;
    const size_t mark = arena_mark(w->t->step);
    const Known k = lead_known(w->t, w->m, w->b, lead_condition(w->t, w->m, w->b));
    sample_rows(w, &k);
    arena_rewind(w->t->step, mark);
}

static LeadSamplingKey sampling_key(const SampleWork *w, int B, int S)
{
    LeadSamplingKey k;
    memset(&k, 0, sizeof k);   // gaps too: keys are compared as bytes
    k.B = B;
    k.S = S;
    k.guidance = w->m->cfg.guidance;
    k.sampler.kind = w->plan.s.kind;
    k.sampler.steps = w->plan.s.steps;
    k.sampler.eta = w->plan.s.eta;
    k.sampler.clip = w->plan.s.clip;
    k.sampler.seed = w->plan.s.seed;
    k.sampler.antithetic = w->plan.s.antithetic;
    k.at[0] = w->b->frames->x;
    k.at[1] = w->b->slot->x;
    k.at[2] = w->b->dow->x;
    k.at[3] = w->b->context ? w->b->context->x : NULL;
    k.at[4] = w->plan.x0->x;
    k.at[5] = w->b->moments.location ? w->b->moments.location->x : NULL;
    k.at[6] = w->b->moments.log_scale ? w->b->moments.log_scale->x : NULL;
    return k;
}

// With an odd number of samples a pair would belong to two windows.
bool lead_antithetic(const LeadConfig *cfg) { return cfg->antithetic && cfg->samples % 2 == 0; }

static Shape samples_shape(const LeadModel *m, int64_t rows)
{
    return SHAPE(rows, m->shape.N, m->shape.N, m->shape.target_channels);
}

// The n rows of the samples from row `first` on, of S for each window.
static SampleWork plan_rows(Tape *t, const LeadModel *m, const LeadBatch *b, const int64_t *window, int S,
                            int64_t first, int64_t n)
{
    const LeadConfig *cfg = &m->cfg;
    const Sampler sampler = {.kind = (SamplerKind)cfg->sampler, .steps = cfg->sample_steps, .eta = cfg->eta,
                             .clip = cfg->sample_clip, .seed = (uint64_t)cfg->seed,
                             .antithetic = lead_antithetic(cfg)};
    int64_t *row = arena_alloc(t->step, (size_t)n * sizeof *row);
    int32_t *index = arena_alloc(t->step, (size_t)n * sizeof *index);
    for (int64_t i = 0; i < n; i++) {
        row[i] = window[(first + i) / S] * S + (first + i) % S;
        index[i] = (int32_t)((first + i) / S);
    }
    return (SampleWork){t, m, b, tape_from_i32(t, SHAPE(n), index),
                        sampler_plan(&sampler, &m->schedule, (Prediction)cfg->prediction, t, samples_shape(m, n), row)};
}

// This rank's rows, `most` at a time, conditions once; then those of the other ranks.
static Tensor *sample_in_parts(Tape *t, const LeadModel *m, const LeadBatch *b, int S, const int64_t *window,
                               RowPart own, int64_t most)
{
    Tensor *all = tape_tensor(t, samples_shape(m, own.of));
    const size_t outer = arena_mark(t->step), each = tensor_bytes(all) / (size_t)own.of;
    const Known k = lead_known(t, m, b, lead_condition(t, m, b));
    for (int64_t first = own.begin, end = own.begin + own.n; first < end; first += most) {
        const size_t mark = arena_mark(t->step);
        const int64_t n = end - first < most ? end - first : most;
        const SampleWork w = plan_rows(t, m, b, window, S, first, n);
        sample_rows(&w, &k);
        device_copy(t->dev, (char *)all->x + (size_t)first * each, w.plan.x0->x, (size_t)n * each);
        arena_rewind(t->step, mark);
    }
    arena_rewind(t->step, outer);
    ranks_gather(t->dev, all->x, own.of, each, t->scratch);
    return all;
}

Tensor *lead_sample(Tape *t, const LeadModel *m, const LeadBatch *b, int B, int S, const int64_t *window,
                    LeadSampling *again)
{
    CHECK(!t->record, "lead_sample: the tape records; sampling needs no gradients");
    const int64_t R = (int64_t)B * S;
    const RowPart own = ranks_part(R);
    const int64_t most = m->most_rows && m->most_rows < own.n ? m->most_rows : own.n;
    if (most < R) return sample_in_parts(t, m, b, S, window, own, most);
    SampleWork w = plan_rows(t, m, b, window, S, 0, R);
    if (again) {
        const LeadSamplingKey key = sampling_key(&w, B, S);
        if (memcmp(&key, &again->key, sizeof key) != 0) device_repeat_end(t->dev, &again->work);
        memcpy(&again->key, &key, sizeof key);
        device_repeat(t->dev, &again->work, sample_work, &w);
    } else {
        sample_work(&w);
    }
    return w.plan.x0;
}
