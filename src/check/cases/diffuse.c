#include "check/cases/windows.h"

// i: target, clock (0: none), offset.  in: x0, ab
static void build(Tape *t, Tensor *const *in, const Case *c)
{
    Tensor *clock = c->i[1] ? index_tensor(t, 1, case_clock, c->i[1]) : NULL;
    const RandomAddress at = {.seed = 0x0123456789abcdefULL, .site = SITE_NOISE, .step = 7,
                              .offset = (uint64_t)c->i[2]};
    tape_diffuse(t, in[0], in[1], at, (DiffuseTarget)c->i[0], clock);
}

static void shape(CaseList *list, const char *label, Shape s, DiffuseTarget target, int64_t clock, int64_t offset)
{
    case_add(list, (Case){.op = OP_diffuse, .label = label, .n_in = 2, .build = build,
                          .i = {(int64_t)target, clock, offset},
                          .in = {{.shape = s}, {.shape = SHAPE(s.d[0]), .fill = FILL_UNIT}}});
}

void diffuse_cases(CaseList *list)
{
    for (int target = DIFFUSE_EPS; target <= DIFFUSE_X0; target++) {
        const DiffuseTarget k = (DiffuseTarget)target;
        for (int i = 0; i < VECTOR_EDGES; i++) {
            shape(list, "vector edge", SHAPE(3, vector_edge[i]), k, 5, 0);
            shape(list, "quads at the vector edge", SHAPE(2, 4 * vector_edge[i]), k, 0, 0);
        }
        shape(list, "one value a row", SHAPE(17), k, 1, 0);
        shape(list, "images, an offset", SHAPE(2, 3, 5, 3), k, 0xFFFFFFFD, (int64_t)1 << 40);
        shape(list, "many values", SHAPE(37, 4099), k, 3, 400);
    }
}
