// A device = a table of kernels plus the size of its real numbers.  Built once at start, const afterwards.
//   f32 CPU: filled with the reference kernels, overwritten by AVX2, then AVX-512, as cpuid and the cap allow.
//   f64 CPU: reference kernels only; the oracle of every fast variant and the ground of gradient checks.
#ifndef LEAD_TENSOR_DEVICE_H
#define LEAD_TENSOR_DEVICE_H

#include "tensor/ops.h"

typedef enum Isa { ISA_SCALAR, ISA_AVX2, ISA_AVX512, ISA_COUNT } Isa;

typedef struct Device {
    const char *name;            // "cpu-f32 (avx512)", "cpu-f64"
    size_t real_size;            // 4 or 8
    Isa isa;                     // highest instruction set in use
    Kernel *fwd[OP_COUNT];
    Kernel *bwd[OP_COUNT];       // NULL: not differentiable
    Isa fwd_isa[OP_COUNT], bwd_isa[OP_COUNT];
} Device;

// What this CPU and its operating system can run.
Isa isa_detect(void);
const char *isa_name(Isa isa);
// Parses scalar|avx2|avx512; a cap from LEAD_ISA or --isa.
Status isa_parse(const char *text, Isa *isa);

// cap above what the CPU has is lowered to what it has.
Device device_cpu_f32(Isa cap);
Device device_cpu_f64(void);

#endif
