// Adapters and LoRA (E5): exact identity at the start, gradients of every parameter through frozen blocks, a frozen
// base that stays as it is, what the hooks see, adapters in files.
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "llm/adapter_file.h"
#include "io/safetensors.h"
#include "io/file.h"
#include "nn/optim.h"
#include "tests/llm_world.h"
#include "tests/test.h"

enum { N = 2, T = 5, D = 8, V = 11, X = N * T * D, Y = N * T * V };

// A frozen GPT-2 with adapters, LoRA, or both, its input and the cotangent of its logits.
typedef struct Model {
    World *w;
    Gpt2 *m;
    AdapterSet *adapters;        // NULL: none
    Tensor *x;
    float cotangent[Y];
} Model;

typedef struct With { bool adapter, causal; double up_std; unsigned lora; } With;

static Model *model_new(Device dev, With with, double scale)
{
    World *w = world_new(dev, false);
    Model *md = arena_zalloc(w->perm, sizeof *md);
    const Gpt2Config c = tiny_config();
    float x[X];
    md->w = w;
    md->m = gpt2_new(&w->ps, "llm", &c, GPT2_FROZEN);
    world_randomise(w, 0.3);
    if (with.adapter)
        md->adapters = adapter_new(&w->ps, "adapter", 2, D, &(AdapterConfig){4, with.up_std, with.causal});
    if (with.lora) lora_attach(&w->ps, "lora", md->m, &(LoraConfig){.rank = 3, .alpha = 6, .targets = with.lora});
    if (scale > 0) world_randomise(w, scale);
    md->x = param_add(&w->ps, "", "x", SHAPE(N, T, D), (Init){INIT_ZERO, 0}, PARAM_PLAIN);
    random_f32(x, X, 1);
    random_f32(md->cotangent, Y, 2);
    tensor_set_f32(md->x, x, X);
    return md;
}

static Tensor *logits_of(Tape *t, const Model *md)
{
    const Gpt2Hook hook = md->adapters ? adapter_hook(md->adapters) : (Gpt2Hook){0};
    return gpt2_logits(t, md->m, gpt2_forward_embeds(t, md->m, md->x, &hook));
}

static Tensor *loss_of(Tape *t, void *ctx)
{
    const Model *md = ctx;
    return tape_sum(t, tape_mul(t, logits_of(t, md), tape_from_f32(t, SHAPE(N * T, V), md->cotangent)));
}

static void logits_values(double out[Y], Device dev, With with, double scale)
{
    Model *md = model_new(dev, with, scale);
    tensor_get_f64(logits_of(&md->w->t, md), out, Y);
    world_delete(md->w);
}

// Up = 0 and B = 0: the logits of plain GPT-2, bit for bit, on both devices.
static void identity(TestLog *log)
{
    static const With kinds[] = {{.adapter = true},
                                 {.adapter = true, .causal = true},
                                 {.lora = LORA_C_ATTN},
                                 {.lora = LORA_ALL},
                                 {.adapter = true, .lora = LORA_ALL}};
    for (int d = 0; d < 2; d++) {
        const Device dev = d ? device_cpu_f64() : world_f32();
        double plain[Y], other[Y];
        logits_values(plain, dev, (With){0}, 0);
        for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
            logits_values(other, dev, kinds[i], 0);
            double worst = 0;
            for (int k = 0; k < Y; k++) worst = check_fold(worst, fabs(plain[k] - other[k]));
            TEST(log, !memcmp(plain, other, sizeof plain),
                 "%s: kind %zu starts %g away from plain GPT-2", dev.name, i, worst);
        }
        logits_values(other, dev, (With){.adapter = true, .up_std = 1e-3}, 0);
        double worst = 0;
        for (int k = 0; k < Y; k++) worst = check_fold(worst, fabs(plain[k] - other[k]));
        TEST(log, worst > 0 && worst < 0.1, "up_std 1e-3: starts %g away from plain GPT-2", worst);
    }
}

static void gradients(TestLog *log, const char *label, With with, int expected)
{
    Model *md = model_new(device_cpu_f64(), with, 0.2);
    Tensor *x[256];
    int n = 0;
    for (int i = 0; i < md->w->ps.n; i++)
        if (!md->w->ps.p[i]->frozen) x[n++] = &md->w->ps.p[i]->t;
    TEST(log, n == expected, "%s: want %d trainable tensors, got %d", label, expected, n);
    const ModuleReport r = check_module_gradient(&md->w->dev, loss_of, md, x, n);
    TEST(log, r.wrong == 0, "%s: %ld of %ld gradients wrong, worst %g in %s[%lld]: analytic %g, numeric %g", label,
         r.wrong, r.elements, r.worst, r.worst_name, (long long)r.worst_at, r.analytic, r.numeric);
    // every trainable tensor moves the loss, the input and the first layer's adapter too
    int silent = 0;
    tape_reset(&md->w->t);
    paramset_zero_grad(&md->w->ps);
    tape_backward(&md->w->t, loss_of(&md->w->t, md));
    for (int i = 0; i < n; i++) {
        double sum = 0;
        for (int64_t k = 0; k < numel(x[i]); k++) sum += fabs(((double *)x[i]->g)[k]);
        silent += !(sum > 1e-9);
    }
    TEST(log, silent == 0, "%s: %d of %d trainable tensors have no gradient", label, silent, n);
    printf("adapter: %s: gradient of %ld values: worst %.1e, bound %.0e\n", label, r.elements, r.worst, GRADIENT_TOL);
    world_delete(md->w);
}

// Training lowers a loss through adapters and LoRA alone; the base keeps every bit.
static void frozen_base(TestLog *log)
{
    Model *md = model_new(world_f32(), (With){.adapter = true, .lora = LORA_ALL}, 0);
    const char *before = paramset_frozen_hash(&md->w->ps, md->w->perm);
    int frozen = 0, buffers = 0;
    for (int i = 0; i < md->w->ps.n; i++) {
        const Param *p = md->w->ps.p[i];
        frozen += p->frozen;
        buffers += p->frozen && (p->t.g || p->m.x || p->v.x || p->ema.x);
    }
    TEST(log, frozen == md->m->n_weights && buffers == 0, "%d frozen tensors, %d of them with a buffer", frozen,
         buffers);
    Optim o = {.lr = 1e-2,
               .beta1 = 0.9,
               .beta2 = 0.999,
               .eps = 1e-8,
               .decay = 0.1,
               .clip = 1,
               .warmup = 0,
               .total = 20,
               .floor = 1};
    const int32_t target[N * T] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
    double first = 0, last = 0;
    for (int step = 0; step < 20; step++) {
        tape_reset(&md->w->t);
        paramset_zero_grad(&md->w->ps);
        Tensor *loss =
            tape_cross_entropy(&md->w->t, logits_of(&md->w->t, md), tape_from_i32(&md->w->t, SHAPE(N * T), target));
        tensor_get_f64(loss, step ? &last : &first, 1);
        tape_backward(&md->w->t, loss);
        optim_step(&o, &md->w->t, &md->w->ps);
    }
    TEST(log, last < first - 0.05, "20 steps took the loss from %g to %g only", first, last);
    TEST(log, !strcmp(before, paramset_frozen_hash(&md->w->ps, md->w->perm)), "the frozen base changed in training");
    world_delete(md->w);
}

// ---- E5 a second time, in plain loops over one row's T times, from the parameters' names ----------------------------

typedef struct Plain { const ParamSet *ps; int causal; } Plain;

static const double *weight(const Plain *p, const char *layer, const char *name)
{
    char full[64];
    snprintf(full, sizeof full, "adapter.1.%s.%s", layer, name);
    const Param *found = param_find(p->ps, full);
    CHECK(found, "no parameter %s", full);
    return found->t.x;
}

static void plain_linear(const Plain *p, const char *layer, double *y, const double *x, int in, int out)
{
    const double *w = weight(p, layer, "weight"), *b = weight(p, layer, "bias");
    for (int o = 0; o < out; o++) {
        y[o] = b[o];
        for (int i = 0; i < in; i++) y[o] += x[i] * w[i * out + o];
    }
}

static void plain_norm(const Plain *p, const char *layer, double *x, int n)
{
    const double *w = weight(p, layer, "weight"), *b = weight(p, layer, "bias");
    double mean = 0, var = 0;
    for (int i = 0; i < n; i++) mean += x[i] / n;
    for (int i = 0; i < n; i++) var += (x[i] - mean) * (x[i] - mean) / n;
    for (int i = 0; i < n; i++) x[i] = (x[i] - mean) / sqrt(var + 1e-5) * w[i] + b[i];
}

// Depthwise convolution at time t: taps t-k/2..t+k/2, or t-k+1..t when causal; zeros outside.
static void plain_temporal(const Plain *p, int k, double *y, double x[T][4], int t)
{
    const char *layer = k == 3 ? "dw3" : "dw5";
    const double *w = weight(p, layer, "weight"), *b = weight(p, layer, "bias");
    const int first = p->causal ? t - k + 1 : t - k / 2;
    for (int c = 0; c < 4; c++) {
        y[c] = b[c];
        for (int j = 0; j < k; j++)
            if (first + j >= 0 && first + j < T) y[c] += w[j * 4 + c] * x[first + j][c];
    }
}

static void plain_adapter(const Plain *p, double h[T][D])
{
    double x[T][4], dw[4], pair[8], conv[4], gate[4], y[4], up[D];
    for (int t = 0; t < T; t++) {
        plain_linear(p, "down", x[t], h[t], D, 4);
        plain_norm(p, "ln_in", x[t], 4);
    }
    for (int t = 0; t < T; t++) {
        for (int s = 0; s < 2; s++) {
            plain_temporal(p, s ? 5 : 3, dw, x, t);
            plain_linear(p, s ? "point5" : "point3", pair + 4 * s, dw, 4, 4);
        }
        plain_linear(p, "fuse", conv, pair, 8, 4);
        plain_linear(p, "gate", gate, x[t], 4, 4);
        for (int c = 0; c < 4; c++) {
            const double g = 1 / (1 + exp(-gate[c])), m = g * conv[c] + (1 - g) * x[t][c];
            y[c] = 0.5 * m * (1 + tanh(sqrt(2 / 3.14159265358979324) * (m + 0.044715 * m * m * m)));
        }
        plain_norm(p, "ln_out", y, 4);
        plain_linear(p, "up", up, y, 4, D);
        const double *a = param_find(p->ps, "adapter.1.scale")->t.x;
        for (int i = 0; i < D; i++) h[t][i] += *a * up[i];
    }
}

static void formula(TestLog *log)
{
    for (int causal = 0; causal < 2; causal++) {
        Model *md = model_new(device_cpu_f64(), (With){.adapter = true, .causal = causal}, 0.3);
        double h[N][T][D], got[X], worst = 0;
        tensor_get_f64(md->x, &h[0][0][0], X);
        tensor_get_f64(adapter_apply(&md->w->t, md->adapters, 1, md->x), got, X);
        for (int n = 0; n < N; n++) plain_adapter(&(Plain){&md->w->ps, causal}, h[n]);
        for (int i = 0; i < X; i++) worst = check_fold(worst, fabs(got[i] - (&h[0][0][0])[i]));
        TEST(log, worst < 1e-12, "%s adapter: %g away from E5 in plain loops", causal ? "causal" : "centred", worst);
        world_delete(md->w);
    }
}

// x's adapter output at time i must not depend on times after it (causal), and does when the kernels look both ways.
static void causality(TestLog *log)
{
    for (int causal = 0; causal < 2; causal++) {
        Model *md = model_new(world_f32(), (With){.adapter = true, .causal = causal}, 0.3);
        float a[X], b[X], x[X];
        tensor_get_f32(adapter_apply(&md->w->t, md->adapters, 1, md->x), a, X);
        tensor_get_f32(md->x, x, X);
        for (int k = 4 * D; k < 5 * D; k++) x[k] += 1;    // the last time of row 0
        tensor_set_f32(md->x, x, X);
        tensor_get_f32(adapter_apply(&md->w->t, md->adapters, 1, md->x), b, X);
        TEST(log, (memcmp(a, b, 4 * D * sizeof *a) == 0) == (causal == 1), "%s adapter: earlier times %s",
             causal ? "causal" : "centred", causal ? "changed" : "did not change");
        TEST(log, !memcmp(a, b, 2 * D * sizeof *a), "kernel 5 reaches further than 2 back");
        TEST(log, !memcmp(a + 5 * D, b + 5 * D, 5 * D * sizeof *a), "row 1 depends on row 0");
        world_delete(md->w);
    }
}

// y = x (W + alpha/r A B) + b: merging the term into W by hand gives the same logits.
static void lora_is_low_rank(TestLog *log)
{
    Model *md = model_new(device_cpu_f64(), (With){.lora = LORA_ALL}, 0.3);
    double with[Y], merged[Y];
    tensor_get_f64(logits_of(&md->w->t, md), with, Y);
    for (int l = 0; l < 2; l++) {
        Gpt2Projection *p[] = {&md->m->block[l].c_attn, &md->m->block[l].c_proj, &md->m->block[l].mlp_fc,
                               &md->m->block[l].mlp_proj};
        for (int i = 0; i < 4; i++) {
            const int64_t in = p[i]->w->shape.d[0], out = p[i]->w->shape.d[1];
            double *w = p[i]->w->x;
            const double *a = p[i]->lora_a->x, *b = p[i]->lora_b->x;
            TEST(log, p[i]->lora_scale == 2 && p[i]->lora_a->shape.d[1] == 3, "scale %g, want alpha / r = 2",
                 p[i]->lora_scale);
            for (int64_t r = 0; r < in; r++)
                for (int64_t c = 0; c < out; c++)
                    for (int64_t k = 0; k < 3; k++) w[r * out + c] += 2 * a[r * 3 + k] * b[k * out + c];
            p[i]->lora_a = p[i]->lora_b = NULL;
        }
    }
    tensor_get_f64(logits_of(&md->w->t, md), merged, Y);
    double worst = 0, size = 0;
    for (int k = 0; k < Y; k++) {
        worst = check_fold(worst, fabs(with[k] - merged[k]));
        size = fmax(size, fabs(with[k]));
    }
    TEST(log, worst <= 1e-12 * size, "merged weights give logits %g away", worst);
    world_delete(md->w);
}

// ---- files ----------------------------------------------------------------------------------------------------------

static const char *dir_of(TestLog *log, Arena *a, const char *name) { return arena_printf(a, "%s/%s", log->tmp, name); }

// Saved, and loaded onto another copy of the base: the same bits of every logit.  Merged: the same but for rounding.
static void files(TestLog *log)
{
    static const With kinds[] = {{.lora = LORA_C_ATTN}, {.lora = LORA_ALL}, {.adapter = true},
                                 {.adapter = true, .causal = true, .lora = LORA_C_PROJ | LORA_MLP_FC}};
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        Model *md = model_new(world_f32(), kinds[i], 0.3), *base = model_new(world_f32(), (With){0}, 0);
        const char *dir = dir_of(log, md->w->perm, "adapter");
        const LoraConfig c = {.rank = 3, .alpha = 6, .targets = kinds[i].lora};
        for (int k = 0; k < md->m->n_weights; k++)    // model_new moved the base too
            memcpy((*base->m->weight[k].slot)->x, (*md->m->weight[k].slot)->x, tensor_bytes(*md->m->weight[k].slot));
        memcpy(base->x->x, md->x->x, tensor_bytes(md->x));
        Status s = kinds[i].lora ? lora_save(md->m, &c, dir, "base", md->w->scratch) : OK;
        if (!s.code && kinds[i].adapter) s = adapter_save(md->adapters, dir, md->w->scratch);
        TEST(log, !s.code, "%s", s.msg);
        LoraConfig found;
        s = gpt2_adapters_load(&base->adapters, &found, &base->w->ps, base->m, dir, base->w->scratch);
        TEST(log, !s.code && found.targets == kinds[i].lora && (found.rank == 3) == (kinds[i].lora != 0), "%s", s.msg);
        double want[Y], got[Y], merged[Y], worst = 0, size = 0;
        tensor_get_f64(logits_of(&md->w->t, md), want, Y);
        tensor_get_f64(logits_of(&base->w->t, base), got, Y);
        TEST(log, !memcmp(want, got, sizeof want), "kind %zu: other logits after saving and loading", i);
        lora_merge(base->m, base->w->scratch);
        tensor_get_f64(logits_of(&base->w->t, base), merged, Y);
        for (int k = 0; k < Y; k++) {
            worst = check_fold(worst, fabs(want[k] - merged[k]));
            size = fmax(size, fabs(want[k]));
        }
        TEST(log, worst <= 4e-6 * size, "kind %zu: merged logits %g away, largest %g", i, worst, size);
        unlink(arena_printf(md->w->perm, "%s/adapter_config.json", dir));
        unlink(arena_printf(md->w->perm, "%s/bottleneck.safetensors", dir));
        world_delete(md->w);
        world_delete(base->w);
    }
}

// DIR with this configuration, and LoRA of rank 3 on c_attn whose first tensor has this name and width.
static void put_lora(Arena *a, Arena *scratch, const char *dir, const char *config, const char *name, int64_t width)
{
    static const float zero[3 * 64];
    const char *names[4] = {name, "base_model.model.transformer.h.0.attn.c_attn.lora_B.weight",
                            "base_model.model.transformer.h.1.attn.c_attn.lora_A.weight",
                            "base_model.model.transformer.h.1.attn.c_attn.lora_B.weight"};
    const int64_t shape[4][2] = {{3, width}, {3 * D, 3}, {3, D}, {3 * D, 3}};
    SafeTensor t[4];
    for (int i = 0; i < 4; i++)
        t[i] = (SafeTensor){.name = names[i], .type = SAFE_F32, .n_dim = 2, .shape = shape[i], .data = zero};
    mkdir(dir, 0777);
    Status s = safetensors_write(arena_printf(a, "%s/adapter_model.safetensors", dir), t, 4, NULL, 0, false, scratch);
    if (!s.code) s = file_write(arena_printf(a, "%s/adapter_config.json", dir), config, strlen(config));
    CHECK(!s.code, "%s", s.msg);
}

static void bad_files(TestLog *log)
{
    static const char good[] = "base_model.model.transformer.h.0.attn.c_attn.lora_A.weight";
    static const struct { const char *config, *name; int64_t width; const char *want; } bad[] = {
        {"{\"peft_type\": \"LORA\", \"r\": 3, \"lora_alpha\": 3}", good, D, NULL},
        {"{\"peft_type\": \"LORA\", \"r\": 3, \"lora_alpha\": 3}", "base_model.model.h.0.attn.c_attn.lora_A.weight", D,
         NULL},
        {"{\"peft_type\": \"LORA\", \"r\": 3, \"lora_alpha\": 3, \"use_dora\": true}", good, D,
         "use_dora: want none, got true"},
        {"{\"peft_type\": \"LORA\", \"r\": 3, \"lora_alpha\": 3, \"rank_pattern\": {\"c_attn\": 2}}", good, D,
         "lora_A.weight: want [2,8], got [3,8]"},
        {"{\"peft_type\": \"LORA\", \"r\": 3, \"lora_alpha\": 3, \"rank_pattern\": {\"h.[01].attn\": 2}}", good, D,
         "rank_pattern: want plain names of modules, got the expression"},
        {"{\"peft_type\": \"LORA\", \"r\": 3, \"lora_alpha\": 3, \"rank_pattern\": {\"c_attn\": 2.5}}", good, D,
         "rank_pattern: want a rank in 1.."},
        {"{\"peft_type\": \"LORA\", \"r\": 3, \"lora_alpha\": 3, \"alpha_pattern\": {\"c_attn\": \"x\"}}", good, D,
         "alpha_pattern: \"c_attn\": want a number"},
        {"{\"peft_type\": \"LORA\", \"r\": 3, \"lora_alpha\": 3, \"init_lora_weights\": \"pissa\"}", good, D,
         "init_lora_weights: want true, false, gaussian, orthogonal or eva, got \"pissa\""},
        {"{\"peft_type\": \"LORA\", \"r\": 3, \"lora_alpha\": 3, \"init_lora_weights\": \"pissa_niter_4\"}", good, D,
         "init_lora_weights: want true, false, gaussian, orthogonal or eva, got \"pissa_niter_4\""},
        {"{\"peft_type\": \"LORA\", \"r\": 3, \"lora_alpha\": 3, \"init_lora_weights\": \"corda\"}", good, D,
         "init_lora_weights: want true, false, gaussian, orthogonal or eva, got \"corda\""},
        {"{\"peft_type\": \"LORA\", \"r\": 3, \"lora_alpha\": 3, \"init_lora_weights\": \"loftq\"}", good, D,
         "init_lora_weights: want true, false, gaussian, orthogonal or eva, got \"loftq\""},
        {"{\"peft_type\": \"LORA\", \"r\": 3, \"lora_alpha\": 3, \"init_lora_weights\": \"olora\"}", good, D,
         "init_lora_weights: want true, false, gaussian, orthogonal or eva, got \"olora\""},
        {"{\"peft_type\": \"LORA\", \"r\": 3, \"lora_alpha\": 3, \"modules_to_save\": [\"wte\"]}", good, D,
         "modules_to_save: want none"},
        {"{\"peft_type\": \"LORA\", \"r\": 3, \"lora_alpha\": 3, \"target_modules\": [\"_attn\"]}", good, D,
         "got it on transformer.h.0.attn.c_attn as well"},
        {"{\"peft_type\": \"LORA\", \"r\": 3, \"lora_alpha\": 3, \"never_heard_of\": 7}", good, D,
         "never_heard_of: want none, got 7"},
        {"{\"peft_type\": \"LORA\", \"r\": 3, \"lora_alpha\": 3, \"layers_to_transform\": [0], "
         "\"target_modules\": [\"c_attn\"]}", good, D,
         "got it on transformer.h.1.attn.c_attn as well"},
        {"{\"peft_type\": \"LORA\", \"r\": 3, \"lora_alpha\": 3, "
         "\"target_modules\": [\"c_attn\", \"mlp.c_fc\"]}", good, D,
         "h.0.mlp.c_fc.lora_A.weight: want [3,8], got no such tensor"},
        {"{\"peft_type\": \"LORA\", \"r\": 3, \"lora_alpha\": 3, \"bias\": \"all\"}", good, D, "bias: want \"none\""},
        {"{\"peft_type\": \"IA3\", \"r\": 3, \"lora_alpha\": 3}", good, D, "want \"LORA\", got \"IA3\""},
        {"{\"peft_type\": \"LORA\", \"r\": 0, \"lora_alpha\": 3}", good, D, "r: want"},
        {"{\"peft_type\": \"LORA\", \"r\": 3}", good, D, "lora_alpha"},
        {"{\"peft_type\": \"LORA\", \"r\": 4, \"lora_alpha\": 3}", good, D, "want [4,8], got [3,8]"},
        {"{\"peft_type\": \"LORA\", \"r\": 3, \"lora_alpha\": 3}", good, 16, "want [3,8], got [3,16]"},
        {"{\"peft_type\": \"LORA\", \"r\": 3, \"lora_alpha\": 3}",
         "base_model.model.transformer.h.0.mlp.c_fc.lora_A.weight", D,
         "h.0.attn.c_attn.lora_A.weight: want [3,8], got no such tensor"},
        {"{\"peft_type\": \"LORA\"", good, D, "adapter_config.json"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        Model *md = model_new(world_f32(), (With){0}, 0);
        const char *dir = dir_of(log, md->w->perm, "bad-adapter");
        put_lora(md->w->perm, md->w->scratch, dir, bad[i].config, bad[i].name, bad[i].width);
        const Status s = gpt2_adapters_load(&md->adapters, NULL, &md->w->ps, md->m, dir, md->w->scratch);
        TEST(log, bad[i].want ? s.code == 1 && strstr(s.msg, bad[i].want) : !s.code, "%zu: '%s'", i, s.msg);
        world_delete(md->w);
    }
    // bottleneck adapters of another model, and no adapter at all
    Model *one = model_new(world_f32(), (With){.adapter = true}, 0.3), *other = model_new(world_f32(), (With){0}, 0);
    const char *dir = dir_of(log, one->w->perm, "bottleneck");
    Status s = adapter_save(one->adapters, dir, one->w->scratch);
    other->m->c.width = 2 * D;
    if (!s.code) s = gpt2_adapters_load(&other->adapters, NULL, &other->w->ps, other->m, dir, other->w->scratch);
    TEST(log, s.code == 1 && strstr(s.msg, "0.down.weight: want [16,?], got [8,4]"), "'%s'", s.msg);
    s = gpt2_adapters_load(&other->adapters, NULL, &other->w->ps, other->m, log->tmp, other->w->scratch);
    TEST(log, s.code == 1 && strstr(s.msg, "found neither"), "'%s'", s.msg);
    world_delete(one->w);
    world_delete(other->w);
}

static void target_names(TestLog *log)
{
    unsigned t = 0;
    TEST(log, !lora_targets_parse("c_attn", &t).code && t == LORA_C_ATTN, "c_attn: %u", t);
    TEST(log, !lora_targets_parse("mlp.c_proj,c_proj,mlp.c_fc", &t).code && t == (LORA_ALL & ~LORA_C_ATTN), "three: %u",
         t);
    TEST(log, !lora_targets_parse("all", &t).code && t == LORA_ALL, "all: %u", t);
    static const char *const bad[] = {"", "c_attn,", "c_attn, c_proj", "q", "c_att"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const Status s = lora_targets_parse(bad[i], &t);
        TEST(log, s.code == 2 && strstr(s.msg, "LoRA targets: want"), "'%s': %s", bad[i], s.msg);
    }
}

void test_adapter(TestLog *log)
{
    identity(log);
    formula(log);
    // an adapter has down, ln, 2 x (dw, point), fuse, gate, ln, up of two tensors each, and a_l: 21; x is one more
    gradients(log, "adapters", (With){.adapter = true}, 2 * 21 + 1);
    gradients(log, "causal adapters", (With){.adapter = true, .causal = true}, 2 * 21 + 1);
    gradients(log, "LoRA on c_attn", (With){.lora = LORA_C_ATTN}, 2 * 2 + 1);
    gradients(log, "adapters and LoRA everywhere", (With){.adapter = true, .lora = LORA_ALL}, 2 * 21 + 2 * 8 + 1);
    frozen_base(log);
    causality(log);
    lora_is_low_rank(log);
    target_names(log);
    files(log);
    bad_files(log);
}
