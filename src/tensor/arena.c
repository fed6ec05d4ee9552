#include "tensor/arena.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "tensor/status.h"

struct Arena {
    const char *name;
    unsigned char *base;
    size_t size, used, peak;
    ArenaFull *full;
};

enum { ALIGN = 64, HEADER = 4096 };   // the Arena itself sits in the first page of its own mapping

Arena *arena_new(const char *name, size_t reserve, ArenaFull *full)
{
    for (; reserve >= (size_t)64 << 20; reserve /= 2) {
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
    if (a) munmap(a, a->size + HEADER);
}

void *arena_alloc(Arena *a, size_t bytes)
{
    size_t want = bytes <= SIZE_MAX - ALIGN ? (bytes + ALIGN - 1) / ALIGN * ALIGN : SIZE_MAX;
    if (want > a->size - a->used) {
        char msg[200];
        snprintf(msg, sizeof msg, "out of memory: arena '%s' wants %zu bytes more, has %zu of %zu left",
                 a->name, want, a->size - a->used, a->size);
        if (a->full) a->full(msg);
        CHECK(0, "%s", msg);
    }
    void *p = a->base + a->used;
    a->used += want;
    if (a->used > a->peak) a->peak = a->used;
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
void arena_reset_peak(Arena *a) { a->peak = a->used; }

void arena_rewind(Arena *a, size_t mark)
{
    CHECK(mark <= a->used, "arena_rewind('%s'): mark %zu is beyond %zu", a->name, mark, a->used);
    a->used = mark;
}
