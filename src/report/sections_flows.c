// The sections of a report about flows: the forecast, and how accurate such forecasts were.
#include <math.h>
#include <string.h>

#include "report/page.h"

// ---- the forecast

static const PageKey fan_keys[] = {
    {"history", "measured"}, {"median", "forecast, median"}, {"band50", "50 % of the paths"},
    {"band90", "90 % of the paths"}, {"truth", "what came"}};

// What came is in the legend where it is in a chart.
static void fan_legend(Page *p, const FanChart *fan, int n)
{
    bool truth = false;
    for (int i = 0; i < n; i++) truth |= fan[i].truth != NULL;
    page_legend(p, truth ? 5 : 4, fan_keys);
}

static void heat_map(Page *p, const ReportForecast *f, const char *caption, const float *values, ColorMap map,
                     Axis axis)
{
    const SvgHeatMap m = {f->N, f->node, values, map, axis};
    page_figure(p, "", caption);
    svg_heat_map(&p->h, p->a, &m, (SvgSize){340, 340});
    page_figure_end(p);
}

// The nodes with the most traffic, in their order, where a map of all would be too large -> a smaller forecast.
static ReportForecast busiest(Page *p, const ReportForecast *f, int most)
{
    const int N = f->N;
    double *sum = arena_zalloc(p->a, (size_t)N * sizeof *sum);
    bool *kept = arena_zalloc(p->a, (size_t)N * sizeof *kept);
    for (int i = 0; i < N; i++)
        for (int j = 0; j < N; j++) {
            const double v = (double)f->then[(int64_t)i * N + j];
            sum[i] += v;
            sum[j] += v;
        }
    for (int k = 0; k < most; k++) {
        int best = -1;
        for (int i = 0; i < N; i++)
            if (!kept[i] && (best < 0 || sum[i] > sum[best])) best = i;
        kept[best] = true;
    }
    ReportForecast small = *f;
    const char **node = arena_alloc(p->a, (size_t)most * sizeof *node);
    float *now = arena_alloc(p->a, 2 * (size_t)(most * most) * sizeof *now), *then = now + most * most;
    int64_t at = 0;
    for (int i = 0, n = 0; i < N; i++) {
        if (!kept[i]) continue;
        node[n++] = f->node[i];
        for (int j = 0; j < N; j++) {
            if (!kept[j]) continue;
            if (f->now) now[at] = f->now[(int64_t)i * N + j];
            then[at++] = f->then[(int64_t)i * N + j];
        }
    }
    small.N = most;
    small.node = node;
    small.now = f->now ? now : NULL;
    small.then = then;
    return small;
}

static void heat_maps(Page *p, const ReportForecast *all)
{
    enum { MOST = 40 };
    const ReportForecast f = all->N > MOST ? busiest(p, all, MOST) : *all;
    const int64_t F = (int64_t)f.N * f.N;
    float *change = arena_alloc(p->a, (size_t)F * sizeof *change);
    for (int64_t i = 0; i < F && f.now; i++) change[i] = f.then[i] - f.now[i];
    const HeatMaps h = {.n = f.N, .names = f.node, .unit = "kbit/s", .log = true, .truth = f.now, .forecast = f.then};
    html_put(&p->h, "p", "soft", "Rows are origins, columns destinations; colours are logarithmic, and zero has the "
             "darkest%s.", all->N > MOST ? arena_printf(p->a, "; the %d of %d nodes with the most traffic", MOST,
                                                        all->N)
                                         : "");
    html_open(&p->h, "div", " class=\"charts\"");
    if (f.now)
        heat_map(p, &f, arena_printf(p->a, "Measured, %s", f.from), f.now, MAP_SEQUENTIAL, heat_maps_axis(&h));
    heat_map(p, &f, arena_printf(p->a, "Forecast (mean), %s", f.to), f.then, MAP_SEQUENTIAL, heat_maps_axis(&h));
    if (f.now)
        heat_map(p, &f, "Forecast less measured", change, MAP_DIVERGING, heat_maps_error_axis(&h, change));
    html_close(&p->h);
}

static void flow_table(Page *p, const ReportForecast *f)
{
    double most = 0;
    for (int i = 0; i < f->flows; i++) most = fmax(most, fmax(f->flow[i].q95, fmax(f->flow[i].last, f->flow[i].mean)));
    const RateUnit u = rate_unit(most);
    page_table(p, arena_printf(p->a, "The %d largest flows, %.0f %% of the forecast traffic; %s", f->flows,
                               100 * f->share, u.name),
               arena_printf(p->a, "Origin|Destination|Measured last|Mean of %d steps|Last step: 5 %%|Median|95 %%|"
                            "5 to 95 %%", f->steps), 2);
    for (int i = 0; i < f->flows; i++) {
        const ReportFlow *x = &f->flow[i];
        page_row(p, false);
        page_word(p, x->from);
        page_word(p, x->to);
        page_rate(p, u, x->last);
        page_rate(p, u, x->mean);
        page_rate(p, u, x->q05);
        page_rate(p, u, x->q50);
        page_rate(p, u, x->q95);
        page_range(p, x->q05, x->q50, x->q95, 0, most, NAN);
        page_row_end(p);
    }
    page_table_end(p);
}

static void node_table(Page *p, const ReportForecast *f)
{
    double most = 0;
    for (int i = 0; i < f->nodes; i++)
        for (int w = 0; w < 2; w++) most = fmax(most, fmax(f->busy[i].way[w].q95, f->busy[i].way[w].last));
    const RateUnit u = rate_unit(most);
    page_table(p, arena_printf(p->a, "What nodes send and receive, %s%s; %s", f->nodes < f->N ? "the busiest of them"
                               : "the busiest first", f->nodes < f->N ? arena_printf(p->a, " (%d of %d)", f->nodes,
                               f->N) : "", u.name),
               "Node|Sends: measured last|Mean|Last step: 5 %|Median|95 %|Receives: measured last|Mean|"
               "Last step: 5 %|Median|95 %", 1);
    for (int i = 0; i < f->nodes; i++) {
        page_row(p, false);
        page_word(p, f->busy[i].name);
        for (int w = 0; w < 2; w++) {
            const double x[] = {f->busy[i].way[w].last, f->busy[i].way[w].mean, f->busy[i].way[w].q05,
                                f->busy[i].way[w].q50, f->busy[i].way[w].q95};
            for (int k = 0; k < 5; k++) page_rate(p, u, x[k]);
        }
        page_row_end(p);
    }
    page_table_end(p);
}

void report_forecast(Page *p, const ReportForecast *f)
{
    page_section(p, "forecast", "The forecast",
                 arena_printf(p->a, "By %s: %d sample paths of the %d steps after %s, to %s. At every step half of the "
                              "paths lie inside the inner band, nine of ten inside the outer one.", f->model,
                              f->paths, f->steps, f->from, f->to));
    fan_legend(p, f->fan, f->fans);
    html_open(&p->h, "div", " class=\"charts\"");
    for (int i = 0; i < f->fans; i++) {
        page_figure(p, "", f->fan[i].title);
        svg_fan_chart(&p->h, p->a, &f->fan[i], (SvgSize){360, 235}, NAN);
        page_figure_end(p);
    }
    html_close(&p->h);
    if (f->flows) flow_table(p, f);
    if (f->nodes) node_table(p, f);
    heat_maps(p, f);
    page_section_end(p);
}

// ---- accuracy

static const EvalRow *row_at(const EvalTable *t, int model, int h)
{
    return eval_table_find(t, t->model[model].name, "scaled", h);
}

static void eval_chart(Page *p, const EvalTable *t, bool crps, bool legend)
{
    Series *s = arena_alloc(p->a, (size_t)t->models * sizeof *s);
    for (int i = 0; i < t->models; i++) {
        double *x = arena_alloc(p->a, (size_t)t->K * 2 * sizeof *x), *y = x + t->K;
        for (int k = 0; k < t->K; k++) {
            const MetricResult *r = &row_at(t, i, k + 1)->r;
            x[k] = k + 1;
            y[k] = crps ? r->crps : r->rmse;
        }
        s[i] = (Series){t->model[i].name, t->K, x, y, LOOK_LINE, strcmp(t->model[i].name, "lead") == 0};
    }
    const LineChart c = {.x_kind = AXIS_WHOLE, .x_label = "step", .n_series = t->models, .series = s};
    if (legend) {
        PageKey *key = arena_alloc(p->a, (size_t)t->models * sizeof *key);
        for (int i = 0; i < t->models; i++)
            key[i] = (PageKey){svg_series_class(p->a, &c, i), s[i].name};
        page_legend(p, t->models, key);
        html_open(&p->h, "div", " class=\"charts\"");
    }
    page_figure(p, "", crps ? "CRPS by step (whole distribution)" : "RMSE by step (point forecast)");
    svg_line_chart(&p->h, p->a, &c, (SvgSize){400, 250});
    page_figure_end(p);
}

// Scores of every model over all steps and at the first and last.
static void score_table(Page *p, const EvalTable *t)
{
    page_table(p, "Scores of the scaled flows, each divided by its maximum in the training rows; less is better. The "
               "bands should cover 50 and 90 %: of live flows, all steps.",
               arena_printf(p->a, "Forecast|RMSE, step 1|step %d|all|CRPS, step 1|step %d|all|50 %% covers|"
                            "90 %% covers|RMSE to ridge's|Flows below ridge", t->K, t->K), 1);
    for (int i = 0; i < t->models; i++) {
        const EvalRow *r[3] = {row_at(t, i, 1), row_at(t, i, t->K), row_at(t, i, 0)};
        page_row(p, !t->model[i].naive);
        page_word(p, t->model[i].name);
        for (int k = 0; k < 3; k++) page_number(p, 5, r[k]->r.rmse);
        for (int k = 0; k < 3; k++) page_number(p, 5, r[k]->r.crps);
        page_number(p, 1, 100 * r[2]->beside.cover50_live);
        page_number(p, 1, 100 * r[2]->beside.cover90_live);
        page_number(p, 3, r[2]->beside.ratio);
        page_number(p, 0, 100 * r[2]->beside.improved);
        page_row_end(p);
    }
    page_table_end(p);
}

static void gain_row(Page *p, const EvalTable *t, int model, int h, bool crps, double lo, double hi)
{
    const MetricBeside *b = &row_at(t, model, h)->beside;
    const MetricGain g = crps ? b->crps : b->rmse;
    page_row(p, h == 0);
    page_word(p, t->model[model].name);
    page_word(p, h ? arena_printf(p->a, "%s, step %d", crps ? "CRPS" : "RMSE", h)
                   : arena_printf(p->a, "%s, all steps", crps ? "CRPS" : "RMSE"));
    page_number(p, 1, g.value);
    page_number(p, 1, g.low);
    page_number(p, 1, g.high);
    page_range(p, g.low, g.value, g.high, lo, hi, 0);
    page_row_end(p);
}

// The gain of every model that is not naive over the best that is.
static void gain_table(Page *p, const EvalTable *t)
{
    const int at[] = {0, 1, (t->K + 1) / 2, t->K};
    double lo = -1, hi = 1;
    int shown = 0;
    for (int i = 0; i < t->models; i++)
        for (int k = 0; k < 4 && !t->model[i].naive; k++, shown++) {
            const MetricBeside *b = &row_at(t, i, at[k])->beside;
            lo = fmin(lo, fmin(fmin(b->crps.low, b->rmse.low), fmin(b->crps.value, b->rmse.value)));
            hi = fmax(hi, fmax(fmax(b->crps.high, b->rmse.high), fmax(b->crps.value, b->rmse.value)));
        }
    if (t->best < 0 || !shown) return;
    page_table(p, arena_printf(p->a, "Gain over %s, the best naive forecast, per cent: above 0 is better. The interval "
                               "is one of 95 %% over days.", t->model[t->best].name),
               "Forecast|Score|Gain|from|to|95 % interval", 2);
    for (int i = 0; i < t->models; i++)
        for (int crps = 1; crps >= 0 && !t->model[i].naive; crps--)
            for (int k = 0; k < 4; k++)
                if (k == 0 || at[k] > (k == 1 ? 0 : at[k - 1])) gain_row(p, t, i, at[k], crps == 1, lo, hi);
    page_table_end(p);
}

void report_eval(Page *p, const ReportEval *e)
{
    page_section(p, "accuracy", "How accurate such forecasts were",
                 arena_printf(p->a, "On rows that were not trained on: %s.", e->basis));
    for (int i = 0; i < e->verdicts; i++) html_put(&p->h, "p", "verdict", "%s", e->verdict[i]);
    if (!e->verdicts) html_put(&p->h, "p", "verdict", "Naive forecasts only: no model was scored beside them.");
    eval_chart(p, e->table, true, true);
    eval_chart(p, e->table, false, false);
    html_close(&p->h);
    gain_table(p, e->table);
    score_table(p, e->table);
    html_put(&p->h, "p", "soft", "%s", e->comment);
    page_section_end(p);
}
