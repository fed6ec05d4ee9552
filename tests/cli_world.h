// What tests of the command line share: a directory with a tiny GPT-2, traffic and a run; calls that must be refused.
#ifndef LEAD_TESTS_CLI_WORLD_H
#define LEAD_TESTS_CLI_WORLD_H

#include <sys/stat.h>

#include "lead_world.h"
#include "run_lead.h"

typedef struct Cli { TestLog *log; Arena *a; const char *llm, *data, *run; } Cli;

#define PATH(name) arena_printf(c->a, "%s/%s", c->log->tmp, name)

static inline int count_lines(const char *text, const char *start)
{
    int n = 0;
    for (const char *p = text; *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : p + strlen(p))
        n += strncmp(p, start, strlen(start)) == 0;
    return n;
}

// Exit `code`, nothing on stdout, one line on stderr that begins "lead: " and holds `want`.  info: when the data
// themselves are fine, `FILE: 320 snapshots ..` and indented lines about how they were read may come before it.
static inline void expect_refusal(const Cli *c, Ran r, int code, const char *want, bool info, const char *args)
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

static inline void refused(const Cli *c, int code, const char *want, const char *args)
{
    expect_refusal(c, lead_run(c->log, c->a, "%s", args), code, want, false, args);
}
static inline void refused_later(const Cli *c, const char *want, const char *args)
{
    expect_refusal(c, lead_run(c->log, c->a, "%s", args), 1, want, true, args);
}

static inline void put_file(const Cli *c, const char *path, const void *bytes, size_t n)
{
    FILE *f = fopen(path, "wb");
    TEST(c->log, f && fwrite(bytes, 1, n, f) == n && fclose(f) == 0, "cannot write %s", path);
}

static inline bool exists(const char *path)
{
    struct stat st;
    return lstat(path, &st) == 0;
}

// Makes them, in an arena of its own, which the caller deletes.
static inline Cli cli_world(TestLog *log)
{
    Cli cli = {.log = log, .a = arena_new("cli", (size_t)1 << 30, NULL)};
    CHECK(cli.a, "no address space");
    const Cli *c = &cli;
    setenv("OMP_WAIT_POLICY", "passive", 1);   // several processes on few cores
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
    return cli;
}

#endif
