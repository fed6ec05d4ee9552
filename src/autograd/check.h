// Shape checks shared by the checked op calls.  A mismatch is a bug: it prints both shapes and stops.
#ifndef LEAD_AUTOGRAD_CHECK_H
#define LEAD_AUTOGRAD_CHECK_H

#include "autograd/tape.h"

// t must have n dimensions.
void check_dims(const char *op, const char *what, const Tensor *t, int n);
// t must have exactly this shape.
void check_shape(const char *op, const char *what, const Tensor *t, Shape want);
// t's last dimension must be d.
void check_last(const char *op, const char *what, const Tensor *t, int64_t d);

static inline Tensor *tape_unary(Tape *t, OpId op, Tensor *a, const void *p, size_t p_size)
{
    return tape_op(t, op, 1, &a, 1, &a->shape, p, p_size)->out[0];
}

#endif
