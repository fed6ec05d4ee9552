#include <math.h>

#include "check/cases/common.h"

typedef enum { FINITE, INFINITE, NOT_A_NUMBER } Total;

// in: p, g, m, v, rates, total, e.   i: in place, decayed values, Total;  f: decay, clip, eps
static void build(Tape *t, Tensor *const *in, const Case *c)
{
    const AdamwParams p = {.beta1 = 0.9, .beta2 = 0.99, .eps = c->f[2], .decay = c->f[0], .clip = c->f[1],
                           .decayed = c->i[1]};
    const Shape s = in[0]->shape;
    Tensor *fresh[4] = {tape_tensor(t, s), tape_tensor(t, s), tape_tensor(t, s), tape_tensor(t, s)};
    Tensor *same[4] = {in[0], in[2], in[3], in[6]};
    tensor_set_f64(in[4], (double[]){3e-3, 1.3, 7.5, 0.25}, 4);
    if (c->i[2] != FINITE) tensor_fill(in[5], c->i[2] == INFINITE ? INFINITY : NAN);
    tape_run(t, OP_adamw, 7, in, in[6] ? 4 : 3, c->i[0] ? same : fresh, &p);
}

typedef struct Options {
    bool in_place, no_total, no_average;
    Total total;
    int64_t decayed;
    double decay, clip, eps;
} Options;

static void shape(CaseList *list, const char *label, Shape s, Options o)
{
    const CaseInput value = {.shape = s, .no_grad = true}, above = {.shape = s, .fill = FILL_POSITIVE, .no_grad = true};
    const CaseInput rates = {.shape = SHAPE(4), .no_grad = true};
    CaseInput total = {.shape = SHAPE(1), .fill = FILL_POSITIVE, .no_grad = true}, average = value;
    total.absent = o.no_total;
    average.absent = o.no_average;
    case_add(list, (Case){.op = OP_adamw, .label = label, .n_in = 7, .build = build,
                          .i = {o.in_place, o.decayed, o.total}, .f = {o.decay, o.clip, o.eps > 0 ? o.eps : 1e-8},
                          .in = {value, value, value, above, rates, total, average}});
}

void adamw_cases(CaseList *list)
{
    const int64_t all = INT64_MAX;
    for (int i = 0; i < VECTOR_EDGES; i++) {
        const Shape s = SHAPE(vector_edge[i]);
        shape(list, "vector edge", s, (Options){.decayed = all, .decay = 0.01, .clip = 0.3});
        shape(list, "vector edge, in place", s,
              (Options){.in_place = true, .decayed = all, .decay = 0.01, .clip = 0.3});
        shape(list, "decay of some", SHAPE(67), (Options){.in_place = true, .decayed = vector_edge[i], .decay = 0.1});
    }
    shape(list, "no average", SHAPE(3, 29), (Options){.no_average = true, .decayed = 40, .decay = 0.01, .clip = 0.3});
    shape(list, "no total", SHAPE(3, 29), (Options){.no_total = true, .decayed = 40, .decay = 0.01, .clip = 0.3});
    shape(list, "clipping off", SHAPE(3, 29), (Options){.in_place = true, .decayed = all, .decay = 0.01});
    shape(list, "below the clip", SHAPE(3, 29), (Options){.in_place = true, .decayed = all, .decay = 0.01, .clip = 10});
    shape(list, "large eps", SHAPE(3, 29), (Options){.in_place = true, .decayed = all, .decay = 0.01, .eps = 0.3});
    shape(list, "no decay", SHAPE(3, 29), (Options){.in_place = true, .decay = 0.01, .clip = 0.3});
    for (int in_place = 0; in_place < 2; in_place++)
        for (Total total = INFINITE; total <= NOT_A_NUMBER; total++)
            shape(list, "total not finite", SHAPE(3, 29),
                  (Options){.in_place = in_place, .total = total, .decayed = 40, .clip = 0.3});
    shape(list, "many values", SHAPE(37, 4099),
          (Options){.in_place = true, .decayed = 100000, .decay = 0.01, .clip = 0.3});
}
