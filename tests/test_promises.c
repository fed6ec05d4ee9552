// Promises of the parts that compose which no other area happens to touch, each by a plain computation: found by
// planting wrong lines (tests/mutants/model.txt) and seeing which stay unnoticed.
#include <math.h>
#include <sys/stat.h>

#include "io/file.h"
#include "lead/general.h"
#include "lead_world.h"
#include "links/score.h"
#include "links_world.h"
#include "llm/bpe.h"
#include "llm/lora.h"
#include "llm/tokens.h"
#include "run_lead.h"
#include "traffic/protocol.h"
#include "traffic_world.h"

// ---- links

// CRPS of antithetic pairs: the difference within a pair says nothing about the spread.
static double crps_of_pairs(const double *z, int S, double y)
{
    double away = 0, apart = 0;
    for (int i = 0; i < S; i++) {
        away += fabs(z[i] - y) / S;
        for (int j = 0; j < S; j++)
            if (i / 2 != j / 2) apart += fabs(z[i] - z[j]) / (2.0 * S * (S - 2));
    }
    return away - apart;
}

static void pairs_on_links(TestLog *log, Arena *a)
{
    enum { N = 4, F = N * N, S = 6 };
    const Topology t = random_network(a, N, 10, 4);
    Routing r;
    LinkScore s;
    routing_shortest(&r, a, &t, N, NULL, -1);
    CHECK(!link_score_new(&s, a, &t, &r, 1, 1, S).code, "score");
    const float *x = random_matrices(a, S * F, 3), *y = random_matrices(a, F, 4);
    link_score_add(&s, "pairs", DIST_PAIRS, S, x, y, y);
    double want[2] = {0}, load[S + 1][64], z[S], largest[S + 1];
    for (int i = 0; i <= S; i++) {
        loads_of(&r, i < S ? x + i * F : y, load[i]);
        largest[i] = 100 * loads_largest(&t, load[i], NULL);
    }
    for (int l = 0; l < t.L; l++) {
        for (int i = 0; i < S; i++) z[i] = 100 * load[i][l] / t.link[l].capacity_kbps;
        want[0] += crps_of_pairs(z, S, 100 * load[S][l] / t.link[l].capacity_kbps) / t.L;
    }
    want[1] = crps_of_pairs(largest, S, largest[S]);
    for (int space = 0; space < 2; space++) {
        const double got = link_score_result(&s, 0, space, 1).crps;
        TEST(log, fabs(got - want[space]) < 1e-4 * want[space], "%s: CRPS of pairs %g, by plain loops %g",
             space ? "largest" : "links", got, want[space]);
    }
}

// A to B and back; C is cut off: traffic from and to it is lost, and no other.
static void lost_traffic(TestLog *log, Arena *a)
{
    enum { N = 3 };
    Topology t = topology_new(a, "cut", "cut", N, 2);
    for (int i = 0; i < N; i++) CHECK(!topology_add_node(&t, a, arena_printf(a, "n%d", i), 0).code, "node");
    for (int i = 0; i < 2; i++)
        CHECK(!topology_add_link(&t, a, (TopologyLink){.from = i, .to = 1 - i, .weight = 1, .capacity_kbps = 1000},
                                 false, 0).code, "link");
    Routing r;
    routing_shortest(&r, a, &t, N, NULL, -1);
    const float x[N * N] = {1000, 1, 2, 4, 1000, 8, 16, 32, 1000};   // what a node sends to itself is not lost
    TEST(log, loads_lost(&r, x) == 2 + 8 + 16 + 32, "lost traffic: %g of 58", loads_lost(&r, x));
}

// Weights by inverse capacity: a link of a quarter of the largest capacity is four times as long.
static void weights(TestLog *log, Arena *a)
{
    Topology t = topology_new(a, "weights", "weights", 2, 2);
    for (int i = 0; i < 2; i++) CHECK(!topology_add_node(&t, a, arena_printf(a, "n%d", i), 0).code, "node");
    for (int i = 0; i < 2; i++)
        CHECK(!topology_add_link(&t, a, (TopologyLink){.from = i, .to = 1 - i, .weight = 7,
                                                       .capacity_kbps = i ? 4000 : 1000}, false, 0).code, "link");
    const Status s = topology_set_weights(&t, WEIGHTS_INVERSE);
    TEST(log, !s.code && t.link[0].weight == 4 && t.link[1].weight == 1, "by inverse capacity: %g and %g",
         t.link[0].weight, t.link[1].weight);
    TEST(log, !topology_set_weights(&t, WEIGHTS_HOPS).code && t.link[0].weight == 1 && t.link[1].weight == 1,
         "by hops: %g and %g", t.link[0].weight, t.link[1].weight);
}

// ---- language model

static void wide_tokens(TestLog *log, Arena *a)
{
    static const unsigned ids[] = {0, 255, 256, 300, 50256, 65535};
    enum { IDS = sizeof ids / sizeof *ids };
    const char *path = arena_printf(a, "%s/wide.bin", log->tmp);
    unsigned char *x = arena_zalloc(a, 1024 + 2 * IDS);
    memcpy(x, (int32_t[]){20240520, 1, IDS}, 12);
    for (int i = 0; i < 2 * IDS; i++) x[1024 + i] = (unsigned char)(ids[i / 2] >> i % 2 * 8);
    Status s = file_write(path, x, 1024 + 2 * IDS);
    Tokens t = {0};
    Arena *scratch = arena_new("scratch", 1 << 26, NULL);
    if (!s.code) s = tokens_read(&t, a, scratch, path, NULL, 65536);
    bool same = !s.code && t.n == IDS;
    for (int i = 0; same && i < IDS; i++) same = t.id[i] == (int32_t)ids[i];
    TEST(log, same, "ids of a token file are not its 16-bit numbers: %s", s.msg);
    arena_delete(scratch);
}

// Of two added tokens that begin alike, the longer one is found, in whatever order a file lists them.
static void longest_added(TestLog *log, Arena *a)
{
    Arena *scratch = arena_new("scratch", 1 << 26, NULL);
    const char *dir = arena_printf(a, "%s/added", log->tmp), *words = "aaaa bbbb";
    Bpe b;
    Status s = bpe_train(&b, a, scratch, words, strlen(words), 257);
    TEST(log, !s.code && mkdir(dir, 0777) == 0, "%s", s.msg);
    if (!s.code)
        s = bpe_save(&b, scratch, arena_printf(a, "%s/vocab.json", dir), arena_printf(a, "%s/merges.txt", dir));
    const char *both[2] = {"{\"<x\": 257, \"<x>\": 258, \"<x>y\": 259}", "{\"<x>y\": 259, \"<x>\": 258, \"<x\": 257}"};
    for (int i = 0; i < 2 && !s.code; i++) {
        int32_t *id;
        int64_t n = 0;
        s = file_write(arena_printf(a, "%s/added_tokens.json", dir), both[i], strlen(both[i]));
        if (!s.code) s = bpe_load_dir(&b, a, scratch, dir);
        if (!s.code) s = bpe_encode(&id, &n, &b, a, "<x>y<x>", 7, true);
        if (s.code) break;
        TEST(log, n == 2 && id[0] == 259 && id[1] == 258, "order %d: %lld tokens, %d first", i, (long long)n, id[0]);
    }
    TEST(log, !s.code, "%s", s.msg);
    arena_delete(scratch);
}

// After merging nothing but weights is left: W + alpha / rank A B in every projection.
static void merged_lora(TestLog *log)
{
    World *w = world_new(device_cpu_f64(), true);
    const Gpt2Config c = tiny_config();
    Gpt2 *m = gpt2_new(&w->ps, "", &c, GPT2_FROZEN);
    lora_attach(&w->ps, "lora", m, &(LoraConfig){2, 3, LORA_ALL});
    world_randomise(w, 0.5);
    const char *name;
    LoraTarget target;
    double want[LORA_TARGETS] = {0}, got[LORA_TARGETS];
    for (int i = 0; i < LORA_TARGETS; i++) {   // one value of each projection of the last layer
        const Gpt2Projection *p = lora_projection(m, 1, i, &name, &target);
        const int64_t out = p->w->shape.d[1];
        double v[2048], A[2048], B[2048];
        tensor_get_f64(p->w, v, numel(p->w));
        tensor_get_f64(p->lora_a, A, numel(p->lora_a));
        tensor_get_f64(p->lora_b, B, numel(p->lora_b));
        want[i] = v[3 * out + 5] + 1.5 * (A[3 * 2] * B[5] + A[3 * 2 + 1] * B[out + 5]);
    }
    lora_merge(m, w->scratch);
    for (int i = 0; i < LORA_TARGETS; i++) {
        const Gpt2Projection *p = lora_projection(m, 1, i, &name, &target);
        double v[2048];
        tensor_get_f64(p->w, v, numel(p->w));
        got[i] = v[3 * p->w->shape.d[1] + 5];
        TEST(log, !p->lora_a && fabs(got[i] - want[i]) < 1e-12, "%s: merged %g, want %g; LoRA %s", name, got[i],
             want[i], p->lora_a ? "is still there" : "is gone");
    }
    world_delete(w);
}

// No option that changes what a run computes may differ when it goes on.
static void resumed_options(TestLog *log, Arena *a)
{
    static const char *const other[] = {"--batch 3", "--context 8", "--accumulate 2", "--in-order", "--seed 2",
                                        "--steps 5", "--warmup 2", "--lr 2e-3", "--beta1 0.8", "--beta2 0.9",
                                        "--decay 0.2", "--clip 2", "--floor 0.2", "--dropout 0.1",
                                        "--attention-dropout 0.1", "--lora 3", "--lora-alpha 8", "--lora-targets all"};
    const char *data = arena_printf(a, "%s/text.txt", log->tmp), *out = arena_printf(a, "%s/options", log->tmp);
    const char *base = arena_printf(a, "%s/options-base", log->tmp);
    char text[2001];
    for (int i = 0; i < 2000; i++) text[i] = "abcdefgh \n"[i * i % 7 + i % 3];
    text[2000] = 0;
    TEST(log, !file_write(data, text, 2000).code, "cannot write %s", data);
    Ran r = lead_run(log, a, "gpt2 train --data %s --out %s --layers 1 --width 8 --heads 1 --positions 16 --steps 1",
                     data, base);
    TEST(log, r.code == 0, "%s", r.err);
    const char *run = arena_printf(a, "gpt2 train --threads 1 --data %s --out %s --llm %s --lora 2 --batch 2 "
                                   "--context 16 --steps 4", data, out, base);
    r = lead_run(log, a, "%s --stop-after 1", run);
    TEST(log, r.code == 0, "%s", r.err);
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        r = lead_run(log, a, "%s --resume --stop-after 1 %s", run, other[i]);
        TEST(log, r.code == 1 && strstr(r.err, "want a run of these options"), "resumed with %s: exit %d: %s", other[i],
             r.code, r.err);
    }
    r = lead_run(log, a, "%s --resume --stop-after 1", run);
    TEST(log, r.code == 0, "resumed with the same options: %s", r.err);
}

// ---- traffic

// The latest h - m periods that is at least `margin` slots before what is forecast from.
static void seasons(TestLog *log)
{
    const TrafficSeries s = {.N = 1, .T = 1, .slot_seconds = 21600};   // 4 slots a day, 28 a week
    int wrong = 0;
    for (int week = 0; week < 2; week++)
        for (int margin = 0; margin < 2; margin++)
            for (int h = 1; h < 100; h++) {
                const int64_t period = week ? 28 : 4;
                int64_t want = h;
                while (want + margin > 0) want -= period;
                wrong += traffic_season_offset(&s, h, week, margin) != want;
            }
    TEST(log, wrong == 0, "%d seasonal offsets are not the latest known ones", wrong);
}

// Up to three rows between two corrupt ones belong to the broken block; four do not.
static void broken_blocks(TestLog *log, Arena *a)
{
    enum { DAY = 24, AT = 12 * DAY };
    for (int between = 1; between <= 6; between++) {
        TrafficSeries s = make_series(a, 2, 30 * DAY, 3600, 5);
        for (int64_t i = 0; i < s.T * 4; i++) s.x[i] = 100;
        for (int f = 0; f < 4; f++) s.x[AT * 4 + f] = s.x[(AT + 1 + between) * 4 + f] = 1000;
        TrafficSuspect *found;
        const int64_t n = traffic_suspects_find(&s, a, &found), want = between <= 3 ? 2 + between : 2;
        TEST(log, n == want, "%d rows between two corrupt ones: %lld suspicious, want %lld", between, (long long)n,
             (long long)want);
    }
}

// The slots of the means are those of the week from 14 days of training on; protocol flow-by-flow leaves no row out.
static void kinds_of_slots(TestLog *log, Arena *a)
{
    TrafficSeries s = make_series(a, 2, 20 * 24, 3600, 5);
    for (int days = 13; days <= 14; days++) {
        TrafficScale k;
        SlotMeans m;
        const TrafficRange rows = {0, days * 24};
        CHECK(!scale_fit(&k, a, &s, rows, SCALE_FLOWMAX).code, "scale");
        slot_means_fit(&m, a, &s, rows, &k);
        TEST(log, m.n_slots == (days < 14 ? 24 : 168), "%d days of training: means of %d slots", days, m.n_slots);
    }
    s.valid[7] = 0;
    const TrafficSeries flat = traffic_series_flatten(&s, a);
    TEST(log, flat.valid[7] && flat.n_runs == 1 && !s.valid[7], "flattened, an invalid row is %s", flat.valid[7] ?
         "there" : "left out");
}

// The calendar is that of the times plus a shift: an hour later it is the next slot, a day later the next day.
static void shifted_calendar(TestLog *log, Arena *a)
{
    TrafficSeries s = make_series(a, 2, 48, 3600, 5);
    int slot, day, next_slot, next_day;
    traffic_calendar(&s, 5, 0, &slot, &day);
    for (int shift = 1; shift <= 24; shift += 23) {
        s.calendar_shift_s = 3600 * shift;
        traffic_calendar(&s, 5, 0, &next_slot, &next_day);
        TEST(log, next_slot == (slot + shift) % 24 && next_day == (day + (slot + shift) / 24) % 7,
             "a shift of %d h: from slot %d of day %d to %d of %d", shift, slot, day, next_slot, next_day);
    }
}

// ---- the command line

static void whole_numbers(TestLog *log, Arena *a)
{
    static const char *const bad[] = {"eval --stride 1.5", "forecast --horizon 2.5", "train --batch 3.5",
                                      "gpt2 train --steps 0.5"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const Ran r = lead_run(log, a, "%s", bad[i]);
        TEST(log, r.code == 2 && strstr(r.err, "want an integer"), "lead %s: exit %d: %s", bad[i], r.code, r.err);
    }
}

// Calibration takes effect at once, not only in the next process.
static void calibrated(TestLog *log)
{
    enum { N = 3, K = 2 };
    World *w = world_new(device_cpu_f32(ISA_SCALAR), false);
    const TrafficSeries s = synth_series(log, w->perm, N, 100, 21600);
    LeadConfig cfg = tiny_lead("none");
    cfg.history = 4, cfg.horizon = K, cfg.samples = 4, cfg.sample_steps = 2, cfg.calibrate = true, cfg.mean_head = true;
    cfg.conditions = CONDITIONS_NONE, cfg.denoiser = DENOISER_FLOW, cfg.batch = 8;
    LeadRun r = {.cfg = cfg, .perm = w->perm, .series = &s, .train = {0, 280}, .val = {280, 340}};
    r.stats = fitted(log, w->perm, &s, &cfg);
    r.model = *lead_world_model(w, &cfg, lead_stats_shape(&r.stats, &cfg), 0.1);
    r.tape = w->t;
    r.tape.record = r.tape.training = false;
    r.data = data_of(log, &r.tape, w->perm, &r.stats, &r.cfg, &s);
    Calibration c;
    const Status st = lead_calibrate(&r, r.val, CALIBRATE_WINDOWS, &c);
    float weight[K] = {1, 1}, spread[K] = {1, 1};
    if (r.data.head_weight) tensor_get_f32(r.data.head_weight, weight, K);
    if (r.data.spread) tensor_get_f32(r.data.spread, spread, K);
    bool same = true, moved = false;
    for (int k = 0; k < K; k++) {
        same &= weight[k] == r.stats.head_weight[k] && spread[k] == r.stats.spread[k];
        moved |= weight[k] != 1 || spread[k] != 1;
    }
    TEST(log, !st.code && same && moved, "%s: what calibration found is not in use, or it found nothing", st.msg);
    arena_delete(r.aside);
    world_delete(w);
}

// Weights that need no training are calibrated on few windows with few samples, and then draw as many as they say.
static void general_run(TestLog *log)
{
    World *w = world_new(device_cpu_f32(ISA_SCALAR), false);
    const TrafficSeries s = synth_series(log, w->perm, 3, 20, 3600);
    LeadConfig cfg;
    LeadRun r;
    Calibration c = {0};
    Status st = lead_general_config(&cfg, NULL, GENERAL_BUNDLED, w->scratch);
    if (!st.code)
        st = lead_general_load(&r, GENERAL_BUNDLED, &s, (TrafficRange){0, 360}, (TrafficRange){360, 480}, 0, &w->dev,
                               w->perm, w->step, w->scratch, &c);
    TEST(log, !st.code && cfg.samples > 8 && r.cfg.samples == cfg.samples && c.windows == CALIBRATE_QUICK,
         "%s: %d samples of %d, calibrated on %d windows", st.msg, r.cfg.samples, cfg.samples, c.windows);
    world_delete(w);
}

// Without a week of data, last week is yesterday: it is left out, and the table says so.
static void left_out(TestLog *log, Arena *a)
{
    const TrafficSeries s = make_series(a, 2, 6 * 24, 3600, 5);
    EvalPlan plan;
    Status st = eval_plan(&plan, a, &s, &(EvalPlanOptions){.K = 2});
    EvalTable t = eval_table_new(a, &plan.task, NAIVE_KINDS);
    if (!st.code) st = evaluate_naive(&t, a, &plan.task, plan.split.train, plan.split.val);
    TEST(log, !st.code && t.left_out == 1U << NAIVE_LASTWEEK && !eval_table_model(&t, "lastweek") &&
              eval_table_model(&t, "yesterday"), "%s: left out: %x", st.msg, t.left_out);
}

static double number_after(const char *text, const char *mark, const char *name, int column)
{
    const char *p = strstr(text, mark);
    if (p) p = strstr(p, name);
    if (!p) return (double)NAN;
    char *end = (char *)(uintptr_t)(p + strlen(name));
    double v = (double)NAN;
    for (int i = 0; i <= column; i++) v = strtod(end, &end);
    return v;
}

// The summary over origins is made of the tables; a run that falls back names the forecast that validation named.
static void summaries(TestLog *log, Arena *a)
{
    const char *data = arena_printf(a, "%s/t.npy", log->tmp), *run = arena_printf(a, "%s/fallback", log->tmp);
    Ran r = lead_run(log, a, "data synth --nodes 3 --days 40 --slot-seconds 10800 --out %s", data);
    TEST(log, r.code == 0, "%s", r.err);
    r = lead_run(log, a, "eval --naive-only --details --origins 60 --data %s --threads 1", data);
    static const char *const metric[] = {"RMSE over all steps / that", "CRPS over all steps / that"};
    static const int column[] = {2, 8};   // behind the horizon: windows, mse, rmse, ..
    for (int i = 0; i < 2; i++) {
        const double of = number_after(r.out, "model", "\npersistence\tscaled\tall\t", column[i]) /
                          number_after(r.out, "model", "\nridge\tscaled\tall\t", column[i]);
        const double said = number_after(r.err, metric[i], "\n  persistence", 0);
        TEST(log, fabs(said - of) < 6e-4, "%s: the summary says %g of ridge, the table %g", metric[i], said, of);
    }
    r = lead_run(log, a, "train --keep-all --config small --history 12 --horizon 4 --sample-steps 2 --samples 4 "
                 "--steps 4 --threads 1 --no-final --data %s --out %s", data, run);
    char name[32] = "";
    const char *said = strstr(r.err, "no better than ");
    TEST(log, r.code == 0 && said && sscanf(said, "no better than %31s", name) == 1, "no fall-back: %s", r.err);
    r = lead_run(log, a, "forecast --model %s --data %s --threads 1", run, data);
    TEST(log, r.code == 0 && strstr(r.err, arena_printf(a, "forecasts as %s does", name)),
         "validation chose %s, the forecast says %s", name, r.err);
}

void test_promises(TestLog *log)
{
    Arena *a = arena_new("promises", (size_t)1 << 30, NULL);
    pairs_on_links(log, a);
    lost_traffic(log, a);
    weights(log, a);
    wide_tokens(log, a);
    longest_added(log, a);
    merged_lora(log);
    resumed_options(log, a);
    seasons(log);
    broken_blocks(log, a);
    shifted_calendar(log, a);
    kinds_of_slots(log, a);
    whole_numbers(log, a);
    calibrated(log);
    left_out(log, a);
    summaries(log, a);
    general_run(log);
    arena_delete(a);
}
