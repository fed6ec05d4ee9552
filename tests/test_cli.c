// The command line: help, usage errors, bad input of every kind (one line on stderr, exit 1 or 2, nothing
// half-written), and the output of forecast, eval, data info and gpt2.
#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "io/npy.h"
#include "lead_world.h"
#include "published.h"
#include "run_lead.h"
#include "traffic/csv.h"
#include "traffic/series_export.h"

typedef struct Cli { TestLog *log; Arena *a; const char *llm, *data, *run; } Cli;

#define PATH(name) arena_printf(c->a, "%s/%s", c->log->tmp, name)

static int count_lines(const char *text, const char *start)
{
    int n = 0;
    for (const char *p = text; *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : p + strlen(p))
        n += strncmp(p, start, strlen(start)) == 0;
    return n;
}

// Exit `code`, nothing on stdout, one line on stderr that begins "lead: " and holds `want`.  info: when the data
// themselves are fine, `FILE: 320 snapshots ..` and indented lines about how they were read may come before it.
static void expect_refusal(const Cli *c, Ran r, int code, const char *want, bool info, const char *args)
{
    TEST(c->log, r.code == code, "lead %s: exit %d, want %d: %s", args, r.code, code, r.err);
    const int lines = count_lines(r.err, "") - (info ? count_lines(r.err, "  ") : 0);
    const int errors = count_lines(r.err, "lead: ");
    TEST(c->log, !strstr(r.err, "lead: lead"), "lead %s: a name said twice: '%s'", args, r.err);
    TEST(c->log, errors == 1 && (lines == 1 || (info && lines == 2 && strstr(r.err, "snapshots"))),
         "lead %s: want one line on stderr, got '%s'", args, r.err);
    TEST(c->log, strstr(r.err, want) != NULL, "lead %s: want '%s' in '%s'", args, want, r.err);
    TEST(c->log, !*r.out, "lead %s: printed '%.80s'", args, r.out);
}

static void refused(const Cli *c, int code, const char *want, const char *args)
{
    expect_refusal(c, lead_run(c->log, c->a, "%s", args), code, want, false, args);
}
static void refused_later(const Cli *c, const char *want, const char *args)
{
    expect_refusal(c, lead_run(c->log, c->a, "%s", args), 1, want, true, args);
}

static void put_file(const Cli *c, const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    TEST(c->log, f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0, "cannot write %s", path);
}

static bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

// ---- help and usage

static const struct { const char *verb, *options; } verbs[] = {
#define DATA "data times gaps invalid slot-seconds slot aggregate fill unit tz calendar-shift columns sampling map " \
             "absent " \
             "capacity drop-suspicious keep-all "
    {"demo", "out days windows config unet-base"},
    {"data info", DATA},
    {"data import", DATA "out"},
    {"data export", DATA "out format row count"},
    {"data synth", "out nodes days slot-seconds mean-kbps seed"},
    {"data render", DATA "out row count"},
    {"train", DATA "out resume update from final no-final profile checkpoint-seconds config config-file history "
                   "horizon encoding llm adapter-width lr steps minutes patience seed guidance"},
    {"pretrain", "out networks steps-each resume checkpoint-seconds config"},
    {"distill", DATA "model llm to teacher-steps steps tune-steps batch learning-rate no-final out"},
    {"forecast", DATA "model llm horizon samples sampler sample-steps guidance memory seed quantiles row flow out png "
                 "report paths aggregate format value"},
    {"loads", DATA "model paths topology routing weights capacity-unit horizon row quantiles above format out report"},
    {"whatif", DATA "model paths topology weights fail grow move optimise routing-out above format out"},
    {"eval", DATA "model llm naive-only protocol split stride samples sampler sample-steps guidance batch details out "
                  "png report also also-levels windows-out origins config config-file runs"},
    {"estimate", DATA "topology routing loads prior out split stride"},
    {"impute", DATA "out method quantiles rows hidden rounds window score percent seed"},
    {"alarm", DATA "model rows rate limits learn-rows faults"},
    {"report", DATA "model topology routing weights capacity-unit horizon row samples above fail windows split "
               "alarm-rows learn-rows rate limits title out"},
    {"gpt2 logits", "llm tokens text tokenizer adapter top"},
    {"gpt2 generate", "llm adapter tokens text tokenizer n temperature top-k top-p samples beams length-penalty seed"},
    {"gpt2 eval", "llm adapter tokenizer context stride"},
    {"gpt2 encode", "tokenizer stats"},
    {"gpt2 decode", "tokenizer stats"},
    {"gpt2 verify", ""},
    {"gpt2 convert", "dtype"},
    {"gpt2 train", "data out val llm size tokenizer lora adapters steps batch accumulate lr dropout recompute seed "
                   "resume stop-after profile"},
    {"gpt2 merge", "llm adapter out"},
    {"gpt2 bpe-train", "data out vocab"},
    {"gpt2 corpus", "out documents seed held-out"},
    {"check", "op full golden report"},
    {"ops", ""},
    {"info", ""},
#undef DATA
};

static void check_help(const Cli *c)
{
    const Ran all = lead_run(c->log, c->a, "--help");
    const int n = (int)(sizeof verbs / sizeof *verbs);
    TEST(c->log, all.code == 0 && !*all.err && count_lines(all.out, "  ") == n, "lead --help lists %d verbs, want %d",
         count_lines(all.out, "  "), n);
    for (int i = 0; i < n; i++) {
        TEST(c->log, strstr(all.out, arena_printf(c->a, "\n  %s ", verbs[i].verb)), "lead --help does not list %s",
             verbs[i].verb);
        const Ran r = lead_run(c->log, c->a, "%s --help", verbs[i].verb);
        TEST(c->log, r.code == 0 && !*r.err && strstr(r.out, arena_printf(c->a, "usage: lead %s", verbs[i].verb)),
             "lead %s --help: exit %d", verbs[i].verb, r.code);
        char *list = arena_printf(c->a, "%s help threads isa", verbs[i].options);
        for (char *save, *o = strtok_r(list, " ", &save); o; o = strtok_r(NULL, " ", &save))
            TEST(c->log, strstr(r.out, arena_printf(c->a, "\n  --%s ", o)), "lead %s --help does not list --%s",
                 verbs[i].verb, o);
    }
    // wherever it stands, also where a value is wanted and beside what is wrong
    static const char *const asks[] = {"-h", "help", "train -h", "train --out x -h", "train --out -h",
                                       "train -h --bogus 3",
                                       "train x y -h", "help train", "data info -h", "data -h", "data --help",
                                       "help data", "gpt2 train --lr x --help"};
    for (size_t i = 0; i < sizeof asks / sizeof *asks; i++) {
        const Ran r = lead_run(c->log, c->a, "%s", asks[i]);
        TEST(c->log, r.code == 0 && !*r.err && strstr(r.out, "  "), "lead %s: exit %d, %s", asks[i], r.code, r.err);
    }
    static const char *const version[] = {"--version", "-V", "train --version", "data info --version"};
    for (size_t i = 0; i < sizeof version / sizeof *version; i++) {
        const Ran r = lead_run(c->log, c->a, "%s", version[i]);
        TEST(c->log, r.code == 0 && !*r.err && !strncmp(r.out, "lead 0", 6) && strstr(r.out, "commit") &&
             count_lines(r.out, "") == 1, "lead %s: exit %d, '%s'", version[i], r.code, r.out);
    }
    const Ran group = lead_run(c->log, c->a, "data");
    TEST(c->log, group.code == 2 && !*group.out && strstr(group.err, "data import") &&
         strstr(group.err, "\nlead: data: "), "lead data: exit %d, %s", group.code, group.err);
    const Ran none = lead_run(c->log, c->a, " ");
    TEST(c->log, none.code == 2 && !*none.out && strstr(none.err, "usage"), "lead without a verb: exit %d", none.code);
}

static void check_usage(const Cli *c)
{
    static const struct { const char *args, *want; } bad[] = {
        {"frobnicate", "frobnicate"},
        {"data frobnicate", "data frobnicate"},
        {"eval --frobnicate 3", "--frobnicate"},
        {"train --unet-bass 3", "--unet-bass"},
        {"train", "--out"},
        {"train --out x", "--data"},
        {"train --config huge", "huge"},
        {"train --config tiny --unet-base x", "unet_base"},
        {"train --config tiny --unet-base 4.5", "unet_base"},
        {"train --lr nan", "lr"},
        {"train --target levels", "levels"},
        {"train --steps", "--steps"},
        {"train --resume=yes", "takes no value"},
        {"train --out x --final --no-final", "--final"},
        {"train --out x --resume --update y", "--update"},
        {"train --patience -1", "patience"},
        {"forecast --model ridge", "--data"},
        {"forecast --model ridge --data x --samples 4", "--samples"},
        {"forecast --model lastweek --data x --png y", "--png"},
        {"forecast --model average --data x --guidance 1", "--guidance"},
        {"train --pixel-condition 1", "pixel_condition"},
        {"forecast", "--data"},
        {"eval --naive-only", "--data"},
        {"eval --naive-only --data x --config tiny", "--origins"},
        {"eval --naive-only --data x --origins 50 --split val", "--origins"},
        {"eval --threads 0 --naive-only --data x", "--threads"},
        {"ops --isa mmx", "mmx"},
        {"ops extra", "extra"},
        {"--version extra", "extra"},
        {"help nothing", "nothing"},
        {"nothing -h", "nothing"},
        {"data info a b", "'b'"},
        {"data info a --data b", "got both"},
        {"train x", "'x'"},
        {"info a b", "'b'"},
        {"data synth", "--out"},
        {"data synth --nodes 1 --out x.npy", "--nodes"},
        {"data synth --nodes 1e99 --out x.npy", "--nodes"},
        {"gpt2 logits", "--tokens"},
        {"gpt2 logits --tokens 1,x", "1,x"},
        {"gpt2 generate --n 0 --tokens 1", "--n"},
        {"data info --gaps 1,b --data x", "--gaps"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) refused(c, 2, bad[i].want, bad[i].args);
    const char *file = PATH("config.json");
    static const struct { const char *json, *want; int code; } config[] = {
        {"{\"unet_bases\": 8}", "unet_bases", 2}, {"{\"unet_base\": 1e9}", "unet_base", 2},
        {"{\"unet_base\": 8", "config.json", 1},  {"[]", "config.json", 2},
        {"{\"unet_base\": [8]}", "unet_base", 2}, {"{\"lr\": 1, \"lr\": 2}", "lr", 1}};
    for (size_t i = 0; i < sizeof config / sizeof *config; i++) {
        put_file(c, file, config[i].json, strlen(config[i].json));
        refused(c, config[i].code, config[i].want, arena_printf(c->a, "train --out x --data x --config-file %s", file));
    }
    refused(c, 1, "nothing.json", "train --out x --data x --config-file nothing.json");
}

// ---- bad traffic

// An .npy of this shape text and n floats; claims: length of the header as written, 0 = the truth.
static const char *npy(const Cli *c, const char *name, const char *shape, const float *x, size_t n, size_t claims)
{
    char head[128];
    const int len = snprintf(head, sizeof head, "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }\n", shape);
    const size_t said = claims ? claims : (size_t)len;
    char *all = arena_alloc(c->a, 10 + (size_t)len + n * sizeof *x);
    memcpy(all, "\x93NUMPY\x01\x00", 8);
    all[8] = (char)said;
    all[9] = (char)(said >> 8);
    memcpy(all + 10, head, (size_t)len);
    memcpy(all + 10 + len, x, n * sizeof *x);
    put_file(c, PATH(name), all, 10 + (size_t)len + n * sizeof *x);
    return PATH(name);
}

static void check_data(const Cli *c)
{
    enum { T = 400, F = 16 };
    float *x = arena_alloc(c->a, T * F * sizeof *x), *zero = arena_zalloc(c->a, T * F * sizeof *zero);
    for (int i = 0; i < T * F; i++) x[i] = (float)(1000 + i * 37 % 511);
    const struct { const char *file, *want; } bad[] = {
        {PATH("missing.npy"), "No such file"},
        {npy(c, "truncated.npy", "400, 4, 4", x, T * F - 3, 0), "truncated.npy"},
        {npy(c, "header.npy", "400, 4, 4", x, T * F, 60000), "header.npy"},
        {npy(c, "shape.npy", "400, 15", x, T * 15, 0), "shape.npy"},
        {npy(c, "flat.npy", "6400", x, T * F, 0), "flat.npy"},
        {npy(c, "square.npy", "400, 2, 8", x, T * F, 0), "square.npy"},
        {npy(c, "huge.npy", "1152921504606846976, 4, 4", x, F, 0), "huge.npy"},
        {npy(c, "row.npy", "1, 4, 4", x, F, 0), "row.npy"},
        {npy(c, "node.npy", "400, 1, 1", x, T, 0), "node"},
        {npy(c, "empty.npy", "0, 4, 4", x, 0, 0), "empty.npy"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        refused(c, 1, bad[i].want, arena_printf(c->a, "data info %s", bad[i].file));
        refused(c, 1, bad[i].want, arena_printf(c->a, "eval --naive-only --data %s", bad[i].file));
        refused(c, 1, bad[i].want,
                arena_printf(c->a, "train --config tiny --data %s --out %s", bad[i].file, PATH("refused")));
    }
    static const struct { float v; const char *want; } value[] = {{INFINITY, "inf"}, {-1, "-1"}};
    for (int i = 0; i < 2; i++) {
        x[77] = value[i].v;
        const char *file = npy(c, "value.npy", "400, 4, 4", x, T * F, 0);
        refused(c, 1, value[i].want, arena_printf(c->a, "data info %s", file));
        refused(c, 1, value[i].want,
                arena_printf(c->a, "train --config tiny --data %s --out %s", file, PATH("refused")));
    }
    TEST(c->log, !exists(PATH("refused")), "a refused training made its directory");
    static const struct { const char *text, *want; } csv[] = {
        {"1,2,3\n1,2,3\n", "csv"},     {"1,2,3,4\n1,2,3\n", "csv"},
        {"1,2,3,x\n1,2,3,y\n", "csv"}, {"", "csv"},
        {"5\n6\n7\n", "csv"},          {"1,2,3,4\n", "csv"},
        {"1,2,3,4\n1,2,-3,4\n", "-3"}, {"1,2,3,4\n1,inf,3,4\n", "inf"}};
    for (size_t i = 0; i < sizeof csv / sizeof *csv; i++) {
        put_file(c, PATH("bad.csv"), csv[i].text, strlen(csv[i].text));
        refused(c, 1, csv[i].want, arena_printf(c->a, "data info %s", PATH("bad.csv")));
    }
    const char *silent = npy(c, "silent.npy", "400, 4, 4", zero, T * F, 0);
    refused_later(c, "traffic",
                  arena_printf(c->a, "train --keep-all --config tiny --llm %s --data %s --out %s", c->llm, silent,
                               PATH("silent")));
    refused_later(c, "traffic", arena_printf(c->a, "eval --keep-all --naive-only --data %s", silent));
    const DIR *d = opendir(PATH("silent"));
    TEST(c->log, !d || rmdir(PATH("silent")) == 0, "a refused training left files in its directory");
    TEST(c->log, lead_run(c->log, c->a, "data info %s", silent).code == 0, "data info of silence");
    const char *few = npy(c, "short.npy", "6, 4, 4", x + F * 10, 6 * F, 0);
    refused_later(c, "window",
                  arena_printf(c->a, "train --keep-all --config tiny --llm %s --data %s --out %s", c->llm, few,
                               PATH("short")));
}

// ---- bad safetensors

typedef struct Bad { const char *name, *header; uint64_t claims; size_t data; } Bad;

static void put_safetensors(const Cli *c, const char *path, const Bad *b)
{
    const size_t len = strlen(b->header);
    const uint64_t said = b->claims ? b->claims : len;
    char *all = arena_zalloc(c->a, 8 + len + b->data);
    for (int i = 0; i < 8; i++) all[i] = (char)(said >> 8 * i);
    memcpy(all + 8, b->header, len);
    put_file(c, path, all, 8 + len + b->data);
}

static void check_safetensors(const Cli *c)
{
    static const Bad bad[] = {
        {"overlap",
         "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F32\",\"shape\":[2],"
         "\"data_offsets\":[4,12]}}",
         0, 12},
        {"out of range", "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}", 0, 4},
        {"duplicate keys",
         "{\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]},\"a\":{\"dtype\":\"F32\",\"shape\":[1],"
         "\"data_offsets\":[4,8]}}",
         0, 8},
        {"2^60 values",
         "{\"a\":{\"dtype\":\"F32\",\"shape\":[1152921504606846976],\"data_offsets\":[0,4611686018427387904]}}", 0, 16},
        {"product of 2^120",
         "{\"a\":{\"dtype\":\"F32\",\"shape\":[1152921504606846976,1152921504606846976],\"data_offsets\":[0,0]}}", 0,
         0},
        {"negative shape", "{\"a\":{\"dtype\":\"F32\",\"shape\":[-1],\"data_offsets\":[0,4]}}", 0, 4},
        {"header of 2^60", "{}", (uint64_t)1 << 60, 0},
        {"header beyond the file", "{}", 500, 0},
        {"no JSON", "hello", 0, 0},
        {"empty", "{}", 0, 0},
    };
    const char *dir = PATH("bad-llm"), *model = PATH("bad-llm/model.safetensors"),
               *config = slurp(c->a, arena_printf(c->a, "%s/config.json", c->llm));
    mkdir(dir, 0777);
    put_file(c, PATH("bad-llm/config.json"), config, strlen(config));
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        put_safetensors(c, model, &bad[i]);
        refused(c, 1, "model.safetensors", arena_printf(c->a, "forecast --data %s --model %s", c->data, model));
        refused(c, 1, "safetensors", arena_printf(c->a, "gpt2 logits --tokens 1 --llm %s", dir));
    }
    refused(c, 1, "config.json", arena_printf(c->a, "gpt2 logits --tokens 1 --llm %s", c->log->tmp));
    refused(c, 1, "nowhere", "gpt2 logits --tokens 1 --llm nowhere");
    refused(c, 1, "nowhere", arena_printf(c->a, "forecast --data %s --model nowhere", c->data));
    refused(c, 1, "lead.format",
            arena_printf(c->a, "forecast --data %s --model %s/model.safetensors", c->data, c->llm));
    refused(c, 1, "0..10", arena_printf(c->a, "gpt2 logits --tokens 11 --llm %s", c->llm));
    refused_later(c, "safetensors",
                  arena_printf(c->a, "train --keep-all --config tiny --data %s --out %s --llm %s", c->data,
                               PATH("badrun"), dir));
    // the run's own weights, damaged
    const char *good = arena_printf(c->a, "%s/best.safetensors", c->run), *cut = PATH("cut.safetensors");
    struct stat st;
    if (!TEST(c->log, stat(good, &st) == 0, "no %s", good)) return;
    char *bytes = arena_alloc(c->a, (size_t)st.st_size);
    FILE *f = fopen(good, "rb");
    TEST(c->log, f && fread(bytes, 1, (size_t)st.st_size, f) == (size_t)st.st_size, "cannot read %s", good);
    if (f) fclose(f);
    put_file(c, cut, bytes, (size_t)st.st_size - 4);
    refused(c, 1, "cut.safetensors", arena_printf(c->a, "forecast --data %s --model %s", c->data, cut));
    // the config in its metadata says another width than its tensors have
    char *at = memmem(bytes, (size_t)st.st_size, "cond_width\\\": 8", 15);
    char *format = memmem(bytes, (size_t)st.st_size, "checkpoint 2", 12);
    char *hash = memmem(bytes, (size_t)st.st_size, "lead.sha256", 11);
    if (TEST(c->log, at && format && hash, "the weights do not hold configuration, format and hash")) {
        at[14] = '9';
        put_file(c, cut, bytes, (size_t)st.st_size);
        refused(c, 1, "SHA-256", arena_printf(c->a, "forecast --data %s --model %s", c->data, cut));
        format[11] = '1', hash[10] = '_';   // as of a version that stored no hash
        put_file(c, cut, bytes, (size_t)st.st_size);
        refused(c, 1, ",8]", arena_printf(c->a, "forecast --data %s --model %s", c->data, cut));
        refused_later(c, ",8]", arena_printf(c->a, "eval --data %s --model %s", c->data, cut));
    }
}

// Data of another shape than the run's, another LLM.
static void check_mismatch(const Cli *c)
{
    const char *five = PATH("five/five.npy"), *slots = PATH("slots/slots.npy");
    mkdir(PATH("five"), 0777);
    mkdir(PATH("slots"), 0777);
    TEST(c->log, lead_run(c->log, c->a, "data synth --nodes 5 --days 8 --slot-seconds 10800 --out %s", five).code == 0,
         "data synth");
    TEST(c->log, lead_run(c->log, c->a, "data synth --nodes 4 --days 8 --slot-seconds 3600 --out %s", slots).code == 0,
         "data synth");
    refused_later(c, "want 4 nodes", arena_printf(c->a, "forecast --keep-all --data %s --model %s", five, c->run));
    refused_later(c, "want 4 nodes", arena_printf(c->a, "eval --keep-all --data %s --model %s", five, c->run));
    refused_later(c, "10800 s", arena_printf(c->a, "forecast --keep-all --data %s --model %s", slots, c->run));
    World *w = world_new(device_cpu_f32(ISA_SCALAR), false);
    const Gpt2Config cfg = tiny_config();
    const Status s = gpt2_save(gpt2_new(&w->ps, "", &cfg, GPT2_TRAINABLE), PATH("other-llm"), w->scratch);
    TEST(c->log, !s.code, "%s", s.msg);
    world_delete(w);
    refused(c, 1, "SHA-256",
            arena_printf(c->a, "forecast --data %s --model %s --llm %s", c->data, c->run, PATH("other-llm")));
    // beyond the run's 2 steps it goes on as a naive forecast, and says so
    const Ran far = lead_run(c->log, c->a, "forecast --data %s --model %s --horizon 9 --flow 0:1", c->data, c->run);
    TEST(c->log, far.code == 0 && count_lines(far.out, "") == 10 && strstr(far.err, "steps 3 .. 9 are those of"),
         "forecast --horizon 9: exit %d, %s%s", far.code, far.out, far.err);
    expect_refusal(c, lead_run(c->log, c->a, "forecast --keep-all --data %s --model %s --row 99999", c->data, c->run),
                   2, "--row", true, "forecast --row 99999");
    refused(c, 2, "--quantiles",
            arena_printf(c->a, "forecast --data %s --model %s --quantiles 0.1,1", c->data, c->run));
    refused_later(c, "holds a finished run",
                  arena_printf(c->a, "train --keep-all --config tiny --data %s --out %s --llm %s", c->data, c->run,
                               c->llm));
}

// A run knows how it was started: --resume wants the directory alone, and names what contradicts it.
static void check_resume(const Cli *c)
{
    mkdir(PATH("seed"), 0777);
    const Ran seed = lead_run(c->log, c->a, "data synth --seed 7 --nodes 4 --days 40 --slot-seconds 10800 --out %s",
                              PATH("seed/seed.npy"));
    TEST(c->log, seed.code == 0, "data synth: %s", seed.err);
    const char *out = PATH("resumed"), *err = PATH("resumed.err");
    const char *start = arena_printf(c->a, "train --keep-all --config tiny --steps 5000 --lr 3e-4 --no-final --llm %s "
                                     "--data %s --checkpoint-seconds 0.001 --out %s", c->llm, c->data, out);
    const char *advice = arena_printf(c->a, "lead train --out %s --resume", out);
    const pid_t pid = lead_start(c->log, c->a, PATH("resumed.out"), err, start);
    for (int i = 0; i < 6000 && !exists(PATH("resumed/checkpoint.safetensors")); i++) usleep(10000);
    kill(pid, SIGTERM);
    TEST(c->log, lead_wait(pid) == 0 && strstr(slurp(c->a, err), advice), "stopped: %s", slurp(c->a, err));
    static const struct { const char *option, *want; } bad[] = {
        {"--steps 99", "--steps 99: a resumed run keeps its configuration, 5000"},
        {"--config small", "--history 16"}, {"--lr 1e-3", "--lr"}, {"--final", "--final"}, {"--gaps 12", "--gaps 12"},
        {"--slot-seconds 300", "--slot-seconds 300"},
        {"--invalid 7", "--invalid 7"},
        {"--calendar-shift 60", "--calendar-shift 60"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        refused(c, 2, bad[i].want, arena_printf(c->a, "train --out %s --resume %s", out, bad[i].option));
    refused_later(c, "other traffic", arena_printf(c->a, "train --out %s --resume --data %s", out,
                                                   PATH("seed/seed.npy")));
    refused(c, 1, "nowhere", "train --out nowhere --resume");
    // a finished run: said, not an error, whatever a supervisor restarts
    const Ran done = lead_run(c->log, c->a, "train --out %s --resume", c->run);
    TEST(c->log, done.code == 0 && !*done.out && count_lines(done.err, "") == 1 && strstr(done.err, "is finished"),
         "resuming a finished run: exit %d, %s", done.code, done.err);
}

// The series grown by new rows: the network and the configuration of the run.
static void check_update(const Cli *c)
{
    const char *grown = PATH("grown/grown.npy"), *out = PATH("updated");
    mkdir(PATH("grown"), 0777);
    TEST(c->log, lead_run(c->log, c->a, "data synth --nodes 4 --days 44 --slot-seconds 10800 --out %s",
                          grown).code == 0,
         "data synth");
    const Ran r = lead_run(c->log, c->a, "train --keep-all --update %s --data %s --out %s", c->run, grown, out);
    TEST(c->log, r.code == 0 && exists(PATH("updated/final.safetensors")) &&
         !exists(PATH("updated/checkpoint.safetensors")),
         "update: exit %d, %s", r.code, r.err);
    TEST(c->log, strstr(slurp(c->a, PATH("updated/config.json")), "\"steps\": 1,"), "an update of a run of 4 steps: %s",
         slurp(c->a, PATH("updated/config.json")));
    const Ran f = lead_run(c->log, c->a, "forecast --keep-all --data %s --model %s", grown, out);
    TEST(c->log, f.code == 0 && strstr(f.err, "updated/final.safetensors"), "forecast: exit %d, %s", f.code, f.err);
    const Ran e = lead_run(c->log, c->a, "eval --keep-all --stride 9 --samples 2 --data %s --model %s", grown, out);
    static const char best[] = "updated/best.safetensors";
    TEST(c->log, e.code == 0 && strstr(e.err, best) && strstr(e.out, best) && !strstr(e.err, "final"),
         "eval: exit %d, %s", e.code, e.err);
    refused_later(c, "to be scored", arena_printf(c->a, "eval --keep-all --data %s --model %s/final.safetensors",
                                                  grown, out));
    // an update of the update takes as long; a forecast from a past row is made by weights that had not seen the rest
    const Ran again =
        lead_run(c->log, c->a, "train --keep-all --update %s --data %s --out %s", out, grown, PATH("later"));
    TEST(c->log, again.code == 0 && strstr(slurp(c->a, PATH("later/config.json")), "\"steps\": 1,"),
         "an update of an update: exit %d, %s", again.code, again.err);
    const char *past = "forecast --keep-all --row 200 --data %s --model %s%s";
    const Ran p = lead_run(c->log, c->a, past, grown, out, ""), b = lead_run(c->log, c->a, past, grown, out,
                                                                             "/best.safetensors");
    TEST(c->log, p.code == 0 && b.code == 0 && strcmp(p.out, b.out) == 0 && strstr(p.err, "what came after row 200"),
         "forecast from a past row: exit %d, %s", p.code, p.err);
    const Ran whole = lead_run(c->log, c->a, past, grown, out, "/final.safetensors");
    TEST(c->log, whole.code == 1 && strstr(whole.err, "to be scored"), "the final weights forecast the past: %s",
         whole.err);
    refused(c, 2, "--batch 3", arena_printf(c->a, "train --update %s --data %s --out x --batch 3", c->run, grown));
    refused(c, 1, "nowhere", arena_printf(c->a, "train --update nowhere --data %s --out x", grown));
    refused_later(c, "want 4 nodes", arena_printf(c->a, "train --keep-all --update %s --data %s --out x", c->run,
                                                  PATH("other/other.npy")));
    refused_later(c, "grown by new rows", arena_printf(c->a, "train --keep-all --update %s --data %s --out x", out,
                                                       c->data));
    TEST(c->log, !exists("x"), "a refused update made its directory");
}

// Quantile q (type 6) of n values, sorted here.
static double quantile(double *v, int n, double q)
{
    for (int i = 1; i < n; i++)
        for (int k = i; k > 0 && v[k] < v[k - 1]; k--) {
            const double t = v[k];
            v[k] = v[k - 1], v[k - 1] = t;
        }
    const double at = q * (n + 1) - 1;
    const int below = (int)floor(at);
    return v[below] + (at - below) * (v[below + 1] - v[below]);
}

// Persistence, from its definition: the last matrix, and the quantiles of its errors on the rows up to it.
static void check_naive(const Cli *c)
{
    enum { ROW = 250, K = 2, F = 16, HISTORY = 16 };
    TrafficSeries s;
    const Status read = traffic_series_read(&s, c->a, c->data, NULL);
    const Ran r = lead_run(c->log, c->a, "forecast --keep-all --data %s --model persistence --row %d --horizon %d "
                           "--quantiles 0.2,0.9", c->data, ROW, K);
    TEST(c->log, !read.code && r.code == 0 && count_lines(r.out, "") == 1 + K * F, "exit %d, %s%s", r.code, r.err,
         r.out);
    double worst = 0, *error = arena_alloc(c->a, 400 * sizeof *error);
    const char *p = strchr(r.out, '\n');
    for (int i = 0; i < K * F && p && !read.code; i++, p = strchr(p + 1, '\n')) {
        const int k = 1 + i / F, f = i % F;
        double got[3] = {NAN, NAN, NAN};
        sscanf(p + 1, "%*d,%*[^,],%*d,%*d,%lf,%lf,%lf", &got[0], &got[1], &got[2]);
        int n = 0;
        for (int t = HISTORY - 1; t + K <= ROW; t++) error[n++] = (double)s.x[(t + k) * F + f] - (double)s.x[t * F + f];
        const double now = (double)s.x[ROW * F + f], low = fmax(0, now + quantile(error, n, 0.2)),
                     high = now + quantile(error, n, 0.9);
        worst = fmax(worst, fmax(fabs(got[0] / now - 1), fmax(fabs(got[1] - low) / (low + 1),
                                                              fabs(got[2] / high - 1))));
    }
    TEST(c->log, p && worst < 1e-5, "persistence is %g off its definition", worst);
    static const char *const names[] = {"persistence", "yesterday", "lastweek", "average",
                                        "mean", "ets", "ridge", "ridge-scale"};
    const char *seen[8];
    for (int i = 0; i < 8; i++) {
        const Ran m = lead_run(c->log, c->a, "forecast --keep-all --data %s --model %s --horizon 1", c->data, names[i]);
        seen[i] = m.out;
        TEST(c->log, m.code == 0 && count_lines(m.out, "1,") == F && !strstr(m.out, "nan"), "--model %s: exit %d, %s",
             names[i], m.code, m.err);
        for (int k = 0; k < i; k++) TEST(c->log, strcmp(seen[k], m.out), "--model %s forecasts as %s", names[i],
                                         names[k]);
    }
    refused_later(c, "16 valid", arena_printf(c->a, "forecast --keep-all --data %s --model ridge --row 9", c->data));
    expect_refusal(c, lead_run(c->log, c->a, "forecast --keep-all --data %s --model ridge --row 99999", c->data), 2,
                   "--row",
                   true, "forecast --model ridge --row 99999");
}

// ---- places that cannot be written

static void check_unwritable(const Cli *c)
{
    static const struct { const char *args; bool model; } verb[] = {
        {"eval --keep-all --naive-only --stride 9", false}, {"forecast --keep-all --samples 2", true}};
    const char *file = PATH("file");
    put_file(c, file, "x", 1);
    const char *below[] = {arena_printf(c->a, "%s/x.csv", file), "/proc/nothing/x.csv", PATH("no/such/directory/x.csv"),
                           c->log->tmp};
    for (int v = 0; v < 2; v++)
        for (int i = 0; i < 4; i++) {
            const Ran r = lead_run(c->log, c->a, "%s --data %s %s%s --out %s", verb[v].args, c->data,
                                   verb[v].model ? "--model " : "", verb[v].model ? c->run : "", below[i]);
            TEST(c->log, r.code == 1 && count_lines(r.err, "lead: ") == 1 && strstr(r.err, below[i]),
                 "%s --out %s: exit %d, %s", verb[v].args, below[i], r.code, r.err);
        }
    refused(c, 1, file, arena_printf(c->a, "data synth --days 2 --out %s/x.npy", file));
    refused_later(c, file,
                  arena_printf(c->a, "train --config tiny --keep-all --data %s --llm %s --out %s/run", c->data, c->llm,
                               file));
    refused_later(c, file,
                  arena_printf(c->a, "train --config tiny --keep-all --data %s --llm %s --out %s", c->data, c->llm,
                               file));
    refused_later(c, "/proc",
                  arena_printf(c->a, "train --config tiny --keep-all --data %s --llm %s --out /proc/run", c->data,
                               c->llm));
    refused_later(c, file,
                  arena_printf(c->a, "forecast --keep-all --samples 2 --data %s --model %s --png %s/png", c->data,
                               c->run, file));
    refused_later(c, file, arena_printf(c->a, "data render --keep-all --data %s --out %s/x.png", c->data, file));
    refused(c, 1, file, arena_printf(c->a, "gpt2 train --data %s --steps 1 --out %s/llm", file, file));
    TEST(c->log, strcmp(slurp(c->a, file), "x") == 0, "%s was overwritten", file);
}

// A full disk: a node of our own, never /dev/full by its name (a writer that renames onto it would replace it).
static void check_full(const Cli *c)
{
    mkdir(PATH("disk"), 0777);
    const char *full = PATH("disk/full"), *null = PATH("disk/null");
    FILE *f = NULL;
    if (mknod(full, S_IFCHR | 0666, makedev(1, 7)) || !(f = fopen(full, "w")) || fputc('x', f) == EOF ||
        fclose(f) == 0) {
        test_skip(c->log, "skipped: no device node of a full disk can be made here");
        return;
    }
    const char *out[] = {arena_printf(c->a, "eval --naive-only --stride 9 --keep-all --data %s --out %s", c->data,
                                      full),
                         arena_printf(c->a, "forecast --samples 2 --keep-all --data %s --model %s --out %s", c->data,
                                      c->run, full),
                         arena_printf(c->a, "data synth --days 8 --out %s", full)};
    for (int i = 0; i < 3; i++) {
        const Ran r = lead_run(c->log, c->a, "%s", out[i]);
        TEST(c->log, r.code == 1 && count_lines(r.err, "lead: ") == 1 && strstr(r.err, "No space left"),
             "lead %s: exit %d, %s", out[i], r.code, r.err);
        TEST(c->log, !exists(PATH("disk/full.manifest.json")), "lead %s: a manifest of a file that was not written",
             out[i]);
    }
    const char *print[] = {arena_printf(c->a, "eval --naive-only --stride 9 --keep-all --data %s", c->data),
                           arena_printf(c->a, "forecast --samples 2 --keep-all --data %s --model %s", c->data, c->run),
                           arena_printf(c->a, "data info %s", c->data), "ops", "info", "train --help"};
    for (int i = 0; i < 6; i++) {
        const char *err = PATH("full.err");
        const int code = lead_wait(lead_start(c->log, c->a, full, err, print[i]));
        const char *text = slurp(c->a, err);
        TEST(c->log, code == 1 && count_lines(text, "lead: ") == 1 && strstr(text, "No space left"),
             "lead %s > full disk: exit %d, %s", print[i], code, text);
    }
    const bool made = mknod(null, S_IFCHR | 0666, makedev(1, 3)) == 0;
    const Ran r = lead_run(c->log, c->a, "eval --naive-only --stride 9 --keep-all --data %s --out %s", c->data, null);
    TEST(c->log, made && r.code == 0 && !exists(PATH("disk/null.manifest.json")),
         "--out of a device: exit %d, or a manifest beside it", r.code);
    struct stat st;
    TEST(c->log, stat(full, &st) == 0 && S_ISCHR(st.st_mode) && stat(null, &st) == 0 && S_ISCHR(st.st_mode),
         "a device was replaced by a file");
}

// ---- output

static void check_forecast(const Cli *c)
{
    enum { N = 4, K = 2, NQ = 5 };
    const char *args =
        arena_printf(c->a, "forecast --keep-all --data %s --model %s --samples 7 --quantiles 0.05,0.25,0.5,0.75,0.95",
                     c->data, c->run);
    const Ran r = lead_run(c->log, c->a, "%s", args), again = lead_run(c->log, c->a, "%s --threads 2", args);
    TEST(c->log, r.code == 0 && again.code == 0, "forecast: exit %d, %s", r.code, r.err);
    TEST(c->log, strcmp(r.out, again.out) == 0, "forecast: the same command printed other numbers");
    const char *head = "step,time,origin,destination,mean_kbps,q0.05_kbps,q0.25_kbps,q0.5_kbps,q0.75_kbps,q0.95_kbps\n";
    TEST(c->log, strncmp(r.out, head, strlen(head)) == 0, "forecast: header %.100s", r.out);
    int rows = 0;
    bool order = true, fine = true;
    int64_t first_time = 0;
    for (const char *p = strchr(r.out, '\n'); p && p[1]; p = strchr(p + 1, '\n'), rows++) {
        int k = 0, i = 0, j = 0;
        int64_t time = 0;
        char text[32] = "";
        double mean = NAN, q[NQ] = {NAN, NAN, NAN, NAN, NAN};
        const int got = sscanf(p + 1, "%d,%31[^,],%d,%d,%lf,%lf,%lf,%lf,%lf,%lf", &k, text, &i, &j, &mean, &q[0], &q[1],
                               &q[2], &q[3], &q[4]);
        order &= csv_parse_time(text, &time) && text[strlen(text) - 1] == 'Z';
        if (rows == 0) first_time = time;
        order &= got == 10 && k == 1 + rows / (N * N) && i == rows / N % N && j == rows % N &&
                 time == first_time + (k - 1) * 10800;
        fine &= q[0] >= 0 && mean >= q[0] * (1 - 1e-5) && isfinite(mean) && isfinite(q[NQ - 1]);
        for (int n = 1; n < NQ; n++) fine &= q[n] >= q[n - 1];
    }
    TEST(c->log, rows == K * N * N && order, "forecast: %d rows, want %d in the order of step, origin, destination",
         rows, K * N * N);
    TEST(c->log, fine, "forecast: quantiles cross, or a value is negative or not finite");
    const Ran seed = lead_run(c->log, c->a, "%s --seed 5", args), one = lead_run(c->log, c->a, "%s --horizon 1", args);
    TEST(c->log, seed.code == 0 && strcmp(seed.out, r.out) != 0, "another seed gives the same samples");
    TEST(c->log,
         one.code == 0 && count_lines(one.out, "") == 1 + N * N && strncmp(one.out, r.out, strlen(one.out)) == 0,
         "--horizon 1 is not the first step of all");
    const char *out = PATH("forecast.csv");
    const Ran file = lead_run(c->log, c->a, "%s --out %s", args, out);
    TEST(c->log, file.code == 0 && !*file.out && strcmp(slurp(c->a, out), r.out) == 0,
         "--out holds something else than stdout");
    const Json *json;
    const Status s = json_read(&json, c->a, arena_printf(c->a, "%s.manifest.json", out), 1 << 20);
    TEST(c->log, !s.code && json_find(json, "commit") && json_find(json_find(json, "options"), "model"), "manifest: %s",
         s.msg);
}

// The first line of text.
static const char *first_line(Arena *a, const char *text)
{
    return arena_printf(a, "%.*s", (int)strcspn(text, "\n"), text);
}

static void check_eval(const Cli *c)
{
    const char *head = "model\thorizon\trmse\tmae\tnrmse\tcrps\tcover50\tcover90\twindows\tmse\t"
                       "rmse_clipped\tratio_ridge\timproved\tcover50_live\tcover90_live\trmse_gain\trmse_gain_low\t"
                       "rmse_gain_high\tcrps_gain\tcrps_gain_low\tcrps_gain_high\n",
               *out = PATH("eval.tsv");
    const Ran naive = lead_run(c->log, c->a, "eval --naive-only --keep-all --data %s", c->data);
    const Ran file = lead_run(c->log, c->a, "eval --naive-only --keep-all --data %s --out %s", c->data, out);
    const Ran dash = lead_run(c->log, c->a, "eval --naive-only --keep-all --data %s --out -", c->data);
    TEST(c->log, naive.code == 0 && naive.out[0] == '#' && strstr(naive.out, head), "eval --naive-only: exit %d, %s",
         naive.code, naive.err);
    TEST(c->log, file.code == 0 && !*file.out && strcmp(slurp(c->a, out), naive.out) == 0,
         "eval: --out holds something else than stdout");
    TEST(c->log, dash.code == 0 && strcmp(dash.out, naive.out) == 0 && !exists("-.manifest.json") && !exists("-"),
         "eval: --out - is not stdout");
    static const char *const models[] = {"persistence", "yesterday", "lastweek", "average",
                                         "mean", "ets", "ridge", "ridge-scale"};
    for (int i = 0; i < 8; i++)
        TEST(c->log, count_lines(naive.out, arena_printf(c->a, "%s\t", models[i])) == 20, "eval: rows of %s",
             models[i]);
    const Ran model = lead_run(c->log, c->a,
                               "eval --keep-all --stride 7 --samples 3 --sample-steps 1 --data %s --model %s", c->data,
                               c->run);
    const char *row = strstr(model.out, "\nlead\t1\t");
    double v[8] = {NAN, NAN, NAN, NAN, NAN, NAN, NAN, NAN};
    TEST(c->log,
         model.code == 0 && row &&
             sscanf(row + 8, "%lf\t%lf\t%lf\t%lf\t%lf\t%lf\t%lf\t%lf", v, v + 1, v + 2, v + 3, v + 4, v + 5, v + 6,
                    v + 7) == 8,
         "eval: no row of the model: %s", model.err);
    TEST(c->log, v[0] > 0 && v[3] > 0 && v[4] >= 0 && v[5] <= 1 && v[6] >= 1 && fabs(v[0] * v[0] / v[7] - 1) < 1e-4,
         "eval: rmse %g crps %g mse %g", v[0], v[3], v[7]);
    TEST(c->log, count_lines(model.out, "lead\t") == 2 && count_lines(model.out, "persistence\t") == 2,
         "eval: want one row a model and horizon");
    const char *head_line = first_line(c->a, model.out), *verdict = strstr(head_line, "; lead: ");
    verdict = verdict ? strstr(verdict + 1, "; lead: ") : NULL;   // the first names the run
    TEST(c->log, verdict && strstr(verdict, "than ") && strstr(verdict, "CRPS") && strstr(verdict, "(95 % interval ") &&
                     strstr(model.err, verdict + 2), "eval: no verdict in '%s' and '%s'", head_line, model.err);
    TEST(c->log, strstr(model.err, "days only, want at least 7") && strstr(head_line, " days, "),
         "eval: no warning of few days: %s", model.err);
    const Ran details = lead_run(c->log, c->a, "eval --naive-only --details --stride 9 --keep-all --data %s", c->data);
    TEST(c->log, details.code == 0 && count_lines(details.out, "ridge\ttotal\t") == 21 &&
                     count_lines(details.out, "ridge\torigins\t") == 21 &&
                     strstr(details.out, "\tenergy\trmse_clipped\t"),
         "eval --details: %s", details.err);
    refused(c, 2, "--model", arena_printf(c->a, "eval --data %s", c->data));
}

// Forecasts of one's own: persistence, made from the list of windows, scores as persistence does.
static void check_also(const Cli *c)
{
    enum { N = 4, F = N * N, K = 20 };
    const char *list = PATH("windows.tsv"), *mine = PATH("mine.npy");
    const Ran w = lead_run(c->log, c->a, "eval --keep-all --data %s --windows-out %s", c->data, list);
    const char *text = slurp(c->a, list);
    const int64_t n = count_lines(text, "") - 1;
    TEST(c->log, w.code == 0 && !*w.out && n > 10 && strncmp(text, "window\trow\ttime\n0\t", 18) == 0,
         "--windows-out: %s, %s", w.err, text);
    NpyArray data;
    Status s = npy_read(&data, c->a, c->data);
    if (!TEST(c->log, !s.code && n > 0, "%s", s.msg)) return;
    const float *x = data.data;
    float *point = arena_alloc(c->a, (size_t)n * K * F * sizeof *point);
    const char *line = strchr(text, '\n');
    for (int64_t i = 0; i < n && line; i++, line = strchr(line + 1, '\n')) {
        long long window = -1, row = -1, time = -1;
        TEST(c->log, sscanf(line + 1, "%lld\t%lld\t%lld", &window, &row, &time) == 3 && window == i && time > 0,
             "--windows-out: line %.40s", line + 1);
        for (int h = 0; h < K; h++) memcpy(point + (i * K + h) * F, x + row * F, F * sizeof *x);
    }
    s = npy_write(mine, "<f4", (const int64_t[]){n, K, N, N}, 4, point);
    TEST(c->log, !s.code, "%s", s.msg);
    const Ran r = lead_run(c->log, c->a, "eval --keep-all --data %s --also mine=%s", c->data, mine);
    const char *a = strstr(r.out, "\nmine\t20\t"), *b = strstr(r.out, "\npersistence\t20\t");
    TEST(c->log, r.code == 0 && a && b && strncmp(a + 9, b + 16, 17) == 0 && strstr(r.err, "mine: worse than"),
         "--also: %s '%.60s' '%.60s'", r.err, a ? a : "", b ? b : "");
    const Ran both = lead_run(c->log, c->a, "eval --keep-all --data %s --also mine=%s --also yours=%s", c->data, mine,
                              mine);
    TEST(c->log, both.code == 0 && strstr(both.out, "\nmine\t20\t") && strstr(both.out, "\nyours\t20\t"),
         "--also given twice: exit %d, %s", both.code, both.err);
    TEST(c->log, strstr(r.err, "days, which are too few to be sure"), "a verdict on few days sounds sure: %s", r.err);
    refused_later(c, "want shape",
                  arena_printf(c->a, "eval --stride 2 --keep-all --data %s --also mine=%s", c->data, mine));
    static const struct { const char *also, *want; } bad[] = {{"mine", "NAME=F.npy"}, {"ridge=x.npy", "no other row"}};
    for (int i = 0; i < 2; i++) {
        const char *args = arena_printf(c->a, "eval --keep-all --data %s --also %s", c->data, bad[i].also);
        expect_refusal(c, lead_run(c->log, c->a, "%s", args), 2, bad[i].want, true, args);
    }
}

static void check_origins(const Cli *c)
{
    const char *out = PATH("origins.tsv"), *runs = PATH("runs");
    const char *args = arena_printf(c->a, "eval --origins 60,75 --keep-all --stride 3 --samples 3 --sample-steps 1 "
                                    "--data %s --config-file %s/config.json --runs %s", c->data, c->run, runs);
    const Ran first = lead_run(c->log, c->a, "%s", args), again = lead_run(c->log, c->a, "%s", args);
    TEST(c->log, first.code == 0 && exists(PATH("runs/origin60/best.safetensors")) &&
                     exists(PATH("runs/origin75/best.safetensors")), "--origins: %s", first.err);
    TEST(c->log, count_lines(first.out, "# origin ") == 2 && count_lines(first.out, "model\t") == 1 &&
                     count_lines(first.out, "lead\t") == 4 && strstr(first.out, "\t60\n") &&
                     strstr(first.out, "\t75\n"), "--origins: %s", first.out);
    const Ran file = lead_run(c->log, c->a, "%s --out %s", args, out);
    TEST(c->log, file.code == 0 && !*file.out && strcmp(first.out, slurp(c->a, out)) == 0,
         "--origins: --out holds something else than stdout");
    TEST(c->log, strstr(first.err, "CRPS over all steps / that of ridge") &&
                     strstr(first.err, "origin60: training on rows 0..157, validating on those up to 191"),
         "--origins: %s", first.err);
    TEST(c->log, again.code == 0 && strcmp(first.out, again.out) == 0 &&
                     strstr(again.err, "origin60: complete, reused (step 4 of 4)"), "--origins again: %s", again.err);
    const Ran naive = lead_run(c->log, c->a, "eval --origins 60 --naive-only --keep-all --data %s", c->data);
    TEST(c->log, naive.code == 0 && count_lines(naive.out, "ridge-scale\t") == 20 && !strstr(naive.out, "\nlead\t"),
         "--origins --naive-only: %s", naive.err);
    TEST(c->log, rename(PATH("runs/origin60"), PATH("runs/origin70")) == 0, "rename");
    const Ran moved = lead_run(c->log, c->a, "eval --origins 70 --keep-all --data %s --config-file %s/config.json "
                               "--runs %s", c->data, c->run, runs);
    TEST(c->log, moved.code == 1 && strstr(moved.err, "want a run on rows 0 184 184 224"), "another origin's run: %s",
         moved.err);
}

static void check_info(const Cli *c)
{
    const Ran r = lead_run(c->log, c->a, "data info %s", c->data);
    TEST(c->log, r.code == 0 && strstr(r.out, "320"), "data info: exit %d, %s", r.code, r.out);
    if (!c->log->shared) test_skip(c->log, "skipped: no ../shared/data/abilene");
    else if (!c->log->quick) {
        const Ran abilene = lead_run(c->log, c->a, "data info %s/data/abilene/abilene.npy", c->log->shared);
        TEST(c->log, abilene.code == 0 && strstr(abilene.out, "47429"),
             "data info does not name row 47429 of Abilene: %s", abilene.err);
    }
    const Ran ops = lead_run(c->log, c->a, "ops"), info = lead_run(c->log, c->a, "info");
    TEST(c->log, ops.code == 0 && count_lines(ops.out, "") == 1 + OP_COUNT, "lead ops: %d lines",
         count_lines(ops.out, ""));
    TEST(c->log, info.code == 0 && strstr(info.out, "\"commit\"") && strstr(info.out, "threads"), "lead info");
    const Ran run = lead_run(c->log, c->a, "info %s", c->run);
    static const char *const says[] = {"lead train, finished", "rows 0..", "320 rows of 4 x 4, 10800 s each",
                                       "traffic.npy", "best step ", "validation   loss ", "made  ",
                                       "samples; denoiser unet"};
    for (size_t i = 0; i < sizeof says / sizeof *says; i++)
        TEST(c->log, run.code == 0 && strstr(run.out, says[i]), "lead info RUN: exit %d, want '%s' in %s", run.code,
             says[i], run.out);
    const Ran general = lead_run(c->log, c->a, "info pretrained");
    TEST(c->log, general.code == 0 && strstr(general.out, "lead pretrain"), "lead info pretrained: %s", general.err);
    refused(c, 1, "nowhere", "info nowhere");
    refused(c, 1, "lead.format", arena_printf(c->a, "info %s/model.safetensors", c->llm));
    const Ran check = lead_run(c->log, c->a, "check --op add");
    TEST(c->log, check.code == 0 && strstr(check.out, "add"), "lead check --op add: %s", check.err);
    TEST(c->log, lead_run(c->log, c->a, "check --op nothing").code == 1, "lead check of an unknown op passes");
}

static void check_gpt2(const Cli *c)
{
    const Ran r = lead_run(c->log, c->a, "gpt2 logits --text traffic --top 3"),
              g = lead_run(c->log, c->a, "gpt2 generate --text traffic --n 12");
    TEST(c->log, r.code == 0 && count_lines(r.out, "1\t") == 3, "gpt2 logits: exit %d, %s%s", r.code, r.out, r.err);
    TEST(c->log, g.code == 0 && strlen(g.out) > 1, "gpt2 generate: exit %d, '%s' %s", g.code, g.out, g.err);
    const Ran again = lead_run(c->log, c->a, "gpt2 generate --text traffic --n 12 --threads 2");
    TEST(c->log, strcmp(g.out, again.out) == 0, "gpt2 generate: the same prompt went on otherwise");
    published_greedy(c->log, c->log, c->a, "");
}

// ---- names of nodes, import and export

// The traffic with names, its nodes in this order, as a file.
static const char *named_traffic(const Cli *c, const char *file, const char *const names[4], const int order[4])
{
    TrafficSeries s, r;
    Status st = traffic_series_read(&s, c->a, c->data, NULL);
    if (!st.code) st = traffic_series_read(&r, c->a, c->data, NULL);
    CHECK(!st.code, "%s", st.msg);
    const char *node[4];
    for (int i = 0; i < 4; i++) node[i] = names[order[i]];
    for (int64_t k = 0; k < s.T * 16; k++) s.x[k] = r.x[k / 16 * 16 + order[k % 16 / 4] * 4 + order[k % 4]];
    s.node = node;
    ExportFormat f;
    const char *path = PATH(file);
    st = export_format_of(&f, path) ? traffic_series_export(&s, c->a, path, f, (TrafficRange){0, s.T})
                                    : ERROR("%s", path);
    TEST(c->log, !st.code, "%s", st.msg);
    return path;
}

static void check_names(const Cli *c)
{
    static const char *const names[] = {"Oslo", "Bergen", "Troms\xc3\xb8", "Stavanger"};
    static const char *const renamed[] = {"Oslo", "Bergen", "Troms\xc3\xb8", "Bod\xc3\xb8"};
    static const int same[] = {0, 1, 2, 3}, other[] = {2, 0, 3, 1};
    const char *csv = named_traffic(c, "named.csv", names, same), *npz = PATH("named.npz"), *run = PATH("namedrun");
    const char *moved = named_traffic(c, "moved.npz", names, other);
    const char *foreign = named_traffic(c, "foreign.csv", renamed, same);
    Ran r = lead_run(c->log, c->a, "data import %s --out %s", csv, npz);
    TEST(c->log, r.code == 0 && exists(npz) && strstr(r.err, "Oslo, Bergen, Troms"), "import: %s", r.err);
    r = lead_run(c->log, c->a, "data export %s --out %s --row 3 --count 2 --format long", npz, PATH("named.long"));
    TEST(c->log, r.code == 0, "export: %s", r.err);
    r = lead_run(c->log, c->a, "train --keep-all --config tiny --calibrate false --steps 4 --no-final --llm %s "
                 "--data %s --out %s", c->llm, npz, run);
    TEST(c->log, r.code == 0, "train: %s", r.err);
    const char *how = arena_printf(c->a, "forecast --keep-all --model %s --horizon 1 --samples 2", run);
    const Ran a = lead_run(c->log, c->a, "%s --data %s --flow Oslo:Stavanger,Bergen:0", how, npz);
    const Ran b = lead_run(c->log, c->a, "%s --data %s --flow Oslo:Stavanger,Bergen:0", how, moved);
    TEST(c->log, a.code == 0 && strstr(a.out, ",Oslo,Stavanger,") && strstr(a.out, ",Bergen,Oslo,") &&
                 count_lines(a.out, "1,") == 2, "forecast by name: %s%s", a.err, a.out);
    TEST(c->log, b.code == 0 && !strcmp(a.out, b.out) && strstr(b.err, "mapped by name"),
         "nodes in another order: %s%s", b.err, b.out);
    refused_later(c, "missing Stavanger; new Bod", arena_printf(c->a, "%s --data %s", how, foreign));
    const char *args = arena_printf(c->a, "forecast --keep-all --model ridge --data %s --flow Oslo:Atlantis", npz);
    expect_refusal(c, lead_run(c->log, c->a, "%s", args), 2, "Atlantis", true, args);
}

void test_cli(TestLog *log)
{
    Cli cli = {.log = log, .a = arena_new("cli", (size_t)1 << 30, NULL)};
    CHECK(cli.a, "no address space");
    const Cli *c = &cli;
    setenv("OMP_WAIT_POLICY", "passive", 1);   // several processes on few cores
    check_help(c);
    check_usage(c);
    cli.llm = tiny_llm(log, cli.a);
    mkdir(PATH("data"), 0777);
    cli.data = PATH("data/traffic.npy");
    cli.run = PATH("run");
    Ran r = lead_run(log, cli.a, "data synth --nodes 4 --days 40 --slot-seconds 10800 --out %s", cli.data);
    TEST(log, r.code == 0 && exists(PATH("data/times.npy")) && exists(PATH("data/traffic.npy.manifest.json")),
         "data synth: exit %d, %s", r.code, r.err);
    // 4 steps are worth less than any naive forecast: calibrated, the run would fall back to one (test_fallback.c)
    r = lead_run(log, cli.a, "train --keep-all --config tiny --calibrate false --steps 4 --llm %s --data %s --out %s",
                 cli.llm, cli.data, cli.run);
    TEST(log, r.code == 0, "train: exit %d, %s", r.code, r.err);
    check_data(c);
    check_safetensors(c);
    check_mismatch(c);
    mkdir(PATH("other"), 0777);
    r = lead_run(log, cli.a, "data synth --nodes 5 --days 60 --slot-seconds 10800 --out %s", PATH("other/other.npy"));
    TEST(log, r.code == 0, "data synth: %s", r.err);
    check_resume(c);
    check_update(c);
    check_naive(c);
    check_unwritable(c);
    check_full(c);
    check_forecast(c);
    check_eval(c);
    check_also(c);
    check_origins(c);
    check_names(c);
    check_info(c);
    check_gpt2(c);
    arena_delete(cli.a);
}
