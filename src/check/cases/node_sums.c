#include "autograd/traffic.h"
#include "check/cases/common.h"

// in: x
static void build(Tape *t, Tensor *const *in, const Case *c)
{
    (void)c;
    tape_node_sums(t, in[0]);
}

static void shape(CaseList *list, const char *label, int64_t T, int64_t N)
{
    case_add(list, (Case){.op = OP_node_sums, .label = label, .n_in = 1, .build = build,
                          .in = {{.shape = SHAPE(T, N * N), .fill = FILL_POSITIVE}}});
}

void node_sums_cases(CaseList *list)
{
    shape(list, "one node", 3, 1);
    shape(list, "two nodes", 5, 2);
    shape(list, "odd", 7, 5);
    shape(list, "one row of many nodes", 1, 23);
    shape(list, "the model's sizes", 300, 12);
}
