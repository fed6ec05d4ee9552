// The kernels that ops.def promises in its cuda columns.  A row with Y whose kernel is missing does not link.
#include "launch.h"

#define SLOT_Y(dir, name) d->dir[OP_##name] = name##_##dir##_cuda;
#define SLOT_N(dir, name)

extern "C" void device_cuda_slots(Device *d)
{
#define OP(name, family, diff, sf, sb, cf, cb, ulps, flops) SLOT_##cf(fwd, name) SLOT_##cb(bwd, name)
#include "tensor/ops.def"
#undef OP
    d->bf16_columns = d->nf4 = true;
}
