// A device = a table of kernels plus the size of its real numbers.  Built once at start, const afterwards.
//   f32 CPU: filled with the reference kernels, overwritten by AVX2, then AVX-512, as cpuid and the cap allow.
//   f64 CPU: reference kernels only; the oracle of every fast variant and the ground of gradient checks.
#ifndef LEAD_TENSOR_DEVICE_H
#define LEAD_TENSOR_DEVICE_H

#include "tensor/ops.h"

typedef enum Isa { ISA_SCALAR, ISA_AVX2, ISA_AVX512, ISA_COUNT } Isa;

// How products are computed on devices that can choose; sums and stored values are f32 always.
typedef enum Math { MATH_FP32, MATH_TF32, MATH_BF16 } Math;

struct Device;

// Memory that the host cannot touch.  All calls are made in the order of the device's kernels.
typedef struct DeviceMemory {
    void *(*take)(const struct Device *d, size_t bytes);       // a block for an arena; NULL: not to be had
    void (*give)(const struct Device *d, void *block, size_t bytes);
    void (*put)(const struct Device *d, void *to, const void *host, size_t bytes);   // host may be reused on return
    void (*get)(const struct Device *d, void *host, const void *from, size_t bytes); // waits for the values
    void (*copy)(const struct Device *d, void *to, const void *from, size_t bytes);  // within the device
    void (*zero)(const struct Device *d, void *to, size_t bytes);
    void (*wait)(const struct Device *d);                      // until all work is done; errors come out here
    // tensor/graph.h; NULL: work cannot be recorded
    void (*record)(const struct Device *d);
    void *(*recorded)(const struct Device *d);
    void (*replay)(const struct Device *d, void *graph);
    void (*forget)(const struct Device *d, void *graph);
    int64_t (*nodes)(const struct Device *d, void *graph);
} DeviceMemory;

typedef struct Device {
    const char *name;            // "cpu-f32 (avx512)", "cpu-f64", "cuda (NVIDIA H200, ..)"
    const DeviceMemory *memory;  // NULL: values are host memory
    void *state;                 // of whoever made the device: stream, errors
    Math math;
    size_t real_size;            // 4 or 8
    bool bf16_columns;           // linear reads LAYOUT_COLUMNS_BF16 (pack.h)
    bool exact;                  // integers give exact results: no Winograd convolution
    bool no_graph;               // nothing is recorded: every kernel is launched by itself
    bool nf4;                    // a GPU whose linear reads LAYOUT_NF4 (nf4.h); CPUs with AVX2 do too
    ArenaFull *fail;             // gets one line when what is called has no kernel; must not return.  NULL: CHECK
    Isa isa;                     // highest instruction set in use
    Kernel *fwd[OP_COUNT];
    Kernel *bwd[OP_COUNT];       // NULL: not differentiable, or no kernel yet (CUDA)
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

// ---- values, wherever they are

// Memory for values with the lifetime of arena a, contents undefined: a's own bytes or, on a device with memory of its
// own, a's device block.
void *device_alloc(const Device *d, Arena *a, size_t bytes);
void *device_zalloc(const Device *d, Arena *a, size_t bytes);
void device_put(const Device *d, void *to, const void *host, size_t bytes);
void device_get(const Device *d, void *host, const void *from, size_t bytes);
void device_copy(const Device *d, void *to, const void *from, size_t bytes);
void device_zero(const Device *d, void *to, size_t bytes);
void device_wait(const Device *d);
// The values for the host to read: x itself, or a copy in arena a.
const void *device_view(const Device *d, Arena *a, const void *x, size_t bytes);

// Gives arena a a block of the device's memory / takes it back.  Nothing to do where values are host memory.
Status device_attach(const Device *d, Arena *a, size_t bytes);
void device_detach(const Device *d, Arena *a);

// The kernel of an op.  When d has none the program ends with one line that says so (Device.fail): nothing falls back
// to the host, and what no model calls may be missing.
Kernel *device_kernel(const Device *d, OpId op, bool backward);

// Puts the kernels of ops.def's cuda columns into d's table (cuda/slots.cu).
void device_cuda_slots(Device *d);
void *device_cuda_stream(const Device *d);   // a cudaStream_t, for timing

// The GPU (cuda/device.cu; in a build without CUDA an error that says so).  fail is called with one line when the GPU
// reports an error, and must not return; NULL: CHECK.
Status device_cuda(Device *d, Math math, Arena *a, ArenaFull *fail);
Status math_parse(const char *text, Math *math);    // fp32|tf32|bf16
// Bytes that arenas may take: all that is free but a reserve for the driver.
size_t device_cuda_free(const Device *d);

#endif
