#include "diffusion/schedule.h"

#include <math.h>

static const double pi = 3.14159265358979323846;

static double beta_at(ScheduleKind kind, int t, int T)
{
    const double u = T > 1 ? (double)(t - 1) / (double)(T - 1) : 0, scale = 1000.0 / (double)T;
    if (kind == SCHEDULE_LINEAR) return scale * (1e-4 + u * (0.02 - 1e-4));
    const double root = sqrt(0.00085) + u * (sqrt(0.012) - sqrt(0.00085));
    return scale * root * root;
}

static double cosine_f(int t, int T)
{
    const double c = cos(((double)t / (double)T + 0.008) / 1.008 * pi / 2);
    return c * c;
}

Schedule schedule_new(Arena *a, ScheduleKind kind, int T)
{
    CHECK(T >= 2, "schedule: want T >= 2, got %d", T);
    Schedule s = {.T = T, .ab = arena_alloc(a, ((size_t)T + 1) * sizeof(double))};
    s.ab[0] = 1;
    for (int t = 1; t <= T; t++) {
        double beta = kind == SCHEDULE_COSINE ? 1 - cosine_f(t, T) / cosine_f(t - 1, T) : beta_at(kind, t, T);
        if (beta > 0.999) beta = 0.999;
        s.ab[t] = s.ab[t - 1] * (1 - beta);
    }
    return s;
}

double schedule_min_snr(const Schedule *s, Prediction p, int t, double gamma)
{
    if (gamma <= 0) return 1;
    const double snr = s->ab[t] / (1 - s->ab[t]), least = snr < gamma ? snr : gamma;
    switch (p) {
    case PREDICT_X0: return least;
    case PREDICT_EPS: return least / snr;
    case PREDICT_V: return least / (snr + 1);
    }
    return 1;
}
