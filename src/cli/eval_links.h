// lead eval --topology: link loads of the scored forecasts, beside those of naive forecasts.
#ifndef LEAD_CLI_EVAL_LINKS_H
#define LEAD_CLI_EVAL_LINKS_H

#include "cli/network.h"
#include "links/score.h"
#include "traffic/protocol.h"

typedef struct EvalLinks {
    Network net;
    LinkScore score;
    const EvalPlan *plan;
    int paths;                   // of each naive forecast
} EvalLinks;

// Reads the network; most_models: forecasts that will be watched, of at most most_paths paths.
Status eval_links_open(EvalLinks *e, Cli *cli, const NetworkOptions *o, const EvalPlan *plan, int most_models,
                       int most_paths);

// A forecaster that forecasts as `inner` does and has its link loads scored on the way.  e NULL: inner itself.
Forecaster eval_links_watch(EvalLinks *e, Arena *a, Forecaster inner);

// Scores sample paths of ridge and of persistence (lead/fallback.h), fitted on the training rows, on the same windows.
Status eval_links_naive(EvalLinks *e, Cli *cli);

// The table (links/score.h), below a comment.
void eval_links_print(const EvalLinks *e, FILE *out);

#endif
