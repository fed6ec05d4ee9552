#include "report/report.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"
#include "report/page.h"
#include "traffic/faults.h"
#include "traffic/info.h"
#include "traffic/times.h"

const double report_levels[REPORT_LEVELS] = {0.05, 0.25, 0.5, 0.75, 0.95};

void report_note(Report *r, Arena *a, const char *part, const char *why)
{
    if (r->notes < (int)(sizeof r->note / sizeof *r->note)) r->note[r->notes++] = arena_printf(a, "%s: %s", part, why);
}

// ---- the top: what matters, in a few numbers

static void tile(Page *p, const char *what, const char *value, const char *more)
{
    html_open(&p->h, "div", " class=\"tile\"");
    html_put(&p->h, "span", "", "%s", what);
    html_put(&p->h, "b", "", "%s", value);
    html_put(&p->h, "span", "", "%s", more);
    html_close(&p->h);
}

static void tile_forecast(Page *p, const ReportForecast *f)
{
    const FanChart *c = &f->fan[0];
    const int k = c->n_forecast - 1;
    if (!f->fans || k < 0 || !c->median) return;
    tile(p, "Total traffic, last step", rate_text(p->a, (double)c->median[k]),
         arena_printf(p->a, "90 %%: %s to %s", rate_text(p->a, (double)c->q05[k]), rate_text(p->a, (double)c->q95[k])));
}

static void tile_eval(Page *p, const ReportEval *e)
{
    const EvalTable *t = e->table;
    for (int i = 0; i < t->models && t->best >= 0; i++) {
        if (t->model[i].naive) continue;
        const EvalRow *row = eval_table_find(t, t->model[i].name, "scaled", 0);
        const MetricGain g = row->beside.crps;
        if (isnan(g.value)) return;
        tile(p, arena_printf(p->a, "CRPS against %s", t->model[t->best].name),
             arena_printf(p->a, "%.1f\xc2\xa0%% %s", fabs(g.value), g.value >= 0 ? "lower" : "higher"),
             isnan(g.low) ? "one day: no interval"
                          : arena_printf(p->a, "95 %% interval of the gain: %.1f to %.1f %%", g.low, g.high));
        return;
    }
}

static const char *percent(Page *p, double share) { return arena_printf(p->a, "%.1f\xc2\xa0%%", 100 * share); }

// Medians: the mean of a few dozen paths can be that of one.
static void tile_links(Page *p, const ReportLinks *l)
{
    const LoadStep *worst = NULL;
    for (int k = 0; k < l->steps; k++) {
        const LoadStep *s = &l->step[k];
        const bool fuller = !worst || s->largest.quantile[REPORT_HIGH] > worst->largest.quantile[REPORT_HIGH];
        if (s->most_often >= 0 && fuller) worst = s;
    }
    if (!worst) return;
    tile(p, "Fullest link", percent(p, worst->largest.quantile[REPORT_MEDIAN]),
         arena_printf(p->a, "mostly %s; in 5 %% of the paths above %s", l->t->link[worst->most_often].name,
                      percent(p, worst->largest.quantile[REPORT_HIGH])));
}

static void tile_failures(Page *p, const ReportFailures *f)
{
    if (!f->n || f->result[0].link < 0) return;
    const FailureResult *w = &f->result[0];
    tile(p, arena_printf(p->a, "Worst failure: %s", w->failure->name), percent(p, w->quantile[REPORT_MEDIAN]),
         arena_printf(p->a, "then the load of %s; in 5 %% of the paths above %s", f->t->link[w->link].name,
                      percent(p, w->quantile[REPORT_HIGH])));
}

static void tiles(Page *p, const Report *r)
{
    html_open(&p->h, "div", " class=\"tiles\"");
    if (r->forecast) tile_forecast(p, r->forecast);
    if (r->eval) tile_eval(p, r->eval);
    if (r->links) tile_links(p, r->links);
    if (r->failures) tile_failures(p, r->failures);
    if (r->alarms)
        tile(p, "Alarms", arena_printf(p->a, "%lld", (long long)r->alarms->raised),
             arena_printf(p->a, "in %lld rows judged", (long long)r->alarms->judged));
    html_close(&p->h);
}

static void contents(Page *p, const Report *r)
{
    const struct { const void *there; const char *id, *name; } part[] = {
        {r->data, "data", "Data"}, {r->forecast, "forecast", "Forecast"}, {r->eval, "accuracy", "Accuracy"},
        {r->links, "links", "Links"}, {r->failures, "failures", "Failures"}, {r->alarms, "alarms", "Alarms"},
        {r->manifest, "manifest", "How it was made"}};
    html_open(&p->h, "nav", "%s", "");
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        if (!part[i].there) continue;
        html_open(&p->h, "a", " href=\"#%s\"", part[i].id);
        html_text(&p->h, part[i].name);
        html_close(&p->h);
    }
    html_close(&p->h);
}

static void top(Page *p, const Report *r)
{
    html_open(&p->h, "header", "%s", "");
    html_put(&p->h, "h1", "", "%s", r->title);
    html_put(&p->h, "p", "soft", "%s", r->made);
    tiles(p, r);
    contents(p, r);
    html_close(&p->h);
}

// ---- the data

static double row_total(const TrafficSeries *s, int64_t t)
{
    const int64_t F = (int64_t)s->N * s->N;
    double sum = 0;
    for (int64_t f = 0; f < F; f++) sum += (double)s->x[t * F + f];
    return sum;
}

// The total over the whole span, in bins of equal length; slots of gaps belong to it.
static SvgTimeline timeline(Page *p, const TrafficSeries *s, int most)
{
    const int64_t first = s->slot[0], span = s->time ? (s->time[s->T - 1] - s->time[0]) / s->slot_seconds + 1 : s->T;
    const int n = span < most ? (int)span : most;
    float *mean = arena_alloc(p->a, (size_t)n * 3 * sizeof *mean), *low = mean + n, *high = low + n;
    double *sum = arena_zalloc(p->a, (size_t)n * sizeof *sum);
    int *count = arena_zalloc(p->a, (size_t)n * sizeof *count);
    unsigned char *marked = arena_zalloc(p->a, (size_t)n);
    for (int64_t t = 0; t < s->T; t++) {
        const int64_t at = s->time ? s->slot[t] - first : t;      // without times a gap has no length
        const int64_t bin = at * n / span;
        if (bin < 0 || bin >= n) continue;
        if (!s->valid[t] || (s->measured && !s->measured[t])) {
            marked[bin] = 1;
            if (!s->valid[t]) continue;
        }
        const double v = row_total(s, t);
        low[bin] = count[bin] ? fminf(low[bin], (float)v) : (float)v;
        high[bin] = count[bin] ? fmaxf(high[bin], (float)v) : (float)v;
        sum[bin] += v;
        count[bin]++;
    }
    for (int i = 0; i < n; i++) {
        mean[i] = count[i] ? (float)(sum[i] / count[i]) : NAN;
        if (!count[i]) low[i] = high[i] = NAN;
    }
    const double t0 = s->time ? (double)s->time[0] : 0;
    return (SvgTimeline){.n = n, .t0 = t0, .t1 = t0 + (double)span * (s->time ? s->slot_seconds : 1),
                         .clock = s->time != NULL, .mean = mean, .low = low, .high = high, .marked = marked,
                         .unit = "kbit/s"};
}

// Once for wide windows and paper, once for narrow ones, where the text of the first would be too small.
static void draw_timeline(Page *p, const TrafficSeries *s)
{
    const SvgTimeline wide = timeline(p, s, 520), narrow = timeline(p, s, 180);
    PageKey key[3] = {{"line c0", "total"}};
    int keys = 1;
    bool hole = false, marked = false;
    for (int i = 0; i < wide.n; i++) {
        hole |= !isfinite(wide.mean[i]);
        marked |= wide.marked[i] && isfinite(wide.mean[i]);
    }
    if (hole) key[keys++] = (PageKey){"hole", "nothing measured, or left out"};
    if (marked) key[keys++] = (PageKey){"limit", "some rows left out or filled"};
    page_legend(p, keys, key);
    html_open(&p->h, "div", " class=\"wide\"");
    svg_timeline(&p->h, p->a, &wide, (SvgSize){1040, 230});
    html_close(&p->h);
    html_open(&p->h, "div", " class=\"narrow\"");
    svg_timeline(&p->h, p->a, &narrow, (SvgSize){380, 220});
    html_close(&p->h);
}

__attribute__((format(printf, 3, 4)))
static void fact(Page *p, const char *name, const char *fmt, ...)
{
    char text[4096];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    html_put(&p->h, "dt", "", "%s", name);
    html_put(&p->h, "dd", "", "%s", text);
}

static const char *length_text(Arena *a, double seconds)
{
    return seconds < 120      ? arena_printf(a, "%.0f\xc2\xa0s", seconds)
           : seconds < 7200   ? arena_printf(a, "%.4g\xc2\xa0min", seconds / 60)
           : seconds < 172800 ? arena_printf(a, "%.3g\xc2\xa0h", seconds / 3600)
                              : arena_printf(a, "%.1f\xc2\xa0""days", seconds / 86400);
}

static void facts_missing(Page *p, const TrafficSeries *s)
{
    const TrafficReading *r = &s->reading;
    const double cells = (double)s->T * s->N * s->N;
    int64_t out = 0;
    for (int64_t t = 0; t < s->T; t++) out += !s->valid[t];
    if (r->cells_missing)
        fact(p, "Missing values", "%lld (%.3g %%), of which %lld were filled; %lld rows were absent and are made of "
             "their neighbours", (long long)r->cells_missing, 100 * (double)r->cells_missing / cells,
             (long long)r->cells_filled, (long long)r->rows_filled);
    else fact(p, "Missing values", "none");
    if (out) fact(p, "Rows left out", "%lld of %lld (%.2g %%)", (long long)out, (long long)s->T,
                  100 * (double)out / (double)s->T);
    else fact(p, "Rows left out", "none");
}

static void facts_read(Page *p, const ReportData *d)
{
    Arena *a = p->a;
    const TrafficSeries *s = d->series;
    const TrafficReading *r = &s->reading;
    fact(p, "File", "%s", d->name);
    if (s->time)
        fact(p, "Span", "%s to %s UTC (%s)", traffic_row_text(s, 0, a), traffic_row_text(s, s->T - 1, a),
             length_text(a, (double)(s->time[s->T - 1] - s->time[0] + s->slot_seconds)));
    else fact(p, "Span", "%lld rows without times", (long long)s->T);
    fact(p, "Matrices", "%lld of %d \xc3\x97 %d nodes, a slot of %s", (long long)s->T, s->N, s->N,
         length_text(a, s->slot_seconds));
    fact(p, "Read as", "%s, %s%s", r->format ? r->format : "in memory", r->unit ? r->unit : "kbit/s",
         r->unit_assumed ? " (assumed: the file names no unit)" : "");
}

static void facts_traffic(Page *p, const TrafficSeries *s)
{
    Arena *a = p->a;
    TrafficStats st;
    traffic_stats(&st, a, s);
    if (!st.snapshots) return;
    fact(p, "Total", "%s on average between different nodes, %s to %s", rate_text(a, st.total_mean_kbps),
         rate_text(a, st.total_min_kbps), rate_text(a, st.total_max_kbps));
    fact(p, "Flows", "the 10 largest carry %.0f %%; %s silent throughout", 100 * st.top10_share,
         st.silent_flows_off ? arena_printf(a, "%d of %d are", st.silent_flows_off, s->N * (s->N - 1)) : "none is");
    fact(p, "Day and week", "busiest at %02d h, quietest at %02d h%s", st.hour_of_peak, st.hour_of_trough,
         isfinite(st.weekend_ratio) ? arena_printf(a, "; a weekend day carries %.0f %% of a weekday's",
                                                   100 * st.weekend_ratio) : "");
}

static void gap_table(Page *p, const TrafficSeries *s)
{
    enum { MOST = 20 };
    if (s->n_runs < 2) return;
    const int64_t gaps = s->n_runs - 1;
    page_table(p, gaps > MOST ? arena_printf(p->a, "Gaps: the first %d of %lld", MOST, (long long)gaps) : "Gaps",
               "Last row before|First row after|Length", 3);
    for (int64_t i = 1; i < s->n_runs && i <= MOST; i++) {
        const int64_t before = s->runs[i - 1].end - 1, after = s->runs[i].begin;
        page_row(p, false);
        page_word(p, traffic_row_text(s, before, p->a));
        page_word(p, traffic_row_text(s, after, p->a));
        page_word(p, s->time ? length_text(p->a, (double)(s->time[after] - s->time[before] - s->slot_seconds))
                             : "unknown");
        page_row_end(p);
    }
    page_table_end(p);
}

static void suspect_table(Page *p, const TrafficSeries *s)
{
    enum { MOST = 20 };
    TrafficSuspect *list;
    const int64_t n = traffic_suspects_find(s, p->a, &list);
    if (!n) return;
    page_table(p, arena_printf(p->a, "Suspicious rows%s: the total against the median of the day before and after",
                               n > MOST ? arena_printf(p->a, ", the first %d of %lld", MOST, (long long)n) : ""),
               "Row|What|Times the usual", 2);
    for (int64_t i = 0; i < n && i < MOST; i++) {
        page_row(p, false);
        page_word(p, traffic_row_text(s, list[i].row, p->a));
        page_word(p, list[i].high ? "far too high, or inside a block of such" : "nearly empty");
        page_number(p, 2, list[i].ratio);
        page_row_end(p);
    }
    page_table_end(p);
}

static int newest_first(const void *p, const void *q)
{
    const TrafficFault *a = p, *b = q;
    if (a->rows.end != b->rows.end) return a->rows.end < b->rows.end ? 1 : -1;
    return a->kind != b->kind ? (int)a->kind - (int)b->kind : a->flow - b->flow;
}

// "12 spike, 3 level"
static const char *fault_counts(Arena *a, const TrafficFault *f, int64_t n)
{
    int64_t count[FAULT_KINDS] = {0};
    const char *text = "";
    for (int64_t i = 0; i < n; i++) count[f[i].kind]++;
    for (int k = 0; k < FAULT_KINDS; k++)
        if (count[k])
            text = arena_printf(a, "%s%s%lld %s", text, *text ? ", " : "", (long long)count[k], fault_names[k]);
    return text;
}

static void fault_table(Page *p, const TrafficSeries *s)
{
    enum { MOST = 20 };
    TrafficFault *f;
    const int64_t n = traffic_faults_find(s, p->a, &f);
    if (!n) return;
    const char *cut = n > MOST ? arena_printf(p->a, "; the newest %d, lead data info prints more", MOST) : "";
    page_table(p, arena_printf(p->a, "Faults of single flows and nodes: %s. For information, nothing is left out for "
                               "them%s", fault_counts(p->a, f, n), cut), "From|To|Kind|What", 4);
    qsort(f, (size_t)n, sizeof *f, newest_first);
    for (int64_t i = 0; i < n && i < MOST; i++) {
        page_row(p, false);
        page_word(p, traffic_row_text(s, f[i].rows.begin, p->a));
        page_word(p, traffic_row_text(s, f[i].rows.end - 1, p->a));
        page_word(p, fault_names[f[i].kind]);
        page_word(p, traffic_fault_text(s, &f[i], p->a));
        page_row_end(p);
    }
    page_table_end(p);
}

void report_data(Page *p, const ReportData *d)
{
    page_section(p, "data", "The data", "All traffic together over the whole span. The line is the mean of a bin, the "
                 "area its smallest and largest total.");
    draw_timeline(p, d->series);
    html_open(&p->h, "dl", "%s", "");
    facts_read(p, d);
    facts_traffic(p, d->series);
    facts_missing(p, d->series);
    const TrafficNotes *notes = &d->series->reading.notes;
    for (int i = 0; i < notes->n; i++) fact(p, i ? "" : "Notes of reading", "%s", notes->line[i]);
    html_close(&p->h);
    gap_table(p, d->series);
    suspect_table(p, d->series);
    fault_table(p, d->series);
    page_section_end(p);
}

// ---- alarms

static void alarm_row(Page *p, const ReportAlarm *a, RateUnit u)
{
    page_row(p, false);
    page_word(p, a->time);
    page_word(p, a->kind);
    page_word(p, a->what);
    page_rate(p, u, a->kbps);
    page_rate(p, u, a->expected);
    page_rate(p, u, a->q05);
    page_rate(p, u, a->q95);
    page_number(p, 2, a->score);
    page_number(p, 2, a->limit);
    page_row_end(p);
}

void report_alarms(Page *p, const ReportAlarms *a)
{
    double most = 0;
    page_section(p, "alarms", "Alarms",
                 arena_printf(p->a, "Each of the rows from %s to %s against the forecast that %s makes for it one step "
                              "before. Limits are learnt from %lld rows, so that %.3g %% of ordinary ones raise an "
                              "alarm (%.2g %% of those did). lead alarm --model %s prints all.", a->first, a->last,
                              a->model, (long long)a->learnt, 100 * a->rate, 100 * a->reached, a->model));
    const char *skipped = a->skipped ? arena_printf(p->a, " %lld more cannot be judged: a gap, missing values, or too "
                                                    "few rows before.", (long long)a->skipped) : "";
    html_put(&p->h, "p", "verdict", "%lld of %lld rows raise an alarm.%s", (long long)a->raised, (long long)a->judged,
             skipped);
    for (int i = 0; i < a->n; i++) most = fmax(most, fmax(a->alarm[i].kbps, fmax(a->alarm[i].q95, 0)));
    const RateUnit u = rate_unit(most);
    if (a->n) {
        page_table(p, arena_printf(p->a, "The newest first%s; rates in %s. A score above its limit raises the "
                                   "alarm.", a->found > a->n ? arena_printf(p->a, ", %d of %d", a->n, a->found) : "",
                                   u.name),
                   "Time|Kind|Where|Measured|Expected|5 %|95 %|Score|Limit", 3);
        for (int i = 0; i < a->n; i++) alarm_row(p, &a->alarm[i], u);
        page_table_end(p);
    }
    page_section_end(p);
}

// ---- the page

static void left_out(Page *p, const Report *r)
{
    for (int i = 0; i < r->notes; i++) html_put(&p->h, "p", "soft", "Left out: %s.", r->note[i]);
}

static void manifest(Page *p, const Report *r)
{
    page_section(p, "manifest", "How it was made", "");
    left_out(p, r);
    if (r->manifest) {
        html_open(&p->h, "pre", "%s", "");
        html_text(&p->h, r->manifest);
        html_close(&p->h);
    }
    page_section_end(p);
}

static void body(Page *p, const Report *r)
{
    top(p, r);
    html_open(&p->h, "main", "%s", "");
    if (r->data) report_data(p, r->data);
    if (r->forecast) report_forecast(p, r->forecast);
    if (r->eval) report_eval(p, r->eval);
    if (r->links) report_links(p, r->links);
    if (r->failures) report_failures(p, r->failures);
    if (r->alarms) report_alarms(p, r->alarms);
    if (r->manifest || r->notes) manifest(p, r);
    html_close(&p->h);
    html_open(&p->h, "footer", "%s", "");
    html_text(&p->h, "Made by lead; times are UTC.");
    html_put(&p->h, "span", "screen", " Point at a chart, or tap it, to see its numbers.");
    html_close(&p->h);
}

Status report_write(const Report *r, const char *path, Arena *a)
{
    const size_t mark = arena_mark(a);
    FileWriter w;
    TRY(file_open(&w, path));
    Page p = {.h = html_begin(w.f, r->title, report_style), .a = a};
    body(&p, r);
    html_end(&p.h);
    arena_rewind(a, mark);
    return file_commit(&w, false);
}
