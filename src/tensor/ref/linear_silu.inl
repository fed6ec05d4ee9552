// linear_silu: y = silu(h), h = x w + b.   x [..,K], w [K,N], b [N] or NULL -> y [..,N], h [..,N] (for backward)
//   dh = dy silu'(h), then linear's backward
#include "tensor/ref/linear_act.h"

KERNEL(linear_silu, fwd) { linear_act(c, act_silu); }
KERNEL(linear_silu, bwd) { linear_act_back(c, act_silu_grad); }
