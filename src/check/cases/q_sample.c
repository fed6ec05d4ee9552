#include "check/cases/common.h"

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    (void)c;
    tape_q_sample(t, in[0], in[1], in[2]);
}

static void shape(CaseList *list, const char *label, Shape s, bool large)
{
    case_add(list, (Case){.op = OP_q_sample, .label = label, .n_in = 3, .build = build, .large = large,
                          .in = {{.shape = s}, {.shape = s},
                                 {.shape = SHAPE(s.d[0]), .fill = FILL_UNIT, .no_grad = true}}});
}

void q_sample_cases(CaseList *list)
{
    for (int i = 0; i < VECTOR_EDGES; i++) shape(list, "vector edge", SHAPE(3, vector_edge[i]), false);
    shape(list, "one value a row", SHAPE(17), false);
    shape(list, "images", SHAPE(2, 3, 5, 3), false);
    shape(list, "many values", SHAPE(37, 4099), true);
}
