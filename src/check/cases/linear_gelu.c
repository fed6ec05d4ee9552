#include "check/cases/common.h"

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    (void)c;
    tape_linear_gelu(t, in[0], in[1], in[2]);
}

static void shape(CaseList *list, const char *label, Shape x, int64_t N, bool bias, bool large)
{
    case_add(list, (Case){.op = OP_linear_gelu, .label = label, .n_in = 3, .build = build, .large = large,
                          .in = {{.shape = x}, {.shape = SHAPE(shape_last(x), N)},
                                 {.shape = SHAPE(N), .absent = !bias}}});
}

void linear_gelu_cases(CaseList *list)
{
    const CaseInput one = {.shape = SHAPE(1, 1), .fill = FILL_POSITIVE};   // away from the zero of gelu'
    case_add(list, (Case){.op = OP_linear_gelu, .label = "one value", .n_in = 3, .build = build,
                          .in = {one, one, {.shape = SHAPE(1), .fill = FILL_POSITIVE}}});
    shape(list, "odd", SHAPE(5, 7), 3, true, false);
    shape(list, "no bias", SHAPE(4, 9), 17, false, false);
    shape(list, "tokens", SHAPE(2, 3, 5), 6, true, false);
    shape(list, "multiples of four", SHAPE(2, 6, 20), 36, true, false);
    for (int i = 0; i < VECTOR_EDGES; i++) shape(list, "vector edge", SHAPE(2 + i, 6), vector_edge[i], true, false);
    for (int64_t few = 1; few < 6; few++) shape(list, "few rows", SHAPE(few, 20), 97, few != 2, true);
    shape(list, "tile edges", SHAPE(61, 130), 97, true, true);
    shape(list, "tile edges, no bias", SHAPE(7, 9, 130), 97, false, true);
}
