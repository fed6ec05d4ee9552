#include "check/case.h"

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    (void)c;
    tape_softmax(t, in[0]);
}

static void shape(CaseList *list, const char *label, Shape x, bool large)
{
    case_add(list, (Case){.op = OP_softmax, .label = label, .n_in = 1, .build = build, .large = large,
                          .in = {{.shape = x}}});
}

void softmax_cases(CaseList *list)
{
    shape(list, "one dimension", SHAPE(5), false);
    shape(list, "four dimensions", SHAPE(2, 3, 2, 7), false);
    const int64_t edge[] = {1, 2, 7, 8, 9, 15, 16, 17, 29, 53};
    for (int i = 0; i < (int)(sizeof edge / sizeof *edge); i++)
        shape(list, "width at the vector edge", SHAPE(3, edge[i]), false);
    case_add(list, (Case){.op = OP_softmax, .label = "overflows without the shift", .n_in = 1, .build = build,
                          .in = {{.shape = SHAPE(7, 29), .fill = FILL_WIDE}}});
    case_add(list, (Case){.op = OP_softmax, .label = "overflows without the shift, also in double", .n_in = 1,
                          .build = build, .in = {{.shape = SHAPE(7, 29), .fill = FILL_STEPS}}});
    shape(list, "pooling weights", SHAPE(16, 64), true);
    shape(list, "wide", SHAPE(3, 5021), true);
}
