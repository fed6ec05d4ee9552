// linear_gelu: y = gelu_tanh(h), h = x w + b.   x [..,K], w [K,N], b [N] or NULL -> y [..,N], h [..,N] (for backward)
//   dh = dy gelu_tanh'(h), then linear's backward
#include "tensor/ref/linear_act.h"

KERNEL(linear_gelu, fwd) { linear_act(c, act_gelu_tanh); }
KERNEL(linear_gelu, bwd) { linear_act_back(c, act_gelu_tanh_grad); }
