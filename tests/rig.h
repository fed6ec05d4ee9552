// A device with three arenas and, where its memory is not the host's, a block of device memory for each.
#ifndef LEAD_TESTS_RIG_H
#define LEAD_TESTS_RIG_H

#include "tensor/arena.h"
#include "tensor/device.h"

enum { RIG_BLOCK_LOG2 = 28 };

typedef struct Rig { Device dev; Arena *perm, *step, *scratch; void *block[3]; } Rig;

static inline Rig *rig_new(Device dev)
{
    Arena *perm = arena_new("perm", (size_t)1 << 30, NULL);
    CHECK(perm, "no address space");
    Rig *r = arena_zalloc(perm, sizeof *r);
    *r = (Rig){.dev = dev, .perm = perm, .step = arena_new("step", (size_t)1 << 32, NULL),
               .scratch = arena_new("scratch", (size_t)1 << 30, NULL)};
    Arena *a[3] = {r->perm, r->step, r->scratch};
    for (int i = 0; dev.memory && i < 3; i++) {
        r->block[i] = dev.memory->take(&r->dev, (size_t)1 << RIG_BLOCK_LOG2);
        CHECK(r->block[i], "no device memory");
        arena_attach(a[i], r->block[i], (size_t)1 << RIG_BLOCK_LOG2);
    }
    return r;
}

static inline void rig_delete(Rig *r)
{
    for (int i = 0; i < 3; i++)
        if (r->block[i]) r->dev.memory->give(&r->dev, r->block[i], (size_t)1 << RIG_BLOCK_LOG2);
    arena_delete(r->scratch);
    arena_delete(r->step);
    arena_delete(r->perm);
}

#endif
