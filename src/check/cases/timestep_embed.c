#include "check/cases/common.h"

static void build(Tape *t, Tensor *const *in, const Case *c) { tape_timestep_embed(t, in[0], (int)c->i[0]); }

static void shape(CaseList *list, const char *label, int64_t N, int64_t dim, Fill fill)
{
    case_add(list, (Case){.op = OP_timestep_embed, .label = label, .n_in = 1, .build = build,
                          .in = {{.shape = SHAPE(N), .fill = fill, .no_grad = true}}, .i = {dim}});
}

void timestep_embed_cases(CaseList *list)
{
    shape(list, "two values", 3, 2, FILL_STEPS);
    shape(list, "width 128", 8, 128, FILL_STEPS);
    shape(list, "times between steps", 5, 34, FILL_POSITIVE);
    for (int i = 0; i < VECTOR_EDGES; i++) {
        shape(list, "half width at the vector edge", 4, 2 * vector_edge[i], FILL_STEPS);
        shape(list, "batch at the vector edge", vector_edge[i], 6, FILL_STEPS);
    }
}
