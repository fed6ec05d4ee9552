// The GPU as a device: one stream in which kernels and copies follow each other, one cudaMalloc for each arena, pinned
// memory through which host values go in, and errors that name the op.
//   Errors of the GPU come out late: at the launch after, or where the host waits.  The message names the op at which
//   the error was noticed; with LEAD_SYNC=1 in the environment every launch waits, and that is the op that failed.
//   After an error the GPU's context is dead; `fail` ends the program.
//   LEAD_WGMMA=1 in the environment takes the products of gemm_sm90.cu, on Hopper; 0 or unset: not.
#include "hopper.h"

#include <stdio.h>
#include <stdlib.h>

enum { STAGE_BYTES = 16 << 20,   // each half of the pinned memory
       ALLOWED = 64 };           // kernels with dynamic shared memory

typedef struct Gpu {
    cudaStream_t stream;
    Arena *perm;
    ArenaFull *fail;
    bool sync;
    int capability, multiprocessors;
    char name[300];
    unsigned char *stage[2];
    cudaEvent_t read[2];           // the GPU has read that half
    bool pending[2];
    int half;
    size_t used;                   // of the half
    bool recording;
    const char *wgmma;             // LEAD_WGMMA; NULL: off
    decltype(&cuTensorMapEncodeTiled) encode;   // the driver's; with wgmma
    struct { const void *kernel; size_t shared; } allowed[ALLOWED];   // shared: dynamic bytes that it may have
    int n_allowed;
} Gpu;

static Gpu *gpu_of(const Device *d) { return static_cast<Gpu *>(d->state); }

static void check(const Device *d, cudaError_t e, const char *what)
{
    if (e == cudaSuccess) return;
    const Gpu *g = gpu_of(d);
    char msg[600];
    snprintf(msg, sizeof msg, "%s: %s: %s (%s)%s", d->name, what, cudaGetErrorString(e), cudaGetErrorName(e),
             g->sync ? "" : "; LEAD_SYNC=1 shows which op it was");
    if (g->fail) g->fail(msg);
    CHECK(0, "%s", msg);
}

// ---- memory

static void *take(const Device *, size_t bytes)
{
    void *p = NULL;
    if (cudaMalloc(&p, bytes) == cudaSuccess) return p;
    (void)cudaGetLastError();   // said by whoever asked
    return NULL;
}

static void give(const Device *d, void *block, size_t) { check(d, cudaFree(block), "freeing memory"); }

// What the host gives or takes has no place in recorded work: it would be that of the recording for ever.
static void check_not_recording(const Gpu *g, const char *what)
{
    CHECK(!g->recording, "%s while work is recorded", what);
}

// Through pinned memory: the copy is asynchronous and the caller's buffer free at once.
static void put(const Device *d, void *to, const void *host, size_t bytes)
{
    Gpu *g = gpu_of(d);
    check_not_recording(g, "device_put");
    for (size_t done = 0, n; done < bytes; done += n) {
        if (g->used == STAGE_BYTES) {
            check(d, cudaEventRecord(g->read[g->half], g->stream), "copying to the GPU");
            g->pending[g->half] = true;
            g->half ^= 1;
            g->used = 0;
            if (g->pending[g->half]) check(d, cudaEventSynchronize(g->read[g->half]), "copying to the GPU");
            g->pending[g->half] = false;
        }
        n = bytes - done < STAGE_BYTES - g->used ? bytes - done : STAGE_BYTES - g->used;
        unsigned char *stage = g->stage[g->half] + g->used;
        memcpy(stage, static_cast<const char *>(host) + done, n);
        check(d, cudaMemcpyAsync(static_cast<char *>(to) + done, stage, n, cudaMemcpyHostToDevice, g->stream),
              "copying to the GPU");
        g->used = (g->used + n + 63) / 64 * 64 < STAGE_BYTES ? (g->used + n + 63) / 64 * 64 : (size_t)STAGE_BYTES;
    }
}

static void wait_for(const Device *d)
{
    Gpu *g = gpu_of(d);
    check_not_recording(g, "device_get or device_wait");
    check(d, cudaStreamSynchronize(g->stream), "waiting for the GPU");
    g->pending[0] = g->pending[1] = false;
    g->used = 0;
}

static void get(const Device *d, void *host, const void *from, size_t bytes)
{
    check_not_recording(gpu_of(d), "device_get");
    if (bytes)
        check(d, cudaMemcpyAsync(host, from, bytes, cudaMemcpyDeviceToHost, gpu_of(d)->stream), "copying from the GPU");
    wait_for(d);
}

static void copy_within(const Device *d, void *to, const void *from, size_t bytes)
{
    if (bytes)
        check(d, cudaMemcpyAsync(to, from, bytes, cudaMemcpyDeviceToDevice, gpu_of(d)->stream), "copying on the GPU");
}

static void clear(const Device *d, void *to, size_t bytes)
{
    if (bytes) check(d, cudaMemsetAsync(to, 0, bytes, gpu_of(d)->stream), "clearing memory");
}

// ---- kernels

void cuda_launch(const OpCall *c, const void *kernel, dim3 grid, dim3 block, size_t shared, void **args)
{
    const Device *d = device_of(c);
    const Gpu *g = gpu_of(d);
    const char *op = op_info(c->op)->name;
    check(d, cudaLaunchKernel(kernel, grid, block, args, shared, g->stream), op);
    cudaStreamCaptureStatus recording = cudaStreamCaptureStatusNone;
    if (g->sync) check(d, cudaStreamIsCapturing(g->stream, &recording), op);
    if (g->sync && recording == cudaStreamCaptureStatusNone) check(d, cudaStreamSynchronize(g->stream), op);
}

// Asks the runtime once for a kernel and size: the call takes longer than the launch.
void cuda_allow_shared(const OpCall *c, const void *kernel, size_t shared)
{
    const Device *d = device_of(c);
    Gpu *g = gpu_of(d);
    int i = 0;
    while (i < g->n_allowed && g->allowed[i].kernel != kernel) i++;
    if (i < g->n_allowed && shared <= g->allowed[i].shared) return;
    CHECK(i < ALLOWED, "cuda: more than %d kernels with dynamic shared memory", (int)ALLOWED);
    check(d, cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)shared),
          op_info(c->op)->name);
    g->allowed[i].kernel = kernel;
    g->allowed[i].shared = shared;
    if (i == g->n_allowed) g->n_allowed++;
}

int cuda_multiprocessors(const OpCall *c) { return gpu_of(device_of(c))->multiprocessors; }
int cuda_capability(const OpCall *c) { return gpu_of(device_of(c))->capability; }
const char *cuda_wgmma_choice(const OpCall *c) { return gpu_of(device_of(c))->wgmma; }

void cuda_tensor_map(const OpCall *c, const TensorBox *t, TensorMap *map)
{
    const Device *d = device_of(c);
    cuuint64_t dim[3], stride[2];
    const cuuint32_t box[3] = {(cuuint32_t)t->box[0], (cuuint32_t)t->box[1], 1}, step[3] = {1, 1, 1};
    for (int i = 0; i < 3; i++) dim[i] = (cuuint64_t)t->dim[i];
    for (int i = 0; i < 2; i++) stride[i] = (cuuint64_t)t->stride[i];
    const CUtensorMapDataType type = t->value == 2 ? CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 : CU_TENSOR_MAP_DATA_TYPE_FLOAT32;
    const CUresult e = gpu_of(d)->encode(map, type, 3, const_cast<void *>(t->x), dim, stride, box, step,
                                         CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                         CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
    CHECK(e == CUDA_SUCCESS, "%s: no map of a tensor [%lld,%lld,%lld]: CUDA error %d", op_info(c->op)->name,
          (long long)t->dim[2], (long long)t->dim[1], (long long)t->dim[0], (int)e);
}

void *device_cuda_stream(const Device *d) { return gpu_of(d)->stream; }

// ---- recorded work

static void record(const Device *d)
{
    Gpu *g = gpu_of(d);
    check_not_recording(g, "device_graph_begin");
    check(d, cudaStreamBeginCapture(g->stream, cudaStreamCaptureModeThreadLocal), "recording");
    g->recording = true;
}

// A graph that can be run, and how many nodes it has.
typedef struct Recorded { cudaGraphExec_t run; size_t nodes; } Recorded;

static void *recorded(const Device *d)
{
    cudaGraph_t graph;
    Recorded *r = static_cast<Recorded *>(arena_alloc(gpu_of(d)->perm, sizeof *r));   // a program records a few times
    gpu_of(d)->recording = false;
    check(d, cudaStreamEndCapture(gpu_of(d)->stream, &graph), "recording");
    check(d, cudaGraphGetNodes(graph, NULL, &r->nodes), "recording");
    check(d, cudaGraphInstantiate(&r->run, graph, 0), "recording");
    check(d, cudaGraphDestroy(graph), "recording");
    return r;
}

static void replay(const Device *d, void *graph)
{
    check(d, cudaGraphLaunch(static_cast<Recorded *>(graph)->run, gpu_of(d)->stream), "running what was recorded");
}

static void forget(const Device *d, void *graph)
{
    check(d, cudaGraphExecDestroy(static_cast<Recorded *>(graph)->run), "forgetting what was recorded");
}

static int64_t nodes(const Device *, void *graph) { return (int64_t) static_cast<Recorded *>(graph)->nodes; }

static const DeviceMemory gpu_memory = {take, give, put, get, copy_within, clear, wait_for,
                                        record, recorded, replay, forget, nodes};

// ---- the device

static Status failed(const char *what, cudaError_t e)
{
    return ERROR("--device cuda: no usable GPU: %s: %s", what, cudaGetErrorString(e));
}

static cudaError_t prepare(Gpu *g)
{
    cudaError_t e = cudaStreamCreateWithFlags(&g->stream, cudaStreamNonBlocking);
    for (int i = 0; i < 2 && e == cudaSuccess; i++) {
        void *stage = NULL;
        e = cudaMallocHost(&stage, STAGE_BYTES);
        g->stage[i] = static_cast<unsigned char *>(stage);
        if (e == cudaSuccess) e = cudaEventCreateWithFlags(&g->read[i], cudaEventDisableTiming);
    }
    return e;
}

// What LEAD_WGMMA asks for, and the driver's call that it needs (looked up by name: the program does not link libcuda).
static Status prepare_wgmma(Gpu *g)
{
    const char *choice = getenv("LEAD_WGMMA");
    if (!choice || !*choice || strcmp(choice, "0") == 0) return Status{};
    if (g->capability != 90)
        return ERROR("LEAD_WGMMA=%s: want a GPU of compute capability 9.0, got %d.%d", choice,
                     g->capability / 10, g->capability % 10);
    void *encode = NULL;
    cudaDriverEntryPointQueryResult found = cudaDriverEntryPointSymbolNotFound;
#if CUDART_VERSION >= 12050
    const cudaError_t e = cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &encode, 12000,
                                                           cudaEnableDefault, &found);
#else
    const cudaError_t e = cudaGetDriverEntryPoint("cuTensorMapEncodeTiled", &encode, cudaEnableDefault, &found);
#endif
    if (e != cudaSuccess || found != cudaDriverEntryPointSuccess || !encode)
        return ERROR("LEAD_WGMMA=%s: the driver has no cuTensorMapEncodeTiled (%s)", choice, cudaGetErrorString(e));
    g->encode = reinterpret_cast<decltype(g->encode)>(encode);
    g->wgmma = choice;
    return Status{};
}

extern "C" Status device_cuda(Device *d, Math math, Arena *a, ArenaFull *fail)
{
    int n = 0;
    cudaError_t e = cudaGetDeviceCount(&n);
    if (e != cudaSuccess || n == 0) return failed("looking for one", e != cudaSuccess ? e : cudaErrorNoDevice);
    cudaDeviceProp p;
    if ((e = cudaGetDeviceProperties(&p, 0)) != cudaSuccess) return failed("asking for its properties", e);
    if (p.major < 8)
        return ERROR("--device cuda: want a GPU of compute capability 8.0 or newer, got %s with %d.%d", p.name, p.major,
                     p.minor);
    if ((e = cudaSetDevice(0)) != cudaSuccess) return failed("choosing it", e);
    Gpu *g = static_cast<Gpu *>(arena_zalloc(a, sizeof *g));
    const char *sync = getenv("LEAD_SYNC");
    g->perm = a;
    g->fail = fail;
    g->sync = sync && *sync && strcmp(sync, "0") != 0;
    g->capability = 10 * p.major + p.minor;
    g->multiprocessors = p.multiProcessorCount;
    TRY(prepare_wgmma(g));
    snprintf(g->name, sizeof g->name, "cuda (%s, %d.%d, %s%s)", p.name, p.major, p.minor,
             math == MATH_BF16 ? "bf16" : math == MATH_TF32 ? "tf32" : "fp32", g->wgmma ? ", wgmma" : "");
    if ((e = prepare(g)) != cudaSuccess) return failed("making a stream", e);
    memset(d, 0, sizeof *d);
    d->name = g->name;
    d->real_size = sizeof(float);
    d->memory = &gpu_memory;
    d->state = g;
    d->math = math;
    d->fail = fail;
    device_cuda_slots(d);
    return Status{};
}

extern "C" size_t device_cuda_free(const Device *d)
{
    size_t available = 0, all = 0;
    check(d, cudaMemGetInfo(&available, &all), "asking for free memory");
    return available / 16 * 15;
}
