#include "lead/memory.h"

enum { ARENAS = 3 };

// Bytes of the run's arenas; of their device blocks, where values live there.
typedef struct Held { size_t of[ARENAS]; } Held;
typedef size_t HeldBy(const Arena *a);

static Held held(const LeadRun *r, HeldBy *host, HeldBy *device)
{
    const Arena *a[ARENAS] = {r->perm, r->tape.step, r->tape.scratch};
    Held h;
    for (int i = 0; i < ARENAS; i++) h.of[i] = r->tape.dev->memory ? device(a[i]) : host(a[i]);
    return h;
}

// Most bytes ever: peaks begin anew with each trial.
static Held top_of(LeadRun *r)
{
    Held top = held(r, arena_peak, arena_device_peak);
    for (int i = 0; i < ARENAS; i++) {
        if (top.of[i] < r->memory_top[i]) top.of[i] = r->memory_top[i];
        r->memory_top[i] = top.of[i];
    }
    return top;
}

static MemoryFit fit_of(int windows, int64_t rows) { return (MemoryFit){.windows = windows, .rows = rows}; }

// What drawing takes, of few network calls as of many.
static Held try_fit(LeadRun *r, int64_t t, MemoryFit fit, MemoryDraw *draw, void *arg)
{
    Arena *a[ARENAS] = {r->perm, r->tape.step, r->tape.scratch};
    const size_t mark = arena_mark(r->perm);
    const int steps = r->cfg.sample_steps;
    int64_t *at = arena_alloc(r->perm, (size_t)fit.windows * sizeof *at);
    for (int i = 0; i < fit.windows; i++) at[i] = t;
    for (int i = 0; i < ARENAS; i++) arena_reset_peak(a[i]);
    r->cfg.sample_steps = steps < 2 ? steps : 2;
    r->fit = fit;
    r->model.most_rows = fit.rows;
    draw(r, arg, at, fit.windows);
    r->cfg.sample_steps = steps;
    arena_rewind(r->perm, mark);
    return held(r, arena_peak, arena_device_peak);
}

// Bytes of the process when `base` grows `times` times by what `more` has beyond `less`.
static size_t grown(const Held *top, const Held *base, const Held *less, const Held *more, int64_t times)
{
    size_t sum = MEMORY_PROGRAM;
    for (int k = 0; k < ARENAS; k++) {
        const size_t by = more->of[k] > less->of[k] ? more->of[k] - less->of[k] : 0;
        const size_t now = base->of[k] + (size_t)times * by;
        sum += now > top->of[k] ? now : top->of[k];
    }
    return sum;
}

// The most of 1 .. most, of which one and two take so much, that r->memory holds.
static int64_t most_of(const LeadRun *r, const Held *top, const Held *one, const Held *two, int64_t most)
{
    int64_t n = most;
    while (n > 1 && grown(top, one, one, two, n - 1) > r->memory) n--;
    return n;
}

// A window's samples, all at once, fit: how many windows do?
static int windows_of(LeadRun *r, int64_t t, int most, const Held *top, MemoryDraw *draw, void *arg)
{
    const int S = r->cfg.samples;
    const Held idle = held(r, arena_mark, arena_device_used), one = try_fit(r, t, fit_of(1, S), draw, arg);
    if (most == 1 || grown(top, &one, &idle, &one, 1) > r->memory) return 1;
    const Held two = try_fit(r, t, fit_of(2, 2 * (int64_t)S), draw, arg);
    return (int)most_of(r, top, &one, &two, most);
}

Status lead_memory_fit(LeadRun *r, int64_t t, int windows, MemoryDraw *draw, void *arg)
{
    CHECK(r->memory && windows > 0, "lead_memory_fit: %zu bytes, %d windows", r->memory, windows);
    const int S = r->cfg.samples;
    const Held top = top_of(r), one = try_fit(r, t, fit_of(1, 1), draw, arg);
    const size_t least = grown(&top, &one, &one, &one, 0);
    if (least > r->memory)
        return ERROR("--memory: want at least %zu MiB, which one sample at a time takes, got %zu MiB",
                     (least >> 20) + 1, r->memory >> 20);
    const Held two = try_fit(r, t, fit_of(1, 2), draw, arg);
    const int rows = (int)most_of(r, &top, &one, &two, S);
    r->fit = fit_of(1, rows);
    if (rows == S) {
        const int most = windows_of(r, t, windows, &top, draw, arg);
        r->fit = fit_of(most, (int64_t)most * S);
    }
    r->model.most_rows = r->fit.rows;
    return OK;
}
