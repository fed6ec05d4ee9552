#include "check/case.h"

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    (void)c;
    tape_selective_scan(t, in[0], in[1], in[2], in[3], in[4], in[5]);
}

// S sequences of T steps, W channels with N states each.
static void filled(CaseList *list, const char *label, int64_t S, int64_t T, int64_t W, int64_t N, Fill delta,
                   Fill decay, bool large)
{
    const CaseInput wide = {.shape = SHAPE(S, T, W)}, narrow = {.shape = SHAPE(S, T, N)};
    case_add(list, (Case){.op = OP_selective_scan, .label = label, .n_in = 6, .build = build, .large = large,
                          .in = {wide, {.shape = SHAPE(S, T, W), .fill = delta},
                                 {.shape = SHAPE(W, N), .fill = decay}, narrow, narrow, {.shape = SHAPE(W)}}});
}

static void shape(CaseList *list, const char *label, int64_t S, int64_t T, int64_t W, int64_t N)
{
    filled(list, label, S, T, W, N, FILL_POSITIVE, FILL_NEGATIVE, false);
}

void selective_scan_cases(CaseList *list)
{
    shape(list, "one value", 1, 1, 1, 1);
    shape(list, "one step", 3, 1, 5, 4);
    shape(list, "one state", 2, 6, 3, 1);
    shape(list, "one channel", 2, 5, 1, 6);
    const int64_t states[] = {2, 3, 4, 5, 8, 17};
    for (int i = 0; i < (int)(sizeof states / sizeof *states); i++)
        shape(list, "states: whole fours and a rest", 2, 3, 2, states[i]);
    const int64_t edge[] = {7, 8, 9, 15, 16, 17, 33};
    for (int i = 0; i < (int)(sizeof edge / sizeof *edge); i++)
        shape(list, "channels at the vector edge", 1, 3, edge[i], 2);
    filled(list, "states that may grow", 2, 4, 3, 5, FILL_POSITIVE, FILL_NORMAL, false);
    filled(list, "steps after which nothing is left", 2, 3, 9, 3, FILL_STEPS, FILL_NEGATIVE, false);
    shape(list, "more sequences than pieces", 67, 2, 2, 1);
    filled(list, "MamNet, in slices on a GPU", 5, 16, 128, 16, FILL_POSITIVE, FILL_NEGATIVE, true);
    filled(list, "odd everywhere", 37, 13, 29, 7, FILL_POSITIVE, FILL_NEGATIVE, true);
    filled(list, "a long sequence", 1, 61, 35, 19, FILL_POSITIVE, FILL_NEGATIVE, true);
}
