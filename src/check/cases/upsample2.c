#include "check/case.h"

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    (void)c;
    tape_upsample2(t, in[0]);
}

static void shape(CaseList *list, const char *label, Shape x, bool large)
{
    case_add(list, (Case){.op = OP_upsample2, .label = label, .n_in = 1, .build = build, .large = large,
                          .in = {{.shape = x}}});
}

void upsample2_cases(CaseList *list)
{
    shape(list, "one pixel", SHAPE(1, 1, 1, 1), false);
    shape(list, "odd", SHAPE(2, 3, 5, 3), false);
    shape(list, "high", SHAPE(1, 7, 1, 2), false);
    shape(list, "wide", SHAPE(1, 1, 6, 3), false);
    const int64_t edge[] = {1, 7, 8, 9, 15, 16, 17, 29, 53};
    for (int i = 0; i < (int)(sizeof edge / sizeof *edge); i++)
        shape(list, "channels at the vector edge", SHAPE(1, 2, 3, edge[i]), false);
    shape(list, "LEAD 3 to 6", SHAPE(4, 3, 3, 256), true);
    shape(list, "LEAD 12 to 24", SHAPE(2, 12, 12, 128), true);
}
