#include "check/cases/common.h"

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    (void)c;
    tape_gelu_erf(t, in[0]);
}

void gelu_erf_cases(CaseList *list) { cases_of_map(list, OP_gelu_erf, FILL_NORMAL, true, build); }
