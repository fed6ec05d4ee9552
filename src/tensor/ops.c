#include "tensor/traffic_ops.h"

#include <math.h>

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

static double conv2d_multi_flops(const OpCall *c)   // a branch: [k,k,C,O] on each pixel
{
    double sum = 0;
    for (int i = 1; i < c->n_in; i += 2) sum += (double)numel(c->in[i]);
    const int64_t *y = c->out[0]->shape.d;
    return 2 * sum * (double)(y[0] * y[1] * y[2]);
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
#define OP(name, family, diff, sf, sb, cf, cb, ulps, flops) {#name, DIFF_##diff, ulps},
#include "tensor/ops.def"
#undef OP
    };
    return &info[op];
}

bool op_is_linear(OpId op)
{
    return op == OP_linear || op == OP_linear_gelu || op == OP_linear_silu || op == OP_linear_add;
}

DType op_out_type(OpId op)
{
    return op == OP_draw_windows || op == OP_window_rows || op == OP_window_calendar || op == OP_window_season ? I32
                                                                                                              : REAL;
}

double op_flops(const OpCall *c)
{
    switch (c->op) {
#define OP(name, family, diff, sf, sb, cf, cb, ulps, flops) case OP_##name: return flops;
#include "tensor/ops.def"
#undef OP
    case OP_COUNT: break;
    }
    return 0;
}

// ---- work

// Does backward read the inputs' values?
static bool reads_inputs(OpId op)
{
    switch (op) {
    case OP_add: case OP_scale: case OP_slice: case OP_concat: case OP_permute: case OP_pad2d: case OP_crop2d:
    case OP_sum: case OP_mean: case OP_upsample2: case OP_avgpool2: case OP_global_avgpool: case OP_dropout:
    case OP_embedding: case OP_q_sample: case OP_convert: return false;
    default: return true;
    }
}

// Bytes of input i that move: of a table only the rows asked for, of a slice only its part, of a cache that is written
// to none, of what says where a series' rows lie next to nothing.
static double input_bytes(const OpCall *c, int i)
{
    if (!c->in[i] || (c->op == OP_cache_put && i == 0) || op_out_type(c->op) == I32) return 0;
    if (c->op == OP_ridge && i == 0) return RIDGE_INPUTS * (double)tensor_bytes(c->out[0]);
    if (c->op == OP_ridge && i == 1)
        return fmin((double)tensor_bytes(c->in[i]), RIDGE_INPUTS * (double)tensor_bytes(c->out[0]));
    if (c->op == OP_ridge && i == 4) return 0;
    const bool part = c->op == OP_embedding || c->op == OP_slice || c->op == OP_crop2d;
    return (double)tensor_bytes(part && i == 0 ? c->out[0] : c->in[i]);
}

static double backward_factor(const OpCall *c)
{
    switch (c->op) {
    case OP_matmul: case OP_linear: case OP_linear_gelu: case OP_linear_silu: case OP_linear_add: case OP_conv2d:
    case OP_conv2d_multi:
        return (c->in[0]->g ? 1 : 0) + (c->in[1]->g ? 1 : 0);
    case OP_attention: return 2;
    default: return 1;
    }
}

static double needed_share(const OpCall *c)
{
    if (c->op != OP_attention) return 1;
    const AttentionParams *p = c->p;
    const double T = (double)c->in[0]->shape.d[1];
    return p->causal && !p->keys ? (T + 1) / (2 * T) : 1;
}

OpWork op_work(const OpCall *c, bool backward)
{
    OpWork w = {.flops = op_flops(c) * (backward ? backward_factor(c) : 1)};
    w.needed = w.flops * needed_share(c);
    double out = c->op == OP_cache_put ? input_bytes(c, 1) : 0;
    for (int j = 0; j < c->n_out && c->op != OP_cache_put; j++) out += (double)tensor_bytes(c->out[j]);
    double in = 0, grad = 0;
    for (int i = 0; i < c->n_in; i++) {
        in += !backward || reads_inputs(c->op) ? input_bytes(c, i) : 0;
        if (c->in[i] && c->in[i]->g) grad += input_bytes(c, i);
    }
    const bool product = c->op == OP_matmul || c->op == OP_linear || c->op == OP_linear_add || c->op == OP_conv2d;
    if (backward && product)   // dx needs w, dw needs x
        in = (c->in[0]->g ? input_bytes(c, 1) : 0) + (c->in[1]->g ? input_bytes(c, 0) : 0);
    w.written = backward ? grad : out;
    w.bytes = backward ? in + (double)tensor_bytes(c->out[0]) + 2 * grad : in + out;
    return w;
}
