// Data of one step: tensors in the step arena that need no gradient.
#include "autograd/tape.h"

Tensor *tape_tensor(Tape *t, Shape s) { return tensor_new(t->step, t->dev, REAL, s, "data"); }

Tensor *tape_from_f32(Tape *t, Shape s, const float *src)
{
    Tensor *y = tape_tensor(t, s);
    tensor_set_f32(y, src, shape_numel(s));
    return y;
}

Tensor *tape_from_i32(Tape *t, Shape s, const int32_t *src)
{
    Tensor *y = tensor_new(t->step, t->dev, I32, s, "index");
    tensor_set_i32(y, src, shape_numel(s));
    return y;
}

Tensor *tape_zeros(Tape *t, Shape s)
{
    Tensor *y = tape_tensor(t, s);
    tensor_fill(y, 0);
    return y;
}
