#include "check/cases/common.h"

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    (void)c;
    tape_relu(t, in[0]);
}

void relu_cases(CaseList *list) { cases_of_map(list, OP_relu, FILL_DISTINCT, true, build); }
