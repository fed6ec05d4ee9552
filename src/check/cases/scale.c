#include "check/cases/common.h"

static void build(Tape *t, Tensor *const *in, const Case *c) { tape_scale(t, in[0], c->f[0], c->f[1]); }

static void shape(CaseList *list, const char *label, Shape s, double alpha, double beta, bool large)
{
    case_add(list, (Case){.op = OP_scale, .label = label, .n_in = 1, .build = build, .large = large,
                          .in = {{.shape = s}}, .f = {alpha, beta}});
}

void scale_cases(CaseList *list)
{
    for (int i = 0; i < VECTOR_EDGES; i++) shape(list, "vector edge", SHAPE(vector_edge[i]), -1.7, 0.3, false);
    shape(list, "only a factor", SHAPE(3, 29), 0.1, 0, false);
    shape(list, "only a shift", SHAPE(3, 29), 1, -2.5, false);
    shape(list, "zero", SHAPE(3, 29), 0, 0, false);
    shape(list, "many values", SHAPE(37, 4099), 2.1, 1, true);
}
