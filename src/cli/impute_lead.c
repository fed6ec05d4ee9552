#include "cli/impute_lead.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "lead/general.h"

enum { SAMPLES = 2, BATCH = 16, HALF_LIFE = 4 * 3600, CLASSES = 4, WAYS = 10, FEWEST = 50 };

// One value to fill, or a known one that is filled to learn how wide bands must be.
typedef struct Target {
    int64_t row;
    int flow;
    int64_t gap[2];              // rows since the flow was last known, from the left and from the right; 0: never
    double y[2];                 // forecast from each side
    bool known[2];               // .. that there is one, and not the season alone
} Target;

typedef struct Fill {
    ImputeLeadArg *arg;
    Arena *a;
    const TrafficSeries *s;
    ImputeUnits u;
    Target *target;              // first those of the imputation, then the known ones
    int64_t n, T, F;
    double share[2][WAYS];       // of the season's variance that is left when a side has forecast so far
} Fill;

// The length of a way in steps, to a class: 1, 2, 3, 4, .. 8, .. 16, .. 24, .. 48, .. 96, more.
static int way_of(int64_t gap)
{
    static const int64_t most[WAYS - 1] = {1, 2, 3, 4, 8, 16, 24, 48, 96};
    int c = 0;
    while (c < WAYS - 1 && gap > most[c]) c++;
    return c;
}

// ---- what is forecast from where -----------------------------------------------------------------------------------

// Fills gap[side] of the first n targets, which are those of x that are NaN, in order.
static void find_gaps(Fill *w, const Imputation *out)
{
    int64_t *last = arena_alloc(w->a, (size_t)w->F * sizeof *last);
    for (int side = 0; side < 2; side++) {
        int64_t i = side ? out->n - 1 : 0;
        for (int64_t f = 0; f < w->F; f++) last[f] = -1;
        for (int64_t j = 0; j < w->T; j++) {
            const int64_t t = side ? w->T - 1 - j : j, before = side ? t + 1 : t - 1;
            const bool border = j > 0 && llabs(w->s->slot[t] - w->s->slot[before]) != 1;
            for (int64_t m = 0; m < w->F; m++) {
                const int64_t f = side ? w->F - 1 - m : m;
                if (border) last[f] = -1;
                if (!isnan(w->s->x[t * w->F + f])) last[f] = t;
                else if (i >= 0 && i < out->n && out->cell[i] == t * w->F + f) {
                    w->target[i].gap[side] = last[f] < 0 ? 0 : llabs(t - last[f]);
                    i += side ? -1 : 1;
                }
            }
        }
    }
}

// The targets of the imputation, and for each the known value half the series away, as if it were in the same hole.
static void list_targets(Fill *w, const Imputation *out)
{
    w->target = arena_zalloc(w->a, 2 * (size_t)out->n * sizeof *w->target);
    w->n = out->n;
    find_gaps(w, out);
    for (int64_t i = 0; i < out->n; i++) {
        Target *t = &w->target[i], *known = &w->target[w->n];
        t->row = out->cell[i] / w->F;
        t->flow = (int)(out->cell[i] % w->F);
        *known = *t;
        known->row = (t->row + w->T / 2) % w->T;
        w->n += !isnan(w->s->x[known->row * w->F + t->flow]);
    }
}

static double season_of(const Fill *w, int64_t row, int flow)
{
    return (double)w->u.profile[impute_profile_row(w->s, row) * w->F + flow];
}

// ---- one side ------------------------------------------------------------------------------------------------------

typedef struct Side {
    int side, K;
    TrafficSeries s;
    LeadRun run;
    uint8_t *can;                // [T] a forecast may begin after this row of s
    int64_t *head, *next;        // [T] first target of an origin, -1: none; [n] the one after it
} Side;

static Status open_side(Side *d, Fill *w)
{
    ImputeLeadArg *arg = w->arg;
    Cli *cli = arg->cli;
    LeadConfig cfg;
    Calibration c;
    TRY(impute_side(&d->s, w->a, w->s, d->side == 1));
    const TrafficRange all = {lead_general_first(w->T), w->T},
                       before = {all.begin, w->T - (w->T - all.begin) * 15 / 100};
    TRY(lead_general_config(&cfg, NULL, arg->file, cli->scratch));
    TRY(lead_general_enough(&d->s, before, &cfg, cli->scratch));
    TRY(lead_general_load(&d->run, arg->file, &d->s, before, (TrafficRange){before.end, all.end}, 0, &cli->device,
                          w->a, cli->step, cli->scratch, &c));
    d->run.cfg.samples = SAMPLES;                                 // nobody looks at them
    if (!d->run.calls) d->run.cfg.sample_steps = 1;
    if (!arg->said)
        cli_say("%s: weights that suit any network, fitted to the series and to the series run backwards", arg->file);
    arg->said = true;
    d->K = d->run.cfg.horizon;
    return lead_general_refit(&d->run, all);
}

static void find_origins(Side *d, const Fill *w)
{
    int good = 0;
    d->can = arena_alloc(w->a, (size_t)w->T);
    for (int64_t t = 0; t < w->T; t++) {
        const bool follows = t > 0 && d->s.slot[t] == d->s.slot[t - 1] + 1;
        good = d->s.valid[t] ? (follows ? good : 0) + 1 : 0;
        d->can[t] = good >= d->run.cfg.history;
    }
}

static int64_t row_of(const Side *d, const Fill *w, int64_t row) { return d->side ? w->T - 1 - row : row; }

// The row from which target i is forecast: the last one with the flow, or one of the K before that; -1: none.
static int64_t origin_of(const Side *d, const Fill *w, const Target *t)
{
    const int64_t row = row_of(d, w, t->row), from = row - t->gap[d->side];
    for (int64_t at = from; t->gap[d->side] && at >= 0 && at > from - d->K; at--) {
        if (d->s.slot[row] - d->s.slot[at] != row - at) return -1;
        if (d->can[at]) return at;
    }
    return -1;
}

static void list_origins(Side *d, const Fill *w)
{
    d->head = arena_alloc(w->a, (size_t)w->T * sizeof *d->head);
    d->next = arena_alloc(w->a, (size_t)w->n * sizeof *d->next);
    for (int64_t t = 0; t < w->T; t++) d->head[t] = -1;
    for (int64_t i = 0; i < w->n; i++) {
        const int64_t at = origin_of(d, w, &w->target[i]);
        if (at < 0) continue;
        d->next[i] = d->head[at];
        d->head[at] = i;
    }
}

// The point forecast x [K][F] of what comes after row `at` -> target t.
static void take(const Side *d, const Fill *w, Target *t, int64_t at, const float *x)
{
    const int64_t ahead = row_of(d, w, t->row) - at, step = ahead < d->K ? ahead : d->K;
    const double rest = exp2(-(double)(ahead - step) * d->s.slot_seconds / HALF_LIFE);
    const double away = impute_unit(&w->u, x[(step - 1) * w->F + t->flow], t->flow) -
                        season_of(w, row_of(d, w, at + step), t->flow);
    t->y[d->side] = season_of(w, t->row, t->flow) + rest * away;
    t->known[d->side] = true;
}

static Status forecast_side(Side *d, const Fill *w)
{
    int64_t at[BATCH];
    const int64_t each = d->K * w->F;
    float *x = arena_alloc(w->a, BATCH * (SAMPLES + 1) * (size_t)each * sizeof *x), *point = x + BATCH * SAMPLES * each;
    for (int64_t t = 0; t < w->T;) {
        int n = 0;
        for (; t < w->T && n < BATCH; t++)
            if (d->head[t] >= 0) at[n++] = t;
        if (!n) return OK;
        const size_t mark = arena_mark(w->a);
        TRY(lead_forecast(&d->run, at, n, x, point));
        arena_rewind(w->a, mark);
        for (int b = 0; b < n; b++)
            for (int64_t i = d->head[at[b]]; i >= 0; i = d->next[i]) take(d, w, &w->target[i], at[b], point + b * each);
    }
    return OK;
}

static Status fill_side(Fill *w, int side)
{
    Side *d = arena_zalloc(w->a, sizeof *d);
    d->side = side;
    Status st = open_side(d, w);
    if (!st.code) {
        find_origins(d, w);
        list_origins(d, w);
        st = forecast_side(d, w);
    }
    arena_delete(d->run.aside);
    return st;
}

// ---- both ----------------------------------------------------------------------------------------------------------

// Which part of the season's variance each side leaves, by the length of the way, on known values.
static void learn_shares(Fill *w, int64_t first)
{
    double sum[2][WAYS] = {{0}}, n[2][WAYS] = {{0}};
    for (int64_t i = first; i < w->n; i++) {
        const Target *t = &w->target[i];
        const double spread = w->u.spread[t->flow], y = impute_unit(&w->u, w->s->x[t->row * w->F + t->flow], t->flow);
        for (int side = 0; side < 2; side++) {
            const int c = way_of(t->gap[side]);
            if (!t->known[side] || !(spread > 0)) continue;
            sum[side][c] += (y - t->y[side]) * (y - t->y[side]) / (spread * spread);
            n[side][c]++;
        }
    }
    for (int side = 0; side < 2; side++)
        for (int c = 0; c < WAYS; c++) {
            const double share = n[side][c] >= FEWEST ? sum[side][c] / n[side][c] : 1;
            w->share[side][c] = fmin(fmax(share, 1e-6), 1);
        }
}

static void join(const Fill *w, const Target *t, double *y, double *deviation)
{
    const double season = season_of(w, t->row, t->flow);
    double precision = -1, sum = -season;                         // in units of the season's
    for (int side = 0; side < 2; side++) {
        const double p = t->known[side] ? 1 / w->share[side][way_of(t->gap[side])] : 1;
        precision += p;
        sum += p * (t->known[side] ? t->y[side] : season);
    }
    *y = sum / precision;
    *deviation = w->u.spread[t->flow] / sqrt(precision);
}

// By the distance to the nearer known value: 1, 2 .. 3, 4 .. 15, more or unknown.
static int class_of(const Target *t)
{
    const int64_t a = t->gap[0], b = t->gap[1], gap = !a || (b && b < a) ? b : a;
    return gap == 1 ? 0 : gap >= 2 && gap < 4 ? 1 : gap >= 4 && gap < 16 ? 2 : 3;
}

static void put_all(Imputation *out, const Fill *w, const ImputeOptions *o)
{
    ImputeBands bands[CLASSES];
    double y, deviation;
    float *z = arena_alloc(w->a, 2 * (size_t)w->n * sizeof *z);
    for (int c = 0; c < CLASSES; c++) {
        int64_t n = 0;
        for (int64_t i = out->n; i < w->n; i++) {
            const Target *t = &w->target[i];
            join(w, t, &y, &deviation);
            if (class_of(t) != c || !(deviation > 0)) continue;
            z[n++] = (float)((impute_unit(&w->u, w->s->x[t->row * w->F + t->flow], t->flow) - y) / deviation);
        }
        bands[c] = impute_bands(z, n);
    }
    for (int64_t i = 0; i < out->n; i++) {
        join(w, &w->target[i], &y, &deviation);
        impute_put_unit(out, o, &w->u, i, y, deviation, &bands[class_of(&w->target[i])]);
    }
}

Status impute_by_lead(Imputation *out, Arena *a, const TrafficSeries *s, const ImputeOptions *o)
{
    Fill w = {.arg = o->lead_arg, .a = a, .s = s, .T = s->T, .F = (int64_t)s->N * s->N, .u = impute_units(a, s)};
    Cli *cli = w.arg->cli;
    list_targets(&w, out);
    for (int side = 0; side < 2; side++) {
        const size_t mark = arena_mark(a), step = arena_mark(cli->step), scratch = arena_mark(cli->scratch);
        const Status st = fill_side(&w, side);
        arena_rewind(cli->step, step);
        arena_rewind(cli->scratch, scratch);
        arena_rewind(a, mark);
        TRY(st);
    }
    learn_shares(&w, out->n);
    put_all(out, &w, o);
    return OK;
}
