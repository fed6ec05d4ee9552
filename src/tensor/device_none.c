// What --device cuda is in a build without CUDA.  build/lead-cuda links cuda/device.cu in front of the library, so that
// this object is not taken from it.
#include "tensor/device.h"

Status device_cuda(Device *d, Math math, Arena *a, ArenaFull *fail)
{
    (void)d, (void)math, (void)a, (void)fail;
    return ERROR("--device cuda: this program was built without CUDA; `make cuda` makes build/lead-cuda where nvcc is");
}

size_t device_cuda_free(const Device *d)
{
    (void)d;
    return 0;
}
