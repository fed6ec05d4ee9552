// A GPU verified and measured by one program.  Rows go to stdout and, as TSV, to --tsv.
//   gpu check [op ..]    every op at the shapes of LEAD and GPT-2 (shapes.c) against the CPU's kernels; run twice: the
//                        same bits
//   gpu train [--config NAME] [--steps N]   the same training steps on CPU and GPU: losses, gradients of the first
//                        step, gradient norms; the GPU's steps again, same bits; noise bits; seconds a step
//   gpu bench [op ..]    seconds of every op and pass at those shapes and at some that fill a GPU, TFLOP/s, TB/s, % of
//                        what the measured ceilings allow; beside it cuBLAS, cuBLASLt, cuDNN (gpu_peers.h)
//   gpu models [row ..]  training steps of LEAD and GPT-2, samples, forward passes (models.h): milliseconds, samples or
//                        tokens a second, calls of ops in a round
// Common: [--math fp32|tf32|bf16] [--tsv FILE] [--small] (only rows of little work: for the emulated GPU; models: tiny)
// [--no-peers] [--seconds N] (no new row is begun after N).
// Times: calls are recorded once (tensor/graph.h) and replayed, so that gaps between launches do not count; host clock
// around enough replays for 5 ms, median of 5.  Models: rounds as a user would run them, at least 5 and 0.3 s, median.
// Ceilings, measured in the same run: a device copy of 1 GiB, bytes read and written, and the faster of cuBLAS and
// cuBLASLt at 8192^3 with the same --math.  ratio: fastest peer's time over ours, above 1 we are faster.
// Built twice: build/bench/gpu with CUDA, build/bench/gpu-emulated with the kernels run on the host (no times then).
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "autograd/profile.h"
#include "bench/gpu_peers.h"
#include "bench/models.h"
#include "bench/problem.h"
#include "tensor/ceiling.h"
#include "tensor/clock.h"
#include "tensor/graph.h"
#include "tensor/pack.h"

// Not linked into the emulated program: NULL there.
#pragma weak gpu_peers_open
#pragma weak gpu_peer_about
#pragma weak gpu_peer_seconds
#pragma weak gpu_peers_product

enum { GIB = 30 };

typedef struct Gpu {
    Device cpu, gpu;
    Arena *perm, *mem, *scratch;
    FILE *tsv;
    bool small, emulated, no_peers;
    Math math;
    GpuPeers *peers;           // or NULL
    double copy_rate, product_rate;   // bytes and operations a second
    double deadline;           // of clock_seconds()
    int rows, bad;
} Gpu;

// A row to stdout and to the TSV file.
__attribute__((format(printf, 2, 3))) static void row(const Gpu *g, const char *fmt, ...)
{
    FILE *out[2] = {stdout, g->tsv};
    for (int i = 0; i < 2; i++) {
        if (!out[i]) continue;
        va_list ap;
        va_start(ap, fmt);
        vfprintf(out[i], fmt, ap);
        va_end(ap);
        fflush(out[i]);
    }
}

static void verdict(Gpu *g, bool ok)
{
    g->rows++;
    g->bad += !ok;
}

// ---- one problem on the GPU

// A row whose weight is packed for the CPU: in bf16, which the GPU has in a layout of its own; in f32 panels, which are
// nothing to it, so that the row would be its plain neighbour again.
static bool in_bf16(const Problem *p) { return p->row->op == OP_linear && p->row->i[0] == 2; }
static bool in_panels(const BenchRow *b) { return b->op == OP_linear && b->i[0] == 1; }

// p's call with tensors in the GPU's memory, lifetime of g->mem.
static OpCall on_gpu(Gpu *g, const Problem *p)
{
    OpCall c = p->call;
    for (int i = 0; i < c.n_in + c.n_out; i++) {
        Tensor **t = i < c.n_in ? &c.in[i] : &c.out[i - c.n_in];
        if (!*t) continue;
        const Tensor *host = *t;
        int same = -1;    // in place: an output that is an input
        for (int k = 0; i >= c.n_in && k < c.n_in; k++)
            if (p->call.in[k] && p->call.in[k]->x == host->x) same = k;
        if (same >= 0) {
            *t = c.in[same];
            continue;
        }
        Tensor *y = tensor_new(g->mem, &g->gpu, host->dtype, host->shape, host->name);
        device_put(&g->gpu, y->x, host->x, tensor_bytes(y));
        if (i == 1 && in_bf16(p)) tensor_pack_bf16(y, g->mem);
        y->needs_grad = host->needs_grad;
        *t = y;
    }
    if (c.out[0] && p->call.out[0]->g) {
        c.out[0]->g = device_alloc(&g->gpu, g->mem, tensor_bytes(c.out[0]));
        device_put(&g->gpu, c.out[0]->g, p->call.out[0]->g, tensor_bytes(c.out[0]));
    }
    c.scratch = g->scratch;
    return c;
}

static bool gets_gradient(Pass pass, int i) { return pass == BWD || (pass == DX && i == 0) || (pass == DW && i == 1); }

static void attach(const Problem *p, OpCall *c, Pass pass, void *const *grad)
{
    for (int i = 0; i < c->n_in; i++)
        if (c->in[i]) c->in[i]->g = p->grad[i] && gets_gradient(pass, i) ? grad[i] : NULL;
}

static void run_once(Gpu *g, const OpCall *c, bool backward)
{
    const size_t mark = arena_mark(g->scratch);
    (backward ? g->gpu.bwd : g->gpu.fwd)[c->op](c);
    arena_rewind(g->scratch, mark);
}

static double difference(const float *want, const float *got, int64_t n)
{
    double worst = 0, top = 1e-30;
    for (int64_t i = 0; i < n; i++) {
        const double e = fabs((double)want[i] - (double)got[i]);
        if (!(e <= worst)) worst = isnan(e) ? INFINITY : e;
        top = fmax(top, fabs((double)want[i]));
    }
    return worst / top;
}

// Runs one pass twice on the GPU from the same state and on the CPU; the worst difference, and whether the runs agree.
static double check_pass(Gpu *g, Problem *p, OpCall *c, Pass pass, void *const *grad, bool *same)
{
    double worst = 0;
    *same = true;
    for (int i = 0; i < c->n_in; i++)
        if (p->grad[i]) memset(p->grad[i], 0, tensor_bytes(p->call.in[i]));
    problem_run(p, &g->cpu, pass);
    attach(p, c, pass, grad);
    float *first[1 + OP_MAX_IN] = {0};
    for (int round = 0; round < 2; round++) {
        for (int i = 0; i < c->n_in; i++)
            if (c->in[i] && c->in[i]->g) device_zero(&g->gpu, c->in[i]->g, tensor_bytes(c->in[i]));
        run_once(g, c, pass != FWD);
        for (int k = 0; k <= c->n_in; k++) {
            const Tensor *t = k ? c->in[k - 1] : c->out[0];
            const void *at = k ? t ? t->g : NULL : pass == FWD ? t->x : NULL;
            const void *want = k ? p->grad[k - 1] : p->call.out[0]->x;
            if (!at) continue;
            float *got = arena_alloc(g->mem, tensor_bytes(t));
            device_get(&g->gpu, got, at, tensor_bytes(t));
            if (round) *same &= memcmp(got, first[k], tensor_bytes(t)) == 0;
            first[k] = got;
            worst = fmax(worst, difference(want, got, numel(t)));
        }
    }
    return worst;
}

// Seconds of one call: calls recorded and replayed; 0 on the emulated GPU.
static double time_pass(Gpu *g, OpCall *c, bool backward)
{
    enum { ROUNDS = 5, RECORDED = 8 };
    if (g->emulated) return 0;
    run_once(g, c, backward);
    device_wait(&g->gpu);
    device_graph_begin(&g->gpu);
    for (int i = 0; i < RECORDED; i++) run_once(g, c, backward);
    void *graph = device_graph_end(&g->gpu);
    device_graph_run(&g->gpu, graph);
    device_wait(&g->gpu);
    double start = clock_seconds(), time[ROUNDS];
    device_graph_run(&g->gpu, graph);
    device_wait(&g->gpu);
    const double once = clock_seconds() - start;
    const int n = once > 5e-3 ? 1 : (int)(5e-3 / once) + 1;
    for (int r = 0; r < ROUNDS; r++) {
        start = clock_seconds();
        for (int i = 0; i < n; i++) device_graph_run(&g->gpu, graph);
        device_wait(&g->gpu);
        time[r] = (clock_seconds() - start) / (n * RECORDED);
    }
    device_graph_free(&g->gpu, graph);
    return ceiling_median(time, ROUNDS);
}

static double bound(const Gpu *g, const Problem *p)
{
    if (p && in_bf16(p)) return 4e-2;
    return g->math == MATH_FP32 ? 2e-4 : g->math == MATH_TF32 ? 5e-3 : 4e-2;
}

// "-" for NaN, else in this format; a ring of texts.
static const char *number(const char *fmt, double v)
{
    static char text[8][32];
    static int next;
    char *t = text[next++ % 8];
    if (isnan(v)) return "-";
    snprintf(t, sizeof text[0], fmt, v);
    return t;
}

// Times one pass and prints it beside the peers.
static void bench_pass(Gpu *g, Problem *p, OpCall *c, Pass pass)
{
    const OpWork w = problem_work(p, pass);
    const double s = time_pass(g, c, pass != FWD);
    double peer[GPU_PEERS], best = NAN;
    for (int k = 0; k < GPU_PEERS; k++) {
        peer[k] = g->peers ? gpu_peer_seconds(g->peers, (GpuPeer)k, c, pass) : NAN;
        if (!isnan(peer[k]) && !(best <= peer[k])) best = peer[k];
    }
    // fmax passes a missing ceiling over
    const double floor = fmax(w.flops / g->product_rate, w.bytes / g->copy_rate);
    row(g, "%s\t%s\t%s\t%.3f\t%.2f\t%.3f\t%s\t%s\t%s\t%s\t%s\n", op_info(p->row->op)->name, p->row->label,
        pass_names[pass], s * 1e6, w.flops / s * 1e-12, w.bytes / s * 1e-12, number("%.1f", 100 * floor / s),
        number("%.3f", peer[0] * 1e6), number("%.3f", peer[1] * 1e6), number("%.3f", peer[2] * 1e6),
        number("%.2f", best / s));
    verdict(g, g->emulated || s > 0);
}

static void problem_rows(Gpu *g, const BenchRow *b, bool bench)
{
    const size_t mark = arena_mark(g->mem);
    Problem *p = problem_new(g->mem, g->scratch, b);
    OpCall c = on_gpu(g, p);
    void *grad[OP_MAX_IN] = {0};
    for (int i = 0; i < c.n_in; i++)
        if (p->grad[i]) grad[i] = device_zalloc(&g->gpu, g->mem, tensor_bytes(c.in[i]));
    if (!bench) problem_run(p, &g->cpu, FWD);     // outputs that backward reads
    for (Pass pass = FWD; pass < PASSES; pass++) {
        if (!problem_has(p, pass)) continue;
        bool same = true;
        const bool in_place = b->op == OP_adamw || b->op == OP_cache_put;   // a second run sees the first
        const double error = bench || in_place ? 0 : check_pass(g, p, &c, pass, grad, &same);
        attach(p, &c, pass, grad);
        if (bench) {
            bench_pass(g, p, &c, pass);
        } else {
            const bool ok = error <= bound(g, p) && same;
            row(g, "%s\t%s\t%s\t%.3g\t%.3g\t%s\t%s\n", op_info(b->op)->name, b->label, pass_names[pass], error,
                bound(g, p), same ? "same" : "OTHER BITS", ok ? "ok" : "FAILED");
            verdict(g, ok);
        }
    }
    arena_rewind(g->mem, mark);
}

static void measure_copy(Gpu *g)
{
    const size_t mark = arena_mark(g->mem), bytes = (size_t)1 << GIB;
    char *a = device_alloc(&g->gpu, g->mem, bytes), *b = device_alloc(&g->gpu, g->mem, bytes);
    device_zero(&g->gpu, a, bytes);
    device_copy(&g->gpu, b, a, bytes);
    device_wait(&g->gpu);
    const double start = clock_seconds();
    for (int i = 0; i < 20; i++) device_copy(&g->gpu, b, a, bytes);
    device_wait(&g->gpu);
    g->copy_rate = 20 * 2 * (double)bytes / (clock_seconds() - start);
    arena_rewind(g->mem, mark);
}

static void measure_ceilings(Gpu *g)
{
    enum { SIDE = 8192 };
    g->copy_rate = g->product_rate = NAN;
    if (g->emulated) return;
    measure_copy(g);
    row(g, "# device copy: %.3f TB/s, bytes read and written\n", g->copy_rate * 1e-12);
    if (g->no_peers || !gpu_peers_open) return;
    g->peers = gpu_peers_open(g->math);
    for (int k = 0; k < GPU_PEERS; k++) row(g, "# peer %s\n", gpu_peer_about(g->peers, (GpuPeer)k));
    g->product_rate = gpu_peers_product(g->peers, SIDE);
    row(g, "# product %d x %d x %d by the peers: %s TFLOP/s\n", SIDE, SIDE, SIDE,
        number("%.1f", g->product_rate * 1e-12));
}

static bool late(const Gpu *g)
{
    if (clock_seconds() < g->deadline) return false;
    row(g, "# out of time: the rows that follow were not run\n");
    return true;
}

static void some_problems(Gpu *g, bool bench, const BenchRow *rows, int n, int n_ops, char **ops)
{
    for (int i = 0; i < n; i++) {
        bool wanted = n_ops == 0;
        for (int k = 0; k < n_ops; k++) wanted |= strcmp(ops[k], op_info(rows[i].op)->name) == 0;
        double size = 1;
        for (int k = 0; k < BENCH_MAX_IN; k++)
            if (rows[i].in[k].n) size += (double)shape_numel(rows[i].in[k]);
        if (!wanted || (g->small && size > 6e4) || in_panels(&rows[i])) continue;
        if (late(g)) return;
        const OpId op = rows[i].op;
        if (g->gpu.fwd[op] && (g->gpu.bwd[op] || !op_info(op)->diff)) problem_rows(g, &rows[i], bench);
        else {
            row(g, "%s\t%s\tno kernel\tFAILED\n", op_info(op)->name, rows[i].label);
            verdict(g, false);
        }
    }
}

static void all_problems(Gpu *g, bool bench, int n_ops, char **ops)
{
    int n;
    if (bench) measure_ceilings(g);
    row(g, bench ?
              "op\tshape\tpass\tmicroseconds\tTFLOP/s\tTB/s\t%% of ceiling\tcublas us\tcublaslt us\tcudnn us\tratio\n"
            : "op\tshape\tpass\terror\tbound\ttwice\tresult\n");
    const BenchRow *large = bench_rows_gpu(g->perm, &n);
    if (bench) some_problems(g, bench, large, n, n_ops, ops);
    const BenchRow *rows = bench_rows(g->perm, &n);
    some_problems(g, bench, rows, n, n_ops, ops);
}

// ---- models

static void model_row(Gpu *g, const ModelRow *r)
{
    enum { ROUNDS_MAX = 64 };
    World *w = world_open(r, g->small ? "tiny" : NULL, &g->gpu);
    Profile *profile = arena_zalloc(g->perm, sizeof *profile);
    double time[ROUNDS_MAX], calls = 0, sum = 0;
    int n = 0;
    w->tape.profile = profile;
    r->round(w);
    w->tape.profile = w->session.tape.profile = NULL;
    for (int i = 0; i < OP_COUNT; i++) calls += (double)(profile->fwd[i].calls + profile->bwd[i].calls);
    if (!g->emulated) r->round(w);
    device_wait(&g->gpu);
    while (n < ROUNDS_MAX && (n < (g->emulated ? 1 : 5) || sum < 0.3)) {
        const double start = clock_seconds();
        r->round(w);
        device_wait(&g->gpu);
        time[n] = clock_seconds() - start;
        sum += time[n++];
    }
    const double s = ceiling_median(time, n);
    row(g, "%s\t%s\t%.3f\t%.2f\t%.1f %s\t%.0f\n", r->name, g->small ? "tiny" : r->label, s * 1e3, 1 / s,
        r->per_second / s, r->what, calls);
    verdict(g, s > 0);
    world_close(w);
}

// --small: those of LEAD, at the preset tiny.
static void models(Gpu *g, int n_names, char **names)
{
    int n;
    const ModelRow *rows = model_rows_gpu(&n);
    row(g, "model\trow\tmilliseconds\trounds/s\ta second\tcalls of ops\n");
    for (int i = 0; i < n; i++) {
        bool wanted = n_names == 0;
        for (int k = 0; k < n_names; k++) wanted |= strcmp(names[k], rows[i].name) == 0;
        if (!wanted || (g->small && !rows[i].config)) continue;
        if (late(g)) return;
        model_row(g, &rows[i]);
    }
}

// ---- training beside the CPU

typedef struct Steps { int n, n_params; double *loss, *norm, seconds; float **grad; int64_t *count; } Steps;

static Status run_steps(Gpu *g, const LeadConfig *cfg, const Device *dev, int n, Steps *out)
{
    Session *s = arena_zalloc(g->perm, sizeof *s);
    TRY(session_open(s, cfg, &(SessionData){.synth_nodes = 12}, *dev));
    *out = (Steps){.n = n, .loss = arena_alloc(g->perm, (size_t)n * sizeof(double)),
                   .norm = arena_alloc(g->perm, (size_t)n * sizeof(double)),
                   .grad = arena_zalloc(g->perm, (size_t)s->ps.n * sizeof(float *)), .n_params = s->ps.n,
                   .count = arena_zalloc(g->perm, (size_t)s->ps.n * sizeof(int64_t))};
    double start = clock_seconds();
    for (int i = 0; i < n; i++) {
        LeadBatch b;
        Tensor *l = session_loss(s, i, &b);
        out->loss[i] = session_value(l);
        tape_backward(&s->tape, l);
        for (int k = 0; i == 0 && k < s->ps.n; k++) {
            const Tensor *t = &s->ps.p[k]->t;
            out->count[k] = numel(t);
            if (!t->g) continue;
            out->grad[k] = arena_alloc(g->perm, tensor_bytes(t));
            device_get(&s->dev, out->grad[k], t->g, tensor_bytes(t));
        }
        out->norm[i] = optim_step(&s->optim, &s->tape, &s->ps);
        if (i == 0) start = clock_seconds();     // the first step warms up
    }
    device_wait(&s->dev);
    out->seconds = n > 1 ? (clock_seconds() - start) / (n - 1) : 0;
    session_close(s);
    return OK;
}

// ---- a recorded step

// How many launches a step has, and what of the time the GPU works: launched one by one, and as a graph.  busy: the
// graph without anything of the host between its runs.
static Status launches(Gpu *g, const LeadConfig *cfg, int n)
{
    Session *s = arena_zalloc(g->perm, sizeof *s);
    TRY(session_open(s, cfg, &(SessionData){.synth_nodes = 12}, g->gpu));
    double seconds[3] = {0};   // one by one, graph, busy
    Repeated work = {0};
    SessionStep w;
    for (int i = 0; i < 2; i++) {   // warms up, records
        w = session_step_values(s);
        device_repeat(&s->dev, &work, session_step_work, &w);
    }
    for (int way = 0; way < 3; way++) {
        device_wait(&s->dev);
        const double start = clock_seconds();
        for (int i = 0; i < n; i++) {
            if (way < 2) w = session_step_values(s);
            if (way == 0) session_step_work(&w);
            else device_repeat(&s->dev, &work, session_step_work, &w);
        }
        device_wait(&s->dev);
        seconds[way] = (clock_seconds() - start) / n;
    }
    row(g, "launches a step\t%lld\n", (long long)device_graph_nodes(&s->dev, work.graph));
    row(g, "milliseconds a step\tone by one %.3f\tgraph %.3f\tbusy %.3f\n",
        1e3 * seconds[0], 1e3 * seconds[1], 1e3 * seconds[2]);
    row(g, "the GPU works\tone by one %.0f %%\tgraph %.0f %%\n",
        100 * seconds[2] / seconds[0], 100 * seconds[2] / seconds[1]);
    device_repeat_end(&s->dev, &work);
    session_close(s);
    return OK;
}

// Largest ||a - b|| / ||a|| of a parameter's gradients.
static double gradient_error(const Steps *a, const Steps *b, const Steps *sizes)
{
    double worst = 0;
    for (int k = 0; k < sizes->n_params; k++) {
        if (!a->grad[k]) continue;
        double e = 0, top = 0;
        for (int64_t i = 0; i < sizes->count[k]; i++) {
            const double d = (double)a->grad[k][i] - (double)b->grad[k][i];
            e += d * d;
            top += (double)a->grad[k][i] * (double)a->grad[k][i];
        }
        const double relative = sqrt(e / (top + 1e-20));
        if (!(relative <= worst)) worst = isnan(relative) ? INFINITY : relative;
    }
    return worst;
}

static double worst_loss(const double *a, const double *b, int n)
{
    double worst = 0;
    for (int i = 0; i < n; i++) {
        const double e = fabs(a[i] - b[i]) / fabs(a[i]);
        if (!(e <= worst)) worst = isnan(e) ? INFINITY : e;
    }
    return worst;
}

static void noise_bits(Gpu *g)
{
    const Shape shape = SHAPE(33, 1027);
    float *x[2];
    for (int i = 0; i < 2; i++) {
        const Device *d = i ? &g->gpu : &g->cpu;
        Tensor *y = tensor_new(g->mem, d, REAL, shape, "noise");
        OpCall c = {.op = OP_randn, .n_out = 1, .out = {y}, .scratch = g->scratch,
                    .p = &(RandnParams){.at = {.seed = 11, .site = SITE_SAMPLE, .step = 3}, .row0 = 5}};
        d->fwd[OP_randn](&c);
        x[i] = arena_alloc(g->mem, tensor_bytes(y));
        tensor_get_f32(y, x[i], numel(y));
    }
    const bool same = memcmp(x[0], x[1], (size_t)shape_numel(shape) * sizeof(float)) == 0;
    row(g, "noise bits\t%s\n", same ? "same\tok" : "OTHER BITS\tFAILED");
    verdict(g, same);
}

static Status train(Gpu *g, const char *preset, int n)
{
    LeadConfig cfg;
    TRY(config_preset(&cfg, preset));
    cfg.steps = n > 1 ? n : 2;
    Steps cpu, gpu, again;
    TRY(run_steps(g, &cfg, &g->gpu, n, &gpu));
    TRY(run_steps(g, &cfg, &g->gpu, n, &again));
    TRY(run_steps(g, &cfg, &g->cpu, n, &cpu));
    row(g, "step\tloss CPU\tloss GPU\tnorm CPU\tnorm GPU\n");
    for (int i = 0; i < n; i += i < 10 ? 1 : 10)
        row(g, "%d\t%.7g\t%.7g\t%.6g\t%.6g\n", i, cpu.loss[i], gpu.loss[i], cpu.norm[i], gpu.norm[i]);
    const double first = fabs(cpu.loss[0] - gpu.loss[0]) / cpu.loss[0], grads = gradient_error(&cpu, &gpu, &cpu);
    const double far = worst_loss(cpu.loss, gpu.loss, n);
    const bool same = memcmp(gpu.loss, again.loss, (size_t)n * sizeof(double)) == 0 &&
                      memcmp(gpu.norm, again.norm, (size_t)n * sizeof(double)) == 0;
    const double tol = bound(g, NULL);
    row(g, "first loss\t%.3g\t%s\n", first, first <= tol ? "ok" : "FAILED");
    verdict(g, first <= tol);
    row(g, "first gradients\t%.3g\t%s\n", grads, grads <= 50 * tol ? "ok" : "FAILED");
    verdict(g, grads <= 50 * tol);
    // rounding grows from step to step, as between any two CPUs: what must not happen is another course
    row(g, "all losses\t%.3g\t%s\n", far, far <= 0.1 ? "ok" : "FAILED");
    verdict(g, far <= 0.1);
    row(g, "run twice\t%s\n", same ? "same\tok" : "OTHER BITS\tFAILED");
    verdict(g, same);
    row(g, "seconds a step, %s\tCPU %.4f\tGPU %.4f\n", preset, cpu.seconds, gpu.seconds);
    return launches(g, &cfg, n);
}

// ---- the command line

static int usage(void)
{
    fprintf(stderr, "usage: gpu check|bench|train|models [--math fp32|tf32|bf16] [--tsv FILE] [--small] [--no-peers] "
                    "[--seconds N] [--config NAME] [--steps N] [op or row ..]\n");
    return 2;
}

static Status run(Gpu *g, const char *mode, const char *preset, int steps, int n_ops, char **ops)
{
    g->perm = arena_new("perm", (size_t)64 << GIB, NULL);
    g->mem = arena_new("mem", (size_t)64 << GIB, NULL);
    g->scratch = arena_new("scratch", (size_t)16 << GIB, NULL);
    CHECK(g->perm && g->mem && g->scratch, "gpu: no address space");
    g->cpu = device_cpu_f32(ISA_AVX512);
    TRY(device_cuda(&g->gpu, g->math, g->perm, NULL));
    g->emulated = strstr(g->gpu.name, "emulated") != NULL;
    row(g, "# %s\n", g->gpu.name);
    if (strcmp(mode, "train") == 0) TRY(train(g, preset, steps));
    if (strcmp(mode, "models") == 0) {   // their arenas are their own
        models(g, n_ops, ops);
        return OK;
    }
    const size_t room = device_cuda_free(&g->gpu) / 4;
    TRY(device_attach(&g->gpu, g->mem, 2 * room));
    TRY(device_attach(&g->gpu, g->scratch, room));
    if (strcmp(mode, "train") == 0) noise_bits(g);
    else all_problems(g, strcmp(mode, "bench") == 0, n_ops, ops);
    return OK;
}

int main(int argc, char **argv)
{
    static Gpu g;
    const char *preset = "image", *tsv = NULL;
    int steps = 200, i = 2;
    g.deadline = INFINITY;
    if (argc < 2 ||
        (strcmp(argv[1], "check") && strcmp(argv[1], "bench") && strcmp(argv[1], "train") && strcmp(argv[1], "models")))
        return usage();
    for (; i < argc && argv[i][0] == '-'; i++) {
        if (strcmp(argv[i], "--small") == 0) g.small = true;
        else if (strcmp(argv[i], "--no-peers") == 0) g.no_peers = true;
        else if (i + 1 == argc) return usage();
        else if (strcmp(argv[i], "--tsv") == 0) tsv = argv[++i];
        else if (strcmp(argv[i], "--seconds") == 0) g.deadline = clock_seconds() + atof(argv[++i]);
        else if (strcmp(argv[i], "--config") == 0) preset = argv[++i];
        else if (strcmp(argv[i], "--steps") == 0) steps = atoi(argv[++i]);
        else if (strcmp(argv[i], "--math") != 0 || math_parse(argv[++i], &g.math).code) return usage();
    }
    if (steps < 1) return usage();
    if (tsv && !(g.tsv = fopen(tsv, "w"))) return fprintf(stderr, "gpu: cannot write %s\n", tsv), 1;
    const Status s = run(&g, argv[1], preset, steps, argc - i, argv + i);
    if (s.code) fprintf(stderr, "gpu: %s\n", s.msg);
    printf("%d passed, %d failed\n", g.rows - g.bad, g.bad);
    if (g.tsv && fclose(g.tsv)) return 1;
    return s.code || g.bad > 0 || g.rows == 0;
}
