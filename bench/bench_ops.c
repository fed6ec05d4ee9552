// Speed of every op, forward and backward, at shapes of LEAD and GPT-2 (shapes.c), beside this machine's ceilings and,
// with --peers, beside other people's kernels (peer.h).
//   bench_ops [--quick] [--threads 1,2] [--reps N] [--tsv FILE] [--peers] [--python CMD] [op ...]
// For each row all variants run in turn, round after round (a busy machine then slows all of them alike); reported is
// the median.  One thread: CPU time of the thread, so that other processes disturb little; several: wall time.
//   GFLOP/s, GB/s  op_work (src/tensor/ops.h).  Of causal attention the whole square of scores counts, as is usual; its
//                  ceiling is that of the triangle
//   % of ceiling   roofline: of the longer of flops / (fused multiply-add rate of the variant's instruction set,
//                  measured in the same rounds) and bytes / (bandwidth of the level of memory that they fit); above 100
//                  where a cache keeps more than its size says, or where Winograd saves multiplications
//   x scalar       times as fast as the plain reference kernel (one or a few repetitions)
// Every variant's numbers are checked before its clock starts (problem_error; peers: against ours).
// --quick: 3 rounds of 3 ms, no plain kernel above 50 ms: about a minute a thread count.  Else 15 rounds of 10 ms.
// LEAD_ISA caps our variants and the peers.
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/peer.h"
#include "tensor/ceiling.h"

enum { MAX_VARIANTS = ISA_COUNT + MAX_PEERS, MAX_REPS = 101 };

typedef struct Bench {
    Device dev[ISA_COUNT];
    Isa have;
    Peer peer[MAX_PEERS];
    int n_peers, reps, threads;
    double target;            // seconds of one measurement
    double slowest_scalar;    // seconds a call of the plain kernel may take
    Ceiling ceiling;
    Arena *mem, *scratch;
    FILE *tsv;
    bool bad;
} Bench;

// One variant of one pass: ours (by Isa) or a peer's.
typedef struct Runner {
    const char *name;
    Peer *peer;
    const Device *dev;
    Isa isa;                  // whose ceiling counts
    int calls, reps;
    double time[MAX_REPS], mid;
} Runner;

// ---- running

static double run(const Bench *b, Runner *r, Problem *p, Pass pass, int calls)
{
    if (r->peer) return r->peer->run(r->peer, p, pass, calls, b->threads);
    const double start = bench_seconds(b->threads);
    for (int i = 0; i < calls; i++) problem_run(p, r->dev, pass);
    return bench_seconds(b->threads) - start;
}

// The first call warms up, the next sets how many calls one measurement makes.
static void prepare(const Bench *b, Runner *r, Problem *p, Pass pass)
{
    if (r->dev && r->isa == ISA_SCALAR) {   // slow, and steady enough
        r->calls = 1;
        r->reps = b->reps < 3 ? b->reps : 3;
        return;
    }
    (void)run(b, r, p, pass, 1);
    double seconds = run(b, r, p, pass, 1);
    int calls = 1;
    while (seconds < b->target / 8 && calls < 1 << 16) {   // a clock reads only so finely
        calls *= 4;
        seconds = run(b, r, p, pass, calls);
    }
    const double each = seconds / calls;
    r->calls = each * 1e6 > b->target * 1e6 ? 1 : (int)(b->target / each) + 1;
    r->reps = b->reps;
}

static int find_runners(Bench *b, Problem *p, Pass pass, Runner *r)
{
    int n = 0;
    const bool slow = problem_work(p, pass).flops / 0.7e9 > b->slowest_scalar;
    const Isa best = (pass == FWD ? b->dev[b->have].fwd_isa : b->dev[b->have].bwd_isa)[p->row->op];
    for (Isa isa = ISA_SCALAR; isa <= b->have; isa++) {
        const bool own = isa == ISA_SCALAR ||
                         (pass == FWD ? b->dev[isa].fwd_isa : b->dev[isa].bwd_isa)[p->row->op] == isa;
        if (own && (isa > ISA_SCALAR || best == ISA_SCALAR || !slow))
            r[n++] = (Runner){.name = isa_name(isa), .dev = &b->dev[isa], .isa = isa};
    }
    for (int i = 0; i < b->n_peers; i++) {
        Peer *peer = &b->peer[i];
        if (peer->missing || !peer->load(peer, p, pass, b->threads)) continue;
        r[n++] = (Runner){.name = peer->name, .peer = peer, .isa = b->have};
    }
    return n;
}

// ---- report

static void report(Bench *b, Problem *p, Pass pass, const Ceiling *c, Runner *r, int n)
{
    const OpWork w = problem_work(p, pass);
    const OpInfo *info = op_info(p->row->op);
    const bool in_place = pass != FWD || p->call.out[0] == p->call.in[0];
    double scalar = NAN, best = NAN;
    for (int i = 0; i < n; i++) {
        if (r[i].dev && r[i].isa == ISA_SCALAR) scalar = r[i].mid;
        if (r[i].dev) best = r[i].mid;   // the widest instruction set comes last
    }
    printf("%-15s %-3s %-36s", info->name, pass_names[pass], p->row->label);
    for (int i = 0; i < n; i++) {
        const double t = r[i].mid;
        const double pct = 100 * ceiling_seconds(c, r[i].isa, w.needed, w.bytes, w.written, in_place) / t;
        printf("  %s %.1f us (%.0f%%)", r[i].name, t * 1e6, pct);
        if (r[i].peer) printf(" x%.2f", t / best);
        if (!b->tsv) continue;
        fprintf(b->tsv, "%s_%s\t%s\t%s\t%d\t%.2f\t%.2f\t%.2f\t%.1f\t", info->name, pass_names[pass], r[i].name,
                p->row->label, b->threads, t * 1e6, w.flops / t * 1e-9, w.bytes / t * 1e-9, pct);
        fprintf(b->tsv, isnan(scalar) ? "NA\n" : "%.2f\n", scalar / t);
    }
    printf("\n");
    fflush(stdout);
}

static void measure_pass(Bench *b, Problem *p, Pass pass)
{
    Runner r[MAX_VARIANTS];
    double peak[ISA_COUNT][MAX_REPS];
    const int n = find_runners(b, p, pass, r);
    for (int i = 0; i < n; i++) prepare(b, &r[i], p, pass);
    for (int rep = 0; rep < b->reps; rep++) {
        for (Isa isa = ISA_SCALAR; isa <= b->have; isa++) peak[isa][rep] = ceiling_fma(isa, b->threads);
        for (int i = 0; i < n; i++)
            if (rep < r[i].reps) r[i].time[rep] = run(b, &r[i], p, pass, r[i].calls) / r[i].calls;
    }
    Ceiling c = b->ceiling;
    for (Isa isa = ISA_SCALAR; isa <= b->have; isa++) c.gflops[isa] = ceiling_median(peak[isa], b->reps);
    for (int i = 0; i < n; i++) r[i].mid = ceiling_median(r[i].time, r[i].reps);
    report(b, p, pass, &c, r, n);
}

static void complain(Bench *b, const Problem *p, const char *who, double error)
{
    fprintf(stderr, "bench_ops: %s %s: %s is wrong: differs by %.2g\n", op_info(p->row->op)->name, p->row->label, who,
            error);
    b->bad = true;
}

// Our variants against the plain kernels; peers in this process against ours, forward.
static void check(Bench *b, Problem *p)
{
    for (Isa isa = ISA_AVX2; isa <= b->have; isa++) {
        const double e = problem_error(p, &b->dev[isa], &b->dev[ISA_SCALAR], b->mem);
        if (!(e < problem_bound(p))) complain(b, p, isa_name(isa), e);
    }
    const Tensor *y = p->call.out[0];
    const size_t mark = arena_mark(b->mem), bytes = tensor_bytes(y);
    float *ours = arena_alloc(b->mem, bytes);
    for (int i = 0; i < b->n_peers; i++) {
        Peer *peer = &b->peer[i];
        if (peer->missing || peer->elsewhere) continue;
        problem_run(p, &b->dev[b->have], FWD);
        memcpy(ours, y->x, bytes);
        memset(y->x, 0xff, bytes);
        if (!peer->load(peer, p, FWD, b->threads)) continue;
        double worst = 0, top = 0;
        for (int64_t j = 0, n = numel(y); j < n; j++) {
            const double e = fabs((double)ours[j] - (double)((const float *)y->x)[j]);
            worst = e <= worst ? worst : isnan(e) ? INFINITY : e;
            top = fmax(top, fabs((double)ours[j]));
        }
        if (!(worst <= problem_bound(p) * top)) complain(b, p, peer->name, worst / top);
    }
    arena_rewind(b->mem, mark);
}

static void measure_row(Bench *b, const BenchRow *row)
{
    const size_t mark = arena_mark(b->mem);
    Problem *p = problem_new(b->mem, b->scratch, row);
    check(b, p);
    for (Pass pass = FWD; pass < PASSES; pass++)
        if (problem_has(p, pass)) measure_pass(b, p, pass);
    arena_rewind(b->mem, mark);
}

static void measure_ceilings(Bench *b)
{
    b->ceiling = ceiling_measure(b->have, b->threads, b->reps < 9 ? b->reps : 9, b->scratch);
    const Ceiling *c = &b->ceiling;
    static const char *const access[MEMORY_ACCESSES] = {"read", "triad", "triad_stream", "update"};
    printf("threads %d: multiply-add GFLOP/s:", b->threads);
    for (Isa isa = ISA_SCALAR; isa <= b->have; isa++) {
        printf(" %s %.1f", isa_name(isa), c->gflops[isa]);
        if (b->tsv)
            fprintf(b->tsv, "ceiling_fma\t%s\t-\t%d\tNA\t%.1f\tNA\t100\tNA\n", isa_name(isa), b->threads,
                    c->gflops[isa]);
    }
    printf("; GB/s read, triad, triad with streaming stores, update:");
    for (MemoryLevel m = 0; m < MEMORY_LEVELS; m++) {
        printf(" %s", memory_level_name(m));
        for (MemoryAccess a = 0; a < MEMORY_ACCESSES; a++) {
            printf(" %.1f", c->gbps[m][a]);
            if (b->tsv)
                fprintf(b->tsv, "ceiling_%s\t%s\t%s\t%d\tNA\tNA\t%.1f\t100\tNA\n", access[a], isa_name(b->have),
                        memory_level_name(m), b->threads, c->gbps[m][a]);
        }
    }
    printf("\n");
}

static void run_all(Bench *b, const char *const *ops, int n_ops)
{
    int n, done = 0;
    const BenchRow *rows = bench_rows(b->mem, &n);
    bool shaped[OP_COUNT] = {false};
    for (int i = 0; i < n; i++) {
        shaped[rows[i].op] = true;
        bool wanted = n_ops == 0;
        for (int j = 0; j < n_ops; j++) wanted |= strcmp(ops[j], op_info(rows[i].op)->name) == 0;
        if (!wanted) continue;
        measure_row(b, &rows[i]);
        done++;
    }
    // Plain loops alone: nothing to compare; `lead train --profile`.
    for (OpId op = 0; op < OP_COUNT && n_ops == 0; op++)
        if (!shaped[op] && b->dev[b->have].fwd_isa[op] != ISA_SCALAR) {
            fprintf(stderr, "bench_ops: op %s has no shape in bench/shapes.c\n", op_info(op)->name);
            b->bad = true;
        }
    if (done == 0) {
        fprintf(stderr, "bench_ops: no such op; `lead ops` lists them\n");
        b->bad = true;
    }
}

// ---- command line

static int usage(void)
{
    fprintf(stderr, "usage: bench_ops [--quick] [--threads 1,2] [--reps 1..101] [--tsv FILE] [--peers] [--python CMD] "
                    "[op ...]\n");
    return 2;
}

static void open_peers(Bench *b, const char *python)
{
    b->n_peers = peers_open(b->peer, b->have, omp_get_num_procs(), python, b->mem);
    for (int i = 0; i < b->n_peers; i++)
        printf("peer %s: %s%s\n", b->peer[i].name, b->peer[i].missing ? "missing: " : "", b->peer[i].about);
}

static Isa capped(void)
{
    Isa have = isa_detect(), cap;
    const char *text = getenv("LEAD_ISA");
    if (text && *text && !isa_parse(text, &cap).code && cap < have) have = cap;
    return have;
}

int main(int argc, char **argv)
{
    if (!getenv("OMP_PROC_BIND")) {   // read before main: set it and start again
        setenv("OMP_PROC_BIND", "true", 1);
        setenv("GOMP_SPINCOUNT", "20000", 0);   // spin through the gap between two calls, not beside a peer
        execv("/proc/self/exe", argv);
    }
    static Bench b = {.reps = 15, .target = 0.01, .slowest_scalar = 30};
    const char *threads = "1,2", *tsv = NULL, *python = NULL;
    bool peers = false;
    int first = 1;
    for (; first < argc && argv[first][0] == '-'; first++) {
        const bool more = first + 1 < argc;
        if (strcmp(argv[first], "--quick") == 0) b.reps = 3, b.target = 0.003, b.slowest_scalar = 0.05;
        else if (strcmp(argv[first], "--peers") == 0) peers = true;
        else if (strcmp(argv[first], "--threads") == 0 && more) threads = argv[++first];
        else if (strcmp(argv[first], "--reps") == 0 && more) b.reps = atoi(argv[++first]);
        else if (strcmp(argv[first], "--tsv") == 0 && more) tsv = argv[++first];
        else if (strcmp(argv[first], "--python") == 0 && more) python = argv[++first];
        else return usage();
    }
    if (b.reps < 1 || b.reps > MAX_REPS) return usage();
    b.have = capped();
    for (Isa isa = ISA_SCALAR; isa <= b.have; isa++) b.dev[isa] = device_cpu_f32(isa);
    b.mem = arena_new("bench", (size_t)8 << 30, NULL);
    b.scratch = arena_new("scratch", (size_t)4 << 30, NULL);
    CHECK(b.mem && b.scratch, "bench_ops: no memory");
    if (tsv && !(b.tsv = fopen(tsv, "w"))) {
        perror(tsv);
        return 1;
    }
    if (b.tsv) fprintf(b.tsv, "op\tvariant\tshape\tthreads\ttime_us\tgflops\tgbps\tpct_ceiling\tx_scalar\n");
    if (peers) open_peers(&b, python);
    for (const char *t = threads; *t; t += strcspn(t, ","), t += *t == ',') {
        b.threads = atoi(t);
        if (b.threads < 1 || b.threads > omp_get_num_procs()) {
            fprintf(stderr, "bench_ops: %d threads on %d processors: left out\n", b.threads, omp_get_num_procs());
            continue;
        }
        omp_set_num_threads(b.threads);
        measure_ceilings(&b);
        run_all(&b, (const char *const *)argv + first, argc - first);
    }
    if (b.tsv && fclose(b.tsv) != 0) b.bad = true;
    return b.bad;
}
