#include "check/cases/common.h"

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    (void)c;
    Tensor *out = tape_tensor(t, SHAPE(1));
    tape_run(t, OP_sumsq, 1, in, 1, &out, NULL);
}

static void shape(CaseList *list, const char *label, Shape s)
{
    case_add(list, (Case){.op = OP_sumsq, .label = label, .n_in = 1, .build = build,
                          .in = {{.shape = s, .no_grad = true}}});
}

void sumsq_cases(CaseList *list)
{
    for (int i = 0; i < VECTOR_EDGES; i++) shape(list, "vector edge", SHAPE(vector_edge[i]));
    shape(list, "one chunk", SHAPE(65536));
    shape(list, "one chunk and one value", SHAPE(65537));
    shape(list, "several chunks", SHAPE(3, 65539));
    shape(list, "sixteen chunks", SHAPE(16, 65536));
}
