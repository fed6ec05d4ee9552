// Every option seen to change what the program says: a table of commands, and for each the options that are given to it
// one by one.  What the command then prints must differ from what it prints without the option, and all of it agrees
// with tests/golden/cli.txt.  One thread, plain kernels.
#include <sys/stat.h>

#include "golden.h"
#include "io/file.h"
#include "io/sha256.h"
#include "run_lead.h"

static const double RELATIVE = 2e-5, ABSOLUTE = 1e-9;   // by which numbers may differ; most are printed with 6 digits
enum { MOST_OPTIONS = 24 };

typedef struct Bench { TestLog *log; Golden g; Arena *a; } Bench;

// A command; `shows` is a file that it writes and that is shown after what it prints.  %: the directory of the test.
typedef struct Command { const char *args, *shows, *option[MOST_OPTIONS]; } Command;

static const Command data_commands[] = {
    {"data synth --out %/synth/x.npy --nodes 3 --days 2 --slot-seconds 7200", "synth/x.npy",
     {"--nodes 4", "--days 1", "--slot-seconds 3600", "--seed 2", "--mean-kbps 100"}},
    {"data export --data %/d/x.npy --row 700 --out %/e.csv", "e.csv",
     {"--count 2", "--format long", "--format repetita", "--format hist", "--unit Mbit/s", "--format paragon"}},
    {"forecast --data %/d/x.npy --model ridge --horizon 2 --flow 0:1,2:2", NULL,
     {"--row 600", "--quantiles 0.1,0.9", "--flow 3:0", "--format csv-wide", "--format nixtla", "--format jsonl",
      "--format nixtla-wide", "--format csv-wide --value q0.9", "--horizon 3", "--model persistence",
      "--model yesterday", "--model lastweek", "--model average", "--model mean", "--model ets", "--model ridge-scale",
      "--gaps 400", "--invalid 300-340", "--slot 2h", "--slot 2h --aggregate max", "--unit Mbit/s"}},
    {"forecast --data %/d/x.npy --model mean --horizon 2 --flow 0:1", NULL, {"--calendar-shift 7200"}},
    {"forecast --data %/d/x.npy --model ridge --horizon 2 --aggregate origins,destinations,total", NULL,
     {"--samples 20", "--seed 7", "--aggregate total"}},
    {"forecast --data %/d/x.npy --model ridge --horizon 2 --format repetita", NULL,
     {"--step 2", "--value q0.95", "--format trafficload", "--format paragon", "--format hist",
      "--format hist --value paths --samples 3"}},
    {"eval --data %/d/x.npy --naive-only --stride 5", NULL,
     {"--horizon 3", "--split val", "--stride 9", "--details", "--protocol rolling", "--protocol flow-by-flow",
      "--origins 50,60"}},
    {"eval --data %/d/x.npy --naive-only --stride 5 --protocol rolling", NULL, {"--half-life 40", "--half-life 0"}},
    {"eval --data %/d/x.npy --windows-out %/w.tsv", "w.tsv", {"--stride 40", "--split val"}},
    {"alarm --data %/d/x.npy --model ridge --rows 40 --rate 0.1 --learn-rows 60 --limits %/limits.json", "limits.json",
     {"--rows 20"}},
    {"alarm --data %/d/x.npy --model ridge --rows 40 --rate 0.1 --learn-rows 60", NULL,
     {"--rate 0.3", "--learn-rows 30", "--model persistence", "--model yesterday"}},
};

#define LOADS "--topology %/net.csv --paths %/p.npy"
static const Command link_commands[] = {
    {"forecast --data %/d/x.npy --model ridge --horizon 3 --samples 12 --paths %/p.npy --aggregate total", NULL,
     {NULL}},
    {"loads " LOADS, NULL,
     {"--quantiles 0.5", "--above 1,5", "--format csv", "--format json", "--weights hops", "--weights inverse",
      "--horizon 1", "--capacity-unit Gbps", "--data %/d/x.npy", "--data %/d/x.npy --row 600"}},
    {"whatif " LOADS, NULL,
     {"--fail all-links", "--fail all-nodes", "--fail all-groups", "--fail 0-1", "--fail 2", "--fail duct",
      "--fail 0-1+2-3", "--grow 2", "--move 0:3:0.5", "--format csv", "--format jsonl", "--quantiles 0.5", "--above 2",
      "--horizon 1", "--optimise", "--weights inverse"}},
    {"whatif --optimise " LOADS " --routing-out %/r.npy", NULL, {"--grow 3"}},
    {"loads " LOADS, NULL, {"--routing %/r.npy"}},
    {"estimate --topology %/net.csv --data %/d/x.npy --stride 23", NULL,
     {"--stride 9", "--split test", "--weights hops"}},
    {"estimate --topology %/net.csv --data %/d/x.npy --stride 23 --model ridge --lag 1", NULL,
     {"--lag 3", "--samples 8", "--model persistence"}},
    {"eval --data %/d/x.npy --naive-only --stride 31", NULL, {"--topology %/net.csv"}},
};

#define MODEL "--llm %/m --text traffic --n 12"
static const Command gpt2_commands[] = {
    {"gpt2 corpus --out %/c.txt --documents 8", "c.txt", {"--documents 2", "--seed 2", "--held-out"}},
    {"gpt2 corpus --out %/c.txt --documents 30", NULL, {NULL}},
    {"gpt2 bpe-train --data %/c.txt --out %/tok --vocab 300", "tok/merges.txt", {"--vocab 290"}},
    {"gpt2 bpe-train --data %/c.txt --out %/tok --vocab 300", NULL, {NULL}},
    {"gpt2 train --data %/c.txt --layers 1 --width 8 --heads 2 --positions 16 --tokenizer %/tok --steps 6 --batch 2 "
     "--val-every 2 --val-windows 3 --lr 0.02 --out %/m", "m/log.jsonl",
     {"--layers 2", "--width 12", "--heads 4", "--positions 32", "--vocab 310", "--steps 5", "--batch 3", "--context 8",
      "--accumulate 2", "--lr 0.01", "--warmup 3", "--floor 0.9", "--beta1 0.5", "--beta2 0.8", "--decay 9",
      "--clip 0.01", "--dropout 0.5", "--attention-dropout 0.5", "--in-order", "--seed 2", "--val-every 3",
      "--val-windows 2", "--val-share 0.5", "--stop-after 2"}},
    {"gpt2 train --data %/c.txt --layers 1 --width 8 --heads 2 --positions 16 --tokenizer %/tok --steps 6 --batch 2 "
     "--val-every 0 --lr 0.02 --out %/m2", "m2/log.jsonl", {"--val %/tok/vocab.json", "--val-every 1"}},
    {"gpt2 train --data %/c.txt --layers 1 --width 8 --heads 2 --positions 16 --steps 6 --batch 2 --stop-after 2 "
     "--out %/st",
     NULL, {NULL}},
    {"gpt2 train --data %/c.txt --layers 1 --width 8 --heads 2 --positions 16 --steps 6 --batch 2 --stop-after 2 "
     "--out %/st --resume", "st/log.jsonl", {NULL}},
    {"gpt2 train --data %/c.txt --llm %/m --lora 2 --steps 4 --batch 2 --lr 0.05 --out %/l", "l/log.jsonl",
     {"--lora 3", "--lora-alpha 2", "--lora-targets all", "--lora-targets c_attn,mlp.c_proj", "--adapters 3"}},
    {"gpt2 train --data %/c.txt --llm %/m --adapters 3 --steps 4 --batch 2 --lr 0.05 --out %/ad", "ad/log.jsonl",
     {"--adapters 4"}},
    {"gpt2 logits --llm %/m --text traffic --top 3", NULL,
     {"--text node", "--top 4", "--adapter %/l", "--adapter %/ad", "--top 0"}},
    {"gpt2 generate " MODEL, NULL,
     {"--n 20", "--temperature 1", "--text node", "--beams 3", "--samples 2", "--adapter %/ad"}},
    {"gpt2 generate --llm %/m --tokens 3,4 --n 12", NULL, {"--adapter %/l --n 9"}},
    {"gpt2 generate " MODEL " --temperature 1", NULL, {"--seed 2", "--top-k 2", "--top-p 0.3", "--samples 3"}},
    {"gpt2 generate " MODEL " --beams 4", NULL, {"--length-penalty -3", "--length-penalty 0"}},
    {"gpt2 eval %/c.txt --llm %/m", NULL, {"--context 8", "--stride 3", "--adapter %/l"}},
    {"gpt2 merge --llm %/m --adapter %/l --out %/merged", NULL, {NULL}},
    {"gpt2 eval %/c.txt --llm %/merged", NULL, {NULL}},
    {"gpt2 encode --tokenizer %/tok %/net.csv", NULL, {NULL}},
};

#define RUN "--data %/d/x.npy --model %/run"
static const Command run_commands[] = {
    {"train --config tiny --llm %/m --steps 4 --data %/d/x.npy --out %/run", "run/log.jsonl",
     {"--no-final", "--calibrate false", "--point samples --antithetic false --samples 3"}},
    {"train --config tiny --llm %/m --no-final --calibrate false --steps 4 --data %/d/x.npy --out %/part",
     "part/log.jsonl",
     {"--batch 3", "--steps 5", "--lr 0.01", "--seed 2", "--history 5", "--horizon 3", "--scale log", "--encoding grey",
      "--prediction x0", "--conditions global", "--llm-kind attention", "--dropout 0.5", "--clip 0.001",
      "--cond-drop 0.9", "--adapter-width 8", "--lora-rank 2", "--vision linear", "--unet-base 12", "--schedule linear",
      "--config-file %/keys.json"}},
    {"train --out %/run --resume", NULL, {NULL}},
    {"train --data %/long/x.npy --update %/run --out %/updated", "updated/log.jsonl", {"--steps 3"}},
    {"eval " RUN " --stride 31", NULL,
     {"--split val", "--samples 2", "--sample-steps 2", "--guidance 1.5", "--details", "--stride 37", "--horizon 4",
      "--topology %/net.csv"}},
    {"forecast " RUN " --flow 0:1,1:2", NULL,
     {"--row 600", "--seed 3", "--samples 6", "--sample-steps 1", "--guidance 2", "--horizon 1", "--aggregate total"}},
    {"alarm " RUN " --rows 10 --learn-rows 20 --rate 0.2", NULL, {"--rows 15", "--samples 6"}},
};

// ---- what is said

static const char *in_directory(const Bench *b, const char *text)
{
    char *out = arena_zalloc(b->a, strlen(text) + 16 * strlen(b->log->tmp) + 1), *to = out;
    for (; *text; text++)
        if (*text == '%') to = stpcpy(to, b->log->tmp);
        else *to++ = *text;
    return out;
}

// Whether a line depends on the clock, or on the machine.
static bool is_of_now(const char *line, size_t n)
{
    static const char *const word[] = {"ETA", "tokens/s", "MB/s", " in 0.", " in 1.", "GFLOP"};
    for (size_t i = 0; i < sizeof word / sizeof *word; i++)
        if (memmem(line, n, word[i], strlen(word[i]))) return true;
    return false;
}

// Appends the lines of a text, with % for the directory, without seconds, and words where JSON has none.
static void add_text(const Bench *b, FILE *out, const char *text)
{
    const size_t dir = strlen(b->log->tmp);
    for (size_t n; *text; text += n + (text[n] == '\n')) {
        n = strcspn(text, "\n");
        if (is_of_now(text, n)) continue;
        for (size_t i = 0; i < n; i++) {
            static const char seconds[] = "\"seconds\":";
            if (!strncmp(text + i, b->log->tmp, dir)) {
                fputc('%', out);
                i += dir - 1;
            } else if (!strncmp(text + i, seconds, sizeof seconds - 1)) {
                i += sizeof seconds - 2;
                while (i + 1 < n && !strchr(",}", text[i + 1])) i++;
            } else fputc(strchr("\":{}[]", text[i]) ? ' ' : text[i], out);
        }
        fputc('\n', out);
    }
}

// Runs a command and returns what it said.
static const char *said(const Bench *b, const char *args, const char *shows)
{
    char *text;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    const Ran r = lead_run(b->log, b->a, "%s --threads 1 --isa scalar", in_directory(b, args));
    fprintf(out, "exit %d\n", r.code);
    add_text(b, out, r.out);
    fprintf(out, "stderr\n");
    add_text(b, out, r.err);
    const char *at = shows ? arena_printf(b->a, "%s/%s", b->log->tmp, shows) : NULL;
    if (shows && strstr(shows, ".npy")) {
        FileMap m;
        const Status s = file_map(&m, at);
        fprintf(out, "%s\n", s.code ? "no file" : sha256_hex_of(m.data, m.size).s);
        file_unmap(&m);
    } else if (shows) add_text(b, out, slurp(b->a, at));
    fclose(out);
    const char *kept = arena_printf(b->a, "%s", text);
    free(text);
    return kept;
}

// A run of its own directory for each option of a training: --out DIR.N, shown from there.
static const char *with_option(const Bench *b, const Command *c, int i)
{
    const char *out = strstr(c->args, "--out %/"), *shows = c->shows, *args = c->args;
    const bool directory = out && shows && strchr(shows, '/') && !strstr(args, ".npy --nodes") && !strstr(args, "bpe-");
    if (directory) {
        args = arena_printf(b->a, "%s.%d", c->args, i);
        shows = arena_printf(b->a, "%.*s.%d%s", (int)strcspn(shows, "/"), shows, i, strchr(shows, '/'));
    }
    return said(b, arena_printf(b->a, "%s %s", args, c->option[i]), shows);
}

// Of a long text the beginning and some lines of the rest: tests/golden/cli.txt is to be read.
static void put_some(Bench *b, const char *text)
{
    enum { BEGINNING = 16, EACH = 17 };
    for (int line = 0; *text; line++) {
        const size_t n = strcspn(text, "\n");
        if (!strncmp(text, "stderr\n", 7)) line = 0;
        if (line < BEGINNING || line % EACH == 0) golden_put(&b->g, "%.*s\n", (int)n, text);
        text += n + (text[n] == '\n');
    }
}

static void put_command(Bench *b, const Command *c)
{
    const char *plain = said(b, c->args, c->shows);
    golden_put(&b->g, "$ %s\n", c->args);
    put_some(b, plain);
    TEST(b->log, !strncmp(plain, "exit 0", 6) || !strncmp(plain, "exit 3", 6), "lead %s: %s", c->args, plain);
    for (int i = 0; i < MOST_OPTIONS && c->option[i]; i++) {
        const char *text = with_option(b, c, i);
        golden_put(&b->g, "$ .. %s\n", c->option[i]);
        put_some(b, text);
        TEST(b->log, strcmp(text, plain) != 0, "lead %s: says the same with %s", c->args, c->option[i]);
        TEST(b->log, !strncmp(text, "exit 0", 6) || !strncmp(text, "exit 3", 6), "lead %s %s: %s", c->args,
             c->option[i], text);
    }
}

static bool put_commands(Bench *b, const Command *c, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const size_t mark = arena_mark(b->a);
        put_command(b, &c[i]);
        arena_rewind(b->a, mark);
        if (golden_in_vain(&b->g, "cli", RELATIVE, ABSOLUTE)) return false;
    }
    return true;
}

static void put_file(const Bench *b, const char *name, const char *text)
{
    FILE *f = fopen(arena_printf(b->a, "%s/%s", b->log->tmp, name), "w");
    CHECK(f && fputs(text, f) >= 0 && fclose(f) == 0, "%s: cannot be written", name);
}

void test_golden_cli(TestLog *log)
{
    Bench b = {.log = log, .a = arena_new("golden", (size_t)1 << 30, NULL)};
#define ALL(list) list, sizeof list / sizeof *list
    put_file(&b, "net.csv", "node_a,node_b,capacity_mbps,weight,group\n0,1,900,1,duct\n1,2,400,2,duct\n2,3,900,1,\n"
                            "3,0,300,2,\n0,2,500,3,\n");
    static const char *const directory[] = {"d", "long", "synth"};
    for (int i = 0; i < 3; i++) CHECK(!mkdir(arena_printf(b.a, "%s/%s", log->tmp, directory[i]), 0777), "no directory");
    put_file(&b, "keys.json", "{\"batch\": 2, \"tokens\": 2}\n");
    golden_begin(&b.g);
    for (int i = 0; i < 2; i++) {
        const char *make = i ? "data synth --out %/long/x.npy --nodes 4 --days 36 --slot-seconds 3600 --seed 4"
                             : "data synth --out %/d/x.npy --nodes 4 --days 30 --slot-seconds 3600 --seed 4";
        TEST(log, !strncmp(said(&b, make, NULL), "exit 0", 6), "no data");
    }
    const bool all = put_commands(&b, ALL(data_commands)) && put_commands(&b, ALL(link_commands)) &&
                     put_commands(&b, ALL(gpt2_commands)) && put_commands(&b, ALL(run_commands));
    TEST(log, all, "the rest was left out");
    golden_end(log, &b.g, "cli", RELATIVE, ABSOLUTE);
    arena_delete(b.a);
}
