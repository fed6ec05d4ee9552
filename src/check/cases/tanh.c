#include "check/cases/common.h"

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    (void)c;
    tape_tanh(t, in[0]);
}

void tanh_cases(CaseList *list) { cases_of_map(list, OP_tanh, FILL_NORMAL, true, build); }
