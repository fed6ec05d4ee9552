#include "check/cases/windows.h"

// Row t - back where it exists; none for every `period`-th row.
static int32_t origin(int64_t t, int64_t back) { return (int32_t)(t < back || t % 11 == 7 ? -1 : t - back); }

// i: slots from forecast to its row.  in: u, made, sigma
static void build(Tape *t, Tensor *const *in, const Case *c)
{
    tape_base_error(t, in[0], in[1], index_tensor(t, in[0]->shape.d[0], origin, c->i[0]), in[2]);
}

static void shape(CaseList *list, const char *label, int64_t T, int64_t F, int64_t back, Fill fill)
{
    case_add(list, (Case){.op = OP_base_error, .label = label, .n_in = 3, .build = build, .i = {back},
                          .in = {{.shape = SHAPE(T, F), .fill = fill}, {.shape = SHAPE(T, F), .fill = fill},
                                 {.shape = SHAPE(F), .fill = FILL_POSITIVE}}});
}

void base_error_cases(CaseList *list)
{
    for (int i = 0; i < VECTOR_EDGES; i++) shape(list, "vector edge", 13, vector_edge[i], 2, FILL_NORMAL);
    shape(list, "one row", 1, 3, 1, FILL_NORMAL);
    shape(list, "beyond the limits", 40, 9, 5, FILL_WIDE);
    shape(list, "many rows", 1200, 25, 20, FILL_NORMAL);
}
