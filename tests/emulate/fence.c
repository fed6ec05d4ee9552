#include "fence.h"

#include <string.h>
#include <sys/mman.h>

// emulate.cc
void emulate_window(void (*window)(bool open));
bool emulate_recording(void);
void emulate_record_begin(void);
void *emulate_record_end(void);
void emulate_record_copy(void *to, const void *from, size_t bytes);
void emulate_record_run(void *graph);
void emulate_record_free(void *graph);
int64_t emulate_record_nodes(void *graph);

enum { BLOCKS = 16 };
static struct { void *at; size_t bytes; } block[BLOCKS];
static int n_blocks;

static void window(bool open)
{
    for (int i = 0; i < n_blocks; i++)
        CHECK(mprotect(block[i].at, block[i].bytes, open ? PROT_READ | PROT_WRITE : PROT_NONE) == 0, "fence: mprotect");
}

static void *take(const Device *d, size_t bytes)
{
    (void)d;
    void *p = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED || n_blocks == BLOCKS) return NULL;
    block[n_blocks].at = p;
    block[n_blocks++].bytes = bytes;
    return p;
}

static void give(const Device *d, void *p, size_t bytes)
{
    (void)d;
    munmap(p, bytes);
    for (int i = 0; i < n_blocks; i++)
        if (block[i].at == p) block[i--] = block[--n_blocks];
}

static bool is_fenced(const void *p)
{
    for (int i = 0; i < n_blocks; i++)
        if ((uintptr_t)p - (uintptr_t)block[i].at < block[i].bytes) return true;
    return false;
}

static void move(void *to, const void *from, size_t bytes)
{
    window(true);
    memmove(to, from, bytes);
    window(false);
}

static void put(const Device *d, void *to, const void *host, size_t bytes)
{
    (void)d;
    CHECK(!emulate_recording(), "device_put while work is recorded");
    CHECK(!bytes || (is_fenced(to) && !is_fenced(host)), "fence: put wants host memory to device memory");
    move(to, host, bytes);
}

static void get(const Device *d, void *host, const void *from, size_t bytes)
{
    (void)d;
    CHECK(!emulate_recording(), "device_get while work is recorded");
    CHECK(!bytes || (is_fenced(from) && !is_fenced(host)), "fence: get wants device memory to host memory");
    move(host, from, bytes);
}

static void copy(const Device *d, void *to, const void *from, size_t bytes)
{
    (void)d;
    CHECK(!bytes || (is_fenced(to) && is_fenced(from)), "fence: copy wants device memory");
    if (emulate_recording()) emulate_record_copy(to, from, bytes);
    else move(to, from, bytes);
}

static void zero(const Device *d, void *to, size_t bytes)
{
    (void)d;
    CHECK(!bytes || is_fenced(to), "fence: zero wants device memory");
    if (emulate_recording()) {
        emulate_record_copy(to, NULL, bytes);
        return;
    }
    window(true);
    memset(to, 0, bytes);
    window(false);
}

static void wait(const Device *d)
{
    (void)d;
    CHECK(!emulate_recording(), "device_wait while work is recorded");
}

static void record(const Device *d) { (void)d, emulate_record_begin(); }
static void *recorded(const Device *d) { return (void)d, emulate_record_end(); }
static void replay(const Device *d, void *graph) { (void)d, emulate_record_run(graph); }
static void forget(const Device *d, void *graph) { (void)d, emulate_record_free(graph); }
static int64_t nodes(const Device *d, void *graph) { return (void)d, emulate_record_nodes(graph); }

static const DeviceMemory memory = {.take = take, .give = give, .put = put, .get = get, .copy = copy, .zero = zero,
                                     .wait = wait};
static const DeviceMemory recording = {take, give, put, get, copy, zero, wait, record, recorded, replay, forget, nodes};

static void forward(const OpCall *c)
{
    const Device *cpu = c->out[0]->dev->state;
    window(true);
    cpu->fwd[c->op](c);
    window(false);
}

static void backward(const OpCall *c)
{
    const Device *cpu = c->out[0]->dev->state;
    window(true);
    cpu->bwd[c->op](c);
    window(false);
}

Device fence_cpu(const Device *cpu)
{
    Device d = *cpu;
    d.name = "cpu behind a fence";
    d.memory = &memory;
    d.state = (void *)(uintptr_t)cpu;
    for (int i = 0; i < OP_COUNT; i++) {
        d.fwd[i] = forward;
        d.bwd[i] = cpu->bwd[i] ? backward : NULL;
    }
    return d;
}

Device fence_cuda(void)
{
    Device d = {.name = "cuda (emulated, fenced)", .real_size = sizeof(float), .memory = &recording};
    device_cuda_slots(&d);
    emulate_window(window);
    return d;
}
