// The host program as nvcc compiled it, on a stand-in for the CUDA runtime that runs no kernel and looks at every call
// (tests/launch/runtime.cc): all ops, training, sampling, evaluation and GPT-2 break none of the runtime's rules, and
// the stand-in notices planted faults.  Built when the area is asked for by name, where nvcc is: it takes minutes.
#include <sys/stat.h>

#include "tensor/status.h"
#include "tests/run_lead.h"
#include "tests/test.h"

typedef struct Audit { TestLog *log; TestLog program, bench; Arena *a; const char *report; } Audit;

static bool newer(const char *path, const char *than)
{
    struct stat a, b;
    return stat(path, &a) == 0 && stat(than, &b) == 0 && a.st_mtim.tv_sec >= b.st_mtim.tv_sec;
}

// The counts of the last report; none may be a violation.
static void clean(Audit *t, const char *what, long *launches, long *nodes, long *replays, long *maps)
{
    const char *text = slurp(t->a, t->report), *counts = strstr(text, "audit: ");
    long kernels, asked, copies, graphs, violations = -1;
    *launches = *nodes = *replays = *maps = 0;
    if (counts)
        sscanf(counts,
               "audit: %ld launches of %ld kernels, %ld asked for shared memory, %ld copies, %ld graphs of %ld nodes, "
               "%ld replays, %ld tensor maps, %ld violations", launches, &kernels, &asked, &copies, &graphs,
               nodes, replays, maps, &violations);
    TEST(t->log, violations == 0, "%s: %.*s", what, 600, text);
}

typedef struct Wanted { bool bench, maps; int code; long nodes; } Wanted;   // nodes: recorded at most, 0: none need be

// Runs lead, or the bench, with these words; no violation, launches, and what else is wanted.  Kernels do nothing, so
// numbers are wrong.
static void run(Audit *t, Wanted want, const char *words)
{
    long launches, nodes, replays, maps;
    remove(t->report);
    const Ran r = lead_run(want.bench ? &t->bench : &t->program, t->a, "%s", words);
    clean(t, words, &launches, &nodes, &replays, &maps);
    TEST(t->log, r.code == want.code, "%s: exit status %d: %.*s", words, r.code, 400, r.err);
    TEST(t->log, launches > 10, "%s: %ld launches", words, launches);
    if (want.nodes)
        TEST(t->log, nodes > 20 && nodes <= want.nodes && replays > 0, "%s: %ld nodes, at most %ld, run %ld times",
             words, nodes, want.nodes, replays);
    TEST(t->log, !want.maps || maps > 0, "%s: no tensor map", words);
    printf("  %ld launches, %ld nodes, %ld tensor maps: %s %.60s\n", launches, nodes, maps,
           want.bench ? "gpu" : "lead", words);
}

static void test_faults(Audit *t, const char *build)
{
    const char *logs = arena_printf(t->a, "%s/logs", t->log->tmp);
    const char *file = arena_printf(t->a, "%s/kernel.o.log", logs);
    mkdir(logs, 0777);
    FILE *f = fopen(file, "w");
    CHECK(f, "no %s", file);
    fprintf(f, "ptxas info    : Compiling entry function 'kernel' for 'sm_90'\n"
               "ptxas info    : Used 200 registers, used 1 barriers, 16384 bytes smem\n");
    fclose(f);
    setenv("LEAD_AUDIT_LOGS", logs, 1);
    static const char *const words[] = {
        NULL, "a block of 2048", "a grid of 0", "200 registers x 352", "33792 dynamic + 16384 static", "beside 16384",
        "what is no kernel", "not created", "cudaStreamSynchronize while", "cudaMalloc while", "pageable",
        "first launched while", "reach out", "want device memory", "want device memory", "cudaFree", "multiple of 16",
        "strides in 16", "at most 128", "boxes of 1 to 256", "inside device memory"};
    enum { FAULTS = sizeof words / sizeof *words };
    TestLog program = *t->log;
    program.lead = arena_printf(t->a, "%s/tests/launch/faults", build);
    const Ran all = lead_run(&program, t->a, "%s", "");
    TEST(t->log, atoi(all.out) == FAULTS - 1, "%s planted faults, words for %d", all.out, FAULTS - 1);
    for (int i = 0; i < FAULTS; i++) {
        remove(t->report);
        lead_run(&program, t->a, "%d", i);
        const char *text = slurp(t->a, t->report), *first = strstr(text, "violation: ");
        if (!words[i]) TEST(t->log, !first && strstr(text, "audit: "), "right calls: %s", text);
        else TEST(t->log, first && strstr(first, words[i]), "fault %d: want '%s', got %s", i, words[i], text);
    }
}

static void test_programs(Audit *t)
{
    const char *tmp = t->log->tmp;
    const Wanted op = {.code = 1}, plain = {0};   // op: lead check finds the numbers wrong
#define RUN(want, ...) run(t, want, arena_printf(t->a, __VA_ARGS__))
    RUN(op, "check --device cuda");
    RUN(op, "check --device cuda --math tf32");
    setenv("LEAD_WGMMA", "128x256", 1);
    RUN(((Wanted){.maps = true, .code = 1}), "check --device cuda --math bf16 --op linear");
    RUN(((Wanted){.maps = true, .code = 1}), "check --device cuda --math tf32 --op matmul");
    unsetenv("LEAD_WGMMA");
    RUN(op, "check --device cuda --math bf16");
    const Ran made = lead_run(t->log, t->a, "data synth --nodes 12 --days 30 --slot-seconds 3600 --out %s/t.npy", tmp);
    TEST(t->log, made.code == 0, "%s", made.err);
    RUN(((Wanted){.nodes = 10000}), "train --data %s/t.npy --device cuda --config small --steps 3 --minutes 0 "
        "--math tf32 --no-final --out %s/small", tmp, tmp);
    // the presets' steps, at full size: their nodes are held, so that launches do not creep in; then their samples
    RUN(((Wanted){.bench = true, .nodes = 215 + 2375 + 2745}), "models --math tf32 lead_step");   // small, image, paper
    RUN(((Wanted){.bench = true, .nodes = 1000000}), "models --math bf16 lead_sample");
    RUN(plain, "forecast --model %s/small --data %s/t.npy --device cuda --samples 4 --out %s/f.csv", tmp, tmp, tmp);
    RUN(plain, "eval --model %s/small --data %s/t.npy --device cuda --samples 4 --out %s/e.tsv", tmp, tmp, tmp);
    RUN(plain, "gpt2 logits --device cuda --math bf16 --llm-weights bf16 --tokens 1,2,3,4,5,6,7,8,9,10,11,12 --top 3");
    RUN(plain, "gpt2 generate --device cuda --tokens 1,2,3 --n 4");
    const Ran text = lead_run(t->log, t->a, "gpt2 corpus --documents 20 --out %s/text.txt", tmp);
    TEST(t->log, text.code == 0, "%s", text.err);
    RUN(((Wanted){.nodes = 10000}), "gpt2 train --device cuda --math bf16 --llm data/gpt2-small --data %s/text.txt "
        "--steps 3 --batch 2 --context 32 --out %s/gpt2", tmp, tmp);
#undef RUN
}

void test_cuda_launch(TestLog *log)
{
    const int length = (int)(strlen(log->lead) - strlen("/lead"));
    Arena *a = arena_new("test", (size_t)1 << 30, NULL);
    CHECK(a, "no address space");
    Audit t = {log, *log, *log, a, arena_printf(a, "%s/audit.txt", log->tmp)};
    const char *build = arena_printf(a, "%.*s", length, log->lead);
    t.program.lead = arena_printf(a, "%s/tests/lead-audit", build);
    t.bench.lead = arena_printf(a, "%s/tests/gpu-audit", build);
    if (!newer(t.program.lead, arena_printf(a, "%s/liblead.a", build))) {
        test_skip(log, "no current %s: make test AREA=cuda_launch builds it where nvcc is", t.program.lead);
        arena_delete(a);
        return;
    }
    setenv("LEAD_AUDIT", t.report, 1);
    test_faults(&t, build);
    setenv("LEAD_AUDIT_LOGS", arena_printf(a, "%s/cuda", build), 1);
    test_programs(&t);
    unsetenv("LEAD_AUDIT");
    unsetenv("LEAD_AUDIT_LOGS");
    arena_delete(a);
}
