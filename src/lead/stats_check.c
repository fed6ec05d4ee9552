// Whether statistics that were read from a file are some that a fit gives (lead/stats.h).
#include <math.h>

#include "lead/rival.h"

// Scale s of training rows is 0 .. 1; what lies far outside is of no fit.
static const float MOST = 1e6f, LEAST = 1e-12f;

typedef struct Bound { const char *name; const float *x; int64_t n; float least, most; } Bound;

static Status check_bound(const Bound *b, const char *path)
{
    for (int64_t i = 0; b->x && i < b->n; i++)
        if (!(b->x[i] >= b->least && b->x[i] <= b->most))
            return ERROR("%s: stat.%s: want values in %g..%g, got %g at %lld", path, b->name, (double)b->least,
                         (double)b->most, (double)b->x[i], (long long)i);
    return OK;
}

static Status check_days(const LeadStats *st, const char *path)
{
    const int per_day = 86400 / st->slot_seconds;
    if (st->per_day != per_day)
        return ERROR("%s: stat.head: want %d slots of %d s a day, got %d", path, per_day, st->slot_seconds,
                     st->per_day);
    if (st->means.per_day != per_day)
        return ERROR("%s: stat.slot_means: want %d slots a day, got %d", path, per_day, st->means.per_day);
    if (st->ridge.coef && st->ridge.per_day != per_day)
        return ERROR("%s: stat.ridge: want %d slots a day, got %d", path, per_day, st->ridge.per_day);
    return OK;
}

Status lead_stats_check(const LeadStats *st, const LeadConfig *cfg, const char *path)
{
    const int64_t F = st->F, K = st->Kt, KF = K * F;
    const float gains[2] = {st->gains.k_g, st->gains.k_b};
    const Bound bounds[] = {
        {"head, gains", gains, 2, 0, 1000},
        {"mean", st->mean, F, -MOST, MOST},
        {"std", st->std, F, LEAST, MOST},
        {"sigma", st->sigma, KF, LEAST, MOST},
        {"gamma", st->gamma, KF, LEAST, MOST},
        {"low", st->low, KF, -MOST, 0},
        {"high", st->high, KF, 0, MOST},
        {"slot_means", st->means.mean, (int64_t)st->means.n_slots * F, -MOST, MOST},
        {"part_means", st->part_means, 2 * (int64_t)st->per_day * F, -MOST, MOST},
        {"node_unit", st->node_unit, 2 * (int64_t)st->N + 1, LEAST, INFINITY},
        {"trust", st->trust, KF, 0, 1},
        {"calibration.spread", st->spread, K, 0.01f, 100},
        {"calibration.head_weight", st->head_weight, K, 0, 1},
        {"calibration.fallback", st->fallback, 1, 0, NAIVE_KINDS},
    };
    TRY(check_days(st, path));
    if (st->rival) TRY(lead_rival_stats_check(st, path));
    for (size_t i = 0; i < sizeof bounds / sizeof *bounds; i++) TRY(check_bound(&bounds[i], path));
    if (*st->fallback != floorf(*st->fallback))
        return ERROR("%s: stat.calibration.fallback: want a whole number, got %g", path, (double)*st->fallback);
    if ((int)st->scale.kind != cfg->scale)
        return ERROR("%s: stat.scale: want scale %s as lead.config says, got %s", path, scale_kind_names[cfg->scale],
                     scale_kind_names[st->scale.kind]);
    return OK;
}
