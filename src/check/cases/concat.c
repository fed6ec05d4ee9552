#include "check/cases/common.h"

static void build(Tape *t, Tensor *const *in, const Case *c) { tape_concat(t, in, c->n_in, (int)c->i[0]); }

// n inputs like s, of lengths len[0..n) on the axis.
static void shapes(CaseList *list, const char *label, Shape s, int axis, int n, const int64_t *len, bool large)
{
    Case c = {.op = OP_concat, .label = label, .n_in = n, .build = build, .large = large, .i = {axis}};
    for (int j = 0; j < n; j++) {
        c.in[j].shape = s;
        c.in[j].shape.d[axis] = len[j];
    }
    case_add(list, c);
}

void concat_cases(CaseList *list)
{
    shapes(list, "one input", SHAPE(3, 5), 1, 1, (int64_t[]){5}, false);
    shapes(list, "first axis", SHAPE(0, 3, 5), 0, 2, (int64_t[]){1, 4}, false);
    shapes(list, "middle axis", SHAPE(2, 0, 5), 1, 3, (int64_t[]){2, 1, 3}, false);
    shapes(list, "last axis", SHAPE(2, 3, 0), 2, 2, (int64_t[]){7, 4}, false);
    shapes(list, "nine inputs", SHAPE(2, 2, 0), 2, OP_MAX_IN, (int64_t[]){1, 2, 3, 4, 5, 6, 7, 8, 9}, false);
    shapes(list, "channels of an image", SHAPE(2, 3, 3, 0), 3, 2, (int64_t[]){8, 17}, false);
    for (int i = 0; i < VECTOR_EDGES; i++)
        shapes(list, "vector edge", SHAPE(3, 0), 1, 2, (int64_t[]){vector_edge[i], 3}, false);
    shapes(list, "runs of very different length", SHAPE(3, 0, 5), 1, 3, (int64_t[]){3001, 2, 4099}, true);
    shapes(list, "skip connection", SHAPE(4, 12, 12, 0), 3, 2, (int64_t[]){64, 33}, true);
}
