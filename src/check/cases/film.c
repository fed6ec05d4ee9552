#include "check/case.h"

static void build(Tape *t, Tensor *const *in, const Case *c) { tape_film(t, in[0], in[1], c->i[0] != 0); }

static void shape(CaseList *list, const char *label, Shape x, bool large)
{
    const Shape s = SHAPE(x.d[0], 2 * shape_last(x));
    for (int64_t silu = 0; silu < 2; silu++)
        case_add(list, (Case){.op = OP_film, .label = label, .n_in = 2, .build = build, .large = large,
                              .in = {{.shape = x}, {.shape = s}}, .i = {silu}});
}

void film_cases(CaseList *list)
{
    shape(list, "one value", SHAPE(1, 1), false);
    shape(list, "no pixels between", SHAPE(3, 5), false);
    shape(list, "odd image", SHAPE(2, 3, 5, 3), false);
    shape(list, "sequence, T = 1", SHAPE(3, 1, 7), false);
    const int64_t edge[] = {1, 7, 8, 9, 15, 16, 17, 29, 53};
    for (int i = 0; i < (int)(sizeof edge / sizeof *edge); i++)
        shape(list, "channels at the vector edge", SHAPE(2, 3, edge[i]), false);
    case_add(list, (Case){.op = OP_film, .label = "saturated SiLU", .n_in = 2, .build = build, .large = true, .i = {1},
                          .in = {{.shape = SHAPE(3, 17, 29), .fill = FILL_WIDE}, {.shape = SHAPE(3, 58)}}});
    shape(list, "LEAD 12x12", SHAPE(4, 12, 12, 64), true);
    shape(list, "odd everywhere", SHAPE(3, 23, 22, 33), true);
}
