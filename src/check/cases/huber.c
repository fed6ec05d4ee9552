#include "check/cases/common.h"

static void build(Tape *t, Tensor *const *in, const Case *c) { tape_huber(t, in[0], in[1], c->f[0]); }

static void shape(CaseList *list, const char *label, Shape s, double delta, bool large)
{
    case_add(list, (Case){.op = OP_huber, .label = label, .n_in = 2, .build = build, .large = large, .f = {delta},
                          .in = {{.shape = s, .fill = FILL_DISTINCT}, {.shape = s, .fill = FILL_DISTINCT}}});
}

void huber_cases(CaseList *list)
{
    for (int i = 0; i < VECTOR_EDGES; i++) shape(list, "vector edge", SHAPE(vector_edge[i]), 0.7312, false);
    shape(list, "all quadratic", SHAPE(3, 29), 50.0, false);
    shape(list, "nearly all linear", SHAPE(3, 29), 0.0123, false);
    shape(list, "delta 1", SHAPE(2, 3, 5, 3), 1.0, false);
    shape(list, "many values", SHAPE(37, 4099), 1.0, true);
}
