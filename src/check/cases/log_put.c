#include "check/cases/common.h"

// in: log.   i: clock, in place
static void build(Tape *t, Tensor *const *in, const Case *c)
{
    const Shape s = in[0]->shape;
    Tensor *call[OP_MAX_IN] = {in[0], t->clock}, *out = c->i[1] ? in[0] : tape_tensor(t, s);
    for (int j = 0; j < s.d[1]; j++) tensor_fill(call[2 + j] = tape_tensor(t, SHAPE(1)), 0.5 + j);
    tape_set_step(t, (uint32_t)c->i[0]);
    if (c->i[1]) tape_log_put(t, in[0], call + 2, (int)s.d[1]);
    else tape_run(t, OP_log_put, 2 + (int)s.d[1], call, 1, &out, NULL);
}

static void shape(CaseList *list, const char *label, int64_t K, int64_t C, int64_t clock)
{
    for (int in_place = 0; in_place < 2; in_place++)
        case_add(list, (Case){.op = OP_log_put, .label = label, .n_in = 1, .build = build, .i = {clock, in_place},
                              .in = {{.shape = SHAPE(K, C), .no_grad = true}}});
}

void log_put_cases(CaseList *list)
{
    shape(list, "first row", 5, 2, 0);
    shape(list, "last row", 5, 2, 4);
    shape(list, "round and round", 5, 2, 5003);
    shape(list, "one value, one row", 1, 1, 7);
    shape(list, "six values", 3, 6, 1);
    shape(list, "a clock beyond 2^31", 16, 2, 0xF0000003);
}
