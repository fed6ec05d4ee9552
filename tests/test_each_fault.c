// Whatever call to the system fails, and whichever time: every verb ends by itself, with exit 1 and one line that
// begins with "lead: ", or does its work all the same; no file has its final name but is half-written, no temporary
// file stays, and a training can go on.  tests/inject/inject.c lets the k-th call of a kind fail.  LEAD_EVERY_FAULT=1
// (make faults) takes every k until none fails; LEAD_EVERY_FAULT=VERB those of one verb.  Otherwise a few.
#include <errno.h>

#include "io/safetensors.h"
#include "tests/inject/kinds.h"
#include "try_lead.h"

static const char *const kinds[FAULT_KINDS] = FAULT_NAMES;
static const int errors[FAULT_KINDS] = {ENOMEM, EMFILE, EIO, 0, ENOSPC, EIO, EIO, EIO, EIO, ENOMEM, EIO, EAGAIN};

// A verb's command.  %: the test's directory; @: where it writes, emptied before (and filled by `setup`).
// again: the command with which a training goes on after a failure; its result must be that of the undisturbed one.
typedef struct Try { const char *args, *setup, *again; } Try;

#define GPT2 "gpt2 train --data %/t.txt --layers 1 --width 8 --heads 1 --positions 16 --batch 1 --context 8"
#define TRAFFIC " --data %/d/x.npy"
#define PRETRAIN "pretrain --networks 2 --steps-each 1 --flow-width 8 --flow-hidden 8 --out @/p.safetensors"
#define LOADS " --topology %/net.csv --paths %/p.npy"
static const Try tries[] = {
    {"info", NULL, NULL},
    {"data info %/d/x.npy", NULL, NULL},
    {"data info %/x.csv", NULL, NULL},
    {"data info %/x.npz", NULL, NULL},
    {"data import %/x.csv --out @/x.npz", NULL, NULL},
    {"data export" TRAFFIC " --count 3 --out @/x.csv", NULL, NULL},
    {"data export" TRAFFIC " --format repetita --row 2 --out @/p.demands", NULL, NULL},
    {"data synth --nodes 3 --days 2 --slot-seconds 7200 --out @/x.npy", NULL, NULL},
    {"data render %/d/x.npy --out @/x.png", NULL, NULL},
    {TRY_TRAIN TRAFFIC " --out @/run", NULL, "train --out @/run --resume"},
    {"train --out @/run --resume", "cp -r %/stopped @/run", "train --out @/run --resume"},
    {"train --data %/long/x.npy --update %/run --steps 2 --out @/run", NULL, "train --out @/run --resume"},
    {"eval --model %/run --stride 31" TRAFFIC " --out @/x.tsv --windows-out @/w.tsv", NULL, NULL},
    {"eval --naive-only --stride 31" TRAFFIC " --out @/x.tsv --png @/x.png", NULL, NULL},
    {"forecast --model %/run --samples 2" TRAFFIC " --out @/x.csv --png @/png", NULL, NULL},
    {"forecast --model ridge" TRAFFIC " --horizon 2 --samples 4 --paths @/p.npy --out @/x.csv", NULL, NULL},
    {"forecast --model ridge" TRAFFIC " --horizon 2 --flow 0:1 --format jsonl", NULL, NULL},
    {"loads" LOADS " --out @/x.csv", NULL, NULL},
    {"whatif --optimise" LOADS " --out @/x.csv --routing-out @/r.npy", NULL, NULL},
    {"estimate --topology %/net.csv" TRAFFIC " --stride 97 --out @/x.tsv", NULL, NULL},
    {"alarm --model ridge" TRAFFIC " --rows 5 --learn-rows 30 --rate 0.1 --limits @/l.json", NULL, NULL},
    {"impute --data %/holes.npz --method seasonal --out @/x.npz", NULL, NULL},
    {"report --model ridge --windows 4 --alarm-rows 2 --learn-rows 30" TRAFFIC " --topology %/net.csv --out @/x.html",
     NULL, NULL},
    {PRETRAIN, NULL, PRETRAIN " --resume"},
    {"distill --model %/run --to 2 --teacher-steps 4 --steps 2 --batch 2 --no-final --out @/run", NULL, NULL},
    {"gpt2 corpus --documents 3 --out @/c.txt", NULL, NULL},
    {"gpt2 bpe-train --data %/t.txt --vocab 270 --out @/tok", NULL, NULL},
    {"gpt2 encode --tokenizer %/gpt2 %/t.txt", NULL, NULL},
    {"gpt2 logits --llm %/gpt2 --text quick --top 3", NULL, NULL},
    {"gpt2 generate --llm %/gpt2 --text quick --n 4", NULL, NULL},
    {"gpt2 eval %/t.txt --llm %/gpt2", NULL, NULL},
    {"gpt2 verify %/gpt2", NULL, NULL},
    {"gpt2 convert %/gpt2 @/there", NULL, NULL},
    {"gpt2 merge --llm %/gpt2 --adapter %/lora --out @/merged", NULL, NULL},
    {GPT2 " --steps 3 --checkpoint-seconds 0 --val-every 2 --out @/m", NULL,
     GPT2 " --steps 3 --checkpoint-seconds 0 --val-every 2 --out @/m --resume"},
    {"gpt2 train --data %/t.txt --llm %/gpt2 --lora 2 --steps 2 --batch 1 --context 8 --out @/m", NULL,
     "gpt2 train --data %/t.txt --llm %/gpt2 --lora 2 --steps 2 --batch 1 --context 8 --out @/m --resume"},
    {"forecast --model ridge" TRAFFIC " --horizon 2 --out @/x.csv --threads 2", NULL, NULL},   // a thread more
    {"check --op linear_gelu", NULL, NULL},
    {"ops --manifest @/m.json", NULL, NULL},
};
enum { N_TRIES = sizeof tries / sizeof *tries };

typedef struct Bench { TestLog *log; Arena *a; const char *dir, *object; long counts[FAULT_KINDS + 1]; } Bench;

#define PATH(name) arena_printf(b->a, "%s/%s", b->log->tmp, name)

// Runs the command; fault: what LEAD_FAULT says, NULL for none.
static Result run(Bench *b, const Try *t, const char *args, const char *fault, bool fresh)
{
    Result r = {0};
    const char *counts = PATH("counts"), *out = PATH("try.out"), *err = PATH("try.err");
    if (fresh) {
        const char *setup = t->setup ? arena_printf(b->a, " && %s", try_expand(b->log, b->a, b->dir, t->setup)) : "";
        TEST(b->log, !system(arena_printf(b->a, "rm -rf %s && mkdir %s%s", b->dir, b->dir, setup)), "no %s", b->dir);
    }
    unlink(counts);
    if (fault) setenv("LEAD_FAULT", fault, 1);
    else unsetenv("LEAD_FAULT");
    setenv("LEAD_FAULT_COUNTS", counts, 1);
    setenv("LD_PRELOAD", b->object, 1);
    const char *one = strstr(args, "--threads") ? "" : " --threads 1";
    const char *words = arena_printf(b->a, "%s%s", try_expand(b->log, b->a, b->dir, args), one);
    const pid_t pid = lead_start(b->log, b->a, out, err, words);
    unsetenv("LD_PRELOAD");
    r.code = try_wait(pid);
    r.out = slurp(b->a, out);
    r.err = slurp(b->a, err);
    FILE *f = fopen(counts, "rb");
    if (!f || fread(b->counts, sizeof b->counts, 1, f) != 1) memset(b->counts, 0, sizeof b->counts);
    if (f) fclose(f);
    try_collect(&r, b->a, b->dir, "");
    return r;
}

// ---- what must hold

// Whether the bytes say when they were made, or how long it took.
static bool of_now(const char *name)
{
    return ends_in(name, ".manifest.json") || ends_in(name, "m.json") || ends_in(name, ".jsonl") ||
           ends_in(name, "README.md") || ends_in(name, "x.html");
}

// Files of a run directory change while it trains; that they are whole is seen when the run goes on.
static bool of_run(const char *name)
{
    return strstr(name, ".safetensors") || ends_in(name, "log.jsonl") || ends_in(name, "lock");
}

static const Made *find(const Result *r, const char *name)
{
    for (int i = 0; i < r->n; i++)
        if (!strcmp(r->made[i].name, name)) return &r->made[i];
    return NULL;
}

static bool whole(const Made *m, const Made *good)
{
    if (!good) return false;
    if (!of_now(m->name)) return m->n == good->n && !memcmp(m->bytes, good->bytes, m->n);
    return m->n > 2 && m->bytes[m->n - 1] == '\n';
}

// Tensors of two files, whatever their metadata say of the time.
static bool same_tensors(const Bench *b, const Made *x, const Made *y)
{
    const char *one = PATH("one.safetensors"), *two = PATH("two.safetensors");
    SafeFile f, g;
    if (file_write(one, x->bytes, x->n).code || file_write(two, y->bytes, y->n).code) return false;
    if (safetensors_open(&f, b->a, one).code) return false;
    if (safetensors_open(&g, b->a, two).code) return false;
    bool same = f.n_tensor == g.n_tensor && f.n_tensor > 0;
    for (int64_t i = 0; same && i < f.n_tensor; i++)
        same = !strcmp(f.tensor[i].name, g.tensor[i].name) && f.tensor[i].count == g.tensor[i].count &&
               !memcmp(f.tensor[i].data, g.tensor[i].data,
                       (size_t)f.tensor[i].count * safetensors_type_size(f.tensor[i].type));
    safetensors_close(&f);
    safetensors_close(&g);
    return same;
}

static int error_lines(const char *err)
{
    int n = 0;
    for (const char *p = err; *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : p + strlen(p))
        n += !strncmp(p, "lead: ", 6);
    return n;
}

// What the command says when nothing fails; exit 1 and 3 are answers, too (gpt2 verify, alarm).
typedef struct Trial { Bench *b; const Try *t; Result good; int kind; long k; const char *fault; } Trial;

static void check_files(const Trial *c, const Result *r, bool all)
{
    const bool names = c->kind == FAULT_NAME;   // a temporary file that cannot be removed stays
    for (int i = 0; i < r->n; i++) {
        const Made *m = &r->made[i], *good = find(&c->good, m->name);
        if (names && (strstr(m->name, ".tmp") || ends_in(m->name, "lock"))) continue;
        const bool trains = c->t->again || !strncmp(c->t->args, "distill", 7);
        if (trains && (of_run(m->name) || strstr(m->name, "unfinished")) && !strstr(m->name, ".tmp")) continue;
        TEST(c->b->log, whole(m, good), "%s with %s: %s is %s", c->t->args, c->fault, m->name,
             good ? "half-written" : "left behind");
    }
    for (int i = 0; all && i < c->good.n; i++)
        TEST(c->b->log, find(r, c->good.made[i].name), "%s with %s: exit %d without %s: %s", c->t->args, c->fault,
             r->code, c->good.made[i].name, r->err);
}

// A training goes on after the fault and ends as if there had been none.
static void check_again(const Trial *c, const Result *failed)
{
    Bench *b = c->b;
    Result r = run(b, c->t, c->t->again, NULL, false);
    if (r.code) r = run(b, c->t, c->t->args, NULL, false);   // nothing was there to go on with
    TEST(b->log, r.code == 0, "%s after %s (%s): exit %d, %s", c->t->again, c->fault, failed->err, r.code, r.err);
    for (int i = 0; r.code == 0 && i < c->good.n; i++) {
        const Made *want = &c->good.made[i], *got = find(&r, want->name);
        if (!ends_in(want->name, ".safetensors")) continue;
        TEST(b->log, got && same_tensors(b, got, want), "%s after %s: another %s", c->t->again, c->fault, want->name);
    }
}

static void check_fault(const Trial *c)
{
    Bench *b = c->b;
    const Result r = run(b, c->t, c->t->args, c->fault, true);
    if (!b->counts[FAULT_KINDS]) return;   // it did not come so far
    const bool as_before = r.code == c->good.code && (r.code != 1 || !strcmp(r.out, c->good.out));
    const bool mute = c->kind == FAULT_WRITE && !*r.err;   // the message itself could not be written
    TEST(b->log, as_before || (r.code == 1 && (error_lines(r.err) == 1 || mute)), "%s with %s: exit %d, %s", c->t->args,
         c->fault, r.code, r.err);
    if (as_before && c->good.code != 1) {
        const bool said = strstr(r.err, "note: ") || strstr(r.err, "left out");
        TEST(b->log, said || of_now(c->t->args) || !strcmp(r.out, c->good.out) || !strncmp(c->t->args, "info", 4) ||
                         !strncmp(c->t->args, "check", 5),
             "%s with %s: another result and not a word; %s", c->t->args, c->fault, r.err);
    }
    check_files(c, &r, as_before && r.code != 1);
    if (c->t->again && r.code) check_again(c, &r);
}

// ---- the world

// Beside the others: a training that was stopped after a checkpoint.
static void make_world(const Bench *b)
{
    try_world(b->log, b->a);
    const char *stopped = PATH("stopped/checkpoint.safetensors");
    const char *args = "train --config tiny --llm %/llm --steps 40 --calibrate false --checkpoint-seconds 1e-9 "
                       "--threads 1" TRAFFIC " --out %/stopped";
    const pid_t pid = lead_start(b->log, b->a, PATH("s.out"), PATH("s.err"), try_expand(b->log, b->a, b->dir, args));
    for (int i = 0; i < 60000 && access(stopped, F_OK); i++) usleep(500);
    kill(pid, SIGTERM);
    TEST(b->log, lead_wait(pid) == 0 && !access(stopped, F_OK), "%s", slurp(b->a, PATH("s.err")));
}

// Which call of n fails when only a few do: for each verb those of a fifth of the kinds, one of each.
static long some(int turn, int kind, long n)
{
    return (turn + kind) % 5 || !n ? n + 1 : 1 + (turn * 7 + kind * 3) % n;
}

static void try_verb(Bench *b, const Try *t, bool every, int turn)
{
    const Result good = run(b, t, t->args, NULL, true);
    long counts[FAULT_KINDS];
    memcpy(counts, b->counts, sizeof counts);
    TEST(b->log, good.code == 0 || (strstr(t->args, "verify") && good.code == 1) ||
                     (strstr(t->args, "alarm") && good.code == 3),
         "lead %s: exit %d, %s", t->args, good.code, good.err);
    for (int kind = 0; kind < FAULT_KINDS; kind++)
        for (long k = every ? 1 : some(turn, kind, counts[kind]); k <= counts[kind]; k += every ? 1 : counts[kind]) {
            const size_t mark = arena_mark(b->a);
            check_fault(&(Trial){b, t, good, kind, k,
                                arena_printf(b->a, "%s:%ld:%d", kinds[kind], k, errors[kind])});
            arena_rewind(b->a, mark);
        }
    if (every) {
        printf("%s:", t->args);
        for (int kind = 0; kind < FAULT_KINDS; kind++) printf(" %s %ld", kinds[kind], counts[kind]);
        printf("\n");
        fflush(stdout);
    }
}

void test_each_fault(TestLog *log)
{
    const char *which = getenv("LEAD_EVERY_FAULT");
    Bench bench = {.log = log, .a = arena_new("each_fault", (size_t)4 << 30, NULL)}, *b = &bench;
    CHECK(b->a, "no address space");
    b->object = arena_printf(b->a, "%.*s/tests/inject.so", (int)(strrchr(log->lead, '/') - log->lead), log->lead);
    if (log->quick || access(b->object, F_OK)) {
        test_skip(log, "skipped: faults of the system (in a quick run, or not on x86-64)");
        TEST(log, true, "skipped");
        arena_delete(b->a);
        return;
    }
    setenv("OMP_WAIT_POLICY", "passive", 1);   // else the program starts itself once more, without the object
    b->dir = PATH("o");
    if (which) alarm(0);
    make_world(b);
    for (int i = 0; i < N_TRIES; i++) {
        const size_t mark = arena_mark(b->a);
        const bool named = which && strcmp(which, "1") && strncmp(tries[i].args, which, strlen(which));
        if (!named) try_verb(b, &tries[i], which, i);
        arena_rewind(b->a, mark);
    }
    arena_delete(b->a);
}
