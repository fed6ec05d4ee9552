// Replay of the fuzz targets: their seeds, each cut at every length and with bytes changed, as libFuzzer begins; see
// tests/fuzz/targets.h.  A crash, a sanitizer or a CHECK inside the readers ends the program.
#include "tests/fuzz/targets.h"

#include <stdlib.h>
#include <string.h>

#include "tests/test.h"

typedef struct Replayed { FuzzWorld *w; const FuzzKind *kind; long inputs, seeds; bool quick; } Replayed;

// The target on a copy of exactly this size, so that the address sanitizer sees the next byte read.
static void run_exact(Replayed *r, const unsigned char *data, size_t size)
{
    const size_t a = arena_mark(r->w->a), scratch = arena_mark(r->w->scratch);
    unsigned char *exact = arena_alloc(r->w->a, size);
    memcpy(exact, data, size);
    r->kind->target(r->w, exact, size);
    arena_rewind(r->w->a, a);
    arena_rewind(r->w->scratch, scratch);
    r->inputs++;
}

static void replay(void *arg, const void *data, size_t size)
{
    Replayed *r = arg;
    const size_t mark = arena_mark(r->w->a), step = (r->quick ? 4u : 1u) * (size > 600 ? 7u : 1u);
    unsigned char *x = arena_alloc(r->w->a, size);
    memcpy(x, data, size);
    for (size_t n = 0; n < size; n += step) run_exact(r, x, n);
    run_exact(r, x, size);
    static const unsigned char others[] = {0, '"', '9', 0x80, 0xFF};
    for (size_t i = 0; i < size; i += step)
        for (size_t k = 0; k < sizeof others; k++) {
            const unsigned char was = x[i];
            x[i] = k < 3 ? others[k] : (unsigned char)(was ^ others[k]);
            run_exact(r, x, size);
            x[i] = was;
        }
    r->seeds++;
    arena_rewind(r->w->a, mark);
}

void test_fuzz(TestLog *log)
{
    FuzzWorld w = fuzz_world();
    for (int i = 0; i < FUZZ_KINDS; i++) {
        Replayed r = {.w = &w, .kind = &fuzz_kinds()[i], .quick = log->quick};
        r.kind->seeds(&w, replay, &r);
        TEST(log, r.seeds >= 6 && r.inputs > 100 * r.seeds / (log->quick ? 4 : 1), "%s: %ld inputs of %ld seeds",
             r.kind->name, r.inputs, r.seeds);
    }
    arena_delete(w.a);
    arena_delete(w.scratch);
}
