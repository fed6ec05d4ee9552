#include <math.h>
#include <string.h>

#include "traffic/series.h"
#include "traffic/times.h"

static void print_nodes(const TrafficSeries *s, FILE *out)
{
    enum { SHOWN = 12 };
    fprintf(out, "  nodes    ");
    for (int i = 0; i < s->N && i < SHOWN; i++) fprintf(out, "%s%s", i ? ", " : "", s->node[i]);
    fprintf(out, "%s\n", s->N > SHOWN ? ", .." : "");
}

// What a wrong unit shows in.
static void print_size(const TrafficSeries *s, FILE *out)
{
    const int64_t F = (int64_t)s->N * s->N;
    double sum = 0;
    float largest = 0;
    int64_t rows = 0;
    for (int64_t t = 0; t < s->T; t++) {
        if (!s->valid[t]) continue;
        rows++;
        for (int64_t f = 0; f < F; f++) {
            const float x = s->x[t * F + f];
            sum += isnan(x) ? 0 : (double)x;
            largest = fmaxf(largest, x);                       // that of two of which one is NaN is the other
        }
    }
    fprintf(out, "; on average %.3g Gbit/s in all, the largest flow ever %.3g Gbit/s\n",
            rows ? sum / (double)rows / 1e6 : 0, (double)largest / 1e6);
}

void traffic_reading_print(const TrafficSeries *s, FILE *out)
{
    const TrafficReading *r = &s->reading;
    const double cells = (double)s->T * s->N * s->N;
    fprintf(out, "  format   %s\n", r->format ? r->format : "in memory");
    if (s->node) print_nodes(s, out);
    fprintf(out, "  unit     %s%s", r->unit ? r->unit : "kbit/s",
            r->unit_assumed ? " (assumed; --unit says otherwise)" : "");
    print_size(s, out);
    if (s->time)
        fprintf(out, "  times    %s .. %s UTC, slots of %d s%s%s\n", time_text(s->time[0]).s,
                time_text(s->time[s->T - 1]).s, s->slot_seconds, s->zone ? "; hours and weekdays of " : "",
                s->zone ? s->zone : "");
    else
        fprintf(out, "  times    unknown, slots of %d s\n", s->slot_seconds);
    if (r->resampled_from)
        fprintf(out, "  slots    of %d s, made of those of %d s%s\n", s->slot_seconds, r->resampled_from,
                s->slot_seconds % r->resampled_from ? ": no multiple, so that some hold one more than others" : "");
    if (r->rows_moved || r->rows_repeated)
        fprintf(out, "  order    %lld rows came out of order and were sorted, %lld equal ones of one time left out\n",
                (long long)r->rows_moved, (long long)r->rows_repeated);
    if (r->rows_shifted)
        fprintf(out, "  jitter   %lld rows off the full slot by up to %lld s, put on it; %lld second ones in a slot "
                "averaged\n", (long long)r->rows_shifted, (long long)r->shift_max_s, (long long)r->rows_merged);
    if (r->capacity_kbps > 0)
        fprintf(out, "  capacity %lld values beyond %.6g kbit/s: taken as missing\n", (long long)r->cells_beyond,
                r->capacity_kbps);
    if (r->cells_missing) {
        int64_t out_rows = 0;
        for (int64_t t = 0; t < s->T; t++) out_rows += !s->valid[t] && !traffic_row_seen(s, t);
        fprintf(out, "  missing  %lld values, %.3g %%: inputs at most, never trained on or scored; %lld filled, %lld "
                "of them in %lld absent rows; %lld estimated; %lld rows left out\n", (long long)r->cells_missing,
                100 * (double)r->cells_missing / cells, (long long)r->cells_filled,
                (long long)(r->rows_filled * s->N * s->N), (long long)r->rows_filled, (long long)r->cells_estimated,
                (long long)out_rows);
    }
    for (int i = 0; i < r->notes.n; i++) fprintf(out, "  note     %s\n", r->notes.line[i]);
}

const char *traffic_row_text(const TrafficSeries *s, int64_t t, Arena *a)
{
    return s->time ? arena_printf(a, "%s", time_text(s->time[t]).s) : arena_printf(a, "row %lld", (long long)t);
}
