#include "check/cases/common.h"

static void build(Tape *t, Tensor *const *in, const Case *c) { tape_crps_pair(t, in[0], in[1], in[2], c->f[0]); }

static void shape(CaseList *list, const char *label, Shape s, Fill fill, double fair, bool data, bool large)
{
    case_add(list, (Case){.op = OP_crps_pair, .label = label, .n_in = 3, .build = build, .large = large, .f = {fair},
                          .in = {{.shape = s, .fill = fill}, {.shape = s, .fill = fill},
                                 {.shape = s, .fill = fill, .no_grad = data}}});
}

void crps_pair_cases(CaseList *list)
{
    for (int i = 0; i < VECTOR_EDGES; i++)
        shape(list, "vector edge", SHAPE(vector_edge[i]), FILL_NORMAL, 0.95, i % 2, false);
    shape(list, "fair", SHAPE(3, 29), FILL_NORMAL, 1, false, false);
    shape(list, "as an ensemble", SHAPE(3, 29), FILL_NORMAL, 0, false, false);
    shape(list, "ties among whole numbers", SHAPE(1999), FILL_STEPS, 0.95, false, false);
    shape(list, "forecasts; the truth is data", SHAPE(2, 3, 5, 3), FILL_NORMAL, 0.95, true, false);
    shape(list, "many values", SHAPE(37, 4099), FILL_NORMAL, 0.95, false, true);
}
