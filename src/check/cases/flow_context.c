#include "autograd/traffic.h"
#include "check/cases/common.h"

// i: history, slots a day.  in: u, base, week, part, ewma, change, level, sigma, now
static void build(Tape *t, Tensor *const *in, const Case *c)
{
    const FlowContext v = {in[0], in[1], in[2], in[3], in[4], in[5], in[6], in[7], in[8]};
    tape_flow_context(t, &v, &(FlowContextParams){(int)c->i[0], (int)c->i[1]});
}

static void shape(CaseList *list, const char *label, int64_t B, int64_t extra, int64_t F, int64_t K, int64_t history,
                  int64_t n, int64_t m)
{
    const int64_t W = history + 1 + extra + K, per_day = 5 + K;
    const Shape steps = SHAPE(B, K, F);
    case_add(list, (Case){.op = OP_flow_context, .label = label, .n_in = 9, .build = build, .i = {history, per_day},
                          .in = {{.shape = SHAPE(B, W, F)}, {.shape = steps}, {.shape = steps}, {.shape = steps},
                                 {.shape = SHAPE(B, F, n)}, {.shape = SHAPE(B, F, m), .fill = FILL_POSITIVE},
                                 {.shape = SHAPE(2, F), .fill = FILL_POSITIVE},
                                 {.shape = SHAPE(K, F), .fill = FILL_POSITIVE},
                                 {.shape = SHAPE(B), .fill = FILL_INDEX, .limit = 7 * per_day}}});
}

void flow_context_cases(CaseList *list)
{
    for (int i = 0; i < VECTOR_EDGES; i++) shape(list, "vector edge", 2, 3, vector_edge[i], 3, 4, 2, 3);
    shape(list, "no targets", 3, 0, 9, 2, 3, 4, 4);
    shape(list, "a history of one, one step", 2, 1, 5, 1, 1, 1, 1);
    shape(list, "the model's sizes", 8, 20, 144, 20, 16, 4, 4);
}
