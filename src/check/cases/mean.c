#include "check/cases/common.h"

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    (void)c;
    tape_mean(t, in[0]);
}

void mean_cases(CaseList *list) { cases_of_map(list, OP_mean, FILL_NORMAL, false, build); }
