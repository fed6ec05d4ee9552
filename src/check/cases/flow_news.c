#include "autograd/traffic.h"
#include "check/cases/common.h"

// in: error, now, before, mean, unit
static void build(Tape *t, Tensor *const *in, const Case *c)
{
    (void)c;
    tape_flow_news(t, in[0], in[1], in[2], in[3], in[4]);
}

static void shape(CaseList *list, const char *label, int64_t B, int64_t N, int64_t n)
{
    const CaseInput row = {.shape = SHAPE(B, 2 * N + 1)};
    case_add(list, (Case){.op = OP_flow_news, .label = label, .n_in = 5, .build = build,
                          .in = {{.shape = SHAPE(B, 2 * N * N, n), .fill = FILL_POSITIVE}, row, row, row,
                                 {.shape = SHAPE(2 * N + 1), .fill = FILL_POSITIVE}}});
}

void flow_news_cases(CaseList *list)
{
    shape(list, "one node", 2, 1, 1);
    shape(list, "two nodes", 3, 2, 2);
    shape(list, "odd", 2, 5, 3);
    shape(list, "one window of many nodes", 1, 23, 1);
    shape(list, "the model's sizes", 8, 12, 6);
}
