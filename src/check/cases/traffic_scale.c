#include <math.h>

#include "autograd/traffic.h"
#include "check/cases/common.h"

enum { KNOTS = 9 };

// i: kind, inverse, knots.  in: x, flowmax
static void build(Tape *t, Tensor *const *in, const Case *c)
{
    const TrafficScaleParams p = {(ScaleKind)c->i[0], c->i[1] != 0, 1.7, 0.3};
    const int64_t n = c->i[2];
    Tensor *kbps = NULL, *s = NULL;
    if (p.kind == SCALE_QUANTILE) {
        float *v = arena_alloc(t->step, 2 * (size_t)n * sizeof *v), *w = v + n;
        for (int64_t i = 0; i < n; i++) v[i] = 0.125f * (float)(i * i), w[i] = (float)i / (float)(n - 1);
        kbps = tape_from_f32(t, SHAPE(n), v);
        s = tape_from_f32(t, SHAPE(n), w);
    }
    tape_traffic_scale(t, in[0], in[1], kbps, s, &p);
}

static void shape(CaseList *list, const char *label, Shape s, Fill fill, ScaleKind kind, bool inverse, int64_t knots)
{
    case_add(list, (Case){.op = OP_traffic_scale, .label = label, .n_in = 2, .build = build,
                          .i = {(int64_t)kind, inverse, knots},
                          .in = {{.shape = s, .fill = fill}, {.shape = SHAPE(shape_last(s)), .fill = FILL_POSITIVE}}});
}

void traffic_scale_cases(CaseList *list)
{
    for (int kind = 0; kind < SCALE_KINDS; kind++)
        for (int inverse = 0; inverse < 2; inverse++) {
            const ScaleKind k = (ScaleKind)kind;
            for (int i = 0; i < VECTOR_EDGES; i++)
                shape(list, "vector edge", SHAPE(3, vector_edge[i]), FILL_POSITIVE, k, inverse, KNOTS);
            shape(list, "within the first maximum", SHAPE(2, 3, 17), FILL_UNIT, k, inverse, KNOTS);
            shape(list, "two knots", SHAPE(5, 7), FILL_POSITIVE, k, inverse, 2);
            shape(list, "257 knots", SHAPE(33, 31), FILL_STEPS, k, inverse && kind != SCALE_LOG, 257);
            shape(list, "many values", SHAPE(67, 144), FILL_POSITIVE, k, inverse, 258);
        }
    for (int kind = 0; kind < SCALE_KINDS; kind++)
        shape(list, "back from below 0", SHAPE(7, 9), FILL_NORMAL, (ScaleKind)kind, true, KNOTS);
}
