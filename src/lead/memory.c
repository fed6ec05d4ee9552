#include "lead/memory.h"

enum { ARENAS = 3, MOST_TRIED = 4 };

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

// What sampling n rows takes, without what a forecast does before and after.
static Held try_rows(LeadRun *r, int64_t t, int n)
{
    Tape *tape = &r->tape;
    const bool direct = r->cfg.horizons == HORIZON_DIRECT;
    const int B = direct ? 1 : n, S = direct ? n : 1;   // fed back, each path is a window of its own
    int64_t at[MOST_TRIED];
    for (int i = 0; i < B; i++) at[i] = t;
    tape_reset(tape);
    r->model.most_rows = 0;
    const int steps = r->model.cfg.sample_steps;
    r->model.cfg.sample_steps = steps < 2 ? steps : 2;
    LeadBatch b = lead_data_batch(tape, &r->data, lead_data_rows(&r->data, tape->step, at, B), NULL, false);
    b.moments = lead_moments(tape, &r->model, &b);
    arena_reset_peak(tape->step);
    arena_reset_peak(tape->scratch);
    arena_reset_peak(r->perm);
    (void)lead_sample(tape, &r->model, &b, B, S, at, NULL);
    if (!direct) (void)tape_zeros(tape, SHAPE(2 * n, r->cfg.horizon, r->stats.F));   // the paths, as drawn and scaled
    r->model.cfg.sample_steps = steps;
    return held(r, arena_peak, arena_device_peak);
}

// Bytes of the process when `base` grows by the step from `less` to `more` times / per.
static size_t grown(const Held *top, const Held *base, const Held *less, const Held *more, int64_t times, int64_t per)
{
    size_t sum = MEMORY_PROGRAM;
    for (int k = 0; k < ARENAS; k++) {
        const size_t by = more->of[k] > less->of[k] ? more->of[k] - less->of[k] : 0;
        const size_t now = base->of[k] + (size_t)times * by / (size_t)per;
        sum += now > top->of[k] ? now : top->of[k];
    }
    return sum;
}

Status lead_memory_fit(LeadRun *r, int64_t t, int windows, MemoryDraw *draw, void *arg)
{
    CHECK(r->memory && windows > 0, "lead_memory_fit: %zu bytes, %d windows", r->memory, windows);
    const int S = r->cfg.samples;
    const Held top = top_of(r), one = try_fit(r, t, fit_of(1, 1), draw, arg);
    const size_t least = grown(&top, &one, &one, &one, 0, 1);
    if (least > r->memory)
        return ERROR("--memory: want at least %zu MiB, which one sample at a time takes, got %zu MiB",
                     (least >> 20) + 1, r->memory >> 20);
    // no row more adds more than this to any part of the forecast
    const Held few = try_rows(r, t, MOST_TRIED / 2), more = try_rows(r, t, MOST_TRIED);
    int rows = S, most = 1;
    while (rows > 1 && grown(&top, &one, &few, &more, rows - 1, MOST_TRIED / 2) > r->memory) rows--;
    if (rows == S && windows > 1) {   // n windows take at most n times what one does
        const Held idle = held(r, arena_mark, arena_device_used), whole = try_fit(r, t, fit_of(1, S), draw, arg);
        most = windows;
        while (most > 1 && grown(&top, &idle, &idle, &whole, most, 1) > r->memory) most--;
    }
    r->fit = fit_of(most, (int64_t)most * rows);
    r->model.most_rows = r->fit.rows;
    return OK;
}
