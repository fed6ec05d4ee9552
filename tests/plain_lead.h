// The whole of LEAD in plain loops, in double, for one window: what src/lead/model.h composes, derived a second time
// from E3 to E7 (docs/math.md).  It reads the configuration, the sizes and the values of parameters, nothing else.
#ifndef LEAD_TESTS_PLAIN_LEAD_H
#define LEAD_TESTS_PLAIN_LEAD_H

#include "lead/model.h"
#include "tests/plain.h"

typedef struct PlainLead {
    Plain p;
    LeadConfig cfg;
    LeadShape shape;
    Gpt2Config llm;
} PlainLead;

// What is known of a window: frames [H] of image_channels, slot of the day and day of the week of each, context planes.
typedef struct PlainWindow { const Map *frame; const int32_t *slot, *dow; Map context; } PlainWindow;

// g [1,1,cond_width], S [M,1,cond_width]; .x = NULL: there is none.
typedef struct PlainCondition { Map g, s; } PlainCondition;

#define PLAIN_NAME(...) arena_printf(p->a, __VA_ARGS__)

// ---- E3

static inline Map plain_vision_block(const Plain *p, const char *name, Map x, int64_t out, int64_t stride)
{
    Map h = plain_conv(p, PLAIN_NAME("%s.conv1", name), x, stride);
    h = plain_each(plain_group_norm(p, PLAIN_NAME("%s.norm1", name), h), plain_gelu);
    h = plain_group_norm(p, PLAIN_NAME("%s.norm2", name), plain_conv(p, PLAIN_NAME("%s.conv2", name), h, 1));
    const bool same = x.c == out && stride == 1;
    h = plain_each(plain_sum(h, same ? x : plain_conv(p, PLAIN_NAME("%s.shortcut", name), x, stride)), plain_gelu);
    Map a = plain_each(plain_linear(p, PLAIN_NAME("%s.att1", name), h), plain_relu);
    a = plain_each(plain_linear(p, PLAIN_NAME("%s.att2", name), a), plain_sigmoid);
    for (int64_t i = 0; i < h.h * h.w * h.c; i++) h.x[i] *= a.x[i / h.c];
    return h;
}

// Mean and largest value of each channel.
static inline Map plain_pool(const Plain *p, Map x)
{
    Map y = map_new(p, 1, 1, 2 * x.c);
    const int64_t n = x.h * x.w;
    for (int64_t k = 0; k < x.c; k++) {
        y.x[x.c + k] = x.x[k];
        for (int64_t at = 0; at < n; at++) {
            y.x[k] += x.x[at * x.c + k] / (double)n;
            y.x[x.c + k] = fmax(y.x[x.c + k], x.x[at * x.c + k]);
        }
    }
    return y;
}

static inline Map plain_vision(const PlainLead *m, Map frame)
{
    const Plain *p = &m->p;
    const LeadConfig *c = &m->cfg;
    const int branches = c->vision == VISION_SINGLE ? 1 : m->shape.N >= 16 ? 4 : 3;
    Map stem[4];
    if (c->vision == VISION_NONE) return map_new(p, 1, 1, c->enc_width);
    if (c->vision == VISION_LINEAR)
        return plain_linear(p, "vision.fc1", (Map){1, 1, frame.h * frame.w * frame.c, frame.x});
    for (int i = 0; i < branches; i++) stem[i] = plain_conv(p, PLAIN_NAME("vision.stem.%d", i), frame, 1);
    Map h = plain_each(plain_linear(p, "vision.fuse", plain_beside(p, stem, branches)), plain_gelu);
    for (int i = 0; i < c->enc_stages; i++)
        h = plain_vision_block(p, PLAIN_NAME("vision.stage.%d", i), h, c->enc_base << i, i == 0 ? 1 : 2);
    return plain_linear(p, "vision.fc2", plain_each(plain_linear(p, "vision.fc1", plain_pool(p, h)), plain_gelu));
}

// ---- E4

// x + attention(LN x, kv), then x + MLP(LN x); kv.x = NULL: itself, each frame those before it
static inline Map plain_agg_layer(const PlainLead *m, const char *name, Map x, Map kv)
{
    const Plain *p = &m->p;
    const Map n = plain_layer_norm(p, PLAIN_NAME("%s.norm", name), x, 1e-5);
    x = plain_sum(plain_attention(p, PLAIN_NAME("%s.attn", name), n, kv.x ? kv : n, m->cfg.agg_heads, !kv.x), x);
    Map h = plain_layer_norm(p, PLAIN_NAME("%s.mlp.ln", name), x, 1e-5);
    h = plain_each(plain_linear(p, PLAIN_NAME("%s.mlp.fc", name), h), plain_gelu);
    return plain_sum(plain_linear(p, PLAIN_NAME("%s.mlp.proj", name), h), x);
}

static inline Map plain_tokens(const PlainLead *m, const PlainWindow *w)
{
    const Plain *p = &m->p;
    const int64_t H = m->cfg.history, D = m->cfg.enc_width;
    const double *time = plain_must(p, "agg", "time", NULL), *slot = plain_must(p, "agg", "slot_of_day", NULL),
                 *day = plain_must(p, "agg", "day_of_week", NULL);
    Map f = map_new(p, H, 1, D), x = map_new(p, m->cfg.tokens, 1, D);
    for (int64_t i = 0; i < H; i++) {
        const Map v = plain_vision(m, w->frame[i]);
        for (int64_t k = 0; k < D; k++)
            f.x[i * D + k] = v.x[k] + time[i * D + k] + slot[w->slot[i] * D + k] + day[w->dow[i] * D + k];
    }
    for (int i = 0; i < m->cfg.agg_layers; i++) f = plain_agg_layer(m, PLAIN_NAME("agg.layer.%d", i), f, (Map){0});
    f = plain_layer_norm(p, "agg.norm_kv", f, 1e-5);
    memcpy(x.x, plain_must(p, "agg", "queries", NULL), (size_t)(x.h * D) * sizeof *x.x);
    for (int i = 0; i < 2; i++) x = plain_agg_layer(m, PLAIN_NAME("agg.cross.%d", i), x, f);
    return x;
}

// ---- E5

// x W + b + (alpha / rank) x A B
static inline Map plain_projection(const PlainLead *m, int layer, const char *what, Map x)
{
    const Plain *p = &m->p;
    Map y = plain_linear(p, PLAIN_NAME("llm.h.%d.%s", layer, what), x);
    Shape a, b;
    const char *lora = PLAIN_NAME("lora.h.%d.%s", layer, what);
    const int on = m->cfg.lora_targets;
    const bool here = m->cfg.lora_rank > 0 && (on == LORA_ON_ALL || !strcmp(what, "attn.c_attn") ||
                                               (on == LORA_ON_ATTENTION && !strcmp(what, "attn.c_proj")));
    CHECK(here == (plain_value(p, lora, "lora_A.weight", NULL) != NULL), "LoRA on %s of layer %d", what, layer);
    if (!here) return y;
    const double *A = plain_must(p, lora, "lora_A.weight", &a);
    const double *B = plain_must(p, lora, "lora_B.weight", &b);
    const Map low = plain_product(p, A, NULL, a.d[0], a.d[1], x);
    const Map add = plain_product(p, B, NULL, b.d[0], b.d[1], low);
    for (int64_t i = 0; i < y.h * y.c; i++) y.x[i] += m->cfg.lora_alpha / m->cfg.lora_rank * add.x[i];
    return y;
}

// Each channel's sum over the k places around a time; zeros outside.
static inline Map plain_temporal(const Plain *p, const char *name, Map x, int64_t k)
{
    const double *w = plain_must(p, name, "weight", NULL), *b = plain_must(p, name, "bias", NULL);
    Map y = map_new(p, x.h, 1, x.c);
    for (int64_t i = 0; i < x.h; i++)
        for (int64_t c = 0; c < x.c; c++) {
            y.x[i * x.c + c] = b[c];
            for (int64_t j = 0; j < k; j++)
                if (i + j >= k / 2 && i + j - k / 2 < x.h)
                    y.x[i * x.c + c] += w[j * x.c + c] * x.x[(i + j - k / 2) * x.c + c];
        }
    return y;
}

static inline Map plain_adapter(const PlainLead *m, int layer, Map h)
{
    const Plain *p = &m->p;
    const char *n = PLAIN_NAME("adapter.%d", layer);
    Map x = plain_linear(p, PLAIN_NAME("%s.down", n), h), both[2];
    x = plain_layer_norm(p, PLAIN_NAME("%s.ln_in", n), x, 1e-5);
    for (int i = 0; i < 2; i++)
        both[i] = plain_linear(p, PLAIN_NAME("%s.point%d", n, 3 + 2 * i),
                               plain_temporal(p, PLAIN_NAME("%s.dw%d", n, 3 + 2 * i), x, 3 + 2 * i));
    const Map conv = plain_linear(p, PLAIN_NAME("%s.fuse", n), plain_beside(p, both, 2));
    const Map g = plain_each(plain_linear(p, PLAIN_NAME("%s.gate", n), x), plain_sigmoid);
    for (int64_t i = 0; i < x.h * x.c; i++) x.x[i] = g.x[i] * conv.x[i] + (1 - g.x[i]) * x.x[i];
    x = plain_layer_norm(p, PLAIN_NAME("%s.ln_out", n), plain_each(x, plain_gelu), 1e-5);
    x = plain_linear(p, PLAIN_NAME("%s.up", n), x);
    const double a = plain_must(p, n, "scale", NULL)[0];
    for (int64_t i = 0; i < x.h * x.c; i++) x.x[i] = h.x[i] + a * x.x[i];
    return x;
}

static inline Map plain_gpt2(const PlainLead *m, Map x)
{
    const Plain *p = &m->p;
    const int64_t D = m->llm.width;
    const double *place = plain_must(p, "llm", "wpe.weight", NULL);
    x = map_copy(p, x);
    for (int64_t i = 0; i < x.h * D; i++) x.x[i] += place[i];
    for (int l = 0; l < m->llm.layers; l++) {
        const Map n = plain_layer_norm(p, PLAIN_NAME("llm.h.%d.ln_1", l), x, m->llm.eps);
        const Map qkv = plain_projection(m, l, "attn.c_attn", n);
        Map part[3];
        for (int i = 0; i < 3; i++) {
            part[i] = map_new(p, x.h, 1, D);
            for (int64_t t = 0; t < x.h; t++)
                memcpy(part[i].x + t * D, qkv.x + (3 * t + i) * D, (size_t)D * sizeof *x.x);
        }
        x = plain_sum(plain_projection(m, l, "attn.c_proj",
                                       plain_attend(p, part[0], part[1], part[2], m->llm.heads, true)), x);
        Map h = plain_layer_norm(p, PLAIN_NAME("llm.h.%d.ln_2", l), x, m->llm.eps);
        h = plain_each(plain_projection(m, l, "mlp.c_fc", h), plain_gelu);
        x = plain_sum(plain_projection(m, l, "mlp.c_proj", h), x);
        if (m->cfg.adapter_width) x = plain_adapter(m, l, x);
    }
    return plain_layer_norm(p, "llm.ln_f", x, m->llm.eps);
}

static inline Map plain_language(const PlainLead *m, Map x)
{
    const Plain *p = &m->p;
    switch ((LlmKind)m->cfg.llm_kind) {
    case LLM_NONE: return x;
    case LLM_ATTENTION: {
        const Map n = plain_layer_norm(p, "instead.norm", x, 1e-5);
        return plain_sum(plain_attention(p, "instead.attn", n, n, m->llm.heads, true), x);
    }
    default: return plain_gpt2(m, x);
    }
}

// ---- E6

static inline PlainCondition plain_condition(const PlainLead *m, const PlainWindow *w)
{
    const Plain *p = &m->p;
    PlainCondition c = {{0}, {0}};
    if (m->cfg.conditions == CONDITIONS_NONE) return c;
    Map x = plain_layer_norm(p, "to_llm.norm", plain_tokens(m, w), 1e-5);
    x = plain_linear(p, "to_llm.2", plain_each(plain_linear(p, "to_llm.1", x), plain_gelu));
    const Map z = plain_language(m, plain_layer_norm(p, "to_llm.norm_out", x, 1e-5));
    if (m->cfg.conditions != CONDITIONS_SEQUENCE) {
        const Map score = plain_linear(p, "cond.pool", z);
        Map pooled = map_new(p, 1, 1, z.c);
        plain_softmax(score.x, z.h);
        for (int64_t i = 0; i < z.h * z.c; i++) pooled.x[i % z.c] += score.x[i / z.c] * z.x[i];
        c.g = plain_linear(p, "cond.g2", plain_each(plain_linear(p, "cond.g1", pooled), plain_gelu));
    }
    if (m->cfg.conditions != CONDITIONS_GLOBAL)
        c.s = plain_linear(p, "cond.s", plain_layer_norm(p, "cond.s_norm", z, 1e-5));
    return c;
}

// The learned conditions that stand for dropped ones.
static inline PlainCondition plain_null(const PlainLead *m)
{
    const Plain *p = &m->p;
    const int64_t w = m->cfg.cond_width;
    PlainCondition c = {map_new(p, 1, 1, w), map_new(p, m->cfg.tokens, 1, w)};
    const double *g = plain_value(p, "cond", "null_g", NULL), *s = plain_value(p, "cond", "null_s", NULL);
    if (g) memcpy(c.g.x, g, (size_t)w * sizeof *g);
    if (s) memcpy(c.s.x, s, (size_t)(w * m->cfg.tokens) * sizeof *s);
    return c;
}

// ---- E7: the U-Net

static inline Map plain_res(const Plain *p, const char *name, Map x, int64_t out, Map g, Map time)
{
    Map h = plain_each(plain_group_norm(p, PLAIN_NAME("%s.norm1", name), x), plain_silu);
    h = plain_groups(p, plain_conv(p, PLAIN_NAME("%s.conv1", name), h, 1));
    h = plain_film(h, plain_linear(p, PLAIN_NAME("%s.from_g", name), g));
    h = plain_each(plain_film(h, plain_linear(p, PLAIN_NAME("%s.from_t", name), time)), plain_silu);
    h = plain_conv(p, PLAIN_NAME("%s.conv2", name), h, 1);
    return plain_sum(h, x.c == out ? x : plain_linear(p, PLAIN_NAME("%s.shortcut", name), x));
}

// x + attention of its pixels; to.x = NULL: to each other
static inline Map plain_look(const PlainLead *m, const char *name, Map x, Map to)
{
    const Plain *p = &m->p;
    int heads = m->cfg.unet_heads;
    while (x.c % heads) heads--;
    const Map n = plain_layer_norm(p, PLAIN_NAME("%s.norm", name), x, 1e-5);
    return plain_sum(plain_attention(p, name, n, to.x ? to : n, heads, false), x);
}

typedef struct PlainTold { Map g, time, s; } PlainTold;   // SiLU of g; of the time MLP

static inline Map plain_stage(const PlainLead *m, const char *name, Map x, int64_t out, bool self, PlainTold k)
{
    const Plain *p = &m->p;
    x = plain_res(p, PLAIN_NAME("%s.res", name), x, out, k.g, k.time);
    if (self) x = plain_look(m, PLAIN_NAME("%s.self", name), x, (Map){0});
    return plain_look(m, PLAIN_NAME("%s.cross", name), x, k.s);
}

// Each pixel twice in both directions; of an odd size the last row and column are left out.
static inline Map plain_up(const Plain *p, Map x, int64_t h, int64_t w)
{
    Map y = map_new(p, h, w, x.c);
    for (int64_t i = 0; i < h; i++)
        for (int64_t j = 0; j < w; j++) memcpy(pixel_of(y, i, j), pixel_of(x, i / 2, j / 2), (size_t)x.c * sizeof *x.x);
    return y;
}

static inline Map plain_unet(const PlainLead *m, Map x, double time, PlainCondition c)
{
    const Plain *p = &m->p;
    const int levels = m->cfg.unet_levels, blocks = m->cfg.unet_blocks, base = m->cfg.unet_base;
    Map skip[UNET_MAX_LEVELS * UNET_MAX_BLOCKS];
    int n = 0;
    Map t = plain_each(plain_linear(p, "unet.time1", plain_time(p, time, base)), plain_silu);
    t = plain_each(plain_linear(p, "unet.time2", t), plain_silu);
    const PlainTold k = {plain_each(map_copy(p, c.g), plain_silu), t, c.s};
    x = plain_conv(p, "unet.conv_in", x, 1);
    for (int l = 0; l < levels; l++) {
        for (int b = 0; b < blocks; b++)
            x = skip[n++] = plain_stage(m, PLAIN_NAME("unet.enc.%d.%d", l, b), x, base << l, l == levels - 1, k);
        if (l < levels - 1) x = plain_conv(p, PLAIN_NAME("unet.down.%d", l), x, 2);
    }
    x = plain_stage(m, "unet.mid.0", x, x.c, true, k);
    x = plain_stage(m, "unet.mid.1", x, x.c, false, k);
    for (int l = levels - 1; l >= 0; l--) {
        if (l < levels - 1)
            x = plain_conv(p, PLAIN_NAME("unet.up.%d", l), plain_up(p, x, skip[n - 1].h, skip[n - 1].w), 1);
        for (int b = 0; b < blocks; b++) {   // what was put away last comes back first
            x = plain_beside(p, (Map[]){x, skip[--n]}, 2);
            x = plain_stage(m, PLAIN_NAME("unet.dec.%d.%d", l, b), x, base << l, l == levels - 1, k);
        }
    }
    return plain_conv(p, "unet.conv_out", plain_each(plain_group_norm(p, "unet.norm_out", x), plain_silu), 1);
}

// ---- E7: networks over flows

static inline Map plain_residual(const Plain *p, const char *format, int n, Map h)
{
    for (int i = 0; i < n; i++)
        h = plain_sum(plain_each(plain_linear(p, arena_printf(p->a, "%s.%d", format, i), h), plain_silu), h);
    return h;
}

// in: what is known of flow f; its embedding goes behind it, where there is one
static inline Map plain_trunk(const Plain *p, const char *name, Map in, int64_t f)
{
    const double *pair = plain_value(p, name, "pair", NULL);
    Map both[2] = {in, map_new(p, 1, 1, FLOW_PAIR_WIDTH)};
    if (pair) memcpy(both[1].x, pair + f * FLOW_PAIR_WIDTH, FLOW_PAIR_WIDTH * sizeof *pair);
    const Map h = plain_linear(p, PLAIN_NAME("%s.in", name), plain_beside(p, both, pair ? 2 : 1));
    return plain_residual(p, name, FLOW_TRUNK_LAYERS, plain_each(h, plain_silu));
}

// known: what is known of flow f, with location and log scale behind it, where there are any; g.x = NULL: no condition
static inline Map plain_flow(const Plain *p, Map x, double time, Map known, int64_t f, Map g)
{
    Map h = plain_linear(p, "flow.condition", plain_trunk(p, "flow", known, f));
    h = plain_sum(h, plain_linear(p, "flow.x", x));
    const Map t = plain_each(plain_linear(p, "flow.time", plain_time(p, time, 64)), plain_silu);
    h = plain_film(h, plain_linear(p, "flow.from_t", t));
    if (g.x) h = plain_film(h, plain_linear(p, "flow.from_g", plain_each(map_copy(p, g), plain_silu)));
    h = plain_residual(p, "flow.layer", FLOW_DENOISER_LAYERS, plain_each(h, plain_silu));
    return plain_linear(p, "flow.out", h);
}

// ---- E7: the network as a whole

// context planes, then, channel by channel, location and log scale (of plain_moments; .x = NULL: there is none)
static inline Map plain_known(const PlainLead *m, Map context, Map location, Map log_scale)
{
    Map part[3] = {context};
    int n = context.x ? 1 : 0;
    if (location.x) part[n++] = location;
    if (log_scale.x) part[n++] = log_scale;
    return n ? plain_beside(&m->p, part, n) : (Map){0};
}

// time [N N]: of each flow; with a U-Net they must be equal
static inline Map plain_network(const PlainLead *m, Map x, const double *time, Map known, PlainCondition c)
{
    const Plain *p = &m->p;
    const int64_t N = m->shape.N;
    Map y = map_new(p, N, N, x.c);
    if (m->cfg.denoiser != DENOISER_FLOW) {
        const PlainCondition null = plain_null(m);
        Map in[3] = {x};
        int n = 1;
        if (known.x) in[n++] = known;
        in[n] = map_new(p, N, N, 8);
        memcpy(in[n].x, plain_must(p, "pixel", "", NULL), (size_t)(N * N * 8) * sizeof(double));
        y = plain_unet(m, plain_beside(p, in, n + 1), time[0],
                       (PlainCondition){c.g.x ? c.g : null.g, c.s.x ? c.s : null.s});
    }
    if (m->cfg.denoiser == DENOISER_UNET) return y;
    for (int64_t f = 0; f < N * N; f++) {
        const Map one = plain_flow(p, (Map){1, 1, x.c, x.x + f * x.c}, time[f],
                                   (Map){1, 1, known.c, known.x + f * known.c}, f, c.g);
        for (int64_t k = 0; k < x.c; k++) y.x[f * x.c + k] += one.x[k];
    }
    return y;
}

#undef PLAIN_NAME

#endif
