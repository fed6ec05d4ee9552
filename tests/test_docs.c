// The documents: what they name exists (tests/docs/check.sh), their commands run (tests/docs/run.sh, make -n), the
// documented ways to call `make mutants` do what is said.  That the checker notices errors is tested with made-up ones.
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "run_lead.h"
#include "tensor/device.h"

#define ALL "README.md CONTRIBUTING.md docs/*.md docs/tour/*.md data/gpt2-small/README.md bench/RESULTS.md"

static const char *document(TestLog *log, Arena *a, const char *name, const char *text)
{
    const char *path = arena_printf(a, "%s/%s", log->tmp, name);
    FILE *f = fopen(path, "w");
    CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0, "cannot write %s", path);
    return path;
}

// A document with one line, which must be found wrong for a reason that holds `why`; NULL: right.
static void line(TestLog *log, Arena *a, const char *text, const char *why)
{
    const char *doc = document(log, a, "line.md", arena_printf(a, "A line.\n\n%s\n", text));
    const Ran r = shell_run(log, a, "sh tests/docs/check.sh '%s' '%s'", log->lead, doc);
    if (why) TEST(log, r.code == 1 && strstr(r.out, why), "%s: want '%s', exit %d: %s", text, why, r.code, r.out);
    else TEST(log, r.code == 0, "%s: exit %d: %s", text, r.code, r.out);
}

static void test_checker(TestLog *log, Arena *a)
{
    line(log, a, "`make test AREA=docs`, `lead train --resume`, `src/cli/main.c`, `tape_op(t, op)` and `make -n fuzz`",
         NULL);
    line(log, a, "`make tset`", "no target tset");
    line(log, a, "```\nmake demo && make benhc   # fast\n```", "no target benhc");
    line(log, a, "`make mutants ONLY=add`", "no variable of the Makefile: ONLY");
    line(log, a, "`make mutants OP=\"add multiply\"`", "no op multiply");
    line(log, a, "`make test AREA=\"ops opps\"`", "no area opps");
    line(log, a, "`AREA=opps`", "no area opps");
    line(log, a, "`make fuzz-run TARGET=html`", "no fuzz html");
    line(log, a, "`LEAD_ISAA=avx2`", "nothing reads LEAD_ISAA");
    line(log, a, "`lead trian --resume`", "no verb trian");
    line(log, a, "`lead gpt2 generate|logit`", "no verb gpt2 logit");
    line(log, a, "    build/lead data infos x.npy", "no verb data infos");
    line(log, a, "`lead train --resumes`", "lead train has no option --resumes");
    line(log, a, "```\nbuild/lead eval --model run \\\n    --horizon 20 --quantils 0.1\n```", "no option --quantils");
    line(log, a, "`lead forecast --naive-only`", "lead forecast has no option --naive-only");
    line(log, a, "`--resumes`", "no verb has the option --resumes");
    line(log, a, "`build/lead check --op multiply`", "no op multiply");
    line(log, a, "`src/cli/mian.c`", "no such file");
    line(log, a, "`tape.hh`, `tensor/tapes.h`", "no such file");
    line(log, a, "`src/tensor/ref/*.inc`", "no such file");
    line(log, a, "`tests/tools/gpu_days.sh`", "no file tests/tools/gpu_days.sh");
    line(log, a, "[a page](docs/maths.md)", "no such file");
    line(log, a, "`tape_opp(t, op)`", "nowhere in the code: tape_opp");
    line(log, a, "a span that\ngoes on: `tape_op and\ntape_opp`", "nowhere in the code: tape_opp");
    line(log, a, "a span `without an end\n\nA paragraph.", "a backtick without its partner");
    line(log, a, "```c\nTensor *y = tape_opp(t, a);\n```", "nowhere in the code: tape_opp");
    line(log, a, "Nothing.", "0 commands, 0 paths, 0 names");
    TEST(log, shell_run(log, a, "sh tests/docs/check.sh '%s' nowhere.md", log->lead).code == 1,
         "a document that is not there");

    mkdir(arena_printf(a, "%s/docs", log->tmp), 0777);
    static const struct { const char *name, *edit, *why; } page[] = {
        {"docs/math.md", "s/^| elementwise | add mul /| elementwise | add /", "lacks mul"},
        {"docs/math.md", "s/ softplus; without backward: clamp/ softplus clamp/", "ops.def says diff = N"},
        {"docs/math.md", "s/^| elementwise | add mul /| elementwise | add mul plus /", "no op of ops.def"},
        {"docs/math.md", "s/^| elementwise | add mul /| elementwise | add mul mul /", "stands twice"},
        {"docs/math.md", "s/^| resample | upsample2 /| conv | upsample2 /", "ops.def says family resample"},
        {"docs/cli.md", "/^| `eval` /d", "lacks eval"},
    };
    for (size_t i = 0; i < sizeof page / sizeof *page; i++) {
        const Ran r = shell_run(log, a, "sed '%s' '%s' > '%s/%s' && sh tests/docs/check.sh '%s' '%s/%s'", page[i].edit,
                         page[i].name, log->tmp, page[i].name, log->lead, log->tmp, page[i].name);
        TEST(log, r.code == 1 && strstr(r.out, page[i].why), "%s: want '%s', exit %d: %s", page[i].edit, page[i].why,
             r.code, r.out);
    }
}

// Every target in `make help`, and what it says exists.
static void test_help(TestLog *log, Arena *a)
{
    const Ran help = shell_run(log, a, MAKE " -s help");
    TEST(log, help.code == 0, "%s", help.out);
    const char *doc = arena_printf(a, "%s/help.md", log->tmp);
    const Ran r = shell_run(log, a, MAKE " -s help | grep -oE 'make [a-zA-Z0-9-]+|[A-Z_]+=[^ ;:]*' | sed 's/.*/`&`/' "
                                       "> '%s' && sh tests/docs/check.sh '%s' '%s'", doc, log->lead, doc);
    TEST(log, r.code == 0, "make help: %s", r.out);
    const Ran all =
        shell_run(log, a,
           "sed -n 's/^\\.PHONY: //p' Makefile tests/tests.mk docs/tour/tour.mk cuda/cuda.mk bench/bench.mk "
           "packaging/install.mk | "
           "tr ' ' '\\n' | sort -u");
    int n = 0;
    char *copy = arena_printf(a, "%s", all.out), *save;
    for (char *target = strtok_r(copy, "\n", &save); target; target = strtok_r(NULL, "\n", &save)) {
        if (!strcmp(target, "all") || !strcmp(target, "deps") || !strcmp(target, "FORCE") || !strcmp(target, "help"))
            continue;
        const char *at = help.out, *want = arena_printf(a, "make %s", target);
        while ((at = strstr(at, want)) && strchr(" \n:;", at[strlen(want)]) == NULL) at++;
        TEST(log, at, "make help does not list make %s", target);
        n++;
    }
    TEST(log, n >= 18, "%d targets were read", n);
}

// Every make command of the documents, without doing it.
static void test_make(TestLog *log, Arena *a)
{
    const Ran list = shell_run(log, a, "sh tests/docs/check.sh --make-commands " ALL);
    int n = 0;
    char *copy = arena_printf(a, "%s", list.out), *save;
    for (char *c = strtok_r(copy, "\n", &save); c; c = strtok_r(NULL, "\n", &save)) {
        if (!strncmp(c, "make test AREA", strlen("make test AREA"))) continue;   // the areas exist; the rule is one
        const Ran r = shell_run(log, a, MAKE " -n%s", c + strlen("make"));
        TEST(log, r.code == 0, "%s: exit %d: %s", c, r.code, r.out);
        n++;
    }
    TEST(log, n >= 20, "%d make commands were found", n);
    static const struct { const char *args, *want, *not; } rule[] = {
        {"mutants", "mutants/run.sh build/tests/checker 1 \n", "listed.sh"},
        {"mutants", "mutants/harness.sh build\n", NULL},
        {"mutants OP=name", "mutants/run.sh build/tests/checker 1 name\n", "harness.sh"},
        {"mutants OP='linear add'", "mutants/run.sh build/tests/checker 1 linear add\n", "listed.sh"},
        {"mutants SIMD=1", "listed.sh simd build/tests/checker 1 \"\"\n", "run.sh"},
        {"mutants SIMD=1 WORD=gemm", "listed.sh simd build/tests/checker 1 \"gemm\"\n", "run.sh"},
        {"mutants CUDA=1", "listed.sh cuda build/tests/checker 1 \"\"\n", "run.sh"},
        {"mutants MODEL=1", "listed.sh model build/tests/run 1 \"\"\n", "run.sh"},
        {"mutants MODEL=1 WORD=sampler", "listed.sh model build/tests/run 1 \"sampler\"\n", "run.sh"},
        {"test", "build/tests/run  \n", NULL},
        {"test AREA='ops tape' QUICK=1", "build/tests/run ops tape --quick\n", NULL},
        {"cuda-emulate", "build/tests/run cuda_emulate \n", NULL},
        {"asan", "build/asan/tests/run  --quick\n", NULL},
        {"bench BENCH='--quick conv2d'", "bench.tsv --quick conv2d\n", NULL},
        {"clean", "rm -rf build\n", NULL},
        {"clean BUILD=elsewhere", "rm -rf elsewhere\n", NULL},
        {"checker MISSING=ok BUILD=none", "--unresolved-symbols=ignore-all", NULL},
    };
    for (size_t i = 0; i < sizeof rule / sizeof *rule; i++) {
        const Ran r = shell_run(log, a, MAKE " -n %s", rule[i].args);
        TEST(log, r.code == 0 && strstr(r.out, rule[i].want) && !(rule[i].not && strstr(r.out, rule[i].not)),
             "make %s: want '%s', exit %d: %s", rule[i].args, rule[i].want, r.code, r.out);
    }
}

// Words that would not count are refused, not ignored.
static void test_refused(TestLog *log, Arena *a)
{
    static const struct { const char *args, *why; } call[] = {
        {"WORD=gemm", "WORD chooses rows"},    {"SIMD=1 OP=add", "give WORD"}, {"CUDA=1 OP=add", "give WORD"},
        {"SIMD=1 CUDA=1", "got CUDA SIMD"},    {"SIMD=0", "want CUDA=1, SIMD=1"},  {"MODEL=1 OP=add", "give WORD"},
    };
    for (size_t i = 0; i < sizeof call / sizeof *call; i++) {
        const Ran r = shell_run(log, a, MAKE " -n mutants %s", call[i].args);
        TEST(log, r.code == 2 && strstr(r.out, call[i].why), "make mutants %s: exit %d: %s", call[i].args, r.code,
             r.out);
    }
}

// The documented command lines themselves, on as little as they take.
static void test_mutants_run(TestLog *log, Arena *a)
{
    const char *build = arena_printf(a, "%.*s", (int)(strlen(log->lead) - strlen("/lead")), log->lead);
    static const struct { const char *args, *want; } run[] = {
        {"OP=relu", " killed, "}, {"SIMD=1 WORD=4.2668394217e-2f", "simd mutants: 1 of 1 killed"},
        {"CUDA=1 WORD='x * (1 + s)'", "cuda mutants: 1 of 1 killed"},
    };
    for (size_t i = 0; i < sizeof run / sizeof *run; i++) {
        if (!strncmp(run[i].args, "SIMD", 4) && isa_detect() < ISA_AVX2) {
            test_skip(log, "skipped: mutants of SIMD kernels want a CPU with AVX2");
            continue;
        }
        const Ran r = shell_run(log, a, MAKE " -s mutants BUILD='%s' %s", build, run[i].args);
        TEST(log, r.code == 0 && strstr(r.out, run[i].want), "make mutants %s: exit %d: %s", run[i].args, r.code,
             r.out);
    }
    const Ran none = shell_run(log, a, MAKE " -s mutants BUILD='%s' OP='relu multiply'", build);
    TEST(log, none.code != 0 && strstr(none.out, "no op multiply"), "make mutants OP='relu multiply': %s", none.out);
}

void test_docs(TestLog *log)
{
    if (log->quick) {   // a slow build says nothing more of them
        test_skip(log, "skipped: documents are checked without sanitizers, in the full suite");
        return;
    }
    Arena *a = arena_new("docs", (size_t)1 << 30, NULL);
    CHECK(a, "no address space");
    const Ran all = shell_run(log, a, "sh tests/docs/check.sh '%s' " ALL, log->lead);
    printf("%s", all.out);
    TEST(log, all.code == 0, "a document names what is not there");
    test_checker(log, a);
    test_help(log, a);
    test_make(log, a);
    test_refused(log, a);
    const Ran wrong =
        shell_run(log, a, "sh tests/docs/run.sh '%s' '%s' '%s'", log->lead, log->tmp,
           document(log, a, "wrong.md", "```\nbuild/lead info\nbuild/lead train --data nowhere.npy\n```\n"));
    TEST(log, wrong.code == 1 && strstr(wrong.out, "2 commands run, 1 failed"), "a command that fails: %s",
         wrong.out);
    const Ran r = shell_run(log, a, "sh tests/docs/run.sh '%s' '%s' " ALL, log->lead, log->tmp);
    printf("%s", r.out);
    TEST(log, r.code == 0, "a command of a document fails");
    test_mutants_run(log, a);
    arena_delete(a);
}
