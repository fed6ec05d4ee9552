#include "check/case.h"

static void build(Tape *t, Tensor *const *in, const Case *c) { tape_layer_norm(t, in[0], in[1], in[2], c->f[0]); }

static void shape(CaseList *list, const char *label, Shape x, double eps, bool large)
{
    const Shape d = SHAPE(shape_last(x));
    case_add(list, (Case){.op = OP_layer_norm, .label = label, .n_in = 3, .build = build, .large = large,
                          .in = {{.shape = x}, {.shape = d}, {.shape = d}}, .f = {eps}});
}

void layer_norm_cases(CaseList *list)
{
    shape(list, "one row", SHAPE(1, 5), 1e-5, false);
    shape(list, "one dimension", SHAPE(6), 1e-5, false);
    shape(list, "sequence", SHAPE(2, 3, 7), 1e-5, false);
    shape(list, "image", SHAPE(2, 2, 3, 5), 1e-5, false);
    shape(list, "large eps", SHAPE(3, 4), 0.5, false);
    shape(list, "width 2, large eps", SHAPE(5, 2), 0.5, false);
    const int64_t edge[] = {1, 7, 8, 9, 15, 16, 17, 29, 53};   // width 1: the variance is 0
    for (int i = 0; i < (int)(sizeof edge / sizeof *edge); i++)
        shape(list, "width at the vector edge", SHAPE(3, edge[i]), 1e-5, false);
    shape(list, "GPT-2 rows", SHAPE(64, 768), 1e-5, true);
    shape(list, "LEAD adapter", SHAPE(2, 64, 128), 1e-5, true);
    shape(list, "odd everywhere", SHAPE(61, 131), 1e-5, true);
    shape(list, "rows that a block of the GPU shares", SHAPE(3, 2177), 1e-5, true);
}
