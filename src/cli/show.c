#include "cli/show.h"

#include <math.h>
#include <string.h>

#include "io/file.h"
#include "io/json.h"
#include "plot/plot.h"
#include "traffic/times.h"

// ---- evaluation

static const EvalRow *row_at(const EvalTable *t, const char *model, int h)
{
    return eval_table_find(t, model, "scaled", h);
}

static const char *model_name(const EvalTable *t, int i) { return i < t->models ? t->model[i].name : NULL; }

// The horizons to show -> h; returns their number.
static int shown_horizons(int K, int h[5])
{
    const int want[5] = {1, (K + 3) / 4, (K + 1) / 2, 3 * K / 4, K};
    int n = 0;
    for (int i = 0; i < 5; i++)
        if (want[i] >= 1 && (n == 0 || want[i] > h[n - 1])) h[n++] = want[i];
    return n;
}

void show_table(const EvalTable *t, const char *comment, int K, FILE *out)
{
    int h[5];
    const int n = shown_horizons(K, h);
    fprintf(out, "\n%s\n%-14s", comment, "");
    for (int i = 0; i < n; i++) fprintf(out, "      step %-6d", h[i]);
    fprintf(out, "   90 %%\n%-14s", "");
    for (int i = 0; i < n; i++) fprintf(out, "   RMSE     CRPS ");
    fprintf(out, " covers\n");
    const char *m;
    for (int i = 0; (m = model_name(t, i)); i++) {
        fprintf(out, "%-14s", m);
        for (int k = 0; k < n; k++)
            fprintf(out, " %8.5f %7.5f", row_at(t, m, h[k])->r.rmse, row_at(t, m, h[k])->r.crps);
        fprintf(out, " %6.1f %%\n", 100 * row_at(t, m, 0)->r.cover90);
    }
    fputc('\n', out);
}

static double beside_value(const MetricBeside *b, int what)
{
    const double v[] = {b->ratio, 100 * b->improved, b->rmse_clipped, 100 * b->cover50_live, 100 * b->cover90_live};
    return v[what];
}

// Of the models that are not naive.  Columns of 22 characters: "12.3 (10.1 .. 14.5)"
static void show_gains(const EvalTable *t, int n, const int *h, bool crps, FILE *out)
{
    for (int i = 0; i < t->models; i++) {
        if (t->model[i].naive) continue;
        fprintf(out, "%-8s %s  ", t->model[i].name, crps ? "CRPS" : "RMSE");
        for (int k = 0; k < n; k++) {
            const MetricBeside *b = &row_at(t, t->model[i].name, h[k])->beside;
            const MetricGain g = crps ? b->crps : b->rmse;
            char text[64];
            snprintf(text, sizeof text, "%.1f (%.1f .. %.1f)", g.value, g.low, g.high);
            fprintf(out, " %-21s", text);
        }
        fputc('\n', out);
    }
}

static bool all_naive(const EvalTable *t)
{
    for (int i = 0; i < t->models; i++)
        if (!t->model[i].naive) return false;
    return true;
}

// One row a model, all steps together; eval --out FILE has them step by step.
void show_beside(const EvalTable *t, FILE *out)
{
    static const char *const title[] = {"RMSE/ridge", "flows below", "RMSE clipped", "50 % covers", "90 % covers"};
    static const int digits[] = {3, 0, 5, 1, 1};
    fprintf(out, "%-14s", "live flows");
    for (int what = 0; what < 5; what++) fprintf(out, " %13s", title[what]);
    fputc('\n', out);
    for (int i = 0; i < t->models; i++) {
        fprintf(out, "%-14s", t->model[i].name);
        for (int what = 0; what < 5; what++) {
            const double x = beside_value(&row_at(t, t->model[i].name, 0)->beside, what);
            fprintf(out, " %11.*f%s", digits[what], x, what == 1 || what > 2 ? " %" : "  ");
        }
        fputc('\n', out);
    }
    fprintf(out, "all steps together; RMSE/ridge: geometric mean over flows; flows below: share whose RMSE is below "
            "that of ridge;\nRMSE clipped: all flows, errors held at 0.2\n\n");
    int h[6], n = shown_horizons(t->K, h);
    h[n++] = 0;
    if (t->best < 0 || all_naive(t)) return;
    fprintf(out, "gain over %s, per cent (above 0: better), with 95 %% interval over days\n%-15s",
            t->model[t->best].name, "");
    for (int k = 0; k < n; k++) {
        if (h[k]) fprintf(out, " step %-16d", h[k]);
        else fprintf(out, " all\n");
    }
    show_gains(t, n, h, true, out);
    show_gains(t, n, h, false, out);
    fputc('\n', out);
}

enum { FEW_DAYS = 7 };   // fewer decide nothing

static const char *gain_text(MetricGain g, const char *metric, const char *interval, Arena *a)
{
    const bool lower = g.value >= 0;
    const char *text = arena_printf(a, "%s %.1f %% %s", metric, fabs(g.value), lower ? "lower" : "higher");
    if (isnan(g.low)) return text;
    return arena_printf(a, "%s (%s%.1f .. %.1f)", text, interval, lower ? g.low : -g.high, lower ? g.high : -g.low);
}

const char *show_verdict(const EvalTable *t, const char *model, Arena *a)
{
    if (t->best < 0) return arena_printf(a, "%s: no naive forecast to compare with", model);
    const char *best = t->model[t->best].name;
    const MetricBeside *b = &row_at(t, model, 0)->beside;
    const bool crps = !isnan(b->crps.value);
    const MetricGain g = crps ? b->crps : b->rmse;
    const char *rmse = gain_text(b->rmse, "RMSE", crps ? "" : "95 % interval ", a);
    const char *figures = crps ? arena_printf(a, "%s, %s", gain_text(g, "CRPS", "95 % interval ", a), rmse) : rmse;
    if (isnan(g.value)) return arena_printf(a, "%s: not comparable with %s, a score is not a number", model, best);
    if (isnan(g.low))
        return arena_printf(a, "%s: %s than %s; one day of windows says no more", model, figures, best);
    const char *word = g.low > 0 ? "better than" : g.high < 0 ? "worse than" : "no better than";
    if (t->days < FEW_DAYS)
        return arena_printf(a, "%s: %s %s on these %d days, which are too few to be sure: %s; the intervals are too "
                            "narrow", model, word, best, t->days, figures);
    return arena_printf(a, "%s: %s %s on these data: %s", model, word, best, figures);
}

const char *show_basis(const EvalTable *t, Arena *a)
{
    const char *text = arena_printf(a, "%lld windows on %d days, %d live flows of %d", (long long)t->windows, t->days,
                                    t->n_live, t->F);
    if (t->n_live < t->F)
        text = arena_printf(a, "%s (%d silent in the scored rows, %d more in the fitted ones, %d above 0 in less than "
                            "half of the scored)", text, t->silent_scored, t->silent_fitted, t->seldom);
    if (t->missing)
        text = arena_printf(a, "%s; %lld of the %lld values to be forecast were not measured, and are not scored", text,
                            (long long)t->missing, (long long)t->target_values);
    if (t->best < 0) return text;
    return arena_printf(a, "%s; best naive forecast, that with the least CRPS over all steps: %s", text,
                        t->model[t->best].name);
}

const char *show_findings(const EvalTable *t, const char *comment, Arena *a)
{
    const char *text = arena_printf(a, "%s; %s", comment, show_basis(t, a));
    for (int i = 0; i < t->models; i++)
        if (!t->model[i].naive) text = arena_printf(a, "%s; %s", text, show_verdict(t, t->model[i].name, a));
    return text;
}

void show_scores(const EvalTable *t, const char *comment, FILE *out, Arena *a)
{
    show_table(t, comment, t->K, out);
    show_beside(t, out);
    fprintf(out, "%s\n", show_basis(t, a));
    for (int k = 0; k < NAIVE_KINDS; k++)
        if (t->left_out >> k & 1)
            fprintf(out, "note: %s left out: the data hold no snapshot that far back, it would equal %s\n",
                    naive_names[k], naive_names[k == NAIVE_LASTWEEK ? NAIVE_YESTERDAY : NAIVE_PERSISTENCE]);
    if (t->days < FEW_DAYS)
        fprintf(out, "warning: windows on %d days only, want at least %d: a few unusual days decide these scores, and "
                "the intervals are too narrow\n", t->days, FEW_DAYS);
    for (int i = 0; i < t->models; i++)
        if (!t->model[i].naive) fprintf(out, "%s\n", show_verdict(t, t->model[i].name, a));
}

enum { MAX_MODELS = 24 };

Status show_eval_png(const EvalTable *t, int K, const char *path, Arena *a)
{
    Series series[2][MAX_MODELS];
    int n = 0;
    double *x = arena_alloc(a, (size_t)K * sizeof *x);
    for (int k = 0; k < K; k++) x[k] = k + 1;
    for (const char *m; n < MAX_MODELS && (m = model_name(t, n)); n++) {
        double *rmse = arena_alloc(a, (size_t)K * 2 * sizeof *rmse), *crps = rmse + K;
        for (int k = 0; k < K; k++) {
            rmse[k] = row_at(t, m, k + 1)->r.rmse;
            crps[k] = row_at(t, m, k + 1)->r.crps;
        }
        const bool strong = strcmp(m, "lead") == 0;
        series[0][n] = (Series){m, K, x, rmse, LOOK_LINE_DOTS, strong};
        series[1][n] = (Series){m, K, x, crps, LOOK_LINE_DOTS, strong};
    }
    const LineChart c[2] = {
        {.title = "RMSE by forecast step",
         .x_label = "step",
         .y_label = "RMSE, flow / its maximum",
         .n_series = n,
         .series = series[0]},
        {.title = "CRPS by forecast step",
         .x_label = "step",
         .y_label = "CRPS, flow / its maximum",
         .n_series = n,
         .series = series[1]},
    };
    Picture *p;
    TRY(plot_line_charts(a, NULL, 2, c, 2, &p));
    return picture_write_png(p, path);
}

// ---- one window

const char *const show_film_note = "one pixel = one origin-destination pair; red: volume, green: change, "
                                   "blue: deviation from the usual at that time";

typedef struct Bands { float *mean, *median, *q05, *q25, *q75, *q95; } Bands;   // [K][F] kbit/s

static Bands bands_of(const float *samples, int S, DistKind kind, int64_t KF, Arena *a)
{
    float *all = arena_alloc(a, (size_t)KF * 6 * sizeof *all), *v = arena_alloc(a, (size_t)S * sizeof *v);
    const int type = metric_quantile_type(kind);
    Bands b = {all, all + KF, all + 2 * KF, all + 3 * KF, all + 4 * KF, all + 5 * KF};
    for (int64_t j = 0; j < KF; j++) {
        for (int s = 0; s < S; s++) v[s] = samples[s * KF + j];
        b.mean[j] = forecast_mean(v, S);
        forecast_sort(v, S);
        b.median[j] = (float)metric_quantile(v, S, 0.5, type);
        b.q05[j] = (float)metric_quantile(v, S, 0.05, type);
        b.q25[j] = (float)metric_quantile(v, S, 0.25, type);
        b.q75[j] = (float)metric_quantile(v, S, 0.75, type);
        b.q95[j] = (float)metric_quantile(v, S, 0.95, type);
    }
    return b;
}

// n RGB images: matrix i is x + i*F kbit/s, of the slot `ahead0 + i` after row t; prev = the matrix before the first.
static float *rgb_frames(const LeadRun *r, const TrafficSeries *s, int64_t t, int64_t ahead0, int n, const float *x,
                         const float *prev, Arena *a)
{
    const int F = r->stats.F;
    float *frames = arena_alloc(a, (size_t)n * (size_t)F * 3 * sizeof *frames);
    for (int i = 0; i < n; i++, prev = x + (int64_t)(i - 1) * F)
        encode_rgb(frames + (int64_t)i * F * 3, x + (int64_t)i * F, prev,
                   slot_means_at(&r->stats.means, s, t, ahead0 + i), &r->stats.scale, r->stats.gains);
    return frames;
}

// The time of the slot `ahead` after row t, as "2004-09-10 14:35 UTC"; "step 3" where there are no times.
static const char *slot_time(const TrafficSeries *s, int64_t t, int ahead, Arena *a)
{
    if (s->time)
        return arena_printf(a, "%.16s UTC", time_text(s->time[t] + (int64_t)ahead * s->slot_seconds).s);
    return ahead ? arena_printf(a, "step %d", ahead) : arena_printf(a, "row %lld", (long long)t);
}

// Captions of n frames from the slot `ahead` after row t on: the time of day, or the step.
static const char *const *captions(const TrafficSeries *s, int64_t t, int ahead, int n, Arena *a)
{
    const char **text = arena_alloc(a, (size_t)(n + 1) * sizeof *text);
    for (int i = 0; i < n; i++)
        text[i] = s->time ? arena_printf(a, "%.5s", slot_time(s, t, ahead + i, a) + 11)
                          : arena_printf(a, "%+d", ahead + i);
    return text;
}

static Status film_png(const LeadRun *r, const TrafficSeries *s, int64_t t, int n_truth, const Bands *b,
                       const char *path, Arena *a)
{
    const int H = r->cfg.history, K = r->cfg.horizon, F = r->stats.F;
    const float *now = s->x + t * F;
    FilmRow row[3] = {
        {"history", H, rgb_frames(r, s, t, 1 - H, H, now - (int64_t)(H - 1) * F, NULL, a), captions(s, t, 1 - H, H, a)},
        {"forecast (mean)", K, rgb_frames(r, s, t, 1, K, b->mean, now, a), captions(s, t, 1, K, a)},
        {"what came", n_truth, NULL, captions(s, t, 1, n_truth, a)},
    };
    if (n_truth) row[2].frames = rgb_frames(r, s, t, 1, n_truth, now + F, now, a);
    const FilmStrip f = {
        .title = arena_printf(a, "Traffic matrices as images (E2), forecast from %s", slot_time(s, t, 0, a)),
        .note = show_film_note,
        .n = r->stats.N,
        .n_rows = n_truth ? 3 : 2,
        .rows = row};
    Picture *p;
    TRY(plot_film_strip(a, &f, &p));
    return picture_write_png(p, path);
}

static Status maps_png(const LeadRun *r, const TrafficSeries *s, int64_t t, int n_truth, const Bands *b,
                       const char *path, Arena *a)
{
    const int F = r->stats.F, k = n_truth ? n_truth - 1 : r->cfg.horizon - 1;
    const char *what = n_truth ? "What came, mean forecast and error" : "Mean forecast";
    const HeatMaps h = {.title = arena_printf(a, "%s, %s (step %d)", what, slot_time(s, t, k + 1, a), k + 1),
                        .n = r->stats.N,
                        .names = s->node,
                        .unit = "kbit/s",
                        .log = true,
                        .truth = n_truth ? s->x + (t + 1 + k) * F : NULL,
                        .forecast = b->mean + (int64_t)k * F};
    Picture *p;
    TRY(plot_heat_maps(a, &h, &p));
    return picture_write_png(p, path);
}

static Status fans_png(const LeadRun *r, const TrafficSeries *s, int64_t t, int n_truth, const Bands *b,
                       const char *path, Arena *a)
{
    enum { CHARTS = 6 };
    const int F = r->stats.F, K = r->cfg.horizon, H = 3 * r->cfg.history < t ? 3 * r->cfg.history : r->cfg.history,
              N = r->stats.N;
    FanChart c[CHARTS];
    bool used[1 << 14] = {false};
    int n = 0;
    for (; n < CHARTS && n < F; n++) {
        int best = -1;
        for (int f = 0; f < F && f < (1 << 14); f++)
            if (!used[f] && (best < 0 || r->stats.mean[f] * r->stats.scale.flowmax_kbps[f] >
                                             r->stats.mean[best] * r->stats.scale.flowmax_kbps[best]))
                best = f;
        used[best] = true;
        float *series = arena_alloc(a, (size_t)(H + 6 * K) * sizeof *series), *at = series;
        for (int i = 0; i < H; i++) {   // NaN, a hole in the line, where the run has no valid snapshot
            const int64_t row = traffic_row_at(s, t, i + 1 - H);
            *at++ = row < 0 ? NAN : s->x[row * F + best];
        }
        const float *from[6] = {n_truth ? s->x + (t + 1) * F : NULL, b->median, b->q05, b->q25, b->q75, b->q95};
        float *out[6] = {NULL};
        for (int q = 0; q < 6; q++) {
            if (!from[q]) continue;
            out[q] = at;
            for (int k = 0; k < K; k++) *at++ = q == 0 && k >= n_truth ? NAN : from[q][(int64_t)k * F + best];
        }
        c[n] = (FanChart){.title = s->node ? arena_printf(a, "%s to %s", s->node[best / N], s->node[best % N])
                                           : arena_printf(a, "%d to %d", best / N, best % N),
                          .unit = "kbit/s",
                          .t0 = s->time ? (double)(s->time[t] - (int64_t)(H - 1) * s->slot_seconds) : 0,
                          .step_s = s->time ? s->slot_seconds : 0,
                          .n_history = H,
                          .n_forecast = K,
                          .history = series,
                          .truth = out[0],
                          .median = out[1],
                          .q05 = out[2],
                          .q25 = out[3],
                          .q75 = out[4],
                          .q95 = out[5]};
    }
    Picture *p;
    const char *title = arena_printf(a, "The largest flows: forecast from %s with its 50 %% and 90 %% bands%s",
                                     slot_time(s, t, 0, a), n_truth ? ", and what came" : "");
    TRY(plot_fan_charts(a, title, n, c, 2, &p));
    return picture_write_png(p, path);
}

Status show_window_pngs(const LeadRun *r, const TrafficSeries *s, int64_t t, const float *samples, const char *dir,
                        Arena *a)
{
    const int K = r->cfg.horizon;
    int n_truth = 0;   // rows that follow t at once and are valid
    while (n_truth < K && traffic_row_at(s, t, n_truth + 1) == t + n_truth + 1) n_truth++;
    const Bands b = bands_of(samples, r->cfg.samples, lead_dist(r), (int64_t)K * r->stats.F, a);
    TRY(film_png(r, s, t, n_truth, &b, arena_printf(a, "%s/film.png", dir), a));
    TRY(maps_png(r, s, t, n_truth, &b, arena_printf(a, "%s/maps.png", dir), a));
    return fans_png(r, s, t, n_truth, &b, arena_printf(a, "%s/fans.png", dir), a);
}

// ---- training

Status show_loss_png(const char *log_path, const char *path, Arena *a)
{
    char *text;
    size_t size;
    TRY(file_read(&text, &size, a, log_path, (size_t)1 << 30));
    int lines = 0;
    for (size_t i = 0; i < size; i++) lines += text[i] == '\n';
    double *x = arena_alloc(a, (size_t)(lines + 1) * 4 * sizeof *x), *y = x + lines + 1, *vx = y + lines + 1,
           *vy = vx + lines + 1;
    int n = 0, nv = 0;
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        const Json *j;
        TRY(json_parse(&j, a, line, (size_t)(end - line), log_path));
        double step, loss, val;
        if (!json_find(j, "smooth_loss") || json_find(j, "final")) continue;   // the end of a fit; the final fit
        TRY(json_get_number(&step, j, "step", log_path));
        TRY(json_get_number(&loss, j, "smooth_loss", log_path));
        x[n] = step;
        y[n++] = loss;
        if (json_find(j, "val_loss")) {
            TRY(json_get_number(&val, j, "val_loss", log_path));
            vx[nv] = step;
            vy[nv++] = val;
        }
    }
    const Series series[2] = {{"training (smoothed)", n, x, y, LOOK_LINE, false},
                              {"validation (EMA weights)", nv, vx, vy, LOOK_LINE_DOTS, true}};
    const LineChart c = {
        .title = "Training", .x_label = "step", .y_label = "diffusion loss", .n_series = 2, .series = series};
    Picture *p;
    TRY(plot_line_charts(a, NULL, 1, &c, 1, &p));
    return picture_write_png(p, path);
}
