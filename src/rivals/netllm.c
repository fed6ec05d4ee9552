// NetLLM (Wu et al. 2024, SIGCOMM) [src]: a language model as the body of a network: an encoder makes its tokens, LoRA
// adapts it, a linear head reads its last one; MSE.
//   token_i = LN(W x_i + b), one for each column, all flows together;   y = W_h h_T + b_h, all flows and steps
// h: the hidden states of a frozen GPT-2 (llm) with LoRA on every projection.  lora_rank 0: rank 32, alpha 32.
// Theirs is Llama 2 7B, with an encoder for each kind of input (convolutions, graphs, images).  Adam 1e-4.
#include "llm/lora.h"
#include "rivals/models.h"
#include "rivals/parts.h"

enum { RANK = 32, ALPHA = 32 };

typedef struct NetLlm { Gpt2 *llm; Linear in, head; Norm norm; } NetLlm;

Status netllm_build(RivalNet *n, Arena *scratch)
{
    NetLlm *m = part_new(n, sizeof *m);
    const RivalSizes *s = &n->size;
    const LoraConfig lora = s->lora_rank ? (LoraConfig){s->lora_rank, s->lora_alpha, LORA_ALL}
                                         : (LoraConfig){RANK, ALPHA, LORA_ALL};
    TRY(gpt2_load(&m->llm, n->ps, part_name(n, "llm"), s->llm, GPT2_FROZEN | GPT2_BLANK, scratch));
    const int64_t D = m->llm->c.width;
    gpt2_pack(m->llm, n->ps->perm);
    if (s->T > m->llm->c.positions)
        return USAGE_ERROR("model netllm: want at most the %lld positions of %s, got %lld columns",
                           (long long)m->llm->c.positions, s->llm, (long long)s->T);
    lora_attach(n->ps, part_name(n, "lora"), m->llm, &lora);
    m->in = part_linear(n, "in", s->F, D);
    m->norm = part_norm(n, "norm", D);
    m->head = part_linear(n, "head", D, s->F * s->K);
    return OK;
}

Tensor *netllm_forecast(Tape *t, const RivalNet *n, const RivalInput *in)
{
    const NetLlm *m = n->part;
    const RivalSizes *s = &n->size;
    const int64_t B = in->x->shape.d[0], D = m->llm->c.width;
    Tensor *x = norm_apply(t, &m->norm, linear_apply(t, &m->in, in->x), false);
    Tensor *h = gpt2_forward_embeds(t, m->llm, x, NULL);
    Tensor *last = tape_reshape(t, tape_slice(t, h, 1, s->T - 1, 1), SHAPE(B, D));
    return tape_reshape(t, linear_apply(t, &m->head, last), SHAPE(B, s->F, s->K));
}
