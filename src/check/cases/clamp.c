#include "check/cases/common.h"

static void build(Tape *t, Tensor *const *in, const Case *c) { tape_clamp(t, in[0], c->f[0]); }

static void shape(CaseList *list, const char *label, Shape s, Fill fill, double limit, bool large)
{
    case_add(list, (Case){.op = OP_clamp, .label = label, .n_in = 1, .build = build, .large = large,
                          .in = {{.shape = s, .fill = fill}}, .f = {limit}});
}

void clamp_cases(CaseList *list)
{
    for (int i = 0; i < VECTOR_EDGES; i++) shape(list, "vector edge", SHAPE(vector_edge[i]), FILL_NORMAL, 0.8, false);
    shape(list, "images", SHAPE(2, 5, 3, 3), FILL_NORMAL, 1.5, false);
    shape(list, "mostly outside", SHAPE(3, 29), FILL_WIDE, 2.5, false);
    shape(list, "inside", SHAPE(3, 29), FILL_NORMAL, 100, false);
    shape(list, "many values", SHAPE(37, 4099), FILL_WIDE, 10, true);
}
