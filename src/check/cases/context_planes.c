#include "autograd/traffic.h"
#include "check/cases/common.h"

// i: history.  in: u, means, base, level, sigma
static void build(Tape *t, Tensor *const *in, const Case *c)
{
    tape_context_planes(t, in[0], in[1], in[2], in[3], in[4], (int)c->i[0]);
}

static void shape(CaseList *list, const char *label, int64_t B, int64_t extra, int64_t F, int64_t K, int64_t history,
                  bool base)
{
    const int64_t W = history + 1 + extra + K;
    case_add(list, (Case){.op = OP_context_planes, .label = label, .n_in = 5, .build = build, .i = {history},
                          .in = {{.shape = SHAPE(B, W, F)}, {.shape = SHAPE(B, history + K, F)},
                                 {.shape = SHAPE(B, K, F), .absent = !base},
                                 {.shape = SHAPE(2, F), .fill = FILL_POSITIVE},
                                 {.shape = SHAPE(K, F), .fill = FILL_POSITIVE}}});
}

void context_planes_cases(CaseList *list)
{
    for (int i = 0; i < VECTOR_EDGES; i++) shape(list, "vector edge", 2, 3, vector_edge[i], 3, 4, true);
    shape(list, "no base", 3, 2, 9, 2, 3, false);
    shape(list, "no targets", 3, 0, 9, 2, 3, true);
    shape(list, "a history of one, one step", 2, 1, 5, 1, 1, true);
    shape(list, "the model's sizes", 8, 20, 144, 20, 16, true);
}
