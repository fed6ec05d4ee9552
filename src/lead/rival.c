#include "lead/rival.h"

#include <math.h>
#include <string.h>

#include "traffic/naive.h"

static const double MOST = 30;   // units, of inputs and targets

// ---- the network

Status lead_rival_new(LeadModel *m, Arena *scratch)
{
    const LeadConfig *c = &m->cfg;
    const int64_t K = m->shape.target_channels, L = c->history;
    m->rival = rival_at(c->model);
    const RivalSizes s = {.N = m->shape.N, .F = (int64_t)m->shape.N * m->shape.N, .L = L, .K = K,
                          .T = c->rival_target == RIVAL_LEVELS ? L : L + K, .slots_per_day = m->shape.slots_per_day,
                          .target = (RivalTarget)c->rival_target,
                          .width = c->rival_width ? c->rival_width : m->rival->width, .dropout = c->dropout,
                          .llm = c->llm, .lora_rank = c->lora_rank, .lora_alpha = c->lora_alpha};
    return rival_new(&m->net, m->rival, m->ps, &s, scratch);
}

RivalUnits lead_rival_units(Tape *t, Arena *perm, const LeadStats *st)
{
    RivalUnits u;
    Tensor **const to[] = {&u.mean, &u.std, &u.minus_mean, &u.per_std};
    for (int i = 0; i < 4; i++) *to[i] = tensor_new(perm, t->dev, REAL, SHAPE(st->F), "units");
    const size_t mark = arena_mark(t->scratch), F = (size_t)st->F;
    float *minus = arena_alloc(t->scratch, 2 * F * sizeof *minus), *per = minus + F;
    for (size_t f = 0; f < F; f++) minus[f] = -st->mean[f], per[f] = 1 / st->std[f];
    const float *const from[] = {st->mean, st->std, minus, per};
    for (int i = 0; i < 4; i++) tensor_set_f32(*to[i], from[i], st->F);
    arena_rewind(t->scratch, mark);
    return u;
}

static Tensor *in_units(Tape *t, const RivalUnits *u, Tensor *x)   // [..,F]
{
    return tape_clamp(t, tape_mul(t, tape_add(t, x, u->minus_mean), u->per_std), MOST);
}

// The calendar of the n slots that end `after` slots after each row.
static WindowCalendar calendar(Tape *t, const LeadData *d, Tensor *at, int n, int after)
{
    WindowParams p = d->window;
    p.history = n;
    p.drawn = p.path = after;
    return tape_window_calendar(t, at, d->week_slot, &p);
}

RivalInput lead_rival_input(Tape *t, const LeadData *d, Tensor *at, Tensor *rows, const LeadBatch *b)
{
    const int L = d->cfg->history, K = d->st->Kt;
    const bool levels = d->cfg->rival_target == RIVAL_LEVELS;
    const int ahead = levels ? 0 : K;
    const WindowCalendar seen_when = calendar(t, d, at, L + ahead, ahead), next = calendar(t, d, at, K, K);
    RivalInput in = {.x = in_units(t, &d->rival, tape_slice(t, b->window, 1, 1, L)), .slot = seen_when.slot,
                     .day = seen_when.day, .next_slot = next.slot, .next_day = next.day};
    if (d->seen) in.seen = tape_slice(t, tape_embedding(t, d->seen, rows), 1, 1, L);
    if (levels) return in;
    in.x = tape_concat(t, (Tensor *[]){in.x, in_units(t, &d->rival, b->base)}, 2, 1);
    if (in.seen) {
        Tensor *ones = tape_scale(t, tape_zeros(t, b->base->shape), 1, 1);
        in.seen = tape_concat(t, (Tensor *[]){in.seen, ones}, 2, 1);
    }
    return in;
}

Tensor *lead_rival_levels(Tape *t, const LeadData *d, Tensor *window)
{
    Tensor *next = tape_slice(t, window, 1, d->window.history + 1, d->st->Kt);
    return tape_permute(t, in_units(t, &d->rival, next), (int[]){0, 2, 1});
}

Tensor *lead_rival_output(Tape *t, const LeadModel *m, const LeadBatch *b)
{
    return m->rival->forecast(t, &m->net, &b->rival);
}

// The target of a batch in units: [B,F,K].
static Tensor *target(Tape *t, const LeadModel *m, const LeadBatch *b)
{
    const int H = m->cfg.history;
    if (m->cfg.rival_target == RIVAL_LEVELS) return b->levels;
    return tape_residual_target(t, b->window, b->base, b->units->sigma, b->units->gamma, (ResidualMoments){0},
                                &(ResidualParams){H, RESIDUAL_UNITS});
}

Tensor *lead_rival_loss(Tape *t, const LeadModel *m, const LeadBatch *b)
{
    RivalLoss kind = (RivalLoss)m->cfg.rival_loss;
    if (kind == RIVAL_AUTO) kind = m->cfg.rival_target == RIVAL_LEVELS ? m->rival->loss : RIVAL_HUBER;
    return rival_loss(t, kind, lead_rival_output(t, m, b), target(t, m, b), b->seen);
}

// ---- forecasts

// What the network says of the n windows after rows t -> out [n][K][F] kbit/s.
static void points(LeadRun *r, const int64_t *t, int n, float *out)
{
    Tape *tape = &r->tape;
    tape_reset(tape);
    LeadBatch b = lead_data_batch(tape, &r->data, lead_data_rows(&r->data, tape->step, t, n), NULL, false);
    Tensor *y = lead_rival_output(tape, &r->model, &b), *x;
    if (r->cfg.rival_target == RIVAL_LEVELS) {
        const RivalUnits *u = &r->data.rival;
        y = tape_permute(tape, tape_clamp(tape, y, MOST), (int[]){0, 2, 1});
        x = lead_data_volumes(tape, &r->data, tape_add(tape, tape_mul(tape, y, u->std), u->mean));
    } else {
        b.moments.location = tape_clamp(tape, y, MOST);
        x = lead_data_head(tape, &r->data, &b);
    }
    tensor_get_f32(x, out, numel(x));
}

// ---- the array of errors: windows kept; w [K][F][11], e, low, high [K][F]; z [RIVAL_KEPT][K][F]

typedef struct Errors { float *kept, *w, *e, *low, *high, *z; } Errors;

static int64_t forecast_size(const LeadStats *st) { return (int64_t)st->Kt * st->F; }

int64_t lead_rival_stats_size(const LeadStats *st)
{
    return 1 + forecast_size(st) * (CONDITIONAL_INPUTS + 3 + RIVAL_KEPT);
}

static Errors errors_of(const LeadStats *st)
{
    const int64_t KF = forecast_size(st);
    Errors e = {.kept = st->rival, .w = st->rival + 1};
    e.e = e.w + KF * CONDITIONAL_INPUTS;
    e.low = e.e + KF;
    e.high = e.low + KF;
    e.z = e.high + KF;
    return e;
}

Status lead_rival_stats_check(const LeadStats *st, const char *path)
{
    const Errors e = errors_of(st);
    const float n = *e.kept;
    if (!(n == 0 || (n >= RIVAL_LEAST && n <= RIVAL_KEPT)) || n != floorf(n))
        return ERROR("%s: stat.rival: want 0 or %d..%d windows, got %g", path, RIVAL_LEAST, RIVAL_KEPT, (double)n);
    for (int64_t k = 0; n > 0 && k < forecast_size(st); k++)
        if (!(e.e[k] > 0 && e.low[k] <= e.high[k] && e.high[k] < 88))
            return ERROR("%s: stat.rival: want a scale above 0 and an ascending range of its logarithm, got %g and "
                         "%g..%g at %lld", path, (double)e.e[k], (double)e.low[k], (double)e.high[k], (long long)k);
    return OK;
}

void lead_rival_attach(LeadRun *r)
{
    const Errors e = errors_of(&r->stats);
    const int64_t KF = forecast_size(&r->stats);
    Conditional *c = conditional_new(r->perm, &r->stats.ridge);
    for (int64_t k = 0; k < KF * CONDITIONAL_INPUTS; k++) c->w[k] = (double)e.w[k];
    for (int64_t k = 0; k < KF; k++)
        c->e[k] = (double)e.e[k], c->low[k] = (double)e.low[k], c->high[k] = (double)e.high[k];
    r->rival_scale = c;
}

// ---- fitting them

Status lead_rival_check_windows(const LeadConfig *cfg, int64_t n)
{
    if (n >= RIVAL_LEAST) return OK;
    return ERROR("model %s: want at least %d validation windows of %d + %d rows, to know how far it errs, got %lld",
                 rival_names[cfg->model], RIVAL_LEAST, cfg->history, cfg->horizon, (long long)n);
}

int lead_rival_windows(const LeadRun *r, TrafficRange val, int64_t *at, int most)
{
    const size_t mark = arena_mark(r->perm);
    int64_t *start;
    const int64_t n = traffic_windows(r->series, r->perm, val, r->cfg.history, r->stats.Kt, 1, &start);
    const int windows = n < most ? (int)n : most;
    for (int i = 0; i < windows; i++) at[i] = start[i * n / windows] + r->cfg.history - 1;
    arena_rewind(r->perm, mark);
    return windows;
}

enum { TOGETHER = 8 };   // windows forecast at once

double lead_rival_rehearse(LeadRun *r, TrafficRange val)
{
    const size_t mark = arena_mark(r->perm);
    int64_t at[RIVAL_FIT];
    const int n = lead_rival_windows(r, val, at, RIVAL_FIT), few = n < TOGETHER ? n : TOGETHER;
    if (few) points(r, at, few, arena_alloc(r->perm, (size_t)(few * forecast_size(&r->stats)) * sizeof(float)));
    arena_rewind(r->perm, mark);
    return n ? (double)few / n : 0;
}

// z of window i of n, [K][F][n] -> out [K][F]; before: of the window kept before it, or NULL.
static void keep(const float *z, int64_t KF, int64_t i, int64_t n, const float *before, float *out)
{
    for (int64_t k = 0; k < KF; k++) {
        const float v = z[k * n + i];
        out[k] = isnan(v) ? before ? before[k] : 0 : v;
    }
}

Status lead_rival_calibrate(LeadRun *r, TrafficRange val)
{
    const int64_t KF = forecast_size(&r->stats);
    const Errors e = errors_of(&r->stats);
    const size_t mark = arena_mark(r->perm);
    int64_t at[RIVAL_FIT];
    const int n = lead_rival_windows(r, val, at, RIVAL_FIT), kept = n < RIVAL_KEPT ? n : RIVAL_KEPT;
    TRY(lead_rival_check_windows(&r->cfg, n));
    float *point = arena_alloc(r->perm, (size_t)(TOGETHER * KF) * sizeof *point);
    float *error = arena_alloc(r->perm, (size_t)(n * KF) * sizeof *error);
    for (int i = 0; i < n; i += TOGETHER) {
        const int m = n - i < TOGETHER ? n - i : TOGETHER;
        points(r, at + i, m, point);
        for (int j = 0; j < m; j++)
            naive_residuals(r->series, at[i + j], r->stats.Kt, point + j * KF, error + i + j, n);
    }
    Conditional *c = conditional_new(r->perm, &r->stats.ridge);
    conditional_fit(c, r->perm, r->series, at, n, error);
    for (int64_t k = 0; k < KF * CONDITIONAL_INPUTS; k++) e.w[k] = (float)c->w[k];
    for (int64_t k = 0; k < KF; k++)
        e.e[k] = (float)c->e[k], e.low[k] = (float)c->low[k], e.high[k] = (float)c->high[k];
    for (int i = 0; i < kept; i++)
        keep(error, KF, (int64_t)i * n / kept, n, i ? e.z + (i - 1) * KF : NULL, e.z + i * KF);
    *e.kept = (float)kept;
    arena_rewind(r->perm, mark);
    return OK;
}

// ---- with their distribution

// Sample paths of the forecast `point` after row t -> out [S][K][F].
static void paths(LeadRun *r, int64_t t, const float *point, const float *sigma, float *out)
{
    const Errors e = errors_of(&r->stats);
    const int64_t KF = forecast_size(&r->stats), S = r->cfg.samples;
    for (int64_t i = 0; i < S; i++) {
        const uint32_t u = philox_u32((uint64_t)r->cfg.seed, philox_subsequence(SITE_SAMPLE, 0), (uint64_t)(t * S + i));
        const float *z = e.z + (int64_t)((uint64_t)u * (uint64_t)*e.kept >> 32) * KF;
        for (int64_t k = 0; k < KF; k++) out[i * KF + k] = fmaxf(0, point[k] + sigma[k] * z[k]);
    }
}

Status lead_rival_forecast(LeadRun *r, const int64_t *t, int n, float *out, float *point)
{
    const int64_t KF = forecast_size(&r->stats);
    if (*r->stats.rival == 0)
        return ERROR("%s: how far %s errs is not known before its training has finished; want lead train --resume",
                     r->file, rival_names[r->cfg.model]);
    const size_t mark = arena_mark(r->perm);
    float *said = arena_alloc(r->perm, (size_t)((TOGETHER + 1) * KF) * sizeof *said), *sigma = said + TOGETHER * KF;
    const int most = r->memory ? 1 : TOGETHER;   // --memory: as little as can be
    for (int i = 0; i < n; i += most) {
        const int m = n - i < most ? n - i : most;
        points(r, t + i, m, said);
        if (point) memcpy(point + i * KF, said, (size_t)(m * KF) * sizeof *said);
        for (int j = 0; j < m; j++) {
            conditional_sigma(r->rival_scale, r->series, t[i + j], sigma);
            paths(r, t[i + j], said + j * KF, sigma, out + (i + j) * KF * r->cfg.samples);
        }
    }
    arena_rewind(r->perm, mark);
    return OK;
}
