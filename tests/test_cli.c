// The command line: help, usage errors, and bad input of every kind: one line on stderr, exit 1 or 2, nothing
// half-written.
#include <dirent.h>
#include <math.h>
#include <signal.h>
#include <sys/sysmacros.h>

#include "cli_world.h"
#include "io/npy.h"

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
    {"estimate", DATA "model llm samples sampler sample-steps guidance memory topology routing weights capacity-unit "
                      "nodes loads prior out paths split stride lag"},
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
    TEST(c->log, far.code == 0 && count_lines(far.out, "") == 10 &&
                     strstr(far.err, "draws 2 steps; naive forecasts go on: steps 3 .. "),
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

void test_cli(TestLog *log)
{
    Cli cli = cli_world(log);
    const Cli *c = &cli;
    check_help(c);
    check_usage(c);
    check_data(c);
    check_safetensors(c);
    check_mismatch(c);
    mkdir(PATH("other"), 0777);
    const Ran r = lead_run(log, cli.a, "data synth --nodes 5 --days 60 --slot-seconds 10800 --out %s",
                           PATH("other/other.npy"));
    TEST(log, r.code == 0, "data synth: %s", r.err);
    check_resume(c);
    check_update(c);
    check_naive(c);
    check_unwritable(c);
    check_full(c);
    arena_delete(cli.a);
}
