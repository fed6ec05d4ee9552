// The options of the verbs that draw samples from a trained run, and the loading of that run.
#ifndef LEAD_CLI_RUN_H
#define LEAD_CLI_RUN_H

#include "cli/cli.h"
#include "lead/forecast.h"
#include "lead/train.h"

typedef struct RunOptions {
    const char *model, *llm, *memory, *sampler;   // sampler NULL: the run's
    int64_t samples, sample_steps;   // 0: the run's
    double guidance;                 // below 0: the run's
} RunOptions;

#define RUN_OPTIONS(S) \
    {"model", OPT_TEXT, offsetof(S, run.model), "RUN", \
     "run directory of lead train; or `pretrained`, weights that need no training; or a file of lead pretrain", 0, 0}, \
    {"llm", OPT_TEXT, offsetof(S, run.llm), "DIR", "where the run's LLM is now (default: as recorded)", 0, 0}, \
    {"samples", OPT_INT, offsetof(S, run.samples), "S", \
     "sample paths (default: the run's; 32 in the presets)", 2, 4096}, \
    {"sample-steps", OPT_INT, offsetof(S, run.sample_steps), "N", \
     "network calls per sample (default: the run's; a distilled run takes these alone)", 1, 10000}, \
    {"sampler", OPT_TEXT, offsetof(S, run.sampler), "NAME", \
     "ddpm, ddim or dpm++2m (default: the run's)", 0, 0}, \
    {"guidance", OPT_NUMBER, offsetof(S, run.guidance), "W", "guidance weight (default: the run's)", 0, 100}, \
    {"memory", OPT_TEXT, offsetof(S, run.memory), "SIZE", \
     "draw as many samples at once as fit into SIZE, such as 500M or 2G: the same bits (default: all)", 0, 0}

// Loads o->model and sets the sampling options that were given.  Errors: those of lead_run_load and lead_run_check.
Status run_open(Cli *cli, const RunOptions *o, LeadWanted wanted, LeadRun *r);
// Whether o asks for weights that suit any network: `pretrained` (the ones that come with the program, also where there
// is no --model), or a file of lead pretrain.  *file: which.  Error: a file that cannot be read.
Status run_is_general(Cli *cli, const RunOptions *o, const char **file);
// Opens them for s: statistics from the rows `train`, calibrated on the rows `val`; sets the options that were given.
Status run_open_general(Cli *cli, const RunOptions *o, const char *file, const TrafficSeries *s, TrafficRange train,
                        TrafficRange val, LeadRun *r);
// Says on stderr how a forecast was cut to fit into --memory; nothing where that was not given.
void run_say_memory(const LeadRun *r);
// Says on stderr which weights were loaded and which rows they were fitted on.
void run_say(const LeadRun *r);
// Says on stderr what calibration found.
void run_say_calibration(const Calibration *c);

// Brings the series into the order of the nodes that a run was trained on, and its calendar to the run's zone (`nodes`
// and `zone` as in LeadRecord), and says so.  Error: other nodes; a zone that this machine does not know.
Status run_match_series(TrafficSeries *s, const char *nodes, const char *zone, const char *run, Arena *a);

// Says on stderr how a fit of a training run ended.
void run_say_end(const Progress *bar, const TrainEnd *e);

// Fills in the data options that the run was started with; where some are given, they must be the same, but files may
// have moved: whether they hold the same traffic is checked by its hash.  Error: an option that differs.
Status run_recall_data(DataOptions *d, const LeadRecord *r, Arena *a);

#endif
