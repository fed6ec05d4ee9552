// A stand-in for the CUDA runtime: the host program as nvcc compiled it, linked with this instead of libcudart, runs to
// its end without a GPU (build/tests/lead-audit, gpu-audit).  No kernel runs: device memory holds zeros and what the
// host put there.  What is looked at is how the runtime is called.  Each wrong call returns the error that the CUDA
// Runtime API documents for it, and is a line of the report:
//   launches      a registered kernel with machine code for this GPU; grid and block within its limits; threads x
//                 registers, rounded as the hardware allots them (256 a warp), within 65,536; static + dynamic shared
//                 memory within 227 KiB, and above 48 KiB only what cudaFuncSetAttribute allowed.  Registers and static
//                 memory are the compiler's own figures (ptxas -v, *.o.log)
//   recording     begins and ends once; between, nothing that allocates, waits, or goes in or out through pageable
//                 memory; no kernel's first launch (it may be loaded then, which waits)
//   memory        copies and clearings wholly inside one allocation, of the kind that the call says; frees of what was
//                 allocated; pinned memory where a copy must not block
//   tensor maps   alignment, sizes, strides, boxes as cuTensorMapEncodeTiled wants them
// Not looked at: what kernels compute, pointers inside kernel arguments, .maxntid, sizes of arguments.
// Environment, of the program:
//   LEAD_AUDIT=FILE     the report is appended there: `violation: ..` lines, then a line of counts
//   LEAD_AUDIT_LOGS=DIR where the *.o.log lie (default build/cuda)
//   LEAD_AUDIT_NODES=FILE   the nodes of each recorded graph as TSV (bench/gpu_model.py reads it)
#include <cuda.h>
#include <cuda_runtime.h>
#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <map>
#include <string>
#include <vector>

enum { CAPABILITY = 90, SMS = 132, REGISTERS = 65536, SHARED_ASKED = 227 << 10, SHARED_FREE = 48 << 10 };

struct Kernel { std::string name; int registers = -1, shared = 0; size_t allowed = 0; bool launched = false; };
struct Block { size_t bytes; bool pinned; };
struct Node { const Kernel *kernel; dim3 grid, block; size_t bytes; long long word[6]; };   // kernel NULL: a copy
struct Graph { std::vector<Node> node; };
struct Stream { Graph *recording = nullptr; };

static struct Audit {
    std::map<const void *, Kernel> kernel;   // by the host's symbol
    std::map<std::string, std::pair<int, int>> figures;
    std::map<const char *, Block> block;
    Stream *stream = nullptr;
    Graph *last = nullptr;
    cudaError_t error = cudaSuccess;
    long launches = 0, asked = 0, graphs = 0, replays = 0, maps = 0, violations = 0, nodes = 0, copies = 0;
} *audit_state;

static void report_end();

static void read_log(Audit *a, const std::string &path)
{
    FILE *f = fopen(path.c_str(), "r");
    char line[4096], name[4000] = "", arch[32] = "";
    while (f && fgets(line, sizeof line, f)) {
        int registers, bytes;
        sscanf(line, "ptxas info    : Compiling entry function '%3999[^']' for '%31[^']'", name, arch);
        const char *used = strstr(line, "Used "), *smem = strstr(line, " bytes smem");
        if (!used || sscanf(used, "Used %d registers", &registers) != 1 || strncmp(arch, "sm_90", 5)) continue;
        while (smem && smem > line && smem[-1] != ' ') smem--;
        if (!smem || sscanf(smem, "%d", &bytes) != 1) bytes = 0;
        a->figures[name] = {registers, bytes};
    }
    if (f) fclose(f);
}

// Made by the first call, which is before main: nvcc's code registers kernels then.
static Audit *audit()
{
    if (audit_state) return audit_state;
    audit_state = new Audit;
    const char *dir = getenv("LEAD_AUDIT_LOGS");
    const std::string logs = dir ? dir : "build/cuda";
    DIR *d = opendir(logs.c_str());
    for (struct dirent *e; d && (e = readdir(d));)
        if (strstr(e->d_name, ".o.log")) read_log(audit_state, logs + "/" + e->d_name);
    if (d) closedir(d);
    atexit(report_end);
    return audit_state;
}

static FILE *report()
{
    const char *path = getenv("LEAD_AUDIT");
    FILE *f = path ? fopen(path, "a") : nullptr;
    return f ? f : stderr;
}

static void report_close(FILE *f)
{
    if (f != stderr) fclose(f);
}

__attribute__((format(printf, 2, 3))) static cudaError_t wrong(cudaError_t e, const char *fmt, ...)
{
    Audit *a = audit();
    FILE *f = report();
    va_list ap;
    va_start(ap, fmt);
    fprintf(f, "violation: ");
    vfprintf(f, fmt, ap);
    fputc('\n', f);
    va_end(ap);
    report_close(f);
    a->violations++;
    return a->error = e;
}

static void report_end()
{
    const Audit *a = audit();
    long used = 0;
    for (const auto &k : a->kernel) used += k.second.launched;
    FILE *f = report();
    fprintf(f, "audit: %ld launches of %ld kernels, %ld asked for shared memory, %ld copies, %ld graphs of %ld nodes, "
               "%ld replays, %ld tensor maps, %ld violations\n", a->launches, used, a->asked, a->copies, a->graphs,
            a->nodes, a->replays, a->maps, a->violations);
    report_close(f);
}

// ---- what nvcc's code calls

extern "C" {
void **__cudaRegisterFatBinary(void *) { return reinterpret_cast<void **>(audit()); }
void __cudaRegisterFatBinaryEnd(void **) {}
void __cudaUnregisterFatBinary(void **) {}
void __cudaRegisterFunction(void **, const char *host, char *, const char *name, int, uint3 *, uint3 *, dim3 *, dim3 *,
                            int *)
{
    Audit *a = audit();
    Kernel k;
    k.name = name;
    const auto found = a->figures.find(name);
    if (found != a->figures.end()) k.registers = found->second.first, k.shared = found->second.second;
    a->kernel[host] = k;
}
cudaError_t __cudaGetKernel(cudaKernel_t *k, const void *host)
{
    *k = reinterpret_cast<cudaKernel_t>(const_cast<void *>(host));
    return cudaSuccess;
}
static struct { dim3 grid, block; size_t shared; void *stream; } pushed;
unsigned __cudaPushCallConfiguration(dim3 grid, dim3 block, size_t shared, void *stream)
{
    pushed = {grid, block, shared, stream};
    return 0;
}
cudaError_t __cudaPopCallConfiguration(dim3 *grid, dim3 *block, size_t *shared, void *stream)
{
    *grid = pushed.grid, *block = pushed.block, *shared = pushed.shared;
    *static_cast<void **>(stream) = pushed.stream;
    return cudaSuccess;
}
cudaError_t __cudaLaunchKernel(cudaKernel_t k, dim3 grid, dim3 block, void **args, size_t shared, cudaStream_t s)
{
    return cudaLaunchKernel(reinterpret_cast<const void *>(k), grid, block, args, shared, s);
}
}

// ---- launches

static Kernel *kernel_of(const void *host)
{
    const auto found = audit()->kernel.find(host);
    return found == audit()->kernel.end() ? nullptr : &found->second;
}

// Registers that a block takes: whole warps, each in units of 256.
static long registers_of(const Kernel *k, dim3 block)
{
    const long warps = ((long)block.x * block.y * block.z + 31) / 32;
    return warps * ((k->registers * 32 + 255) / 256 * 256);
}

static cudaError_t launch_check(const Kernel *k, dim3 grid, dim3 block, size_t shared)
{
    const char *n = k->name.c_str();
    const long threads = (long)block.x * block.y * block.z;
    if (k->registers < 0)
        return wrong(cudaErrorNoKernelImageForDevice, "%s: no machine code for sm_%d in the logs", n, (int)CAPABILITY);
    if (threads < 1 || threads > 1024 || block.x > 1024 || block.y > 1024 || block.z > 64)
        return wrong(cudaErrorInvalidConfiguration, "%s: a block of %u x %u x %u", n, block.x, block.y, block.z);
    if (!grid.x || !grid.y || !grid.z || grid.x > 0x7FFFFFFFu || grid.y > 65535 || grid.z > 65535)
        return wrong(cudaErrorInvalidConfiguration, "%s: a grid of %u x %u x %u", n, grid.x, grid.y, grid.z);
    if (registers_of(k, block) > REGISTERS)
        return wrong(cudaErrorLaunchOutOfResources, "%s: %d registers x %ld threads", n, k->registers, threads);
    if (shared + (size_t)k->shared > SHARED_ASKED)
        return wrong(cudaErrorInvalidValue, "%s: %zu + %d bytes of shared memory", n, shared, k->shared);
    if (shared + (size_t)k->shared > SHARED_FREE && shared > k->allowed)
        return wrong(cudaErrorInvalidValue, "%s: %zu dynamic + %d static bytes of shared memory, allowed %zu", n,
                     shared, k->shared, k->allowed);
    return cudaSuccess;
}

static Stream *stream_of(cudaStream_t s, const char *what)
{
    if (reinterpret_cast<Stream *>(s) == audit()->stream && s) return audit()->stream;
    wrong(cudaErrorInvalidResourceHandle, "%s: a stream that was not created", what);
    return nullptr;
}

// What may not happen while work is recorded (cudaStreamCaptureModeThreadLocal).
static cudaError_t not_recording(const char *what)
{
    const Audit *a = audit();
    if (!a->stream || !a->stream->recording) return cudaSuccess;
    return wrong(cudaErrorStreamCaptureUnsupported, "%s while work is recorded", what);
}

static const Kernel copies = {};

cudaError_t cudaLaunchKernel(const void *host, dim3 grid, dim3 block, void **args, size_t shared, cudaStream_t s)
{
    Audit *a = audit();
    Kernel *k = kernel_of(host);
    Stream *stream = stream_of(s, "cudaLaunchKernel");
    a->launches++;
    if (!stream) return cudaErrorInvalidResourceHandle;
    if (!k) return wrong(cudaErrorInvalidDeviceFunction, "a launch of what is no kernel");
    const cudaError_t e = launch_check(k, grid, block, shared);
    if (e) return e;
    if (stream->recording) {
        if (!k->launched)
            return wrong(cudaErrorStreamCaptureUnsupported, "%s: first launched while work is recorded",
                         k->name.c_str());
        Node n = {k, grid, block, shared, {0}};
        if (k->name.find("GemmSizes") != std::string::npos && args) memcpy(n.word, args[0], sizeof n.word);
        stream->recording->node.push_back(n);
    }
    k->launched = true;
    return cudaSuccess;
}

cudaError_t cudaFuncSetAttribute(const void *host, cudaFuncAttribute what, int value)
{
    Kernel *k = kernel_of(host);
    audit()->asked++;
    if (!k) return wrong(cudaErrorInvalidDeviceFunction, "cudaFuncSetAttribute of what is no kernel");
    if (what != cudaFuncAttributeMaxDynamicSharedMemorySize || value < 0 || value + k->shared > SHARED_ASKED)
        return wrong(cudaErrorInvalidValue, "%s: cudaFuncSetAttribute(%d, %d) beside %d static bytes", k->name.c_str(),
                     (int)what, value, k->shared);
    k->allowed = (size_t)value;
    return cudaSuccess;
}

// ---- memory

static const Block *block_of(const void *p, size_t bytes, bool *whole)
{
    const auto &m = audit()->block;
    const char *at = static_cast<const char *>(p);
    auto after = m.upper_bound(at);
    if (after == m.begin()) return nullptr;
    --after;
    if (at >= after->first + after->second.bytes) return nullptr;
    *whole = at + bytes <= after->first + after->second.bytes;
    return &after->second;
}

static cudaError_t allocate(void **p, size_t bytes, bool pinned)
{
    const cudaError_t e = not_recording(pinned ? "cudaMallocHost" : "cudaMalloc");
    if (e) return e;
    const int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    void *m = mmap(nullptr, bytes ? bytes : 1, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (m == MAP_FAILED) return audit()->error = cudaErrorMemoryAllocation;
    audit()->block[static_cast<const char *>(m)] = Block{bytes, pinned};
    *p = m;
    return cudaSuccess;
}

cudaError_t cudaMalloc(void **p, size_t bytes) { return allocate(p, bytes, false); }
cudaError_t cudaMallocHost(void **p, size_t bytes) { return allocate(p, bytes, true); }

cudaError_t cudaFree(void *p)
{
    const cudaError_t e = not_recording("cudaFree");
    if (e || !p) return e;
    const auto found = audit()->block.find(static_cast<const char *>(p));
    if (found == audit()->block.end() || found->second.pinned)
        return wrong(cudaErrorInvalidValue, "cudaFree of what cudaMalloc did not give");
    munmap(p, found->second.bytes);
    audit()->block.erase(found);
    return cudaSuccess;
}

// Is p..p+bytes memory of that side?
static cudaError_t side(const void *p, size_t bytes, bool device, const char *what)
{
    bool whole = true;
    const Block *b = block_of(p, bytes, &whole);
    if (!whole) return wrong(cudaErrorInvalidValue, "%s: %zu bytes reach out of an allocation", what, bytes);
    if (device != (b && !b->pinned))
        return wrong(cudaErrorInvalidValue, "%s: want %s memory", what, device ? "device" : "host");
    Stream *s = audit()->stream;
    if (!device && s && s->recording && !b)
        return wrong(cudaErrorStreamCaptureUnsupported, "%s: pageable memory while work is recorded", what);
    return cudaSuccess;
}

static cudaError_t copied(Stream *s, size_t bytes)
{
    audit()->copies++;
    if (s->recording) s->recording->node.push_back(Node{&copies, {}, {}, bytes, {0}});
    return cudaSuccess;
}

cudaError_t cudaMemcpyAsync(void *to, const void *from, size_t bytes, cudaMemcpyKind kind, cudaStream_t s)
{
    const bool device_to = kind == cudaMemcpyHostToDevice || kind == cudaMemcpyDeviceToDevice;
    const bool device_from = kind == cudaMemcpyDeviceToHost || kind == cudaMemcpyDeviceToDevice;
    Stream *stream = stream_of(s, "cudaMemcpyAsync");
    if (!stream) return cudaErrorInvalidResourceHandle;
    cudaError_t e = side(to, bytes, device_to, "cudaMemcpyAsync, target");
    if (!e) e = side(from, bytes, device_from, "cudaMemcpyAsync, source");
    if (e) return e;
    if (kind != cudaMemcpyDeviceToDevice && !stream->recording) memcpy(to, from, bytes);
    return copied(stream, bytes);
}

cudaError_t cudaMemsetAsync(void *to, int, size_t bytes, cudaStream_t s)
{
    Stream *stream = stream_of(s, "cudaMemsetAsync");
    if (!stream) return cudaErrorInvalidResourceHandle;
    const cudaError_t e = side(to, bytes, true, "cudaMemsetAsync");
    return e ? e : copied(stream, bytes);
}

cudaError_t cudaMemGetInfo(size_t *available, size_t *all)
{
    *available = *all = (size_t)140 << 30;
    return cudaSuccess;
}

// ---- streams, events, graphs

cudaError_t cudaStreamCreateWithFlags(cudaStream_t *s, unsigned)
{
    Audit *a = audit();
    if (!a->stream) a->stream = new Stream;
    *s = reinterpret_cast<cudaStream_t>(a->stream);
    return cudaSuccess;
}

cudaError_t cudaStreamSynchronize(cudaStream_t s)
{
    if (!stream_of(s, "cudaStreamSynchronize")) return cudaErrorInvalidResourceHandle;
    return not_recording("cudaStreamSynchronize");
}

cudaError_t cudaStreamIsCapturing(cudaStream_t s, cudaStreamCaptureStatus *status)
{
    const Stream *stream = stream_of(s, "cudaStreamIsCapturing");
    *status = stream && stream->recording ? cudaStreamCaptureStatusActive : cudaStreamCaptureStatusNone;
    return cudaSuccess;
}

cudaError_t cudaStreamBeginCapture(cudaStream_t s, cudaStreamCaptureMode)
{
    Stream *stream = stream_of(s, "cudaStreamBeginCapture");
    if (!stream) return cudaErrorInvalidResourceHandle;
    const cudaError_t e = not_recording("cudaStreamBeginCapture");
    if (!e) stream->recording = new Graph;
    return e;
}

static void write_nodes(const Graph *g, long id)
{
    const char *path = getenv("LEAD_AUDIT_NODES");
    FILE *f = path ? fopen(path, id == 1 ? "w" : "a") : nullptr;
    if (!f) return;
    for (const Node &n : g->node)
        fprintf(f, "%ld\t%s\t%lld\t%u\t%zu\t%d\t%d\t%lld\t%lld\t%lld\t%lld\t%lld\t%lld\n", id,
                n.kernel == &copies ? "memset" : n.kernel->name.c_str(), (long long)n.grid.x * n.grid.y * n.grid.z,
                n.block.x, n.bytes, n.kernel->registers, n.kernel->shared, n.word[0], n.word[1], n.word[2], n.word[3],
                n.word[4], n.word[5]);
    fclose(f);
}

cudaError_t cudaStreamEndCapture(cudaStream_t s, cudaGraph_t *graph)
{
    Audit *a = audit();
    Stream *stream = stream_of(s, "cudaStreamEndCapture");
    if (!stream || !stream->recording) return wrong(cudaErrorIllegalState, "cudaStreamEndCapture: nothing is recorded");
    *graph = reinterpret_cast<cudaGraph_t>(stream->recording);
    a->graphs++;
    a->nodes += (long)stream->recording->node.size();
    write_nodes(stream->recording, a->graphs);
    stream->recording = nullptr;
    return cudaSuccess;
}

cudaError_t cudaGraphGetNodes(cudaGraph_t graph, cudaGraphNode_t *, size_t *n)
{
    *n = reinterpret_cast<Graph *>(graph)->node.size();
    return cudaSuccess;
}
cudaError_t cudaGraphInstantiate(cudaGraphExec_t *run, cudaGraph_t graph, unsigned long long)
{
    *run = reinterpret_cast<cudaGraphExec_t>(new Graph(*reinterpret_cast<Graph *>(graph)));
    return not_recording("cudaGraphInstantiate");
}
cudaError_t cudaGraphDestroy(cudaGraph_t graph) { return delete reinterpret_cast<Graph *>(graph), cudaSuccess; }
cudaError_t cudaGraphExecDestroy(cudaGraphExec_t run) { return delete reinterpret_cast<Graph *>(run), cudaSuccess; }
cudaError_t cudaGraphLaunch(cudaGraphExec_t, cudaStream_t s)
{
    audit()->replays++;
    return stream_of(s, "cudaGraphLaunch") ? not_recording("cudaGraphLaunch") : cudaErrorInvalidResourceHandle;
}

cudaError_t cudaEventCreateWithFlags(cudaEvent_t *e, unsigned)
{
    *e = reinterpret_cast<cudaEvent_t>(new char);
    return cudaSuccess;
}
cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t s)
{
    return stream_of(s, "cudaEventRecord") ? cudaSuccess : cudaErrorInvalidResourceHandle;
}
cudaError_t cudaEventSynchronize(cudaEvent_t) { return not_recording("cudaEventSynchronize"); }

// ---- the device

cudaError_t cudaGetLastError()
{
    const cudaError_t e = audit()->error;
    audit()->error = cudaSuccess;
    return e;
}
const char *cudaGetErrorString(cudaError_t) { return "see the report of the audit"; }
const char *cudaGetErrorName(cudaError_t) { return "error"; }
cudaError_t cudaGetDeviceCount(int *n) { return *n = 1, cudaSuccess; }
cudaError_t cudaSetDevice(int) { return cudaSuccess; }
cudaError_t cudaGetDeviceProperties(cudaDeviceProp *p, int)
{
    memset(p, 0, sizeof *p);
    snprintf(p->name, sizeof p->name, "no GPU: launch audit");
    p->major = CAPABILITY / 10;
    p->minor = CAPABILITY % 10;
    p->multiProcessorCount = SMS;
    return cudaSuccess;
}

// ---- tensor maps

static CUresult bad_map(const char *what, unsigned long long got)
{
    wrong(cudaErrorInvalidValue, "cuTensorMapEncodeTiled: %s, got %llu", what, got);
    return CUDA_ERROR_INVALID_VALUE;
}

static CUresult encode(CUtensorMap *map, CUtensorMapDataType type, cuuint32_t rank, void *x, const cuuint64_t *dim,
                       const cuuint64_t *stride, const cuuint32_t *box, const cuuint32_t *step, CUtensorMapInterleave,
                       CUtensorMapSwizzle swizzle, CUtensorMapL2promotion, CUtensorMapFloatOOBfill)
{
    const cuuint64_t value = type == CU_TENSOR_MAP_DATA_TYPE_BFLOAT16 ? 2 : 4;
    bool whole = true;
    audit()->maps++;
    if ((uintptr_t)map % 64) return bad_map("want a map at a multiple of 64", (uintptr_t)map % 64);
    if ((uintptr_t)x % 16) return bad_map("want an address that is a multiple of 16", (uintptr_t)x % 16);
    if (rank < 1 || rank > 5) return bad_map("want 1 to 5 dimensions", rank);
    for (cuuint32_t i = 0; i < rank; i++) {
        if (!dim[i] || dim[i] > (cuuint64_t)1 << 32) return bad_map("want sizes up to 2^32", dim[i]);
        if (!box[i] || box[i] > 256) return bad_map("want boxes of 1 to 256", box[i]);
        if (step[i] < 1 || step[i] > 8) return bad_map("want steps of 1 to 8", step[i]);
    }
    for (cuuint32_t i = 0; i + 1 < rank; i++) {
        if (stride[i] % 16 || stride[i] >= (cuuint64_t)1 << 40) return bad_map("want strides in 16 bytes", stride[i]);
        if (stride[i] < (i ? stride[i - 1] * dim[i] : value * dim[0])) return bad_map("rows overlap", stride[i]);
    }
    if (box[0] * value % 16 || (swizzle == CU_TENSOR_MAP_SWIZZLE_128B && box[0] * value > 128))
        return bad_map("want rows of a box in 16 bytes, at most 128", box[0] * value);
    cuuint64_t bytes = value * dim[0];
    for (cuuint32_t i = 0; i + 1 < rank; i++) bytes += stride[i] * (dim[i + 1] - 1);
    const Block *b = block_of(x, bytes, &whole);
    if (!b || b->pinned || !whole) return bad_map("want a tensor inside device memory", bytes);
    return CUDA_SUCCESS;
}

static cudaError_t entry_point(const char *name, void **f, cudaDriverEntryPointQueryResult *found)
{
    const bool known = strcmp(name, "cuTensorMapEncodeTiled") == 0;
    *f = known ? reinterpret_cast<void *>(&encode) : nullptr;
    *found = known ? cudaDriverEntryPointSuccess : cudaDriverEntryPointSymbolNotFound;
    return cudaSuccess;
}

#if CUDART_VERSION >= 12050
cudaError_t cudaGetDriverEntryPointByVersion(const char *name, void **f, unsigned, unsigned long long,
                                             cudaDriverEntryPointQueryResult *found)
{
    return entry_point(name, f, found);
}
#else
cudaError_t cudaGetDriverEntryPoint(const char *name, void **f, unsigned long long,
                                    cudaDriverEntryPointQueryResult *found)
{
    return entry_point(name, f, found);
}
#endif
