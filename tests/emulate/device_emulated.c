// device_cuda of programs linked with the emulated kernels: --device cuda is then the emulation, its memory fenced.  Stands
// before the library, in the place of cuda/device.cu.
#include "fence.h"

Status device_cuda(Device *d, Math math, Arena *a, ArenaFull *fail)
{
    (void)a, (void)fail;
    *d = fence_cuda();
    d->math = math;
    return OK;
}

size_t device_cuda_free(const Device *d)
{
    (void)d;
    return (size_t)4 << 30;
}
