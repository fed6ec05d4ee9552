#include "autograd/traffic.h"
#include "check/cases/common.h"

// i: history.  f: width of the range.  in: x, u, base, sigma, gamma, location, log_scale; low and high are made here
static void build(Tape *t, Tensor *const *in, const Case *c)
{
    Tensor *low = tape_tensor(t, in[3]->shape), *high = tape_tensor(t, in[3]->shape);
    tensor_fill(low, -c->f[0]);
    tensor_fill(high, 0.7 * c->f[0]);
    tape_residual_decode(t, in[0], in[1], in[2], &(ResidualUnits){in[3], in[4], low, high},
                         (ResidualMoments){in[5], in[6]}, (int)c->i[0]);
}

enum { BASE = 1, LOCATION = 2, SCALE = 4 };   // inputs that are there

static void shape(CaseList *list, const char *label, int64_t B, int64_t S, int64_t F, int64_t K, int64_t history,
                  int there, double width, bool large)
{
    case_add(list, (Case){.op = OP_residual_decode, .label = label, .n_in = 7, .build = build, .i = {history},
                          .f = {width}, .large = large,
                          .in = {{.shape = SHAPE(B * S, F, K)},
                                 {.shape = SHAPE(B, history + 1 + K, F), .no_grad = true},
                                 {.shape = SHAPE(B, K, F), .absent = !(there & BASE), .no_grad = true},
                                 {.shape = SHAPE(K, F), .fill = FILL_POSITIVE, .no_grad = true},
                                 {.shape = SHAPE(K, F), .fill = FILL_POSITIVE, .no_grad = true},
                                 {.shape = SHAPE(B, F, K), .absent = !(there & LOCATION), .no_grad = true},
                                 {.shape = SHAPE(B, F, K), .absent = !(there & SCALE), .no_grad = true}}});
}

void residual_decode_cases(CaseList *list)
{
    for (int i = 0; i < VECTOR_EDGES; i++)
        shape(list, "vector edge", 2, 3, vector_edge[i], 3, 4, BASE | (i % 2 ? LOCATION | SCALE : 0), 4, false);
    shape(list, "no base", 3, 1, 9, 2, 3, 0, 4, false);
    shape(list, "narrow range", 1, 5, 17, 2, 1, BASE, 0.25, false);
    shape(list, "location alone", 2, 2, 9, 3, 2, BASE | LOCATION, 2, false);
    shape(list, "scale alone", 2, 2, 9, 3, 2, SCALE, 2, false);
    shape(list, "the model's sizes", 2, 8, 144, 20, 16, BASE | LOCATION | SCALE, 4, true);
}
