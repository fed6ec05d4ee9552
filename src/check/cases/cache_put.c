#include "check/cases/common.h"

// in: cache, x.   i: start, in place
static void build(Tape *t, Tensor *const *in, const Case *c)
{
    if (c->i[1]) {
        tape_cache_put(t, in[0], in[1], c->i[0]);
        return;
    }
    const CachePutParams p = {c->i[0]};
    Tensor *out = tape_tensor(t, in[0]->shape);
    tape_run(t, OP_cache_put, 2, in, 1, &out, &p);
}

static void shape(CaseList *list, const char *label, Shape cache, int64_t T, int64_t start)
{
    for (int in_place = 0; in_place < 2; in_place++)
        case_add(list, (Case){.op = OP_cache_put, .label = label, .n_in = 2, .build = build, .i = {start, in_place},
                              .in = {{.shape = cache, .no_grad = true},
                                     {.shape = SHAPE(cache.d[0], T, cache.d[2]), .no_grad = true}}});
}

void cache_put_cases(CaseList *list)
{
    shape(list, "all of it", SHAPE(2, 3, 5), 3, 0);
    shape(list, "the first row", SHAPE(2, 4, 3), 1, 0);
    shape(list, "the last row", SHAPE(3, 4, 3), 1, 3);
    shape(list, "rows in the middle", SHAPE(2, 7, 3), 2, 4);
    shape(list, "one sample, one channel", SHAPE(1, 9, 1), 4, 3);
    shape(list, "GPT-2, one token", SHAPE(2, 64, 96), 1, 41);
}
