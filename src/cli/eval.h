// lead eval, the parts that its two ways share: one split (eval.c), rolling origins (origins.c).
#ifndef LEAD_CLI_EVAL_H
#define LEAD_CLI_EVAL_H

#include "cli/eval_links.h"
#include "cli/run.h"
#include "io/file.h"
#include "traffic/protocol.h"

typedef struct EvalValues {
    DataOptions data;
    RunOptions run;
    NetworkOptions net;          // net.topology or net.routing: link loads too
    const char *protocol, *out, *split, *png, *report, *also, *windows_out, *origins, *config, *config_file, *runs;
    bool naive_only, details, also_levels;
    int64_t stride, batch;
    int64_t horizon;             // 0: the run's, or that of the protocol
    int64_t most;                // windows at most, evenly spaced: stride is set; 0: all (lead report)
    double half_life;            // below 0: not given
    TrafficProtocol which;       // that of `protocol`
} EvalValues;

void eval_defaults(EvalValues *v);

// All windows of one split, scored.
typedef struct EvalScores {
    EvalPlan plan;               // must not move
    EvalTable table;             // after eval_compare
    EvalLinks *links;            // NULL: no network
    const char *what;            // of the table, in words; NULL: nothing was scored, v asked for windows alone
} EvalScores;

// What the options ask for (those of one split).  s is brought into the run's order of nodes.  Errors: of usage; those
// of the run and of eval_plan.
Status eval_scores(EvalScores *e, Cli *cli, EvalValues *v, TrafficSeries *s);

// Scores run (NULL: none) with a progress bar, and its link loads where there are links.  split: steps that the run
// does not draw are fitted on its rows.
Status eval_run(EvalTable *t, Arena *a, const EvalTask *task, const TrafficSplits *split, LeadRun *run, int batch,
                EvalLinks *links);

// The table of the scaled space in the columns that programs read, or every metric of every space (details).  origin:
// 0, or the value of one more column.  head: with the line of names.
void eval_print(const EvalTable *t, const char *comment, bool details, int origin, bool head, FILE *out);

// --origins: for each percentage, trains or reuses a run, scores it beside the naive forecasts, prints a table; then a
// summary.
Status eval_origins(Cli *cli, const EvalValues *v, const TrafficSeries *s);

#endif
