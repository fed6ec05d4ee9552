// Samplers: they turn noise into x_0 with `steps` network calls.  E7.
//   ddpm      ancestral sampling (Ho et al. 2020) on the chosen times
//   ddim      Song et al. 2021, eta = 0 deterministic .. 1
//   dpm++2m   DPM-Solver++(2M), Lu et al. 2022: second-order multistep in the log-SNR, data prediction
// Randomness: row r of a call draws from RandomAddress {seed, SITE_SAMPLE, step 0..steps} at row row[r], so a sample's
// numbers do not depend on which rows are drawn together.  Antithetic: rows 2 i and 2 i + 1 draw the same numbers with
// opposite signs.  Each alone is still a draw from the model; in the mean of the two, every part of the result that is
// an odd function of the noise cancels.
#ifndef LEAD_DIFFUSION_SAMPLER_H
#define LEAD_DIFFUSION_SAMPLER_H

#include "autograd/tape.h"
#include "diffusion/schedule.h"

typedef enum SamplerKind { SAMPLER_DDPM, SAMPLER_DDIM, SAMPLER_DPMPP2M } SamplerKind;

typedef struct Sampler {
    SamplerKind kind;
    int steps;
    double eta;          // ddim
    double clip;         // x_0 estimates are clipped to [-clip, clip]; 0 = off
    uint64_t seed;
    bool antithetic;
} Sampler;

// The network: what cfg predicts (eps, v or x0) at x [R,..], time [R].
typedef Tensor *Denoiser(void *ctx, Tape *t, Tensor *x, Tensor *time);

// The tables that a run reads, on the device, in the tape's step arena: row numbers I32 [R,2], sign of each row's noise
// [R] (NULL: 1), time and alpha_bar of each network call [steps,R]; and x0 [R,..], which receives the result.
typedef struct SamplerPlan {
    Sampler s;
    const Schedule *sch;
    Prediction prediction;
    Tensor *row, *sign, *time, *ab, *x0;
} SamplerPlan;

// Copies the tables for rows row[0..R) to the device.  shape: of x0, [R,..].
SamplerPlan sampler_plan(const Sampler *s, const Schedule *sch, Prediction p, Tape *t, Shape shape, const int64_t *row);
// Draws plan->x0 [R,..].  The tape must not record for backward; all memory but the plan's is rewound.  The call reads
// nothing from the host, so it may be recorded as a graph (tensor/graph.h).
void sampler_draw(const SamplerPlan *plan, Tape *t, Denoiser *net, void *ctx);
// sampler_plan and sampler_draw; returns x_0.
Tensor *sampler_run(const Sampler *s, const Schedule *sch, Prediction p, Tape *t, Shape shape, const int64_t *row,
                    Denoiser *net, void *ctx);

// The times visited: out[0] = T > out[1] > .. > out[steps-1] >= 1, evenly spaced.
void sampler_times(int T, int steps, int *out);

#endif
