#include "check/cases/common.h"

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    (void)c;
    tape_silu(t, in[0]);
}

void silu_cases(CaseList *list) { cases_of_map(list, OP_silu, FILL_NORMAL, true, build); }
