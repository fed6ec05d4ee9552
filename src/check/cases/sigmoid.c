#include "check/cases/common.h"

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    (void)c;
    tape_sigmoid(t, in[0]);
}

void sigmoid_cases(CaseList *list) { cases_of_map(list, OP_sigmoid, FILL_NORMAL, true, build); }
