#include "check/cases/common.h"

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    (void)c;
    tape_linear_add(t, in[0], in[1], in[2], in[3]);
}

static void shape(CaseList *list, const char *label, Shape x, int64_t N, bool bias, bool large)
{
    Shape r = x;
    r.d[r.n - 1] = N;
    case_add(list, (Case){.op = OP_linear_add, .label = label, .n_in = 4, .build = build, .large = large,
                          .in = {{.shape = x}, {.shape = SHAPE(shape_last(x), N)}, {.shape = SHAPE(N), .absent = !bias},
                                 {.shape = r}}});
}

void linear_add_cases(CaseList *list)
{
    shape(list, "one value", SHAPE(1, 1), 1, true, false);
    shape(list, "odd", SHAPE(5, 7), 3, true, false);
    shape(list, "no bias", SHAPE(4, 9), 17, false, false);
    shape(list, "tokens", SHAPE(2, 3, 5), 6, true, false);
    shape(list, "multiples of four", SHAPE(2, 6, 20), 36, true, false);
    shape(list, "one term", SHAPE(6, 1), 12, false, false);
    for (int i = 0; i < VECTOR_EDGES; i++) shape(list, "vector edge", SHAPE(2 + i, 6), vector_edge[i], true, false);
    for (int64_t few = 1; few < 6; few++) shape(list, "few rows", SHAPE(few, 130), 97, few != 2, true);
    shape(list, "one row, multiples of four", SHAPE(1, 260), 132, true, true);
    shape(list, "tile edges", SHAPE(61, 130), 97, true, true);
    shape(list, "tile edges, no bias", SHAPE(7, 9, 130), 97, false, true);
    shape(list, "terms in two blocks", SHAPE(13, 700), 70, true, true);
    shape(list, "few rows, terms in two blocks", SHAPE(2, 700), 70, true, true);
}
