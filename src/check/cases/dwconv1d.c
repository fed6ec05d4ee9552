#include "check/case.h"

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    (void)c;
    tape_dwconv1d(t, in[0], in[1], in[2]);
}

static void shape(CaseList *list, const char *label, int64_t N, int64_t T, int64_t C, int64_t K, bool bias, bool large)
{
    case_add(list, (Case){.op = OP_dwconv1d, .label = label, .n_in = 3, .build = build, .large = large,
                          .in = {{.shape = SHAPE(N, T, C)}, {.shape = SHAPE(K, C)},
                                 {.shape = SHAPE(C), .absent = !bias}}});
}

void dwconv1d_cases(CaseList *list)
{
    shape(list, "one value", 1, 1, 1, 1, true, false);
    shape(list, "T = 1, kernel 3", 2, 1, 5, 3, true, false);
    shape(list, "kernel longer than the sequence", 2, 2, 3, 7, true, false);
    shape(list, "kernel 1", 2, 4, 3, 1, true, false);
    shape(list, "kernel 5", 3, 6, 4, 5, true, false);
    shape(list, "no bias", 2, 5, 6, 3, false, false);
    const int64_t edge[] = {1, 7, 8, 9, 15, 16, 17, 29, 53};
    for (int i = 0; i < (int)(sizeof edge / sizeof *edge); i++)
        shape(list, "channels at the vector edge", 2, 3, edge[i], 3, true, false);
    shape(list, "LEAD adapter, kernel 3", 2, 64, 128, 3, true, true);
    shape(list, "LEAD adapter, kernel 5", 3, 16, 128, 5, false, true);
    shape(list, "odd everywhere", 5, 61, 131, 7, true, true);
}
