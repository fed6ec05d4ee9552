#include "check/case.h"

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    (void)c;
    tape_avgpool2(t, in[0]);
}

static void shape(CaseList *list, const char *label, Shape x, bool large)
{
    case_add(list, (Case){.op = OP_avgpool2, .label = label, .n_in = 1, .build = build, .large = large,
                          .in = {{.shape = x}}});
}

void avgpool2_cases(CaseList *list)
{
    shape(list, "one square", SHAPE(1, 2, 2, 1), false);
    shape(list, "odd result", SHAPE(2, 6, 10, 3), false);
    shape(list, "high", SHAPE(1, 8, 2, 2), false);
    shape(list, "wide", SHAPE(1, 2, 6, 3), false);
    const int64_t edge[] = {1, 7, 8, 9, 15, 16, 17, 29, 53};
    for (int i = 0; i < (int)(sizeof edge / sizeof *edge); i++)
        shape(list, "channels at the vector edge", SHAPE(1, 2, 4, edge[i]), false);
    shape(list, "LEAD 12 to 6", SHAPE(4, 12, 12, 128), true);
    shape(list, "22 to 11", SHAPE(2, 22, 22, 33), true);
}
