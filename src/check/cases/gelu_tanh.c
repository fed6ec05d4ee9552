#include "check/cases/common.h"

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    (void)c;
    tape_gelu_tanh(t, in[0]);
}

void gelu_tanh_cases(CaseList *list) { cases_of_map(list, OP_gelu_tanh, FILL_NORMAL, true, build); }
