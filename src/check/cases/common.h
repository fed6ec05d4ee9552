// What the case files of several ops share.
#ifndef LEAD_CHECK_CASES_COMMON_H
#define LEAD_CHECK_CASES_COMMON_H

#include "check/case.h"

typedef void CaseBuild(Tape *t, Tensor *const *in, const Case *c);

// 1 and the neighbourhoods of the vector widths 8 and 16, then several vectors and a tail.
static const int64_t vector_edge[] = {1, 7, 8, 9, 15, 16, 17, 29, 53};
enum { VECTOR_EDGES = sizeof vector_edge / sizeof *vector_edge };

// Cases of an op y_i = f(x_i).  wide: f is meant to saturate or to stay finite far from 0.
// A value alone is positive: beside a zero of f or f' an error counted in ulps of that value says nothing.
static inline void cases_of_map(CaseList *list, OpId op, Fill fill, bool wide, CaseBuild *build)
{
    for (int i = 0; i < VECTOR_EDGES; i++)
        case_add(list, (Case){.op = op, .label = "vector edge", .n_in = 1, .build = build,
                              .in = {{.shape = SHAPE(vector_edge[i]), .fill = i ? fill : FILL_POSITIVE}}});
    case_add(list, (Case){.op = op, .label = "four dimensions", .n_in = 1, .build = build,
                          .in = {{.shape = SHAPE(2, 3, 5, 7), .fill = fill}}});
    if (wide)
        case_add(list, (Case){.op = op, .label = "saturated", .n_in = 1, .build = build, .large = true,
                              .in = {{.shape = SHAPE(13, 53), .fill = FILL_WIDE}}});
    case_add(list, (Case){.op = op, .label = "many values", .n_in = 1, .build = build, .large = true,
                          .in = {{.shape = SHAPE(37, 4099), .fill = fill}}});
}

// Cases of an op y = act(x w + b).
static inline void case_of_linear(CaseList *list, OpId op, CaseBuild *build, const char *label, Shape x, int64_t N,
                                  bool bias, bool large)
{
    case_add(list, (Case){.op = op, .label = label, .n_in = 3, .build = build, .large = large,
                          .in = {{.shape = x}, {.shape = SHAPE(shape_last(x), N)},
                                 {.shape = SHAPE(N), .absent = !bias}}});
}

static inline void cases_of_linear_act(CaseList *list, OpId op, CaseBuild *build)
{
    const CaseInput one = {.shape = SHAPE(1, 1), .fill = FILL_POSITIVE};   // away from the zero of act'
    case_add(list, (Case){.op = op, .label = "one value", .n_in = 3, .build = build,
                          .in = {one, one, {.shape = SHAPE(1), .fill = FILL_POSITIVE}}});
    case_of_linear(list, op, build, "odd", SHAPE(5, 7), 3, true, false);
    case_of_linear(list, op, build, "no bias", SHAPE(4, 9), 17, false, false);
    case_of_linear(list, op, build, "tokens", SHAPE(2, 3, 5), 6, true, false);
    case_of_linear(list, op, build, "multiples of four", SHAPE(2, 6, 20), 36, true, false);
    for (int i = 0; i < VECTOR_EDGES; i++)
        case_of_linear(list, op, build, "vector edge", SHAPE(2 + i, 6), vector_edge[i], true, false);
    for (int64_t few = 1; few < 6; few++)
        case_of_linear(list, op, build, "few rows", SHAPE(few, 20), 97, few != 2, true);
    case_of_linear(list, op, build, "tile edges", SHAPE(61, 130), 97, true, true);
    case_of_linear(list, op, build, "tile edges, no bias", SHAPE(7, 9, 130), 97, false, true);
}

#endif
