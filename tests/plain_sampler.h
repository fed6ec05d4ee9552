// The diffusion process and its samplers in textbook form (E7), in double: a second derivation of src/diffusion.
#ifndef LEAD_TESTS_PLAIN_SAMPLER_H
#define LEAD_TESTS_PLAIN_SAMPLER_H

#include <math.h>

#include "diffusion/sampler.h"
#include "tensor/philox.h"

static inline double plain_cosine(double part)
{
    return pow(cos((part + 0.008) / 1.008 * acos(-1) / 2), 2);
}

// alpha_bar of time t of T (Nichol, Dhariwal 2021; Ho et al. 2020; Rombach et al. 2022).
static inline double plain_alpha_bar(ScheduleKind kind, int t, int T)
{
    double ab = 1;
    for (int i = 1; i <= t; i++) {
        const double u = T > 1 ? (i - 1.0) / (T - 1.0) : 0;
        double beta = 1 - plain_cosine(i / (double)T) / plain_cosine((i - 1) / (double)T);
        if (kind == SCHEDULE_LINEAR) beta = (0.1 + u * 19.9) / T;
        if (kind == SCHEDULE_SCALED_LINEAR) beta = 1000.0 / T * pow((1 - u) * sqrt(0.00085) + u * sqrt(0.012), 2);
        ab *= 1 - fmin(beta, 0.999);
    }
    return ab;
}

// Weight of the squared error: min(snr, gamma) is that of x0's.
static inline double plain_min_snr(Prediction p, double ab, double gamma)
{
    const double snr = ab / (1 - ab), least = gamma > 0 ? fmin(snr, gamma) : 1;
    if (gamma <= 0) return 1;
    return p == PREDICT_X0 ? least : p == PREDICT_EPS ? least / snr : least / (1 + snr);
}

// The time of network call i of `steps`; 0 after the last.
static inline int plain_time_at(int T, int steps, int i)
{
    return i < steps ? T - (int)floor((double)i * T / steps) : 0;
}

// x0 that the network's output means at x.
static inline double plain_x0(Prediction p, double x, double out, double ab)
{
    if (p == PREDICT_X0) return out;
    return p == PREDICT_EPS ? (x - sqrt(1 - ab) * out) / sqrt(ab) : sqrt(ab) * x - sqrt(1 - ab) * out;
}

static inline double plain_target_of(Prediction p, double x0, double eps, double ab)
{
    return p == PREDICT_X0 ? x0 : p == PREDICT_EPS ? eps : sqrt(ab) * eps - sqrt(1 - ab) * x0;
}

// Normal number `at` of row `row`, of `length` numbers, that call `step` of a sampler draws; of antithetic pairs the
// odd row takes the even one's with the other sign.
static inline double plain_noise(const Sampler *s, int step, int64_t row, int64_t length, int64_t at)
{
    const int64_t drawn = s->antithetic ? row / 2 * 2 : row, padded = (length + 3) / 4 * 4;
    const double z = (double)philox_normal(s->seed, philox_subsequence(SITE_SAMPLE, (uint32_t)step),
                                           (uint64_t)(drawn * padded + at));
    return s->antithetic && row % 2 ? -z : z;
}

// What a step makes of x, of its estimate x0, of the estimate before (of time `earlier`; the first call: -1) and of z:
// the weights of each.
typedef struct PlainStep { double x, x0, before, z; } PlainStep;

static inline PlainStep plain_step(const Sampler *s, ScheduleKind kind, int T, int earlier, int now, int next)
{
    const double ab = plain_alpha_bar(kind, now, T), to = plain_alpha_bar(kind, next, T);
    if (next == 0) return (PlainStep){0, 1, 0, 0};
    if (s->kind == SAMPLER_DPMPP2M) {   // Lu et al. 2022, algorithm 2
        const double lambda = log(sqrt(ab) / sqrt(1 - ab)), h = log(sqrt(to) / sqrt(1 - to)) - lambda;
        const double factor = sqrt(to) * (1 - exp(-h));
        PlainStep y = {sqrt(1 - to) / sqrt(1 - ab), factor, 0, 0};
        if (earlier >= 0) {
            const double was = plain_alpha_bar(kind, earlier, T), r = (lambda - log(sqrt(was) / sqrt(1 - was))) / h;
            y.x0 = factor * (1 + 1 / (2 * r)), y.before = -factor / (2 * r);
        }
        return y;
    }
    // Song et al. 2021, equation 12: x0, its direction to x, noise
    const double eta = s->kind == SAMPLER_DDPM ? 1 : s->eta;
    const double sigma = eta * sqrt((1 - to) / (1 - ab)) * sqrt(1 - ab / to), direction = sqrt(1 - to - sigma * sigma);
    return (PlainStep){direction / sqrt(1 - ab), sqrt(to) - direction * sqrt(ab) / sqrt(1 - ab), 0, sigma};
}

#endif
