// Recurrent networks over single flows: every flow of every window is a sequence of T values; one network for all.
// [mem] the form of the rows LSTM and GRU in Flow-By-Flow's table; y = W h_T + b, K values at once.  Adam 1e-3, MSE.
//
// LSTM (Hochreiter, Schmidhuber 1997; forget gates: Gers et al. 2000), 64 wide:
//   i, f, o = sigmoid(.), g = tanh(.) of W x + U h + b;   c' = f c + i g;   h' = o tanh(c')
// GRU (Cho et al. 2014, in the form that cuDNN computes), 64 wide:
//   r, z = sigmoid(W x + U h + b);   n = tanh(W_n x + b_n + r (U_n h + c_n));   h' = (1 - z) n + z h
// CfC (Hasani et al. 2022, closed-form continuous-time networks) [src mlech26l/ncps @695ec22], 64 wide, backbone 128:
//   u = 1.7159 tanh(0.666 W [x; h]);  f1 = tanh(W_1 u), f2 = tanh(W_2 u), s = sigmoid((W_a u) dt + W_b u)
//   h' = f1 (1 - s) + f2 s
//   dt = slots since the flow's last measured value: what is missing needs no other treatment.
#include "rivals/models.h"
#include "rivals/parts.h"

// Column i of x [T,B,F] as rows: [B F,1].
static Tensor *column(Tape *t, Tensor *x, int64_t i)
{
    Tensor *c = tape_slice(t, x, 0, i, 1);
    return tape_reshape(t, c, SHAPE(numel(c), 1));
}

static Tensor *in_time(Tape *t, Tensor *x) { return tape_permute(t, x, (int[]){1, 0, 2}); }   // [B,T,F] -> [T,B,F]

static Tensor *gate(Tape *t, Tensor *gates, int i, int64_t width) { return tape_slice(t, gates, 1, i * width, width); }

// a + s (b - a)
static Tensor *between(Tape *t, Tensor *a, Tensor *b, Tensor *s)
{
    return tape_add(t, a, tape_mul(t, s, part_sub(t, b, a)));
}

static Tensor *read_out(Tape *t, const RivalNet *n, const Linear *head, Tensor *h)
{
    Tensor *y = linear_apply(t, head, h);
    return tape_reshape(t, y, SHAPE(numel(y) / (n->size.F * n->size.K), n->size.F, n->size.K));
}

// ---- LSTM and GRU

typedef struct Recurrent { Linear x, h, head; } Recurrent;

static Status recurrent_build(RivalNet *n, int gates)
{
    Recurrent *m = part_new(n, sizeof *m);
    const int64_t w = n->size.width;
    *m = (Recurrent){part_linear(n, "x", 1, gates * w), part_linear(n, "h", w, gates * w),
                     part_linear(n, "head", w, n->size.K)};
    return OK;
}

Status lstm_build(RivalNet *n, Arena *scratch)
{
    (void)scratch;
    return recurrent_build(n, 4);
}

Tensor *lstm_forecast(Tape *t, const RivalNet *n, const RivalInput *in)
{
    const Recurrent *m = n->part;
    const int64_t w = n->size.width;
    Tensor *x = in_time(t, in->x);
    Tensor *h = tape_zeros(t, SHAPE(numel(x) / n->size.T, w)), *c = h;
    for (int64_t i = 0; i < n->size.T; i++) {
        h = part_lstm(t, linear_into(t, &m->h, h, linear_apply(t, &m->x, column(t, x, i)), 0), w, &c);
    }
    return read_out(t, n, &m->head, h);
}

Status gru_build(RivalNet *n, Arena *scratch)
{
    (void)scratch;
    return recurrent_build(n, 3);
}

Tensor *gru_forecast(Tape *t, const RivalNet *n, const RivalInput *in)
{
    const Recurrent *m = n->part;
    const int64_t w = n->size.width;
    Tensor *x = in_time(t, in->x), *h = tape_zeros(t, SHAPE(numel(x) / n->size.T, w));
    for (int64_t i = 0; i < n->size.T; i++) {
        Tensor *a = linear_apply(t, &m->x, column(t, x, i)), *b = linear_apply(t, &m->h, h);
        Tensor *r = tape_sigmoid(t, tape_add(t, gate(t, a, 0, w), gate(t, b, 0, w)));
        Tensor *z = tape_sigmoid(t, tape_add(t, gate(t, a, 1, w), gate(t, b, 1, w)));
        Tensor *new = tape_tanh(t, tape_add(t, gate(t, a, 2, w), tape_mul(t, r, gate(t, b, 2, w))));
        h = between(t, new, h, z);
    }
    return read_out(t, n, &m->head, h);
}

// ---- CfC

typedef struct Cfc { Linear x, h, f1, f2, a, b, head; } Cfc;

Status cfc_build(RivalNet *n, Arena *scratch)
{
    (void)scratch;
    Cfc *m = part_new(n, sizeof *m);
    const int64_t w = n->size.width, inner = 2 * w;
    *m = (Cfc){part_linear(n, "x", 1, inner), part_linear(n, "h", w, inner), part_linear(n, "f1", inner, w),
               part_linear(n, "f2", inner, w), part_linear(n, "a", inner, w), part_linear(n, "b", inner, w),
               part_linear(n, "head", w, n->size.K)};
    return OK;
}

Tensor *cfc_forecast(Tape *t, const RivalNet *n, const RivalInput *in)
{
    const Cfc *m = n->part;
    Tensor *x = in_time(t, in->x), *seen = in->seen ? in_time(t, in->seen) : NULL;
    const int64_t rows = numel(x) / n->size.T;
    Tensor *h = tape_zeros(t, SHAPE(rows, n->size.width));
    Tensor *dt = seen ? tape_scale(t, tape_zeros(t, SHAPE(rows, 1)), 1, 1) : NULL;
    for (int64_t i = 0; i < n->size.T; i++) {
        Tensor *u = linear_into(t, &m->h, h, linear_apply(t, &m->x, column(t, x, i)), 0);
        u = tape_scale(t, tape_tanh(t, tape_scale(t, u, 0.666, 0)), 1.7159, 0);
        Tensor *a = linear_apply(t, &m->a, u);
        if (dt) a = tape_mul_rows(t, a, dt);
        Tensor *s = tape_sigmoid(t, tape_add(t, a, linear_apply(t, &m->b, u)));
        h = between(t, tape_tanh(t, linear_apply(t, &m->f1, u)), tape_tanh(t, linear_apply(t, &m->f2, u)), s);
        if (dt) {   // 1, and one more for each value that was missing before
            Tensor *missing = tape_scale(t, column(t, seen, i), -1, 1);
            dt = tape_scale(t, tape_mul(t, missing, dt), 1, 1);
        }
    }
    return read_out(t, n, &m->head, h);
}
