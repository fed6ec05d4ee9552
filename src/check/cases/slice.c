#include "check/cases/common.h"

static void build(Tape *t, Tensor *const *in, const Case *c) { tape_slice(t, in[0], (int)c->i[0], c->i[1], c->i[2]); }

static void shape(CaseList *list, const char *label, Shape s, int axis, int64_t start, int64_t len, bool large)
{
    case_add(list, (Case){.op = OP_slice, .label = label, .n_in = 1, .build = build, .large = large,
                          .in = {{.shape = s}}, .i = {axis, start, len}});
}

void slice_cases(CaseList *list)
{
    shape(list, "all of it", SHAPE(3, 5), 1, 0, 5, false);
    shape(list, "first axis", SHAPE(5, 2, 3), 0, 2, 2, false);
    shape(list, "middle axis", SHAPE(2, 7, 3), 1, 3, 4, false);
    shape(list, "last axis", SHAPE(2, 3, 9), 2, 4, 3, false);
    shape(list, "the last one", SHAPE(2, 3, 9), 2, 8, 1, false);
    shape(list, "one dimension", SHAPE(53), 0, 5, 31, false);
    for (int i = 0; i < VECTOR_EDGES; i++)
        shape(list, "vector edge", SHAPE(3, vector_edge[i] + 2), 1, 1, vector_edge[i], false);
    shape(list, "long runs", SHAPE(3, 9001, 2), 1, 13, 8500, true);
    shape(list, "half of the channels", SHAPE(64, 3, 514), 2, 257, 257, true);
}
