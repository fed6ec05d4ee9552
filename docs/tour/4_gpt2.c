// Chapter 4: a block of GPT-2 in six lines, equal to the library; then LoRA, which teaches the frozen model a sentence.
//   Run it at the root of the repository: it reads data/gpt2-small.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "llm/bpe.h"
#include "llm/gpt2.h"
#include "llm/lora.h"
#include "nn/optim.h"

// y = x w + b, and with LoRA the low-rank term beside it.
static Tensor *project(Tape *t, const Gpt2Projection *p, Tensor *x)
{
    Tensor *y = tape_linear(t, x, p->w, p->b);
    if (!p->lora_a) return y;
    Tensor *low = tape_linear(t, tape_linear(t, x, p->lora_a, NULL), p->lora_b, NULL);
    return tape_add(t, y, tape_scale(t, low, p->lora_scale, 0));
}

static Tensor *block(Tape *t, const Gpt2Config *c, const Gpt2Block *b, Tensor *h)
{
    const int64_t D = c->width;
    Tensor *qkv = project(t, &b->c_attn, tape_layer_norm(t, h, b->ln_1_w, b->ln_1_b, c->eps));
    Tensor *q = tape_slice(t, qkv, 2, 0, D), *k = tape_slice(t, qkv, 2, D, D), *v = tape_slice(t, qkv, 2, 2 * D, D);
    h = tape_add(t, h, project(t, &b->c_proj, tape_attention(t, q, k, v, (int)c->heads, true)));
    Tensor *n = tape_layer_norm(t, h, b->ln_2_w, b->ln_2_b, c->eps);
    Tensor *inner = tape_gelu_tanh(t, project(t, &b->mlp_fc, n));
    return tape_add(t, h, project(t, &b->mlp_proj, inner));
}

// The whole model: after each of T tokens the logits of the next one, [T,vocab].
static Tensor *forward(Tape *t, const Gpt2 *m, int64_t T, const int32_t *token)
{
    Tensor *h = tape_embedding(t, m->wte, tape_from_i32(t, SHAPE(1, T), token));
    h = tape_add(t, h, tape_slice(t, m->wpe, 0, 0, T));
    for (int l = 0; l < m->c.layers; l++) h = block(t, &m->c, &m->block[l], h);
    return gpt2_logits(t, m, tape_layer_norm(t, h, m->ln_f_w, m->ln_f_b, m->c.eps));
}

// Mean of -ln p of every token but the first.
static Tensor *loss_of(Tape *t, Tensor *logits, int64_t T, const int32_t *token)
{
    return tape_cross_entropy(t, tape_slice(t, logits, 0, 0, T - 1), tape_from_i32(t, SHAPE(T - 1), token + 1));
}

// All |a - b| added up.
static double difference(const Tensor *a, const Tensor *b)
{
    const double *x = a->x, *y = b->x;
    double sum = 0;
    for (int64_t i = 0; i < numel(a); i++) sum += fabs(x[i] - y[i]);
    return sum;
}

int main(void)
{
    const Device dev = device_cpu_f64();
    Arena *perm = arena_new("perm", 1 << 28, NULL), *step = arena_new("step", 1 << 28, NULL),
          *scratch = arena_new("scratch", 1 << 28, NULL);
    ParamSet ps;
    Tape t;
    Gpt2 *m;
    Bpe bpe;
    paramset_init(&ps, perm, &dev, 1, false);
    tape_init(&t, &dev, step, scratch);
    const char *dir = "data/gpt2-small", *text = "The link from Oslo to Rome is down.";
    int32_t *token;
    int64_t T;
    Status s = gpt2_load(&m, &ps, "gpt2", dir, GPT2_FROZEN, scratch);
    if (!s.code) s = bpe_load_dir(&bpe, perm, scratch, dir);
    if (!s.code) s = bpe_encode(&token, &T, &bpe, perm, text, strlen(text), false);
    CHECK(!s.code, "%s", s.msg);
    printf("%lld parameters; the sentence is %lld tokens\n", (long long)paramset_count(&ps, false), (long long)T);

    Tensor *tokens = tape_from_i32(&t, SHAPE(1, T), token), *ours = forward(&t, m, T, token);
    Tensor *theirs = gpt2_logits(&t, m, gpt2_forward_tokens(&t, m, tokens, NULL));
    printf("difference from gpt2_forward_tokens: %g\n", difference(ours, theirs));
    const char *before = paramset_frozen_hash(&ps, perm);

    lora_attach(&ps, "lora", m, &(LoraConfig){.rank = 4, .alpha = 8, .targets = LORA_ALL});
    printf("LoRA adds %lld parameters\n", (long long)paramset_count(&ps, true));
    printf("difference that it makes before training: %g\n", difference(forward(&t, m, T, token), ours));
    Optim adamw = {.lr = 0.01, .beta1 = 0.9, .beta2 = 0.95, .eps = 1e-8, .clip = 1};
    for (int i = 0;; i++) {
        tape_reset(&t);
        paramset_zero_grad(&ps);
        ours = forward(&t, m, T, token);
        Tensor *loss = loss_of(&t, ours, T, token);
        double value;
        tensor_get_f64(loss, &value, 1);
        if (i % 10 == 0) printf("after %2d steps: %.4f nats a token\n", i, value);
        if (i == 40) break;
        tape_backward(&t, loss);
        optim_step(&adamw, &t, &ps);
    }
    printf("frozen weights: %s\n", strcmp(before, paramset_frozen_hash(&ps, perm)) ? "changed" : "as they were");
    lora_merge(m, scratch);
    const double moved = difference(forward(&t, m, T, token), ours);
    printf("merged into the weights: %s\n", moved <= 1e-6 ? "the same logits" : "other logits");
    return 0;
}
