#include "check/cases/common.h"

// i: the permutation
static void build(Tape *t, Tensor *const *in, const Case *c)
{
    int perm[MAX_DIMS];
    for (int k = 0; k < in[0]->shape.n; k++) perm[k] = (int)c->i[k];
    tape_permute(t, in[0], perm);
}

static void shape(CaseList *list, const char *label, Shape s, const int *perm, bool large)
{
    Case c = {.op = OP_permute, .label = label, .n_in = 1, .build = build, .large = large, .in = {{.shape = s}}};
    for (int k = 0; k < s.n; k++) c.i[k] = perm[k];
    case_add(list, c);
}

void permute_cases(CaseList *list)
{
    static const int all[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    for (int i = 0; i < 6; i++) shape(list, "every order of three axes", SHAPE(3, 4, 5), all[i], false);
    shape(list, "one axis", SHAPE(7), (int[]){0}, false);
    shape(list, "heads to the front", SHAPE(2, 3, 4, 5), (int[]){0, 2, 1, 3}, false);
    shape(list, "four axes turned", SHAPE(2, 3, 4, 5), (int[]){3, 0, 2, 1}, false);
    shape(list, "six axes", SHAPE(2, 3, 1, 2, 3, 2), (int[]){5, 1, 4, 0, 3, 2}, false);
    for (int i = 0; i < VECTOR_EDGES; i++) shape(list, "transposed", SHAPE(3, vector_edge[i]), (int[]){1, 0}, false);
    shape(list, "matrices turned", SHAPE(3, 97, 133), (int[]){0, 2, 1}, true);
    shape(list, "channels to the front", SHAPE(2, 23, 23, 37), (int[]){0, 3, 1, 2}, true);
    shape(list, "channels to the back", SHAPE(2, 37, 23, 23), (int[]){0, 2, 3, 1}, true);
    shape(list, "frames to the front", SHAPE(8, 64, 131), (int[]){1, 0, 2}, true);
}
