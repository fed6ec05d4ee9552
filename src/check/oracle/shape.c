// Ops that move values: each output element asks, from its coordinates, which input element it is.
#include "check/oracle.h"

// Coordinates of element i of a tensor of shape s, and back.
static void coordinates(Shape s, int64_t i, int64_t at[MAX_DIMS])
{
    for (int d = s.n - 1; d >= 0; d--) {
        at[d] = i % s.d[d];
        i /= s.d[d];
    }
}

static int64_t element(Shape s, const int64_t at[MAX_DIMS])
{
    int64_t i = 0;
    for (int d = 0; d < s.n; d++) i = i * s.d[d] + at[d];
    return i;
}

void embedding_oracle(const OpCall *c, long double *const *out)
{
    const double *table = c->in[0]->x;
    const int32_t *index = c->in[1]->x;
    const int64_t D = c->in[0]->shape.d[1];
    for (int64_t i = 0; i < numel(c->out[0]); i++) out[0][i] = table[index[i / D] * D + i % D];
}

void concat_oracle(const OpCall *c, long double *const *out)
{
    const int axis = ((const ConcatParams *)c->p)->axis;
    for (int64_t i = 0; i < numel(c->out[0]); i++) {
        int64_t at[MAX_DIMS];
        int j = 0;
        coordinates(c->out[0]->shape, i, at);
        while (at[axis] >= c->in[j]->shape.d[axis]) at[axis] -= c->in[j++]->shape.d[axis];
        out[0][i] = ((const double *)c->in[j]->x)[element(c->in[j]->shape, at)];
    }
}

void slice_oracle(const OpCall *c, long double *const *out)
{
    const SliceParams *p = c->p;
    for (int64_t i = 0; i < numel(c->out[0]); i++) {
        int64_t at[MAX_DIMS];
        coordinates(c->out[0]->shape, i, at);
        at[p->axis] += p->start;
        out[0][i] = ((const double *)c->in[0]->x)[element(c->in[0]->shape, at)];
    }
}

void permute_oracle(const OpCall *c, long double *const *out)
{
    const PermuteParams *p = c->p;
    for (int64_t i = 0; i < numel(c->out[0]); i++) {
        int64_t at[MAX_DIMS], from[MAX_DIMS] = {0};
        coordinates(c->out[0]->shape, i, at);
        for (int d = 0; d < c->out[0]->shape.n; d++) from[p->perm[d]] = at[d];
        out[0][i] = ((const double *)c->in[0]->x)[element(c->in[0]->shape, from)];
    }
}

// The input moved by (top, left); zero outside.
static void shifted(const OpCall *c, long double *out, int64_t top, int64_t left)
{
    const Shape s = c->in[0]->shape;
    for (int64_t i = 0; i < numel(c->out[0]); i++) {
        int64_t at[MAX_DIMS];
        coordinates(c->out[0]->shape, i, at);
        at[1] -= top;
        at[2] -= left;
        const bool inside = at[1] >= 0 && at[1] < s.d[1] && at[2] >= 0 && at[2] < s.d[2];
        out[i] = inside ? ((const double *)c->in[0]->x)[element(s, at)] : 0;
    }
}

void pad2d_oracle(const OpCall *c, long double *const *out)
{
    const Pad2dParams *p = c->p;
    shifted(c, out[0], p->top, p->left);
}

void crop2d_oracle(const OpCall *c, long double *const *out)
{
    const Pad2dParams *p = c->p;
    shifted(c, out[0], -p->top, -p->left);
}
