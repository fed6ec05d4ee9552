// Devices whose memory the host may not touch: pages without access outside kernels and copies, so that a host read or
// write of a device pointer dies at once (SIGSEGV).  What a GPU would do, found without one.
//   fence_cpu    the CPU's kernels behind the fence: results have the bits of that CPU device
//   fence_cuda   the CUDA kernels, emulated: the fence opens only while the threads of a kernel run, so that the host
//                side of cuda/*.cu is held to the rule as well.  It records (tensor/graph.h), and a value that goes
//                in or out meanwhile is a CHECK
#ifndef LEAD_TESTS_FENCE_H
#define LEAD_TESTS_FENCE_H

#include "tensor/device.h"

Device fence_cpu(const Device *cpu);   // cpu must outlive the device
Device fence_cuda(void);               // ops without a CUDA kernel have no kernel

#endif
