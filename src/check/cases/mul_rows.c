#include "check/cases/common.h"

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    (void)c;
    tape_mul_rows(t, in[0], in[1]);
}

static void shape(CaseList *list, const char *label, Shape a, Shape s, bool large)
{
    case_add(list, (Case){.op = OP_mul_rows, .label = label, .n_in = 2, .build = build, .large = large,
                          .in = {{.shape = a}, {.shape = s}}});
}

void mul_rows_cases(CaseList *list)
{
    for (int i = 0; i < VECTOR_EDGES; i++) shape(list, "vector edge", SHAPE(5, vector_edge[i]), SHAPE(5), false);
    shape(list, "a factor a pixel, [N,H,W,1]", SHAPE(2, 3, 4, 5), SHAPE(2, 3, 4, 1), false);
    shape(list, "a factor an image", SHAPE(3, 2, 4, 5), SHAPE(3), false);
    shape(list, "a factor a value", SHAPE(3, 5), SHAPE(3, 5), false);
    shape(list, "many rows", SHAPE(1031, 67), SHAPE(1031, 1), true);
    shape(list, "rows that a block of the GPU shares", SHAPE(3, 2177), SHAPE(3), true);
}
