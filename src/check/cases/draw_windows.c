#include "check/cases/windows.h"

// i: rows of the list, windows, clock (0: none), offset
static void build(Tape *t, Tensor *const *in, const Case *c)
{
    (void)in;
    const RandomAddress at = {.seed = 0x0123456789abcdefULL, .site = SITE_SHUFFLE, .step = 7,
                              .offset = (uint64_t)c->i[3]};
    Tensor *clock = c->i[2] ? index_tensor(t, 1, case_clock, c->i[2]) : NULL;
    tape_draw_windows(t, index_tensor(t, c->i[0], case_place, 9), c->i[1], at, clock);
}

static void shape(CaseList *list, const char *label, int64_t n, int64_t B, int64_t clock, int64_t offset)
{
    case_add(list, (Case){.op = OP_draw_windows, .label = label, .build = build, .i = {n, B, clock, offset}});
}

void draw_windows_cases(CaseList *list)
{
    shape(list, "one window to choose from", 1, 3, 0, 0);
    for (int i = 0; i < VECTOR_EDGES; i++) shape(list, "vector edge", 40009, vector_edge[i], 11, 0);
    shape(list, "the clock passes the end of 32 bits", 1000, 33, 0xFFFFFFFD, 5);
    shape(list, "more than a block", 31234, 700, 0, 1 << 20);
}
