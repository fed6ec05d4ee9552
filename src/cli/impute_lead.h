// lead impute --method lead: each missing value is forecast from both sides [D].
//   from the left    by weights that suit any network (lead/general.h), fitted to the series, from the last row before
//                    the hole at which the flow was measured
//   from the right   by the same weights, fitted to the series run backwards
//   joined           in y = asinh(x / mean of the flow):
//                      1/v = 1/v_left + 1/v_right - 1/v_season
//                      m/v = m_left/v_left + m_right/v_right - m_season/v_season
//                    as if, given the value, the two sides had nothing to do with each other; the season, which both
//                    know, counts once.  A side without a forecast is the season.
// A forecast of the last step K stands for longer holes too: its distance from the season fades with a half-life of
// four hours.  The variances of a side are those of the season times a factor by the length of the way, and this, and
// how far from the mean quantiles lie in computed standard deviations, is learnt from known values that are filled the
// same way: those half the series away from what is missing.  The point forecast is taken, no samples: they would take
// ten times as long.
#ifndef LEAD_CLI_IMPUTE_LEAD_H
#define LEAD_CLI_IMPUTE_LEAD_H

#include "cli/run.h"
#include "traffic/impute.h"

typedef struct ImputeLeadArg {
    Cli *cli;
    const char *file;        // weights of lead pretrain
    bool said;               // what was loaded
} ImputeLeadArg;

// An ImputeLead; o->lead_arg is an ImputeLeadArg, and a is cli->perm.  Errors: those of lead_general_enough,
// lead_general_load and lead_forecast.
ImputeLead impute_by_lead;

#endif
