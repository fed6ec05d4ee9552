#include "check/cases/common.h"

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    (void)c;
    tape_linear_gelu(t, in[0], in[1], in[2]);
}

void linear_gelu_cases(CaseList *list) { cases_of_linear_act(list, OP_linear_gelu, build); }
