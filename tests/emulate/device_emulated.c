// device_cuda of programs linked with the emulated kernels: --device cuda is then the emulation, its memory fenced.
// Stands before the library, in the place of cuda/device.cu.
//   LEAD_EMULATE_WITHOUT=OP   a device without the kernels of that op
#include <stdlib.h>
#include <string.h>

#include "fence.h"

Status device_cuda(Device *d, Math math, Arena *a, ArenaFull *fail)
{
    (void)a;
    *d = fence_cuda();
    d->math = math;
    d->fail = fail;
    const char *without = getenv("LEAD_EMULATE_WITHOUT");
    for (int i = 0; without && i < OP_COUNT; i++)
        if (strcmp(without, op_info((OpId)i)->name) == 0) d->fwd[i] = d->bwd[i] = NULL;
    return OK;
}

size_t device_cuda_free(const Device *d)
{
    (void)d;
    return (size_t)4 << 30;
}
