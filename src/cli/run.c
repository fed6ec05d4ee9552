#include "cli/run.h"

Status run_open(Cli *cli, const RunOptions *o, LeadRun *r)
{
    TRY(lead_run_load(r, o->model, o->llm, &cli->device, cli->perm, cli->step, cli->scratch));
    if (o->samples) r->cfg.samples = (int)o->samples;
    if (o->sample_steps) r->cfg.sample_steps = (int)o->sample_steps;
    if (o->guidance >= 0) r->cfg.guidance = o->guidance;
    return OK;
}
