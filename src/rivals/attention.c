// Attention over flows, over patches of time, over both.
//
// iTransformer (Liu et al. 2024, ICLR) [src Time-Series-Library]: a series is a token.  x [B,F,T] without its mean and
//   spread (parts.h), Linear(T -> 512), 3 encoder layers over the F tokens (8 heads, inner 512, GELU), LayerNorm,
//   Linear(512 -> K), mean and spread back.  Adam 5e-4, batch 16, MSE, dropout 0.1.
// PatchTST (Nie et al. 2023, ICLR) [src]: each flow by itself: RevIN, patches of 16 columns, 8 apart, the end repeated
//   for 8 more, Linear(16 -> 128) + learned position, 3 encoder layers (16 heads, inner 256, GELU), flattened,
//   Linear -> K.  Adam 1e-4, MSE, dropout 0.2.  LayerNorm in place of their BatchNorm; no affine map in RevIN.
// STTN (Xu et al. 2020) [src @d24f8d3]: tokens of every flow and column, 64 channels, from [x; a learned embedding of
//   the flow; one of the column]; spatial: relu(E(x) + x), E an encoder layer over the flows (1 head, inner 128);
//   temporal: the same over the columns; LayerNorm; flattened columns, Linear -> 512, relu, LayerNorm, Linear -> K.
//   1e-3, batch 50 there, 16 here, MAE.  Flows have no road graph: its fixed graph convolution is left out, and with
//   it the gate between the two.
// GMAN (Zheng et al. 2020, AAAI) [src @45ed232]: 64 channels, 8 heads.  STE = FC2(E_flow) + FC2(E_day + E_slot), of
//   past columns and of the K steps ahead.  Block: HS = attention over the flows of [X; STE], HT = causal attention
//   over time of the same, q, k, v = relu(FC); z = sigmoid(HS W1 + HT W2 + b); X <- X + FC2(z HS + (1 - z) HT).
//   X = FC2(x); block; transform attention over time, q = STE ahead, k = STE past, v = X; block; FC2 -> 1.  One block
//   on each side, as theirs for PeMS.  Adam 1e-3, batch 16, MAE.  E_flow is learned: there is no graph for node2vec;
//   LayerNorm nowhere and no BatchNorm, which theirs has in each FC.
#include "rivals/models.h"
#include "rivals/parts.h"

// ---- iTransformer

enum { LAYERS = 3, ITRANSFORMER_HEADS = 8, PATCH_HEADS = 16 };

// The most of `most` heads that divide the width.
static int head_count(int64_t width, int most)
{
    while (width % most) most--;
    return most;
}

typedef struct ITransformer { PartLevel level; Linear in, head; PartEncoder layer[LAYERS]; Norm norm; } ITransformer;

Status itransformer_build(RivalNet *n, Arena *scratch)
{
    (void)scratch;
    ITransformer *m = part_new(n, sizeof *m);
    const RivalSizes *s = &n->size;
    m->level = part_level_new(n);
    m->in = part_linear(n, "in", s->T, s->width);
    for (int i = 0; i < LAYERS; i++)
        m->layer[i] = part_encoder_new(n, arena_printf(n->ps->perm, "layer.%d", i), s->width,
                                       head_count(s->width, ITRANSFORMER_HEADS), s->width, false);
    m->norm = part_norm(n, "norm", s->width);
    m->head = part_linear(n, "head", s->width, s->K);
    return OK;
}

Tensor *itransformer_forecast(Tape *t, const RivalNet *n, const RivalInput *in)
{
    const ITransformer *m = n->part;
    const double dropout = n->size.dropout;
    const PartLevelled l = part_level(t, &m->level, part_series(t, in->x));
    Tensor *x = tape_dropout(t, linear_apply(t, &m->in, l.x), dropout);
    for (int i = 0; i < LAYERS; i++) x = part_encoder(t, &m->layer[i], x, dropout);
    return part_level_back(t, n, &l, linear_apply(t, &m->head, norm_apply(t, &m->norm, x, false)));
}

// ---- PatchTST

enum { PATCH = 16, STRIDE = 8 };

static int64_t patches(const RivalSizes *s) { return s->T <= PATCH ? 2 : (s->T - PATCH) / STRIDE + 2; }

// Column j of all patches side by side is which column of x; beyond the end the last.
static double patch_value(const RivalSizes *s, int64_t i, int64_t j)
{
    const int64_t at = j / PATCH * STRIDE + j % PATCH;
    return i == (at < s->T ? at : s->T - 1);
}

typedef struct PatchTst {
    PartLevel level;
    Tensor *cut, *position;
    Linear in, head;
    PartEncoder layer[LAYERS];
} PatchTst;

Status patchtst_build(RivalNet *n, Arena *scratch)
{
    (void)scratch;
    PatchTst *m = part_new(n, sizeof *m);
    const RivalSizes *s = &n->size;
    const int64_t P = patches(s);
    m->level = part_level_new(n);
    m->cut = part_constant(n, s->T, P * PATCH, patch_value);
    m->position = part_table(n, "position", P, s->width);
    m->in = part_linear(n, "in", PATCH, s->width);
    for (int i = 0; i < LAYERS; i++)
        m->layer[i] = part_encoder_new(n, arena_printf(n->ps->perm, "layer.%d", i), s->width,
                                       head_count(s->width, PATCH_HEADS), 2 * s->width, false);
    m->head = part_linear(n, "head", P * s->width, s->K);
    return OK;
}

Tensor *patchtst_forecast(Tape *t, const RivalNet *n, const RivalInput *in)
{
    const PatchTst *m = n->part;
    const RivalSizes *s = &n->size;
    const int64_t B = in->x->shape.d[0], P = patches(s);
    const PartLevelled l = part_level(t, &m->level, part_series(t, in->x));
    Tensor *x = tape_reshape(t, tape_linear(t, l.x, m->cut, NULL), SHAPE(B * s->F, P, PATCH));
    x = tape_dropout(t, tape_add(t, linear_apply(t, &m->in, x), m->position), s->dropout);
    for (int i = 0; i < LAYERS; i++) x = part_encoder(t, &m->layer[i], x, s->dropout);
    x = tape_reshape(t, x, SHAPE(B, s->F, P * s->width));
    return part_level_back(t, n, &l, linear_apply(t, &m->head, tape_dropout(t, x, s->dropout)));
}

// ---- over flows at each column, over columns of each flow: x [B,T,F,d] as sequences, and back

static Tensor *rows_of_flows(Tape *t, Tensor *x)   // -> [B T,F,d]
{
    const Shape s = x->shape;
    return tape_reshape(t, x, SHAPE(s.d[0] * s.d[1], s.d[2], s.d[3]));
}

static Tensor *rows_of_time(Tape *t, Tensor *x)    // -> [B F,T,d]
{
    const Shape s = x->shape;
    return tape_reshape(t, tape_permute(t, x, (int[]){0, 2, 1, 3}), SHAPE(s.d[0] * s.d[2], s.d[1], s.d[3]));
}

static Tensor *back_from_time(Tape *t, Tensor *x, int64_t B)
{
    const Shape s = x->shape;
    return tape_permute(t, tape_reshape(t, x, SHAPE(B, s.d[0] / B, s.d[1], s.d[2])), (int[]){0, 2, 1, 3});
}

// ---- STTN

enum { STTN_HEAD = 8 };   // width of the head, in widths: 512 of 64

typedef struct Sttn { Tensor *flow, *time; Linear in, mid, head; PartEncoder space, when; Norm norm, last; } Sttn;

Status sttn_build(RivalNet *n, Arena *scratch)
{
    (void)scratch;
    Sttn *m = part_new(n, sizeof *m);
    const RivalSizes *s = &n->size;
    const int64_t w = s->width;
    *m = (Sttn){.flow = part_table(n, "flow", s->F, w), .time = part_table(n, "time", s->T, w),
                .in = part_linear(n, "in", 1 + 2 * w, w),
                .space = part_encoder_new(n, "space", w, 1, 2 * w, true),
                .when = part_encoder_new(n, "when", w, 1, 2 * w, true), .norm = part_norm(n, "norm", w),
                .mid = part_linear(n, "mid", s->T * w, STTN_HEAD * w), .last = part_norm(n, "last", STTN_HEAD * w),
                .head = part_linear(n, "head", STTN_HEAD * w, s->K)};
    return OK;
}

static Tensor *sttn_block(Tape *t, const PartEncoder *e, Tensor *x, double dropout)
{
    return tape_relu(t, tape_add(t, part_encoder(t, e, x, dropout), x));
}

Tensor *sttn_forecast(Tape *t, const RivalNet *n, const RivalInput *in)
{
    const Sttn *m = n->part;
    const RivalSizes *s = &n->size;
    const int64_t B = in->x->shape.d[0], w = s->width;
    Tensor *x = tape_reshape(t, in->x, SHAPE(B, s->T, s->F, 1)), *none = tape_zeros(t, SHAPE(B, s->T, s->F, w));
    Tensor *time = part_over_flows(t, m->time, s->F);
    x = tape_concat(t, (Tensor *[]){x, tape_add(t, none, m->flow), tape_add(t, none, time)}, 3, 3);
    x = linear_apply(t, &m->in, x);
    x = tape_reshape(t, sttn_block(t, &m->space, rows_of_flows(t, x), s->dropout), SHAPE(B, s->T, s->F, w));
    x = norm_apply(t, &m->norm, sttn_block(t, &m->when, rows_of_time(t, x), s->dropout), false);
    x = tape_relu(t, linear_apply(t, &m->mid, tape_reshape(t, x, SHAPE(B, s->F, s->T * w))));
    x = tape_dropout(t, norm_apply(t, &m->last, x, false), s->dropout);
    return linear_apply(t, &m->head, x);
}

// ---- GMAN

enum { GMAN_HEADS = 8, WEEK = 7 };

typedef struct Fc2 { Linear in, out; } Fc2;
typedef struct Gate { Linear sq, sk, sv, tq, tk, tv, space, time; Fc2 out; } Gate;
typedef struct Gman {
    Tensor *flow, *slot, *day;
    Fc2 of_flow, of_time, in, head;
    Gate past, ahead;
    Linear q, k, v;
    Fc2 transform;
} Gman;

static Fc2 fc2_new(const RivalNet *n, const char *prefix, int64_t in, int64_t out)
{
    return (Fc2){linear_new(n->ps, part_name(n, "%s.in", prefix), in, n->size.width, false),
                 linear_new(n->ps, part_name(n, "%s.out", prefix), n->size.width, out, false)};
}

static Tensor *fc2(Tape *t, const Fc2 *f, Tensor *x)
{
    return linear_apply(t, &f->out, tape_relu(t, linear_apply(t, &f->in, x)));
}

static Gate gate_new(const RivalNet *n, const char *prefix)
{
    const int64_t w = n->size.width;
    Gate g;
    Linear *const to[] = {&g.sq, &g.sk, &g.sv, &g.tq, &g.tk, &g.tv};
    static const char *const name[] = {"space.q", "space.k", "space.v", "time.q", "time.k", "time.v"};
    for (int i = 0; i < 6; i++) *to[i] = linear_new(n->ps, part_name(n, "%s.%s", prefix, name[i]), 2 * w, w, false);
    g.space = linear_new(n->ps, part_name(n, "%s.gate.space", prefix), w, w, false);
    g.time = linear_new(n->ps, part_name(n, "%s.gate.time", prefix), w, w, false);
    g.out = fc2_new(n, arena_printf(n->ps->perm, "%s.fc", prefix), w, w);
    return g;
}

static Tensor *relu_of(Tape *t, const Linear *l, Tensor *x) { return tape_relu(t, linear_apply(t, l, x)); }

// x, ste [B,T,F,w] -> like x
static Tensor *gate_apply(Tape *t, const Gate *g, Tensor *x, Tensor *ste)
{
    const Shape s = x->shape;
    const int heads = head_count(s.d[3], GMAN_HEADS);
    Tensor *both = tape_concat(t, (Tensor *[]){x, ste}, 2, 3), *r = rows_of_flows(t, both);
    Tensor *hs = tape_attention(t, relu_of(t, &g->sq, r), relu_of(t, &g->sk, r), relu_of(t, &g->sv, r), heads, false);
    r = rows_of_time(t, both);
    Tensor *ht = tape_attention(t, relu_of(t, &g->tq, r), relu_of(t, &g->tk, r), relu_of(t, &g->tv, r), heads, true);
    hs = tape_reshape(t, hs, s);
    ht = back_from_time(t, ht, s.d[0]);
    Tensor *z = tape_sigmoid(t, linear_into(t, &g->space, hs, linear_apply(t, &g->time, ht), 0));
    Tensor *h = tape_add(t, ht, tape_mul(t, z, part_sub(t, hs, ht)));
    return tape_add(t, x, fc2(t, &g->out, h));
}

Status gman_build(RivalNet *n, Arena *scratch)
{
    (void)scratch;
    Gman *m = part_new(n, sizeof *m);
    const RivalSizes *s = &n->size;
    const int64_t w = s->width;
    *m = (Gman){.flow = part_table(n, "flow", s->F, w), .slot = part_table(n, "slot", s->slots_per_day, w),
                .day = part_table(n, "day", WEEK, w), .of_flow = fc2_new(n, "ste.flow", w, w),
                .of_time = fc2_new(n, "ste.time", w, w), .in = fc2_new(n, "in", 1, w), .head = fc2_new(n, "head", w, 1),
                .past = gate_new(n, "past"), .ahead = gate_new(n, "ahead"), .q = part_linear(n, "q", w, w),
                .k = part_linear(n, "k", w, w), .v = part_linear(n, "v", w, w),
                .transform = fc2_new(n, "transform", w, w)};
    return OK;
}

// STE of the columns whose calendar is given, I32 [B,T] -> [B,T,F,w]
static Tensor *gman_when(Tape *t, const RivalNet *n, Tensor *slot, Tensor *day)
{
    const Gman *m = n->part;
    Tensor *when = tape_add(t, tape_embedding(t, m->slot, slot), tape_embedding(t, m->day, day));
    Tensor *all = part_over_flows_in_time(t, fc2(t, &m->of_time, when), n->size.F);
    return tape_add(t, all, fc2(t, &m->of_flow, m->flow));
}

Tensor *gman_forecast(Tape *t, const RivalNet *n, const RivalInput *in)
{
    const Gman *m = n->part;
    const RivalSizes *s = &n->size;
    const int64_t B = in->x->shape.d[0];
    Tensor *past = gman_when(t, n, in->slot, in->day), *ahead = gman_when(t, n, in->next_slot, in->next_day);
    Tensor *x = fc2(t, &m->in, tape_reshape(t, in->x, SHAPE(B, s->T, s->F, 1)));
    x = gate_apply(t, &m->past, x, past);
    Tensor *q = relu_of(t, &m->q, rows_of_time(t, ahead)), *k = relu_of(t, &m->k, rows_of_time(t, past));
    Tensor *v = relu_of(t, &m->v, rows_of_time(t, x));
    Tensor *moved = tape_attention(t, q, k, v, head_count(s->width, GMAN_HEADS), false);
    x = back_from_time(t, fc2(t, &m->transform, moved), B);
    x = gate_apply(t, &m->ahead, x, ahead);
    Tensor *y = tape_reshape(t, fc2(t, &m->head, x), SHAPE(B, s->K, s->F));
    return part_series(t, y);
}
