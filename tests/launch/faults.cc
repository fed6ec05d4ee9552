// Wrong calls of the CUDA runtime, each of which tests/launch/runtime.cc must name: faults N makes the N-th of them.
//   faults        how many there are
//   faults 0      right calls: no violation
// Its kernel is a symbol without code; LEAD_AUDIT_LOGS holds a log that gives it 200 registers and 16 KiB of shared
// memory.
#include <cuda.h>
#include <cuda_runtime.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

extern "C" void __cudaRegisterFunction(void **, const char *, char *, const char *, int, uint3 *, uint3 *, dim3 *,
                                       dim3 *, int *);

static const char kernel = 0, unknown = 0;   // host symbols
static cudaStream_t stream;
static char *memory;
static void *args[1];

static void run(unsigned grid, unsigned block, size_t shared = 0)
{
    cudaLaunchKernel(&kernel, dim3(grid), dim3(block), args, shared, stream);
}
static void allow(int bytes) { cudaFuncSetAttribute(&kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes); }

// f between the ends of a recording, after the kernel's first launch.
template <class F> static void recorded(F f)
{
    cudaGraph_t graph;
    run(1, 32);
    cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
    f();
    cudaStreamEndCapture(stream, &graph);
}

// A map of [rows][64] bf16 with one number changed.
static void encode(size_t at, cuuint64_t stride, cuuint32_t inner, cuuint32_t rows, cuuint64_t height)
{
    decltype(&cuTensorMapEncodeTiled) f;
    cudaDriverEntryPointQueryResult found;
#if CUDART_VERSION >= 12050
    cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", (void **)&f, 12000, cudaEnableDefault, &found);
#else
    cudaGetDriverEntryPoint("cuTensorMapEncodeTiled", (void **)&f, cudaEnableDefault, &found);
#endif
    CUtensorMap map;
    const cuuint64_t dim[2] = {64, height}, strides[1] = {stride};
    const cuuint32_t box[2] = {inner, rows}, step[2] = {1, 1};
    f(&map, CU_TENSOR_MAP_DATA_TYPE_BFLOAT16, 2, memory + at, dim, strides, box, step, CU_TENSOR_MAP_INTERLEAVE_NONE,
      CU_TENSOR_MAP_SWIZZLE_128B, CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
}

static char host[4096];

static void right()
{
    allow(100 << 10);
    run(1, 256, 100 << 10);
    recorded([] { run(4, 256); });
    cudaMemcpyAsync(memory, host, 4096, cudaMemcpyHostToDevice, stream);
    encode(0, 128, 64, 64, 8);
}

static void (*const fault[])() = {
    right,
    [] { run(1, 2048); },                                   // a block
    [] { run(0, 32); },                                     // a grid
    [] { run(1, 352); },                                    // 200 registers x 352 threads
    [] { run(1, 32, 33 << 10); },                           // 49 KiB, not allowed
    [] { allow(220 << 10); },                               // 236 KiB
    [] { cudaLaunchKernel(&unknown, dim3(1), dim3(32), args, 0, stream); },
    [] { cudaLaunchKernel(&kernel, dim3(1), dim3(32), args, 0, NULL); },
    [] { recorded([] { cudaStreamSynchronize(stream); }); },
    [] { recorded([] { void *p; cudaMalloc(&p, 16); }); },
    [] { recorded([] { cudaMemcpyAsync(memory, host, 16, cudaMemcpyHostToDevice, stream); }); },
    [] {
        cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal);
        run(1, 32);                                         // its first launch
    },
    [] { cudaMemcpyAsync(memory + 8000, host, 4096, cudaMemcpyHostToDevice, stream); },
    [] { cudaMemcpyAsync(host, host, 16, cudaMemcpyHostToDevice, stream); },
    [] { cudaMemsetAsync(host, 0, 16, stream); },
    [] { cudaFree(host); },
    [] { encode(8, 128, 64, 64, 8); },                      // its address
    [] { encode(0, 136, 64, 64, 8); },                      // from row to row
    [] { encode(0, 128, 128, 64, 8); },                     // 256 bytes a row of the box
    [] { encode(0, 128, 64, 512, 8); },                     // rows of the box
    [] { encode(0, 128, 64, 64, 1000); },                   // beyond the memory
};

int main(int argc, char **argv)
{
    const int n = sizeof fault / sizeof *fault, i = argc > 1 ? atoi(argv[1]) : -1;
    if (i < 0 || i >= n) return printf("%d\n", n - 1), 0;
    __cudaRegisterFunction(NULL, &kernel, NULL, "kernel", -1, NULL, NULL, NULL, NULL, NULL);
    cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking);
    cudaMalloc((void **)&memory, 8192);
    fault[i]();
    return 0;
}
