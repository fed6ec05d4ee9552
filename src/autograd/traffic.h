// Checked calls of the ops that make windows of a traffic series and their features (E1, E2, E7, E9): no gradients.
// B windows of W matrices of F = N N flows each; which matrices those are: src/tensor/ref/window_rows.inl.
#ifndef LEAD_AUTOGRAD_TRAFFIC_H
#define LEAD_AUTOGRAD_TRAFFIC_H

#include "autograd/tape.h"
#include "tensor/traffic_ops.h"

Tensor *tape_draw_windows(Tape *t, Tensor *list, int64_t B, RandomAddress at, Tensor *clock);   // I32 [n] -> I32 [B]
typedef struct WindowRows { Tensor *rows, *season; } WindowRows;                     // I32 [B,W], [B,K,4]
WindowRows tape_window_rows(Tape *t, Tensor *at, Tensor *place, Tensor *valid, const WindowParams *p);
typedef struct WindowCalendar { Tensor *slot, *day, *mean; } WindowCalendar;         // I32 [B,H], [B,H], [B,H+K]
WindowCalendar tape_window_calendar(Tape *t, Tensor *at, Tensor *week_slot, const WindowParams *p);
// [T,F] [3,K,F,17] -> [B,K,F] kbit/s
Tensor *tape_ridge(Tape *t, Tensor *x, Tensor *coef, WindowRows rows, int history);
// x [..,F], flowmax [F]; knots [n] or NULL
Tensor *tape_traffic_scale(Tape *t, Tensor *x, Tensor *flowmax, Tensor *knot_kbps, Tensor *knot_s,
                           const TrafficScaleParams *p);
Tensor *tape_encode_image(Tape *t, Tensor *u, Tensor *means, const EncodeParams *p); // [B,W,F] [B,M,F] -> [B,count,F,C]
// base [B,K,F] or NULL: the matrix of now.  level [2,F], sigma [K,F] -> [B,F,H+3K]
Tensor *tape_context_planes(Tape *t, Tensor *u, Tensor *means, Tensor *base, Tensor *level, Tensor *sigma, int history);
// -> [B,F,K]
Tensor *tape_residual_target(Tape *t, Tensor *u, Tensor *base, Tensor *sigma, Tensor *gamma, int history);
typedef struct ResidualUnits { Tensor *sigma, *gamma, *low, *high; } ResidualUnits;  // [K,F] each
// [R,F,K] -> [R,K,F]
Tensor *tape_residual_decode(Tape *t, Tensor *x, Tensor *u, Tensor *base, const ResidualUnits *units, int history);
// -> [B,F,steps,channels]
Tensor *tape_traffic_weight(Tape *t, Tensor *u, int history, int64_t steps, int64_t channels);

#endif
