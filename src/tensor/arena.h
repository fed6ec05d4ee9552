// Arenas: memory named by its lifetime.  The only file that asks the system for memory.
//   perm     parameters, optimiser moments, EMA, data sets       lives as long as the program
//   step     activations, gradients, tape nodes                  rewound after every training or sampling step
//   scratch  inside one kernel call                              rewound by the caller of the kernel
// Nobody frees a single object.  A rewound arena hands out the same addresses again, in the same order.
#ifndef LEAD_TENSOR_ARENA_H
#define LEAD_TENSOR_ARENA_H

#include <stddef.h>

typedef struct Arena Arena;

// Called with a one-line message when an arena is full; must not return.  NULL = CHECK failure (abort).
typedef void ArenaFull(const char *msg);

// Reserves `reserve` bytes of address space (pages are taken from the system when touched).
// Returns NULL when not even 64 MiB of address space can be had.
Arena *arena_new(const char *name, size_t reserve, ArenaFull *full);
void arena_delete(Arena *a);

// 64-byte aligned, contents undefined / zeroed.  Never returns NULL.
void *arena_alloc(Arena *a, size_t bytes);
void *arena_zalloc(Arena *a, size_t bytes);
char *arena_printf(Arena *a, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

size_t arena_mark(const Arena *a);              // bytes in use
void arena_rewind(Arena *a, size_t mark);       // forget everything allocated since arena_mark returned mark
size_t arena_peak(const Arena *a);              // most bytes ever in use
void arena_reset_peak(Arena *a);                // .. counted from here on: what one call takes

// ---- device memory of the same lifetime (tensor/device.h): an arena may be given a second block, which the host must
// not touch.  Rewinding the arena rewinds that block too, so device addresses repeat from step to step as well.
void arena_attach(Arena *a, void *base, size_t bytes);   // the block stays the caller's; NULL takes it away
void *arena_device_block(const Arena *a, size_t *bytes); // what was attached; NULL: nothing
void *arena_device_alloc(Arena *a, size_t bytes);        // 256-byte aligned; an arena without a block is full
size_t arena_device_used(const Arena *a);
size_t arena_device_peak(const Arena *a);                // since arena_reset_peak

// Gives the whole pages within these bytes back to the system: nobody will read what was in them.  The addresses stay.
void memory_unused(void *p, size_t bytes);

#endif
