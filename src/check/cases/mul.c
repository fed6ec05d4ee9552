#include "check/cases/common.h"

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    (void)c;
    tape_mul(t, in[0], in[1]);
}

void mul_cases(CaseList *list)
{
    for (int i = 0; i < VECTOR_EDGES; i++) {
        const int64_t n = vector_edge[i];
        case_add(list, (Case){.op = OP_mul, .label = "same shape", .n_in = 2, .build = build,
                              .in = {{.shape = SHAPE(3, n)}, {.shape = SHAPE(3, n)}}});
        case_add(list, (Case){.op = OP_mul, .label = "suffix", .n_in = 2, .build = build,
                              .in = {{.shape = SHAPE(2, 3, n)}, {.shape = SHAPE(3, n)}}});
        case_add(list, (Case){.op = OP_mul, .label = "bias", .n_in = 2, .build = build,
                              .in = {{.shape = SHAPE(5, n)}, {.shape = SHAPE(n)}}});
    }
    case_add(list, (Case){.op = OP_mul, .label = "suffix of 5, 20 in all", .n_in = 2, .build = build,
                          .in = {{.shape = SHAPE(4, 5)}, {.shape = SHAPE(5)}}});
    case_add(list, (Case){.op = OP_mul, .label = "one value for all", .n_in = 2, .build = build,
                          .in = {{.shape = SHAPE(3, 43)}, {.shape = {.n = 0}}}});
    case_add(list, (Case){.op = OP_mul, .label = "short suffix, last row cut", .n_in = 2, .build = build, .large = true,
                          .in = {{.shape = SHAPE(12007, 3)}, {.shape = SHAPE(3)}}});
    case_add(list, (Case){.op = OP_mul, .label = "many rows", .n_in = 2, .build = build, .large = true,
                          .in = {{.shape = SHAPE(1031, 67)}, {.shape = SHAPE(67)}}});
}
