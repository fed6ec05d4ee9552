#include "check/cases/common.h"

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    (void)c;
    tape_wmse(t, in[0], in[1], in[2]);
}

static void shape(CaseList *list, const char *label, Shape s, bool data, bool large)
{
    case_add(list, (Case){.op = OP_wmse, .label = label, .n_in = 3, .build = build, .large = large,
                          .in = {{.shape = s}, {.shape = s, .no_grad = data},
                                 {.shape = SHAPE(s.d[0]), .fill = FILL_POSITIVE, .no_grad = data}}});
}

void wmse_cases(CaseList *list)
{
    for (int i = 0; i < VECTOR_EDGES; i++) {
        shape(list, "vector edge", SHAPE(3, vector_edge[i]), false, false);
        shape(list, "rows at the vector edge", SHAPE(vector_edge[i], 2), false, false);
    }
    shape(list, "images; weight and target are data", SHAPE(2, 3, 5, 3), true, false);
    shape(list, "many values", SHAPE(37, 4099), false, true);
}
