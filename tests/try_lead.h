// A command of lead and everything that it leaves: exit status, stdout, stderr and the files below its directory.
// In commands % stands for the test's directory and @ for the one where a command writes.
#ifndef LEAD_TESTS_TRY_LEAD_H
#define LEAD_TESTS_TRY_LEAD_H

#include <dirent.h>
#include <sys/stat.h>

#include "io/file.h"
#include "lead_world.h"
#include "run_lead.h"
#include "tensor/clock.h"

enum { TRY_FILES = 64, TRY_SECONDS = 60 };

typedef struct Made { const char *name, *bytes; size_t n; } Made;
typedef struct Result { int code; const char *out, *err; Made made[TRY_FILES]; int n; } Result;

static inline const char *try_expand(TestLog *log, Arena *a, const char *dir, const char *text)
{
    char *out = arena_zalloc(a, strlen(text) + 16 * strlen(dir) + 1), *to = out;
    for (; *text; text++)
        if (*text == '%') to = stpcpy(to, log->tmp);
        else if (*text == '@') to = stpcpy(to, dir);
        else *to++ = *text;
    return out;
}

// Adds the files below dir to r->made, with their paths from there after `prefix`.
static inline void try_collect(Result *r, Arena *a, const char *dir, const char *prefix)
{
    DIR *d = opendir(dir);
    for (struct dirent *e; d && (e = readdir(d));) {
        struct stat st;
        const char *path = arena_printf(a, "%s/%s", dir, e->d_name), *name = arena_printf(a, "%s%s", prefix, e->d_name);
        if (!strcmp(e->d_name, ".") || !strcmp(e->d_name, "..") || lstat(path, &st) || r->n == TRY_FILES) continue;
        if (S_ISDIR(st.st_mode)) try_collect(r, a, path, arena_printf(a, "%s/", name));
        else {
            FileMap m;
            char *bytes = arena_zalloc(a, (size_t)st.st_size + 1);
            if (!file_map(&m, path).code) memcpy(bytes, m.data, m.size);
            file_unmap(&m);
            r->made[r->n++] = (Made){name, bytes, (size_t)st.st_size};
        }
    }
    if (d) closedir(d);
}

// Waits for at most a minute; what goes on for longer is ended and counts as 128 + SIGKILL.
static inline int try_wait(pid_t pid)
{
    int status = 0;
    const double start = clock_seconds();
    while (waitpid(pid, &status, WNOHANG) == 0) {
        if (clock_seconds() - start > TRY_SECONDS) kill(pid, SIGKILL);
        usleep(500);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static inline bool ends_in(const char *name, const char *end)
{
    const size_t n = strlen(name), m = strlen(end);
    return n >= m && !strcmp(name + n - m, end);
}

// What tests of whole verbs start from, below log->tmp: llm, gpt2 (with tokens in tok) and its lora; d/x.npy,
// long/x.npy (the same, grown), x.npz and holes.npz of it, x.csv; net.csv, a network; p.npy, paths; run, a finished
// training.
#define TRY_TRAIN "train --config tiny --llm %/llm --steps 3 --calibrate false --checkpoint-seconds 1e-9"
static inline void try_need(TestLog *log, Arena *a, const char *args)
{
    const Ran r = lead_run(log, a, "%s --threads 1", try_expand(log, a, log->tmp, args));
    TEST(log, r.code == 0, "lead %s: exit %d, %s", args, r.code, r.err);
}

static inline void try_put(TestLog *log, Arena *a, const char *name, const char *text)
{
    const Status s = file_write(arena_printf(a, "%s/%s", log->tmp, name), text, strlen(text));
    TEST(log, !s.code, "%s", s.msg);
}

static inline void try_world(TestLog *log, Arena *a)
{
    const char *llm = tiny_llm(log, a), *tmp = log->tmp;
    TEST(log, !system(arena_printf(a, "mkdir %s/d %s/long && mv %s %s/llm", tmp, tmp, llm, tmp)), "no directories");
    try_put(log, a, "net.csv", "node_a,node_b,capacity_mbps,weight,group\n0,1,900,1,duct\n1,2,400,2,duct\n2,3,900,1,\n"
                               "3,0,300,2,\n0,2,500,3,\n");
    try_put(log, a, "t.txt", "the quick brown fox jumps over the lazy dog, again and again, until it is long enough\n");
    try_put(log, a, "x.csv", "time,0,1,2,3\n2024-01-01 00:00,1,2,3,4\n2024-01-01 00:05,2,3,4,5\n"
                             "2024-01-01 00:10,3,4,5,6\n2024-01-01 00:15,4,5,6,7\n2024-01-01 00:20,5,6,7,8\n");
    try_need(log, a, "data synth --nodes 4 --days 40 --slot-seconds 10800 --out %/d/x.npy");
    try_need(log, a, "data synth --nodes 4 --days 44 --slot-seconds 10800 --out %/long/x.npy");
    try_need(log, a, "data import %/d/x.npy --out %/x.npz");
    try_need(log, a, "data import %/d/x.npy --invalid 50-60,200 --out %/holes.npz");
    try_need(log, a, "forecast --model ridge --horizon 3 --samples 6 --data %/d/x.npy --paths %/p.npy --aggregate "
                     "total");
    try_need(log, a, TRY_TRAIN " --data %/d/x.npy --out %/run");
    try_need(log, a, "gpt2 bpe-train --data %/t.txt --vocab 270 --out %/tok");
    try_need(log, a, "gpt2 train --data %/t.txt --layers 1 --width 8 --heads 1 --positions 16 --batch 1 --context 8 "
                     "--tokenizer %/tok --steps 1 --out %/gpt2");
    try_need(log, a, "gpt2 train --data %/t.txt --llm %/gpt2 --lora 2 --steps 2 --batch 1 --context 8 --lr 0.1 --out "
                     "%/lora");
}

#endif
