#include "lead/config.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "traffic/ridge_online.h"

static const char *const encodings[] = {"rgb", "grey", NULL};
static const char *const scales[] = {"max", "flowmax", "log", "quantile", NULL};
static const char *const targets[] = {"level", "residual", NULL};
static const char *const bases[] = {"last", "ridge", "ridge-online", NULL};
static const char *const horizons[] = {"direct", "rollout", NULL};
static const char *const visions[] = {"multi", "single", "linear", "none", NULL};
static const char *const llm_kinds[] = {"gpt2", "random", "attention", "none", NULL};
static const char *const condition_kinds[] = {"dual", "global", "sequence", "none", NULL};
static const char *const denoisers[] = {"unet", "flow", "both", NULL};
static const char *const identities[] = {"pair", "statistics", NULL};
static const char *const points[] = {"samples", "head", "mix", NULL};
static const char *const lora_targets[] = {"c_attn", "attention", "all", NULL};
static const char *const schedules[] = {"cosine", "linear", "scaled-linear", NULL};
static const char *const predictions[] = {"epsilon", "v", "x0", NULL};
static const char *const samplers[] = {"ddpm", "ddim", "dpm++2m", NULL};

#define AT(field) offsetof(LeadConfig, field)
#define INT(field, lo, hi, help) {#field, KEY_INT, AT(field), lo, hi, NULL, help}
#define NUM(field, lo, hi, help) {#field, KEY_DOUBLE, AT(field), lo, hi, NULL, help}
#define PICK(field, names, help) {#field, KEY_CHOICE, AT(field), 0, 0, names, help}

static const ConfigKey keys[] = {
    INT(history, 2, 512, "matrices that the model sees, one per slot"),
    INT(horizon, 1, 10000, "matrices that the model forecasts, one per slot; a long one costs memory"),
    PICK(encoding, encodings, "image of a matrix (E2)"),
    PICK(scale, scales, "scale that maps volumes to [0,1] (E1)"),
    PICK(target, targets, "what the diffusion draws (E7): the next images, or their change from a cheap forecast"),
    PICK(base, bases, "the cheap forecast that target residual corrects; ridge-online: refitted every day of the data"),
    NUM(ridge_half_life, 0, 100000,
        "base ridge-online: days in which a row's weight halves; 0 = all rows count the same"),
    {"base_blend", KEY_BOOL, AT(base_blend), 0, 1, NULL,
     "let a ridge base give way to a moving average of the flow where that has lately erred less"},
    PICK(horizons, horizons, "draw all steps at once as channels, or one step at a time and feed it back (E8)"),
    {"pixel_condition", KEY_BOOL, AT(pixel_condition), 0, 1, NULL,
     "give the U-Net context planes for each pixel beside the noise"},
    {"flow_context", KEY_BOOL, AT(flow_context), 0, 1, NULL,
     "put moving averages, volatility, last week and means of working days and weekends into these planes too"},
    {"mean_head", KEY_BOOL, AT(mean_head), 0, 1, NULL,
     "forecast the mean of target residual by a network over flows, and draw what is left (E7)"},
    {"scale_head", KEY_BOOL, AT(scale_head), 0, 1, NULL,
     "forecast the size of target residual by the same network, and draw in units of it (E7)"},
    PICK(vision, visions, "vision encoder (E3): stem of several scales or of one; ablations: linear layer, no image"),
    INT(enc_base, 4, 128, "vision encoder: channels of the first stage (E3)"),
    INT(enc_stages, 1, 4, "vision encoder: stages, each with twice the channels"),
    INT(enc_width, 8, 2048, "width of a frame's feature vector d_v"),
    INT(agg_layers, 1, 12, "causal transformer layers over the frames (E4)"),
    INT(agg_heads, 1, 32, "attention heads of these layers"),
    INT(tokens, 1, 256, "number M of tokens that the LLM gets"),
    PICK(llm_kind, llm_kinds,
         "what turns tokens into the conditions (E5): GPT-2; ablations: random weights, an attention layer, nothing"),
    {"llm", KEY_STRING, AT(llm), 0, 0, NULL, "directory of a GPT-2: config.json, model.safetensors (E5)"},
    INT(adapter_width, 0, 1024, "bottleneck width of the adapters; 0 = no adapters"),
    INT(lora_rank, 0, 256, "rank of LoRA; 0 = no LoRA"),
    PICK(lora_targets, lora_targets, "where LoRA goes: c_attn, c_attn and c_proj, or every projection of a block"),
    NUM(lora_alpha, 0, 1024, "LoRA is scaled by alpha / rank"),
    PICK(conditions, condition_kinds,
         "conditions of the denoiser (E6): g and S, g alone, S alone, or none and so no vision encoder and no LLM"),
    PICK(denoiser, denoisers, "network that draws: U-Net over the image, one network for all flows, or their sum (E7)"),
    PICK(flow_identity, identities,
         "networks over flows: tell flows apart by a learned embedding of the pair of nodes, or by their statistics"),
    INT(flow_width, 8, 1024, "networks over flows: width of the trunks"),
    INT(flow_hidden, 8, 1024, "flow denoiser: width"),
    INT(cond_width, 8, 2048, "width of the conditions g and S (E6)"),
    INT(unet_base, 8, 512, "U-Net: channels of the first level (E7)"),
    INT(unet_levels, 1, UNET_MAX_LEVELS, "U-Net: levels, each with twice the channels"),
    INT(unet_blocks, 1, UNET_MAX_BLOCKS, "U-Net: residual blocks per level"),
    INT(unet_heads, 1, 32, "U-Net: attention heads"),
    INT(diffusion_steps, 2, 10000, "number T of diffusion times"),
    PICK(schedule, schedules, "noise schedule"),
    PICK(prediction, predictions, "what the network predicts"),
    NUM(min_snr_gamma, 0, 1000, "gamma of the min-SNR weighting of the loss; 0 = no weighting"),
    NUM(cond_drop, 0, 1, "share of training samples whose conditions are dropped, for guidance"),
    NUM(loss_traffic, 0, 100, "weight in the loss of the traffic-weighted error of the implied x0"),
    NUM(loss_pool, 0, 100, "weight in the loss of the error of x0 after 2x2 pooling"),
    NUM(loss_sobel, 0, 100, "weight in the loss of the error of x0's Sobel gradients"),
    INT(batch, 1, 4096, "windows per training step"),
    INT(batch_flows, 0, 100000000,
        "most flows per training step: of a large network a step takes fewer windows, at least 4; 0 = no limit"),
    INT(steps, 1, 100000000, "training steps"),
    INT(warmup, 0, 1000000, "steps of learning-rate warm-up, at most 5 % of the run's"),
    NUM(minutes, 0, 100000,
        "limit of the whole run, validation and final fit included: as many steps as fit, at least 12, at most `steps`;"
        " 0 = off"),
    INT(patience, 0, 1000000, "end after so many validations in a row without a better one, of 40 in a run; 0 = never"),
    NUM(lr, 0, 1, "peak learning rate of AdamW"),
    NUM(decay, 0, 10, "weight decay"),
    NUM(clip, 0, 1e6, "largest global norm of the gradient; 0 = off"),
    NUM(ema, 0, 0.999999, "decay of the moving average of the weights"),
    NUM(dropout, 0, 0.9, "dropout in the aggregator"),
    NUM(level_jitter, 0, 1, "train on each flow times 1 + this times a normal number, new in every step; 0 = off"),
    {"seed", KEY_INT64, AT(seed), 0, 9e15, NULL, "seed of all random numbers"},
    PICK(sampler, samplers, "sampler of the diffusion (E7)"),
    INT(sample_steps, 1, 10000, "network calls per sample"),
    INT(samples, 1, 4096, "number S of sample paths"),
    NUM(guidance, 0, 100, "weight of classifier-free guidance; 1 = the conditional output alone"),
    NUM(eta, 0, 1, "noise of sampler ddim: 0 deterministic .. 1 ancestral"),
    NUM(sample_clip, 0, 1e6, "clip estimates of x0 to plus or minus this; 0 = off"),
    {"antithetic", KEY_BOOL, AT(antithetic), 0, 1, NULL,
     "draw samples in pairs of opposite noise: their mean varies less"},
    {"calibrate", KEY_BOOL, AT(calibrate), 0, 1, NULL,
     "after training, fit the width of the samples and the weight of the mean head on validation"},
    PICK(point, points, "point forecast: mean of the samples, of the mean head, or half of each"),
    PICK(model, rival_names,
         "what is trained: LEAD, or a published forecaster with its authors' settings (docs/rivals.md)"),
    PICK(rival_target, rival_targets,
         "other models than lead: forecast the residual of ridge, or levels as published"),
    PICK(rival_loss, rival_losses,
         "other models than lead: loss; auto = Huber's for residual, the published one for levels"),
    INT(rival_width, 0, 4096, "other models than lead: hidden width; 0 = as published"),
};

const ConfigKey *config_keys(int *n)
{
    *n = (int)(sizeof keys / sizeof *keys);
    return keys;
}

// ---- presets

static const LeadConfig paper = {
    .history = 16, .horizon = 20, .encoding = ENCODING_RGB, .scale = SCALE_FLOWMAX, .target = TARGET_RESIDUAL,
    .base = BASE_RIDGE, .ridge_half_life = RIDGE_HALF_LIFE_DAYS, .horizons = HORIZON_DIRECT,
    .pixel_condition = true,
    .enc_base = 32, .enc_stages = 4, .enc_width = 512, .agg_layers = 4, .agg_heads = 8, .tokens = 64,
    .llm = "data/gpt2-small", .adapter_width = 128, .lora_rank = 0, .lora_alpha = 16,
    .conditions = CONDITIONS_DUAL, .denoiser = DENOISER_UNET, .flow_width = 192, .flow_hidden = 256,
    .cond_width = 512, .unet_base = 128, .unet_levels = 3, .unet_blocks = 2, .unet_heads = 8,
    .diffusion_steps = 1000, .schedule = SCHEDULE_COSINE, .prediction = PREDICT_V,
    .min_snr_gamma = 5, .cond_drop = 0.15,
    .batch = 32, .steps = 200000, .warmup = 1000, .lr = 1e-4, .decay = 0.01, .clip = 0.5, .ema = 0.999, .dropout = 0.1,
    .seed = 1, .sampler = SAMPLER_DPMPP2M, .sample_steps = 20, .samples = 32, .guidance = 1, .eta = 0, .sample_clip = 6,
    .antithetic = true, .calibrate = true,
};

Status config_preset(LeadConfig *c, const char *name)
{
    *c = paper;
    if (strcmp(name, "paper") == 0) return OK;
    c->enc_base = 16, c->enc_stages = 3, c->enc_width = 128, c->agg_layers = 2, c->tokens = 16;
    c->adapter_width = 64, c->cond_width = 128, c->unet_base = 32, c->unet_heads = 4;
    c->steps = 20000, c->warmup = 200, c->lr = 6e-4, c->minutes = 35, c->patience = 10, c->clip = 1;
    c->sample_steps = 10, c->dropout = 0;
    if (strcmp(name, "image") == 0) return OK;
    c->flow_context = c->mean_head = c->scale_head = true, c->point = POINT_HEAD;
    c->denoiser = DENOISER_FLOW, c->conditions = CONDITIONS_NONE;   // docs/design.md says why
    c->batch_flows = 6144, c->steps = 1500, c->warmup = 50, c->lr = 2e-3, c->minutes = 15, c->ema = 0.99;
    c->level_jitter = 0.4;
    if (strcmp(name, "small") == 0) return OK;
    if (strcmp(name, "pretrained") == 0) {
        c->flow_identity = IDENTITY_STATISTICS, c->batch = 16, c->batch_flows = 2304, c->ema = 0.999, c->minutes = 0;
        return OK;
    }
    c->enc_base = 8, c->enc_stages = 2, c->enc_width = 64, c->agg_layers = 1, c->agg_heads = 4, c->tokens = 8;
    c->adapter_width = 32, c->cond_width = 64, c->unet_base = 16, c->batch = 16;
    c->steps = 300, c->warmup = 20, c->minutes = 1.2, c->sample_steps = 8;
    if (strcmp(name, "demo") == 0) return OK;
    c->flow_context = c->mean_head = c->scale_head = false, c->point = POINT_SAMPLES;
    c->denoiser = DENOISER_UNET, c->conditions = CONDITIONS_DUAL, c->lr = 1e-3;
    c->history = 4, c->horizon = 2, c->enc_base = 4, c->enc_stages = 2, c->enc_width = 8, c->agg_heads = 2,
    c->tokens = 3;
    c->adapter_width = 4, c->cond_width = 8, c->unet_base = 8, c->unet_levels = 2, c->unet_blocks = 1,
    c->unet_heads = 2;
    c->level_jitter = 0, c->batch_flows = 0, c->batch = 4, c->steps = 20, c->warmup = 2,
    c->minutes = 0, c->patience = 0, c->sample_steps = 3, c->samples = 4,
    c->base = BASE_LAST;
    if (strcmp(name, "tiny") == 0) return OK;
    return USAGE_ERROR("config: want paper, image, small, pretrained, demo or tiny, got '%s'", name);
}

// ---- another model

Status config_model(LeadConfig *c, const char *name)
{
    const int before = c->model;
    TRY(config_set(c, "model", name));
    const Rival *r = rival_at(c->model);
    if (!r || c->model == before) return OK;
    c->conditions = CONDITIONS_NONE, c->denoiser = DENOISER_FLOW;
    c->flow_context = c->pixel_condition = c->mean_head = c->scale_head = false;
    c->target = TARGET_RESIDUAL, c->base = BASE_RIDGE, c->horizons = HORIZON_DIRECT, c->point = POINT_SAMPLES;
    c->calibrate = true, c->level_jitter = 0, c->base_blend = false;
    c->lr = r->lr, c->decay = r->decay, c->dropout = r->dropout, c->batch = r->batch;
    if (r->clip > 0) c->clip = r->clip;
    if (c->history < RIDGE_LAGS) c->history = RIDGE_LAGS;
    return OK;
}

// ---- one key

static const ConfigKey *key_find(const char *name)
{
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const char *a = keys[i].name, *b = name;
        for (; *a && *b && (*a == *b || (*a == '_' && *b == '-')); a++, b++) {}
        if (!*a && !*b) return &keys[i];
    }
    return NULL;
}

static Status set_number(LeadConfig *c, const ConfigKey *k, const char *value)
{
    char *end;
    errno = 0;
    const double v = strtod(value, &end);
    const bool whole = k->type == KEY_DOUBLE || v == floor(v);
    if (*value == 0 || *end || errno || !(v >= k->min && v <= k->max) || !whole)
        return USAGE_ERROR("%s: want %s in %.10g..%.10g, got '%s'", k->name,
                           k->type == KEY_DOUBLE ? "a number" : "an integer", k->min, k->max, value);
    void *at = (char *)c + k->offset;
    if (k->type == KEY_DOUBLE) *(double *)at = v;
    else if (k->type == KEY_INT64) *(int64_t *)at = (int64_t)v;
    else *(int *)at = (int)v;
    return OK;
}

static Status set_choice(LeadConfig *c, const ConfigKey *k, const char *value)
{
    char names[200] = "";
    for (int i = 0; k->choice[i]; i++) {
        if (strcmp(value, k->choice[i]) == 0) {
            *(int *)((char *)c + k->offset) = i;
            return OK;
        }
        const size_t at = strlen(names);
        snprintf(names + at, sizeof names - at, "%s%s", i ? ", " : "", k->choice[i]);
    }
    return USAGE_ERROR("%s: want one of %s, got '%s'", k->name, names, value);
}

Status config_set(LeadConfig *c, const char *key, const char *value)
{
    const ConfigKey *k = key_find(key);
    if (!k) return USAGE_ERROR("unknown configuration key '%s'", key);
    switch (k->type) {
    case KEY_INT:
    case KEY_INT64:
    case KEY_DOUBLE: return set_number(c, k, value);
    case KEY_CHOICE: return set_choice(c, k, value);
    case KEY_BOOL:
        if (strcmp(value, "true") && strcmp(value, "false"))
            return USAGE_ERROR("%s: want true or false, got '%s'", k->name, value);
        *(bool *)((char *)c + k->offset) = strcmp(value, "true") == 0;
        return OK;
    case KEY_STRING:
        if (strlen(value) >= sizeof c->llm)
            return USAGE_ERROR("%s: want less than %zu bytes, got %zu", k->name, sizeof c->llm, strlen(value));
        strcpy((char *)c + k->offset, value);
        return OK;
    }
    return OK;
}

const char *config_text(const LeadConfig *c, const ConfigKey *k, char buf[1100])
{
    const void *at = (const char *)c + k->offset;
    switch (k->type) {
    case KEY_INT: snprintf(buf, 1100, "%d", *(const int *)at); break;
    case KEY_INT64: snprintf(buf, 1100, "%lld", (long long)*(const int64_t *)at); break;
    case KEY_DOUBLE: {   // the fewest digits that read back as the same number
        for (int digits = 6; digits <= 17; digits++) {
            snprintf(buf, 1100, "%.*g", digits, *(const double *)at);
            if (strtod(buf, NULL) == *(const double *)at) break;
        }
        break;
    }
    case KEY_BOOL: snprintf(buf, 1100, "%s", *(const bool *)at ? "true" : "false"); break;
    case KEY_STRING: snprintf(buf, 1100, "%s", (const char *)at); break;
    case KEY_CHOICE: snprintf(buf, 1100, "%s", k->choice[*(const int *)at]); break;
    }
    return buf;
}

const char *config_choice(const LeadConfig *c, const char *key)
{
    const ConfigKey *k = key_find(key);
    CHECK(k && k->type == KEY_CHOICE, "config_choice: no choice '%s'", key);
    return k->choice[*(const int *)(const void *)((const char *)c + k->offset)];
}

int lead_batch(const LeadConfig *c, int64_t F)
{
    enum { LEAST = 4 };
    const int64_t fit = c->batch_flows / F, some = fit < LEAST ? LEAST : fit;
    return c->batch_flows == 0 || some > c->batch ? c->batch : (int)some;
}

const ConfigKey *config_difference(const LeadConfig *a, const LeadConfig *b)
{
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        char one[1100], two[1100];
        const bool path = keys[i].offset == AT(llm);
        if (!path && strcmp(config_text(a, &keys[i], one), config_text(b, &keys[i], two)))
            return &keys[i];
    }
    return NULL;
}

// A rival forecasts points by itself; the distribution about them is that of calibration (lead/rival.h).
static Status check_rival(const LeadConfig *c)
{
    const char *name = rival_names[c->model];
    const bool has_width = rival_at(c->model)->width > 0;
    if (c->rival_width && (!has_width || c->rival_width % 4))
        return USAGE_ERROR("rival_width: want %s, got %d", has_width ? "a multiple of 4" : "0, since the model has no "
                           "hidden width of its own", c->rival_width);
    if (c->history < RIDGE_LAGS)
        return USAGE_ERROR("history: the ridge forecast wants at least %d, got %d", RIDGE_LAGS, c->history);
    if (c->flow_context || c->pixel_condition || lead_has_heads(c) || lead_uses_llm(c) || c->level_jitter > 0 ||
        c->base_blend)
        return USAGE_ERROR("model: %s wants flow_context, base_blend, pixel_condition, mean_head, scale_head off, "
                           "conditions none and level_jitter 0, as --model %s sets them, got others", name, name);
    if (c->target != TARGET_RESIDUAL || c->base != BASE_RIDGE || c->horizons != HORIZON_DIRECT || !c->calibrate ||
        c->point != POINT_SAMPLES)
        return USAGE_ERROR("model: %s wants target residual, base ridge, horizons direct, calibrate true and point "
                           "samples, as --model %s sets them, got others (levels: rival_target)", name, name);
    return OK;
}

Status config_check(const LeadConfig *c)
{
    const bool ridge = c->base != BASE_LAST && c->target == TARGET_RESIDUAL;
    if (c->model) return check_rival(c);
    if (c->enc_width % c->agg_heads)
        return USAGE_ERROR("agg_heads: want a divisor of enc_width = %d, got %d", c->enc_width, c->agg_heads);
    if (c->unet_base % 2) return USAGE_ERROR("unet_base: want an even number, got %d", c->unet_base);
    if (c->sample_steps > c->diffusion_steps)
        return USAGE_ERROR("sample_steps: want at most diffusion_steps = %d, got %d", c->diffusion_steps,
                           c->sample_steps);
    if (c->guidance != 1 && c->cond_drop == 0)
        return USAGE_ERROR("guidance: want 1, since cond_drop 0 trains no null condition, got %g", c->guidance);
    if (ridge && c->history < 12)
        return USAGE_ERROR("history: the ridge forecast wants at least 12, got %d", c->history);
    if (c->flow_context && !(c->pixel_condition && ridge))
        return USAGE_ERROR("flow_context: want pixel_condition, target residual and a ridge base, got others");
    if (c->base_blend && !c->flow_context)
        return USAGE_ERROR("base_blend: wants flow_context, which looks at errors of the base, got it off");
    if (c->flow_identity == IDENTITY_STATISTICS && !c->flow_context)
        return USAGE_ERROR("flow_identity: statistics are planes of flow_context, which is off");
    if ((lead_has_heads(c) || lead_has_flow(c)) && !(c->pixel_condition && c->target == TARGET_RESIDUAL))
        return USAGE_ERROR("%s: wants pixel_condition and target residual, got others",
                           lead_has_heads(c) ? "mean_head, scale_head" : "denoiser flow");
    if (c->denoiser == DENOISER_FLOW && (c->loss_pool > 0 || c->loss_sobel > 0))
        return USAGE_ERROR("loss_pool, loss_sobel: denoiser flow draws no images; want 0, got %g and %g", c->loss_pool,
                           c->loss_sobel);
    if (c->point != POINT_SAMPLES && !c->mean_head)
        return USAGE_ERROR("point: %s wants mean_head", points[c->point]);
    if (c->point != POINT_SAMPLES && c->horizons == HORIZON_ROLLOUT)
        return USAGE_ERROR("point: rollout has no path of the mean head; want samples, got %s", points[c->point]);
    if (c->horizons == HORIZON_ROLLOUT && ridge)
        return USAGE_ERROR(
            "base: rollout feeds samples back, which the ridge forecast does not see; want base last, got %s",
            bases[c->base]);
    return OK;
}

// ---- JSON

void config_write_json(const LeadConfig *c, JsonWriter *w, const char *name)
{
    json_object(w, name);
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        const ConfigKey *k = &keys[i];
        const void *at = (const char *)c + k->offset;
        char buf[1100];
        switch (k->type) {
        case KEY_INT: json_int(w, k->name, *(const int *)at); break;
        case KEY_INT64: json_int(w, k->name, *(const int64_t *)at); break;
        case KEY_DOUBLE: json_double(w, k->name, *(const double *)at); break;
        case KEY_BOOL: json_bool(w, k->name, *(const bool *)at); break;
        case KEY_STRING:
        case KEY_CHOICE: json_string(w, k->name, config_text(c, k, buf)); break;
        }
    }
    json_end(w);
}

Status config_read_json(LeadConfig *c, const Json *object, const char *where)
{
    if (!object || object->type != JSON_OBJECT)
        return USAGE_ERROR("%s: want an object of configuration keys, got %s", where, json_describe(object).s);
    for (const Json *m = object->child; m; m = m->next) {
        char buf[64];
        const char *text = buf;
        if (m->type == JSON_STRING) text = m->string;
        else if (m->type == JSON_BOOL) text = m->boolean ? "true" : "false";
        else if (m->type == JSON_NUMBER) snprintf(buf, sizeof buf, "%.17g", m->number);
        else
            return USAGE_ERROR("%s: %s: want a number, a string or a truth value, got %s", where, m->key,
                               json_describe(m).s);
        const Status s = config_set(c, m->key, text);
        if (s.code) return USAGE_ERROR("%s: %s", where, s.msg);
    }
    return OK;
}
