#include "tensor/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "tensor/status.h"

// What the device block held before one allocation, kept in the arena itself: rewinding past it restores that.
typedef struct Undo { size_t used; struct Undo *before; } Undo;

struct Arena {
    const char *name;
    unsigned char *base;
    size_t size, used, peak, top;    // peak: since arena_reset_peak; top: ever
    unsigned char *device;
    size_t device_size, device_used, device_peak;
    Undo *undo;
    ArenaFull *full;
};

// Under the address sanitizer nothing between two allocations, and nothing that was given back, may be touched.
#ifdef __has_feature
#if __has_feature(address_sanitizer)
#define GUARDED
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define GUARDED
#endif
#ifdef GUARDED
#include <sanitizer/asan_interface.h>
enum { GAP = 64 };
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
enum { GAP = 0 };
#endif

enum { ALIGN = 64, DEVICE_ALIGN = 256, HEADER = 4096 };   // the Arena itself sits in the first page of its own mapping

Arena *arena_new(const char *name, size_t reserve, ArenaFull *full)
{
    for (; reserve >= (size_t)1 << 20; reserve /= 2) {
        void *p = mmap(NULL, reserve, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (p == MAP_FAILED) continue;   // an address-space limit (ulimit -v): take what there is
        // THP halves the TLB misses of the GEMM panels; refused on some kernels, which only costs speed.
        (void)madvise(p, reserve, MADV_HUGEPAGE);
        Arena *a = p;
        *a = (Arena){.name = name, .base = (unsigned char *)p + HEADER, .size = reserve - HEADER, .full = full};
        return a;
    }
    return NULL;
}

void arena_delete(Arena *a)
{
    if (!a) return;
    ASAN_UNPOISON_MEMORY_REGION(a->base, a->top);
    munmap(a, a->size + HEADER);
}

// The next multiple of unit; too large for an arena where there is none.
static size_t round_up(size_t bytes, size_t unit)
{
    return bytes <= SIZE_MAX - unit ? (bytes + unit - 1) / unit * unit : SIZE_MAX;
}

static void full(const Arena *a, const char *where, size_t want, size_t left, size_t size)
{
    char msg[200];
    snprintf(msg, sizeof msg, "out of memory: arena '%s'%s wants %zu bytes more, has %zu of %zu left", a->name, where,
             want, left, size);
    if (a->full) a->full(msg);
    CHECK(0, "%s", msg);
}

void *arena_alloc(Arena *a, size_t bytes)
{
    const size_t rounded = round_up(bytes, ALIGN), want = rounded < SIZE_MAX - GAP ? rounded + GAP : SIZE_MAX;
    if (want > a->size - a->used) full(a, "", want, a->size - a->used, a->size);
    unsigned char *p = a->base + a->used;
    ASAN_UNPOISON_MEMORY_REGION(p, bytes);
    ASAN_POISON_MEMORY_REGION(p + bytes, want - bytes);
    a->used += want;
    if (a->used > a->peak) a->peak = a->used;
    if (a->used > a->top) a->top = a->used;
    return p;
}

void *arena_zalloc(Arena *a, size_t bytes)
{
    return memset(arena_alloc(a, bytes), 0, bytes);
}

char *arena_printf(Arena *a, const char *fmt, ...)
{
    va_list ap, ap2;
    va_start(ap, fmt);
    va_copy(ap2, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    CHECK(n >= 0, "arena_printf: bad format %s", fmt);
    char *s = arena_alloc(a, (size_t)n + 1);
    vsnprintf(s, (size_t)n + 1, fmt, ap2);
    va_end(ap2);
    return s;
}

size_t arena_mark(const Arena *a) { return a->used; }
size_t arena_peak(const Arena *a) { return a->peak; }
size_t arena_device_used(const Arena *a) { return a->device_used; }
size_t arena_device_peak(const Arena *a) { return a->device_peak; }

void arena_reset_peak(Arena *a)
{
    a->peak = a->used;
    a->device_peak = a->device_used;
}

void arena_rewind(Arena *a, size_t mark)
{
    CHECK(mark <= a->used, "arena_rewind('%s'): mark %zu is beyond %zu", a->name, mark, a->used);
    for (; a->undo && (size_t)((unsigned char *)a->undo - a->base) >= mark; a->undo = a->undo->before)
        a->device_used = a->undo->used;
    ASAN_POISON_MEMORY_REGION(a->base + mark, a->used - mark);
    a->used = mark;
}

void arena_attach(Arena *a, void *base, size_t bytes)
{
    CHECK(!a->device_used, "arena_attach('%s'): %zu bytes of the block are in use", a->name, a->device_used);
    a->device = base;
    a->device_size = base ? bytes : 0;
    a->device_peak = 0;
}

void *arena_device_block(const Arena *a, size_t *bytes)
{
    *bytes = a->device_size;
    return a->device;
}

void *arena_device_alloc(Arena *a, size_t bytes)
{
    const size_t want = round_up(bytes, DEVICE_ALIGN);
    if (want > a->device_size - a->device_used)
        full(a, " (device)", want, a->device_size - a->device_used, a->device_size);
    Undo *u = arena_alloc(a, sizeof *u);
    *u = (Undo){a->device_used, a->undo};
    a->undo = u;
    void *p = a->device + a->device_used;
    a->device_used += want;
    if (a->device_used > a->device_peak) a->device_peak = a->device_used;
    return p;
}

void memory_unused(void *p, size_t bytes)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
    const uintptr_t from = ((uintptr_t)p + page - 1) / page * page, to = ((uintptr_t)p + bytes) / page * page;
    if (from < to) (void)madvise((void *)from, to - from, MADV_DONTNEED);
}
