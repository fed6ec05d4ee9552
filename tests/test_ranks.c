// Ranks (tensor/ranks.h).  Without MPI: a batch in parts draws what the whole batch draws, and its parts' gradients add
// up to the whole gradient.  With Open MPI: build/lead-mpi has the bits of build/lead on one rank, the same bits twice
// on two, and agrees within rounding on others; scores and forecasts have the same bits on any number; runs resume on
// another number; what goes wrong on one rank ends all with one line.
#include <signal.h>
#include <time.h>

#include "cli_world.h"
#include "nn/run_directory.h"
#include "tensor/ranks.h"

// ---- parts of a batch, in this process

static void check_row_parts(TestLog *log)
{
    for (int64_t of = 0; of < 40; of++)
        for (int R = 1; R < 9; R++) {
            int64_t at = 0, least = of, most = 0;
            for (int r = 0; r < R; r++) {
                const RowPart p = row_part(of, r, R);
                TEST(log, p.begin == at && p.of == of, "%lld rows, part %d of %d begins at %lld", (long long)of, r, R,
                     (long long)p.begin);
                at += p.n;
                least = p.n < least ? p.n : least;
                most = p.n > most ? p.n : most;
            }
            TEST(log, at == of && most - least <= 1, "%lld rows in %d parts: %lld, of %lld to %lld", (long long)of, R,
                 (long long)at, (long long)least, (long long)most);
        }
}

// Rows of 7 values: parts begin in the middle of four draws.
static void check_dropout(TestLog *log, Device dev)
{
    enum { ROWS = 11, WIDTH = 7, PARTS = 3 };
    World *w = world_new(dev, false);
    Tape *t = &w->t;
    double whole[ROWS * WIDTH], part[ROWS * WIDTH];
    t->training = true;
    for (int k = 0; k <= PARTS; k++) {   // the whole, then its parts
        const RowPart p = k ? row_part(ROWS, k - 1, PARTS) : (RowPart){0, ROWS, 0};
        tape_reset(t);
        tape_set_step(t, 5);
        t->part = p;
        Tensor *x = tape_zeros(t, SHAPE(p.n, WIDTH));
        tensor_fill(x, 1);
        (void)tape_dropout(t, x, 0.5);   // the second call has an address of its own
        tensor_get_f64(tape_dropout(t, x, 0.5), (k ? part : whole) + p.begin * WIDTH, p.n * WIDTH);
    }
    TEST(log, memcmp(whole, part, sizeof whole) == 0, "%s: dropout of parts differs from that of the whole", dev.name);
    world_delete(w);
}

typedef struct Batch { World *w; const LeadConfig *cfg; LeadModel *m; LeadData d; Tensor *list; double *g; } Batch;

// The gradient of `of` windows in R parts, added in their order -> b->g; their loss.
static double gradient(Batch *b, int64_t of, int R)
{
    Tape *t = &b->w->t;
    ParamSet *ps = &b->w->ps;
    const int64_t n = numel(&ps->flat.g);
    double *g = arena_alloc(b->w->perm, (size_t)n * sizeof *g), loss = 0, l;
    memset(b->g, 0, (size_t)n * sizeof *g);
    for (int r = 0; r < R; r++) {
        const RowPart p = row_part(of, r, R);
        const RandomAddress at = {.seed = 1, .site = SITE_SHUFFLE, .offset = (uint64_t)p.begin};
        tape_reset(t);
        tape_set_step(t, 3);
        t->record = t->training = true;
        t->part = R > 1 ? p : (RowPart){0};
        paramset_zero_grad(ps);
        Tensor *rows = tape_draw_windows(t, b->list, p.n, at, t->clock);
        const LeadBatch batch = lead_data_training_batch(t, &b->d, rows, lead_data_factor(t, &b->d));
        Tensor *y = tape_scale(t, lead_loss(t, b->m, &batch), (double)p.n / (double)of, 0);
        tape_backward(t, y);
        tensor_get_f64(&ps->flat.g, g, n);
        tensor_get_f64(y, &l, 1);
        for (int64_t i = 0; i < n; i++) b->g[i] += g[i];
        loss += l;
    }
    return loss;
}

static Batch batch_new(TestLog *log, Device dev, const LeadConfig *cfg, const TrafficSeries *s)
{
    Batch b = {.w = world_new(dev, false), .cfg = cfg};
    LeadStats *st = arena_alloc(b.w->perm, sizeof *st);
    *st = fitted(log, b.w->perm, s, cfg);
    b.m = lead_world_model(b.w, cfg, lead_stats_shape(st, cfg), 0.1);
    b.d = data_of(log, &b.w->t, b.w->perm, st, cfg, s);
    int64_t *start;
    const int64_t n = traffic_windows(s, b.w->perm, traffic_splits(s->T, PROTOCOL_CLEAN).train, cfg->history, st->Kt, 1,
                                      &start);
    for (int64_t i = 0; i < n; i++) start[i] += cfg->history - 1;
    b.list = lead_data_rows(&b.d, b.w->perm, start, n);
    paramset_lay_out(&b.w->ps);
    b.g = arena_alloc(b.w->perm, (size_t)numel(&b.w->ps.flat.g) * sizeof *b.g);
    return b;
}

static double rms(const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (a[i] - b[i]) * (a[i] - b[i]);
    return sqrt(sum / (double)n);
}

// The terms of a gradient are those of the whole batch, in another order (docs/parallel.md): in f64 the sums agree to
// rounding, in f32 they are as far from the f64 ones as the whole batch's are.
static void check_gradients(TestLog *log, const char *what, const LeadConfig *cfg, const TrafficSeries *s)
{
    enum { ROWS = 7 };
    Batch b = batch_new(log, device_cpu_f64(), cfg, s), f = batch_new(log, world_f32(), cfg, s);
    const int64_t n = numel(&b.w->ps.flat.g);
    double *whole = arena_alloc(b.w->perm, 2 * (size_t)n * sizeof *whole), *zero = whole + n;
    const double loss = gradient(&b, ROWS, 1), loss32 = gradient(&f, ROWS, 1);
    memcpy(whole, b.g, (size_t)n * sizeof *whole);
    memset(zero, 0, (size_t)n * sizeof *zero);
    const double size = rms(whole, zero, n), one = rms(f.g, whole, n);
    TEST(log, size > 0 && one < 1e-4 * size, "%s: gradient %g, f32 differs by %g", what, size, one);
    for (int R = 2; R <= 4; R++) {
        const double l = gradient(&b, ROWS, R), l32 = gradient(&f, ROWS, R), e = rms(b.g, whole, n);
        TEST(log, fabs(l - loss) <= 1e-13 * fabs(loss), "%s, f64, %d parts: loss %.17g, whole %.17g", what, R, l, loss);
        TEST(log, e <= 1e-13 * size, "%s, f64, %d parts: the gradient differs by %g of %g", what, R, e, size);
        const double e32 = rms(f.g, whole, n);
        TEST(log, fabs(l32 - loss32) <= 1e-6 * fabs(loss), "%s, f32, %d parts: loss %.9g, whole %.9g", what, R, l32,
             loss32);
        TEST(log, e32 <= 2 * one, "%s, f32, %d parts: error %g, of the whole batch %g", what, R, e32, one);
    }
    world_delete(b.w);
    world_delete(f.w);
}

static void check_parts(TestLog *log)
{
    Arena *a = arena_new("ranks", (size_t)1 << 28, NULL);
    CHECK(a, "no address space");
    const TrafficSeries s = synth_series(log, a, 4, 40, 10800);
    LeadConfig image = tiny_lead(tiny_llm(log, a)), flow;
    image.dropout = 0.2, image.cond_drop = 0.3, image.lora_rank = 1, image.loss_pool = 0.1;
    const Status st = config_preset(&flow, "small");
    TEST(log, !st.code, "%s", st.msg);
    flow.history = 12, flow.horizon = 2, flow.flow_width = 8, flow.flow_hidden = 8;
    check_dropout(log, device_cpu_f64());
    check_dropout(log, world_f32());
    check_gradients(log, "U-Net", &image, &s);
    check_gradients(log, "flow by flow", &flow, &s);
    arena_delete(a);
}

// ---- under mpirun

typedef struct Mpi { Cli cli; const char *lead, *run; } Mpi;   // lead-mpi; mpirun with what it wants here

static const char *lead_mpi(const Mpi *m, int ranks, const char *args)
{
    return arena_printf(m->cli.a, "%s -n %d %s %s", m->run, ranks, m->lead, args);
}

// On 0 ranks: build/lead itself.
static Ran on_ranks(const Mpi *m, int ranks, const char *args)
{
    Arena *a = m->cli.a;
    return shell_run(m->cli.log, a, "%s", ranks ? lead_mpi(m, ranks, args)
                                                : arena_printf(a, "%s %s", m->cli.log->lead, args));
}

static void works(const Mpi *m, int ranks, const char *args)
{
    const Ran r = on_ranks(m, ranks, args);
    TEST(m->cli.log, r.code == 0, "%d ranks: lead %s: exit %d: %s", ranks, args, r.code, r.out);
}

// One line "lead: " that holds `want`; mpirun -q adds none.
static void fails(const Mpi *m, Ran r, int code, const char *want, const char *what)
{
    TestLog *log = m->cli.log;
    int lines = 0;
    for (const char *p = r.out; (p = strstr(p, "lead: ")); p++) lines++;
    TEST(log, r.code == code, "%s: exit %d, want %d: %s", what, r.code, code, r.out);
    TEST(log, lines == 1 && strstr(r.out, want), "%s: want one line with '%s', got '%s'", what, want, r.out);
}

static bool same_file(const Mpi *m, const char *x, const char *y)
{
    return shell_run(m->cli.log, m->cli.a, "cmp %s %s", x, y).code == 0;
}

// The largest difference between the tensors of two files of weights; INFINITY when they hold others.
static double apart(const Mpi *m, const char *x, const char *y)
{
    TestLog *log = m->cli.log;
    Arena *a = m->cli.a;
    SafeFile f, g;
    double most = 0;
    const Status s = safetensors_open(&f, a, x);
    if (!TEST(log, !s.code, "%s", s.msg)) return INFINITY;
    const Status u = safetensors_open(&g, a, y);
    if (!TEST(log, !u.code, "%s", u.msg)) return INFINITY;
    if (f.n_tensor != g.n_tensor || f.n_tensor < 10) most = INFINITY;
    for (int64_t i = 0; i < f.n_tensor && most < INFINITY; i++) {
        const SafeTensor *p = &f.tensor[i], *q = &g.tensor[i];
        if (strcmp(p->name, q->name) || p->count != q->count) return INFINITY;
        if (!strncmp(p->name, "stat.", 5)) continue;   // not trained
        double *v = arena_alloc(a, 2 * (size_t)p->count * sizeof *v), *z = v + p->count;
        safetensors_read_f64(v, p);
        safetensors_read_f64(z, q);
        for (int64_t k = 0; k < p->count; k++) most = check_fold(most, fabs(v[k] - z[k]));
    }
    safetensors_close(&f);
    safetensors_close(&g);
    return most;
}

// Weights of two runs: the same bits, or as close as rounding leaves them after a few steps of rate 1e-3.
static void compare(const Mpi *m, const char *x, const char *y, const char *file, bool same)
{
    const Cli *c = &m->cli;
    const double d = apart(m, arena_printf(c->a, "%s/%s", PATH(x), file), arena_printf(c->a, "%s/%s", PATH(y), file));
    TEST(c->log, same ? d == 0 : d > 0 && d < 1e-5, "%s and %s, %s: differ by %g", x, y, file, d);
}

static void check_train(const Mpi *m)
{
    const Cli *c = &m->cli;
    static const struct { int ranks; const char *out; } runs[] = {
        {0, "r0"}, {1, "r1"}, {2, "r2"}, {2, "again"}, {3, "r3"}, {4, "r4"}};
    for (size_t i = 0; i < sizeof runs / sizeof *runs; i++)
        works(m, runs[i].ranks, arena_printf(c->a, "train --keep-all --config tiny --dropout 0.1 --calibrate false "
                                             "--batch 5 --steps 6 --no-final --threads 1 --llm %s --data %s --out %s",
                                             c->llm, c->data, PATH(runs[i].out)));
    compare(m, "r0", "r1", "best.safetensors", true);
    compare(m, "r2", "again", "best.safetensors", true);
    compare(m, "r0", "r2", "best.safetensors", false);
    compare(m, "r0", "r3", "best.safetensors", false);
    compare(m, "r0", "r4", "best.safetensors", false);
    const int lines = count_lines(slurp(c->a, PATH("r0/log.jsonl")), "{");
    const int got = count_lines(slurp(c->a, PATH("r4/log.jsonl")), "{");
    TEST(c->log, lines > 2 && lines == got && !exists(PATH("r4/lock")), "log: %d lines, four ranks %d", lines, got);
}

// Scores, forecasts and tables of origins: the same bits on any number of ranks.
static void check_forecasts(const Mpi *m)
{
    const Cli *c = &m->cli;
    static const char *const name[] = {"scores.tsv", "paths.npy", "table.csv", "origins.tsv"};
    for (int R = 0; R <= 3; R++) {
        const char *to = PATH(arena_printf(c->a, "%d", R));
        const char *data = arena_printf(c->a, "--keep-all --threads 1 --data %s", c->data);
        works(m, R, arena_printf(c->a, "eval --model %s %s --split val --stride 9 --samples 5 --batch 3 --out %s%s",
                                 c->run, data, to, name[0]));
        works(m, R, arena_printf(c->a, "forecast --model %s %s --samples 7 --paths %s%s --out %s%s", c->run, data, to,
                                 name[1], to, name[2]));
        works(m, R, arena_printf(c->a, "eval --naive-only %s --origins 40,55,70 --stride 5 --out %s%s", data, to,
                                 name[3]));
        for (int i = 0; i < 4 && R; i++)
            TEST(c->log, same_file(m, arena_printf(c->a, "%s/0%s", c->log->tmp, name[i]),
                                   arena_printf(c->a, "%s/%d%s", c->log->tmp, R, name[i])),
                 "%d ranks: %s differs from that of build/lead", R, name[i]);
    }
}

// Sharded optimiser; a run of two ranks that three go on with.
static void check_gpt2(const Mpi *m)
{
    const Cli *c = &m->cli;
    const char *text = PATH("text");
    char words[4000];
    for (size_t i = 0; i < sizeof words; i++) words[i] = "abcdefgh \n"[philox_u32(1, 2, i) % 10];
    put_file(c, text, words, sizeof words);
    const char *args = arena_printf(c->a, "gpt2 train --data %s --layers 1 --width 16 --heads 2 --positions 16 "
                                    "--steps 8 --batch 5 --accumulate 2 --dropout 0.1 --attention-dropout 0.1 "
                                    "--val-every 4 --val-windows 20 --lr 1e-3 --threads 1 --out", text);
    const char *more = arena_printf(c->a, "gpt2 train --resume --threads 1 --out %s", PATH("g23"));
    for (int R = 0; R < 4; R++) works(m, R, arena_printf(c->a, "%s %s", args, PATH(arena_printf(c->a, "g%d", R))));
    works(m, 2, arena_printf(c->a, "%s %s --stop-after 5", args, PATH("g23")));
    works(m, 3, more);
    works(m, 2, arena_printf(c->a, "%s %s --stop-after 5", args, PATH("g22")));
    works(m, 2, arena_printf(c->a, "gpt2 train --resume --threads 1 --out %s", PATH("g22")));
    compare(m, "g0", "g1", RUN_CHECKPOINT, true);
    compare(m, "g2", "g22", RUN_CHECKPOINT, true);
    compare(m, "g0", "g2", RUN_CHECKPOINT, false);
    compare(m, "g0", "g3", RUN_CHECKPOINT, false);
    compare(m, "g0", "g23", RUN_CHECKPOINT, false);
}

static void check_refusals(const Mpi *m)
{
    const Cli *c = &m->cli;
    const char *train = arena_printf(c->a, "train --keep-all --config tiny --calibrate false --batch 2 --steps 3 "
                                     "--no-final --threads 1 --llm %s --data %s --out", c->llm, c->data);
    fails(m, on_ranks(m, 3, arena_printf(c->a, "%s %s", train, PATH("many"))), 1,
          "want at most the 2 windows of a batch, got 3", "more ranks than rows");
    TEST(c->log, !exists(PATH("many")), "more ranks than rows: a directory was left");
    fails(m, on_ranks(m, 2, arena_printf(c->a, "%s %s/below", train, c->data)), 1, "cannot make the directory",
          "a file in the place of a directory");
    fails(m, on_ranks(m, 2, arena_printf(c->a, "%s %s", train, c->run)), 1, "holds a finished run", "a finished run");
    fails(m, on_ranks(m, 2, arena_printf(c->a, "impute --data %s --out %s", c->data, PATH("x.npy"))), 2,
          "impute: runs in one process", "a verb of one process");
    fails(m, on_ranks(m, 2, arena_printf(c->a, "forecast --model %s --data %s --memory 1G", c->run, c->data)), 2,
          "--memory: wants one process", "--memory");
    // two programs of one mpirun, which are not told the same
    const char *other = arena_printf(c->a, "%s %s --lr 0.5 : -n 1 %s %s %s", train, PATH("odd"), m->lead, train,
                                     PATH("odd"));
    fails(m, on_ranks(m, 1, other), 1, "want the configuration of rank 0", "ranks with other options");
    other = arena_printf(c->a, "%s %s : -n 1 %s train --data /nowhere --out %s", train, PATH("gone"), m->lead,
                         PATH("gone"));
    fails(m, on_ranks(m, 1, other), 1, "rank 1: lead: /nowhere: cannot open", "a rank that finds no data");
}

// Two machines, in effect: the directory `llm` of rank 1 has another last value.
static void check_other_weights(const Mpi *m, const char *llm, const char *args, const char *want)
{
    const Cli *c = &m->cli;
    const char *one = PATH("one"), *two = PATH("two"), *file = PATH("two/llm/model.safetensors");
    const Ran r = shell_run(c->log, c->a, "for d in %s %s; do rm -rf $d; mkdir -p $d/llm; cp %s/config.json "
                            "%s/model.safetensors $d/llm; done; printf '\\1\\2' | dd of=%s bs=1 conv=notrunc "
                            "seek=$(($(wc -c < %s) - 4)) status=none", one, two, llm, llm, file, file);
    TEST(c->log, r.code == 0 && !*r.out, "two directories: %s", r.out);
    fails(m, shell_run(c->log, c->a, "%s -n 1 --wdir %s %s %s : -n 1 --wdir %s %s %s", m->run, one, m->lead, args, two,
                       m->lead, args), 1, want, args);
}

static const char *started(const Mpi *m, const char *out, const char *with)
{
    const Cli *c = &m->cli;
    const char *args = arena_printf(c->a, "train --keep-all --config tiny --calibrate false --patience 0 "
                                    "--steps 100000 --checkpoint-seconds 0.001 --no-final --threads 1 --llm %s "
                                    "--data %s --out %s", c->llm, c->data, PATH(out));
    return arena_printf(c->a, "%s > %s.said 2>&1 & p=$!; n=0; until [ -e %s/" RUN_CHECKPOINT " ]; do sleep 0.05; "
                        "n=$((n+1)); [ $n -gt 600 ] && break; done; %s; wait $p; echo exit $?", lead_mpi(m, 2, args),
                        PATH(out), PATH(out), with);
}

// A signal for mpirun, the death of a rank.
static void check_signals(const Mpi *m)
{
    const Cli *c = &m->cli;
    Ran r = shell_run(c->log, c->a, "%s", started(m, "asked", "kill -USR1 $p"));
    const char *said = slurp(c->a, PATH("asked.said"));
    TEST(c->log, strstr(r.out, "exit 0") && strstr(said, "as asked") && strstr(said, "go on with"),
         "a signal: %s: %s", r.out, said);
    r = lead_run(c->log, c->a, "info %s", PATH("asked"));
    TEST(c->log, r.code == 0, "a signal: exit %d, %s", r.code, r.err);
    // rank 1 is the younger of mpirun's children
    r = shell_run(c->log, c->a, "%s", started(m, "dead", "kill -9 $(pgrep -n -P $p)"));
    TEST(c->log, strstr(r.out, "exit") && !strstr(r.out, "exit 0"), "the death of a rank: %s", r.out);
    r = shell_run(c->log, c->a, "ls %s | grep tmp; pgrep -f ' --ou[t] %s'", PATH("dead"), PATH("dead"));
    TEST(c->log, !*r.out, "the death of a rank left: %s", r.out);
    const char *left = arena_printf(c->a, "%s/" RUN_CHECKPOINT, PATH("dead"));
    TEST(c->log, apart(m, left, left) == 0, "its checkpoint");
}

// A rank that works for itself alone names its place among all when it dies.
static void check_last_words(const Mpi *m)
{
    const Cli *c = &m->cli;
    const char *runs = PATH("origins"), *said = PATH("origins.said");
    const char *args = arena_printf(c->a, "eval --keep-all --origins 60,75 --threads 1 --data %s --config-file %s "
                                    "--runs %s", c->data, PATH("long.json"), runs);
    const Ran r = shell_run(c->log, c->a, "sed 's/\"steps\": *4/\"steps\":100000/' %s/config.json > %s; %s > %s 2>&1 "
                            "& p=$!; n=0; until [ -e %s/origin75/log.jsonl ]; do sleep 0.05; n=$((n+1)); "
                            "[ $n -gt 600 ] && break; done; kill -ABRT $(pgrep -n -P $p); wait $p; echo exit $?",
                            c->run, PATH("long.json"), lead_mpi(m, 2, args), said, runs);
    TEST(c->log, !strstr(r.out, "exit 0") && strstr(slurp(c->a, said), "rank 1: "), "the death of a rank in its own "
         "work: %s: %s", r.out, slurp(c->a, said));
}

// lead-mpi is built beside lead where mpicc is (packaging/mpi.mk).
static bool find_mpi(TestLog *log, Mpi *m, Arena *a)
{
    m->lead = arena_printf(a, "%s-mpi", log->lead);
    m->run = "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1 mpirun -q --oversubscribe --bind-to none";
    if (!exists(m->lead) || log->quick) {
        test_skip(log, "%s", log->quick ? "ranks under mpirun: quick" : "no build/lead-mpi: make mpi wants mpicc");
        return false;
    }
    const Ran r = shell_run(log, a, "mpirun --version | grep -q 'Open MPI' && %s -n 2 true", m->run);
    if (r.code) test_skip(log, "no Open MPI that starts two processes here: %.200s", r.out);
    return !r.code;
}

void test_ranks(TestLog *log)
{
    check_row_parts(log);
    check_parts(log);
    Arena *a = arena_new("mpi", (size_t)1 << 28, NULL);
    CHECK(a, "no address space");
    Mpi m;
    if (find_mpi(log, &m, a)) {
        m.cli = cli_world(log);
        check_train(&m);
        check_forecasts(&m);
        check_gpt2(&m);
        check_refusals(&m);
        const Cli *c = &m.cli;
        const char *all = "--steps 2 --batch 2 --threads 1 --llm llm";
        check_other_weights(&m, c->llm, arena_printf(a, "train --keep-all --config tiny --calibrate false --no-final "
                                                     "%s --data %s --out %s", all, c->data, PATH("odd")),
                            "rank 1: want the LLM weights of rank 0");
        check_other_weights(&m, PATH("g0"), arena_printf(a, "gpt2 train %s --data %s --out %s", all, PATH("text"),
                                                         PATH("odd2")), "rank 1: want the weights to begin with of");
        check_signals(&m);
        check_last_words(&m);
        arena_delete(m.cli.a);
    }
    arena_delete(a);
}
