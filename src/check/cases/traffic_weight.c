#include "autograd/traffic.h"
#include "check/cases/common.h"

// i: history, steps, channels.  in: u; absent: zeros
static void build(Tape *t, Tensor *const *in, const Case *c)
{
    Tensor *u = in[0] ? in[0] : tape_zeros(t, SHAPE(2, c->i[0] + 1 + c->i[1], 5));
    tape_traffic_weight(t, u, (int)c->i[0], c->i[1], c->i[2]);
}

static void shape(CaseList *list, const char *label, int64_t B, int64_t F, int64_t history, int64_t steps,
                  int64_t channels, bool zero)
{
    case_add(list, (Case){.op = OP_traffic_weight, .label = label, .n_in = 1, .build = build,
                          .i = {history, steps, channels},
                          .in = {{.shape = SHAPE(B, history + 1 + 2 * steps, F), .fill = FILL_POSITIVE,
                                  .absent = zero}}});
}

void traffic_weight_cases(CaseList *list)
{
    for (int i = 0; i < VECTOR_EDGES; i++) shape(list, "vector edge", 2, vector_edge[i], 4, 3, 1, false);
    shape(list, "channels", 3, 7, 2, 2, 3, false);
    shape(list, "no traffic", 2, 5, 3, 2, 1, true);
    shape(list, "a wide network", 2, 2500, 2, 2, 1, false);
}
