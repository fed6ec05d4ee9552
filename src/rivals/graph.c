// Graph convolutions between flows and gated convolutions over time.  x [B,T,F,C]; the flows are the nodes.  There is
// no road map of flows: every graph is learned.
//
// Graph WaveNet (Wu et al. 2019, IJCAI) [src @6b162e8]: 1x1 convolution to 32 channels; 8 layers of kernel 2:
//   h = tanh(conv x) sigmoid(conv x);  skip += W_s h_last (256);  x <- LN([h; A h; A A h] W + x)
//   A = softmax(relu(E1 E2')), E 10-d;  y = W relu(W relu(skip)), 512 in between.  Adam 1e-3, decay 1e-4, dropout 0.3.
//   Dilations are 1, 2, 1, 2, .. as theirs where T <= 13; else 1, 2, .. 2^(c-1) in turn, c the least that lets the
//   last layer see all T columns.  LayerNorm in place of BatchNorm; of their three graphs the learned one.  Batch 64
//   there.
// Virtual Nodes [abs]: Graph WaveNet with more nodes, joined to all their flows.  For a traffic matrix [mine]: one for
//   what each node sends, one for what it receives, whose input is the mean of these flows.
//   A' = rows of [[A, 1], [1', I]] divided by their sums; outputs of virtual nodes are dropped.
// MTGNN (Wu et al. 2020, KDD) [src @f811746]: M1 = tanh(3 E1 W1), M2 = tanh(3 E2 W2), E 40-d;
//   A = relu(tanh(3 (M1 M2' - M2 M1')));  x to 32 channels; 3 layers: convolutions of kernels 2, 3, 6, 7, 8 channels of
//   filter and of gate each, side by side, cut to the shortest;  h = tanh . sigmoid, dropout; skip += conv over all
//   columns (64);  x <- LN(mixprop(h, A) + mixprop(h, A') + x) over flows, columns and channels together
//   mixprop: H0 = h, Hk = 0.05 h + 0.95 D^-1(A + I) Hk-1, k <= 2, [H0; H1; H2] W;  y = W relu(W relu(skip)), 128.
//   Adam 1e-3, decay 1e-4, clip 5, dropout 0.3, batch 64 there.  All of a row of A counts, not its 20 largest values;
//   all K steps are trained at once, not one more each 2500 iterations.  Shorter windows are padded to 19 columns.
// GRAM-ODE (Liu et al. 2023, TMLR) [src @aa4e2da], of its 2 graphs x 3 branches one graph and one branch: two blocks
//   TCN, ODE, TCN; TCN: kernel 2, dilations 1, 2, 4, channels 64, 32, 64, relu, plus its input; ODE from z0 by Euler:
//   dz/dt = (alpha/2) A z - z + S z - z + z W - z + z0,  S = sigmoid(z W3 (z W4)')/T over the columns of a flow
//   3 steps of 1/3; A = D^-1(A + I) as MTGNN's, alpha in 0 .. 1 learned for each flow; head: all columns, 128, relu, K.
//   Adam 2e-4, batch 64 there, MAE (Huber in the code).  No attention between branches: there is one.  S is divided by
//   T, without which three steps leave the range of f32 on long windows [mine].
#include "rivals/models.h"
#include "rivals/parts.h"

// ---- mixing

// The rows of A joined with x: out[..,i,c] = sum_j A[i,j] x[..,j,c], x [B,T,C,F] with the flows last.
static Tensor *mixed(Tape *t, Tensor *flows_last, Tensor *A)
{
    return tape_linear(t, flows_last, tape_permute(t, A, (int[]){1, 0}), NULL);
}

static Tensor *turn(Tape *t, Tensor *x) { return tape_permute(t, x, (int[]){0, 1, 3, 2}); }   // flows last, and back

// The last n columns of x [B,T,F,C].
static Tensor *last_columns(Tape *t, Tensor *x, int64_t n) { return tape_slice(t, x, 1, x->shape.d[1] - n, n); }

// Columns before the first, of zeros.
static Tensor *pad_columns(Tape *t, Tensor *x, int64_t n) { return n > 0 ? tape_pad2d(t, x, (int)n, 0, 0, 0) : x; }

static Tensor *as_pixels(Tape *t, const RivalNet *n, Tensor *x)   // [B,T,F] -> [B,T,F,1]
{
    return tape_reshape(t, x, SHAPE(numel(x) / (n->size.T * n->size.F), n->size.T, n->size.F, 1));
}

// All columns of each flow side by side: [B,T,F,C] -> [B,F,T C].
static Tensor *flat_columns(Tape *t, Tensor *x)
{
    const Shape s = x->shape;
    return tape_reshape(t, tape_permute(t, x, (int[]){0, 2, 1, 3}), SHAPE(s.d[0], s.d[2], s.d[1] * s.d[3]));
}

// tanh(a) sigmoid(b) of [..,2 w]
static Tensor *gated(Tape *t, Tensor *both, int64_t w)
{
    const int last = both->shape.n - 1;
    return tape_mul(t, tape_tanh(t, tape_slice(t, both, last, 0, w)), tape_sigmoid(t, tape_slice(t, both, last, w, w)));
}

// ---- Graph WaveNet and Virtual Nodes

enum { WAVE_LAYERS = 8, WAVE_EMBEDDING = 10, SKIP = 8, END = 16 };   // of the last two: width in widths

typedef struct WaveLayer { Linear conv, skip, mix; Norm norm; } WaveLayer;
typedef struct Wave {
    Linear in, end, head;
    WaveLayer layer[WAVE_LAYERS];
    Tensor *e1, *e2;
    Tensor *joined, *pool;       // virtual nodes only: the constant part of A', and flows to virtual inputs
    int64_t extra;               // virtual nodes
} Wave;

static int64_t dilation(int layer, int cycle) { return (int64_t)1 << (layer % cycle); }

// Columns that the last layer sees, and the least cycle with which these are all of T.
static int64_t wave_field(int cycle)
{
    int64_t field = 1;
    for (int i = 0; i < WAVE_LAYERS; i++) field += dilation(i, cycle);
    return field;
}

static int wave_cycle(int64_t T)
{
    int cycle = 2;
    while (cycle < WAVE_LAYERS && wave_field(cycle) < T) cycle++;
    return cycle;
}

static Status wave_build(RivalNet *n, int64_t extra)
{
    Wave *m = part_new(n, sizeof *m);
    const RivalSizes *s = &n->size;
    const int64_t w = s->width;
    if (s->T > wave_field(WAVE_LAYERS))
        return USAGE_ERROR("model %s: want a window of at most %lld columns, got %lld", n->name,
                           (long long)wave_field(WAVE_LAYERS), (long long)s->T);
    m->extra = extra;
    m->in = part_linear(n, "in", 1, w);
    for (int i = 0; i < WAVE_LAYERS; i++) {
        WaveLayer *l = &m->layer[i];
        l->conv = linear_new(n->ps, part_name(n, "%d.conv", i), 2 * w, 2 * w, false);
        l->skip = linear_new(n->ps, part_name(n, "%d.skip", i), w, SKIP * w, false);
        if (i == WAVE_LAYERS - 1) break;   // nobody reads more of the last one
        l->mix = linear_new(n->ps, part_name(n, "%d.mix", i), 3 * w, w, false);
        l->norm = layernorm_new(n->ps, part_name(n, "%d.norm", i), w);
    }
    m->e1 = part_table(n, "e1", s->F, WAVE_EMBEDDING);
    m->e2 = part_table(n, "e2", s->F, WAVE_EMBEDDING);
    m->end = part_linear(n, "end", SKIP * w, END * w);
    m->head = part_linear(n, "head", END * w, s->K);
    return OK;
}

Status gwn_build(RivalNet *n, Arena *scratch)
{
    (void)scratch;
    return wave_build(n, 0);
}

// Whether virtual node v (N that send, then N that receive) is one of flow f.
static bool belongs(const RivalSizes *s, int64_t f, int64_t v)
{
    return v < s->N ? f / s->N == v : f % s->N == v - s->N;
}

static double joined_value(const RivalSizes *s, int64_t i, int64_t j)
{
    const int64_t F = s->F;
    if (i < F) return j >= F && belongs(s, i, j - F) ? 1.0 / 3 : 0;
    return (j < F ? belongs(s, j, i - F) : i == j) ? 1.0 / (double)(s->N + 1) : 0;
}

static double pool_value(const RivalSizes *s, int64_t f, int64_t v)
{
    return belongs(s, f, v) ? 1.0 / (double)s->N : 0;
}

Status virtual_nodes_build(RivalNet *n, Arena *scratch)
{
    (void)scratch;
    const int64_t extra = 2 * n->size.N, all = n->size.F + extra;
    TRY(wave_build(n, extra));
    Wave *m = n->part;
    m->joined = part_constant(n, all, all, joined_value);
    m->pool = part_constant(n, n->size.F, extra, pool_value);
    return OK;
}

static Tensor *wave_graph(Tape *t, const RivalNet *n)
{
    const Wave *m = n->part;
    const int64_t F = n->size.F, all = F + m->extra;
    Tensor *A = tape_softmax(t, tape_relu(t, tape_matmul(t, m->e1, m->e2, false, true)));
    if (!m->extra) return A;
    A = tape_pad2d(t, tape_reshape(t, A, SHAPE(1, F, F, 1)), 0, (int)m->extra, 0, (int)m->extra);
    return tape_add(t, tape_scale(t, tape_reshape(t, A, SHAPE(all, all)), 1.0 / 3, 0), m->joined);
}

// x [B,T,F,C] -> [x; A x; A A x] W
static Tensor *wave_mix(Tape *t, const Linear *l, Tensor *x, Tensor *A)
{
    Tensor *once = mixed(t, turn(t, x), A), *twice = mixed(t, once, A);
    return linear_apply(t, l, tape_concat(t, (Tensor *[]){x, turn(t, once), turn(t, twice)}, 3, 3));
}

static Tensor *wave_forecast(Tape *t, const RivalNet *n, Tensor *x)   // [B,T,nodes,1] -> [B,nodes,K]
{
    const Wave *m = n->part;
    const RivalSizes *s = &n->size;
    const int64_t w = s->width, nodes = s->F + m->extra;
    const int cycle = wave_cycle(s->T);
    Tensor *A = wave_graph(t, n), *skip = NULL;
    x = linear_apply(t, &m->in, pad_columns(t, x, wave_field(cycle) - s->T));
    for (int i = 0; i < WAVE_LAYERS; i++) {
        const WaveLayer *l = &m->layer[i];
        const int64_t left = x->shape.d[1] - dilation(i, cycle);
        Tensor *pair = tape_concat(t, (Tensor *[]){tape_slice(t, x, 1, 0, left), last_columns(t, x, left)}, 2, 3);
        Tensor *h = gated(t, linear_apply(t, &l->conv, pair), w);
        Tensor *now = tape_reshape(t, last_columns(t, h, 1), SHAPE(x->shape.d[0], nodes, w));
        skip = skip ? linear_into(t, &l->skip, now, skip, 0) : linear_apply(t, &l->skip, now);
        if (i == WAVE_LAYERS - 1) break;
        h = tape_dropout(t, wave_mix(t, &l->mix, h, A), s->dropout);
        x = norm_apply(t, &l->norm, tape_add(t, h, last_columns(t, x, left)), false);
    }
    return linear_apply(t, &m->head, tape_relu(t, linear_apply(t, &m->end, tape_relu(t, skip))));
}

Tensor *gwn_forecast(Tape *t, const RivalNet *n, const RivalInput *in)
{
    return wave_forecast(t, n, as_pixels(t, n, in->x));
}

Tensor *virtual_nodes_forecast(Tape *t, const RivalNet *n, const RivalInput *in)
{
    const Wave *m = n->part;
    const Shape s = in->x->shape;
    Tensor *x = tape_concat(t, (Tensor *[]){in->x, tape_linear(t, in->x, m->pool, NULL)}, 2, 2);
    x = tape_reshape(t, x, SHAPE(s.d[0], s.d[1], s.d[2] + m->extra, 1));
    return tape_slice(t, wave_forecast(t, n, x), 1, 0, s.d[2]);
}

// ---- the learned graph of MTGNN

typedef struct Graph { Tensor *e1, *e2, *ones, *eye, *spread, *small, *gamma, *beta; Linear m1, m2; } Graph;

static const double SMALL = 1.0 / 256;

static double spread_value(const RivalSizes *s, int64_t i, int64_t j)   // of (s, -s, 0, 0) in normalised()
{
    (void)s, (void)i;
    return j == 0 ? 1 : j == 1 ? -1 : 0;
}

static double small_value(const RivalSizes *s, int64_t i, int64_t j)    // .. 0, 0, d, -d
{
    return SMALL * spread_value(s, i, j - 2);
}

static double eye_value(const RivalSizes *s, int64_t i, int64_t j)
{
    (void)s;
    return i == j;
}

static Graph graph_new(const RivalNet *n, int64_t d)   // d: of the embeddings
{
    const int64_t F = n->size.F;
    return (Graph){.e1 = part_table(n, "graph.e1", F, d), .e2 = part_table(n, "graph.e2", F, d),
                   .ones = part_constant(n, F, 1, part_one), .eye = part_constant(n, F, F, eye_value),
                   .spread = part_constant(n, 1, 4, spread_value), .small = part_row(n, 4, small_value),
                   .gamma = part_row(n, 4, part_one), .beta = part_row(n, 4, part_zero),
                   .m1 = part_linear(n, "graph.m1", d, d), .m2 = part_linear(n, "graph.m2", d, d)};
}

static Tensor *squashed(Tape *t, Tensor *x) { return tape_tanh(t, tape_scale(t, x, 3, 0)); }

static Tensor *graph_of(Tape *t, const Graph *g)
{
    Tensor *m1 = squashed(t, linear_apply(t, &g->m1, g->e1)), *m2 = squashed(t, linear_apply(t, &g->m2, g->e2));
    Tensor *a = tape_matmul(t, m1, m2, false, true);
    return tape_relu(t, squashed(t, part_sub(t, a, tape_permute(t, a, (int[]){1, 0}))));
}

// D^-1(A + I).  1/s of the sums s >= 1 by the one op that divides, a layer norm: of (s, -s, d, -d) the third value is
// d sqrt(2)/sqrt(s^2 + d^2), d = SMALL: 1/s within 8e-6 of it.
static Tensor *normalised(Tape *t, const Graph *g, Tensor *A)
{
    A = tape_add(t, A, g->eye);
    Tensor *sum = tape_linear(t, A, g->ones, NULL), *v = tape_linear(t, sum, g->spread, g->small);
    Tensor *part = tape_slice(t, tape_layer_norm(t, v, g->gamma, g->beta, 1e-12), 1, 2, 1);
    return tape_mul_rows(t, A, tape_scale(t, part, 0.70710678118654752 / SMALL, 0));
}

// ---- MTGNN

enum { MT_LAYERS = 3, KERNELS = 4, LONGEST = 7, MT_FIELD = 1 + MT_LAYERS * (LONGEST - 1) };
static const int kernel[KERNELS] = {2, 3, 6, LONGEST};
static const double KEEP = 0.05;

typedef struct MtLayer { Linear conv[KERNELS], skip, mix[2]; Norm norm; } MtLayer;
typedef struct Mtgnn { Graph graph; Linear in, skip_first, skip_last, end, head; MtLayer layer[MT_LAYERS]; } Mtgnn;

static int64_t mt_columns(const RivalSizes *s) { return s->T < MT_FIELD ? MT_FIELD : s->T; }

Status mtgnn_build(RivalNet *n, Arena *scratch)
{
    (void)scratch;
    Mtgnn *m = part_new(n, sizeof *m);
    const RivalSizes *s = &n->size;
    const int64_t w = s->width, each = w / KERNELS, T = mt_columns(s);
    m->graph = graph_new(n, 5 * w / 4);
    m->in = part_linear(n, "in", 1, w);
    m->skip_first = part_linear(n, "skip.first", T, 2 * w);
    for (int i = 0; i < MT_LAYERS; i++) {
        MtLayer *l = &m->layer[i];
        const int64_t left = T - (i + 1) * (LONGEST - 1);
        for (int k = 0; k < KERNELS; k++)
            l->conv[k] = linear_new(n->ps, part_name(n, "%d.conv.%d", i, kernel[k]), kernel[k] * w, 2 * each, false);
        l->skip = linear_new(n->ps, part_name(n, "%d.skip", i), left * w, 2 * w, false);
        for (int k = 0; k < 2; k++)
            l->mix[k] = linear_new(n->ps, part_name(n, "%d.mix.%d", i, k), 3 * w, w, false);
        l->norm = layernorm_new(n->ps, part_name(n, "%d.norm", i), left * s->F * w);
    }
    m->skip_last = part_linear(n, "skip.last", (T - MT_LAYERS * (LONGEST - 1)) * w, 2 * w);
    m->end = part_linear(n, "end", 2 * w, 4 * w);
    m->head = part_linear(n, "head", 4 * w, s->K);
    return OK;
}

static Tensor *inception(Tape *t, const MtLayer *l, Tensor *x, int64_t each)
{
    const int64_t left = x->shape.d[1] - (LONGEST - 1);
    Tensor *shifted[LONGEST], *filter[KERNELS], *gates[KERNELS];
    for (int j = 0; j < LONGEST; j++) shifted[j] = tape_slice(t, x, 1, j, left);
    for (int k = 0; k < KERNELS; k++) {
        Tensor *taps = tape_concat(t, shifted + LONGEST - kernel[k], kernel[k], 3);
        Tensor *y = linear_apply(t, &l->conv[k], taps);
        filter[k] = tape_slice(t, y, 3, 0, each);
        gates[k] = tape_slice(t, y, 3, each, each);
    }
    return tape_mul(t, tape_tanh(t, tape_concat(t, filter, KERNELS, 3)),
                    tape_sigmoid(t, tape_concat(t, gates, KERNELS, 3)));
}

static Tensor *mixprop(Tape *t, const Linear *l, Tensor *x, Tensor *A)
{
    Tensor *h[3] = {x}, *flows = turn(t, x), *now = flows, *kept = tape_scale(t, flows, KEEP, 0);
    for (int k = 1; k < 3; k++) {
        now = tape_add(t, kept, tape_scale(t, mixed(t, now, A), 1 - KEEP, 0));
        h[k] = turn(t, now);
    }
    return linear_apply(t, l, tape_concat(t, h, 3, 3));
}

static Tensor *norm_whole(Tape *t, const Norm *l, Tensor *x)   // over all but the windows
{
    const int64_t B = x->shape.d[0];
    return tape_reshape(t, norm_apply(t, l, tape_reshape(t, x, SHAPE(B, numel(x) / B)), false), x->shape);
}

Tensor *mtgnn_forecast(Tape *t, const RivalNet *n, const RivalInput *in)
{
    const Mtgnn *m = n->part;
    const RivalSizes *s = &n->size;
    const int64_t w = s->width;
    Tensor *A = graph_of(t, &m->graph);
    Tensor *to[] = {normalised(t, &m->graph, A), normalised(t, &m->graph, tape_permute(t, A, (int[]){1, 0}))};
    Tensor *x = pad_columns(t, as_pixels(t, n, in->x), mt_columns(s) - s->T);
    Tensor *skip = linear_apply(t, &m->skip_first, tape_dropout(t, flat_columns(t, x), s->dropout));
    x = linear_apply(t, &m->in, x);
    for (int i = 0; i < MT_LAYERS; i++) {
        const MtLayer *l = &m->layer[i];
        Tensor *h = tape_dropout(t, inception(t, l, x, w / KERNELS), s->dropout);
        skip = linear_into(t, &l->skip, flat_columns(t, h), skip, 0);
        Tensor *both = tape_add(t, mixprop(t, &l->mix[0], h, to[0]), mixprop(t, &l->mix[1], h, to[1]));
        x = norm_whole(t, &l->norm, tape_add(t, both, last_columns(t, x, h->shape.d[1])));
    }
    skip = linear_into(t, &m->skip_last, flat_columns(t, x), skip, 0);
    return linear_apply(t, &m->head, tape_relu(t, linear_apply(t, &m->end, tape_relu(t, skip))));
}

// ---- GRAM-ODE

enum { ODE_BLOCKS = 2, ODE_STEPS = 3, TCN = 3 };

typedef struct OdeBlock { Linear tcn[2][TCN], w, w3, w4; Tensor *alpha; Norm norm; } OdeBlock;
typedef struct GramOde { Graph graph; Linear in, end, head; OdeBlock block[ODE_BLOCKS]; } GramOde;

Status gram_ode_build(RivalNet *n, Arena *scratch)
{
    (void)scratch;
    GramOde *m = part_new(n, sizeof *m);
    const RivalSizes *s = &n->size;
    const int64_t w = s->width, channels[TCN + 1] = {w, w, w / 2, w};
    m->graph = graph_new(n, 5 * w / 8);
    m->in = part_linear(n, "in", 1, w);
    for (int i = 0; i < ODE_BLOCKS; i++) {
        OdeBlock *b = &m->block[i];
        for (int k = 0; k < 2 * TCN; k++)
            b->tcn[k / TCN][k % TCN] = linear_new(n->ps, part_name(n, "%d.tcn.%d", i, k), 2 * channels[k % TCN],
                                                  channels[k % TCN + 1], false);
        b->w = linear_new(n->ps, part_name(n, "%d.w", i), w, w, false);
        b->w3 = linear_new(n->ps, part_name(n, "%d.w3", i), w, w, false);
        b->w4 = linear_new(n->ps, part_name(n, "%d.w4", i), w, w, false);
        b->alpha = param_add(n->ps, part_name(n, "%d", i), "alpha", SHAPE(s->F), (Init){INIT_ONE, 0}, PARAM_NO_DECAY);
        b->norm = layernorm_new(n->ps, part_name(n, "%d.norm", i), w);
    }
    m->end = part_linear(n, "end", s->T * w, 2 * w);
    m->head = part_linear(n, "head", 2 * w, s->K);
    return OK;
}

// Convolutions that look back 1, 2 and 4 columns, zeros before the first; plus the input.
static Tensor *tcn(Tape *t, const Linear *l, Tensor *x, double dropout)
{
    Tensor *h = x;
    const int64_t T = x->shape.d[1];
    for (int i = 0; i < TCN; i++) {
        Tensor *before = tape_slice(t, pad_columns(t, h, (int64_t)1 << i), 1, 0, T);
        h = tape_relu(t, linear_apply(t, &l[i], tape_concat(t, (Tensor *[]){before, h}, 2, 3)));
        h = tape_dropout(t, h, dropout);
    }
    return tape_add(t, h, x);
}

// S z of each flow: [B,T,F,w].
static Tensor *attend(Tape *t, const OdeBlock *b, Tensor *z)
{
    const Shape s = z->shape;
    const int64_t T = s.d[1];
    Tensor *r = tape_reshape(t, tape_permute(t, z, (int[]){0, 2, 1, 3}), SHAPE(s.d[0] * s.d[2], T, s.d[3]));
    Tensor *scores = tape_matmul(t, linear_apply(t, &b->w3, r), linear_apply(t, &b->w4, r), false, true);
    Tensor *y = tape_matmul(t, tape_scale(t, tape_sigmoid(t, scores), 1 / (double)T, 0), r, false, false);
    return tape_permute(t, tape_reshape(t, y, SHAPE(s.d[0], s.d[2], T, s.d[3])), (int[]){0, 2, 1, 3});
}

static Tensor *ode(Tape *t, const OdeBlock *b, Tensor *z0, Tensor *A)
{
    Tensor *z = z0, *alpha = tape_scale(t, tape_sigmoid(t, b->alpha), 0.5, 0);
    for (int i = 0; i < ODE_STEPS; i++) {
        Tensor *near = turn(t, tape_mul(t, mixed(t, turn(t, z), A), alpha));
        Tensor *dz = tape_add(t, tape_add(t, near, attend(t, b, z)), linear_into(t, &b->w, z, z0, 0));
        dz = tape_add(t, dz, tape_scale(t, z, -3, 0));
        z = tape_add(t, z, tape_scale(t, dz, 1.0 / ODE_STEPS, 0));
    }
    return z;
}

Tensor *gram_ode_forecast(Tape *t, const RivalNet *n, const RivalInput *in)
{
    const GramOde *m = n->part;
    const double dropout = n->size.dropout;
    Tensor *A = normalised(t, &m->graph, graph_of(t, &m->graph));
    Tensor *x = linear_apply(t, &m->in, as_pixels(t, n, in->x));
    for (int i = 0; i < ODE_BLOCKS; i++) {
        const OdeBlock *b = &m->block[i];
        x = tape_relu(t, ode(t, b, tcn(t, b->tcn[0], x, dropout), A));
        x = norm_apply(t, &b->norm, tcn(t, b->tcn[1], x, dropout), false);
    }
    return linear_apply(t, &m->head, tape_relu(t, linear_apply(t, &m->end, flat_columns(t, x))));
}
