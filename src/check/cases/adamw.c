#include "check/cases/common.h"

// in: p, g, m, v.   i: step, in place;  f: decay, grad_scale
static void build(Tape *t, Tensor *const *in, const Case *c)
{
    const AdamwParams p = {.lr = 3e-3, .beta1 = 0.9, .beta2 = 0.99, .eps = 1e-8, .decay = c->f[0],
                           .grad_scale = c->f[1], .step = c->i[0]};
    const Shape s = in[0]->shape;
    Tensor *fresh[3] = {tape_tensor(t, s), tape_tensor(t, s), tape_tensor(t, s)};
    Tensor *same[3] = {in[0], in[2], in[3]};
    tape_run(t, OP_adamw, 4, in, 3, c->i[1] ? same : fresh, &p);
}

static void shape(CaseList *list, const char *label, Shape s, int64_t step, bool in_place, double decay,
                  double grad_scale)
{
    case_add(list, (Case){.op = OP_adamw, .label = label, .n_in = 4, .build = build, .i = {step, in_place},
                          .f = {decay, grad_scale},
                          .in = {{.shape = s, .no_grad = true}, {.shape = s, .no_grad = true},
                                 {.shape = s, .no_grad = true}, {.shape = s, .fill = FILL_POSITIVE, .no_grad = true}}});
}

void adamw_cases(CaseList *list)
{
    for (int i = 0; i < VECTOR_EDGES; i++) {
        shape(list, "vector edge", SHAPE(vector_edge[i]), 5, false, 0.01, 1);
        shape(list, "vector edge, in place", SHAPE(vector_edge[i]), 5, true, 0.01, 1);
    }
    shape(list, "first step", SHAPE(3, 29), 1, true, 0.01, 1);
    shape(list, "step a million", SHAPE(3, 29), 1000000, true, 0.01, 1);
    shape(list, "no decay", SHAPE(3, 29), 2, true, 0, 1);
    shape(list, "gradient scaled", SHAPE(3, 29), 2, true, 0.1, 0.037);
    shape(list, "many values", SHAPE(37, 4099), 17, true, 0.01, 0.5);
}
