#include "check/case.h"

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    tape_group_norm(t, in[0], in[1], in[2], (int)c->i[0], c->i[1] != 0);
}

static void shape(CaseList *list, const char *label, Shape x, int64_t groups, bool large)
{
    const Shape d = SHAPE(shape_last(x));
    for (int64_t silu = 0; silu < 2; silu++)
        case_add(list, (Case){.op = OP_group_norm, .label = label, .n_in = 3, .build = build, .large = large,
                              .in = {{.shape = x}, {.shape = d}, {.shape = d}}, .i = {groups, silu}});
}

// Groups of five values at least: with two or three, chance makes the variance so small that the third derivative
// spoils the central difference.
void group_norm_cases(CaseList *list)
{
    shape(list, "no pixels between", SHAPE(3, 10), 2, false);
    shape(list, "one group", SHAPE(2, 3, 5, 4), 1, false);
    shape(list, "three groups", SHAPE(2, 3, 3, 6), 3, false);
    shape(list, "a group a channel", SHAPE(2, 3, 5, 4), 4, false);
    shape(list, "sequence, T = 1", SHAPE(2, 1, 15), 3, false);
    shape(list, "five dimensions", SHAPE(2, 2, 3, 2, 4), 2, false);
    shape(list, "23x12 image", SHAPE(1, 23, 12, 1), 1, false);
    shape(list, "group of 17 channels", SHAPE(1, 3, 51), 3, false);
    shape(list, "group of 9 channels", SHAPE(2, 3, 18), 2, false);
    shape(list, "group of 3 channels", SHAPE(1, 3, 33), 11, false);
    const int64_t edge[] = {1, 7, 8, 9, 15, 16, 17, 29, 53};
    for (int i = 0; i < (int)(sizeof edge / sizeof *edge); i++) {
        shape(list, "channels at the vector edge, one group", SHAPE(1, 5, 1, edge[i]), 1, false);
        shape(list, "channels at the vector edge, a group a channel", SHAPE(1, 5, edge[i]), edge[i], false);
    }
    shape(list, "LEAD 12x12, groups of 2", SHAPE(4, 12, 12, 64), 32, true);
    shape(list, "LEAD 12x12, groups of 4", SHAPE(2, 12, 12, 128), 32, true);
    shape(list, "LEAD 3x3, groups of 16", SHAPE(4, 3, 3, 512), 32, true);
    shape(list, "odd everywhere", SHAPE(3, 23, 22, 33), 11, true);
    shape(list, "groups that a block of the GPU shares", SHAPE(2, 12, 12, 34), 2, true);
}
