// What the command line prints and writes: forecast, eval, scores of other programs' forecasts, origins, names of
// nodes, import and export, data info, info and gpt2.
#include <math.h>

#include "cli_world.h"
#include "io/npy.h"
#include "published.h"
#include "traffic/csv.h"
#include "traffic/series_export.h"

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
                                       "model        lead, denoiser unet", " parameters"};
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
    const bool zones = exists("/usr/share/zoneinfo/Europe/Berlin");
    Ran r = lead_run(c->log, c->a, "data import %s --out %s%s", csv, npz, zones ? " --tz Europe/Berlin" : "");
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
    TEST(c->log, !strstr(a.err, "note: hours") &&
                 (!zones || strstr(b.err, "hours and weekdays are those of Europe/Berlin")),
         "the run keeps its zone, which data without one do not say: %s%s", a.err, b.err);
    refused_later(c, "missing Stavanger; new Bod", arena_printf(c->a, "%s --data %s", how, foreign));
    const char *args = arena_printf(c->a, "forecast --keep-all --model ridge --data %s --flow Oslo:Atlantis", npz);
    expect_refusal(c, lead_run(c->log, c->a, "%s", args), 2, "Atlantis", true, args);
}

void test_cli_output(TestLog *log)
{
    Cli cli = cli_world(log);
    const Cli *c = &cli;
    check_forecast(c);
    check_eval(c);
    check_also(c);
    check_origins(c);
    check_names(c);
    check_info(c);
    check_gpt2(c);
    arena_delete(cli.a);
}
