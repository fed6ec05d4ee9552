#include "cli/eval_links.h"

#include "lead/fallback.h"
#include "tensor/clock.h"

enum { NAIVE_PATHS = 32, NAIVE = 2 };

Status eval_links_open(EvalLinks *e, Cli *cli, const NetworkOptions *o, const EvalPlan *plan, int most_models,
                       int most_paths)
{
    const TrafficSeries *s = plan->task.series;
    e->plan = plan;
    e->paths = NAIVE_PATHS;
    TRY(network_open(&e->net, cli, o, s->N, s->node));
    return link_score_new(&e->score, cli->perm, &e->net.topology, &e->net.routing, plan->task.K, most_models + NAIVE,
                          most_paths > NAIVE_PATHS ? most_paths : NAIVE_PATHS);
}

typedef struct Watched { EvalLinks *links; Forecaster inner; } Watched;

static void add_batch(EvalLinks *e, const char *name, DistKind kind, int S, const EvalBatch *b)
{
    const TrafficSeries *s = e->plan->task.series;
    const int64_t F = (int64_t)s->N * s->N, KF = e->plan->task.K * F;
    for (int i = 0; i < b->n; i++)
        link_score_add(&e->score, name, kind, S, b->dist + i * S * KF, b->point + i * KF, s->x + (b->last[i] + 1) * F);
}

static Status watched_run(void *ctx, const TrafficSeries *s, const EvalBatch *b)
{
    const Watched *w = ctx;
    TRY(w->inner.run(w->inner.ctx, s, b));
    add_batch(w->links, w->inner.name, w->inner.kind, w->inner.S, b);
    return OK;
}

Forecaster eval_links_watch(EvalLinks *e, Arena *a, Forecaster inner)
{
    if (!e) return inner;
    Watched *w = arena_alloc(a, sizeof *w);
    *w = (Watched){e, inner};
    inner.run = watched_run;
    inner.ctx = w;
    return inner;
}

static Status score_naive(EvalLinks *e, Cli *cli, NaiveKind kind, Progress *bar, double start, int64_t done)
{
    Arena *a = cli->perm;
    const EvalTask *task = &e->plan->task;
    const size_t mark = arena_mark(a), KF = (size_t)task->K * (size_t)(task->series->N * task->series->N);
    Fallback f;
    TRY(fallback_fit(&f, a, kind, task->series, e->plan->split.train, e->plan->split.val, task->history, task->K));
    float *x = arena_alloc(a, (size_t)e->paths * KF * sizeof *x), *point = arena_alloc(a, KF * sizeof *point);
    for (int64_t i = 0; i < task->n_windows; i++) {
        const int64_t t = task->starts[i] + task->history - 1, n = done + i + 1, all = NAIVE * task->n_windows;
        fallback_forecast(&f, a, task->series, t, e->paths, 1, x, point);
        add_batch(e, naive_names[kind], DIST_SAMPLES, e->paths, &(EvalBatch){1, &t, point, x});
        progress_show(bar, n, all, (clock_seconds() - start) / (double)n * (double)(all - n), "link loads, naive",
                      n == all);
    }
    arena_rewind(a, mark);
    return OK;
}

Status eval_links_naive(EvalLinks *e, Cli *cli)
{
    Progress bar = progress_new();
    const double start = clock_seconds();
    TRY(score_naive(e, cli, NAIVE_RIDGE, &bar, start, 0));
    return score_naive(e, cli, NAIVE_PERSISTENCE, &bar, start, e->plan->task.n_windows);
}

void eval_links_print(const EvalLinks *e, FILE *out)
{
    fprintf(out, "# link loads and the largest utilisation, per cent of the capacity: %s, %d directed links; ridge and "
            "persistence with %d sample paths\n", e->net.topology.path, e->net.topology.L, e->paths);
    const int64_t missing = traffic_missing_count(e->plan->task.series, e->plan->scored);
    if (missing)
        fprintf(out, "# %lld values of the scored rows were not measured: in the true loads their estimates stand for "
                "them\n", (long long)missing);
    link_score_print(&e->score, out);
}
