#include "tensor/ops.h"

static double in_numel(const OpCall *c) { return (double)numel(c->in[0]); }
static double out_numel(const OpCall *c) { return (double)numel(c->out[0]); }

static double matmul_flops(const OpCall *c)
{
    const MatmulParams *p = c->p;
    const Shape a = c->in[0]->shape;
    return 2.0 * out_numel(c) * (double)a.d[p->trans_a ? a.n - 2 : a.n - 1];
}

static double linear_flops(const OpCall *c) { return 2.0 * out_numel(c) * (double)c->in[1]->shape.d[0]; }

static double conv2d_flops(const OpCall *c)
{
    const Shape w = c->in[1]->shape;   // [KH,KW,C,O]
    return 2.0 * out_numel(c) * (double)(w.d[0] * w.d[1] * w.d[2]);
}

static double attention_flops(const OpCall *c)   // the full score matrix is counted, also when causal
{
    const Shape q = c->in[0]->shape;
    const int64_t keys = ((const AttentionParams *)c->p)->keys;
    return 4.0 * (double)(q.d[0] * q.d[1] * (keys ? keys : c->in[1]->shape.d[1]) * q.d[2]);
}

const OpInfo *op_info(OpId op)
{
#define DIFF_Y true
#define DIFF_N false
    static const OpInfo info[OP_COUNT] = {
#define OP(name, diff, sf, sb, cf, cb, ulps, flops) {#name, DIFF_##diff, ulps},
#include "tensor/ops.def"
#undef OP
    };
    return &info[op];
}

double op_flops(const OpCall *c)
{
    switch (c->op) {
#define OP(name, diff, sf, sb, cf, cb, ulps, flops) case OP_##name: return flops;
#include "tensor/ops.def"
#undef OP
    case OP_COUNT: break;
    }
    return 0;
}

double op_bytes(const OpCall *c)
{
    double b = 0;
    for (int i = 0; i < c->n_in; i++) b += c->in[i] ? (double)tensor_bytes(c->in[i]) : 0;
    for (int i = 0; i < c->n_out; i++) b += (double)tensor_bytes(c->out[i]);
    return b;
}
