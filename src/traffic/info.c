#include "traffic/info.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "traffic/faults.h"

const double stats_levels[STATS_QUANTILES] = {0.25, 0.5, 0.75, 0.9, 0.99, 0.999, 1};
const int stats_lag_seconds[STATS_LAGS] = {0, 3600, 86400, 7 * 86400};

static int compare_double(const void *p, const void *q)
{
    double a = *(const double *)p, b = *(const double *)q;
    return (a > b) - (a < b);
}

static int compare_float(const void *p, const void *q)
{
    float a = *(const float *)p, b = *(const float *)q;
    return (a > b) - (a < b);
}

// Sorts v.  NaN when n = 0.
static double median_of(double *v, int64_t n)
{
    if (!n) return NAN;
    qsort(v, (size_t)n, sizeof *v, compare_double);
    return n % 2 ? v[n / 2] : 0.5 * (v[n / 2 - 1] + v[n / 2]);
}

// Correlation of (v[t * stride], v[row[t] * stride]) over the t with row[t] >= 0; NaN when one side does not vary.
static double correlation(const TrafficSeries *s, const double *total, int flow, const int64_t *row)
{
    const int64_t F = (int64_t)s->N * s->N;
    double n = 0, a = 0, b = 0, aa = 0, bb = 0, ab = 0, shift = 0;
    for (int64_t t = 0; t < s->T; t++) {
        if (row[t] < 0) continue;
        double u = total ? total[t] : (double)s->x[t * F + flow];
        double v = total ? total[row[t]] : (double)s->x[row[t] * F + flow];
        if (n == 0) shift = u;   // keeps the sums of squares from cancelling
        u -= shift;
        v -= shift;
        n++;
        a += u;
        b += v;
        aa += u * u;
        bb += v * v;
        ab += u * v;
    }
    double va = aa - a * a / n, vb = bb - b * b / n;
    return va > 0 && vb > 0 ? (ab - a * b / n) / sqrt(va * vb) : NAN;
}

static void stats_autocorrelation(TrafficStats *st, Arena *a, const TrafficSeries *s, const double *total)
{
    const int F = s->N * s->N;
    int64_t *row = arena_alloc(a, (size_t)s->T * sizeof *row);
    double *flow = arena_alloc(a, (size_t)F * sizeof *flow), *kept = arena_alloc(a, (size_t)F * sizeof *kept);
    for (int l = 0; l < STATS_LAGS; l++) {
        int64_t lag = stats_lag_seconds[l] / s->slot_seconds, n = 0;
        if (lag == 0) lag = 1;
        for (int64_t t = 0; t < s->T; t++) row[t] = s->valid[t] ? traffic_row_at(s, t, lag) : -1;
        st->acf_total[l] = correlation(s, total, 0, row);
#pragma omp parallel for schedule(static)
        for (int f = 0; f < F; f++) flow[f] = f / s->N != f % s->N ? correlation(s, NULL, f, row) : NAN;
        for (int f = 0; f < F; f++)
            if (!isnan(flow[f])) kept[n++] = flow[f];
        st->acf_flow[l] = median_of(kept, n);
    }
}

// Zeros, shares, quantiles: everything that does not look at time.
static void stats_entries(TrafficStats *st, Arena *a, const TrafficSeries *s, double *total)
{
    const int N = s->N, F = N * N;
    int64_t zeros_off = 0, zeros_diag = 0, n = 0;
    double diagonal = 0, off = 0;
    double *sum = arena_zalloc(a, (size_t)F * sizeof *sum), *kept = arena_alloc(a, (size_t)F * sizeof *kept);
    float *entry = arena_alloc(a, (size_t)(s->T * F) * sizeof *entry);
    for (int64_t t = 0; t < s->T; t++) {
        total[t] = 0;
        if (!s->valid[t]) continue;
        st->snapshots++;
        for (int f = 0; f < F; f++) {
            float v = s->x[t * F + f];
            bool diag = f / N == f % N;
            if (diag) zeros_diag += v == 0;
            else zeros_off += v == 0;
            sum[f] += (double)v;
            if (!diag) {
                total[t] += (double)v;
                entry[n++] = v;
            }
        }
    }
    int64_t flows = 0, tenth = (F - N) / 10 > 0 ? (F - N) / 10 : 1;
    for (int f = 0; f < F; f++) {
        if (f / N == f % N) diagonal += sum[f];
        else {
            off += sum[f];
            st->silent_flows_off += sum[f] == 0;
            kept[flows++] = sum[f];
        }
    }
    double rows = st->snapshots ? (double)st->snapshots : NAN;
    st->zero_share_off = (double)zeros_off / (rows * (F - N));
    st->zero_share_diag = (double)zeros_diag / (rows * N);
    st->diag_share = diagonal + off > 0 ? diagonal / (diagonal + off) : NAN;
    qsort(kept, (size_t)flows, sizeof *kept, compare_double);
    for (int64_t i = 0; i < flows; i++) {
        if (i >= flows - 10) st->top10_share += kept[i] / off;
        if (i >= flows - tenth) st->top_tenth_share += kept[i] / off;
    }
    qsort(entry, (size_t)n, sizeof *entry, compare_float);
    for (int i = 0; i < STATS_QUANTILES; i++)
        st->quantile_kbps[i] = n ? (double)entry[(int64_t)(stats_levels[i] * (double)(n - 1))] : NAN;
}

// Medians of the total by weekday and by hour, and its moments.
static void stats_calendar(TrafficStats *st, Arena *a, const TrafficSeries *s, const double *total)
{
    double *v = arena_alloc(a, (size_t)s->T * sizeof *v), sum = 0, squares = 0;
    int *hour = arena_alloc(a, (size_t)s->T * sizeof *hour), *weekday = arena_alloc(a, (size_t)s->T * sizeof *weekday);
    st->total_min_kbps = INFINITY;
    st->total_max_kbps = -INFINITY;
    for (int64_t t = 0; t < s->T; t++) {
        traffic_calendar(s, t, 0, &hour[t], &weekday[t]);
        hour[t] = (int)((int64_t)hour[t] * s->slot_seconds / 3600);
        if (!s->valid[t]) continue;
        sum += total[t];
        st->total_min_kbps = fmin(st->total_min_kbps, total[t]);
        st->total_max_kbps = fmax(st->total_max_kbps, total[t]);
    }
    st->total_mean_kbps = sum / (double)st->snapshots;
    for (int64_t t = 0; t < s->T; t++)
        if (s->valid[t]) squares += (total[t] - st->total_mean_kbps) * (total[t] - st->total_mean_kbps);
    st->total_std_kbps = sqrt(squares / (double)st->snapshots);
    for (int i = 0; i < 24 + 7; i++) {
        int64_t n = 0;
        for (int64_t t = 0; t < s->T; t++)
            if (s->valid[t] && (i < 24 ? hour[t] == i : weekday[t] == i - 24)) v[n++] = total[t];
        *(i < 24 ? &st->hour_median_kbps[i] : &st->weekday_median_kbps[i - 24]) = median_of(v, n);
    }
    const double *w = st->weekday_median_kbps, *h = st->hour_median_kbps;
    st->weekend_ratio = (w[5] + w[6]) / 2 / ((w[0] + w[1] + w[2] + w[3] + w[4]) / 5);
    for (int i = 0; i < 24; i++) {   // hours without data are NaN: never chosen, always displaced
        if (h[i] > h[st->hour_of_peak] || isnan(h[st->hour_of_peak])) st->hour_of_peak = i;
        if (h[i] < h[st->hour_of_trough] || isnan(h[st->hour_of_trough])) st->hour_of_trough = i;
    }
}

void traffic_stats(TrafficStats *st, Arena *a, const TrafficSeries *s)
{
    size_t mark = arena_mark(a);
    double *total = arena_alloc(a, (size_t)s->T * sizeof *total);
    *st = (TrafficStats){.snapshots = 0};
    stats_entries(st, a, s, total);
    stats_autocorrelation(st, a, s, total);
    stats_calendar(st, a, s, total);
    arena_rewind(a, mark);
}

// ---- text ----------------------------------------------------------------------------------------------------------

static const char *label_of(const TrafficSeries *s, int64_t t, char text[32])
{
    if (!s->time) {
        snprintf(text, 32, "slot %lld", (long long)s->slot[t]);
        return text;
    }
    time_t at = (time_t)s->time[t];
    struct tm tm;
    gmtime_r(&at, &tm);
    strftime(text, 32, "%Y-%m-%d %H:%M", &tm);
    return text;
}

static const char *suspect_kind(const TrafficSuspect *u)
{
    if (!u->high) return "nearly empty";
    return u->ratio > 5 ? "corrupt, too high" : "inside a corrupt block";
}

static void print_rows(const TrafficSeries *s, Arena *a, FILE *out)
{
    char b[32], e[32];
    fprintf(out, "runs         %lld\n", (long long)s->n_runs);
    for (int64_t r = 0; r < s->n_runs && r < 40; r++) {
        TrafficRange q = s->runs[r];
        fprintf(out, "  %8lld - %8lld  %s .. %s\n", (long long)q.begin, (long long)q.end - 1, label_of(s, q.begin, b),
                label_of(s, q.end - 1, e));
    }
    if (s->n_runs > 40) fprintf(out, "  and %lld more\n", (long long)s->n_runs - 40);
    TrafficSuspect *list;
    int64_t n = traffic_suspects_find(s, a, &list);
    fprintf(out, "suspicious   %lld snapshots (total against the median of the day before and after)\n", (long long)n);
    for (int64_t i = 0; i < n && i < 100; i++)
        fprintf(out, "  %8lld  %s  %s, %.3g x normal\n", (long long)list[i].row, label_of(s, list[i].row, b),
                suspect_kind(&list[i]), list[i].ratio);
    if (n > 100) fprintf(out, "  and %lld more\n", (long long)n - 100);
    TrafficFault *fault;
    n = traffic_faults_find(s, a, &fault);
    fprintf(out, "faults       %lld (information only; nothing is left out for them)", (long long)n);
    const char *before = ":";
    for (int kind = 0; kind < FAULT_KINDS; kind++) {
        int of = 0;
        for (int64_t i = 0; i < n; i++) of += fault[i].kind == (FaultKind)kind;
        if (!of) continue;
        fprintf(out, "%s %d %s", before, of, fault_names[kind]);
        before = ",";
    }
    fputc('\n', out);
    traffic_faults_print(s, fault, n, 20, out);
}

static void print_stats(const TrafficStats *st, FILE *out)
{
    fprintf(out, "statistics   of %lld snapshots, without invalid and suspicious ones; \"off\" = off-diagonal\n",
            (long long)st->snapshots);
    fprintf(out, "zeros        off %.2f %%, diagonal %.2f %%, always silent flows off %d\n", 100 * st->zero_share_off,
            100 * st->zero_share_diag, st->silent_flows_off);
    fprintf(out, "diagonal     %.1f %% of all traffic\n", 100 * st->diag_share);
    fprintf(out, "quantiles    off, kbit/s:");
    for (int i = 0; i < STATS_QUANTILES; i++) fprintf(out, " p%g %.6g", 100 * stats_levels[i], st->quantile_kbps[i]);
    fprintf(out, "\ntotal        off, Mbit/s: mean %.1f std %.1f min %.1f max %.1f\n", st->total_mean_kbps / 1000,
            st->total_std_kbps / 1000, st->total_min_kbps / 1000, st->total_max_kbps / 1000);
    fprintf(out, "autocorr.    total / median over flows:");
    const char *const lag[STATS_LAGS] = {"1 slot", "1 h", "1 day", "1 week"};
    for (int i = 0; i < STATS_LAGS; i++) fprintf(out, "  %s %.3f / %.3f", lag[i], st->acf_total[i], st->acf_flow[i]);
    fprintf(out, "\nlargest      10 flows carry %.1f %%, a tenth of the flows %.1f %%\n", 100 * st->top10_share,
            100 * st->top_tenth_share);
    fprintf(out, "weekdays     median total Mbit/s Mon..Sun:");
    for (int i = 0; i < 7; i++) fprintf(out, " %.0f", st->weekday_median_kbps[i] / 1000);
    fprintf(out, "; weekend/weekday %.2f\n", st->weekend_ratio);
    fprintf(out, "hours        peak %d (median %.0f Mbit/s), trough %d (%.0f)\n", st->hour_of_peak,
            st->hour_median_kbps[st->hour_of_peak] / 1000, st->hour_of_trough,
            st->hour_median_kbps[st->hour_of_trough] / 1000);
}

void traffic_info_print(const TrafficSeries *s, const char *name, Arena *a, FILE *out)
{
    size_t mark = arena_mark(a);
    char b[32], e[32];
    fprintf(out, "file         %s\nshape        %lld snapshots x %d x %d, kbit/s\n", name, (long long)s->T, s->N, s->N);
    fprintf(out, "span         %s .. %s, slot %d s, %lld slots of the span absent\n", label_of(s, 0, b),
            label_of(s, s->T - 1, e), s->slot_seconds, (long long)(s->slot[s->T - 1] + 1 - s->T));
    if (!s->time)
        fprintf(out, "times        unknown: the calendar below starts on Monday 00:00, a gap counts 2^32 slots\n");
    else if (s->calendar_shift_s || s->zone)
        fprintf(out, "times        hours and weekdays are those of the label + %lld s, on the clock of %s\n",
                (long long)s->calendar_shift_s, s->zone ? s->zone : "UTC");
    print_rows(s, a, out);
    TrafficSeries kept = *s;
    kept.valid = memcpy(arena_alloc(a, (size_t)s->T), s->valid, (size_t)s->T);
    traffic_suspects_mark(&kept, a);
    TrafficStats st;
    traffic_stats(&st, a, &kept);
    print_stats(&st, out);
    arena_rewind(a, mark);
}
