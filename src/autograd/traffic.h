// Checked calls of the ops that cut windows out of a traffic series and compute their features (E1, E2, E7, E9); none
// has a gradient.  Each op's formula is the head of its reference kernel, src/tensor/ref/<op>.inl.
// Shapes: T rows (matrices) of the series, B windows of W columns (matrices; which ones: window_rows.inl), F = N N
// flows, H = history, K = steps, M = H + K slot means.  A shape that does not fit is a bug (CHECK).
#ifndef LEAD_AUTOGRAD_TRAFFIC_H
#define LEAD_AUTOGRAD_TRAFFIC_H

#include "autograd/tape.h"
#include "tensor/traffic_ops.h"

// Draws B entries of list, I32 [n], with replacement -> I32 [B].  clock: I32 [1] that is added to at.step, or NULL.
Tensor *tape_draw_windows(Tape *t, Tensor *list, int64_t B, RandomAddress at, Tensor *clock);
// at [B]: row "now" of each window; place, valid [T]: slot of each row, and whether it may be used; all I32.
typedef struct WindowRows { Tensor *rows, *season; } WindowRows;                     // I32 [B,W], [B,K,4]
WindowRows tape_window_rows(Tape *t, Tensor *at, Tensor *place, Tensor *valid, const WindowParams *p);
// week_slot I32 [T] -> slot of the day, day of the week, row in the table of slot means
typedef struct WindowCalendar { Tensor *slot, *day, *mean; } WindowCalendar;         // I32 [B,H], [B,H], [B,H+K]
WindowCalendar tape_window_calendar(Tape *t, Tensor *at, Tensor *week_slot, const WindowParams *p);
// The ridge forecast (E9).  x [T,F] kbit/s, coef [D,3,K,F,17] of D models; model I32 [T]: which of them forecasts after
// each row, or NULL: the first -> [B,K,F] kbit/s
Tensor *tape_ridge(Tape *t, Tensor *x, Tensor *coef, WindowRows rows, Tensor *model, int history);
// kbit/s to scale s, or back with p->inverse (E1).  x [..,F], flowmax [F]; knots [n], NULL unless quantile -> like x
Tensor *tape_traffic_scale(Tape *t, Tensor *x, Tensor *flowmax, Tensor *knot_kbps, Tensor *knot_s,
                           const TrafficScaleParams *p);
// Columns of windows as images (E2).  u [B,W,F] in scale s, means [B,M,F] -> [B,count,F,C], C = p->channels
Tensor *tape_encode_image(Tape *t, Tensor *u, Tensor *means, const EncodeParams *p);
// base [B,K,F], or NULL: the matrix at "now" is the base.  level [2,F], sigma [K,F] -> [B,F,H+3K]
Tensor *tape_context_planes(Tape *t, Tensor *u, Tensor *means, Tensor *base, Tensor *level, Tensor *sigma, int history);
// Moving averages of whole series: x [T,F], place and valid I32 [T] -> [T,F,p->n]
Tensor *tape_ewma(Tape *t, Tensor *x, Tensor *place, Tensor *valid, const EwmaParams *p);
typedef struct WindowSeason { Tensor *week, *part, *now; } WindowSeason;             // I32 [B,K], [B,K], [B]
WindowSeason tape_window_season(Tape *t, Tensor *at, Tensor *place, Tensor *valid, Tensor *week_slot,
                                const WindowParams *p);
// What is known of every flow at "now" (E7).  u [B,W,F]; base, week, part [B,K,F]; ewma [B,F,n], change [B,F,m]; level
// [2,F], sigma [K,F]; now I32 [B]
// -> [B,F,H+n+m+6+4K]
typedef struct FlowContext { Tensor *u, *base, *week, *part, *ewma, *change, *level, *sigma, *now; } FlowContext;
Tensor *tape_flow_context(Tape *t, const FlowContext *v, const FlowContextParams *p);
// Errors of a cheap forecast as they came.  u, made [T,F], origin I32 [T], sigma [F] -> [T,2F]
Tensor *tape_base_error(Tape *t, Tensor *u, Tensor *made, Tensor *origin, Tensor *sigma);
Tensor *tape_node_sums(Tape *t, Tensor *x);                                // [T,N N] -> [T,2N+1]
// What happened lately (E7).  error [B,2F,n]; now, before, mean [B,2N+1]; unit [2N+1] -> [B,F,2n+6]
Tensor *tape_flow_news(Tape *t, Tensor *error, Tensor *now, Tensor *before, Tensor *mean, Tensor *unit);
// Where the residual of each window, flow and step is expected, and how far it strays: [B,F,K] each, or NULL: 0
typedef struct ResidualMoments { Tensor *location, *log_scale; } ResidualMoments;
// The residual (E7).  base as above; sigma, gamma [K,F] -> [B,F,K]
Tensor *tape_residual_target(Tape *t, Tensor *u, Tensor *base, Tensor *sigma, Tensor *gamma, ResidualMoments m,
                             const ResidualParams *p);
// The inverse of its shape for drawn samples.  x [R,F,K], R a multiple of B -> [R,K,F] in scale s; gradient of x alone
typedef struct ResidualUnits { Tensor *sigma, *gamma, *low, *high; } ResidualUnits;  // [K,F] each
Tensor *tape_residual_decode(Tape *t, Tensor *x, Tensor *u, Tensor *base, const ResidualUnits *units,
                             ResidualMoments m, int history);
// Square root of each flow's share of the next `steps` matrices, for loss_traffic -> [B,F,steps,channels]
Tensor *tape_traffic_weight(Tape *t, Tensor *u, int history, int64_t steps, int64_t channels);

#endif
