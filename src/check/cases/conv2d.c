#include "check/case.h"

static void build(Tape *t, Tensor *const *in, const Case *c)
{
    tape_conv2d(t, in[0], in[1], in[2], (int)c->i[0], (int)c->i[1]);
}

typedef struct { const char *label; int64_t N, H, W, C, KH, KW, O, stride, pad; bool no_bias, large; } Conv;

static void conv(CaseList *list, Conv v)
{
    case_add(list, (Case){.op = OP_conv2d, .label = v.label, .n_in = 3, .build = build, .large = v.large,
                          .in = {{.shape = SHAPE(v.N, v.H, v.W, v.C)}, {.shape = SHAPE(v.KH, v.KW, v.C, v.O)},
                                 {.shape = SHAPE(v.O), .absent = v.no_bias}},
                          .i = {v.stride, v.pad}});
}

void conv2d_cases(CaseList *list)
{
    //                                           N   H   W   C KH KW  O  s  p
    conv(list, (Conv){"one value",               1,  1,  1,  1, 1, 1, 1, 1, 0, false, false});
    conv(list, (Conv){"1x1",                     2,  3,  5,  7, 1, 1, 9, 1, 0, false, false});
    conv(list, (Conv){"1x1 with pad 1",          1,  3,  3,  2, 1, 1, 3, 1, 1, false, false});
    conv(list, (Conv){"3x3, no pad",             2,  5,  3,  3, 3, 3, 4, 1, 0, false, false});
    conv(list, (Conv){"3x3, pad 1",              2,  5,  3,  3, 3, 3, 4, 1, 1, false, false});
    conv(list, (Conv){"3x3, no bias",            1,  3,  5,  4, 3, 3, 3, 1, 1, true,  false});
    conv(list, (Conv){"3x3, pad 2",              1,  3,  4,  2, 3, 3, 3, 1, 2, false, false});
    conv(list, (Conv){"3x3, stride 2, even",     2,  6,  4,  3, 3, 3, 3, 2, 1, false, false});
    conv(list, (Conv){"3x3, stride 2, odd",      1,  5,  7,  3, 3, 3, 2, 2, 1, false, false});
    conv(list, (Conv){"3x3, stride 2, no pad",   1,  6,  5,  2, 3, 3, 3, 2, 0, true,  false});
    conv(list, (Conv){"1x1, stride 2",           1,  5,  4,  3, 1, 1, 5, 2, 0, false, false});
    conv(list, (Conv){"3x3, stride 3, pad 2",    1,  7,  5,  2, 3, 3, 2, 3, 2, false, false});
    conv(list, (Conv){"5x5, pad 2",              1,  5,  4,  2, 5, 5, 3, 1, 2, false, false});
    conv(list, (Conv){"7x7, pad 3",              1,  5,  5,  1, 7, 7, 2, 1, 3, false, false});
    conv(list, (Conv){"7x7 on one pixel",        1,  1,  1,  2, 7, 7, 2, 1, 3, false, false});
    conv(list, (Conv){"1x5, pad 1",              1,  3,  6,  2, 1, 5, 3, 1, 1, false, false});
    conv(list, (Conv){"3x2, stride 2, pad 1",    1,  4,  5,  2, 3, 2, 3, 2, 1, false, false});
    conv(list, (Conv){"12x12 image",             1, 12, 12,  1, 3, 3, 2, 1, 1, false, false});
    conv(list, (Conv){"22x23 image, stride 2",   1, 22, 23,  1, 3, 3, 1, 2, 1, false, false});
    const int64_t edge[] = {1, 7, 8, 9, 15, 16, 17, 29, 53};
    for (int i = 0; i < (int)(sizeof edge / sizeof *edge); i++) {
        conv(list, (Conv){"output channels at the vector edge", 1, 2, 3, 1, 3, 3, edge[i], 1, 1, false, false});
        conv(list, (Conv){"input channels at the vector edge",  1, 3, 2, edge[i], 3, 3, 1, 1, 1, false, false});
    }
    // Winograd's algorithm, from 16 channels on: F(3x3) and F(4x4), both gradients, tails of every kind
    conv(list, (Conv){"Winograd 3",              1,  3,  3, 16, 3, 3, 16, 1, 1, false, false});
    conv(list, (Conv){"Winograd 4",              1,  4,  4, 16, 3, 3, 16, 1, 1, false, false});
    conv(list, (Conv){"Winograd 3, tails",       3,  5,  5, 17, 3, 3, 33, 1, 1, true,  true});
    conv(list, (Conv){"Winograd 4, tails",       2, 13, 11, 29, 3, 3, 53, 1, 1, false, true});
    conv(list, (Conv){"Winograd 4, no pad",      2, 10, 13, 31, 3, 3, 17, 1, 0, false, true});
    conv(list, (Conv){"Winograd 4, pad 2",       1,  8,  9, 24, 3, 3, 40, 1, 2, true,  true});
    conv(list, (Conv){"Winograd 3, pad 2",       2,  4,  4, 16, 3, 3, 65, 1, 2, false, true});
    conv(list, (Conv){"Winograd 4, chunks",      9, 12, 11, 16, 3, 3, 16, 1, 1, false, true});
    conv(list, (Conv){"Winograd 4, blocks",      1,  8,  8, 145, 3, 3, 161, 1, 1, false, true});
    conv(list, (Conv){"channels in fours",       1,  5,  3,  4, 3, 3, 8, 1, 1, false, false});
    conv(list, (Conv){"channels in fours, stride 2", 1, 5, 6, 8, 3, 3, 4, 2, 1, false, false});
    conv(list, (Conv){"many pixels",             8, 46, 46,  4, 3, 3, 4, 1, 1, false, true});
    conv(list, (Conv){"LEAD 12x12",              2, 12, 12, 64, 3, 3, 64, 1, 1, false, true});
    conv(list, (Conv){"LEAD 23x23",              1, 23, 23, 32, 3, 3, 64, 1, 1, false, true});
    conv(list, (Conv){"LEAD 23x23, stride 2",    1, 23, 23, 64, 3, 3, 64, 2, 1, false, true});
    conv(list, (Conv){"LEAD 3x3, wide",          4,  3,  3, 256, 3, 3, 128, 1, 1, false, true});
    conv(list, (Conv){"LEAD stem 7x7",           2, 23, 23,  3, 7, 7, 16, 1, 3, false, true});
    conv(list, (Conv){"LEAD 1x1",                2, 12, 12, 96, 1, 1, 64, 1, 0, false, true});
    conv(list, (Conv){"bands of rows",           2, 31, 9,  5, 3, 3, 37, 1, 1, false, true});
    conv(list, (Conv){"bands, stride 2",        19, 53, 6,  2, 5, 3, 9, 2, 2, true,  true});
    conv(list, (Conv){"LEAD stem 5x5",          17, 12, 12,  3, 5, 5, 16, 1, 2, false, true});
    conv(list, (Conv){"LEAD 1x1, stride 2",      3, 12, 12, 16, 1, 1, 32, 2, 0, false, true});
    conv(list, (Conv){"LEAD last layer",         2, 12, 12, 64, 3, 3, 3, 1, 1, false, true});
    conv(list, (Conv){"odd everywhere",          3, 11, 13, 29, 3, 5, 53, 2, 1, true, true});
    conv(list, (Conv){"Winograd, panel by panel", 3, 3, 3, 257, 3, 3, 261, 1, 1, false, true});
    conv(list, (Conv){"few outputs",            13,  9,  7, 22, 3, 5, 3, 1, 2, false, true});
    conv(list, (Conv){"few outputs, stride 2",   7,  9,  8, 35, 5, 3, 4, 2, 1, true,  true});
}
