#include "autograd/traffic.h"
#include "check/cases/common.h"

// i: history, kind.  in: u, base, sigma, gamma, location, log_scale
static void build(Tape *t, Tensor *const *in, const Case *c)
{
    const ResidualParams p = {(int)c->i[0], (ResidualKind)c->i[1]};
    tape_residual_target(t, in[0], in[1], in[2], in[3], (ResidualMoments){in[4], in[5]}, &p);
}

enum { BASE = 1, LOCATION = 2, SCALE = 4 };   // inputs that are there

static void shape(CaseList *list, const char *label, int64_t B, int64_t F, int64_t K, int64_t history, int there,
                  ResidualKind kind)
{
    case_add(list, (Case){.op = OP_residual_target, .label = label, .n_in = 6, .build = build,
                          .i = {history, kind},
                          .in = {{.shape = SHAPE(B, history + 1 + 2 * K, F),
                                  .fill = kind == RESIDUAL_UNITS ? FILL_WIDE : FILL_NORMAL},
                                 {.shape = SHAPE(B, K, F), .absent = !(there & BASE)},
                                 {.shape = SHAPE(K, F), .fill = FILL_POSITIVE},
                                 {.shape = SHAPE(K, F), .fill = FILL_POSITIVE},
                                 {.shape = SHAPE(B, F, K), .absent = !(there & LOCATION)},
                                 {.shape = SHAPE(B, F, K), .absent = !(there & SCALE)}}});
}

void residual_target_cases(CaseList *list)
{
    for (int i = 0; i < VECTOR_EDGES; i++)
        shape(list, "vector edge", 2, vector_edge[i], 3, 4, BASE | (i % 2 ? LOCATION | SCALE : 0), RESIDUAL_SHAPE);
    shape(list, "no base", 3, 9, 2, 3, 0, RESIDUAL_SHAPE);
    shape(list, "one step", 3, 9, 1, 1, BASE, RESIDUAL_SHAPE);
    shape(list, "location alone", 2, 9, 3, 2, BASE | LOCATION, RESIDUAL_SHAPE);
    shape(list, "scale alone", 2, 9, 3, 2, SCALE, RESIDUAL_SHAPE);
    shape(list, "units", 2, 25, 3, 2, BASE | LOCATION, RESIDUAL_UNITS);
    shape(list, "log size", 2, 25, 3, 2, BASE | LOCATION | SCALE, RESIDUAL_LOG_SIZE);
    shape(list, "log size, no location", 2, 9, 2, 2, 0, RESIDUAL_LOG_SIZE);
    shape(list, "the model's sizes", 8, 144, 20, 16, BASE | LOCATION | SCALE, RESIDUAL_SHAPE);
}
