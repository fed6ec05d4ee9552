#include "check/cases/common.h"

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    (void)c;
    tape_softplus(t, in[0]);
}

void softplus_cases(CaseList *list) { cases_of_map(list, OP_softplus, FILL_NORMAL, true, build); }
