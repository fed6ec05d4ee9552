// The options of verbs that draw from a trained run, and loading that run with them.
#ifndef LEAD_CLI_RUN_H
#define LEAD_CLI_RUN_H

#include "cli/cli.h"
#include "lead/forecast.h"

typedef struct RunOptions {
    const char *model, *llm;
    int64_t samples, sample_steps;   // 0: as the run says
    double guidance;                 // below 0: as the run says
} RunOptions;

#define RUN_OPTIONS(S) \
    {"model", OPT_TEXT, offsetof(S, run.model), "RUN", "run directory of lead train", 0, 0}, \
    {"llm", OPT_TEXT, offsetof(S, run.llm), "DIR", "the run's LLM, where it moved", 0, 0}, \
    {"samples", OPT_INT, offsetof(S, run.samples), "S", "sample paths (default: the run's; 32 in the presets)", 2, 4096}, \
    {"sample-steps", OPT_INT, offsetof(S, run.sample_steps), "N", "network calls of a sample (default: the run's)", 1, \
     10000}, \
    {"guidance", OPT_NUMBER, offsetof(S, run.guidance), "W", "guidance weight (default: the run's)", 0, 100}

// Loads o->model and sets the sampling options that were given.
Status run_open(Cli *cli, const RunOptions *o, LeadRun *r);

#endif
