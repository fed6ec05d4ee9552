#include "check/cases/common.h"

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    tape_sampler_step(t, in[0], in[1], in[2], c->f[0], c->f[1], c->f[2]);
}

static void shape(CaseList *list, const char *label, Shape s, bool z, double fz)
{
    case_add(list, (Case){.op = OP_sampler_step, .label = label, .n_in = 3, .build = build, .f = {1.1, -0.37, fz},
                          .in = {{.shape = s}, {.shape = s}, {.shape = s, .absent = !z}}});
}

void sampler_step_cases(CaseList *list)
{
    for (int i = 0; i < VECTOR_EDGES; i++) {
        shape(list, "vector edge", SHAPE(vector_edge[i]), true, 0.21);
        shape(list, "no noise", SHAPE(vector_edge[i]), false, 0);
    }
    shape(list, "images", SHAPE(2, 3, 5, 3), true, -1.3);
    shape(list, "many values", SHAPE(37, 4099), true, 0.5);
}
