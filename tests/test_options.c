// Option x effect: every option of every verb has a row.  A row is a command and an option that is added to it: what
// the command prints and writes must then be something else (differs), or stay the same to the byte (same: threads,
// memory, batches that are only cut).  An option without a row, here or in the commands of tests/golden/cli.txt (area
// golden_cli), fails, and so does a row whose option changes nothing.  The few options that have no row say why.
#include "io/sha256.h"
#include "try_lead.h"

enum { MOST = 80 };

typedef struct Row { const char *args, *option[MOST]; } Row;

#define X " --data %/d/x.npy"
#define R " --model %/run"
#define LOADS " --topology %/net.csv --paths %/p.npy"
#define MODEL_LOADS " --topology %/net.csv" X R
#define GPT2 "gpt2 train --data %/t.txt --layers 1 --width 8 --heads 1 --positions 16 --batch 1 --context 8 --steps 2"
#define RIVAL "train --config tiny --model tsmixer --history 12 --steps 2 --no-final --data %/d/x.npy --out @/run"
#define TRAIN "train --config tiny --llm %/llm --steps 2 --no-final --calibrate false --data %/d/x.npy --out @/run"

// ---- the options by which data are read: each of them where it matters, in a verb that shows what was read

static const Row data_options[] = {
    {"data export --data %/d/x.npy --out @/x.csv",
     {"--times %/shifted.txt", "--invalid 20-24", "--slot 1d", "--unit Mbit/s", "--capacity 100"}},
    {"data info --data %/bare.npy", {"--slot-seconds 600"}},
    {"data export --data %/d/x.npy --out @/x.csv --slot 1d", {"--aggregate max", "--aggregate p95"}},
    {"data export --data %/holes.npz --out @/x.csv", {"--fill 24"}},
    {"data export --data %/x.csv --out @/x.npz", {"--tz +02:00"}},
    {"data export --data %/long.csv --out @/x.npz",
     {"--columns time=time,source=destination,destination=source,value=bytes", "--sampling 10", "--map %/map.txt",
      "--absent missing"}},
    {"data info %/d/x.npy", {"--calendar-shift 7200", "--invalid 20-24", "--unit Mbit/s", "--gaps 100"}},
    {"forecast --model mean --horizon 1 --data %/spiked.csv", {"--keep-all"}},
    {"forecast --model mean --horizon 1 --data %/dubious.csv", {"--drop-suspicious"}},
    {"data import %/d/x.npy --out @/x.npz", {"--invalid 20-24", "--unit Mbit/s"}},
    {"data export --data %/d/x.npy --out @/x.csv", {"--row 5", "--count 7"}},
    {"data render %/d/x.npy --out @/x.png", {"--row 9", "--count 1", "--invalid 0-9"}},
    {"forecast --model mean --horizon 2" X, {"--invalid 20-24", "--unit Mbit/s"}},
    {"eval --naive-only --stride 31" X, {"--invalid 20-24", "--unit Mbit/s"}},
    {"loads" LOADS X, {"--row 40"}},
    {"estimate --topology %/net.csv --stride 31" X, {"--invalid 20-24", "--unit Mbit/s"}},
    {"alarm --model ridge --rows 5 --learn-rows 40" X, {"--invalid 20-80", "--unit Mbit/s"}},
    {"impute --data %/holes.npz --method seasonal --out @/x.npz", {"--invalid 20-24", "--unit Mbit/s"}},
    {"report --model ridge --windows 2 --alarm-rows 0" X " --out @/x.html", {"--invalid 20-80", "--unit Mbit/s"}},
};
// Verbs that read data by the same table of options (DATA_OPTIONS, src/cli/cli.h): the rows above show it for all.
static const char *const data_verbs[] = {"data info", "data import", "data export", "data render", "train", "distill",
                                         "forecast", "eval", "loads", "whatif", "estimate", "alarm", "report",
                                         "impute"};

static const Row differs[] = {
    {"forecast" R X, {"--sampler ddpm", "--sample-steps 1", "--guidance 2", "--samples 2"}},
    {"eval" R X " --stride 31", {"--sampler ddpm"}},
    {"eval --naive-only --stride 31 --topology %/net.csv" X,
     {"--weights hops", "--capacity-unit Gbps", "--routing %/routing.npy"}},
    {"eval --windows-out @/w --stride 31" X, {"--naive-only"}},
    {"eval --naive-only --stride 31" X, {"--out @/x.tsv", "--png @/x.png", "--report @/x.html", "--windows-out @/w"}},
    {"loads" MODEL_LOADS, {"--sampler ddpm", "--sample-steps 1", "--guidance 2", "--samples 2", "--seed 4", "--row 90",
                           "--horizon 1", "--out @/x", "--report @/x.html"}},
    {"whatif" MODEL_LOADS, {"--sampler ddpm", "--sample-steps 1", "--guidance 2", "--samples 2", "--seed 4", "--row 90",
                            "--out @/x"}},
    {"whatif" LOADS, {"--capacity-unit Gbps"}},
    {"whatif --optimise" LOADS, {"--routing %/routing.npy"}},
    {"estimate --topology %/net.csv --stride 31" X, {"--known 0:1"}},
    {"estimate --stride 31" MODEL_LOADS, {"--sampler ddpm", "--sample-steps 1", "--guidance 2", "--samples 2",
                                          "--capacity-unit Gbps --weights inverse", "--routing %/routing.npy"}},
    {"alarm --rows 5 --learn-rows 40" R X, {"--sampler ddpm", "--sample-steps 1", "--guidance 2", "--samples 2",
                                            "--limits @/l.json"}},
    {"report --windows 2 --alarm-rows 2 --learn-rows 20 --topology %/net.csv --out @/x.html" R X,
     {"--sampler ddpm", "--sample-steps 1", "--guidance 2", "--samples 2", "--seed 4", "--row 90", "--horizon 1",
      "--weights hops", "--capacity-unit Gbps", "--above 1", "--fail 0-1", "--windows 3", "--split val",
      "--alarm-rows 3", "--learn-rows 30", "--rate 0.3", "--routing %/routing.npy", "--limits @/l.json",
      "--model ridge", "--title Another"}},
    {"report --windows 2 --alarm-rows 5 --learn-rows 40 --out @/x.html" R X, {"--alarm-model run"}},
    {"report --windows 0 --alarm-rows 0 --model ridge --out @/x.html" X, {"--topology %/net.csv"}},
    {"impute --data %/holes.npz --out @/x.npz --hidden 2 --rounds 2",
     {"--method last", "--quantiles 0.5", "--hidden 3", "--rounds 3", "--window 160"}},
    {"impute --data %/gap.csv --out @/x.npz --method last", {"--rows 0"}},
    {"impute --score --method last" X, {"--percent 50", "--seed 2"}},
    {"distill --to 2 --teacher-steps 4 --steps 2 --batch 2 --no-final --out @/run" R,
     {"--to 1", "--teacher-steps 8", "--steps 3", "--batch 3", "--learning-rate 0.01"}},
    {"distill --to 2 --teacher-steps 4 --steps 2 --batch 2 --out @/run" R, {"--no-final", "--to 1 --tune-steps 2"}},
    {"pretrain --networks 1 --steps-each 1 --flow-width 8 --flow-hidden 8 --out @/p.safetensors",
     {"--networks 2", "--steps-each 2"}},
    {"gpt2 generate --llm %/gpt2 --text the --n 9", {"--tokenizer %/tok2", "--llm %/gpt2b"}},
    {"gpt2 generate --llm %/llm --tokens 1,2 --n 9 --temperature 1", {"--tokens 3,9,5"}},
    {"gpt2 logits --llm %/gpt2 --text the", {"--llm-weights bf16", "--llm-weights nf4", "--tokenizer %/tok2",
                                               "--llm %/gpt2b"}},
    {"gpt2 logits --llm %/llm --tokens 1,2", {"--tokens 3"}},
    {"gpt2 eval %/t.txt --llm %/gpt2", {"--llm-weights nf4", "--tokenizer %/tok2", "--llm %/gpt2b"}},
    {"gpt2 encode --tokenizer %/tok %/t.txt", {"--tokenizer %/tok2"}},
    {"gpt2 decode --tokenizer %/tok %/ids.txt", {"--tokenizer %/tok2"}},
    {"gpt2 convert %/gpt2 @/x.bin", {"--dtype bf16"}},
    {"gpt2 merge --llm %/gpt2 --adapter %/lora --out @/m", {"--llm %/gpt2b", "--adapter %/lorab"}},
    {GPT2 " --out @/m", {"--tokenizer %/tok", "--data %/net.csv"}},
    {"gpt2 train --data %/t.txt --llm %/gpt2 --lora 2 --steps 2 --batch 1 --context 8 --out @/m",
     {"--llm %/gpt2b", "--llm-weights nf4"}},
    {"check --op add", {"--op softmax", "--full"}},
    {TRAIN, {"--history 5", "--horizon 3", "--encoding grey", "--scale log", "--target level",
             "--horizons rollout", "--pixel-condition false", "--mean-head true",
             "--vision single", "--enc-base 8", "--enc-stages 1", "--enc-width 12", "--agg-layers 2", "--agg-heads 4",
             "--tokens 2", "--llm-kind none", "--llm %/gpt2", "--adapter-width 6", "--lora-rank 2",
             "--conditions global", "--denoiser both", "--cond-width 12", "--unet-base 16", "--unet-levels 1",
             "--unet-blocks 2", "--unet-heads 1", "--diffusion-steps 500", "--schedule linear",
             "--prediction x0", "--min-snr-gamma 0", "--cond-drop 0.9", "--loss-traffic 1", "--loss-pool 1",
             "--loss-sobel 1", "--batch 3",
             "--steps 3", "--lr 0.01", "--decay 9", "--clip 0.001", "--dropout 0.5",
             "--level-jitter 0.5", "--seed 2", "--config-file %/keys.json"}},
    {TRAIN " --llm-kind random --unet-levels 1", {"--config demo --llm-kind random"}},
    {TRAIN " --history 12", {"--base ridge"}},
    {TRAIN " --history 12 --base ridge", {"--flow-context true"}},
    {TRAIN " --history 12 --base ridge --flow-context true --mean-head true",
     {"--flow-identity statistics", "--base-blend true"}},
    {TRAIN " --lora-rank 2 --steps 9 --lr 0.02", {"--lora-targets all", "--lora-alpha 3"}},
    {TRAIN " --denoiser both", {"--flow-width 16", "--flow-hidden 16"}},
    {TRAIN " --mean-head true", {"--scale-head true"}},
    {TRAIN " --batch 8", {"--batch-flows 64"}},
    {TRAIN " --steps 40", {"--warmup 0", "--ema 0.5"}},
    {RIVAL, {"--model nlinear", "--rival-target levels", "--rival-loss mae", "--rival-width 4"}},
    {TRAIN " --steps 12 --lr 1 --clip 0", {"--patience 1"}},
    {TRAIN " --calibrate true", {"--sampler ddpm", "--sample-steps 2", "--samples 6", "--guidance 2",
                                 "--sample-clip 0.3", "--antithetic false", "--calibrate false"}},
    {TRAIN " --calibrate true --sampler ddim", {"--eta 1"}},
    {TRAIN " --steps 60 --minutes 9", {"--minutes 0.001"}},
};

static const Row same[] = {
    {"forecast" R X, {"--threads 3", "--memory 30M"}},
    {"eval" R X " --stride 31", {"--threads 3", "--memory 30M", "--batch 3"}},
    {"loads" MODEL_LOADS, {"--threads 3", "--memory 30M"}},
    {"whatif" MODEL_LOADS, {"--memory 30M"}},
    {"alarm --rows 3 --learn-rows 20" R X, {"--memory 30M"}},
    {"report --windows 2 --alarm-rows 0 --out @/x.html" R X, {"--memory 30M"}},
    {"estimate --stride 31" MODEL_LOADS, {"--memory 30M"}},
    {TRAIN, {"--threads 3", "--checkpoint-seconds 1e-9"}},
    {GPT2 " --out @/m", {"--threads 3", "--recompute"}},
    {"impute --data %/holes.npz --out @/x.npz --hidden 2 --rounds 2", {"--threads 3"}},
    {"gpt2 encode --tokenizer %/tok %/t.txt", {"--stats"}},
    {"gpt2 decode --tokenizer %/tok %/ids.txt", {"--stats"}},
};

// Why an option has no row.  verb NULL: of every verb; "keys": the keys of a configuration, in verbs beside train.
static const struct { const char *verb, *option, *why; } without[] = {
    {NULL, "help", "prints and ends (area cli)"}, {NULL, "version", "prints and ends (area cli)"},
    {NULL, "device", "cuda (areas device, gpt2_device)"}, {NULL, "math", "cuda (area gpt2_device)"},
    {NULL, "no-graph", "cuda (area graph)"}, {NULL, "manifest", "a file more (area cli_output)"},
    {NULL, "exact", "other kernels, the same numbers within rounding (areas ops, runs)"},
    {NULL, "isa", "other kernels, the same numbers within rounding (areas ops, runs)"},
    {NULL, "threads", "the same bits (area determinism, and the rows of `same`)"},
    {NULL, "out", "the name of what these rows compare"}, {NULL, "data", "the input of these rows"},
    {NULL, "topology", "the input of these rows"}, {NULL, "paths", "the input of these rows"},
    {NULL, "llm", "must hold the model that a run was trained with (area runs); see gpt2 and train"},
    {NULL, "model", "the run of these rows"}, {NULL, "resume", "goes on (areas runs, pretrain, gpt2_train)"},
    {NULL, "allow-other-bits", "goes on (area runs)"}, {NULL, "profile", "times (area cli_output)"},
    {NULL, "checkpoint-seconds", "when it saves; the same bits"},
    {"forecast", "png", "pictures (area picture, cli_output)"}, {"forecast", "report", "a page more (area report)"},
    {"eval", "also", "scores of given forecasts (area cli_output)"},
    {"eval", "also-levels", "scores of given forecasts (area cli_output)"},
    {"eval", "config", "with --origins, minutes (area rolling)"},
    {"eval", "config-file", "with --origins, minutes (area rolling)"},
    {"eval", "runs", "with --origins, minutes (area rolling)"},
    {"whatif", "routing-out", "the routing file (area links_whatif, golden_cli)"},
    {"estimate", "loads", "matrices of measured loads (area links)"},
    {"estimate", "nodes", "with --loads (area links)"}, {"estimate", "prior", "with --loads (area links)"},
    {"check", "report", "area golden"}, {"check", "golden", "area golden"},
    {"gpt2 train", "size", "a model of 124M parameters at least (area gpt2_train)"},
    {"gpt2 generate", "llm-weights", "greedy words may stay; see gpt2 logits"},
    {"train", "update", "area runs"}, {"train", "from", "area pretrain"},
    {"train", "ridge-half-life", "months of data (area rolling)"},
    {"train", "point", "what a forecast takes (area golden)"},
    {"train", "final", "is the default (area train)"}, {"train", "no-final", "in all of these rows (area train)"},
    {"impute", "score", "prints instead of writing: the row with it"},
    {"alarm", "faults", "wants weeks of data (area alarm)"}, {"eval", "origins", "fits anew (area rolling)"},
    {"demo", "days", "minutes"}, {"demo", "windows", "minutes"},
    {"demo", "keys", "the parser and the table of train"}, {"pretrain", "keys", "the parser and the table of train"},
};

// ---- running

typedef struct Bench { TestLog *log; Arena *a; const char *dir; } Bench;

// Copies text without what depends on the clock: "seconds":0.12, dates, and, of a page, how it was made.
static void add_text(FILE *out, const Made *m)
{
    const bool page = ends_in(m->name, ".html");
    const char *p = page ? strstr(m->bytes, "<main") : m->bytes, *end = m->bytes + m->n;
    if (page && strstr(m->bytes, "id=\"manifest\">")) end = strstr(m->bytes, "id=\"manifest\">");
    if (page && strstr(m->bytes, "<h1>")) fprintf(out, "%.60s\n", strstr(m->bytes, "<h1>"));
    static const char seconds[] = "\"seconds\":";
    for (; p && p < end; p++) {
        if (ends_in(m->name, ".jsonl") && !strncmp(p, seconds, sizeof seconds - 1)) p += strcspn(p, ",}");
        fputc(*p, out);
    }
}

// The values of a file of weights; what stands before them holds the date of its manifest.
static void add_values(FILE *out, const Made *m)
{
    uint64_t header = 0;
    if (m->n > sizeof header) memcpy(&header, m->bytes, sizeof header);
    if (header + 8 < m->n) fprintf(out, "%s", sha256_hex_of(m->bytes + 8 + header, m->n - 8 - header).s);
}

// What a command says and writes.
static const char *outcome(const Bench *b, const char *args, int *code)
{
    char *text;
    size_t size;
    Result r = {0};
    TEST(b->log, !system(arena_printf(b->a, "rm -rf %s && mkdir %s", b->dir, b->dir)), "no %s", b->dir);
    const pid_t pid = lead_start(b->log, b->a, arena_printf(b->a, "%s/o.out", b->log->tmp),
                                 arena_printf(b->a, "%s/o.err", b->log->tmp), try_expand(b->log, b->a, b->dir, args));
    *code = try_wait(pid);
    try_collect(&r, b->a, b->dir, "");
    FILE *out = open_memstream(&text, &size);
    const char *said = slurp(b->a, arena_printf(b->a, "%s/o.out", b->log->tmp));
    add_text(out, &(Made){"", said, strlen(said)});
    const char *last = "";
    for (int k = 0; k < r.n; k++) {   // by name
        const Made *next = NULL;
        for (int i = 0; i < r.n; i++)
            if (strcmp(r.made[i].name, last) > 0 && (!next || strcmp(r.made[i].name, next->name) < 0))
                next = &r.made[i];
        if (!next) break;
        last = next->name;
        if (ends_in(last, ".manifest.json") || ends_in(last, "config.json")) continue;
        fprintf(out, "\n== %s\n", last);
        if (strstr(last, ".safetensors")) add_values(out, next);
        else add_text(out, next);
    }
    fclose(out);
    char *kept = arena_alloc(b->a, size + 1);
    for (size_t i = 0; i <= size; i++) kept[i] = text[i] || i == size ? text[i] : '\1';
    free(text);
    return kept;
}

static void try_row(const Bench *b, const Row *row, bool want_same)
{
    int code, with;
    const char *plain = outcome(b, row->args, &code);
    TEST(b->log, code == 0 || code == 3, "lead %s: exit %d, %s", row->args, code,
         slurp(b->a, arena_printf(b->a, "%s/o.err", b->log->tmp)));
    for (int i = 0; i < MOST && row->option[i]; i++) {
        const size_t mark = arena_mark(b->a);
        const char *changed = outcome(b, arena_printf(b->a, "%s %s", row->args, row->option[i]), &with);
        TEST(b->log, with == 0 || with == 3, "lead %s %s: exit %d, %s", row->args, row->option[i], with,
             slurp(b->a, arena_printf(b->a, "%s/o.err", b->log->tmp)));
        TEST(b->log, (strcmp(plain, changed) == 0) == want_same, "lead %s: %s with %s", row->args,
             want_same ? "something else" : "nothing changes", row->option[i]);
        arena_rewind(b->a, mark);
    }
}

static void try_rows(const Bench *b, const Row *row, size_t n, bool want_same)
{
    for (size_t i = 0; i < n; i++) {
        const size_t mark = arena_mark(b->a);
        if (!b->log->quick || i % 7 == 0) try_row(b, &row[i], want_same);
        arena_rewind(b->a, mark);
    }
}

// ---- every option has a row

// Whether "--name" is a word of text.
static bool names(const char *text, const char *name)
{
    const size_t n = strlen(name);
    for (const char *p = text; p && (p = strstr(p, "--")); p += 2)
        if (!strncmp(p + 2, name, n) && !strchr("-abcdefghijklmnopqrstuvwxyz0123456789", p[2 + n] ? p[2 + n] : ' '))
            return true;
    return false;
}

static bool of_verb(const char *args, const char *verb)
{
    return !strncmp(args, verb, strlen(verb)) && args[strlen(verb)] == ' ';
}

static bool in_rows(const Row *row, size_t n, const char *verb, const char *name)
{
    for (size_t i = 0; i < n; i++)
        for (int k = 0; of_verb(row[i].args, verb) && k < MOST && row[i].option[k]; k++)
            if (names(row[i].option[k], name)) return true;
    return false;
}

// "$ VERB .." and below it "$ .. --option".
static bool in_golden(const char *golden, const char *verb, const char *name, Arena *a)
{
    bool mine = false;
    for (const char *p = golden; *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : p + strlen(p)) {
        if (strncmp(p, "$ ", 2)) continue;
        const char *line = arena_printf(a, "%.*s", (int)strcspn(p + 2, "\n"), p + 2);
        if (strncmp(line, "..", 2)) mine = of_verb(line, verb);
        else if (mine && names(line, name)) return true;
    }
    return false;
}

static bool is_without(const char *verb, const char *name, bool key)
{
    for (size_t i = 0; i < sizeof without / sizeof *without; i++)
        if ((!without[i].verb || !strcmp(without[i].verb, verb)) &&
            (!strcmp(without[i].option, name) || (key && !strcmp(without[i].option, "keys"))))
            return true;
    return false;
}

#define ALL(list) list, sizeof list / sizeof *list
static bool has_row(const char *golden, const char *verb, const char *name, bool key, Arena *a)
{
    bool reads = false;
    for (size_t i = 0; i < sizeof data_verbs / sizeof *data_verbs; i++) reads |= !strcmp(data_verbs[i], verb);
    static const char *const shown[] = {"data export", "data info", "forecast"};
    for (int i = 0; reads && i < 3; i++)
        if (in_rows(ALL(data_options), shown[i], name)) return true;
    return in_rows(ALL(data_options), verb, name) || in_rows(ALL(differs), verb, name) ||
           in_rows(ALL(same), verb, name) || is_without(verb, name, key) || in_golden(golden, verb, name, a);
}

static void check_verb(const Bench *b, const char *golden, const char *verb, int *options)
{
    const Ran help = lead_run(b->log, b->a, "%s --help", verb);
    bool key = false, listed = false;
    for (const char *p = help.out; *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : p + strlen(p)) {
        listed |= !strncmp(p, "options:", 8);
        key |= !strncmp(p, "configuration", 13);
        if (!listed || strncmp(p, "  --", 4)) continue;
        const char *name = arena_printf(b->a, "%.*s", (int)strcspn(p + 4, " \n"), p + 4);
        TEST(b->log, has_row(golden, verb, name, key, b->a), "lead %s --%s: no row says what it changes", verb, name);
        ++*options;
    }
}

static void check_all_options(const Bench *b)
{
    const char *golden = slurp(b->a, "tests/golden/cli.txt");
    const Ran help = lead_run(b->log, b->a, "--help");
    int options = 0;
    TEST(b->log, *golden, "no tests/golden/cli.txt");
    for (const char *p = help.out; *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : p + strlen(p)) {
        const char *end = strstr(p + 2, "  ");
        if (strncmp(p, "  ", 2) || !end) continue;
        check_verb(b, golden, arena_printf(b->a, "%.*s", (int)(end - p - 2), p + 2), &options);
    }
    TEST(b->log, options > 700, "%d options found", options);
}

// ---- files of these rows

static void put_long(const Bench *b)
{
    char *text;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    fprintf(f, "time,source,destination,bytes\n");
    for (int t = 0; t < 60; t++)
        for (int i = 0; i < 9; i++)
            if ((t + i) % 4)
                fprintf(f, "2024-01-01 %02d:%02d,r%d,r%d,%d\n", t / 12, t % 12 * 5, i / 3, i % 3,
                        1000 * (i + 1) + t * i);
    fclose(f);
    try_put(b->log, b->a, "long.csv", text);
    free(text);
}

// Days of an hourly series; factor times as much in row `at`; the rows [from, to) are not there.
static void put_days(const Bench *b, const char *name, int at, double factor, int from, int to)
{
    char *text;
    size_t n;
    FILE *f = open_memstream(&text, &n);
    fprintf(f, "time,0,1,2,3\n");
    for (int t = 0; t < 20 * 24; t++)
        if (t < from || t >= to) {
            const double x = (t == at ? factor : 1) * (10 + t % 24 + t % 7);
            fprintf(f, "2024-01-%02d %02d:00,%g,%g,%g,%g\n", 1 + t / 24, t % 24, x, 2 * x, 3 * x, 4 * x + t % 5);
        }
    fclose(f);
    try_put(b->log, b->a, name, text);
    free(text);
}

static void make_files(const Bench *b)
{
    char *text;
    size_t n;
    try_world(b->log, b->a);
    put_long(b);
    put_days(b, "spiked.csv", 300, 2000, 0, 0);
    put_days(b, "dubious.csv", 300, 30, 0, 0);
    put_days(b, "gap.csv", 0, 1, 200, 210);
    try_put(b->log, b->a, "map.txt", "r0 a\nr1 b\nr2 b\n");
    try_put(b->log, b->a, "keys.json", "{\"batch\": 2, \"tokens\": 2}\n");
    try_put(b->log, b->a, "ids.txt", "257 258 259 97 98\n");
    FILE *f = open_memstream(&text, &n);
    for (int t = 0; t < 320; t++) fprintf(f, "%d\n", 1706745600 + t * 10800);
    fclose(f);
    try_put(b->log, b->a, "shifted.txt", text);
    free(text);
    TEST(b->log, !system(arena_printf(b->a, "cp %s/d/x.npy %s/bare.npy", b->log->tmp, b->log->tmp)), "no copy");
    try_need(b->log, b->a, "whatif --optimise" LOADS " --routing-out %/routing.npy");
    try_need(b->log, b->a, "gpt2 bpe-train --data %/net.csv --vocab 270 --out %/tok2");
    try_need(b->log, b->a, "gpt2 train --data %/t.txt --layers 1 --width 8 --heads 1 --positions 16 --batch 1 "
                           "--context 8 --tokenizer %/tok --steps 1 --seed 2 --out %/gpt2b");
    try_need(b->log, b->a, "gpt2 train --data %/t.txt --llm %/gpt2 --lora 2 --steps 2 --batch 1 --context 8 --lr 0.1 "
                           "--seed 2 --out %/lorab");
}

void test_options(TestLog *log)
{
    Bench bench = {.log = log, .a = arena_new("options", (size_t)4 << 30, NULL)}, *b = &bench;
    CHECK(b->a, "no address space");
    setenv("OMP_WAIT_POLICY", "passive", 1);
    b->dir = arena_printf(b->a, "%s/o", log->tmp);
    check_all_options(b);
    make_files(b);
    try_rows(b, ALL(data_options), false);
    try_rows(b, ALL(differs), false);
    try_rows(b, ALL(same), true);
    arena_delete(b->a);
}
