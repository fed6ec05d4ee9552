#include "autograd/traffic.h"
#include "check/cases/common.h"

// i: history.  in: u, base, sigma, gamma
static void build(Tape *t, Tensor *const *in, const Case *c)
{
    tape_residual_target(t, in[0], in[1], in[2], in[3], (int)c->i[0]);
}

static void shape(CaseList *list, const char *label, int64_t B, int64_t F, int64_t K, int64_t history, bool base)
{
    case_add(list, (Case){.op = OP_residual_target, .label = label, .n_in = 4, .build = build, .i = {history},
                          .in = {{.shape = SHAPE(B, history + 1 + 2 * K, F)},
                                 {.shape = SHAPE(B, K, F), .absent = !base},
                                 {.shape = SHAPE(K, F), .fill = FILL_POSITIVE},
                                 {.shape = SHAPE(K, F), .fill = FILL_POSITIVE}}});
}

void residual_target_cases(CaseList *list)
{
    for (int i = 0; i < VECTOR_EDGES; i++) shape(list, "vector edge", 2, vector_edge[i], 3, 4, true);
    shape(list, "no base", 3, 9, 2, 3, false);
    shape(list, "one step", 3, 9, 1, 1, true);
    shape(list, "the model's sizes", 8, 144, 20, 16, true);
}
