// Parameters of the ops that make windows of a traffic series and their features (family traffic of ops.def).
#ifndef LEAD_TENSOR_TRAFFIC_OPS_H
#define LEAD_TENSOR_TRAFFIC_OPS_H

#include "tensor/ops.h"

typedef struct { RandomAddress at; } DrawWindowsParams;
// Windows of a traffic series (E1, E2, E7): H and K of a model, and what is known about the series.
typedef struct WindowParams {
    int history, steps;      // H, K
    int per_day, slots;      // slots of a day; rows of the table of slot means: per_day or 7 per_day
    int drawn, path;         // matrices that were drawn already; rows that the table of drawn ones has for each window
    bool target;             // the next K matrices are wanted too
} WindowParams;
// Inputs of the ridge autoregression (E9): lags, three values around yesterday, last week, an intercept; three fits.
enum { RIDGE_LAGS = 12, RIDGE_SEASON = 4, RIDGE_INPUTS = RIDGE_LAGS + RIDGE_SEASON + 1, RIDGE_FITS = 3 };
typedef struct { int history; } RidgeParams;
typedef enum ScaleKind { SCALE_MAX, SCALE_FLOWMAX, SCALE_LOG, SCALE_QUANTILE, SCALE_KINDS } ScaleKind;   // E1
typedef struct { ScaleKind kind; bool inverse; double max_kbps, c_kbps; } TrafficScaleParams;
typedef struct { double k_g, k_b; int first, count, channels; } EncodeParams;   // columns first .. first+count-1
typedef struct { int history; } FeatureParams;
// What residual_target gives of a residual (E7): its shape, the residual itself, or the logarithm of its size.
typedef enum ResidualKind { RESIDUAL_SHAPE, RESIDUAL_UNITS, RESIDUAL_LOG_SIZE } ResidualKind;
typedef struct { int history; ResidualKind kind; } ResidualParams;
enum { EWMA_MAX = 4 };
typedef struct { int n; bool change; double half_life[EWMA_MAX]; } EwmaParams;   // slots; of |changes|, else of values
typedef struct { int history, per_day; } FlowContextParams;

#endif
