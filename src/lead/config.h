// Every choice about the model, its training and its sampling, in one struct and one table of keys.  The configuration
// file, the command-line options, --help and the copy in each checkpoint are made from the table.
#ifndef LEAD_LEAD_CONFIG_H
#define LEAD_LEAD_CONFIG_H

#include "diffusion/sampler.h"
#include "diffusion/unet.h"
#include "io/json.h"
#include "lead/vision.h"
#include "rivals/rival.h"
#include "traffic/scaling.h"

typedef enum Encoding { ENCODING_RGB, ENCODING_GREY } Encoding;
typedef enum TargetKind { TARGET_LEVEL, TARGET_RESIDUAL } TargetKind;
typedef enum BaseKind { BASE_LAST, BASE_RIDGE, BASE_RIDGE_ONLINE } BaseKind;   // the cheap forecast of target residual
typedef enum LoraTargets { LORA_ON_C_ATTN, LORA_ON_ATTENTION, LORA_ON_ALL } LoraTargets;
typedef enum HorizonKind { HORIZON_DIRECT, HORIZON_ROLLOUT } HorizonKind;
typedef enum DenoiserKind { DENOISER_UNET, DENOISER_FLOW, DENOISER_BOTH } DenoiserKind;     // both: the sum of the two
typedef enum ConditionKind { CONDITIONS_DUAL, CONDITIONS_GLOBAL, CONDITIONS_SEQUENCE, CONDITIONS_NONE } ConditionKind;
// gpt2; for ablations: the same with random frozen weights, one trained attention layer in its place, nothing
typedef enum LlmKind { LLM_GPT2, LLM_RANDOM, LLM_ATTENTION, LLM_NONE } LlmKind;
typedef enum IdentityKind { IDENTITY_PAIR, IDENTITY_STATISTICS } IdentityKind;   // what tells flows apart (lead/flow.h)
typedef enum PointKind { POINT_SAMPLES, POINT_HEAD, POINT_MIX } PointKind;   // mix: the mean of the two

typedef struct LeadConfig {
    // data
    int history, horizon;            // H, K slots
    int encoding, scale, target, base, horizons;    // Encoding, ScaleKind, TargetKind, BaseKind, HorizonKind
    double ridge_half_life;          // base ridge-online: days; 0 = all rows count the same
    bool base_blend;                 // a ridge base gives way to a moving average that lately erred less (lead/blend.h)
    bool pixel_condition;            // context planes beside the noisy target (our decision, docs/design.md)
    bool flow_context;               // .. with moving averages, volatility, last week and parts of the week
    bool mean_head, scale_head;      // location and scale of the residual come from networks of their own (lead/flow.h)
    // vision encoder and temporal aggregator (E3, E4)
    int vision;                      // VisionKind
    int enc_base, enc_stages, enc_width, agg_layers, agg_heads, tokens;
    // LLM (E5)
    int llm_kind;                    // LlmKind
    char llm[1024];                  // directory of config.json + model.safetensors
    int adapter_width, lora_rank, lora_targets;     // LoraTargets
    double lora_alpha;
    // conditions and denoiser (E6, E7)
    int conditions, denoiser;        // ConditionKind, DenoiserKind
    int flow_identity, flow_width, flow_hidden;     // IdentityKind
    int cond_width, unet_base, unet_levels, unet_blocks, unet_heads;
    // diffusion
    int diffusion_steps, schedule, prediction;      // T, ScheduleKind, Prediction
    double min_snr_gamma, cond_drop, loss_traffic, loss_pool, loss_sobel;
    // training
    int batch, batch_flows, steps, warmup, patience;
    double minutes, lr, decay, clip, ema, dropout, level_jitter;
    int64_t seed;
    // sampling
    int sampler, sample_steps, samples;             // SamplerKind
    double guidance, eta, sample_clip;
    bool antithetic;
    bool calibrate;                                 // lead/calibrate.h
    int point;                       // PointKind
    // a published forecaster in place of all that: which one, 0 = LEAD (rivals/rival.h); RivalTarget, RivalLoss
    int model, rival_target, rival_loss;
    int rival_width;                 // hidden width; 0 = as published
} LeadConfig;

// Windows per training step of a network of F flows: batch, but no more than batch_flows / F, and at least 4.
int lead_batch(const LeadConfig *c, int64_t F);

// Whether the network has a head for the residual's location or scale, needs a GPT-2, has a U-Net, a flow denoiser.
static inline bool lead_has_heads(const LeadConfig *c) { return c->mean_head || c->scale_head; }
static inline bool lead_uses_llm(const LeadConfig *c) { return c->conditions != CONDITIONS_NONE; }
static inline bool lead_has_unet(const LeadConfig *c) { return c->denoiser != DENOISER_FLOW; }
static inline bool lead_has_flow(const LeadConfig *c) { return c->denoiser != DENOISER_UNET; }

typedef enum KeyType { KEY_INT, KEY_INT64, KEY_DOUBLE, KEY_BOOL, KEY_STRING, KEY_CHOICE } KeyType;

typedef struct ConfigKey {
    const char *name;                // "unet_base"; the option is --unet-base
    KeyType type;
    size_t offset;
    double min, max;                 // numbers
    const char *const *choice;       // KEY_CHOICE: names, NULL-terminated; the value is the index
    const char *help;                // for --help
} ConfigKey;

const ConfigKey *config_keys(int *n);

// Sets every key to its value in a preset: "paper" (the sizes of LEAD.md; give GPT-2 124M with --llm), "image" (the
// same parts in small sizes, half an hour on 2 cores), "small" (networks over flows alone, minutes), "demo" (a minute),
// "tiny" (tests: the parts of paper).  Error: another name.
Status config_preset(LeadConfig *c, const char *name);
// Makes c a configuration of that model (rival_names): what its authors trained it with, and LEAD's own parts off.
// Does nothing when it is one already.  Error: another name.
Status config_model(LeadConfig *c, const char *name);
// Sets one key by name ('-' and '_' are the same).  Errors: an unknown key, a value of another type or out of range:
// "unet_base: want an integer in 8..512, got 'x'".
Status config_set(LeadConfig *c, const char *key, const char *value);
// Writes the value of key k to buf, as text that config_set reads back, and returns buf.
const char *config_text(const LeadConfig *c, const ConfigKey *k, char buf[1100]);
// The name of the value of key `key`, a choice.
const char *config_choice(const LeadConfig *c, const char *key);
// Checks combinations of keys: divisors (agg_heads), sample_steps against diffusion_steps, base ridge against history
// and rollout.  Errors name the key.
Status config_check(const LeadConfig *c);
// The first key in which two configurations differ, but for the path of the LLM; NULL = none.
const ConfigKey *config_difference(const LeadConfig *a, const LeadConfig *b);
// Writes every key as one JSON object called name.  Reading sets the keys that are there; errors: those of config_set,
// after `where`.
void config_write_json(const LeadConfig *c, JsonWriter *w, const char *name);
Status config_read_json(LeadConfig *c, const Json *object, const char *where);

#endif
