// A base that gives way (base_blend) [D].  A ridge that was fitted on old rows errs badly, and for long, where a flow
// has left the range that it had in them; a moving average follows it there.  With m the moving average of s(X) with a
// half-life of 1 h, and R_k and A_k the moving averages, with a half-life of 6 h, of the squared errors that base and m
// lately made k steps ahead,
//   w_k = 1 / (1 + (2 A_k / R_k)^2)        base'_k = base_k + w_k (m - base_k)
// so m must have been better by a factor before it counts.  A row looks at errors of forecasts of rows up to it alone.
// R and A are known one step, a quarter of the way and all steps ahead (lead_error_steps); w_k lies linearly between.
// bench/base_blend.py shows what this brings on a series, without a network.
#ifndef LEAD_LEAD_BLEND_H
#define LEAD_LEAD_BLEND_H

#include "lead/data.h"

// The moving average, and room for the weights of d->error_steps steps ahead, which follow.  Tensors live in perm.
void lead_blend_new(LeadData *d, Tape *t, Arena *perm);

// The weights of step i of lead_error_steps.  made [T,F]: forecasts of the base so far ahead; origin [T]: the row that
// the forecast of each row was made at, -1 where there is none; known I32 [T]: 0 there, else 1.
void lead_blend_weights(LeadData *d, Tape *t, Arena *perm, int i, const Tensor *made, const int32_t *origin,
                        Tensor *known);

// base [B,K,F] of the windows whose last known rows are at -> base'.  factor [F]: base is so many times itself, and m
// will be (lead_data_training_batch); NULL: 1.  Without base_blend: base.
Tensor *lead_blend(Tape *t, const LeadData *d, Tensor *base, Tensor *at, Tensor *factor);

#endif
