#include "lead/data.h"

#include <string.h>

#include "lead/blend.h"
#include "lead/rival.h"
#include "traffic/ridge_gram.h"

// ---- on the device

// Half-lives of the moving averages of flow_context: of the values, and of their |changes|.
static const double value_hours[EWMA_MAX] = {1, 4, 24, 96}, change_hours[EWMA_MAX] = {0.25, 2, 12, 48};
static const double error_hours[EWMA_MAX] = {1, 8};   // ERROR_AVERAGES: of the base's errors and of their sizes

static Tensor *put(Tape *t, Arena *perm, Shape shape, const float *x)
{
    Tensor *y = tensor_new(perm, t->dev, REAL, shape, "data");
    tensor_set_f32(y, x, numel(y));
    return y;
}

// The mask of the series; NULL where nothing is missing.
static Tensor *put_seen(Tape *t, Arena *perm, const TrafficSeries *s)
{
    const int64_t n = s->T * s->N * s->N;
    if (!traffic_missing_count(s, (TrafficRange){0, s->T})) return NULL;
    const size_t mark = arena_mark(t->scratch);
    float *seen = arena_alloc(t->scratch, (size_t)n * sizeof *seen);
    for (int64_t k = 0; k < n; k++) seen[k] = s->seen[k] != 0;
    Tensor *y = put(t, perm, SHAPE(s->T, (int64_t)s->N * s->N), seen);
    arena_rewind(t->scratch, mark);
    return y;
}

// Where each row lies in time.  A gap longer than anything that is looked up across it is cut to that length: I32 do.
static Status put_index(LeadData *d, Tape *t, Arena *perm, const TrafficSeries *s)
{
    int64_t far = 7 * (int64_t)d->st->per_day + d->window.history + 2 * (int64_t)d->cfg->horizon + 2;
    // after so many half-lives the longest moving average has forgotten what lies before the gap
    const int64_t forgotten = (int64_t)(24 * value_hours[EWMA_MAX - 1] * 3600 / d->st->slot_seconds);
    if (d->cfg->flow_context && far < forgotten) far = forgotten;
    const size_t mark = arena_mark(t->scratch);
    int32_t *place = arena_alloc(t->scratch, 3 * (size_t)s->T * sizeof *place);
    int32_t *valid = place + s->T, *week_slot = valid + s->T;
    int64_t at = 0;
    for (int64_t r = 0; r < s->T; r++) {
        const int64_t step = r ? s->slot[r] - s->slot[r - 1] : 0;
        int slot, day;
        at += step < far ? step : far;
        if (at > INT32_MAX - far)
            return ERROR("traffic: row %lld lies more than 2^31 slots after the first, gaps cut to %lld", (long long)r,
                         (long long)far);
        traffic_calendar(s, r, 0, &slot, &day);
        place[r] = (int32_t)at;
        valid[r] = s->valid[r] != 0;
        week_slot[r] = day * d->st->per_day + slot;
    }
    Tensor **const to[] = {&d->place, &d->valid, &d->week_slot};
    const int32_t *const from[] = {place, valid, week_slot};
    for (int i = 0; i < 3; i++) {
        *to[i] = tensor_new(perm, t->dev, I32, SHAPE(s->T), "series");
        tensor_set_i32(*to[i], from[i], s->T);
    }
    arena_rewind(t->scratch, mark);
    return OK;
}

// n moving averages of each column of a whole series x [T,D] -> [T,D n].  Row t depends on rows up to t alone.
static Tensor *moving_averages(const LeadData *d, Tape *t, Arena *perm, Tensor *x, Tensor *valid, bool change, int n,
                               const double *hours)
{
    EwmaParams p = {.n = n, .change = change};
    const int64_t D = x->shape.d[1];
    for (int j = 0; j < n; j++) p.half_life[j] = hours[j] * 3600 / d->st->slot_seconds;
    Tensor *y = tensor_new(perm, t->dev, REAL, SHAPE(d->T, D, n), "moving averages");
    tape_run(t, OP_ewma, 3, (Tensor *[]){x, d->place, valid}, 1, &y, &p);
    y->shape = SHAPE(d->T, D * n);
    return y;
}

static Tensor *put_i32(Tape *t, Arena *a, const int32_t *x, int64_t n)
{
    Tensor *y = tensor_new(a, t->dev, I32, SHAPE(n), "rows");
    tensor_set_i32(y, x, n);
    return y;
}

// Row t itself where a ridge forecast can be made at it, since its lags are valid and consecutive; else -1.
static int32_t *forecast_rows(const TrafficSeries *s, Arena *a)
{
    int32_t *row = arena_alloc(a, (size_t)s->T * sizeof *row);
    int lags = 0;
    for (int64_t t = 0; t < s->T; t++) {
        const bool next = t > 0 && s->slot[t] == s->slot[t - 1] + 1;
        lags = !s->valid[t] ? 0 : next ? lags + 1 : 1;
        row[t] = lags >= RIDGE_LAGS ? (int32_t)t : -1;
    }
    return row;
}

// The base's forecast h steps ahead, made at every row of the series -> made [T,F], in scale s.  Rows where none can be
// made hold some other row's.
static void put_forecast(const LeadData *d, Tape *t, const TrafficSeries *s, const int32_t *can, int h, Tensor *made)
{
    Arena *a = t->scratch;
    const size_t mark = arena_mark(a), step = arena_mark(t->step);
    const int64_t T = d->T, F = d->st->F;
    int64_t some = 0, e[RIDGE_SEASON];
    while (some < T && can[some] < 0) some++;
    tensor_fill(made, 0);
    if (some == T) return;
    int32_t *lag = arena_alloc(a, (size_t)T * RIDGE_LAGS * sizeof *lag);
    int32_t *season = arena_alloc(a, (size_t)T * RIDGE_SEASON * sizeof *season);
    for (int64_t r = 0; r < T; r++) {
        const int64_t at = can[r] < 0 ? some : r;
        bool day, week;
        ridge_season_rows(s, at, h, e, &day, &week);
        for (int l = 0; l < RIDGE_LAGS; l++) lag[r * RIDGE_LAGS + l] = (int32_t)(at - (RIDGE_LAGS - 1) + l);
        for (int i = 0; i < RIDGE_SEASON; i++) season[r * RIDGE_SEASON + i] = (int32_t)e[i];
    }
    WindowRows rows = {put_i32(t, a, lag, T * RIDGE_LAGS), put_i32(t, a, season, T * RIDGE_SEASON)};
    rows.rows->shape = SHAPE(T, RIDGE_LAGS), rows.season->shape = SHAPE(T, 1, RIDGE_SEASON);
    Tensor *base = tape_ridge(t, d->x, tape_slice(t, d->coef, 2, h - 1, 1), rows, d->model, RIDGE_LAGS - 1);
    device_copy(t->dev, made->x, lead_data_scale(t, d, tape_reshape(t, base, SHAPE(T, F)))->x, tensor_bytes(made));
    arena_rewind(t->step, step);
    arena_rewind(a, mark);
}

// Moving averages of the base's errors (flow_news).
static void put_errors(LeadData *d, Tape *t, Arena *perm, const TrafficSeries *s)
{
    Arena *a = t->scratch;
    const size_t mark = arena_mark(a);
    const int64_t F = d->st->F;
    const int32_t *can = forecast_rows(s, a);
    int32_t *origin = arena_alloc(a, 2 * (size_t)d->T * sizeof *origin), *known = origin + d->T;
    int steps[ERROR_STEPS];
    d->error_steps = lead_error_steps(d->st->Kt, steps);
    Tensor *made = tensor_new(a, t->dev, REAL, SHAPE(d->T, F), "forecasts");
    if (d->cfg->base_blend) lead_blend_new(d, t, perm);
    for (int i = 0; i < d->error_steps; i++) {
        for (int64_t r = 0; r < d->T; r++) {
            const int64_t from = s->valid[r] ? traffic_row_at(s, r, -steps[i]) : -1;
            origin[r] = from < 0 ? -1 : can[from];
            known[r] = origin[r] >= 0;
        }
        const size_t each = arena_mark(a);
        Tensor *sigma = tape_reshape(t, tape_slice(t, d->units.sigma, 0, steps[i] - 1, 1), SHAPE(F));
        Tensor *error = tensor_new(a, t->dev, REAL, SHAPE(d->T, 2 * F), "errors");
        put_forecast(d, t, s, can, steps[i], made);
        tape_run(t, OP_base_error, 4, (Tensor *[]){d->u, made, put_i32(t, a, origin, d->T), sigma}, 1, &error, NULL);
        Tensor *valid = put_i32(t, a, known, d->T);
        d->error[i] = moving_averages(d, t, perm, error, valid, false, ERROR_AVERAGES, error_hours);
        if (d->cfg->base_blend) lead_blend_weights(d, t, perm, i, made, origin, valid);
        arena_rewind(a, each);
    }
    arena_rewind(a, mark);
}

// Sums over nodes: at each row, at the row one slot before (where there is none: at the row itself), and on average.
static void put_sums(LeadData *d, Tape *t, Arena *perm, const TrafficSeries *s)
{
    const int64_t V = 2 * (int64_t)d->st->N + 1;
    const size_t mark = arena_mark(t->scratch);
    int32_t *before = arena_alloc(t->scratch, (size_t)d->T * sizeof *before);
    for (int64_t r = 0; r < d->T; r++) before[r] = (int32_t)(traffic_row_at(s, r, -1) == r - 1 && r > 0 ? r - 1 : r);
    d->sums = tensor_new(perm, t->dev, REAL, SHAPE(d->T, V), "sums");
    d->sums_before = tensor_new(perm, t->dev, REAL, SHAPE(d->T, V), "sums before");
    tape_run(t, OP_node_sums, 1, &d->x, 1, &d->sums, NULL);
    tape_run(t, OP_embedding, 2, (Tensor *[]){d->sums, put_i32(t, t->scratch, before, d->T)}, 1, &d->sums_before, NULL);
    d->sums_mean = moving_averages(d, t, perm, d->sums, d->valid, false, 1, value_hours);
    d->node_unit = put(t, perm, SHAPE(V), d->st->node_unit);
    arena_rewind(t->scratch, mark);
}

static void put_flow_context(LeadData *d, Tape *t, Arena *perm, const TrafficSeries *s)
{
    d->ewma = moving_averages(d, t, perm, d->u, d->valid, false, EWMA_MAX, value_hours);
    d->change = moving_averages(d, t, perm, d->u, d->valid, true, EWMA_MAX, change_hours);
    d->part = put(t, perm, SHAPE(2 * (int64_t)d->st->per_day, d->st->F), d->st->part_means);
    put_errors(d, t, perm, s);
    put_sums(d, t, perm, s);
    if (d->cfg->flow_identity != IDENTITY_STATISTICS) return;
    const size_t mark = arena_mark(t->scratch);
    float *statistics = arena_alloc(t->scratch, (size_t)d->st->F * FLOW_STATISTICS * sizeof *statistics);
    lead_flow_statistics(d->st, statistics);
    d->statistics = put(t, perm, SHAPE(d->st->F, FLOW_STATISTICS), statistics);
    arena_rewind(t->scratch, mark);
}

// x [Kt] on the device; NULL where it is 1 throughout.
static Tensor *put_factors(Tape *t, Arena *perm, const float *x, int Kt)
{
    for (int k = 0; k < Kt; k++)
        if (x[k] != 1) return put(t, perm, SHAPE(Kt), x);
    return NULL;
}

void lead_data_set_calibration(LeadData *d, Tape *t, Arena *perm)
{
    d->spread = put_factors(t, perm, d->st->spread, d->st->Kt);
    d->head_weight = put_factors(t, perm, d->st->head_weight, d->st->Kt);
}

// One model, or those of all days.
static void put_ridge(LeadData *d, Tape *t, Arena *perm, const TrafficSeries *s)
{
    const LeadStats *st = d->st;
    const size_t mark = arena_mark(t->scratch);
    RidgeOnline m = {.n = 1, .coef = st->ridge.coef};
    if (lead_refits_ridge(d->cfg)) {
        lead_ridge_online(&m, t->scratch, s, (TrafficRange){0, s->T}, st, d->cfg);
        d->model = tensor_new(perm, t->dev, I32, SHAPE(s->T), "ridge of each row");
        tensor_set_i32(d->model, m.model_of, s->T);
    }
    d->coef = put(t, perm, SHAPE(m.n, RIDGE_FITS, st->Kt, st->F, RIDGE_INPUTS), m.coef);
    arena_rewind(t->scratch, mark);
}

static Tensor *scaled(Tape *t, const LeadData *d, Tensor *x, bool inverse)
{
    const TrafficScaleParams p = scale_params(&d->st->scale, inverse);
    return tape_traffic_scale(t, x, d->flowmax, d->knot_kbps, d->knot_s, &p);
}

Tensor *lead_data_scale(Tape *t, const LeadData *d, Tensor *x) { return scaled(t, d, x, false); }

Tensor *lead_data_volumes(Tape *t, const LeadData *d, Tensor *x) { return scaled(t, d, x, true); }

static Tensor *ridge_base(Tape *t, const LeadData *d, WindowRows rows)
{
    return lead_data_scale(t, d, tape_ridge(t, d->x, d->coef, rows, d->model, d->cfg->history));
}

Status lead_data_new(LeadData *d, Tape *t, Arena *perm, const LeadStats *st, const LeadConfig *cfg,
                     const TrafficSeries *s)
{
    const int64_t F = st->F, K = st->Kt;
    *d = (LeadData){.st = st, .cfg = cfg, .T = s->T,
                    .window = {.history = cfg->history, .steps = st->Kt, .per_day = st->per_day,
                               .slots = st->means.n_slots}};
    CHECK(s->N * s->N == st->F && traffic_slots_per_day(s) == st->per_day,
          "lead_data_new: statistics of other traffic");
    TRY(put_index(d, t, perm, s));
    d->flowmax = put(t, perm, SHAPE(F), st->scale.flowmax_kbps);
    if (st->scale.kind == SCALE_QUANTILE) {
        d->knot_kbps = put(t, perm, SHAPE(st->scale.n_knots), st->scale.knot_kbps);
        d->knot_s = put(t, perm, SHAPE(st->scale.n_knots), st->scale.knot_s);
    }
    d->means = put(t, perm, SHAPE(st->means.n_slots, F), st->means.mean);
    d->level = tensor_new(perm, t->dev, REAL, SHAPE(2, F), "level");
    const size_t mark = arena_mark(t->scratch);
    float *level = arena_alloc(t->scratch, 2 * (size_t)F * sizeof *level);
    memcpy(level, st->mean, (size_t)F * sizeof *level);
    memcpy(level + F, st->std, (size_t)F * sizeof *level);
    tensor_set_f32(d->level, level, 2 * F);
    arena_rewind(t->scratch, mark);
    const Shape KF = SHAPE(K, F);
    d->units = (ResidualUnits){put(t, perm, KF, st->sigma), put(t, perm, KF, st->gamma), put(t, perm, KF, st->low),
                               put(t, perm, KF, st->high)};
    const size_t series = arena_mark(t->scratch);
    Tensor *x = put(t, lead_uses_ridge(cfg) ? perm : t->scratch, SHAPE(s->T, F), s->x);
    d->u = tensor_new(perm, t->dev, REAL, SHAPE(s->T, F), "scaled series");
    const TrafficScaleParams p = scale_params(&st->scale, false);
    tape_run(t, OP_traffic_scale, 4, (Tensor *[]){x, d->flowmax, d->knot_kbps, d->knot_s}, 1, &d->u, &p);
    arena_rewind(t->scratch, series);
    d->seen = put_seen(t, perm, s);
    if (lead_has_heads(cfg)) d->trust = put(t, perm, SHAPE(F, K), st->trust);
    lead_data_set_calibration(d, t, perm);
    if (cfg->model) d->rival = lead_rival_units(t, perm, st);
    if (!lead_uses_ridge(cfg)) return OK;
    d->x = x;
    put_ridge(d, t, perm, s);
    if (cfg->flow_context) put_flow_context(d, t, perm, s);
    return OK;
}

Tensor *lead_data_rows(const LeadData *d, Arena *a, const int64_t *at, int64_t B)
{
    Tensor *y = tensor_new(a, d->u->dev, I32, SHAPE(B), "windows");
    int32_t *v = arena_alloc(a, (size_t)B * sizeof *v);
    for (int64_t i = 0; i < B; i++) v[i] = (int32_t)at[i];
    tensor_set_i32(y, v, B);
    return y;
}

// ---- batches

// The images of the next matrices (target `level`): [B,K,F,C] -> [B,F,K,C].
static Tensor *level_target(Tape *t, const LeadData *d, Tensor *u, Tensor *means, EncodeParams e)
{
    e.first += e.count;
    e.count = d->st->Kt;
    return tape_permute(t, tape_encode_image(t, u, means, &e), (int[]){0, 2, 1, 3});
}

// x [..,F]; factor NULL: all 1
static Tensor *times(Tape *t, Tensor *x, Tensor *factor) { return factor ? tape_mul(t, x, factor) : x; }

// table [T,n F,E] at rows `at` -> [B,n F,E], each flow times its factor
static Tensor *averages(Tape *t, Tensor *table, Tensor *at, int64_t n, int64_t F, int64_t E, Tensor *factor)
{
    Tensor *x = tape_reshape(t, tape_embedding(t, table, at), SHAPE(numel(at), n, F, E));
    if (factor) x = tape_permute(t, tape_mul(t, tape_permute(t, x, (int[]){0, 1, 3, 2}), factor), (int[]){0, 1, 3, 2});
    return tape_reshape(t, x, SHAPE(numel(at), n * F, E));
}

// The planes of flow_context of the windows at `at`.  u, base: times the factor.
static Tensor *flow_planes(Tape *t, const LeadData *d, Tensor *at, Tensor *u, Tensor *base, const WindowParams *p,
                           Tensor *factor)
{
    const int64_t F = d->st->F;
    const WindowSeason s = tape_window_season(t, at, d->place, d->valid, d->week_slot, p);
    const FlowContext v = {.u = u, .base = base, .week = times(t, tape_embedding(t, d->u, s.week), factor),
                           .part = tape_embedding(t, d->part, s.part),
                           .ewma = averages(t, d->ewma, at, 1, F, EWMA_MAX, factor),
                           .change = averages(t, d->change, at, 1, F, EWMA_MAX, factor),
                           .level = d->level, .sigma = d->units.sigma, .now = s.now};
    Tensor *error[ERROR_STEPS];
    for (int i = 0; i < d->error_steps; i++)
        error[i] = averages(t, d->error[i], at, 2, F, ERROR_AVERAGES, factor);
    Tensor *news = tape_flow_news(t, tape_concat(t, error, d->error_steps, 2), tape_embedding(t, d->sums, at),
                                  tape_embedding(t, d->sums_before, at), tape_embedding(t, d->sums_mean, at),
                                  d->node_unit);
    Tensor *planes[3] = {tape_flow_context(t, &v, &(FlowContextParams){p->history, p->per_day}), news};
    if (d->statistics) planes[2] = tape_add(t, tape_zeros(t, SHAPE(numel(at), F, FLOW_STATISTICS)), d->statistics);
    return tape_concat(t, planes, d->statistics ? 3 : 2, 2);
}

// The mask of the targets: [B,F,K], or NULL.
static Tensor *target_seen(Tape *t, const LeadData *d, const WindowRows *rows)
{
    if (!d->seen) return NULL;
    Tensor *all = tape_embedding(t, d->seen, rows->rows);
    return tape_permute(t, tape_slice(t, all, 1, d->window.history + 1, d->st->Kt), (int[]){0, 2, 1});
}

static LeadBatch make_batch(Tape *t, const LeadData *d, Tensor *at, const LeadPath *path, bool with_target,
                            Tensor *factor)
{
    const LeadStats *st = d->st;
    const LeadConfig *cfg = d->cfg;
    const LeadShape sh = lead_stats_shape(st, cfg);
    const int64_t B = numel(at), N = st->N, K = st->Kt, F = st->F;
    const int H = cfg->history;
    WindowParams p = d->window;
    p.target = with_target;
    Tensor *table = d->u;
    if (path) {
        p.drawn = path->n;
        p.path = (int)path->u->shape.d[1];
        table = tape_concat(t, (Tensor *[]){table, tape_reshape(t, path->u, SHAPE(B * p.path, F))}, 2, 0);
    }
    const WindowCalendar when = tape_window_calendar(t, at, d->week_slot, &p);
    const WindowRows rows = tape_window_rows(t, at, d->place, d->valid, &p);
    Tensor *u = times(t, tape_embedding(t, table, rows.rows), factor);
    LeadBatch out = {.slot = when.slot, .dow = when.day, .window = u,
                     .trust = d->trust, .units = &d->units};
    if (cfg->model) {
        out.base = times(t, ridge_base(t, d, rows), factor);
        if (with_target) out.seen = target_seen(t, d, &rows);
        if (with_target && cfg->rival_target == RIVAL_LEVELS) out.levels = lead_rival_levels(t, d, u);
        out.rival = lead_rival_input(t, d, at, rows.rows, &out);
        return out;
    }
    Tensor *means = tape_embedding(t, d->means, when.mean);
    const EncodeParams e = {(double)st->gains.k_g, (double)st->gains.k_b, 1, H, sh.image_channels};
    out.frames = tape_reshape(t, tape_encode_image(t, out.window, means, &e), SHAPE(B, H, N, N, e.channels));
    if (d->coef && p.drawn == 0) out.base = lead_blend(t, d, times(t, ridge_base(t, d, rows), factor), at, factor);
    if (sh.context_channels) {
        Tensor *planes = cfg->flow_context
                             ? flow_planes(t, d, at, out.window, out.base, &p, factor)
                             : tape_context_planes(t, out.window, means, out.base, d->level, d->units.sigma, H);
        out.context = tape_reshape(t, planes, SHAPE(B, N, N, sh.context_channels));
    }
    if (!with_target) return out;
    out.seen = target_seen(t, d, &rows);
    const Shape target = SHAPE(B, N, N, sh.target_channels);
    out.target = cfg->target == TARGET_LEVEL
                     ? level_target(t, d, out.window, means, e)
                     : tape_residual_target(t, out.window, out.base, d->units.sigma, d->units.gamma,
                                            (ResidualMoments){0}, &(ResidualParams){H, RESIDUAL_SHAPE});
    out.target = tape_reshape(t, out.target, target);
    if (cfg->loss_traffic > 0)
        out.weight = tape_reshape(t, tape_traffic_weight(t, out.window, H, K, sh.target_channels / K), target);
    return out;
}

LeadBatch lead_data_batch(Tape *t, const LeadData *d, Tensor *at, const LeadPath *path, bool with_target)
{
    return make_batch(t, d, at, path, with_target, NULL);
}

LeadBatch lead_data_training_batch(Tape *t, const LeadData *d, Tensor *at, Tensor *factor)
{
    return make_batch(t, d, at, NULL, true, factor);
}

Tensor *lead_data_factor(Tape *t, const LeadData *d)
{
    const double jitter = d->cfg->level_jitter, most = 0.7;
    if (jitter == 0) return NULL;
    const RandomAddress at = {.seed = (uint64_t)d->cfg->seed, .site = SITE_LEVEL};
    Tensor *n = tape_randn_clock(t, SHAPE(1, d->st->F), at, 0);
    Tensor *away = tape_clamp(t, tape_scale(t, n, jitter, 0), most);
    return tape_reshape(t, tape_scale(t, away, 1, 1), SHAPE(d->st->F));
}

// ---- decoding

Tensor *lead_data_spread(Tape *t, const LeadData *d, Tensor *x, int S)
{
    if (!d->spread) return x;
    const int64_t B = x->shape.d[0] / S, n = numel(x) / x->shape.d[0], C = x->shape.d[3];
    CHECK(C == d->st->Kt, "lead_data_spread: want the residual of %d steps, got %lld", d->st->Kt, (long long)C);
    Tensor *share = tape_tensor(t, SHAPE(B, S, S)), *rows = tape_reshape(t, x, SHAPE(B, S, n));
    tensor_fill(share, 1.0 / S);
    Tensor *mean = tape_matmul(t, share, rows, false, false);   // of the window's samples, once for each of them
    Tensor *away = tape_reshape(t, tape_sampler_step(t, rows, mean, NULL, 1, -1, 0), x->shape);
    return tape_add(t, tape_reshape(t, mean, x->shape), tape_mul(t, away, d->spread));
}

Tensor *lead_data_decode(Tape *t, const LeadData *d, const LeadBatch *b, Tensor *x)
{
    const int64_t F = d->st->F, K = d->st->Kt;
    const int64_t R = x->shape.d[0], C = x->shape.d[3] / K;
    Tensor *u;
    if (d->cfg->target == TARGET_LEVEL) {   // R of E2: s = (v + 1)/2
        Tensor *red = tape_slice(t, tape_reshape(t, x, SHAPE(R, F, K, C)), 3, 0, 1);
        u = tape_scale(t, tape_reshape(t, tape_permute(t, red, (int[]){0, 2, 1, 3}), SHAPE(R, K, F)), 0.5, 0.5);
    } else {
        u = tape_residual_decode(t, tape_reshape(t, x, SHAPE(R, F, K)), b->window, b->base, &d->units, b->moments,
                                 d->cfg->history);
    }
    return scaled(t, d, u, true);
}

Tensor *lead_data_head(Tape *t, const LeadData *d, const LeadBatch *b)
{
    CHECK(b->moments.location, "lead_data_head: the batch has no location");
    Tensor *z = b->moments.location;
    if (d->head_weight) z = tape_mul(t, z, d->head_weight);
    Tensor *zeros = tape_zeros(t, SHAPE(z->shape.d[0], d->st->F, d->st->Kt));   // the shape's middle
    const ResidualMoments m = {z, NULL};
    return scaled(t, d, tape_residual_decode(t, zeros, b->window, b->base, &d->units, m, d->cfg->history), true);
}
