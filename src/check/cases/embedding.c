#include "check/cases/common.h"

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    (void)c;
    tape_embedding(t, in[0], in[1]);
}

static void shape(CaseList *list, const char *label, int64_t V, int64_t D, Shape idx, bool large)
{
    case_add(list, (Case){.op = OP_embedding, .label = label, .n_in = 2, .build = build, .large = large,
                          .in = {{.shape = SHAPE(V, D)},
                                 {.shape = idx, .fill = FILL_INDEX, .limit = V, .no_grad = true}}});
}

void embedding_cases(CaseList *list)
{
    shape(list, "one row", 1, 3, SHAPE(1), false);
    shape(list, "the same rows many times", 3, 5, SHAPE(17), false);
    shape(list, "tokens", 11, 4, SHAPE(2, 7), false);
    for (int i = 0; i < VECTOR_EDGES; i++) shape(list, "vector edge", 5, vector_edge[i], SHAPE(4), false);
    shape(list, "wide rows", 37, 771, SHAPE(53), true);
    shape(list, "many tokens", 501, 67, SHAPE(8, 64), true);
}
