#include "check/case.h"

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    (void)c;
    tape_linear(t, in[0], in[1], in[2]);
}

static void shape(CaseList *list, const char *label, int64_t M, int64_t K, int64_t N, bool bias, bool large)
{
    case_add(list, (Case){.op = OP_linear, .label = label, .n_in = 3, .build = build, .large = large,
                          .in = {{.shape = SHAPE(M, K)}, {.shape = SHAPE(K, N)},
                                 {.shape = SHAPE(N), .absent = !bias}}});
}

void linear_cases(CaseList *list)
{
    shape(list, "one value", 1, 1, 1, true, false);
    shape(list, "odd", 5, 7, 3, true, false);
    shape(list, "no bias", 4, 9, 17, false, false);
    const int64_t edge[] = {1, 7, 8, 9, 15, 16, 17, 29, 53};   // around the vector widths and 3 VW + 5
    for (int i = 0; i < (int)(sizeof edge / sizeof *edge); i++)
        shape(list, "vector edge", 3 + i, 10, edge[i], true, false);
    for (int64_t few = 1; few < 6; few++) shape(list, "few rows", few, 130, 97, few != 2, true);
    shape(list, "multiples of four", 12, 20, 36, true, false);
    shape(list, "one row, multiples of four", 1, 260, 132, true, true);
    shape(list, "many rows", 16900, 4, 8, true, true);
    shape(list, "tile edges", 61, 130, 97, true, true);
    shape(list, "dX: a vector of rows, weights 4 KB apart", 15, 330, 1024, true, true);
    shape(list, "dX: three vectors of rows", 45, 390, 160, false, true);
    shape(list, "dX: seven vectors of rows", 111, 900, 140, false, true);
    shape(list, "GPT-2 rows", 64, 768, 768, true, true);
}
