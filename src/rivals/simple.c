// The simple ones that win elsewhere.  x [B,F,T], each flow a series of its own; y [B,F,K].
//
// DLinear (Zeng et al. 2023, "Are Transformers Effective for Time Series Forecasting?", AAAI) [src]:
//   trend = moving average of 25 columns, the ends repeated; rest = x - trend;  y = W_t trend + b_t + W_r rest + b_r
// NLinear (the same paper) [src]: y = W (x - x_L) + b + x_L, x_L the last value of the history.
//   One W for all flows, as in their experiments.  Adam 1e-3, MSE.  Theirs look back 336 columns.
//
// STID (Shao et al. 2022, CIKM) [src BasicTS]: what a series lacks is who and when it is:
//   h = [W_x x; E_flow; E_slot of the day; E_day of the week], 32 each;  three times h <- h + W_2 relu(W_1 h);  y = W h
//   Adam 2e-3, weight decay 1e-4, MAE.  Theirs halves the rate at epochs 1, 50, 80; here it falls as LEAD's does.
//
// TSMixer (Chen et al. 2023, TMLR; sizes of Time-Series-Library) [src]: with RevIN,
//   twice: x <- x + W_2 relu(W_1 x) over the columns (256 wide), x <- x + W_4 relu(W_3 x) over the flows (512 wide)
//   y = W x.  dropout 0.1.
// With target residual NLinear gives no level back, TSMixer the spread alone.
#include "rivals/models.h"
#include "rivals/parts.h"

// ---- DLinear, NLinear

enum { TREND_KERNEL = 25 };

// The moving average as a matrix: column j of the result is the mean of TREND_KERNEL columns about j.
static double trend_value(const RivalSizes *s, int64_t i, int64_t j)
{
    double sum = 0;
    for (int64_t k = j - TREND_KERNEL / 2; k <= j + TREND_KERNEL / 2; k++)
        sum += i == (k < 0 ? 0 : k >= s->T ? s->T - 1 : k);
    return sum / TREND_KERNEL;
}

static double rest_value(const RivalSizes *s, int64_t i, int64_t j) { return (i == j) - trend_value(s, i, j); }

typedef struct DLinear { Tensor *to_trend, *to_rest; Linear trend, rest; } DLinear;

Status dlinear_build(RivalNet *n, Arena *scratch)
{
    (void)scratch;
    DLinear *m = part_new(n, sizeof *m);
    const int64_t T = n->size.T, K = n->size.K;
    *m = (DLinear){part_constant(n, T, T, trend_value), part_constant(n, T, T, rest_value),
                   part_linear(n, "trend", T, K), part_linear(n, "rest", T, K)};
    return OK;
}

Tensor *dlinear_forecast(Tape *t, const RivalNet *n, const RivalInput *in)
{
    const DLinear *m = n->part;
    Tensor *x = part_series(t, in->x);
    Tensor *trend = linear_apply(t, &m->trend, tape_linear(t, x, m->to_trend, NULL));
    return linear_into(t, &m->rest, tape_linear(t, x, m->to_rest, NULL), trend, 0);
}

typedef struct NLinear { Tensor *change, *last; Linear map; } NLinear;

Status nlinear_build(RivalNet *n, Arena *scratch)
{
    (void)scratch;
    NLinear *m = part_new(n, sizeof *m);
    const int64_t T = n->size.T, K = n->size.K;
    *m = (NLinear){part_constant(n, T, T, part_since_last), part_constant(n, T, K, part_last),
                   part_linear(n, "map", T, K)};
    return OK;
}

Tensor *nlinear_forecast(Tape *t, const RivalNet *n, const RivalInput *in)
{
    const NLinear *m = n->part;
    Tensor *x = part_series(t, in->x), *y = linear_apply(t, &m->map, tape_linear(t, x, m->change, NULL));
    return n->size.target == RIVAL_LEVELS ? tape_add(t, y, tape_linear(t, x, m->last, NULL)) : y;
}

// ---- STID

enum { STID_LAYERS = 3, DAYS = 7 };

typedef struct Stid { Linear x, in[STID_LAYERS], out[STID_LAYERS], head; Tensor *flow, *slot, *day; } Stid;

Status stid_build(RivalNet *n, Arena *scratch)
{
    (void)scratch;
    Stid *m = part_new(n, sizeof *m);
    const RivalSizes *s = &n->size;
    const int64_t d = s->width, h = 4 * d;
    m->x = part_linear(n, "x", s->T, d);
    m->flow = part_table(n, "flow", s->F, d);
    m->slot = part_table(n, "slot", s->slots_per_day, d);
    m->day = part_table(n, "day", DAYS, d);
    for (int i = 0; i < STID_LAYERS; i++) {
        m->in[i] = linear_new(n->ps, part_name(n, "%d.in", i), h, h, false);
        m->out[i] = linear_new(n->ps, part_name(n, "%d.out", i), h, h, false);
    }
    m->head = part_linear(n, "head", h, s->K);
    return OK;
}

// Row `column` of the embeddings of index [B,T], for all flows: [B,F,width].
static Tensor *when(Tape *t, Tensor *table, Tensor *index, int64_t column, int64_t F)
{
    Tensor *e = tape_slice(t, tape_embedding(t, table, index), 1, column, 1);
    return part_over_flows(t, tape_reshape(t, e, SHAPE(e->shape.d[0], e->shape.d[2])), F);
}

Tensor *stid_forecast(Tape *t, const RivalNet *n, const RivalInput *in)
{
    const Stid *m = n->part;
    const RivalSizes *s = &n->size;
    Tensor *h[] = {linear_apply(t, &m->x, part_series(t, in->x)), part_over_windows(t, m->flow, in->x->shape.d[0]),
                   when(t, m->slot, in->slot, s->L - 1, s->F), when(t, m->day, in->day, s->L - 1, s->F)};
    Tensor *y = tape_concat(t, h, 4, 2);
    for (int i = 0; i < STID_LAYERS; i++)
        y = linear_into(t, &m->out[i], tape_relu(t, linear_apply(t, &m->in[i], y)), y, s->dropout);
    return linear_apply(t, &m->head, y);
}

// ---- TSMixer

enum { MIXER_BLOCKS = 2 };

typedef struct Mixer { Linear in, out; } Mixer;
typedef struct TsMixer { PartLevel level; Mixer time[MIXER_BLOCKS], flow[MIXER_BLOCKS]; Linear head; } TsMixer;

static Mixer mixer_new(const RivalNet *n, const char *what, int block, int64_t width, int64_t inner)
{
    return (Mixer){linear_new(n->ps, part_name(n, "%d.%s.in", block, what), width, inner, false),
                   linear_new(n->ps, part_name(n, "%d.%s.out", block, what), inner, width, false)};
}

static Tensor *mix(Tape *t, const Mixer *m, Tensor *x, double dropout)
{
    Tensor *h = tape_dropout(t, tape_relu(t, linear_apply(t, &m->in, x)), dropout);
    return linear_into(t, &m->out, h, x, dropout);
}

Status tsmixer_build(RivalNet *n, Arena *scratch)
{
    (void)scratch;
    TsMixer *m = part_new(n, sizeof *m);
    const RivalSizes *s = &n->size;
    m->level = part_level_new(n);
    for (int i = 0; i < MIXER_BLOCKS; i++) {
        m->time[i] = mixer_new(n, "time", i, s->T, s->width);
        m->flow[i] = mixer_new(n, "flow", i, s->F, 2 * s->width);
    }
    m->head = part_linear(n, "head", s->T, s->K);
    return OK;
}

Tensor *tsmixer_forecast(Tape *t, const RivalNet *n, const RivalInput *in)
{
    const TsMixer *m = n->part;
    const double dropout = n->size.dropout;
    const PartLevelled l = part_level(t, &m->level, part_series(t, in->x));
    Tensor *x = l.x;
    for (int i = 0; i < MIXER_BLOCKS; i++) {
        x = mix(t, &m->time[i], x, dropout);
        x = part_series(t, mix(t, &m->flow[i], part_series(t, x), dropout));
    }
    return part_level_back(t, n, &l, linear_apply(t, &m->head, x));
}
