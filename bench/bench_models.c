// Whole models, beside PyTorch eager and onnxruntime (bench/peers/models.py): GPT-2 124M with random weights, LEAD's
// U-Net, its training step and its forecast.  Rounds of ours and theirs in turn; medians.
//   bench_models [--threads 1,2] [--reps 5] [--tsv FILE] [--memory FILE] [--python CMD] [row ...]
// Columns as of bench_ops; variant `lead` runs the fastest kernels (LEAD_ISA caps them).  gflops, gbps and pct_ceiling
// add up what the ops of the row do (op_work) and what the roofline of each allows.
// --memory: each row once more in processes of its own, peak resident MiB of either, as TSV.
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "autograd/profile.h"
#include "bench/models.h"
#include "bench/peer.h"
#include "tensor/ceiling.h"

enum { MAX_REPS = 51 };

// ---- measurement

typedef struct Bench {
    Device dev;
    Peer peer[2];
    int n_peers, threads, reps;
    Ceiling ceiling;
    Arena *mem;
    FILE *tsv;
} Bench;

static ProfileRow profile_sum(const Profile *p)
{
    ProfileRow sum = {0};
    for (int i = 0; i < OP_COUNT; i++)
        for (int k = 0; k < 2; k++) {
            const ProfileRow *r = k ? &p->bwd[i] : &p->fwd[i];
            sum.flops += r->flops, sum.bytes += r->bytes, sum.least += r->least;
        }
    return sum;
}

static void report(const Bench *b, const ModelRow *r, const char *variant, double t, double ours,
                   const ProfileRow *work)
{
    const double pct = 100 * work->least / t;
    printf("  %s %.1f ms", variant, t * 1e3);
    if (work->flops > 0) printf(" (%.0f GFLOP/s, %.0f%%)", work->flops / t * 1e-9, pct);
    if (r->per_second > 0) printf(" %.1f %s/s", r->per_second / t, r->what);
    if (t != ours) printf(" x%.2f", t / ours);
    if (!b->tsv) return;
    fprintf(b->tsv, "%s\t%s\t%s\t%d\t%.1f\t", r->name, variant, r->label, b->threads, t * 1e6);
    if (work->flops > 0) fprintf(b->tsv, "%.2f\t%.2f\t%.1f\tNA\n", work->flops / t * 1e-9, work->bytes / t * 1e-9, pct);
    else fprintf(b->tsv, "NA\tNA\tNA\tNA\n");
}

static void measure(Bench *b, const ModelRow *r)
{
    double time[3][MAX_REPS];
    bool has[2] = {false, false};
    World *w = world_open(r, NULL, &b->dev);
    Profile *profile = arena_zalloc(b->mem, sizeof *profile);
    r->round(w);
    profile->ceiling = &b->ceiling;
    w->tape.profile = profile;
    r->round(w);
    w->tape.profile = w->session.tape.profile = NULL;
    for (int i = 0; i < b->n_peers; i++)
        has[i] = !b->peer[i].missing && peer_python_model(&b->peer[i], r->name, r->label, b->threads);
    for (int rep = 0; rep < b->reps; rep++) {
        const double start = bench_seconds(b->threads);
        r->round(w);
        time[2][rep] = bench_seconds(b->threads) - start;
        for (int i = 0; i < b->n_peers; i++)
            if (has[i]) time[i][rep] = b->peer[i].run(&b->peer[i], NULL, FWD, 1, b->threads);
    }
    const ProfileRow work = profile_sum(profile);
    const double ours = ceiling_median(time[2], b->reps);
    printf("%-13s %-24s", r->name, r->label);
    report(b, r, "lead", ours, ours, &work);
    for (int i = 0; i < b->n_peers; i++)
        if (has[i]) report(b, r, b->peer[i].name, ceiling_median(time[i], b->reps), ours, &work);
    printf("\n");
    fflush(stdout);
    if (b->tsv) fflush(b->tsv);
    world_close(w);
}

// ---- memory

static double peak_mib(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)u.ru_maxrss / 1024;
}

// What a process prints when it runs one row twice.
static double ask_memory(Arena *a, const char *program, const ModelRow *r)
{
    FILE *f = popen(arena_printf(a, "%s '%s' '%s'", program, r->name, r->label), "r");
    double mib = NAN;
    if (!f) return mib;
    if (fscanf(f, "peak_mib %lf", &mib) != 1) mib = NAN;
    return pclose(f) == 0 ? mib : NAN;
}

static int once(const char *name, const char *label)
{
    int n;
    const ModelRow *rows = model_rows(&n);
    for (int i = 0; i < n; i++) {
        if (strcmp(rows[i].name, name) || strcmp(rows[i].label, label)) continue;
        const Device dev = device_cpu_f32(isa_detect());
        World *w = world_open(&rows[i], NULL, &dev);
        for (int k = 0; k < 2; k++) rows[i].round(w);
        printf("peak_mib %.1f\n", peak_mib());
        world_close(w);
        return 0;
    }
    return 2;
}

// ---- command line

static int usage(void)
{
    fprintf(stderr, "usage: bench_models [--threads 1,2] [--reps 1..51] [--tsv FILE] [--memory FILE] [--python CMD] "
                    "[row ...]\n");
    return 2;
}

static bool asked_for(const ModelRow *r, char *const *names, int n)
{
    bool wanted = n == 0;
    for (int i = 0; i < n; i++) wanted |= strcmp(names[i], r->name) == 0;
    return wanted;
}

static int memory_rows(Arena *a, const char *path, const char *self, const char *python, char *const *names, int n)
{
    FILE *f = fopen(path, "w");
    if (!f) return perror(path), 1;
    fprintf(f, "row\tshape\tvariant\tpeak_mib\n");
    int n_rows;
    const ModelRow *rows = model_rows(&n_rows);
    for (int i = 0; i < n_rows; i++) {
        if (!asked_for(&rows[i], names, n)) continue;
        const double ours = ask_memory(a, arena_printf(a, "%s --once", self), &rows[i]);
        const double theirs =
            python ? ask_memory(a, arena_printf(a, "%s bench/peers/models.py --memory", python), &rows[i]) : NAN;
        fprintf(f, "%s\t%s\tlead\t%.0f\n", rows[i].name, rows[i].label, ours);
        if (!isnan(theirs)) fprintf(f, "%s\t%s\ttorch\t%.0f\n", rows[i].name, rows[i].label, theirs);
        printf("%-13s %-24s peak memory: lead %.0f MiB, torch %.0f MiB\n", rows[i].name, rows[i].label, ours, theirs);
        fflush(stdout);
    }
    return fclose(f) != 0;
}

int main(int argc, char **argv)
{
    if (!getenv("OMP_PROC_BIND")) {   // read before main: set it and start again
        setenv("OMP_PROC_BIND", "true", 1);
        setenv("GOMP_SPINCOUNT", "20000", 0);
        execv("/proc/self/exe", argv);
    }
    if (argc == 4 && strcmp(argv[1], "--once") == 0) return once(argv[2], argv[3]);
    static Bench b = {.reps = 5};
    const char *threads = "1,2", *tsv = NULL, *python = NULL, *memory = NULL;
    int first = 1;
    for (; first + 1 < argc && argv[first][0] == '-'; first += 2) {
        const char *value = argv[first + 1];
        if (strcmp(argv[first], "--threads") == 0) threads = value;
        else if (strcmp(argv[first], "--reps") == 0) b.reps = atoi(value);
        else if (strcmp(argv[first], "--tsv") == 0) tsv = value;
        else if (strcmp(argv[first], "--memory") == 0) memory = value;
        else if (strcmp(argv[first], "--python") == 0) python = value;
        else return usage();
    }
    if (b.reps < 1 || b.reps > MAX_REPS || (first < argc && argv[first][0] == '-')) return usage();
    Isa have = isa_detect(), cap;
    const char *text = getenv("LEAD_ISA");
    if (text && *text && !isa_parse(text, &cap).code && cap < have) have = cap;
    b.dev = device_cpu_f32(have);
    b.mem = arena_new("bench", (size_t)4 << 30, NULL);
    CHECK(b.mem, "bench_models: no memory");
    if (tsv && !(b.tsv = fopen(tsv, "w"))) return perror(tsv), 1;
    if (b.tsv) fprintf(b.tsv, "op\tvariant\tshape\tthreads\ttime_us\tgflops\tgbps\tpct_ceiling\tx_scalar\n");
    if (python) peer_python(b.peer, python, "bench/peers/models.py", have, omp_get_num_procs(), b.mem);
    b.n_peers = python ? 2 : 0;
    for (int i = 0; i < b.n_peers; i++)
        printf("peer %s: %s%s\n", b.peer[i].name, b.peer[i].missing ? "missing: " : "", b.peer[i].about);
    int n_rows;
    const ModelRow *rows = model_rows(&n_rows);
    for (const char *t = threads; *t; t += strcspn(t, ","), t += *t == ',') {
        b.threads = atoi(t);
        if (b.threads < 1 || b.threads > omp_get_num_procs()) continue;
        omp_set_num_threads(b.threads);
        b.ceiling = ceiling_measure(have, b.threads, 5, b.mem);
        printf("threads %d, %s\n", b.threads, isa_name(have));
        for (int i = 0; i < n_rows; i++)
            if (asked_for(&rows[i], argv + first, argc - first)) measure(&b, &rows[i]);
    }
    if (b.tsv && fclose(b.tsv) != 0) return 1;
    return memory ? memory_rows(b.mem, memory, argv[0], python, argv + first, argc - first) : 0;
}
