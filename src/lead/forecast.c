#include "lead/forecast.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lead/memory.h"
#include "lead/record.h"
#include "lead/rival.h"
#include "nn/run_directory.h"
#include "tensor/sort.h"

// ---- loading

static Status open_file(SafeFile *f, Arena *a, const char *path, LeadWanted wanted)
{
    static const char *const names[] = {RUN_FINAL, RUN_BEST, RUN_CHECKPOINT};
    struct stat sb;
    const int first = wanted == LEAD_BEST;
    if (stat(path, &sb) || !S_ISDIR(sb.st_mode)) return checkpoint_open(f, a, path);
    return run_directory_read(f, a, path, names + first, 3 - first);
}

static Status load_open(LeadRun *r, const SafeFile *f, const char *llm, const Device *dev, Arena *perm, Arena *step,
                        Arena *scratch)
{
    const char *hash;
    LeadRecord record;
    TRY(checkpoint_meta(f, "lead.llm_sha256", &hash));
    TRY(lead_record_read(&record, perm, f));
    r->cfg = record.cfg;
    r->manifest = record.manifest;
    r->data_path = record.data_path;
    r->nodes = record.nodes;
    r->zone = record.zone;
    r->step = record.step;
    r->final = record.in_final;
    r->calls = record.calls;
    r->teacher_calls = record.teacher_calls;
    r->train = r->final ? record.final : record.train;
    r->val = r->final ? (TrafficRange){record.final.end, record.final.end} : record.val;
    if (llm && strlen(llm) >= sizeof r->cfg.llm)
        return USAGE_ERROR("llm: want a shorter path, got %zu bytes", strlen(llm));
    if (llm) strcpy(r->cfg.llm, llm);
    TRY(lead_stats_unpack(&r->stats, perm, f, &r->cfg));
    paramset_init(&r->ps, perm, dev, (uint64_t)r->cfg.seed, true);
    const LeadShape shape = lead_stats_shape(&r->stats, &r->cfg);
    TRY(lead_model_new(&r->model, &r->ps, &r->cfg, &shape, scratch));
    if (strcmp(hash, paramset_frozen_hash(&r->ps, perm)))
        return ERROR("%s: trained with an LLM of SHA-256 %.12s.., but %s holds %.12s..", f->path, hash, r->cfg.llm,
                     paramset_frozen_hash(&r->ps, perm));
    TRY(checkpoint_load(f, &r->ps));
    tape_init(&r->tape, dev, step, scratch);
    r->tape.record = r->tape.training = false;
    return OK;
}

Status lead_run_load(LeadRun *r, const char *path, LeadWanted wanted, const char *llm, const Device *dev, Arena *perm,
                     Arena *step, Arena *scratch)
{
    *r = (LeadRun){.perm = perm};
    SafeFile f;
    TRY(open_file(&f, perm, path, wanted));
    r->file = f.path;
    r->note = f.note;
    Status s = load_open(r, &f, llm, dev, perm, step, scratch);
    if (!s.code && r->final && wanted == LEAD_BEST)
        s = ERROR("%s: fitted on rows %lld..%lld, those to be scored among them; want the run directory or its "
                  RUN_BEST, path, (long long)r->train.begin, (long long)r->train.end - 1);
    safetensors_close(&f);
    return s;
}

Status lead_run_attach(LeadRun *r, const TrafficSeries *s)
{
    if (s->N != r->stats.N) return ERROR("data: want %d nodes as the model was trained on, got %d", r->stats.N, s->N);
    if (s->slot_seconds != r->stats.slot_seconds)
        return ERROR("data: want slots of %d s as the model was trained on, got %d s", r->stats.slot_seconds,
                     s->slot_seconds);
    r->series = s;
    r->fallback.rows.end = -1;
    if (r->model.rival) lead_rival_attach(r);
    return lead_data_new(&r->data, &r->tape, r->perm, &r->stats, &r->cfg, s);
}

// ---- forecasting

// direct: one draw gives all K steps.  head [n][K][F] or NULL: what the mean head forecasts.
static void forecast_direct(LeadRun *r, const int64_t *t, int n, float *out, float *head)
{
    Tape *tape = &r->tape;
    tape_reset(tape);
    LeadBatch b = lead_data_batch(tape, &r->data, lead_data_rows(&r->data, tape->step, t, n), NULL, false);
    b.moments = lead_moments(tape, &r->model, &b);
    Tensor *drawn = lead_sample(tape, &r->model, &b, n, r->cfg.samples, t, &r->sampling);
    Tensor *x = lead_data_decode(tape, &r->data, &b, lead_data_spread(tape, &r->data, drawn, r->cfg.samples));
    tensor_get_f32(x, out, numel(x));
    if (!head) return;
    Tensor *mean = lead_data_head(tape, &r->data, &b);
    tensor_get_f32(mean, head, numel(mean));
}

// rollout: each of the n*S paths is a window of its own, and its samples are fed back on the device.  The R paths from
// `first` on -> out.
static void forecast_rollout(LeadRun *r, const int64_t *t, int first, int R, float *out)
{
    Tape *tape = &r->tape;
    const int S = r->cfg.samples, K = r->cfg.horizon;
    const size_t mark = tape->step_mark;
    tape_reset(tape);
    int64_t *at = arena_alloc(tape->step, 2 * (size_t)R * sizeof *at), *row = at + R;
    for (int i = 0; i < R; i++) at[i] = t[(first + i) / S];
    Tensor *rows = lead_data_rows(&r->data, tape->step, at, R);
    Tensor *path = tape_zeros(tape, SHAPE(R, K, r->stats.F));   // kbit/s
    tape->step_mark = arena_mark(tape->step);   // these outlive the steps
    for (int k = 0; k < K; k++) {
        tape_reset(tape);
        // a step's noise has an address of its own
        for (int i = 0; i < R; i++) row[i] = ((int64_t)k << 40) + at[i] * S + (first + i) % S;
        const LeadPath drawn = {k, lead_data_scale(tape, &r->data, path)};
        LeadBatch b = lead_data_batch(tape, &r->data, rows, &drawn, false);
        b.moments = lead_moments(tape, &r->model, &b);
        // the first step's batch has a base forecast of its own, and other addresses for it
        Tensor *x = lead_sample(tape, &r->model, &b, R, 1, row, k ? &r->sampling : NULL);
        tape_cache_put(tape, path, lead_data_decode(tape, &r->data, &b, x), k);
    }
    tensor_get_f32(path, out, numel(path));
    tape->step_mark = mark;
}

// The mean of each window's samples, and with cfg.point mix half of it and half of what `point` held.
static void mean_of_samples(const LeadRun *r, int n, const float *samples, float *point)
{
    const int S = r->cfg.samples;
    const int64_t KF = (int64_t)r->cfg.horizon * r->stats.F;
    for (int i = 0; i < n; i++)
        for (int64_t j = 0; j < KF; j++) {
            double sum = 0;
            for (int q = 0; q < S; q++) sum += (double)samples[((int64_t)i * S + q) * KF + j];
            float *to = point + (int64_t)i * KF + j;
            *to = (float)(r->cfg.point == POINT_MIX ? 0.5 * (sum / S + (double)*to) : sum / S);
        }
}

Status forecast_history(const TrafficSeries *s, int64_t t, int history)
{
    if (t < history - 1)
        return ERROR("forecast after row %lld: want %d valid consecutive snapshots up to it, the data begin at row 0",
                     (long long)t, history);
    for (int b = 0; b < history; b++)
        if (traffic_row_at(s, t, -b) != t - b)
            return ERROR("forecast after row %lld: want %d valid consecutive snapshots up to it, row %lld is "
                         "missing or invalid", (long long)t, history, (long long)t - b);
    return OK;
}

// The naive forecast that validation preferred.  Its fit outlives what the caller's arenas hold: a forecast may be one
// of an evaluation that rewinds them, and the next one may come after it.
static Status forecast_naive(LeadRun *r, const int64_t *t, int n, float *out, float *point)
{
    const int S = r->cfg.samples, K = r->cfg.horizon;
    const int64_t KF = (int64_t)K * r->stats.F;
    for (int i = 0; i < n; i++) {
        const int64_t end = r->train.end < t[i] + 1 ? r->train.end : t[i] + 1;
        if (r->fallback.rows.end != end) {
            if (!r->aside) r->aside = arena_new("naive forecast", (size_t)64 << 30, NULL);
            CHECK(r->aside, "no address space for a naive forecast");
            arena_rewind(r->aside, 0);
            const TrafficRange rows = {0, end}, val = {r->val.begin, r->val.end < end ? r->val.end : end};
            TRY(fallback_fit(&r->fallback, r->aside, (NaiveKind)(*r->stats.fallback - 1), r->series, rows,
                             val.begin < val.end ? val : rows, r->cfg.history, K));
        }
        fallback_forecast(&r->fallback, r->perm, r->series, t[i], S, (uint64_t)r->cfg.seed, out + i * S * KF,
                          point ? point + i * KF : NULL);
    }
    return OK;
}

static bool all_finite(const float *x, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!isfinite(x[i])) return false;
    return true;
}

// A distilled network knows the steps that it was taught and no others.
Status lead_run_check(const LeadRun *r)
{
    TRY(config_check(&r->cfg));   // sampling keys may have been changed since loading
    if (r->calls && r->cfg.sample_steps != r->calls)
        return USAGE_ERROR("--sample-steps: %s was distilled to draw a sample in %d network call%s; want %d, or the "
                           "run that it was made of, got %d", r->file, r->calls, r->calls > 1 ? "s" : "", r->calls,
                           r->cfg.sample_steps);
    if (r->calls && r->cfg.sampler != SAMPLER_DDIM)
        return USAGE_ERROR("--sampler: %s was distilled for ddim; want that, or the run that it was made of", r->file);
    if (r->calls && r->cfg.guidance != 1)
        return USAGE_ERROR("--guidance: %s was distilled with guidance 1; want that, or the run that it was made of, "
                           "got %g", r->file, r->cfg.guidance);
    return OK;
}

// The network's samples of n windows, r->fit.rows at once.
static void forecast_network(LeadRun *r, const int64_t *t, int n, float *out, float *point)
{
    const int all = n * r->cfg.samples, most = r->fit.rows && r->fit.rows < all ? (int)r->fit.rows : all;
    const int64_t each = (int64_t)r->cfg.horizon * r->stats.F;
    r->model.cfg = r->cfg;
    r->model.most_rows = most;
    if (r->cfg.horizons == HORIZON_DIRECT) forecast_direct(r, t, n, out, r->cfg.point != POINT_SAMPLES ? point : NULL);
    else
        for (int i = 0; i < all; i += most) forecast_rollout(r, t, i, all - i < most ? all - i : most, out + i * each);
    if (point && r->cfg.point != POINT_HEAD) mean_of_samples(r, n, out, point);
}

static void forecast_nowhere(LeadRun *r, void *arg, const int64_t *t, int n)
{
    (void)arg;
    const size_t each = (size_t)r->cfg.horizon * (size_t)r->stats.F;
    float *out = arena_alloc(r->perm, (size_t)n * (size_t)(r->cfg.samples + 1) * each * sizeof *out);
    forecast_network(r, t, n, out, out + (size_t)(n * r->cfg.samples) * each);
}

static Status check_samples(const LeadRun *r, const int64_t *t, int n, const float *out, const float *point)
{
    const int64_t each = (int64_t)r->cfg.horizon * r->stats.F;
    for (int i = 0; i < n; i++)
        if (!all_finite(out + i * each * r->cfg.samples, each * r->cfg.samples) ||
            (point && !all_finite(point + i * each, each)))
            return ERROR("%s: forecast after row %lld: want finite values, got others", r->file, (long long)t[i]);
    return OK;
}

Status lead_forecast(LeadRun *r, const int64_t *t, int n, float *out, float *point)
{
    CHECK(r->series, "lead_forecast: no series is attached");
    TRY(lead_run_check(r));
    for (int i = 0; i < n; i++) TRY(forecast_history(r->series, t[i], r->cfg.history));
    const int64_t each = (int64_t)r->cfg.horizon * r->stats.F;
    const bool naive = *r->stats.fallback > 0;
    if (r->model.rival) {
        TRY(lead_rival_forecast(r, t, n, out, point));
        return check_samples(r, t, n, out, point);
    }
    if (naive) TRY(forecast_naive(r, t, n, out, point));
    else if (r->memory && !r->fit.rows) TRY(lead_memory_fit(r, t[0], n, forecast_nowhere, NULL));
    for (int i = 0, most = r->memory ? r->fit.windows : n; i < n && !naive; i += most)
        forecast_network(r, t + i, n - i < most ? n - i : most, out + i * each * r->cfg.samples,
                         point ? point + i * each : NULL);
    return check_samples(r, t, n, out, point);
}

// ---- as a row of the evaluation

static Status run_batch(void *ctx, const TrafficSeries *s, const EvalBatch *b)
{
    LeadRun *r = ctx;
    CHECK(s == r->series, "lead: evaluated on another series than the attached one");
    return lead_forecast(r, b->last, b->n, b->dist, b->point);
}

DistKind lead_dist(const LeadRun *r)
{
    return !r->model.rival && *r->stats.fallback <= 0 && lead_antithetic(&r->cfg) ? DIST_PAIRS : DIST_SAMPLES;
}

Forecaster lead_forecaster(LeadRun *r, int batch)
{
    return (Forecaster){.name = rival_names[r->cfg.model], .kind = lead_dist(r), .S = r->cfg.samples, .batch = batch,
                        .run = run_batch, .ctx = r};
}

float forecast_mean(const float *v, int S)
{
    double sum = 0;
    for (int i = 0; i < S; i++) sum += (double)v[i];
    return (float)(sum / S);
}

void forecast_sort(float *v, int S) { sort_f32(v, S); }
