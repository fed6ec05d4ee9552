#include "check/cases/common.h"

// i: offset of the address (0: the checked call, with the clock);  f: p
static void build(Tape *t, Tensor *const *in, const Case *c)
{
    t->seed = 11;
    tape_set_step(t, 3);
    if (!c->i[0]) {
        tape_dropout(t, in[0], c->f[0]);
        return;
    }
    const DropoutParams p = {.at = {.seed = 0x123456789abcdefULL, .site = SITE_TEST, .step = 9,
                                    .offset = (uint64_t)c->i[0]}, .p = c->f[0]};
    tape_op(t, OP_dropout, 1, in, 1, &in[0]->shape, &p, sizeof p);
}

static void shape(CaseList *list, const char *label, Shape s, int64_t offset, double p, bool large)
{
    case_add(list, (Case){.op = OP_dropout, .label = label, .n_in = 1, .build = build, .large = large,
                          .in = {{.shape = s}}, .i = {offset}, .f = {p}});
}

void dropout_cases(CaseList *list)
{
    for (int i = 0; i < VECTOR_EDGES; i++) shape(list, "vector edge", SHAPE(vector_edge[i]), 0, 0.4, false);
    for (int64_t offset = 1; offset < 5; offset++) shape(list, "offset inside a quad", SHAPE(3, 7), offset, 0.5, false);
    shape(list, "offset above 2^32", SHAPE(2, 29), (int64_t)1 << 41 | 2, 0.15, false);
    shape(list, "the low counter word overflows", SHAPE(3, 29), ((int64_t)4 << 32) - 22, 0.3, false);
    shape(list, "nearly all dropped", SHAPE(5, 29), 0, 0.97, false);
    shape(list, "many values", SHAPE(37, 4099), 3, 0.1, true);
}
