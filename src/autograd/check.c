#include "autograd/check.h"

void check_dims(const char *op, const char *what, const Tensor *t, int n)
{
    char buf[96];
    CHECK(t->shape.n == n, "%s: %s wants %d dimensions, got %s", op, what, n, shape_text(t->shape, buf));
}

void check_shape(const char *op, const char *what, const Tensor *t, Shape want)
{
    char buf[96], buf2[96];
    CHECK(shape_equal(t->shape, want), "%s: %s wants %s, got %s", op, what, shape_text(want, buf),
          shape_text(t->shape, buf2));
}

void check_last(const char *op, const char *what, const Tensor *t, int64_t d)
{
    char buf[96];
    CHECK(shape_last(t->shape) == d, "%s: %s wants last dimension %lld, got %s", op, what, (long long)d,
          shape_text(t->shape, buf));
}
