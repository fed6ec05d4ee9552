// From traffic to the network's numbers and back, on the device: every batch equals, bit for bit, what plain host code
// makes of the series; decoding a target returns the truth, invalid rows and rows after the moment are never looked at,
// statistics come from training rows only, a path that equals the truth is the truth.
#include "lead_world.h"
#include "io/sha256.h"

enum { N = 4, F = N * N, B = 6 };

typedef struct Choice {
    const char *name;
    int target, base, horizons, encoding, history;
    bool flow_context, statistics;
} Choice;

static const Choice choices[] = {
    {"residual from the last, direct", TARGET_RESIDUAL, BASE_LAST, HORIZON_DIRECT, ENCODING_RGB, 4, false, false},
    {"residual from ridge, direct", TARGET_RESIDUAL, BASE_RIDGE, HORIZON_DIRECT, ENCODING_RGB, 12, false, false},
    {"residual from ridge, flow context", TARGET_RESIDUAL, BASE_RIDGE, HORIZON_DIRECT, ENCODING_RGB, 12, true, false},
    {"residual from ridge, statistics", TARGET_RESIDUAL, BASE_RIDGE, HORIZON_DIRECT, ENCODING_RGB, 12, true, true},
    {"residual, rollout, grey", TARGET_RESIDUAL, BASE_LAST, HORIZON_ROLLOUT, ENCODING_GREY, 4, false, false},
    {"level, RGB", TARGET_LEVEL, BASE_LAST, HORIZON_DIRECT, ENCODING_RGB, 4, false, false},
    {"level, grey, an unused base", TARGET_LEVEL, BASE_RIDGE, HORIZON_DIRECT, ENCODING_GREY, 4, false, false},
};
enum { N_CHOICES = sizeof choices / sizeof *choices };

static LeadConfig choice_config(const Choice *c)
{
    LeadConfig cfg = tiny_lead("");
    cfg.target = c->target, cfg.base = c->base, cfg.horizons = c->horizons, cfg.encoding = c->encoding,
    cfg.history = c->history;
    cfg.horizon = 3, cfg.loss_traffic = 0.5, cfg.flow_context = c->flow_context;
    cfg.flow_identity = c->statistics ? IDENTITY_STATISTICS : IDENTITY_PAIR;
    return cfg;
}

static TrafficSeries series_copy(Arena *a, const TrafficSeries *s)
{
    TrafficSeries c = *s;
    c.x = arena_alloc(a, (size_t)(s->T * F) * sizeof *c.x);
    memcpy(c.x, s->x, (size_t)(s->T * F) * sizeof *c.x);
    c.valid = arena_alloc(a, (size_t)s->T);
    memcpy(c.valid, s->valid, (size_t)s->T);
    return c;
}

static Sha256Hex batch_hash(TestLog *log, World *w, const LeadStats *st, const LeadConfig *cfg, const TrafficSeries *s,
                            const int64_t *at, int n, bool with_target, const LeadPath *path)
{
    tape_reset(&w->t);
    const LeadData data = data_of(log, &w->t, w->step, st, cfg, s);
    const LeadBatch b = lead_data_batch(&w->t, &data, lead_data_rows(&data, w->step, at, n), path, with_target);
    Tensor *part[] = {b.frames, b.slot, b.dow, b.context, b.target, b.weight};
    Sha256 h = sha256_new();
    for (size_t i = 0; i < sizeof part / sizeof *part; i++)
        if (part[i]) sha256_add(&h, part[i]->x, tensor_bytes(part[i]));
    return sha256_hex(&h);
}

static Sha256Hex stats_hash(Arena *a, const LeadStats *st)
{
    StatArray array[STATS_MAX_ARRAYS];
    const size_t mark = arena_mark(a);
    const int n = lead_stats_pack(st, a, array);
    Sha256 h = sha256_new();
    for (int i = 0; i < n; i++) sha256_add(&h, array[i].x, (size_t)array[i].n * sizeof(double));
    arena_rewind(a, mark);
    return sha256_hex(&h);
}

static bool same_hash(Sha256Hex a, Sha256Hex b) { return strcmp(a.s, b.s) == 0; }

// ---- what a batch must be, by plain code over the series: one window

typedef struct HostBatch { float *frames, *context, *target, *weight; int32_t *slot, *dow; } HostBatch;

static void host_base(const LeadStats *st, const LeadConfig *cfg, const TrafficSeries *s, int64_t t, float *base)
{
    if (st->ridge.coef) ridge_predict(&st->ridge, s, t, base);
    for (int k = 0; k < st->Kt && !st->ridge.coef; k++) memcpy(base + k * F, s->x + t * F, F * sizeof *base);
    for (int k = 0; k < st->Kt; k++) scale_forward(&st->scale, base + k * F, base + k * F);
    (void)cfg;
}

static void host_frames(const LeadStats *st, const LeadConfig *cfg, const TrafficSeries *s, int64_t t, HostBatch *h)
{
    for (int i = 0; i < cfg->history; i++) {
        const int64_t back = cfg->history - 1 - i, row = t - back,
                      before = i ? row - 1 : traffic_row_at(s, t, -cfg->history);
        if (cfg->encoding == ENCODING_RGB)
            encode_rgb(h->frames + i * F * 3, s->x + row * F, before < 0 ? NULL : s->x + before * F,
                       slot_means_at(&st->means, s, t, -back), &st->scale, st->gains);
        else encode_grey(h->frames + i * F, s->x + row * F, &st->scale);
        int slot, day;
        traffic_calendar(s, t, -back, &slot, &day);
        h->slot[i] = slot, h->dow[i] = day;
    }
}

static void host_plane(float *out, int planes, const float *v, const float *now, const float *unit)
{
    for (int f = 0; f < F; f++) out[f * planes] = asinhf((v[f] - now[f]) / unit[f]);
}

static void host_context(const LeadStats *st, const LeadConfig *cfg, const TrafficSeries *s, int64_t t,
                         const float *base, float *out)
{
    const int C = cfg->history + 3 * st->Kt;
    float now[F], u[F];
    scale_forward(&st->scale, s->x + t * F, now);
    host_plane(out++, C, now, st->mean, st->std);
    for (int i = 1; i < cfg->history; i++) {
        scale_forward(&st->scale, s->x + (t - i) * F, u);
        host_plane(out++, C, u, now, st->sigma);
    }
    for (int k = 0; k < st->Kt; k++, out += 3) {
        const int64_t day = traffic_row_at(s, t, traffic_season_offset(s, k + 1, false, 0));
        host_plane(out, C, base + k * F, now, st->sigma + k * F);
        scale_forward(&st->scale, s->x + (day < 0 ? t : day) * F, u);
        host_plane(out + 1, C, u, now, st->sigma + k * F);
        host_plane(out + 2, C, slot_means_at(&st->means, s, t, k + 1), now, st->sigma + k * F);
    }
}

// The moving average at row t, in the recursion's own words.
static void host_average(const LeadStats *st, const TrafficSeries *s, int64_t t, bool change, double hours, float *y)
{
    int64_t last = -1;
    float u[F], before[F];
    memset(y, 0, F * sizeof *y);
    for (int64_t r = 0; r <= t; r++) {
        const bool pair = r > 0 && s->valid[r - 1] && s->slot[r] == s->slot[r - 1] + 1;
        scale_forward(&st->scale, s->x + r * F, u);
        if (s->valid[r] && (pair || !change)) {
            // gaps are cut to 24 half-lives of the longest average
            const double slots = hours * 3600 / s->slot_seconds, longest = 24 * 96.0 * 3600 / s->slot_seconds;
            const double kept = last < 0 ? 0 : exp2(-fmin((double)(s->slot[r] - s->slot[last]), longest) / slots);
            for (int f = 0; f < F; f++) y[f] += (float)(1 - kept) * ((change ? fabsf(u[f] - before[f]) : u[f]) - y[f]);
            last = r;
        }
        memcpy(before, u, sizeof before);
    }
}

// The average of half-life `hours` of the error (or its size) that ridge made `ahead` slots before each row up to t.
static void host_error(const LeadStats *st, const TrafficSeries *s, int64_t t, int ahead, bool size, double hours,
                       float *y)
{
    const double slots = hours * 3600 / st->slot_seconds;
    const int64_t longest = (int64_t)(24 * 96 * 3600.0 / st->slot_seconds);   // gaps are cut to this
    float made[8 * F], u[F], b[F];
    int64_t last = -1;
    memset(y, 0, F * sizeof *y);
    for (int64_t r = 0; r <= t; r++) {
        const int64_t from = s->valid[r] ? traffic_row_at(s, r, -ahead) : -1;
        bool lags = from >= 0;
        for (int i = 1; lags && i < RIDGE_LAGS; i++) lags = traffic_row_at(s, from, -i) == from - i;
        if (!lags || from < RIDGE_LAGS - 1) continue;
        ridge_predict(&st->ridge, s, from, made);
        scale_forward(&st->scale, made + (ahead - 1) * F, b);
        scale_forward(&st->scale, s->x + r * F, u);
        const double kept = last < 0 ? 0 : exp2(-fmin((double)(s->slot[r] - s->slot[last]), (double)longest) / slots);
        for (int f = 0; f < F; f++) {
            const float e = fminf(30, fmaxf(-30, (u[f] - b[f]) / st->sigma[(ahead - 1) * F + f]));
            y[f] += (float)(1 - kept) * ((size ? fabsf(e) : e) - y[f]);
        }
        last = r;
    }
}

// What node v sends (v < N), receives, or the total of row t.
static float host_sum(const TrafficSeries *s, int64_t t, int v)
{
    double sum = 0;
    for (int f = 0; f < F; f++)
        if (v == 2 * N || (v < N ? f / N == v : f % N == v - N)) sum += (double)s->x[t * F + f];
    return (float)sum;
}

static float host_sum_mean(const LeadStats *st, const TrafficSeries *s, int64_t t, int v)
{
    const double slots = 3600.0 / st->slot_seconds, longest = (int64_t)(24 * 96 * 3600.0 / st->slot_seconds);
    float y = 0;
    int64_t last = -1;
    for (int64_t r = 0; r <= t; r++) {
        if (!s->valid[r]) continue;
        const double kept = last < 0 ? 0 : exp2(-fmin((double)(s->slot[r] - s->slot[last]), longest) / slots);
        y += (float)(1 - kept) * (host_sum(s, r, v) - y);
        last = r;
    }
    return y;
}

// The planes of flow_news, behind those of flow_context.  C: planes of a flow
static void host_news(const LeadStats *st, const TrafficSeries *s, int64_t t, int C, float *out)
{
    static const double hours[2] = {1, 8};
    int steps[ERROR_STEPS];
    const int n = lead_error_steps(st->Kt, steps);
    const int64_t before = traffic_row_at(s, t, -1) < 0 ? t : t - 1;
    float e[F];
    for (int size = 0; size < 2; size++)
        for (int i = 0; i < n; i++)
            for (int j = 0; j < 2; j++, out++) {
                host_error(st, s, t, steps[i], size, hours[j], e);
                for (int f = 0; f < F; f++) out[f * C] = size ? logf(e[f] + 0.05f) : asinhf(e[f]);
            }
    for (int f = 0; f < F; f++) {
        const int node[3] = {f / N, N + f % N, 2 * N};
        for (int k = 0; k < 3; k++) {
            const float now = host_sum(s, t, node[k]), unit = st->node_unit[node[k]];
            out[f * C + 2 * k] = asinhf((host_sum_mean(st, s, t, node[k]) - now) / unit);
            out[f * C + 2 * k + 1] = asinhf((now - host_sum(s, before, node[k])) / unit);
        }
    }
}

// What tells flows apart, the same at all times.
static void host_statistics(const LeadStats *st, int C, float *out)
{
    const float *far = st->sigma + (st->Kt - 1) * F, *far_gamma = st->gamma + (st->Kt - 1) * F;
    for (int f = 0; f < F; f++, out += C) {
        out[0] = asinhf(st->mean[f] / st->std[f]);
        out[1] = logf(st->sigma[f] / st->std[f]);
        out[2] = logf(far[f] / st->sigma[f]);
        out[3] = logf(st->gamma[f]), out[4] = logf(far_gamma[f]);
        out[5] = logf((float)st->slot_seconds / 300);
        for (int i = 0; i < 6; i++) out[i] = out[i] > 6 ? 6 : out[i] < -6 ? -6 : out[i];
    }
}

static void host_flow_context(const LeadStats *st, const LeadConfig *cfg, const TrafficSeries *s, int64_t t,
                              const float *base, float *out)
{
    static const double values[] = {1, 4, 24, 96}, changes[] = {0.25, 2, 12, 48};
    const int H = cfg->history, K = st->Kt, D = st->per_day;
    int steps[ERROR_STEPS];
    const bool statistics = cfg->flow_identity == IDENTITY_STATISTICS;
    const int news = 4 * lead_error_steps(K, steps) + 6, C = H + 14 + 4 * K + news + (statistics ? 6 : 0);
    float now[F], u[F], most[F], least[F], averages[8][F];
    for (int j = 0; j < 4; j++) host_average(st, s, t, false, values[j], averages[j]);
    for (int j = 0; j < 4; j++) host_average(st, s, t, true, changes[j], averages[4 + j]);
    scale_forward(&st->scale, s->x + t * F, now);
    memcpy(most, now, sizeof now);
    memcpy(least, now, sizeof now);
    host_plane(out++, C, now, st->mean, st->std);
    for (int i = 1; i < H; i++) {
        scale_forward(&st->scale, s->x + (t - i) * F, u);
        host_plane(out++, C, u, now, st->sigma);
        for (int f = 0; f < F; f++) most[f] = fmaxf(most[f], u[f]), least[f] = fminf(least[f], u[f]);
    }
    int slot, day;
    traffic_calendar(s, t, 0, &slot, &day);
    const float turn = 6.283185307179586f, daily = turn * (float)slot / (float)D,
                weekly = turn * (float)(day * D + slot) / (float)(7 * D);
    for (int j = 0; j < 4; j++) host_plane(out + j, C, averages[j], now, st->sigma);
    for (int f = 0; f < F; f++) {
        float *y = out + f * C;
        for (int j = 0; j < 4; j++) y[4 + j] = logf(averages[4 + j][f] / st->sigma[f] + 0.02f);
        y[8] = logf((most[f] - least[f]) / st->sigma[f] + 0.02f);
        y[10] = sinf(daily), y[11] = cosf(daily), y[12] = sinf(weekly), y[13] = cosf(weekly);
    }
    host_plane(out + 9, C, most, now, st->sigma);
    out += 14;
    for (int k = 0; k < K; k++, out += 4) {
        const float *unit = st->sigma + k * F;
        const int64_t yesterday = traffic_row_at(s, t, traffic_season_offset(s, k + 1, false, 0)),
                      week = traffic_row_at(s, t, traffic_season_offset(s, k + 1, true, 0));
        traffic_calendar(s, t, k + 1, &slot, &day);
        host_plane(out, C, base + k * F, now, unit);
        scale_forward(&st->scale, s->x + (yesterday < 0 ? t : yesterday) * F, u);
        host_plane(out + 1, C, u, now, unit);
        scale_forward(&st->scale, s->x + (week < 0 ? t : week) * F, u);
        host_plane(out + 2, C, u, now, unit);
        host_plane(out + 3, C, st->part_means + ((day >= 5) * D + slot) * F, now, unit);
    }
    host_news(st, s, t, C, out);
    if (statistics) host_statistics(st, C, out + news);
}

static void host_target(const LeadStats *st, const LeadConfig *cfg, const TrafficSeries *s, int64_t t,
                        const float *base, HostBatch *h)
{
    const int level = cfg->target == TARGET_LEVEL, C = level && cfg->encoding == ENCODING_RGB ? 3 : 1, Ct = st->Kt * C;
    for (int k = 0; k < st->Kt; k++) {
        float u[F], rgb[3 * F];
        double mean = 0;
        scale_forward(&st->scale, s->x + (t + 1 + k) * F, u);
        encode_rgb(rgb, s->x + (t + 1 + k) * F, s->x + (t + k) * F, slot_means_at(&st->means, s, t, k + 1), &st->scale,
                   st->gains);
        for (int f = 0; f < F; f++) mean += (double)u[f] / F;
        for (int i = 0; i < F * C; i++) {
            const int f = i / C, at = f * Ct + k * C + i % C, kf = k * F + f;
            h->weight[at] = mean > 0 ? sqrtf(u[f] / (float)mean) : 1;
            h->target[at] = level ? rgb[3 * f + i % C] : asinhf((u[f] - base[kf]) / st->sigma[kf]) / st->gamma[kf];
        }
    }
}

static bool equal_row(const Tensor *x, int row, int rows, const void *want)
{
    const size_t bytes = x ? tensor_bytes(x) / (size_t)rows : 0;
    return bytes && memcmp((const char *)x->x + (size_t)row * bytes, want, bytes) == 0;
}

// Gaps, invalid rows around and before: every predecessor, yesterday and season that may be missing is missing
// somewhere.
static void check_host(TestLog *log, World *w, const TrafficSeries *s, const Choice *ch, ScaleKind scale)
{
    LeadConfig cfg = choice_config(ch);
    cfg.scale = (int)scale;
    const size_t mark = arena_mark(w->perm);
    TrafficSeries c = series_copy(w->perm, s);
    static const int64_t bad[] = {3, 40, 41, 66, 67, 90, 131, 132, 200, 260};
    const Status r = traffic_series_mark_invalid(&c, bad, sizeof bad / sizeof *bad);
    TEST(log, !r.code, "%s", r.msg);
    c.slot = arena_alloc(w->perm, (size_t)c.T * sizeof *c.slot);
    for (int64_t t = 0; t < c.T; t++) c.slot[t] = t + (t >= 150 ? 5 : 0) + (t >= 210 ? (int64_t)1 << 33 : 0);
    c.n_runs = 3;
    c.runs = (TrafficRange[]){{0, 150}, {150, 210}, {210, c.T}};
    const LeadStats st = fitted(log, w->perm, &c, &cfg);
    int64_t *at, n = traffic_windows(&c, w->perm, (TrafficRange){0, c.T}, cfg.history, st.Kt, 1, &at);
    for (int64_t i = 0; i < n; i++) at[i] += cfg.history - 1;
    tape_reset(&w->t);
    const LeadData data = data_of(log, &w->t, w->step, &st, &cfg, &c);
    const LeadBatch b = lead_data_batch(&w->t, &data, lead_data_rows(&data, w->step, at, n), NULL, true);
    const size_t most = (size_t)F * 64;
    float *v = arena_alloc(w->step, 5 * most * sizeof *v), *base = v + 4 * most;
    int32_t index[2][32];
    HostBatch h = {v, v + most, v + 2 * most, v + 3 * most, index[0], index[1]};
    int wrong[6] = {0};
    for (int i = 0; i < (int)n; i++) {
        host_base(&st, &cfg, &c, at[i], base);
        host_frames(&st, &cfg, &c, at[i], &h);
        if (ch->flow_context) host_flow_context(&st, &cfg, &c, at[i], base, h.context);
        else host_context(&st, &cfg, &c, at[i], base, h.context);
        host_target(&st, &cfg, &c, at[i], base, &h);
        Tensor *const x[] = {b.frames, b.slot, b.dow, b.context, b.target, b.weight};
        const void *const want[] = {h.frames, h.slot, h.dow, h.context, h.target, h.weight};
        for (int k = 0; k < 6; k++) wrong[k] += !equal_row(x[k], i, (int)n, want[k]);
    }
    TEST(log, n > 100, "%s: %lld windows", ch->name, (long long)n);
    TEST(log, !(wrong[0] | wrong[1] | wrong[2] | wrong[3] | wrong[4] | wrong[5]),
         "%s, scale %s: of %lld windows differ from the host's: frames %d, slot %d, day %d, context %d, target %d, "
         "weight %d",
         ch->name, scale_kind_names[scale], (long long)n, wrong[0], wrong[1], wrong[2], wrong[3], wrong[4], wrong[5]);
    arena_rewind(w->perm, mark);
}

// ---- properties

// Decoding the target of a window gives its true matrices, to float precision.
static void check_decode(TestLog *log, World *w, const TrafficSeries *s, const Choice *ch, ScaleKind scale)
{
    LeadConfig cfg = choice_config(ch);
    cfg.scale = (int)scale;
    const LeadStats st = fitted(log, w->perm, s, &cfg);
    int64_t at[B];
    for (int b = 0; b < B; b++) at[b] = 20 + 30 * b;
    tape_reset(&w->t);
    const LeadData data = data_of(log, &w->t, w->step, &st, &cfg, s);
    const LeadBatch batch = lead_data_batch(&w->t, &data, lead_data_rows(&data, w->step, at, B), NULL, true);
    const float *out = lead_data_decode(&w->t, &data, &batch, batch.target)->x;
    double worst = 0;
    for (int b = 0; b < B; b++)
        for (int j = 0; j < st.Kt * F; j++) {
            const double truth = (double)s->x[(at[b] + 1) * F + j], got = (double)out[b * st.Kt * F + j];
            const double unit = truth + 1e-3 * (double)st.scale.max_kbps;
            worst = check_fold(worst, fabs(got - truth) / unit);
        }
    TEST(log, worst < 1e-4, "%s, scale %s: decoding the target misses the truth by %.2g of its size", ch->name,
         scale_kind_names[scale], worst);
    TEST(log, worst > 0 || scale == SCALE_MAX, "%s: nothing was compared", ch->name);
}

// Rows marked invalid hold other garbage: nothing may change.
static void check_invalid(TestLog *log, World *w, const TrafficSeries *s, const Choice *ch)
{
    static const int64_t bad[] = {7, 60, 61, 62, 150};
    const LeadConfig cfg = choice_config(ch);
    const size_t mark = arena_mark(w->perm);
    Sha256Hex stats[2], batch[2];
    int64_t windows[2];
    for (int k = 0; k < 2; k++) {
        TrafficSeries c = series_copy(w->perm, s);
        for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
            for (int f = 0; f < F; f++) c.x[bad[i] * F + f] = k ? NAN : 1e9f + (float)f;
        const Status r = traffic_series_mark_invalid(&c, bad, sizeof bad / sizeof *bad);
        CHECK(!r.code, "%s", r.msg);
        const LeadStats st = fitted(log, w->perm, &c, &cfg);
        stats[k] = stats_hash(w->perm, &st);
        int64_t *start;
        windows[k] = traffic_windows(&c, w->perm, (TrafficRange){0, c.T}, cfg.history, st.Kt, 1, &start);
        for (int64_t i = 0; i < windows[k]; i++) start[i] += cfg.history - 1;
        batch[k] = batch_hash(log, w, &st, &cfg, &c, start, (int)windows[k], true, NULL);
    }
    TEST(log, windows[0] > 100 && windows[0] == windows[1], "%s: %lld windows", ch->name, (long long)windows[0]);
    TEST(log, same_hash(stats[0], stats[1]), "%s: statistics depend on the values of invalid rows", ch->name);
    TEST(log, same_hash(batch[0], batch[1]), "%s: a batch depends on the values of invalid rows", ch->name);
    arena_rewind(w->perm, mark);
}

// Rows after the moment, or after the training split, hold something else: the batch, or the statistics, are the same.
static void check_future(TestLog *log, World *w, const TrafficSeries *s, const Choice *ch)
{
    const LeadConfig cfg = choice_config(ch);
    const size_t mark = arena_mark(w->perm);
    const LeadStats st = fitted(log, w->perm, s, &cfg);
    TrafficSeries c = series_copy(w->perm, s);
    const int64_t end = traffic_splits(s->T, PROTOCOL_CLEAN).train.end;
    for (int64_t i = end * F; i < s->T * F; i++) c.x[i] = 3 * c.x[i] + 1000;
    const LeadStats again = fitted(log, w->perm, &c, &cfg);
    TEST(log, same_hash(stats_hash(w->perm, &st), stats_hash(w->perm, &again)),
         "%s: statistics depend on validation or test rows", ch->name);
    for (int64_t t = 12; t + 1 < s->T; t += 37) {
        TrafficSeries other = series_copy(w->perm, s);
        for (int64_t i = (t + 1) * F; i < s->T * F; i++) other.x[i] = 5 * other.x[i] + 777;
        const Sha256Hex true_hash = batch_hash(log, w, &st, &cfg, s, &t, 1, false, NULL);
        TEST(log, same_hash(true_hash, batch_hash(log, w, &st, &cfg, &other, &t, 1, false, NULL)),
             "%s: the batch of moment %lld depends on later rows", ch->name, (long long)t);
        other = series_copy(w->perm, s);
        other.x[t * F] *= 1.5f;   // the comparison itself can fail
        TEST(log, !same_hash(true_hash, batch_hash(log, w, &st, &cfg, &other, &t, 1, false, NULL)),
             "%s: the batch of moment %lld does not depend on row %lld", ch->name, (long long)t, (long long)t);
    }
    arena_rewind(w->perm, mark);
}

// A moment with a path of n matrices that are the true ones equals the moment n rows later.
static void check_path(TestLog *log, World *w, const TrafficSeries *s, const Choice *ch)
{
    const LeadConfig cfg = choice_config(ch);
    const LeadStats st = fitted(log, w->perm, s, &cfg);
    for (int n = 1; n <= 5; n++) {
        enum { ROWS = 6 };   // more than were drawn: what lies behind is not looked at
        const int64_t at = 50, direct = 50 + n;
        Tensor *kbps = tensor_new(w->perm, &w->dev, REAL, SHAPE(1, ROWS, F), "path");
        tensor_set_f32(kbps, s->x + 51 * F, ROWS * F);
        for (int i = n * F; i < ROWS * F; i++) ((float *)kbps->x)[i] = NAN;
        const LeadData data = data_of(log, &w->t, w->perm, &st, &cfg, s);
        Tensor *u = tensor_new(w->perm, &w->dev, REAL, kbps->shape, "path");
        memcpy(u->x, lead_data_scale(&w->t, &data, kbps)->x, tensor_bytes(u));
        const LeadPath path = {n, u};
        TEST(log,
             same_hash(batch_hash(log, w, &st, &cfg, s, &at, 1, false, &path),
                       batch_hash(log, w, &st, &cfg, s, &direct, 1, false, NULL)),
             "%s: a true path of %d matrices differs from the rows themselves", ch->name, n);
    }
}

// A moment's numbers do not depend on the other moments of its batch, nor on its place.
static void check_order(TestLog *log, World *w, const TrafficSeries *s, const Choice *ch)
{
    const LeadConfig cfg = choice_config(ch);
    const LeadStats st = fitted(log, w->perm, s, &cfg);
    tape_reset(&w->t);
    const LeadData data = data_of(log, &w->t, w->step, &st, &cfg, s);
    const LeadBatch a = lead_data_batch(&w->t, &data, lead_data_rows(&data, w->step, (int64_t[]){90, 31, 57}, 3), NULL,
                                        true);
    const LeadBatch b = lead_data_batch(&w->t, &data, lead_data_rows(&data, w->step, (int64_t[]){57, 90, 31}, 3), NULL,
                                        true);
    const Tensor *x[] = {a.frames, a.slot, a.dow, a.context, a.target, a.weight},
                 *y[] = {b.frames, b.slot, b.dow, b.context, b.target, b.weight};
    for (int i = 0; i < 6; i++) {
        const size_t row = tensor_bytes(x[i]) / 3;
        for (size_t r = 0; r < 3; r++)
            TEST(log, memcmp((char *)x[i]->x + r * row, (char *)y[i]->x + (r + 1) % 3 * row, row) == 0,
                 "%s: part %d of moment %zu moved with its place", ch->name, i, r);
    }
}

static float factor_of(int f) { return (float[]){2, 0.5f, 1, 4}[f % 4]; }

// A training batch with factors is the batch of a series that was multiplied by them, with the statistics of the first.
// Factors are powers of two, and the ridge has no intercept, so the bits agree; of the planes the last 6 are sums over
// nodes, which stay as they were.
static void check_factor(TestLog *log, World *w, const TrafficSeries *s)
{
    const LeadConfig cfg = choice_config(&choices[2]);
    const LeadStats st = fitted(log, w->perm, s, &cfg);
    const int64_t per_step = (int64_t)F * RIDGE_INPUTS, at[] = {90, 31, 57};
    for (int64_t i = 0; i < RIDGE_FITS * st.Kt * per_step; i++)
        if (i % RIDGE_INPUTS == RIDGE_INPUTS - 1) st.ridge.coef[i] = 0;
    for (int i = 0; i < st.Kt * F; i++) st.sigma[i] *= 1024;   // no error meets the bounds of base_error
    TrafficSeries c = series_copy(w->perm, s);
    for (int64_t i = 0; i < c.T * F; i++) c.x[i] *= factor_of((int)(i % F));
    tape_reset(&w->t);
    const LeadData here = data_of(log, &w->t, w->step, &st, &cfg, s);
    const LeadData there = data_of(log, &w->t, w->step, &st, &cfg, &c);
    Tensor *factor = tape_tensor(&w->t, SHAPE(F));
    for (int f = 0; f < F; f++) ((float *)factor->x)[f] = factor_of(f);
    const LeadBatch a = lead_data_training_batch(&w->t, &here, lead_data_rows(&here, w->step, at, 3), factor);
    const LeadBatch b = lead_data_batch(&w->t, &there, lead_data_rows(&there, w->step, at, 3), NULL, true);
    const Tensor *x[] = {a.frames, a.target, a.weight, a.window, a.base},
                 *y[] = {b.frames, b.target, b.weight, b.window, b.base};
    for (int i = 0; i < 5; i++)
        TEST(log, memcmp(x[i]->x, y[i]->x, tensor_bytes(x[i])) == 0, "factor: part %d of the batch differs", i);
    const int64_t C = a.context->shape.d[3];
    int64_t wrong = 0;
    for (int64_t i = 0; i < numel(a.context); i++)
        wrong += i % C < C - 6 && ((float *)a.context->x)[i] != ((float *)b.context->x)[i];
    TEST(log, wrong == 0, "factor: %lld values of the context differ", (long long)wrong);
}

// The factors of a step: as wide as level_jitter says, within their limits, new in the next step, the same when it is
// run again.
static void check_factors_drawn(TestLog *log, World *w, const TrafficSeries *s)
{
    LeadConfig cfg = choice_config(&choices[2]);
    cfg.level_jitter = 0.3;
    const LeadStats st = fitted(log, w->perm, s, &cfg);
    tape_reset(&w->t);
    const LeadData data = data_of(log, &w->t, w->step, &st, &cfg, s);
    double sum = 0, square = 0;
    float first[F], again[F], other[F];
    enum { STEPS = 200 };
    for (uint32_t step = 0; step <= STEPS; step++) {
        tape_set_step(&w->t, step % STEPS);
        float *out = step == STEPS ? again : step ? other : first;
        tensor_get_f32(lead_data_factor(&w->t, &data), out, F);
        for (int f = 0; f < F && step < STEPS; f++) {
            sum += (double)out[f], square += (double)out[f] * (double)out[f];
            TEST(log, out[f] > 0.299f && out[f] < 1.701f, "factor %g", (double)out[f]);
        }
        if (step == 1) TEST(log, memcmp(out, first, sizeof first) != 0, "factors of two steps are the same");
    }
    const double n = (double)STEPS * F, mean = sum / n;
    TEST(log, memcmp(first, again, sizeof first) == 0, "factors of a step that is run again differ");
    TEST(log, fabs(mean - 1) < 0.03 && fabs(sqrt(square / n - mean * mean) - 0.29) < 0.03, "factors: mean %g", mean);
    cfg.level_jitter = 0;
    TEST(log, !lead_data_factor(&w->t, &data), "factors without level_jitter");
}

// The silent flow and values far beyond what training saw come back finite and in range.
static void check_extremes(TestLog *log, World *w, const TrafficSeries *s)
{
    const LeadConfig cfg = choice_config(&choices[0]);
    TrafficSeries c = series_copy(w->perm, s);
    for (int64_t t = 0; t < c.T; t++) c.x[t * F + 5] = 0;
    for (int f = 0; f < F; f++) c.x[300 * F + f] = f % 2 ? 1e12f : 0;
    const LeadStats st = fitted(log, w->perm, &c, &cfg);
    tape_reset(&w->t);
    const LeadData data = data_of(log, &w->t, w->step, &st, &cfg, &c);
    const LeadBatch b = lead_data_batch(&w->t, &data, lead_data_rows(&data, w->step, (int64_t[]){300}, 1), NULL, true);
    const Tensor *part[] = {b.frames, b.context, b.target, b.weight};
    for (int i = 0; i < 4; i++) {
        bool finite = true;
        for (int64_t k = 0; k < numel(part[i]); k++) finite &= isfinite(((const float *)part[i]->x)[k]) != 0;
        TEST(log, finite, "part %d of a batch with extreme values is not finite", i);
    }
    Tensor *x = tape_tensor(&w->t, b.target->shape);
    for (int k = 0; k < 2; k++) {
        tensor_fill(x, k ? 1e6 : -1e6);
        const float *out = lead_data_decode(&w->t, &data, &b, x)->x;
        bool fine = true;
        for (int j = 0; j < st.Kt * F; j++) fine &= isfinite(out[j]) && out[j] >= 0;
        TEST(log, fine, "decoding %g gave a value that is negative or not finite", k ? 1e6 : -1e6);
    }
}

// Means of the parts of the week: every slot by looking at every training row; a weekend that was never seen.
static void check_parts(TestLog *log, World *w, const TrafficSeries *s)
{
    TrafficScale k;
    TrafficSeries c = series_copy(w->perm, s);
    const TrafficRange rows = {5, 61};
    const int D = (int)traffic_slots_per_day(s);
    const Status r = scale_fit(&k, w->perm, s, rows, SCALE_FLOWMAX);
    TEST(log, !r.code, "%s", r.msg);
    for (int unseen = 0; unseen < 2; unseen++) {
        for (int64_t t = 0, slot = 0, day = 0; t < s->T; t++) {
            int at, of_week;
            traffic_calendar(s, t, 0, &at, &of_week);
            slot = at, day = of_week;
            c.valid[t] = t % 11 != 3 && !(unseen && day >= 5) && slot != 6;
        }
        const float *got = part_means_fit(w->perm, &c, rows, &k);
        double worst = 0;
        for (int part = 0; part < 2; part++)
            for (int slot = 0; slot < D; slot++) {
                double sum[2][F] = {{0}}, all[F] = {0}, n[2] = {0, 0}, used = 0;
                for (int64_t t = rows.begin; t < rows.end; t++) {
                    int at, day;
                    traffic_calendar(&c, t, 0, &at, &day);
                    if (!c.valid[t]) continue;
                    const bool other = (day >= 5) != part;
                    for (int f = 0; f < F; f++) all[f] += (double)scale_forward_flow(&k, f, c.x[t * F + f]);
                    for (int f = 0; f < F && at == slot; f++)
                        sum[other][f] += (double)scale_forward_flow(&k, f, c.x[t * F + f]);
                    n[other] += at == slot;
                    used++;
                }
                for (int f = 0; f < F; f++) {
                    const double want = n[0] > 0 ? sum[0][f] / n[0] : n[1] > 0 ? sum[1][f] / n[1] : all[f] / used;
                    worst = fmax(worst, fabs((double)got[(part * D + slot) * F + f] - want));
                }
            }
        TEST(log, worst < 1e-6, "means of the parts of the week%s: %g from those by hand",
             unseen ? " without a weekend" : "", worst);
    }
}

void test_features(TestLog *log)
{
    World *w = world_new(device_cpu_f32(ISA_SCALAR), true);
    w->t.record = false;
    const TrafficSeries s = synth_series(log, w->perm, N, 45, 10800);
    for (int i = 0; i < N_CHOICES; i++) {
        for (int k = 0; k < SCALE_KINDS; k++) {
            check_decode(log, w, &s, &choices[i], (ScaleKind)k);
            check_host(log, w, &s, &choices[i], (ScaleKind)k);
        }
        check_invalid(log, w, &s, &choices[i]);
        check_future(log, w, &s, &choices[i]);
        if (choices[i].base != BASE_RIDGE || choices[i].target == TARGET_LEVEL) check_path(log, w, &s, &choices[i]);
        check_order(log, w, &s, &choices[i]);
    }
    check_extremes(log, w, &s);
    check_factor(log, w, &s);
    check_factors_drawn(log, w, &s);
    check_parts(log, w, &s);
    world_delete(w);
}
