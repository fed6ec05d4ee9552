#include "check/cases/windows.h"

// i: rows, half-lives, of changes.  in: x
static void build(Tape *t, Tensor *const *in, const Case *c)
{
    const int64_t T = c->i[0];
    const EwmaParams p = {.n = (int)c->i[1], .change = c->i[2], .half_life = {0.4, 3, 17.5, 1e4}};
    tape_ewma(t, in[0], index_tensor(t, T, case_place, 31), index_tensor(t, T, case_valid, 19), &p);
}

static void shape(CaseList *list, const char *label, int64_t T, int64_t F, int n, bool change)
{
    case_add(list, (Case){.op = OP_ewma, .label = label, .n_in = 1, .build = build, .i = {T, n, change},
                          .in = {{.shape = SHAPE(T, F)}}});
}

void ewma_cases(CaseList *list)
{
    for (int i = 0; i < VECTOR_EDGES; i++) shape(list, "vector edge", 23, vector_edge[i], 2, i % 2);
    shape(list, "one row", 1, 3, 4, false);
    shape(list, "one row, changes", 1, 3, 4, true);
    shape(list, "gaps and invalid rows", 331, 5, 4, false);
    shape(list, "gaps and invalid rows, changes", 331, 5, 3, true);
    shape(list, "many flows", 211, 37, 4, true);
    shape(list, "a long series", 1501, 2, 1, false);
}
