#include "check/cases/common.h"

// i: every i-th target is set to -1, ignored (0: none)
static void build(Tape *t, Tensor *const *in, const Case *c)
{
    int32_t *target = in[1]->x;
    for (int64_t r = 0; c->i[0] && r < numel(in[1]); r += c->i[0]) target[r] = -1;
    tape_cross_entropy(t, in[0], in[1]);
}

static void shape(CaseList *list, const char *label, int64_t R, int64_t V, int64_t ignore, Fill fill, bool large)
{
    case_add(list, (Case){.op = OP_cross_entropy, .label = label, .n_in = 2, .build = build, .large = large,
                          .in = {{.shape = SHAPE(R, V), .fill = fill},
                                 {.shape = SHAPE(R), .fill = FILL_INDEX, .limit = V, .no_grad = true}}, .i = {ignore}});
}

void cross_entropy_cases(CaseList *list)
{
    for (int i = 0; i < VECTOR_EDGES; i++) {
        shape(list, "vector edge", 3, vector_edge[i], 0, FILL_NORMAL, false);
        shape(list, "rows at the vector edge, some ignored", vector_edge[i], 3, 4, FILL_NORMAL, false);
    }
    shape(list, "every row ignored", 5, 7, 1, FILL_NORMAL, false);
    shape(list, "every other row ignored", 8, 17, 2, FILL_NORMAL, false);
    shape(list, "logits up to 999", 9, 53, 0, FILL_STEPS, true);
    shape(list, "logits up to 999, the maximum rises", 7, 5027, 3, FILL_STEPS, true);
    shape(list, "words", 33, 5027, 5, FILL_NORMAL, true);
    shape(list, "more rows than threads that add their losses", 1031, 5, 3, FILL_NORMAL, true);
}
