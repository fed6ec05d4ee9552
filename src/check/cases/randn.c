#include "check/cases/common.h"

// i: rows, row length, row0, offset, which call;  in: the rows of the third
typedef enum { PLAIN, CLOCK, ROWS } Call;

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    tape_set_step(t, 0xFFFFFFFD);   // and 7: past the end of 32 bits
    const RandomAddress at = {.seed = 0x0123456789abcdefULL, .site = SITE_TEST, .step = 7, .offset = (uint64_t)c->i[3]};
    if (c->i[4] == ROWS) tape_randn_rows(t, SHAPE(c->i[0], c->i[1]), at, in[0]);
    else if (c->i[4] == CLOCK) tape_randn_clock(t, SHAPE(c->i[0], c->i[1]), at, c->i[2]);
    else tape_randn(t, SHAPE(c->i[0], c->i[1]), at, c->i[2]);
}

static void shape(CaseList *list, const char *label, int64_t rows, int64_t len, int64_t row0, int64_t offset)
{
    case_add(list, (Case){.op = OP_randn, .label = label, .build = build, .i = {rows, len, row0, offset}});
}

void randn_cases(CaseList *list)
{
    for (int i = 0; i < VECTOR_EDGES; i++) {
        shape(list, "vector edge", 3, vector_edge[i], 0, 0);
        shape(list, "one value a row", vector_edge[i], 1, 2, 0);
        shape(list, "quads at the vector edge", 2, 4 * vector_edge[i], 0, 0);
        shape(list, "not from the first row", 2, 4 * vector_edge[i] + 3, 1000003, 0);
    }
    case_add(list, (Case){.op = OP_randn, .label = "clock", .build = build, .i = {3, 67, 1, 8, CLOCK}});
    case_add(list, (Case){.op = OP_randn, .label = "rows of the address", .build = build, .n_in = 1,
                          .i = {5, 67, 0, 8, ROWS},
                          .in = {{.shape = SHAPE(5, 2), .fill = FILL_INDEX, .limit = 1 << 20}}});
    shape(list, "offset", 2, 67, 0, 400);
    shape(list, "offset above 2^32 quads", 3, 67, 5, (int64_t)1 << 40);
    shape(list, "the low counter word overflows", 2, 515, 0, (int64_t)4 * 0xFFFFFFF0);
    shape(list, "many values", 37, 4099, 1, 0);
}
