// The scheduler behind cuda_emulate.h.  A fiber is a stack with saved registers; it runs threads of the block until one
// must wait, then goes back to the scheduler, which takes the next fiber.  A kernel without barriers is a plain loop.
#include "scheduler.h"

#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#ifdef __SANITIZE_ADDRESS__
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#endif

dim3 threadIdx, blockIdx, blockDim, gridDim;

enum { THREADS = 1024, STACK = 256 << 10, VARIABLES = 64, COPIES = 64 };
enum { SHARED_BYTES = 163 << 10, SHARED_SM90 = 227 << 10, RED_ZONE = 64 };
enum { UNASKED = 48 << 10, KERNELS = 128 };   // shared memory of a kernel that nothing was allowed; with dynamic memory

typedef enum State { NEW, READY, AT_BARRIER, AT_WARP, AT_CONDITION, DONE } State;

typedef struct Copy { void *to; const void *from; size_t bytes; bool valid; int group; } Copy;

typedef struct Thread {
    State state;
    int fiber;                        // whose stack it waits on
    const char *file;                 // where it waits
    int line;
    unsigned mask;                    // AT_WARP: the lanes that must come
    void *post;
    bool (*ready)(void *);            // AT_CONDITION
    void *arg;
    const char *what;
    Copy copy[COPIES];
    int n_copies, group;              // group: of the next commit
} Thread;

typedef struct Fiber { void *sp; unsigned char *stack; void *fake; } Fiber;

typedef struct Variable { const void *key; size_t at, bytes; } Variable;

static struct {
    const char *op;
    void (*body)(void *);
    void *arg;
    void (*window)(bool);
    Thread thread[THREADS];
    int n, next, self;                // threads; first that has not begun; the running one
    unsigned ended[THREADS / 32], waiting[THREADS / 32];   // lanes by warp; waiting: for others of their warp
    int order[THREADS];
    Fiber fiber[THREADS];
    int idle[THREADS], n_idle, made;  // fibers
    int running;                      // fiber
    Fiber home;                       // the scheduler's own stack
    const void *home_bottom;
    size_t home_size;
    Variable variable[VARIABLES];
    int n_variables;
    size_t shared, dynamic;
    const void *kernel;
    struct { const void *kernel; size_t dynamic; } allowed[KERNELS];
    bool sm90;                        // the kernel is compiled for sm_90a
    alignas(1024) unsigned char memory[SHARED_SM90 + VARIABLES * 2 * RED_ZONE];
} e;

void emulate_window(void (*window)(bool)) { e.window = window; }

void emulate_fail(const char *fmt, ...)
{
    __builtin_va_list ap;
    fprintf(stderr, "cuda emulation: %s, block (%u,%u,%u) of %u threads, thread %u: ", e.op, blockIdx.x, blockIdx.y,
            blockIdx.z, blockDim.x, threadIdx.x);
    __builtin_va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    __builtin_va_end(ap);
    fputc('\n', stderr);
    fflush(stderr);
    abort();
}

#define fail emulate_fail

static size_t shared_limit() { return e.sm90 ? (size_t)SHARED_SM90 : (size_t)SHARED_BYTES; }

// ---- fibers

#ifdef __x86_64__
// Saves the callee's registers on the stack and goes on at another.
extern "C" void emulate_switch(void **save, void *to);
asm(".text\n.globl emulate_switch\n.type emulate_switch,@function\nemulate_switch:\n"
    "push %rbp\npush %rbx\npush %r12\npush %r13\npush %r14\npush %r15\n"
    "mov %rsp, (%rdi)\nmov %rsi, %rsp\n"
    "pop %r15\npop %r14\npop %r13\npop %r12\npop %rbx\npop %rbp\nret\n"
    ".size emulate_switch, .-emulate_switch\n.section .note.GNU-stack,\"\",@progbits\n.text\n");

static void fiber_prepare(Fiber *f, void (*entry)())
{
    void **top = reinterpret_cast<void **>(f->stack + STACK) - 2;   // at entry the stack is 8 below a multiple of 16
    top[0] = reinterpret_cast<void *>(entry);
    top[1] = NULL;
    f->sp = top - 6;
}
static void machine_switch(Fiber *from, Fiber *to) { emulate_switch(&from->sp, to->sp); }
#else
#include <ucontext.h>
static ucontext_t contexts[THREADS + 1];   // slow: each switch is a system call
static ucontext_t *context_of(Fiber *f) { return &contexts[f == &e.home ? THREADS : f - e.fiber]; }
static void fiber_prepare(Fiber *f, void (*entry)())
{
    ucontext_t *c = context_of(f);
    getcontext(c);
    c->uc_stack.ss_sp = f->stack;
    c->uc_stack.ss_size = STACK;
    c->uc_link = NULL;
    makecontext(c, entry, 0);
}
static void machine_switch(Fiber *from, Fiber *to) { swapcontext(context_of(from), context_of(to)); }
#endif

static void arrived(Fiber *f, bool from_home)
{
    (void)f, (void)from_home;
#ifdef __SANITIZE_ADDRESS__
    const void *bottom;
    size_t size;
    __sanitizer_finish_switch_fiber(f->fake, &bottom, &size);
    if (from_home) e.home_bottom = bottom, e.home_size = size;
#endif
}

static void switch_fiber(Fiber *from, Fiber *to)
{
#ifdef __SANITIZE_ADDRESS__
    if (to == &e.home) __sanitizer_start_switch_fiber(&from->fake, e.home_bottom, e.home_size);
    else __sanitizer_start_switch_fiber(&from->fake, to->stack, STACK);
#endif
    machine_switch(from, to);
    arrived(from, from != &e.home);
}

static void go_home() { switch_fiber(&e.fiber[e.running], &e.home); }

// Makes thread t the one that runs.
static void become(int t)
{
    e.self = t;
    threadIdx.x = (unsigned)t;
    e.thread[t].fiber = e.running;
}

// Runs threads that have not begun, one after another, until one of them has waited: then others may have to go on
// first.
static void fiber_main()
{
    arrived(&e.fiber[e.running], true);
    for (;;) {
        while (e.next < e.n) {
            become(e.order[e.next++]);
            e.body(e.arg);
            e.thread[e.self].state = DONE;
            e.ended[e.self / 32] |= 1u << e.self % 32;
        }
        e.idle[e.n_idle++] = e.running;
        go_home();
    }
}

static int fiber_take()
{
    if (e.n_idle) return e.idle[--e.n_idle];
    Fiber *f = &e.fiber[e.made];
    const size_t page = 4096;   // below the stack: an overflow stops there
    void *p = mmap(NULL, STACK + page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (p == MAP_FAILED || mprotect(p, page, PROT_NONE)) fail("no memory for a stack");
    f->stack = static_cast<unsigned char *>(p) + page;
    fiber_prepare(f, fiber_main);
    return e.made++;
}

static void resume(int fiber)
{
    e.running = fiber;
    switch_fiber(&e.home, &e.fiber[fiber]);
}

// The running thread waits; returns when the scheduler lets it go on.
static void wait_as(State s)
{
    const int t = e.self;
    e.thread[t].state = s;
    go_home();
    become(t);
}

// ---- barriers

void emulate_block_barrier(const char *file, int line)
{
    Thread *t = &e.thread[e.self];
    t->file = file;
    t->line = line;
    wait_as(AT_BARRIER);
}

void emulate_wait_until(bool (*ready)(void *arg), void *arg, const char *what, const char *file, int line)
{
    Thread *t = &e.thread[e.self];
    t->file = file;
    t->line = line;
    t->ready = ready;
    t->arg = arg;
    t->what = what;
    while (!ready(arg)) wait_as(AT_CONDITION);
}

int emulate_self() { return e.self; }
int emulate_order() { return omp_get_max_threads(); }
void emulate_sm90(bool on) { e.sm90 = on; }
bool emulate_is_sm90() { return e.sm90; }

// Whether two threads wait at the same place; the same string mostly has the same address.
static bool same_place(const Thread *a, const Thread *b)
{
    return a->line == b->line && (a->file == b->file || strcmp(a->file, b->file) == 0);
}

// No thread can go on: they are all at the same barrier, which opens, or the kernel is wrong.
static void open_barrier()
{
    const Thread *first = NULL;
    for (int i = 0; i < e.n; i++) {
        const Thread *t = &e.thread[i];
        if (t->state == AT_CONDITION) fail("thread %d waits at %s:%d for %s, for ever", i, t->file, t->line, t->what);
        if (t->state == AT_WARP)
            fail("thread %d waits at %s:%d for lanes %08x of its warp that do not come", i, t->file, t->line, t->mask);
        if (t->state == AT_BARRIER && !first) first = t;
    }
    for (int i = 0; i < e.n; i++) {
        Thread *t = &e.thread[i];
        if (t->state == DONE)
            fail("thread %d has ended, others wait at the barrier %s:%d", i, first->file, first->line);
        if (!same_place(t, first))
            fail("thread %d waits at the barrier %s:%d, others at %s:%d", i, t->file, t->line, first->file,
                 first->line);
        t->state = READY;
    }
}

void emulate_warp(unsigned mask, const char *file, int line, void *post, EmulateTogether *together)
{
    const int base = e.self / 32 * 32;
    Thread *warp = &e.thread[base], *self = &e.thread[e.self];
    self->file = file;
    self->line = line;
    self->mask = mask;
    self->post = post;
    if (!(mask >> (e.self - base) & 1)) fail("%s:%d: lane %d is not in its mask %08x", file, line, e.self - base, mask);
    if (base + 32 > e.n && mask >> (e.n - base))
        fail("%s:%d: mask %08x names lanes that the block lacks", file, line, mask);
    unsigned *waiting = &e.waiting[base / 32];
    if (e.ended[base / 32] & mask)
        fail("%s:%d: lane %d of the mask has ended", file, line, __builtin_ctz(e.ended[base / 32] & mask));
    if ((*waiting | 1u << (e.self - base)) != (*waiting | mask)) {   // not the last of them
        *waiting |= 1u << (e.self - base);
        wait_as(AT_WARP);
        return;
    }
    void *posts[32] = {0};
    for (int l = 0; l < 32; l++) {
        if (!(mask >> l & 1)) continue;
        const Thread *t = &warp[l];
        posts[l] = t->post;
        if (!same_place(t, self) || t->mask != mask)
            fail("%s:%d mask %08x: lane %d waits at %s:%d mask %08x", file, line, mask, l, t->file, t->line, t->mask);
    }
    if (together) together(posts, mask);
    *waiting &= ~mask;
    for (int l = 0; l < 32; l++)
        if (mask >> l & 1 && &warp[l] != self) warp[l].state = READY;
}

void emulate_shuffle(void *const post[32], unsigned mask)
{
    for (int l = 0; l < 32; l++) {
        if (!(mask >> l & 1)) continue;
        EmulateShuffle *s = static_cast<EmulateShuffle *>(post[l]);
        s->result = ~(uint64_t)0;   // a lane that takes no part gives anything: here NaN
        if (mask >> s->from & 1) s->result = static_cast<EmulateShuffle *>(post[s->from])->value;
    }
}

void emulate_ballot(void *const post[32], unsigned mask)
{
    uint64_t votes = 0;
    for (int l = 0; l < 32; l++)
        if (mask >> l & 1) votes |= static_cast<EmulateShuffle *>(post[l])->value << l;
    for (int l = 0; l < 32; l++)
        if (mask >> l & 1) static_cast<EmulateShuffle *>(post[l])->result = votes;
}

// ---- shared memory

void emulate_allow_shared(const void *kernel, size_t dynamic)
{
    int i = 0;
    while (i < KERNELS && e.allowed[i].kernel && e.allowed[i].kernel != kernel) i++;
    if (i == KERNELS) fail("more than %d kernels with dynamic shared memory", KERNELS);
    e.allowed[i].kernel = kernel;
    e.allowed[i].dynamic = dynamic;
}

static size_t dynamic_allowed()
{
    for (int i = 0; i < KERNELS && e.allowed[i].kernel; i++)
        if (e.allowed[i].kernel == e.kernel) return e.allowed[i].dynamic;
    return 0;
}

static void shared_access(size_t at, size_t bytes, bool allowed)
{
    (void)at, (void)bytes, (void)allowed;
#ifdef __SANITIZE_ADDRESS__
    if (allowed) __asan_unpoison_memory_region(e.memory + at, bytes);
    else __asan_poison_memory_region(e.memory + at, bytes);
#endif
}

static Variable *shared_new(const void *key, size_t bytes)
{
    if (e.n_variables == VARIABLES) fail("more than %d shared variables", VARIABLES);
    const size_t at = (e.shared + RED_ZONE + 127) / 128 * 128;
    if (at + bytes + RED_ZONE > sizeof e.memory || bytes > shared_limit())
        fail("%zu bytes more than the %zu bytes of shared memory", bytes, shared_limit());
    Variable *v = &e.variable[e.n_variables++];
    *v = Variable{key, at, bytes};
    e.shared = at + bytes;
    shared_access(at, bytes, true);
    return v;
}

void *emulate_shared(const void *key, size_t bytes)
{
    for (int i = 0; i < e.n_variables; i++)
        if (e.variable[i].key == key) return e.memory + e.variable[i].at;
    return e.memory + shared_new(key, bytes)->at;
}

void *emulate_dynamic_shared() { return emulate_shared(&e.dynamic, e.dynamic); }

unsigned char *emulate_shared_memory() { return e.memory; }

bool emulate_shared_holds(size_t at, size_t bytes)
{
    for (int i = 0; i < e.n_variables; i++)
        if (at >= e.variable[i].at && at + bytes <= e.variable[i].at + e.variable[i].bytes) return true;
    return false;
}

static void shared_begin()
{
    e.n_variables = 0;
    e.shared = 0;
    if (e.dynamic) shared_new(&e.dynamic, e.dynamic);
}

// Red zones must be as they were; what was used is NaN again.
static void shared_end()
{
    size_t used = e.shared + RED_ZONE, sum = 0;
    if (!e.n_variables) return;
    shared_access(0, used, true);
    for (int i = 0; i < e.n_variables; i++) {
        const Variable *v = &e.variable[i];
        const size_t end = v->at + v->bytes, next = i + 1 < e.n_variables ? e.variable[i + 1].at : used;
        for (size_t k = i ? v->at : 0; i == 0 && k < v->at; k++)
            if (e.memory[k] != 0xFF) fail("wrote before its shared memory");
        for (size_t k = end; k < next; k++)
            if (e.memory[k] != 0xFF) fail("wrote behind a shared variable of %zu bytes", v->bytes);
        sum += v->bytes;
    }
    if (sum > shared_limit()) fail("%zu bytes of shared memory, the hardware has %zu", sum, shared_limit());
    if (sum > UNASKED && e.dynamic > dynamic_allowed())
        fail("%zu bytes of shared memory: above %d a kernel must be allowed its %zu dynamic ones, got %zu", sum,
             UNASKED, e.dynamic, dynamic_allowed());
    memset(e.memory, 0xFF, used);
    shared_access(0, used, false);
}

// ---- asynchronous copies

void emulate_copy_async(void *to, const void *from, size_t bytes, bool valid)
{
    Thread *t = &e.thread[e.self];
    if (t->n_copies == COPIES) fail("more than %d copies under way in one thread", COPIES);
    if ((uintptr_t)to % bytes || (valid && (uintptr_t)from % bytes))
        fail("asynchronous copy of %zu bytes is not aligned", bytes);
    t->copy[t->n_copies++] = Copy{to, from, bytes, valid, t->group};
    memset(to, 0xFF, bytes);
}

void emulate_copy_commit() { e.thread[e.self].group++; }

void emulate_copy_wait(int newest)
{
    Thread *t = &e.thread[e.self];
    int kept = 0;
    for (int i = 0; i < t->n_copies; i++) {
        const Copy c = t->copy[i];
        if (c.group >= t->group - newest) t->copy[kept++] = c;
        else if (c.valid) memcpy(c.to, c.from, c.bytes);
        else memset(c.to, 0, c.bytes);
    }
    t->n_copies = kept;
}

// Whether products and sums of the kernels are contracted, as nvcc contracts them (cuda/cuda.mk).
extern "C" bool emulate_contracts(void)
{
    volatile float v = 0x1.001p0f;
    const float x = v;
    return x * x - 0x1.002p0f != 0;   // the product's last bit, 2^-24, is rounded off when it is rounded by itself
}

// ---- tensor cores; layouts: cuda/mma.h

typedef struct Mma { float *d; const uint32_t *a, *b; } Mma;

static float tf32_value(uint32_t bits) { return __uint_as_float(bits & ~0x1FFFu); }   // the unit ignores the low bits
static float bf16_value(uint32_t pair, int high) { return __uint_as_float(high ? pair & 0xFFFF0000u : pair << 16); }

static long products;
extern "C" long emulate_mma_count(void) { return products; }

// d += A B with A [16,K], B [K,8]: products summed in double, rounded once.
static void multiply(void *const post[32], int K, const float *A, const float *B)
{
    products++;
    for (int row = 0; row < 16; row++) {
        float *d[8];
        double sum[8];
        for (int col = 0; col < 8; col++) {
            d[col] = &static_cast<Mma *>(post[row % 8 * 4 + col / 2])->d[row / 8 * 2 + col % 2];
            sum[col] = (double)*d[col];
        }
        for (int k = 0; k < K; k++)
            for (int col = 0; col < 8; col++) sum[col] += (double)A[row * K + k] * (double)B[k * 8 + col];
        for (int col = 0; col < 8; col++) *d[col] = (float)sum[col];
    }
}

static void together_tf32(void *const post[32], unsigned)
{
    float A[16 * 8], B[8 * 8];
    for (int l = 0; l < 32; l++) {
        const Mma *m = static_cast<Mma *>(post[l]);
        for (int i = 0; i < 4; i++) A[(l / 4 + i % 2 * 8) * 8 + l % 4 + i / 2 * 4] = tf32_value(m->a[i]);
        for (int i = 0; i < 2; i++) B[(l % 4 + i * 4) * 8 + l / 4] = tf32_value(m->b[i]);
    }
    multiply(post, 8, A, B);
}

static void together_bf16(void *const post[32], unsigned)
{
    float A[16 * 16], B[16 * 8];
    for (int l = 0; l < 32; l++)
        for (int h = 0; h < 2; h++) {
            const Mma *m = static_cast<Mma *>(post[l]);
            for (int i = 0; i < 4; i++)
                A[(l / 4 + i % 2 * 8) * 16 + l % 4 * 2 + i / 2 * 8 + h] = bf16_value(m->a[i], h);
            for (int i = 0; i < 2; i++) B[(l % 4 * 2 + i * 8 + h) * 8 + l / 4] = bf16_value(m->b[i], h);
        }
    multiply(post, 16, A, B);
}

void emulate_mma_tf32(float d[4], const uint32_t a[4], const uint32_t b[2], const char *file, int line)
{
    Mma m = {d, a, b};
    emulate_warp(0xFFFFFFFFu, file, line, &m, together_tf32);
}

void emulate_mma_bf16(float d[4], const uint32_t a[4], const uint32_t b[2], const char *file, int line)
{
    Mma m = {d, a, b};
    emulate_warp(0xFFFFFFFFu, file, line, &m, together_bf16);
}

typedef struct LoadMatrix { uint32_t *r; const unsigned char *row; int matrices; bool transposed; } LoadMatrix;

static void together_load(void *const post[32], unsigned)
{
    for (int l = 0; l < 32; l++) {
        const LoadMatrix *to = static_cast<LoadMatrix *>(post[l]);
        for (int m = 0; m < to->matrices; m++)
            for (int h = 0; h < 2; h++) {
                const int row = to->transposed ? l % 4 * 2 + h : l / 4, col = to->transposed ? l / 4 : l % 4 * 2 + h;
                uint16_t v;
                memcpy(&v, static_cast<LoadMatrix *>(post[m * 8 + row])->row + 2 * col, sizeof v);
                to->r[m] = h ? to->r[m] | (uint32_t)v << 16 : v;
            }
    }
}

void emulate_load_matrix(uint32_t *r, const void *row, int matrices, bool transposed, const char *file, int line)
{
    LoadMatrix l = {r, static_cast<const unsigned char *>(row), matrices, transposed};
    if (e.self % 32 < matrices * 8 && (uintptr_t)row % 16)
        fail("%s:%d: a matrix row is not 16-byte aligned", file, line);
    emulate_warp(0xFFFFFFFFu, file, line, &l, together_load);
}

// ---- the launch

// The k-th of n things: forward, backward, or in an order shuffled by `how`.
static int shuffled(int k, int n, int how)
{
    if (how == 1) return k;
    if (how == 2) return n - 1 - k;
    int64_t step = 7919 * (int64_t)how + 31;   // no common divisor with n
    for (;; step++) {
        int64_t a = n, b = step;
        while (b) {
            const int64_t rest = a % b;
            a = b;
            b = rest;
        }
        if (a == 1) return (int)(((int64_t)k * step + how) % n);
    }
}

static bool all_at_barrier()
{
    for (int i = 0; i < e.n; i++)
        if (e.thread[i].state != AT_BARRIER) return false;
    return true;
}

static void run_block()
{
    shared_begin();
    e.next = 0;
    memset(e.ended, 0, sizeof e.ended);
    memset(e.waiting, 0, sizeof e.waiting);
    for (int i = 0; i < e.n; i++) {
        Thread *t = &e.thread[i];
        t->state = NEW;
        t->n_copies = t->group = 0;
    }
    if (e.sm90) hopper_begin(e.n);
    while (e.next < e.n) resume(fiber_take());
    // Backward, a warp runs as far as it can before the next has its turn: what it reads and writes without a barrier
    // between is then ahead of the others by more than one warp operation.
    const bool ahead = emulate_order() == 2;
    for (;;) {
        int done = 0;
        bool moved = false, warp_moved = false;
        for (int i = 0; i < e.n; i++) {
            Thread *t = &e.thread[e.order[i]];
            if (t->state == AT_CONDITION && t->ready(t->arg)) t->state = READY;
            if (t->state == READY) {
                moved = warp_moved = true;
                resume(t->fiber);
            }
            if (i % 32 != 31) continue;
            if (ahead && warp_moved) i -= 32;
            warp_moved = false;
        }
        for (int i = 0; i < e.n; i++) done += e.thread[i].state == DONE;
        if (done == e.n) break;
        if (e.sm90) moved |= hopper_turn(false);
        if (!moved && e.sm90 && !all_at_barrier()) moved = hopper_turn(true);
        if (!moved) open_barrier();
    }
    if (e.sm90) hopper_end();
    shared_end();
}

void emulate_run(const char *op, const void *kernel, dim3 grid, dim3 block, size_t shared, void (*thread)(void *),
                 void *arg)
{
    const int how = omp_get_max_threads();
    e.op = op;
    e.kernel = kernel;
    e.body = thread;
    e.arg = arg;
    e.n = (int)block.x;
    e.dynamic = shared;
    gridDim = grid;
    blockDim = block;
    threadIdx = blockIdx = dim3(0, 0, 0);
    if (block.x < 1 || block.x > THREADS || block.y != 1 || block.z != 1)
        fail("want a block of 1..%d threads in one dimension, got (%u,%u,%u)", THREADS, block.x, block.y, block.z);
    if (grid.x > 0x7FFFFFFFu || grid.y > 65535 || grid.z > 65535)
        fail("grid (%u,%u,%u) is too large", grid.x, grid.y, grid.z);
    for (int i = 0; i < e.n; i++) e.order[i] = shuffled(i, e.n, how);
    if (!e.made) memset(e.memory, 0xFF, sizeof e.memory);
    shared_access(0, sizeof e.memory, false);
    if (e.window) e.window(true);
    for (unsigned z = 0; z < grid.z; z++)
        for (unsigned y = 0; y < grid.y; y++)
            for (unsigned x = 0; x < grid.x; x++) {
                blockIdx = dim3((unsigned)shuffled((int)x, (int)grid.x, how), y, z);
                run_block();
            }
    if (e.window) e.window(false);
}

// ---- recorded work

typedef struct Node {
    struct Node *next;
    const char *op;                   // NULL: a copy
    const void *kernel;
    bool sm90;
    dim3 grid, block;
    size_t shared;
    void (*thread)(void *);
    void *to;
    const void *from;                 // NULL: zeros
    size_t bytes;                     // of the copy, or of what the threads are given
    alignas(16) unsigned char arg[];
} Node;

typedef struct Graph { Node *first, **last; int64_t n; } Graph;

static Graph *recording;

extern "C" bool emulate_recording(void) { return recording != NULL; }

static void *memory_for(size_t bytes)
{
    void *p = calloc(1, bytes);
    if (!p) fail("no memory to record in");
    return p;
}

extern "C" void emulate_record_begin(void)
{
    if (recording) fail("recording has begun already");
    recording = static_cast<Graph *>(memory_for(sizeof *recording));
    recording->last = &recording->first;
}

extern "C" void *emulate_record_end(void)
{
    Graph *g = recording;
    if (!g) fail("recording has not begun");
    recording = NULL;
    return g;
}

static Node *node_new(size_t arg_bytes)
{
    Node *n = static_cast<Node *>(memory_for((sizeof *n + arg_bytes + 15) / 16 * 16));
    *recording->last = n;
    recording->last = &n->next;
    recording->n++;
    return n;
}

void emulate_record_kernel(const char *op, const void *kernel, dim3 grid, dim3 block, size_t shared,
                           void (*thread)(void *), const void *arg, size_t bytes)
{
    Node *n = node_new(bytes);
    n->op = op;
    n->kernel = kernel;
    n->sm90 = e.sm90;
    n->grid = grid;
    n->block = block;
    n->shared = shared;
    n->thread = thread;
    n->bytes = bytes;
    memcpy(n->arg, arg, bytes);
}

extern "C" void emulate_record_copy(void *to, const void *from, size_t bytes)
{
    Node *n = node_new(0);
    n->to = to;
    n->from = from;
    n->bytes = bytes;
}

extern "C" void emulate_record_run(void *graph)
{
    if (recording) fail("recorded work is run while other work is recorded");
    for (Node *n = static_cast<Graph *>(graph)->first; n; n = n->next) {
        if (n->op) {
            e.sm90 = n->sm90;
            emulate_run(n->op, n->kernel, n->grid, n->block, n->shared, n->thread, n->arg);
            e.sm90 = false;
            continue;
        }
        if (e.window) e.window(true);
        if (n->from) memmove(n->to, n->from, n->bytes);
        else memset(n->to, 0, n->bytes);
        if (e.window) e.window(false);
    }
}

extern "C" void emulate_record_free(void *graph)
{
    for (Node *n = static_cast<Graph *>(graph)->first, *next; n; n = next) {
        next = n->next;
        free(n);
    }
    free(graph);
}

extern "C" int64_t emulate_record_nodes(void *graph) { return static_cast<Graph *>(graph)->n; }
