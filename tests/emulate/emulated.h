// The emulated GPU as a device of the checks: the CUDA kernels that exist, plain C for the rest; device memory is host
// memory.  tests/emulate/cuda_emulate.h says how kernels run.
#ifndef LEAD_TESTS_EMULATED_H
#define LEAD_TESTS_EMULATED_H

#include "tensor/device.h"

static inline Device device_emulated(void)
{
    Device d = device_cpu_f32(ISA_SCALAR);
    d.name = "cuda (emulated)";
    d.exact = true;
    device_cuda_slots(&d);
    return d;
}

#endif
