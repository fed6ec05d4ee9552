// device_cuda of programs linked with the emulated kernels: --device cuda is then the emulation, its memory fenced.  Stands
// before the library, in the place of cuda/device.cu.
#include "fence.h"
#include "tensor/graph.h"

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

void device_graph_begin(const Device *d) { (void)d; }

void *device_graph_end(const Device *d)
{
    (void)d;
    return NULL;
}

void device_graph_run(const Device *d, void *graph) { (void)d, (void)graph; }
void device_graph_free(const Device *d, void *graph) { (void)d, (void)graph; }
