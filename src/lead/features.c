#include "lead/features.h"

#include <math.h>
#include <string.h>

enum { FIT_WINDOWS = 4096 };   // evenly spaced training windows that the target statistics are taken from
static const double LEAST_UNIT = 1e-6;   // traffic that never changes must not divide by 0; in scale s

static int image_channels(const LeadConfig *cfg) { return cfg->encoding == ENCODING_RGB ? 3 : 1; }
// The ridge forecast is the base of target residual only; elsewhere the base is the last matrix.
static bool uses_ridge(const LeadConfig *cfg) { return cfg->base == BASE_RIDGE && cfg->target == TARGET_RESIDUAL; }

static int target_steps(const LeadConfig *cfg) { return cfg->horizons == HORIZON_ROLLOUT ? 1 : cfg->horizon; }

LeadShape stats_shape(const LeadStats *st, const LeadConfig *cfg)
{
    const int per_step = cfg->target == TARGET_LEVEL ? image_channels(cfg) : 1;
    return (LeadShape){.N = st->N, .slots_per_day = st->per_day, .image_channels = image_channels(cfg),
                       .target_channels = st->Kt * per_step,
                       .context_channels = cfg->pixel_condition ? cfg->history + 3 * st->Kt : 0};
}

static const float *row_x(const TrafficSeries *s, int64_t row) { return s->x + row * (int64_t)s->N * s->N; }

// ---- statistics

typedef struct Moments1 { double sum, sum2, n; } Moments1;

static void fit_level(LeadStats *st, const TrafficSeries *s, TrafficRange rows, Arena *a)
{
    Moments1 *acc = arena_zalloc(a, (size_t)st->F * sizeof *acc);
    float *u = arena_alloc(a, (size_t)st->F * sizeof *u);
    for (int64_t t = rows.begin; t < rows.end; t++) {
        if (!s->valid[t]) continue;
        scale_forward(&st->scale, row_x(s, t), u);
        for (int f = 0; f < st->F; f++) {
            acc[f].sum += (double)u[f];
            acc[f].sum2 += (double)u[f] * (double)u[f];
            acc[f].n++;
        }
    }
    double all = 0;
    for (int f = 0; f < st->F; f++) {
        const double mean = acc[f].sum / acc[f].n, var = acc[f].sum2 / acc[f].n - mean * mean;
        st->mean[f] = (float)mean;
        st->std[f] = (float)sqrt(var > 0 ? var : 0);
        all += sqrt(var > 0 ? var : 0) / st->F;
    }
    const float least = fmaxf(0.01f * (float)all, (float)LEAST_UNIT);
    for (int f = 0; f < st->F; f++)     // a silent flow divides by a hundredth of the usual spread, not by 0
        if (!(st->std[f] > least)) st->std[f] = least;
}

// s(X_{t+k}) - s(base_k) of one training window -> d [Kt][F]
static void window_residual(const LeadStats *st, const LeadConfig *cfg, const TrafficSeries *s, int64_t t, float *base,
                            float *u, float *d)
{
    if (uses_ridge(cfg)) ridge_predict(&st->ridge, s, t, base);
    for (int k = 0; k < st->Kt && !uses_ridge(cfg); k++)
        memcpy(base + (int64_t)k * st->F, row_x(s, t), (size_t)st->F * sizeof *base);
    for (int k = 0; k < st->Kt; k++) {
        float *dk = d + (int64_t)k * st->F;
        scale_forward(&st->scale, row_x(s, t + 1 + k), dk);
        scale_forward(&st->scale, base + (int64_t)k * st->F, u);
        for (int f = 0; f < st->F; f++) dk[f] -= u[f];
    }
}

static void fit_residual(LeadStats *st, const LeadConfig *cfg, const TrafficSeries *s, const int64_t *starts, int64_t n,
                         Arena *a)
{
    const int64_t KF = (int64_t)st->Kt * st->F, stride = (n + FIT_WINDOWS - 1) / FIT_WINDOWS;
    float *base = arena_alloc(a, (size_t)KF * sizeof *base), *u = arena_alloc(a, (size_t)st->F * sizeof *u);
    float *d = arena_alloc(a, (size_t)KF * sizeof *d);
    double *abs_sum = arena_zalloc(a, (size_t)KF * sizeof *abs_sum), count = 0, all = 0;
    for (int64_t i = 0; i < n; i += stride, count++) {
        window_residual(st, cfg, s, starts[i] + cfg->history - 1, base, u, d);
        for (int64_t j = 0; j < KF; j++) abs_sum[j] += fabs((double)d[j]);
    }
    for (int64_t j = 0; j < KF; j++) all += abs_sum[j] / count / (double)KF;
    for (int64_t j = 0; j < KF; j++) {
        const double sigma = abs_sum[j] / count;
        st->sigma[j] = (float)fmax(sigma, fmax(0.01 * all, LEAST_UNIT));
    }
    Moments1 *acc = arena_zalloc(a, (size_t)KF * sizeof *acc);
    memset(st->low, 0, (size_t)KF * sizeof(float));
    memset(st->high, 0, (size_t)KF * sizeof(float));
    for (int64_t i = 0; i < n; i += stride) {
        window_residual(st, cfg, s, starts[i] + cfg->history - 1, base, u, d);
        for (int64_t j = 0; j < KF; j++) {
            const float y = asinhf(d[j] / st->sigma[j]);
            acc[j].sum += (double)y;
            acc[j].sum2 += (double)y * (double)y;
            if (y < st->low[j]) st->low[j] = y;
            if (y > st->high[j]) st->high[j] = y;
        }
    }
    for (int64_t j = 0; j < KF; j++) {   // about 0: the mean is part of what the network draws
        const float g = (float)sqrt(acc[j].sum2 / count);
        st->gamma[j] = g > 0.05f ? g : 0.05f;
        st->low[j] *= 1.1f / st->gamma[j];
        st->high[j] *= 1.1f / st->gamma[j];
    }
}

static void stats_alloc(LeadStats *st, Arena *a)
{
    const size_t F = (size_t)st->F, KF = (size_t)st->Kt * F;
    st->mean = arena_zalloc(a, F * sizeof(float));
    st->std = arena_zalloc(a, F * sizeof(float));
    st->sigma = arena_zalloc(a, KF * sizeof(float));
    st->gamma = arena_zalloc(a, KF * sizeof(float));
    st->low = arena_zalloc(a, KF * sizeof(float));
    st->high = arena_zalloc(a, KF * sizeof(float));
}

Status stats_fit(LeadStats *st, Arena *a, const TrafficSeries *s, TrafficRange train, const LeadConfig *cfg)
{
    *st = (LeadStats){.N = s->N,
                      .F = s->N * s->N,
                      .per_day = (int)traffic_slots_per_day(s),
                      .slot_seconds = s->slot_seconds,
                      .Kt = target_steps(cfg)};
    TRY(scale_fit(&st->scale, a, s, train, (ScaleKind)cfg->scale));
    slot_means_fit(&st->means, a, s, train, &st->scale);
    st->gains = encode_gains_fit(a, s, train, &st->scale, &st->means);
    stats_alloc(st, a);
    if (uses_ridge(cfg)) TRY(ridge_fit(&st->ridge, a, s, train, st->Kt, RIDGE_LAMBDA));
    const size_t mark = arena_mark(a);
    int64_t *starts;
    const int64_t n = traffic_windows(s, a, train, cfg->history, st->Kt, 1, &starts);
    if (n < 1)
        return ERROR("training rows %lld..%lld: want a window of %d + %d valid consecutive snapshots, found none",
                     (long long)train.begin, (long long)train.end - 1, cfg->history, st->Kt);
    fit_level(st, s, train, a);
    fit_residual(st, cfg, s, starts, n, a);
    arena_rewind(a, mark);
    return OK;
}

// ---- checkpoint arrays

static const double *widen(Arena *a, const float *x, int64_t n)
{
    double *y = arena_alloc(a, (size_t)n * sizeof *y);
    for (int64_t i = 0; i < n; i++) y[i] = (double)x[i];
    return y;
}

typedef struct FlatArray { const char *name; size_t offset; bool per_step; } FlatArray;
static const FlatArray flat[] = {
    {"mean", offsetof(LeadStats, mean), false}, {"std", offsetof(LeadStats, std), false},
    {"sigma", offsetof(LeadStats, sigma), true}, {"gamma", offsetof(LeadStats, gamma), true},
    {"low", offsetof(LeadStats, low), true}, {"high", offsetof(LeadStats, high), true},
};
enum { N_FLAT = (int)(sizeof flat / sizeof *flat), N_HEADER = 7 };

int stats_pack(const LeadStats *st, Arena *a, StatArray out[STATS_MAX_ARRAYS])
{
    int n = 0;
    const float head[N_HEADER] = {(float)st->N,  (float)st->per_day, (float)st->slot_seconds,        (float)st->Kt,
                                  st->gains.k_g, st->gains.k_b,      (float)(st->ridge.coef != NULL)};
    out[n++] = (StatArray){"head", N_HEADER, widen(a, head, N_HEADER)};
    for (int i = 0; i < N_FLAT; i++) {
        const int64_t len = (int64_t)st->F * (flat[i].per_step ? st->Kt : 1);
        out[n++] = (StatArray){flat[i].name, len, widen(a, *(float *const *)((const char *)st + flat[i].offset), len)};
    }
    float *buf = arena_alloc(a, (size_t)scale_pack_size(&st->scale) * sizeof *buf);
    scale_pack(&st->scale, buf);
    out[n++] = (StatArray){"scale", scale_pack_size(&st->scale), widen(a, buf, scale_pack_size(&st->scale))};
    buf = arena_alloc(a, (size_t)slot_means_pack_size(&st->means) * sizeof *buf);
    slot_means_pack(&st->means, buf);
    out[n++] = (StatArray){"slot_means", slot_means_pack_size(&st->means),
                           widen(a, buf, slot_means_pack_size(&st->means))};
    if (st->ridge.coef) {
        buf = arena_alloc(a, (size_t)ridge_pack_size(&st->ridge) * sizeof *buf);
        ridge_pack(&st->ridge, buf);
        out[n++] = (StatArray){"ridge", ridge_pack_size(&st->ridge), widen(a, buf, ridge_pack_size(&st->ridge))};
    }
    return n;
}

static Status narrow_stat(const SafeFile *f, const char *name, Arena *a, int64_t want, float **out, int64_t *n)
{
    const double *x;
    TRY(checkpoint_stat(f, name, a, &x, n));
    if (want >= 0 && *n != want)
        return ERROR("stat.%s: want %lld values, got %lld in %s", name, (long long)want, (long long)*n, f->path);
    *out = arena_alloc(a, (size_t)*n * sizeof **out);
    for (int64_t i = 0; i < *n; i++) {
        if (!isfinite(x[i])) return ERROR("stat.%s: value %lld is not finite in %s", name, (long long)i, f->path);
        (*out)[i] = (float)x[i];
    }
    return OK;
}

Status stats_unpack(LeadStats *st, Arena *a, const SafeFile *f, const LeadConfig *cfg)
{
    float *h;
    int64_t n;
    TRY(narrow_stat(f, "head", a, N_HEADER, &h, &n));
    if (!(h[0] >= 2 && h[0] <= 1024 && h[1] >= 1 && h[1] <= 86400 && h[2] >= 1 && h[2] <= 86400))
        return ERROR("stat.head: want nodes, slots a day and seconds a slot, got %g, %g, %g in %s", (double)h[0],
                     (double)h[1], (double)h[2], f->path);
    *st = (LeadStats){.N = (int)h[0], .F = (int)h[0] * (int)h[0], .per_day = (int)h[1], .slot_seconds = (int)h[2],
                      .Kt = target_steps(cfg), .gains = {h[4], h[5]}};
    if ((int)h[3] != st->Kt) return ERROR("stat.head: want %d steps, got %d in %s", st->Kt, (int)h[3], f->path);
    for (int i = 0; i < N_FLAT; i++)
        TRY(narrow_stat(f, flat[i].name, a, (int64_t)st->F * (flat[i].per_step ? st->Kt : 1),
                        (float **)((char *)st + flat[i].offset), &n));
    float *x;
    TRY(narrow_stat(f, "scale", a, -1, &x, &n));
    TRY(scale_unpack(&st->scale, a, x, n, f->path));
    TRY(narrow_stat(f, "slot_means", a, -1, &x, &n));
    TRY(slot_means_unpack(&st->means, a, x, n, f->path));
    if (h[6] != 0) {
        TRY(narrow_stat(f, "ridge", a, -1, &x, &n));
        TRY(ridge_unpack(&st->ridge, a, x, n, f->path));
    }
    if (uses_ridge(cfg) && !st->ridge.coef) return ERROR("%s: want the array stat.ridge, found none", f->path);
    if (st->scale.F != st->F || st->means.F != st->F || (h[6] != 0 && (st->ridge.F != st->F || st->ridge.K != st->Kt)))
        return ERROR("%s: statistics of %d flows and %d steps wanted, others found", f->path, st->F, st->Kt);
    return OK;
}

// ---- on the device

static Tensor *put(Tape *t, Arena *perm, Shape shape, const float *x)
{
    Tensor *y = tensor_new(perm, t->dev, REAL, shape, "data");
    tensor_set_f32(y, x, numel(y));
    return y;
}

// Where each row lies in time.  A gap longer than anything that is looked up across it is cut to that length: I32 do.
static Status put_index(LeadData *d, Tape *t, Arena *perm, const TrafficSeries *s)
{
    const int64_t far = 7 * (int64_t)d->st->per_day + d->window.history + 2 * (int64_t)d->cfg->horizon + 2;
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

static Tensor *scaled(Tape *t, const LeadData *d, Tensor *x, bool inverse)
{
    const TrafficScaleParams p = scale_params(&d->st->scale, inverse);
    return tape_traffic_scale(t, x, d->flowmax, d->knot_kbps, d->knot_s, &p);
}

Tensor *features_scale(Tape *t, const LeadData *d, Tensor *x) { return scaled(t, d, x, false); }

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
    Tensor *x = put(t, uses_ridge(cfg) ? perm : t->scratch, SHAPE(s->T, F), s->x);
    d->u = tensor_new(perm, t->dev, REAL, SHAPE(s->T, F), "scaled series");
    const TrafficScaleParams p = scale_params(&st->scale, false);
    tape_run(t, OP_traffic_scale, 4, (Tensor *[]){x, d->flowmax, d->knot_kbps, d->knot_s}, 1, &d->u, &p);
    arena_rewind(t->scratch, series);
    if (!uses_ridge(cfg)) return OK;
    d->x = x;
    d->coef = put(t, perm, SHAPE(RIDGE_FITS, K, F, RIDGE_INPUTS), st->ridge.coef);
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

LeadBatch features_batch(Tape *t, const LeadData *d, Tensor *at, const LeadPath *path, bool with_target)
{
    const LeadStats *st = d->st;
    const LeadConfig *cfg = d->cfg;
    const LeadShape sh = stats_shape(st, cfg);
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
    LeadBatch out = {.slot = when.slot, .dow = when.day, .window = tape_embedding(t, table, rows.rows)};
    Tensor *means = tape_embedding(t, d->means, when.mean);
    const EncodeParams e = {(double)st->gains.k_g, (double)st->gains.k_b, 1, H, sh.image_channels};
    out.frames = tape_reshape(t, tape_encode_image(t, out.window, means, &e), SHAPE(B, H, N, N, e.channels));
    if (d->coef && p.drawn == 0) out.base = features_scale(t, d, tape_ridge(t, d->x, d->coef, rows, H));
    if (sh.context_channels)
        out.context = tape_reshape(t, tape_context_planes(t, out.window, means, out.base, d->level, d->units.sigma, H),
                                   SHAPE(B, N, N, sh.context_channels));
    if (!with_target) return out;
    const Shape target = SHAPE(B, N, N, sh.target_channels);
    out.target = cfg->target == TARGET_LEVEL
                     ? level_target(t, d, out.window, means, e)
                     : tape_residual_target(t, out.window, out.base, d->units.sigma, d->units.gamma, H);
    out.target = tape_reshape(t, out.target, target);
    if (cfg->loss_traffic > 0)
        out.weight = tape_reshape(t, tape_traffic_weight(t, out.window, H, K, sh.target_channels / K), target);
    return out;
}

// ---- decoding

Tensor *features_decode(Tape *t, const LeadData *d, const LeadBatch *b, Tensor *x)
{
    const int64_t R = x->shape.d[0], F = d->st->F, K = d->st->Kt, C = x->shape.d[3] / K;
    Tensor *u;
    if (d->cfg->target == TARGET_LEVEL) {   // R of E2: s = (v + 1)/2
        Tensor *red = tape_slice(t, tape_reshape(t, x, SHAPE(R, F, K, C)), 3, 0, 1);
        u = tape_scale(t, tape_reshape(t, tape_permute(t, red, (int[]){0, 2, 1, 3}), SHAPE(R, K, F)), 0.5, 0.5);
    } else {
        u = tape_residual_decode(t, tape_reshape(t, x, SHAPE(R, F, K)), b->window, b->base, &d->units, d->cfg->history);
    }
    return scaled(t, d, u, true);
}
