// Forecasts beyond the steps that a run draws [D]: steps K+1 .. H are those of a naive forecast (lead/fallback.h), with
// errors as they were measured that far ahead.  The paths are joined by rank: the sample path with the i-th largest
// total of all flows at step K goes on as the naive path that has the i-th largest total there, so that a path that is
// high stays high.
#ifndef LEAD_LEAD_EXTEND_H
#define LEAD_LEAD_EXTEND_H

#include "lead/forecast.h"

// samples [S][K][F] and point [K][F], kbit/s, of the run's forecast after row t -> *long_samples [S][H][F] and
// *long_point [H][F] in a; H > K.  *kind: the naive forecast, ridge-scale, or persistence where the rows up to t do not
// suffice to fit it.  Errors: those of fallback_fit.
Status lead_extend(const LeadRun *r, int64_t t, int H, const float *samples, const float *point, float **long_samples,
                   float **long_point, NaiveKind *kind, Arena *a);

#endif
