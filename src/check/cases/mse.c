#include "check/cases/common.h"

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    (void)c;
    tape_mse(t, in[0], in[1]);
}

static void shape(CaseList *list, const char *label, Shape s, bool large)
{
    case_add(list, (Case){.op = OP_mse, .label = label, .n_in = 2, .build = build, .large = large,
                          .in = {{.shape = s}, {.shape = s}}});
}

void mse_cases(CaseList *list)
{
    for (int i = 0; i < VECTOR_EDGES; i++) shape(list, "vector edge", SHAPE(vector_edge[i]), false);
    shape(list, "images", SHAPE(2, 3, 5, 3), false);
    shape(list, "many values", SHAPE(37, 4099), true);
}
