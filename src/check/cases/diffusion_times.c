#include "check/cases/windows.h"

// i: rows, clock (0: none), parts (0: as many as rows), rows before the first;  f: drop.  in: ab, weight
static void build(Tape *t, Tensor *const *in, const Case *c)
{
    Tensor *clock = c->i[1] ? index_tensor(t, 1, case_clock, c->i[1]) : NULL;
    tape_diffusion_times(t, in[0], in[1], c->i[0], c->i[2] ? c->i[2] : c->i[0],
                         (RandomAddress){.seed = 0x0123456789abcdefULL, .step = 7, .offset = (uint64_t)c->i[3]},
                         c->f[0], clock);
}

static void shape(CaseList *list, const char *label, int64_t T, int64_t B, int64_t parts, int64_t clock, double drop)
{
    case_add(list, (Case){.op = OP_diffusion_times, .label = label, .n_in = 2, .build = build, .i = {B, clock, parts},
                          .f = {drop},
                          .in = {{.shape = SHAPE(T + 1), .fill = FILL_UNIT},
                                 {.shape = SHAPE(T + 1), .fill = FILL_POSITIVE}}});
}

// B rows of a batch of 100, whose times they must get.
static void part(CaseList *list, int64_t first, int64_t B)
{
    case_add(list, (Case){.op = OP_diffusion_times, .label = "rows of a larger batch", .n_in = 2, .build = build,
                          .i = {B, 5, 100, first}, .f = {0.3},
                          .in = {{.shape = SHAPE(1001), .fill = FILL_UNIT},
                                 {.shape = SHAPE(1001), .fill = FILL_POSITIVE}}});
}

void diffusion_times_cases(CaseList *list)
{
    for (int i = 0; i < VECTOR_EDGES; i++) shape(list, "vector edge", 1000, vector_edge[i], 0, i, 0.3);
    shape(list, "two times", 2, 9, 0, 0, 0.5);
    shape(list, "nothing dropped", 1000, 32, 0, 3, 0);
    shape(list, "everything dropped", 1000, 32, 0, 3, 1);
    shape(list, "the clock passes the end of 32 bits", 1000, 32, 0, 0xFFFFFFFD, 0.15);
    shape(list, "many draws near the border", 50, 20011, 0, 1, 0.9);
    shape(list, "more than a block", 1000, 1031, 0, 1, 0.15);
    shape(list, "every row from all times", 1000, 333, 1, 5, 0.15);
    shape(list, "parts in turns", 1000, 333, 7, 5, 0.15);
    part(list, 67, 33);
}
