// Run directories can be trusted: one writer, damaged and crafted files, what killed processes leave, updates that need
// nothing but their directory, and resumption elsewhere.  What the numbers of a checkpoint may be is tried value by
// value on the program itself, since a CHECK or an endless loop would end the tests.
#include <math.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "faults.h"
#include "io/npy.h"
#include "lead/record.h"
#include "lead_world.h"
#include "nn/run_directory.h"
#include "run_lead.h"

typedef struct Runs {
    TestLog *log;
    Arena *a;
    const char *llm, *data, *common;   // arguments of every training
    const char *stopped, *done;        // a run with a checkpoint and its .prev; a finished one
} Runs;

#define PATH(name) arena_printf(r->a, "%s/%s", r->log->tmp, name)

static bool exists(const char *path) { return access(path, F_OK) == 0; }

// A file that does not say its size, with its NULs as newlines.
static const char *slurp_any(Arena *a, const char *path)
{
    enum { MOST = 1 << 16 };
    char *text = arena_zalloc(a, MOST + 1);
    FILE *f = fopen(path, "rb");
    const size_t n = f ? fread(text, 1, MOST, f) : 0;
    if (f) fclose(f);
    for (size_t i = 0; i < n; i++)
        if (!text[i]) text[i] = '\n';
    return text;
}

static void shell(const Runs *r, const char *command) { TEST(r->log, system(command) == 0, "%s", command); }

// A copy of a run, to be damaged.
static const char *copy_of(const Runs *r, const char *run)
{
    const char *to = PATH("copy");
    shell(r, arena_printf(r->a, "rm -rf %s && cp -r %s %s", to, run, to));
    return to;
}

static void put(const Runs *r, const char *path, const char *text)
{
    FILE *f = fopen(path, "wb");
    TEST(r->log, f && fwrite(text, 1, strlen(text), f) == strlen(text) && fclose(f) == 0, "cannot write %s", path);
}

static void flip_bit(const Runs *r, const char *path, long at)
{
    FILE *f = fopen(path, "r+b");
    if (!TEST(r->log, f != NULL, "no %s", path)) return;
    fseek(f, at < 0 ? at : at, at < 0 ? SEEK_END : SEEK_SET);
    const int c = fgetc(f);
    fseek(f, -1, SEEK_CUR);
    fputc(c ^ 4, f);
    fclose(f);
}

static Sha256Hex hash_of(const Runs *r, const char *path)
{
    FileMap m;
    const Status s = file_map(&m, path);
    if (!TEST(r->log, !s.code, "%s", s.msg)) return (Sha256Hex){""};
    const Sha256Hex h = sha256_hex_of(m.data, m.size);
    file_unmap(&m);
    return h;
}

// Whether two files hold the same tensors.
static bool same_tensors(const Runs *r, const char *one, const char *two)
{
    SafeFile f, g;
    const Status s = safetensors_open(&f, r->a, one);
    if (!TEST(r->log, !s.code, "%s", s.msg)) return false;
    const Status t = safetensors_open(&g, r->a, two);
    if (!TEST(r->log, !t.code, "%s", t.msg)) return false;
    bool same = f.n_tensor == g.n_tensor && f.n_tensor > 20;
    for (int64_t i = 0; same && i < f.n_tensor; i++) {
        const SafeTensor *x = &f.tensor[i], *y = &g.tensor[i];
        same = !strcmp(x->name, y->name) && x->count == y->count &&
               !memcmp(x->data, y->data, (size_t)x->count * safetensors_type_size(x->type));
    }
    safetensors_close(&f);
    safetensors_close(&g);
    return same;
}

// Starts a training that does not end by itself, and waits for its first two checkpoints.
static pid_t start_endless(const Runs *r, const char *dir, const char *more)
{
    const char *args = arena_printf(r->a, "%s --steps 1000000 --checkpoint-seconds 0.001 --out %s %s", r->common, dir,
                                    more);
    const pid_t pid = lead_start(r->log, r->a, PATH("endless.out"), PATH("endless.err"), args);
    const char *prev = arena_printf(r->a, "%s/checkpoint.safetensors.prev", dir);
    for (int i = 0; i < 6000 && !exists(prev); i++) usleep(10000);
    struct stat log = {0};
    const char *lines = arena_printf(r->a, "%s/log.jsonl", dir);
    for (int i = 0; i < 6000 && (stat(lines, &log) || !log.st_size); i++) usleep(10000);
    TEST(r->log, exists(prev), "no two checkpoints within a minute: %s", slurp(r->a, PATH("endless.err")));
    return pid;
}

// Runs lead for at most a minute: what should be refused might train for ever.
static Ran run_briefly(const Runs *r, const char *args)
{
    const char *out = PATH("brief.out"), *err = PATH("brief.err");
    const pid_t pid = lead_start(r->log, r->a, out, err, args);
    int status = 0;
    for (int i = 0; i < 6000 && waitpid(pid, &status, WNOHANG) == 0; i++) {
        usleep(10000);
        if (i < 5999) continue;
        kill(pid, SIGKILL);
        waitpid(pid, &status, 0);
        break;
    }
    return (Ran){WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status), slurp(r->a, out), slurp(r->a, err)};
}

// ---- one writer

static void check_lock(Runs *r)
{
    const char *dir = PATH("locked");
    const pid_t pid = start_endless(r, dir, "");
    const char *named = arena_printf(r->a, "process %ld on ", (long)pid);
    Ran again = lead_run(r->log, r->a, "%s --out %s", r->common, dir);
    TEST(r->log, again.code == 1 && strstr(again.err, named), "a second training: exit %d, %s", again.code, again.err);
    again = run_briefly(r, arena_printf(r->a, "train --keep-all --out %s --resume", dir));
    TEST(r->log, again.code == 1 && strstr(again.err, named), "a second training: exit %d, %s", again.code, again.err);
    const Ran reader = lead_run(r->log, r->a, "forecast --keep-all --data %s --model %s", r->data, dir);
    TEST(r->log, reader.code == 0, "a reader beside the training: exit %d, %s", reader.code, reader.err);
    kill(pid, SIGKILL);
    lead_wait(pid);
    // the log is whole: every line is one of the first training
    const char *log = slurp(r->a, arena_printf(r->a, "%s/log.jsonl", dir));
    long step, before = 0, torn = 0;
    for (const char *p = log; *p && strchr(p, '\n'); p = strchr(p, '\n') + 1, before = step)
        torn += sscanf(p, "{\"step\":%ld,", &step) != 1 || step <= before || !strchr(p, '}');
    TEST(r->log, before > 0 && torn == 0, "%ld torn lines", torn);
    // the lock went with the process
    const pid_t next = lead_start(r->log, r->a, PATH("next.out"), PATH("next.err"),
                                  arena_printf(r->a, "train --keep-all --out %s --resume", dir));
    usleep(300000);
    kill(next, SIGTERM);
    TEST(r->log, lead_wait(next) == 0 && !exists(arena_printf(r->a, "%s/lock", dir)), "resumed after kill -9: %s",
         slurp(r->a, PATH("next.err")));
}

// Two trainings at once on one new directory: one runs, one is refused.
static void check_race(const Runs *r)
{
    for (int i = 0; i < 3; i++) {
        const char *dir = PATH("race"), *args = arena_printf(r->a, "%s --steps 300 --out %s", r->common, dir);
        shell(r, arena_printf(r->a, "rm -rf %s", dir));
        const pid_t one = lead_start(r->log, r->a, PATH("one.out"), PATH("one.err"), args);
        const pid_t two = lead_start(r->log, r->a, PATH("two.out"), PATH("two.err"), args);
        const int a = lead_wait(one), b = lead_wait(two);
        TEST(r->log, a + b == 1 && a * b == 0, "two trainings in one directory: exit %d and %d, %s%s", a, b,
             slurp(r->a, PATH("one.err")), slurp(r->a, PATH("two.err")));
    }
}

static int open_and_close(void *dir)
{
    Arena *a = arena_new("child", (size_t)1 << 26, NULL);
    RunDirectory d;
    const Status s = run_directory_open(&d, dir, false, a);
    const int code = s.code ? 1 : d.note ? 2 : 0;
    if (!s.code) run_directory_close(&d);
    return code;
}

static void check_no_locks(const Runs *r)
{
    const char *dir = PATH("nolocks");
    const int with = fault_run(NULL, 0, open_and_close, (void *)(uintptr_t)dir);
    TEST(r->log, with == 0, "locks: %d", with);
    const Fault none = {SYS_flock, ENOLCK};
    const int without = fault_run(&none, 1, open_and_close, (void *)(uintptr_t)dir);
    if (without == FAULT_SKIP) test_skip(r->log, "no seccomp here: system calls cannot be made to fail");
    else TEST(r->log, without == 2, "a file system without locks is not said: %d", without);
    const Fault blind = {SYS_newfstatat, EIO};
    const int io = fault_run(&blind, 1, open_and_close, (void *)(uintptr_t)dir);
    if (io != FAULT_SKIP) TEST(r->log, io == 1, "a directory that cannot be looked into counts as new: %d", io);
}

// ---- what is there

static void check_not_new(const Runs *r)
{
    static const char *const names[] = {"checkpoint.safetensors", "best.safetensors", "final.safetensors",
                                        "checkpoint.safetensors.prev", "best.safetensors.prev", "model.safetensors",
                                        "adapter_model.safetensors"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const char *dir = PATH("taken"), *file = arena_printf(r->a, "%s/%s", dir, names[i]);
        shell(r, arena_printf(r->a, "rm -rf %s && mkdir %s", dir, dir));
        put(r, file, "something");
        const Ran a = lead_run(r->log, r->a, "%s --out %s", r->common, dir);
        const Ran b = lead_run(r->log, r->a, "gpt2 train --data %s --steps 1 --layers 1 --width 8 --heads 1 "
                               "--positions 16 --out %s", PATH("text"), dir);
        TEST(r->log, a.code == 1 && b.code == 1 && strstr(a.err, "holds") && strstr(b.err, "holds"),
             "%s is overwritten: exit %d and %d, %s%s", names[i], a.code, b.code, a.err, b.err);
        TEST(r->log, strcmp(slurp(r->a, file), "something") == 0 && !exists(arena_printf(r->a, "%s/log.jsonl", dir)) &&
                         !exists(arena_printf(r->a, "%s/lock", dir)), "%s: a refused run wrote something", names[i]);
    }
    // a link would have the run write elsewhere
    const char *dir = PATH("linked"), *other = PATH("other.txt");
    put(r, other, "mine");
    shell(r, arena_printf(r->a, "mkdir %s && ln -s %s %s/log.jsonl", dir, other, dir));
    const Ran l = lead_run(r->log, r->a, "%s --out %s", r->common, dir);
    TEST(r->log, l.code == 1 && strstr(l.err, "symbolic link") && !strcmp(slurp(r->a, other), "mine"),
         "a link in the directory: exit %d, %s", l.code, l.err);
}

// Temporary files: those of dead processes go, others and what is not ours stay.
static void check_temporaries(const Runs *r)
{
    const char *dir = PATH("temporary");
    const pid_t dead = fork();
    if (dead == 0) _exit(0);
    lead_wait(dead);
    const struct { const char *name; bool stays; } file[] = {
        {arena_printf(r->a, "best.safetensors.tmp%ld.0", (long)dead), false},
        {arena_printf(r->a, "checkpoint.safetensors.prev.tmp%ld.3", (long)dead), false},
        {arena_printf(r->a, "config.json.tmp%ld.0", (long)getpid()), true},      // alive
        {arena_printf(r->a, "notes.txt.tmp%ld.0", (long)dead), true},            // not of a run
        {arena_printf(r->a, "best.safetensors.tmp%ld", (long)dead), true},       // not our pattern
        {"best.safetensors.tmp", true}, {"best.safetensors.tmpx.0", true},
    };
    shell(r, arena_printf(r->a, "mkdir %s", dir));
    for (size_t i = 0; i < sizeof file / sizeof *file; i++)
        put(r, arena_printf(r->a, "%s/%s", dir, file[i].name), "x");
    const Ran t = lead_run(r->log, r->a, "%s --steps 2 --no-final --out %s", r->common, dir);
    TEST(r->log, t.code == 0, "exit %d, %s", t.code, t.err);
    for (size_t i = 0; i < sizeof file / sizeof *file; i++)
        TEST(r->log, exists(arena_printf(r->a, "%s/%s", dir, file[i].name)) == file[i].stays, "%s: stays %d",
             file[i].name, !file[i].stays);
}

// ---- damaged files

static void check_damage(const Runs *r)
{
    static const long where[] = {200, 5000, -9, -100000};
    // a flipped bit in the newest checkpoint: the one before it, and the same end
    const char *whole = copy_of(r, r->stopped);
    Ran w = lead_run(r->log, r->a, "train --keep-all --out %s --resume", whole);
    TEST(r->log, w.code == 0, "exit %d, %s", w.code, w.err);
    shell(r, arena_printf(r->a, "mv %s %s", whole, PATH("whole")));
    for (int i = 0; i < 6; i++) {   // flipped bits, cut short, gone
        const char *dir = copy_of(r, r->stopped), *newest = arena_printf(r->a, "%s/checkpoint.safetensors", dir);
        if (i < 4) flip_bit(r, newest, where[i]);
        else if (i == 4) TEST(r->log, truncate(newest, 5000) == 0, "cannot cut %s", newest);
        else unlink(newest);
        const Ran f = lead_run(r->log, r->a, "forecast --keep-all --data %s --model %s", r->data, newest);
        TEST(r->log, f.code == 0 && strstr(f.err, "note: ") && strstr(f.err, ".prev"),
             "damage %d, forecast: exit %d, %s", i, f.code, f.err);
        w = lead_run(r->log, r->a, "train --keep-all --out %s --resume", dir);
        TEST(r->log, w.code == 0 && strstr(w.err, ".prev"), "damage %d: exit %d, %s", i, w.code, w.err);
        for (int k = 0; k < 2; k++) {
            const char *name = k ? "final.safetensors" : "best.safetensors";
            TEST(r->log, same_tensors(r, arena_printf(r->a, "%s/%s", dir, name),
                                      arena_printf(r->a, "%s/%s", PATH("whole"), name)), "damage %d: another %s", i,
                 name);
        }
    }
    // with nothing before it: refused
    TEST(r->log, !exists(arena_printf(r->a, "%s/best.safetensors.prev", r->done)), "a finished run keeps its past");
    const char *single = PATH("single");
    w = lead_run(r->log, r->a, "%s --no-final --steps 30 --out %s", r->common, single);
    TEST(r->log, w.code == 0, "exit %d, %s", w.code, w.err);
    for (int i = 0; i < 4; i++) {
        const char *dir = copy_of(r, single), *best = arena_printf(r->a, "%s/best.safetensors", dir);
        flip_bit(r, best, where[i]);
        Ran e = lead_run(r->log, r->a, "eval --keep-all --data %s --stride 9 --model %s", r->data, dir);
        TEST(r->log, e.code == 0 && strstr(e.err, "best.safetensors.prev"), "exit %d, %s", e.code, e.err);
        unlink(arena_printf(r->a, "%s.prev", best));
        e = lead_run(r->log, r->a, "eval --keep-all --data %s --stride 9 --model %s", r->data, dir);
        TEST(r->log, e.code == 1 && strstr(e.err, "best.safetensors"), "a flipped bit at %ld: exit %d, %s", where[i],
             e.code, e.err);
    }
}

// ---- crafted files: no SHA-256, as of a version that stored none

typedef struct Craft { const char *meta, *value, *stat; int64_t at; double x; } Craft;

// Rewrites the file with one metadata value or one value of a tensor changed.
static void craft(const Runs *r, const char *path, Craft c)
{
    SafeFile f;
    const Status s = safetensors_open(&f, r->a, path);
    if (!TEST(r->log, !s.code, "%s", s.msg)) return;
    SafeMeta *meta = arena_alloc(r->a, (size_t)f.n_meta * sizeof *meta);
    SafeTensor *tensor = arena_alloc(r->a, (size_t)f.n_tensor * sizeof *tensor);
    int64_t n = 0, hits = 0;
    for (int64_t i = 0; i < f.n_meta; i++) {
        SafeMeta m = f.meta[i];
        if (strcmp(m.key, "lead.sha256") == 0) continue;
        if (strcmp(m.key, "lead.format") == 0) m.value = "checkpoint 1";
        if (c.meta && strcmp(m.key, c.meta) == 0) m.value = c.value, hits++;
        meta[n++] = m;
    }
    for (int64_t i = 0; i < f.n_tensor; i++) {
        SafeTensor *t = &tensor[i];
        *t = f.tensor[i];
        if (!c.stat || strcmp(t->name, c.stat) || c.at >= t->count) continue;
        double *x = arena_alloc(r->a, (size_t)t->count * sizeof *x);
        safetensors_read_f64(x, t);
        x[c.at] = c.x;
        t->type = SAFE_F64;
        t->data = x;
        hits++;
    }
    const char *to = arena_printf(r->a, "%s.new", path);
    const Status w = safetensors_write(to, tensor, f.n_tensor, meta, n, false, r->a);
    safetensors_close(&f);
    TEST(r->log, !w.code && hits == 1 && rename(to, path) == 0, "%s: %lld places changed; %s",
         c.meta ? c.meta : c.stat, (long long)hits, w.msg);
}

static void check_numbers(const Runs *r)
{
    static const struct { const char *key, *value; } bad[] = {
        {"lead.step", "-1"}, {"lead.step", "abc"}, {"lead.step", "9e18"}, {"lead.step", "nan"}, {"lead.step", ""},
        {"lead.step", "9223372036854775807"}, {"lead.step", "99999999999999999999"}, {"lead.step", "31"},
        {"lead.step", "3 4"}, {"lead.step", "3.5"},
        {"lead.total", "-1"}, {"lead.total", "abc"}, {"lead.total", "9e18"}, {"lead.total", "31"},
        {"lead.total", "9223372036854775807"},
        {"lead.validation", "1 2"}, {"lead.validation", "-1 0 0"}, {"lead.validation", "99 0 0"},
        {"lead.validation", "0 0 9223372036854775807"}, {"lead.validation", "0 29 0"}, {"lead.validation", "0 0 0 0"},
        {"lead.schedule", "-5 0"}, {"lead.schedule", "9e18 0"}, {"lead.schedule", "0 99"}, {"lead.schedule", "x"},
        {"lead.schedule_done", "nan"}, {"lead.schedule_done", "2"}, {"lead.schedule_done", "-1e300"},
        {"lead.schedule_done", "0x"},
        {"lead.best_val", "nan"}, {"lead.best_val", "abc"}, {"lead.best_val", "-inf"}, {"lead.best_val", ""},
        {"lead.smooth_loss", "nan"}, {"lead.smooth_loss", "inf"}, {"lead.smooth_loss", "1.0 2"},
        {"lead.rows", "0 0 0 0"}, {"lead.rows", "9 1 2 3"}, {"lead.rows", "-5 224 224 272"},
        {"lead.rows", "0 9223372036854775807 9223372036854775807 9223372036854775807"}, {"lead.rows", "0 224"},
        {"lead.final_rows", "5 1"}, {"lead.final_rows", "nan nan"}, {"lead.final_rows", "0 99999999999999999999"},
        {"lead.fit", ""}, {"lead.fit", "finals"}, {"lead.format", "checkpoint 3"}, {"lead.format", ""},
        {"lead.config", "["}, {"lead.config", "{\"agg_heads\": 7}"}, {"lead.config", "{\"batch\": -1}"},
        {"lead.config", "{\"unet_base\": 1e300}"}, {"lead.llm_sha256", ""}, {"lead.data_sha256", "0"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (r->log->quick && i % 5) continue;
        const char *dir = copy_of(r, r->stopped);
        unlink(arena_printf(r->a, "%s/checkpoint.safetensors.prev", dir));
        craft(r, arena_printf(r->a, "%s/checkpoint.safetensors", dir),
              (Craft){.meta = bad[i].key, .value = bad[i].value});
        const Ran t = lead_run(r->log, r->a, "train --keep-all --out %s --resume --data %s", dir, r->data);
        const bool named = strstr(t.err, bad[i].key) || !strncmp(bad[i].key, "lead.llm", 8) ||
                           !strncmp(bad[i].key, "lead.data", 9) || !strncmp(bad[i].key, "lead.config", 11);
        TEST(r->log, t.code == 1 && named && strstr(t.err, "checkpoint.safetensors"), "%s = '%s': exit %d, %s",
             bad[i].key, bad[i].value, t.code, t.err);
    }
    // untouched but for the SHA-256: goes on, and says that damage could not be told
    const char *dir = copy_of(r, r->stopped);
    craft(r, arena_printf(r->a, "%s/checkpoint.safetensors", dir), (Craft){.meta = "lead.data", .value = "elsewhere"});
    const Ran t = lead_run(r->log, r->a, "%s --calibrate false --steps 30 --out %s --resume", r->common, dir);
    TEST(r->log, t.code == 0 && strstr(t.err, "note: ") && strstr(t.err, "SHA-256"), "exit %d, %s", t.code, t.err);
}

// Every statistic, with every kind of value that no fit gives: refused, or at least a finite forecast.
static void check_statistics(const Runs *r)
{
    static const double values[] = {NAN, 1e300, -1, 1e30};
    static const struct { const char *stat; int64_t at; double x; } refused[] = {
        {"stat.sigma", 3, 0}, {"stat.sigma", 0, -1}, {"stat.gamma", 1, -2}, {"stat.gamma", 0, 0}, {"stat.std", 0, 0},
        {"stat.calibration.spread", 0, -1}, {"stat.calibration.spread", 1, 1e9}, {"stat.calibration.fallback", 0, 99},
        {"stat.calibration.fallback", 0, 1.5}, {"stat.calibration.head_weight", 0, 7}, {"stat.head", 0, 1024},
        {"stat.head", 0, 4.5}, {"stat.head", 1, 9}, {"stat.head", 2, 7}, {"stat.head", 3, 64}, {"stat.head", 4, 1e6},
        {"stat.low", 0, 5}, {"stat.high", 0, -5}, {"stat.slot_means", 1, 9}, {"stat.slot_means", 2, 8},
        {"stat.slot_means", 0, 25}, {"stat.slot_means", 4, 1e20}, {"stat.scale", 0, 2}, {"stat.scale", 6, -1},
        {"stat.mean", 0, -1e20}};
    SafeFile f;
    const Status s = safetensors_open(&f, r->a, arena_printf(r->a, "%s/best.safetensors", r->done));
    if (!TEST(r->log, !s.code, "%s", s.msg)) return;
    int tried = 0, kinds = 0;
    for (int64_t i = 0; i < f.n_tensor; i++) {
        const bool weight = strncmp(f.tensor[i].name, "stat.", 5) != 0;
        if (weight && kinds++ % 97) continue;
        for (int k = 0; k < 4 && !(r->log->quick && k > 1); k++) {
            const char *dir = copy_of(r, r->done);
            const Craft c = {.stat = f.tensor[i].name, .at = f.tensor[i].count / 2, .x = values[k]};
            shell(r, arena_printf(r->a, "rm -f %s/*.prev %s/final.safetensors", dir, dir));
            craft(r, arena_printf(r->a, "%s/best.safetensors", dir), c);
            const Ran t = lead_run(r->log, r->a, "forecast --keep-all --data %s --model %s", r->data, dir);
            TEST(r->log, t.code == 1 || (t.code == 0 && k > 1 && !strstr(t.out, "nan") && !strstr(t.out, "inf")),
                 "%s = %g: exit %d, %s", c.stat, c.x, t.code, t.err);
            tried++;
        }
    }
    safetensors_close(&f);
    TEST(r->log, tried >= 20, "%d values tried", tried);
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
        const char *dir = copy_of(r, r->done), *name = strchr(refused[i].stat, '.') + 1;
        shell(r, arena_printf(r->a, "rm -f %s/*.prev %s/final.safetensors", dir, dir));
        craft(r, arena_printf(r->a, "%s/best.safetensors", dir),
              (Craft){.stat = refused[i].stat, .at = refused[i].at, .x = refused[i].x});
        const Ran t = lead_run(r->log, r->a, "forecast --keep-all --data %s --model %s", r->data, dir);
        const char *spaced = strcmp(name, "slot_means") ? name : "slot means";
        TEST(r->log, t.code == 1 && (strstr(t.err, name) || strstr(t.err, spaced) || !strcmp(name, "head")),
             "%s[%lld] = %g: exit %d, %s", refused[i].stat, (long long)refused[i].at, refused[i].x, t.code, t.err);
    }
}

static void check_gpt2(const Runs *r)
{
    static const char *const bad[] = {"-1", "abc", "9e18", "nan", "7", "", "2 3", "9223372036854775807"};
    const char *dir = PATH("gpt2"), *common = arena_printf(r->a, "gpt2 train --data %s --steps 6 --batch 1 --context 8 "
                                                           "--layers 1 --width 8 --heads 1 --positions 16",
                                                           PATH("text"));
    Ran t = lead_run(r->log, r->a, "%s --stop-after 3 --checkpoint-seconds 0 --out %s", common, dir);
    TEST(r->log, t.code == 0, "exit %d, %s", t.code, t.err);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *copy = copy_of(r, dir);
        unlink(arena_printf(r->a, "%s/checkpoint.safetensors.prev", copy));
        craft(r, arena_printf(r->a, "%s/checkpoint.safetensors", copy), (Craft){.meta = "gpt2.step", .value = bad[i]});
        t = lead_run(r->log, r->a, "%s --out %s --resume", common, copy);
        TEST(r->log, t.code == 1 && strstr(t.err, "gpt2.step"), "gpt2.step = '%s': exit %d, %s", bad[i], t.code, t.err);
    }
    // damaged: the one before it, the same end
    const char *whole = copy_of(r, dir);
    t = lead_run(r->log, r->a, "%s --out %s --resume", common, whole);
    TEST(r->log, t.code == 0, "exit %d, %s", t.code, t.err);
    shell(r, arena_printf(r->a, "mv %s %s", whole, PATH("gpt2whole")));
    const char *copy = copy_of(r, dir);
    flip_bit(r, arena_printf(r->a, "%s/checkpoint.safetensors", copy), -50);
    t = lead_run(r->log, r->a, "%s --out %s --resume", common, copy);
    TEST(r->log, t.code == 0 && strstr(t.err, ".prev"), "damaged: exit %d, %s", t.code, t.err);
    TEST(r->log, same_tensors(r, arena_printf(r->a, "%s/checkpoint.safetensors", copy),
                              arena_printf(r->a, "%s/checkpoint.safetensors", PATH("gpt2whole"))),
         "resumed from the previous checkpoint: another end");
    // one writer
    const char *busy = PATH("gpt2busy");
    const pid_t pid = lead_start(r->log, r->a, PATH("busy.out"), PATH("busy.err"),
                                 arena_printf(r->a, "%s --steps 100000000 --out %s", common, busy));
    for (int i = 0; i < 3000 && !exists(arena_printf(r->a, "%s/log.jsonl", busy)); i++) usleep(10000);
    t = lead_run(r->log, r->a, "%s --out %s", common, busy);
    TEST(r->log, t.code == 1 && strstr(t.err, arena_printf(r->a, "process %ld on ", (long)pid)),
         "a second gpt2 train: exit %d, %s", t.code, t.err);
    kill(pid, SIGKILL);
    lead_wait(pid);
}

// ---- files without hard links, logs on a full disk

static int write_versions(void *path)
{
    Arena *a = arena_new("child", (size_t)1 << 26, NULL);
    const float one = 1, two = 2;
    const int64_t n = 1;
    SafeTensor t = {.name = "x", .type = SAFE_F32, .n_dim = 1, .shape = &n, .data = &one};
    if (safetensors_write(path, &t, 1, NULL, 0, true, a).code) return 1;
    t.data = &two;
    if (safetensors_write(path, &t, 1, NULL, 0, true, a).code) return 2;
    SafeFile f, g;
    float x = 0, y = 0;
    if (safetensors_open(&f, a, path).code || safetensors_open(&g, a, arena_printf(a, "%s.prev", (char *)path)).code)
        return 3;
    safetensors_read_f32(&x, f.tensor);
    safetensors_read_f32(&y, g.tensor);
    return x == two && y == one ? 0 : 4;
}

static void check_no_links(const Runs *r)
{
    const Fault none[] = {{SYS_link, EPERM}, {SYS_linkat, EPERM}};
    const int code = fault_run(none, 2, write_versions, (void *)(uintptr_t)PATH("version.safetensors"));
    if (code != FAULT_SKIP) TEST(r->log, code == 0, "no hard links: %d", code);
    // .. and at no moment is there no file: the rename of the old one away from its name is not among the calls
    const Fault both[] = {{SYS_link, EPERM}, {SYS_linkat, EPERM}, {SYS_rename, EIO}};
    const int failed = fault_run(both, 3, write_versions, (void *)(uintptr_t)PATH("version.safetensors"));
    if (failed != FAULT_SKIP)
        TEST(r->log, failed == 1 && exists(PATH("version.safetensors")), "a failed rename: %d", failed);
}

static int fill_log(void *dir)
{
    Arena *a = arena_new("child", (size_t)1 << 26, NULL);
    RunLog log;
    signal(SIGXFSZ, SIG_IGN);
    if (run_log_open(&log, dir, true, a).code) return 1;
    const struct rlimit most = {1000, 1000};
    setrlimit(RLIMIT_FSIZE, &most);
    for (int i = 0; i < 100; i++)
        if (run_log_line(&log, "{\"a line\":\"of a log that does not fit\"}\n").code) return i > 10 ? 0 : 2;
    return 3;
}

static void check_log(const Runs *r)
{
    const char *dir = PATH("log"), *path = arena_printf(r->a, "%s/log.jsonl", dir);
    shell(r, arena_printf(r->a, "mkdir %s", dir));
    put(r, path, "{\"whole\":1}\n{\"cut o");
    const int code = fault_run(NULL, 0, fill_log, (void *)(uintptr_t)dir);
    const char *text = slurp(r->a, path);
    const size_t n = strlen(text);
    TEST(r->log, code == 0 && n > 500 && text[n - 1] == '\n' && !strstr(text, "cut o") && strstr(text, "\"whole\""),
         "a full disk: %d, the log ends in '%s'", code, n > 20 ? text + n - 20 : text);
}

// lead itself, with system calls that fail.
typedef struct Exec { const Runs *r; const char *args; } Exec;

static int exec_lead(void *ctx)
{
    const Exec *e = ctx;
    return lead_wait(lead_start(e->r->log, e->r->a, arena_printf(e->r->a, "%s/exec.out", e->r->log->tmp),
                                arena_printf(e->r->a, "%s/exec.err", e->r->log->tmp), e->args));
}

static void check_file_system(const Runs *r)
{
    const char *dir = PATH("plain");
    Exec e = {r, arena_printf(r->a, "%s --calibrate false --steps 30 --checkpoint-seconds 1e-9 --out %s", r->common,
                              dir)};
    const Fault none[] = {{SYS_link, EPERM}, {SYS_linkat, EPERM}, {SYS_flock, ENOSYS}};
    int code = fault_run(none, 3, exec_lead, &e);
    if (code == FAULT_SKIP) return;
    TEST(r->log, code == 0 && strstr(slurp(r->a, PATH("exec.err")), "no lock to be had"),
         "neither links nor locks: exit %d, %s", code, slurp(r->a, PATH("exec.err")));
    for (int k = 0; k < 2; k++) {
        const char *name = k ? "final.safetensors" : "best.safetensors";
        TEST(r->log,
             same_tensors(r, arena_printf(r->a, "%s/%s", dir, name), arena_printf(r->a, "%s/%s", r->done, name)),
             "neither links nor locks: another %s", name);
    }
    // a disk that cannot take a checkpoint: said, and nothing half-written stays
    e.args = arena_printf(r->a, "%s --calibrate false --steps 30 --out %s", r->common, PATH("nospace"));
    const Fault full = {SYS_fsync, ENOSPC};
    code = fault_run(&full, 1, exec_lead, &e);
    TEST(r->log, code == 1 && strstr(slurp(r->a, PATH("exec.err")), "No space left"), "a full disk: exit %d, %s", code,
         slurp(r->a, PATH("exec.err")));
    TEST(r->log, system(arena_printf(r->a, "ls %s/*.tmp* 2>/dev/null | grep -q .", PATH("nospace"))) != 0,
         "a temporary file is left");
}

// Every file smaller than a checkpoint: SIGXFSZ would end the process without a word.
static int exec_small(void *ctx)
{
    const struct rlimit most = {100000, 100000};
    setrlimit(RLIMIT_FSIZE, &most);
    return exec_lead(ctx);
}

// 64 MB of addresses; a stack of 64 KB, which the program may raise, or not.
static int exec_narrow(void *ctx)
{
    const struct rlimit most = {64 << 20, 64 << 20};
    return setrlimit(RLIMIT_AS, &most) ? 97 : exec_lead(ctx);
}

static int exec_shallow(void *ctx)
{
    struct rlimit most;
    if (getrlimit(RLIMIT_STACK, &most)) return 97;
    most.rlim_cur = 64 << 10;
    return setrlimit(RLIMIT_STACK, &most) ? 97 : exec_lead(ctx);
}

static int exec_shallow_for_good(void *ctx)
{
    const struct rlimit most = {64 << 10, 64 << 10};
    return setrlimit(RLIMIT_STACK, &most) ? 97 : exec_lead(ctx);
}

static int exec_closed(void *ctx)
{
    const Exec *e = ctx;
    char *argv[64] = {(char *)(uintptr_t)e->r->log->lead}, *save, *args = arena_printf(e->r->a, "%s", e->args);
    int n = 1;
    for (char *w = strtok_r(args, " ", &save); w && n < 63; w = strtok_r(NULL, " ", &save)) argv[n++] = w;
    close(0), close(1), close(2);
    execv(e->r->log->lead, argv);
    return 98;
}

static void check_limits(const Runs *r)
{
    Exec e = {r, arena_printf(r->a, "%s --calibrate false --steps 30 --out %s", r->common, PATH("small"))};
    const int code = fault_run(NULL, 0, exec_small, &e);
    TEST(r->log, code == 1 && strstr(slurp(r->a, PATH("exec.err")), "File too large"), "a limit of size: exit %d, %s",
         code, slurp(r->a, PATH("exec.err")));
    e.args = "info";
    TEST(r->log, fault_run(NULL, 0, exec_narrow, &e) == 0, "info in 64 MB of address space: %s",
         slurp(r->a, PATH("exec.err")));
    e.args = arena_printf(r->a, "forecast --keep-all --model ridge --threads 2 --data %s", r->data);
    TEST(r->log, fault_run(NULL, 0, exec_shallow, &e) == 0, "a small stack that may grow: %s",
         slurp(r->a, PATH("exec.err")));
    const int shallow = fault_run(NULL, 0, exec_shallow_for_good, &e);   // 0: it had the right to raise it
    TEST(r->log, shallow == 0 || (shallow == 1 && strstr(slurp(r->a, PATH("exec.err")), "stack: want at least")),
         "a small stack: exit %d, %s", shallow, slurp(r->a, PATH("exec.err")));
    e.args = arena_printf(r->a, "%s --calibrate false --steps 30 --checkpoint-seconds 1e-9 --out %s", r->common,
                          PATH("closed"));
    const int closed = fault_run(NULL, 0, exec_closed, &e);
    const char *log = slurp(r->a, PATH("closed/log.jsonl"));
    long lines = 0, odd = 0;
    for (const char *p = log; *p && strchr(p, '\n'); p = strchr(p, '\n') + 1, lines++) odd += *p != '{';
    TEST(r->log, closed == 0 && lines > 5 && odd == 0,
         "closed descriptors: exit %d, %ld of %ld lines of the log are odd", closed, odd, lines);
    TEST(r->log, same_tensors(r, PATH("closed/final.safetensors"), arena_printf(r->a, "%s/final.safetensors", r->done)),
         "closed descriptors: another result");
    e.args = arena_printf(r->a, "forecast --keep-all --data %s --model %s", r->data, r->done);
    TEST(r->log, fault_run(NULL, 0, exec_closed, &e) == 1, "a forecast to a closed stdout counts as done");
}

static void check_hangup(const Runs *r)
{
    const char *dir = PATH("hangup");
    const pid_t pid = start_endless(r, dir, "");
    const char *environ_of = slurp_any(r->a, arena_printf(r->a, "/proc/%ld/environ", (long)pid));
    TEST(r->log, strstr(environ_of, "OMP_WAIT_POLICY=passive") != NULL, "threads spin while they wait");
    kill(pid, SIGHUP);
    TEST(r->log, lead_wait(pid) == 0 && strstr(slurp(r->a, PATH("endless.err")), "--resume"), "a hangup: %s",
         slurp(r->a, PATH("endless.err")));
}

// Killed in the final fit: at no moment is there no run to forecast and score with, and it ends as if never stopped.
static void check_final_kill(const Runs *r)
{
    const char *dir = PATH("finalkill"), *log = arena_printf(r->a, "%s/log.jsonl", dir);
    const char *args = arena_printf(r->a, "%s --calibrate false --steps 150 --checkpoint-seconds 1e-9", r->common);
    const pid_t pid = lead_start(r->log, r->a, PATH("fk.out"), PATH("fk.err"), arena_printf(r->a, "%s --out %s", args,
                                                                                            dir));
    const char *best = arena_printf(r->a, "%s/best.safetensors", dir);
    int seen = 0, missing = 0;
    for (int i = 0; i < 200000 && seen < 400; i++) {
        const size_t mark = arena_mark(r->a);
        const bool fitting = strstr(slurp(r->a, log), "\"ended\":\"train\"");
        arena_rewind(r->a, mark);
        if (fitting) seen++, missing += !exists(best);
        usleep(fitting ? 200 : 2000);
    }
    kill(pid, SIGKILL);
    TEST(r->log, lead_wait(pid) == 128 + SIGKILL && seen == 400 && missing == 0,
         "best.safetensors is missing at %d of %d moments of the final fit; %s", missing, seen,
         slurp(r->a, PATH("fk.err")));
    const Ran f = lead_run(r->log, r->a, "forecast --keep-all --data %s --model %s", r->data, dir);
    TEST(r->log, f.code == 0, "forecast after a kill in the final fit: exit %d, %s", f.code, f.err);
    const Ran rest = lead_run(r->log, r->a, "train --keep-all --out %s --resume", dir);
    const Ran whole = lead_run(r->log, r->a, "%s --out %s", args, PATH("finalwhole"));
    TEST(r->log, rest.code == 0 && whole.code == 0, "exit %d, %s; exit %d, %s", rest.code, rest.err, whole.code,
         whole.err);
    TEST(r->log, same_tensors(r, arena_printf(r->a, "%s/final.safetensors", dir), PATH("finalwhole/final.safetensors")),
         "killed in the final fit and resumed: another end");
}

// ---- updates and other machines

static void check_update(const Runs *r)
{
    const char *grown = PATH("grown/d.npy"), *from = PATH("from"), *up = PATH("up"), *straight = PATH("straight");
    shell(r, arena_printf(r->a, "cp -r %s %s && mkdir %s %s", r->done, from, PATH("grown"), PATH("others")));
    Ran t = lead_run(r->log, r->a, "data synth --nodes 4 --days 44 --slot-seconds 10800 --out %s", grown);
    TEST(r->log, t.code == 0, "exit %d, %s", t.code, t.err);
    const char *common = arena_printf(r->a, "train --keep-all --data %s --steps 12 --update", grown);
    t = lead_run(r->log, r->a, "%s %s --out %s", common, from, straight);
    TEST(r->log, t.code == 0 && strstr(t.err, "at most 12 steps"), "exit %d, %s", t.code, t.err);
    TEST(r->log, !exists(arena_printf(r->a, "%s/start.safetensors", straight)) &&
                     !exists(arena_printf(r->a, "%s/start-final.safetensors", straight)), "the start is left behind");
    // stopped in its first fit; what it began with goes
    const pid_t pid = start_endless(r, up, arena_printf(r->a, "--calibrate false --update %s --data %s", from, grown));
    kill(pid, SIGKILL);
    lead_wait(pid);
    shell(r, arena_printf(r->a, "rm -rf %s", from));
    const pid_t rest = lead_start(r->log, r->a, PATH("rest.out"), PATH("rest.err"),
                                  arena_printf(r->a, "train --keep-all --out %s --resume", up));
    usleep(500000);
    kill(rest, SIGTERM);
    TEST(r->log, lead_wait(rest) == 0, "an update resumed without its run: %s", slurp(r->a, PATH("rest.err")));
    // a log that cannot be opened: nothing was begun, and what the update would begin with goes
    const char *none = PATH("nolog");
    shell(r, arena_printf(r->a, "mkdir -p %s/log.jsonl", none));
    t = lead_run(r->log, r->a, "%s %s --out %s", common, r->done, none);
    TEST(r->log, t.code == 1 && strstr(t.err, "log.jsonl: cannot write"), "no log: exit %d, %s", t.code, t.err);
    shell(r, arena_printf(r->a, "! ls %s | grep start", none));
    // other traffic
    const char *other = PATH("others/d.npy");
    t = lead_run(r->log, r->a, "data synth --seed 9 --nodes 4 --days 44 --slot-seconds 10800 --out %s", other);
    TEST(r->log, t.code == 0, "exit %d, %s", t.code, t.err);
    t = lead_run(r->log, r->a, "train --keep-all --data %s --update %s --out %s", other, r->done, PATH("no"));
    TEST(r->log, t.code == 1 && strstr(t.err, "grown by new rows") && !exists(PATH("no")),
         "an update on other traffic: exit %d, %s", t.code, t.err);
}

static void check_bits(const Runs *r)
{
    static const char *const other[] = {"--isa scalar", "--exact"};
    for (int i = 0; i < 2; i++) {
        const char *dir = copy_of(r, r->stopped);
        Ran t = lead_run(r->log, r->a, "train --keep-all --out %s --resume %s", dir, other[i]);
        TEST(r->log, t.code == 1 && strstr(t.err, "--allow-other-bits"), "%s: exit %d, %s", other[i], t.code, t.err);
        t = lead_run(r->log, r->a, "train --keep-all --out %s --resume %s --allow-other-bits", dir, other[i]);
        TEST(r->log, t.code == 0, "%s: exit %d, %s", other[i], t.code, t.err);
    }
    const char *dir = copy_of(r, r->stopped);
    const Ran t = lead_run(r->log, r->a, "train --keep-all --out %s --resume --threads 2", dir);
    TEST(r->log, t.code == 0, "threads do not matter: exit %d, %s", t.code, t.err);
}

// An output never takes the place of an input, under whatever name, and what was there stays.
static void check_outputs(const Runs *r)
{
    const char *link = PATH("link.csv"), *best = arena_printf(r->a, "%s/best.safetensors", r->done);
    const char *times = PATH("times.npy");
    shell(r, arena_printf(r->a, "ln -sf %s %s", r->data, link));
    const struct { const char *args, *want; } bad[] = {
        {arena_printf(r->a, "forecast --model %s --data %s --out %s", r->done, r->data, r->data), "--data"},
        {arena_printf(r->a, "forecast --model %s --data %s --out %s", r->done, r->data, link), "--data"},
        {arena_printf(r->a, "forecast --model %s --data %s --out %s", r->done, r->data, times), "times"},
        {arena_printf(r->a, "forecast --model %s --data %s --out %s", r->done, r->data, best), "weights"},
        {arena_printf(r->a, "eval --naive-only --data %s --out %s", r->data, r->data), "--data"},
        {arena_printf(r->a, "eval --naive-only --data %s --png %s", r->data, best), "weights"},
        {arena_printf(r->a, "eval --naive-only --data %s --windows-out %s", r->data, link), "--data"},
        {arena_printf(r->a, "eval --data %s --also mine=x,yours=%s --out %s", r->data, PATH("text"), PATH("text")),
         "--also"},
        {arena_printf(r->a, "ops --manifest %s", best), "weights"},
        {arena_printf(r->a, "data render %s --out %s", r->data, link), "read"},
        {arena_printf(r->a, "ops --manifest %s/log.jsonl", r->done), "run"},
        {arena_printf(r->a, "eval --naive-only --data %s --out - --png -", r->data), "--png"},
    };
    Sha256Hex before[3], after[3];
    const char *kept[3] = {r->data, times, best};
    for (int i = 0; i < 3; i++) before[i] = hash_of(r, kept[i]);
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const Ran t = lead_run(r->log, r->a, "%s", bad[i].args);
        TEST(r->log, t.code == 2 && strstr(t.err, bad[i].want), "%s: exit %d, %s", bad[i].args, t.code, t.err);
    }
    for (int i = 0; i < 3; i++) {
        after[i] = hash_of(r, kept[i]);
        TEST(r->log, strcmp(before[i].s, after[i].s) == 0, "%s was changed", kept[i]);
    }
    // a picture that cannot be drawn: no table either, and no picture without its table
    const char *table = PATH("table.tsv"), *picture = PATH("picture.png");
    Ran t = lead_run(r->log, r->a, "eval --naive-only --keep-all --stride 5 --data %s --out %s --png /proc/x.png",
                     r->data, table);
    TEST(r->log, t.code == 1 && !exists(table), "a table without its picture: exit %d, %s", t.code, t.err);
    t = lead_run(r->log, r->a, "eval --naive-only --keep-all --stride 5 --data %s --out /proc/x.tsv --png %s", r->data,
                 picture);
    TEST(r->log, t.code == 1 && !exists(picture), "a picture without its table: exit %d, %s", t.code, t.err);
}

// A seasonal forecast from a series that does not reach back so far says what it is.
static void check_short(const Runs *r)
{
    const char *brief = PATH("brief/x.npy");
    shell(r, arena_printf(r->a, "mkdir %s", PATH("brief")));
    NpyArray d;
    const Status s = npy_read(&d, r->a, r->data);
    const int64_t rows = 40;   // five days
    if (!TEST(r->log, !s.code, "%s", s.msg)) return;
    const Status w = npy_write(brief, "<f4", (const int64_t[]){rows, 4, 4}, 3, d.data);
    TEST(r->log, !w.code, "%s", w.msg);
    const struct { const char *model; int slot; const char *want; } try[] = {
        {"lastweek", 10800, "for 16 of 20 steps, which equal yesterday"}, {"yesterday", 10800, NULL},
        {"lastweek", 300, "for 20 of 20 steps, which equal yesterday"},
        {"yesterday", 300, "for 20 of 20 steps, which equal persistence"}, {"persistence", 300, NULL}};
    for (size_t i = 0; i < sizeof try / sizeof *try; i++) {
        const Ran t = lead_run(r->log, r->a, "forecast --keep-all --slot-seconds %d --data %s --model %s", try[i].slot,
                               brief, try[i].model);
        TEST(r->log, t.code == 0 && (try[i].want ? strstr(t.err, try[i].want) != NULL : !strstr(t.err, "note")),
             "%s on 40 slots of %d s: exit %d, %s", try[i].model, try[i].slot, t.code, t.err);
    }
}

// Names that no checkpoint can hold are refused before the first step.
static void check_names(const Runs *r)
{
    const char *odd = PATH("odd.csv");
    FILE *f = fopen(odd, "w");
    if (f) fprintf(f, "time,source,destination,kbps\n");
    for (int t = 0; f && t < 480; t++)
        fprintf(f, "2024-01-%02d %02d:00,a\x1b[31m,b,%d\n2024-01-%02d %02d:00,b,a\x1b[31m,%d\n", 1 + t / 24, t % 24, t,
                1 + t / 24, t % 24, 2 * t);
    TEST(r->log, f && fclose(f) == 0, "cannot write %s", odd);
    const Ran shown = lead_run(r->log, r->a, "forecast --model ridge --horizon 2 --data %s", odd);
    TEST(r->log, shown.code == 0 && !strchr(shown.out, 27) && strstr(shown.out, "a\\x1B[31m") && !strchr(shown.err, 27),
         "an escape sequence in a node's name: exit %d, %s%s", shown.code, shown.out, shown.err);
    const char *latin = PATH("d\xE9.npy");
    shell(r, arena_printf(r->a, "cp %s '%s'", r->data, latin));
    Ran t = lead_run(r->log, r->a, "train --keep-all --config tiny --llm %s --data %s --out %s", r->llm, latin,
                     PATH("names"));
    TEST(r->log, t.code == 1 && strstr(t.err, "UTF-8") && !strstr(t.err, "loss") && !exists(PATH("names")),
         "a name that is not UTF-8: exit %d, %s", t.code, t.err);
}

void test_runs(TestLog *log)
{
    unsetenv("OMP_WAIT_POLICY");   // the program sets it itself
    Runs runs = {.log = log, .a = arena_new("runs", (size_t)1 << 32, NULL)}, *r = &runs;
    CHECK(r->a, "no address space");
    r->llm = tiny_llm(log, r->a);
    r->data = PATH("d.npy"), r->stopped = PATH("stopped"), r->done = PATH("done");
    r->common = arena_printf(r->a, "train --keep-all --config tiny --llm %s --data %s", r->llm, r->data);
    Ran t = lead_run(log, r->a, "data synth --nodes 4 --days 40 --slot-seconds 10800 --out %s", r->data);
    TEST(log, t.code == 0, "exit %d, %s", t.code, t.err);
    put(r, PATH("text"), "the quick brown fox jumps over the lazy dog, again and again, until the text is long enough");
    // two copies of a run: stopped after two checkpoints, finished
    const char *args = arena_printf(r->a, "%s --calibrate false --steps 30 --checkpoint-seconds 1e-9", r->common);
    const pid_t pid = lead_start(log, r->a, PATH("first.out"), PATH("first.err"),
                                 arena_printf(r->a, "%s --out %s", args, r->stopped));
    for (int i = 0; i < 60000 && !exists(arena_printf(r->a, "%s/checkpoint.safetensors.prev", r->stopped)); i++)
        usleep(1000);
    kill(pid, SIGTERM);
    TEST(log, lead_wait(pid) == 0 && exists(arena_printf(r->a, "%s/checkpoint.safetensors", r->stopped)),
         "stopped: %s", slurp(r->a, PATH("first.err")));
    t = lead_run(log, r->a, "%s --out %s", args, r->done);
    TEST(log, t.code == 0, "exit %d, %s", t.code, t.err);
    check_not_new(r);
    check_temporaries(r);
    check_damage(r);
    check_numbers(r);
    check_statistics(r);
    check_gpt2(r);
    check_bits(r);
    check_names(r);
    check_outputs(r);
    check_short(r);
    if (log->quick) test_skip(log, "skipped in a quick run: locks, kills, faults of the file system, updates");
    else {
        check_lock(r);
        check_race(r);
        check_no_locks(r);
        check_no_links(r);
        check_log(r);
        check_file_system(r);
        check_limits(r);
        check_hangup(r);
        check_final_kill(r);
        check_update(r);
    }
    arena_delete(r->a);
}
