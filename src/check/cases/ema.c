#include "check/cases/common.h"

// in: e, p.   i: in place;  f: decay
static void build(Tape *t, Tensor *const *in, const Case *c)
{
    const EmaParams p = {c->f[0]};
    Tensor *out = c->i[0] ? in[0] : tape_tensor(t, in[0]->shape);
    tape_run(t, OP_ema, 2, in, 1, &out, &p);
}

static void shape(CaseList *list, const char *label, Shape s, bool in_place, double decay)
{
    case_add(list, (Case){.op = OP_ema, .label = label, .n_in = 2, .build = build, .i = {in_place}, .f = {decay},
                          .in = {{.shape = s, .no_grad = true}, {.shape = s, .no_grad = true}}});
}

void ema_cases(CaseList *list)
{
    for (int i = 0; i < VECTOR_EDGES; i++) {
        shape(list, "vector edge", SHAPE(vector_edge[i]), false, 0.9);
        shape(list, "vector edge, in place", SHAPE(vector_edge[i]), true, 0.9);
    }
    shape(list, "slow", SHAPE(3, 29), true, 0.9999);
    shape(list, "no memory", SHAPE(3, 29), true, 0);
    shape(list, "many values", SHAPE(37, 4099), true, 0.999);
}
