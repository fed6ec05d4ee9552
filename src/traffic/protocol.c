#include "traffic/protocol.h"

// History and steps of each protocol, when no model says other.
static const struct { int history, K; } usual[] = {
    [PROTOCOL_CLEAN] = {16, 20}, [PROTOCOL_ROLLING] = {16, 20}, [PROTOCOL_FLOW_BY_FLOW] = {12, 3}};

static TrafficSplits origin_splits(int64_t T, int origin)
{
    const int64_t end = T * origin / 100, val = end * 70 / 85;
    return (TrafficSplits){.train = {0, end}, .val = {val, end}, .test = {end, T * (origin + 15) / 100}};
}

Status eval_plan(EvalPlan *p, Arena *a, const TrafficSeries *s, const EvalPlanOptions *o)
{
    const bool flow_by_flow = o->protocol == PROTOCOL_FLOW_BY_FLOW;
    *p = (EvalPlan){.split = traffic_splits(s->T, o->protocol)};
    if (o->origin) p->split = origin_splits(s->T, o->origin);
    p->scored = o->validation ? p->split.val : p->split.test;
    EvalTask *task = &p->task;
    *task = (EvalTask){.series = s, .scale = &p->scale, .history = usual[o->protocol].history,
                       .K = o->K ? o->K : usual[o->protocol].K, .mape_above_kbps = 1000, .mape_above_scaled = 0.01};
    if (o->history > task->history) task->history = o->history;
    if (flow_by_flow) {
        p->flat = traffic_series_flatten(s, a);
        task->series = &p->flat;
        p->split.train.end = p->split.val.end;   // ridge is fitted on the first 80 %
        TRY(scale_fit(&p->scale, a, task->series, (TrafficRange){0, s->T}, SCALE_FLOWMAX));   // looks ahead
    } else {
        TRY(scale_fit(&p->scale, a, s, p->split.train, SCALE_FLOWMAX));
    }
    task->fitted = p->split.train;
    int64_t *starts;
    task->n_windows = traffic_windows(task->series, a, p->scored, task->history, task->K, o->stride ? o->stride : 1,
                                      &starts);
    task->starts = starts;
    return OK;
}
