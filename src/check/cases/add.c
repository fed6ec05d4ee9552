#include "check/case.h"

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    (void)c;
    tape_add(t, in[0], in[1]);
}

void add_cases(CaseList *list)
{
    const int64_t edge[] = {1, 7, 8, 9, 15, 16, 17, 29, 53};
    for (int i = 0; i < (int)(sizeof edge / sizeof *edge); i++) {
        const int64_t n = edge[i];
        case_add(list, (Case){.op = OP_add, .label = "same shape", .n_in = 2, .build = build,
                              .in = {{.shape = SHAPE(3, n)}, {.shape = SHAPE(3, n)}}});
        case_add(list, (Case){.op = OP_add, .label = "suffix", .n_in = 2, .build = build,
                              .in = {{.shape = SHAPE(2, 3, n)}, {.shape = SHAPE(3, n)}}});
        case_add(list, (Case){.op = OP_add, .label = "bias", .n_in = 2, .build = build,
                              .in = {{.shape = SHAPE(5, n)}, {.shape = SHAPE(n)}}});
    }
}
