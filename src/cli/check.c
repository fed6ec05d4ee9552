// lead check, lead ops
#include <omp.h>
#include <string.h>

#include "check/check.h"
#include "check/oracle.h"
#include "cli/audit.h"
#include "cli/verbs.h"
#include "io/file.h"

// ---- check

typedef struct CheckValues { const char *op, *report; bool full, golden; } CheckValues;

static const Option check_table[] = {
    {"op", OPT_TEXT, offsetof(CheckValues, op), "NAME", "check this op only", 0, 0},
    {"full", OPT_FLAG, offsetof(CheckValues, full), NULL, "also run the large cases", 0, 0},
    {"golden", OPT_FLAG, offsetof(CheckValues, golden), NULL,
     "also train presets tiny and demo for 20 steps: the bits must be those of this version", 0, 0},
    {"report", OPT_TEXT, offsetof(CheckValues, report), "FILE",
     "write it all, as JSON, or as a page where FILE ends in .html: machine, build, hashes of program, sources and "
     "models, every op, the golden runs", 0, 0},
};

static void say(void *ctx, const char *message) { fprintf(ctx, "FAILED %s\n", message); }

// Prints the golden runs; returns how many have other bits than this version's.
static int golden_print(const GoldenRun run[GOLDEN_RUNS])
{
    int other = 0;
    for (int i = 0; i < GOLDEN_RUNS; i++) {
        const GoldenRun *g = &run[i];
        printf("golden run %-5s %-7s loss %.7g .. %.7g, forecast %.7g kbit/s: %s\n", g->preset, g->isa, g->loss[0],
               g->loss[GOLDEN_STEPS - 1], g->mean, g->same ? "the bits of this version" : "OTHER BITS");
        if (!g->same) printf("    {\"%s\", \"%s\", \"%s\"},\n", g->preset, g->isa, g->bits.s);
        other += !g->same;
    }
    return other;
}

static Status check_verb(Cli *cli, void *values)
{
    const CheckValues *v = values;
    if (v->report) TRY(file_try(v->report));     // before the long work
    Devices *d = arena_alloc(cli->perm, sizeof *d);
    CheckReport *report = arena_alloc(cli->perm, sizeof *report);
    CheckOptions o;
    const bool gpu = cli->device.memory != NULL;
    check_devices(d, &o, gpu ? ISA_SCALAR : cli->device.isa);
    if (gpu) {
        o.f32[o.n_f32++] = &cli->device;
        o.variants_only = true;
    }
    o.quick = !v->full;
    o.say = say;
    o.ctx = stderr;
    check_run(report, &o, v->op);
    check_print(stdout, report);
    GoldenRun golden[GOLDEN_RUNS];
    int other = 0;
    if (v->golden || v->report) {
        TRY(golden_runs(golden, gpu ? ISA_SCALAR : cli->device.isa, cli->perm, cli->step, cli->scratch));
        other = golden_print(golden);
    }
    if (v->report) TRY(audit_write(cli, v->report, report, golden));
    if (report->failures) return ERROR("%d of the ops' checks failed", report->failures);
    return other ? ERROR("%d of %d golden runs have other bits than this version's", other, GOLDEN_RUNS) : OK;
}

const Verb verb_check = {
    .name = "check",
    .summary = "Verifies every op on this machine: gradients, oracles, fast kernels against reference kernels.",
    .text = "--golden and --report also train two small models, on the CPU, and compare their bits (docs/audit.md).",
    OPTIONS(check_table), .size = sizeof(CheckValues), .run = check_verb, .looks = true,
};

// ---- ops

static const char *yes(bool b) { return b ? "yes" : "-"; }

static const char *this_device(const Cli *cli, Kernel *k, Isa isa)
{
    return !k ? "-" : cli->device.memory ? "cuda" : isa_name(isa);
}

// What ops.def promises; avx2 and avx512 come together.
static Status ops_verb(Cli *cli, void *values)
{
    (void)cli, (void)values;
#define Y true
#define N false
    static const struct { bool simd_fwd, simd_bwd, cuda_fwd, cuda_bwd; } has[OP_COUNT] = {
#define OP(name, family, diff, sf, sb, cf, cb, ulps, flops) {sf, sb, cf, cb},
#include "tensor/ops.def"
#undef OP
    };
#undef Y
#undef N
    printf("op\tscalar f32, f64\tbackward\toracle\tsimd fwd\tsimd bwd\tcuda fwd\tcuda bwd\tthis device fwd\t"
           "this device bwd\n");
    for (int i = 0; i < OP_COUNT; i++)
        printf("%s\tyes\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", op_info((OpId)i)->name, yes(op_info((OpId)i)->diff),
               yes(oracle_find((OpId)i) != NULL), yes(has[i].simd_fwd), yes(has[i].simd_bwd), yes(has[i].cuda_fwd),
               yes(has[i].cuda_bwd), this_device(cli, cli->device.fwd[i], cli->device.fwd_isa[i]),
               op_info((OpId)i)->diff ? this_device(cli, cli->device.bwd[i], cli->device.bwd_isa[i]) : "-");
    return OK;
}

const Verb verb_ops = {
    .name = "ops", .summary = "Prints the coverage matrix: op by variant.",
    .run = ops_verb, .looks = true,
};
