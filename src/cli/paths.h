// Where sample paths come from, for the verbs that need them: a trained run (--model RUN), a naive forecast (--model
// ridge), or a file (--paths F.npy).
#ifndef LEAD_CLI_PATHS_H
#define LEAD_CLI_PATHS_H

#include "cli/run.h"
#include "traffic/paths.h"

typedef struct PathsOptions {
    DataOptions data;
    RunOptions run;
    const char *file;            // --paths, of the verbs that read it
    int64_t horizon, row, seed;  // 0, -1, -1: not given
    TrafficSeries *series;       // what --data says, read already; NULL: it is read
} PathsOptions;

// Their rows of the table of a verb whose values begin with a PathsOptions, S.
#define PATHS_OPTIONS(S) \
    DATA_OPTIONS(S), \
    RUN_OPTIONS(S), \
    {"horizon", OPT_INT, offsetof(S, horizon), "K", "steps to forecast (default: the run's horizon)", 1, 1e6}, \
    {"seed", OPT_INT, offsetof(S, seed), "N", "seed of the samples (default: the run's)", 0, 9e15}, \
    {"row", OPT_INT, offsetof(S, row), "T", "forecast after this row (default: the last)", 0, 1e12}
#define PATHS_FILE_OPTION(S) \
    {"paths", OPT_TEXT, offsetof(S, file), "FILE", \
     "sample paths instead of --model: .npy [S,K,N,N], kbit/s (--data then gives names and times)", 0, 0}

// A forecast after row t of a series.
typedef struct PathsForecast {
    TrafficPaths p;              // p.x is NULL where a naive forecast was asked for its levels alone
    const float *levels;         // naive: [NAIVE_LEVELS][K][F], quantiles i/100 of single flows; else NULL
    const TrafficSeries *series; // NULL: paths from a file without --data
    int64_t t;
    int steps;                   // of the p.K steps, how many --horizon asks for
    const char *model;           // its name, for columns: "lead", "gru", "ridge", "paths"
    const char *const *node;     // [N] names; the numbers where the series has none
    bool named;                  // .. it has
    LeadRun *run;                // NULL: none
} PathsForecast;

// The name is that of a naive forecast.
bool paths_is_naive(const char *model);
void paths_defaults(PathsOptions *o);

// Makes the forecast that the options ask for.  draw: paths are needed, also of a naive forecast.  Errors: of usage, of
// the data, of the run; options that have no use.
Status paths_forecast(PathsForecast *out, Cli *cli, const PathsOptions *o, bool draw);
// Says on stderr which weights forecast.
void paths_say(const PathsForecast *f);

// The time of step k (from 1) as 2004-09-10T23:55:00Z, or "" where it is unknown.
typedef struct PathsTime { char s[32]; } PathsTime;
PathsTime paths_time(const PathsForecast *f, int k);

// "--quantiles 0.05,0.5": levels between 0 and 1 -> q, ascending or not; *n <= PATHS_LEVELS.  name: of the option.
enum { PATHS_LEVELS = 99 };
Status paths_parse_levels(const char *text, const char *name, double *q, int *n);

// "A:B,C:D", by name or number, of --name: sets those in flows [N*N].
Status paths_parse_flows(const char *text, const char *name, const TrafficSeries *s, bool *flows);

#endif
