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

#endif
