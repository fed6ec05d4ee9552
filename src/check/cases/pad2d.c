#include "check/cases/common.h"

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    tape_pad2d(t, in[0], (int)c->i[0], (int)c->i[1], (int)c->i[2], (int)c->i[3]);
}

// Borders: top, bottom, left, right.
static void shape(CaseList *list, const char *label, Shape s, const int64_t border[4], bool large)
{
    case_add(list, (Case){.op = OP_pad2d, .label = label, .n_in = 1, .build = build, .large = large,
                          .in = {{.shape = s}}, .i = {border[0], border[1], border[2], border[3]}});
}

void pad2d_cases(CaseList *list)
{
    shape(list, "no border", SHAPE(2, 3, 4, 2), (int64_t[]){0, 0, 0, 0}, false);
    shape(list, "top", SHAPE(2, 5, 4, 2), (int64_t[]){2, 0, 0, 0}, false);
    shape(list, "bottom", SHAPE(2, 5, 4, 2), (int64_t[]){0, 3, 0, 0}, false);
    shape(list, "left", SHAPE(2, 3, 5, 2), (int64_t[]){0, 0, 2, 0}, false);
    shape(list, "right", SHAPE(2, 3, 5, 2), (int64_t[]){0, 0, 0, 3}, false);
    shape(list, "four different borders", SHAPE(2, 7, 9, 1), (int64_t[]){1, 2, 3, 4}, false);
    for (int i = 0; i < VECTOR_EDGES; i++)
        shape(list, "channels at the vector edge", SHAPE(1, 3, 2, vector_edge[i]), (int64_t[]){0, 1, 1, 0}, false);
    shape(list, "23x23 and 24x24", SHAPE(4, 23, 23, 33), (int64_t[]){0, 1, 0, 1}, true);
}
