#include "cli/run.h"

#include <math.h>

Status run_open(Cli *cli, const RunOptions *o, LeadWanted wanted, LeadRun *r)
{
    TRY(lead_run_load(r, o->model, wanted, o->llm, &cli->device, cli->perm, cli->step, cli->scratch));
    if (r->note) fprintf(stderr, "note: %s\n", r->note);
    if (o->samples) r->cfg.samples = (int)o->samples;
    if (o->sample_steps) r->cfg.sample_steps = (int)o->sample_steps;
    if (o->guidance >= 0) r->cfg.guidance = o->guidance;
    return OK;
}

void run_say(const LeadRun *r)
{
    cli_say("%s: %lld training steps on rows %lld..%lld%s", r->file, (long long)r->step,
            (long long)r->train.begin, (long long)r->train.end - 1,
            r->final ? " (the final fit: all rows of that time)" : "");
    if (*r->stats.fallback > 0)
        cli_say("%s: forecasts as %s does, since validation found the network no better", r->file,
                naive_names[(int)*r->stats.fallback - 1]);
}

Status run_match_nodes(TrafficSeries *s, const char *nodes, const char *run, Arena *a)
{
    bool moved;
    const Status st = traffic_nodes_match(s, a, nodes, &moved);
    if (st.code) return ERROR("%s: %s", run, st.msg);
    if (moved) fprintf(stderr, "note: the nodes come in another order than in %s: mapped by name\n", run);
    return OK;
}

void run_say_end(const Progress *bar, const TrainEnd *e)
{
    static const char *const why[] = {"", ": no better validation loss (key patience)",
                                      ": the time is over (key minutes)", ": as asked"};
    const bool short_of = e->step < e->total || e->why == TRAIN_TIME;
    fprintf(stderr, "%s%s ended at step %lld", bar->tty && short_of ? "\n" : "", e->final ? "final fit" : "training",
            (long long)e->step);
    if (short_of && e->total > e->step) fprintf(stderr, " of %lld", (long long)e->total);
    fprintf(stderr, "%s", why[e->why]);
    if (e->final) fprintf(stderr, "; fitted on rows %lld..%lld", (long long)e->rows.begin, (long long)e->rows.end - 1);
    else if (isfinite(e->best_val))
        fprintf(stderr, "; the best is step %lld, validation loss %.5f", (long long)e->best_step, e->best_val);
    else
        fprintf(stderr, "; no window fits into the validation rows: nothing was validated, the last step is taken");
    if (!e->final && e->since) fprintf(stderr, ", %lld validations before the last", (long long)e->since);
    fputc('\n', stderr);
}
