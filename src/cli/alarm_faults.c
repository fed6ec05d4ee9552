// Faults injected into measured matrices, and how many of them alarms find.
#include <math.h>
#include <string.h>

#include "cli/alarm.h"
#include "tensor/philox.h"

typedef enum Fault { FLOW_5, FLOW_30, OUTAGE, DRIFT, DDOS, FAULTS } Fault;
static const struct { const char *name; int rows; } faults[FAULTS] = {
    {"flow x 5", 1}, {"flow x 30", 1}, {"node silent", 3}, {"flow + 10 % a row", 24}, {"all flows to a node x 4", 3}};

enum { EPISODE = 48 };   // rows from the beginning of one fault to that of the next: the forecaster forgets in between

static uint32_t draw(int fault, int64_t episode, uint32_t below)
{
    return philox_u32(1, philox_subsequence(SITE_TEST, (uint32_t)fault), (uint64_t)episode) % below;
}

// A flow between two nodes that is not silent in the rows before; -1: none found.
static int live_flow(const TrafficSeries *s, int64_t t, int fault, int64_t episode)
{
    const int N = s->N, F = N * N;
    for (int attempt = 0; attempt < 64; attempt++) {
        const int f = (int)draw(fault, episode * 64 + attempt, (uint32_t)F);
        int spoken = 0;
        for (int h = 1; h <= 12; h++) spoken += s->x[(t - h) * F + f] > 0;
        if (f / N != f % N && spoken == 12) return f;
    }
    return -1;
}

static void inject(float *x, const TrafficSeries *s, int64_t begin, int fault, int64_t episode)
{
    const int N = s->N, F = N * N, flow = live_flow(s, begin, fault, episode);
    const int node = (int)draw(fault, episode, (uint32_t)N);
    for (int i = 0; i < faults[fault].rows; i++) {
        float *y = x + (begin + i) * F;
        for (int k = 0; k < N && fault == OUTAGE; k++) y[node * N + k] = y[k * N + node] = 0;
        for (int k = 0; k < N && fault == DDOS; k++) y[k * N + node] *= 4;
        if (flow < 0) continue;
        if (fault == FLOW_5) y[flow] *= 5;
        if (fault == FLOW_30) y[flow] *= 30;
        if (fault == DRIFT) y[flow] *= powf(1.1F, (float)(i + 1));
    }
}

// The first rows of episodes within a range that can be judged from beginning to end.
static int64_t episodes(const AlarmSource *src, TrafficRange range, int64_t **begin)
{
    int64_t *rows, n = 0;
    const int64_t all = alarm_rows(src, range, INT64_MAX, &rows);
    *begin = arena_alloc(src->cli->perm, ((size_t)all + 1) * sizeof **begin);
    for (int64_t i = 0; i + EPISODE < all; i++)
        if (rows[i + EPISODE] - rows[i] == EPISODE && rows[i] > 12 && (!n || rows[i] >= (*begin)[n - 1] + EPISODE))
            (*begin)[n++] = rows[i];
    return n;
}

// How many of the episodes raise an alarm in one of their rows, and of which kinds.
typedef struct Found { int64_t any, rows, kind[ALARM_KINDS]; } Found;

static Status look(Found *out, AlarmSource *src, const AlarmLimits *l, const int64_t *begin, int64_t n, int length)
{
    const size_t mark = arena_mark(src->cli->perm);
    int64_t *rows = arena_alloc(src->cli->perm, (size_t)(n * length) * sizeof *rows);
    AlarmRow *row = arena_alloc(src->cli->perm, (size_t)(n * length) * sizeof *row);
    for (int64_t i = 0; i < n * length; i++) rows[i] = begin[i / length] + i % length;
    TRY(alarm_score_rows(src, l->floor, rows, n * length, row));
    *out = (Found){0};
    for (int64_t i = 0; i < n; i++) {
        bool any = false, kind[ALARM_KINDS] = {false};
        for (int64_t j = i * length; j < (i + 1) * length; j++) {
            out->rows += alarm_raised(l, &row[j]);
            any |= alarm_raised(l, &row[j]);
            for (int k = 0; k < ALARM_KINDS; k++) kind[k] |= alarm_largest(l, &row[j], (AlarmKind)k) > l->limit[k];
        }
        out->any += any;
        for (int k = 0; k < ALARM_KINDS; k++) out->kind[k] += kind[k];
    }
    arena_rewind(src->cli->perm, mark);
    return OK;
}

static void print_found(const char *name, int64_t n, int length, const Found *f)
{
    printf("%s\t%lld\t%d\t%.3f\t%.4f", name, (long long)n, length, (double)f->any / (double)n,
           (double)f->rows / (double)(n * length));
    for (int k = 0; k < ALARM_KINDS; k++) printf("\t%.3f", (double)f->kind[k] / (double)n);
    fputc('\n', stdout);
}

static Status learn_half(AlarmLimits *l, AlarmSource *src, TrafficRange half, double rate, int64_t most)
{
    int64_t *rows;
    const int64_t n = alarm_rows(src, half, most, &rows);
    AlarmRow *row = arena_alloc(src->cli->perm, ((size_t)n + 1) * sizeof *row);
    *l = (AlarmLimits){.N = src->s->N, .floor = alarm_floors_of(src)};
    TRY(alarm_score_rows(src, l->floor, rows, n, row));
    TRY(alarm_learn(l, src->cli->perm, row, n, rate));
    fprintf(stderr, "limits from %lld of the rows %lld..%lld: %.2f %% of them raise an alarm\n", (long long)n,
            (long long)half.begin, (long long)half.end - 1, 100 * l->reached);
    return OK;
}

Status alarm_faults(AlarmSource *src, double rate, int64_t most)
{
    enum { MOST_EPISODES = 60 };
    const TrafficSeries *s = src->s;
    const int64_t middle = (src->learn.begin + src->learn.end) / 2, F = (int64_t)s->N * s->N;
    AlarmLimits l;
    int64_t *begin;
    TRY(learn_half(&l, src, (TrafficRange){src->learn.begin, middle}, rate, most));
    int64_t n = episodes(src, (TrafficRange){middle, src->learn.end}, &begin);
    if (!n)
        return ERROR("alarm: want %d rows without a gap from row %lld on to inject faults into", EPISODE,
                     (long long)middle);
    for (int64_t i = 0; i < MOST_EPISODES && n > MOST_EPISODES; i++) begin[i] = begin[i * n / MOST_EPISODES];
    n = n > MOST_EPISODES ? MOST_EPISODES : n;
    printf("fault\tepisodes\trows_each\tfound\tshare_of_rows");
    for (int k = 0; k < ALARM_KINDS; k++) printf("\tby_%s", alarm_kinds[k]);
    fputc('\n', stdout);
    Found found;
    for (int length = 1; length <= 24; length = length == 1 ? 3 : length == 3 ? 24 : 25) {
        TRY(look(&found, src, &l, begin, n, length));
        print_found("none", n, length, &found);
    }
    TrafficSeries hurt = *s;
    hurt.x = arena_alloc(src->cli->perm, (size_t)(s->T * F) * sizeof *hurt.x);
    for (int fault = 0; fault < FAULTS; fault++) {
        memcpy(hurt.x, s->x, (size_t)(s->T * F) * sizeof *hurt.x);
        for (int64_t i = 0; i < n; i++) inject(hurt.x, s, begin[i], fault, i);
        src->s = &hurt;
        if (src->run) TRY(lead_run_attach(src->run, &hurt));
        TRY(look(&found, src, &l, begin, n, faults[fault].rows));
        print_found(faults[fault].name, n, faults[fault].rows, &found);
    }
    src->s = s;
    return OK;
}
