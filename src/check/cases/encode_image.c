#include "autograd/traffic.h"
#include "check/cases/common.h"

// i: first column, columns, channels.  in: u, means
static void build(Tape *t, Tensor *const *in, const Case *c)
{
    const EncodeParams p = {1.3, 2.1, (int)c->i[0], (int)c->i[1], (int)c->i[2]};
    tape_encode_image(t, in[0], in[1], &p);
}

static void shape(CaseList *list, const char *label, int64_t B, int64_t W, int64_t F, int64_t M, int first, int count,
                  int channels)
{
    case_add(list, (Case){.op = OP_encode_image, .label = label, .n_in = 2, .build = build,
                          .i = {first, count, channels},
                          .in = {{.shape = SHAPE(B, W, F), .fill = FILL_POSITIVE},
                                 {.shape = SHAPE(B, M, F), .fill = FILL_POSITIVE}}});
}

void encode_image_cases(CaseList *list)
{
    for (int i = 0; i < VECTOR_EDGES; i++) {
        shape(list, "vector edge", 2, 6, vector_edge[i], 4, 1, 3, 3);
        shape(list, "grey", 2, 6, vector_edge[i], 4, 2, 3, 1);
    }
    shape(list, "columns after the history", 3, 9, 16, 7, 5, 3, 3);
    shape(list, "the model's sizes", 8, 37, 144, 36, 1, 16, 3);
}
