#include "check/case.h"

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    (void)c;
    tape_global_avgpool(t, in[0]);
}

static void shape(CaseList *list, const char *label, Shape x, bool large)
{
    case_add(list, (Case){.op = OP_global_avgpool, .label = label, .n_in = 1, .build = build, .large = large,
                          .in = {{.shape = x}}});
}

void global_avgpool_cases(CaseList *list)
{
    shape(list, "one pixel", SHAPE(2, 1, 1, 3), false);
    shape(list, "odd image", SHAPE(2, 3, 5, 4), false);
    shape(list, "sequence", SHAPE(3, 7, 5), false);
    shape(list, "five dimensions", SHAPE(2, 2, 3, 2, 5), false);
    shape(list, "23x23", SHAPE(1, 23, 23, 1), false);
    const int64_t edge[] = {1, 7, 8, 9, 15, 16, 17, 29, 53};
    for (int i = 0; i < (int)(sizeof edge / sizeof *edge); i++)
        shape(list, "channels at the vector edge", SHAPE(2, 3, edge[i]), false);
    shape(list, "LEAD 12x12", SHAPE(4, 12, 12, 256), true);
    shape(list, "odd everywhere", SHAPE(3, 23, 22, 131), true);
}
