#include "check/cases/common.h"

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    Tensor *w[CONV_BRANCHES], *b[CONV_BRANCHES];
    const int n = c->n_in / 2;
    for (int m = 0; m < n; m++) w[m] = in[2 * m + 1], b[m] = in[2 * m + 2];
    tape_conv2d_multi(t, in[0], n, w, b);
}

typedef struct Stem {
    const char *label;
    int64_t N, H, W, C, k[CONV_BRANCHES], O[CONV_BRANCHES];   // k = 0: no such branch
    int without;                                              // bit m: branch m has no bias
    bool large;
} Stem;

static void stem(CaseList *list, Stem s)
{
    Case c = {.op = OP_conv2d_multi, .label = s.label, .n_in = 1, .build = build, .large = s.large,
              .in = {{.shape = SHAPE(s.N, s.H, s.W, s.C)}}};
    for (int m = 0; m < CONV_BRANCHES && s.k[m]; m++, c.n_in += 2) {
        c.in[2 * m + 1].shape = SHAPE(s.k[m], s.k[m], s.C, s.O[m]);
        c.in[2 * m + 2] = (CaseInput){.shape = SHAPE(s.O[m]), .absent = s.without >> m & 1};
    }
    case_add(list, c);
}

void conv2d_multi_cases(CaseList *list)
{
    //                                  N   H   W  C  windows       outputs
    stem(list, (Stem){"one value",      1,  1,  1, 1, {1},          {1}, 0, false});
    stem(list, (Stem){"one branch",     2,  4,  5, 3, {3},          {4}, 0, false});
    stem(list, (Stem){"one 1x1",        1,  3,  5, 3, {1},          {5}, 1, false});
    stem(list, (Stem){"two branches",   2,  3,  4, 3, {1, 3},       {2, 3}, 0, false});
    stem(list, (Stem){"alike windows",  1,  4,  3, 2, {3, 3},       {3, 1}, 2, false});
    stem(list, (Stem){"no 1x1, a gap",  1,  5,  4, 1, {3, 7},       {2, 3}, 0, false});
    stem(list, (Stem){"three branches", 1,  6,  7, 3, {1, 3, 5},    {2, 2, 3}, 5, false});
    stem(list, (Stem){"four branches",  1,  6,  6, 3, {1, 3, 5, 7}, {1, 2, 1, 3}, 0, false});
    stem(list, (Stem){"no bias",        1,  7,  6, 3, {1, 3, 5, 7}, {2, 1, 2, 1}, 15, false});
    stem(list, (Stem){"one pixel",      3,  1,  1, 2, {1, 5, 7},    {2, 1, 3}, 0, false});
    stem(list, (Stem){"narrower than the window", 2, 9, 2, 3, {3, 7}, {2, 2}, 0, false});
    stem(list, (Stem){"one column",     2,  4,  1, 3, {3, 5},       {3, 2}, 0, false});
    stem(list, (Stem){"9x9 window",     1,  9,  8, 3, {1, 9},       {2, 2}, 0, false});
    for (int i = 0; i < VECTOR_EDGES; i++) {
        stem(list, (Stem){"outputs at the vector edge", 1, 3, 4, 1, {1, 3}, {3, vector_edge[i]}, 0, false});
        stem(list, (Stem){"channels at the vector edge", 1, 2, 3, vector_edge[i], {1, 3}, {2, 1}, 0, false});
        stem(list, (Stem){"images at the vector edge", vector_edge[i], 3, 3, 2, {1, 3}, {1, 2}, 0, i > 7});
    }
    stem(list, (Stem){"5 images of four channels", 5, 7, 8, 4, {1, 3, 5}, {5, 20, 33}, 2, true});
    stem(list, (Stem){"LEAD base 16",  29, 12, 12, 3, {1, 3, 5},    {16, 16, 16}, 0, true});
    stem(list, (Stem){"LEAD base 32",   7, 12, 12, 3, {1, 3, 5},    {32, 32, 32}, 0, true});
    stem(list, (Stem){"LEAD 23x23",     8, 23, 23, 3, {1, 3, 5, 7}, {32, 32, 32, 32}, 0, true});
    stem(list, (Stem){"odd everywhere", 13, 11, 9, 3, {1, 3, 5, 7}, {5, 17, 35, 7}, 8, true});
    stem(list, (Stem){"many channels",  2,  9,  8, 37, {1, 5},      {19, 40}, 0, true});
}
