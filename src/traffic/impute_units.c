// The units that values are filled in; the contract is in impute.h.
#include <math.h>
#include <string.h>

#include "traffic/impute.h"

enum { FEWEST_HIDDEN = 200 };
static const double WIDEST = 2;                          // no value is above WIDEST x the flow's largest

double impute_unit(const ImputeUnits *u, float x, int64_t f) { return asinh((double)x / u->scale[f]); }

ImputeUnits impute_units(Arena *a, const TrafficSeries *s)
{
    const int64_t F = (int64_t)s->N * s->N;
    ImputeUnits u = {.F = F};
    u.scale = arena_zalloc(a, (size_t)F * sizeof *u.scale);
    u.most = arena_zalloc(a, (size_t)F * sizeof *u.most);
    for (int64_t f = 0; f < F; f++) {
        int64_t n = 0;
        for (int64_t t = 0; t < s->T; t++) {
            const float x = s->x[t * F + f];
            if (isnan(x)) continue;
            n++;
            u.scale[f] += (double)x;
            u.most[f] = fmax(u.most[f], (double)x);
        }
        u.scale[f] = u.scale[f] > 0 ? u.scale[f] / (double)n : 1;
        u.most[f] = asinh(WIDEST * u.most[f] / u.scale[f]);
    }
    float *v = arena_alloc(a, (size_t)(s->T * F) * sizeof *v);
    for (int64_t k = 0; k < s->T * F; k++) v[k] = (float)impute_unit(&u, s->x[k], k % F);
    u.profile = impute_profile(a, s, v);
    u.spread = arena_zalloc(a, (size_t)F * sizeof *u.spread);
    for (int64_t f = 0; f < F; f++) {
        int64_t n = 0;
        for (int64_t t = 0; t < s->T; t++) {
            const double d = (double)(v[t * F + f] - u.profile[impute_profile_row(s, t) * F + f]);
            if (isnan(d)) continue;
            n++;
            u.spread[f] += d * d;
        }
        u.spread[f] = sqrt(u.spread[f] / (double)(n ? n : 1));
    }
    return u;
}

// The standard normal quantile of p: Newton's method on erfc.
static double normal_quantile(double p)
{
    double z = 0;
    for (int i = 0; i < 60; i++) {
        const double step = (0.5 * erfc(-z * M_SQRT1_2) - p) / (exp(-z * z / 2) * M_SQRT1_2 / sqrt(M_PI));
        z -= fmax(-1, fmin(1, step));
    }
    return z;
}

ImputeBands impute_bands(float *z, int64_t n)
{
    ImputeBands bands;
    for (int64_t i = 0; i < n; i++) z[n + i] = -z[i];
    for (int k = 0; k < NAIVE_LEVELS; k++) bands.normal[k] = (float)normal_quantile((k + 1.0) / (NAIVE_LEVELS + 1));
    memcpy(bands.wide, bands.normal, sizeof bands.wide);
    if (n >= FEWEST_HIDDEN) naive_levels(z, 2 * n, bands.wide, 1);
    return bands;
}

void impute_put_unit(Imputation *out, const ImputeOptions *o, const ImputeUnits *u, int64_t i, double y,
                     double deviation, const ImputeBands *bands)
{
    const int64_t f = out->cell[i] % u->F;
    float z[NAIVE_LEVELS];
    double mean = 0;
    for (int q = 0; q < NAIVE_LEVELS; q++) {
        const double wide = y + deviation * (double)bands->wide[q], normal = y + deviation * (double)bands->normal[q];
        z[q] = (float)(u->scale[f] * sinh(fmin(fmax(wide, 0), u->most[f])));
        mean += (double)(float)(u->scale[f] * sinh(fmin(fmax(normal, 0), u->most[f]))) / NAIVE_LEVELS;
    }
    impute_put(out, o, i, mean, z);
}
