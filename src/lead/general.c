#include "lead/general.h"

#include <string.h>

#include "lead/record.h"
#include "traffic/ridge_gram.h"

enum { QUICK_SAMPLES = 8 };   // of the calibration, which shall take a second
static const char KEY[] = "lead.pretrain";

bool lead_general_file(const SafeFile *f)
{
    const char *text;
    return checkpoint_meta(f, KEY, &text).code == 0;
}

Status lead_is_general(bool *is, const char *file, Arena *scratch)
{
    const size_t mark = arena_mark(scratch);
    SafeFile f;
    *is = false;
    TRY(checkpoint_open(&f, scratch, file));
    *is = lead_general_file(&f);
    safetensors_close(&f);
    arena_rewind(scratch, mark);
    return OK;
}

static Status config_of(LeadConfig *cfg, const SafeFile *f, Arena *a)
{
    const bool is = lead_general_file(f);
    if (is) TRY(lead_record_config(cfg, a, f));
    if (!is || cfg->flow_identity != IDENTITY_STATISTICS || lead_uses_llm(cfg) || lead_has_unet(cfg))
        return ERROR("%s: want weights of lead pretrain, which suit any network of nodes, got others", f->path);
    return OK;
}

Status lead_general_config(LeadConfig *cfg, int *calls, const char *file, Arena *scratch)
{
    const size_t mark = arena_mark(scratch);
    int teacher, own;
    SafeFile f;
    TRY(checkpoint_open(&f, scratch, file));
    Status s = config_of(cfg, &f, scratch);
    if (!s.code) s = lead_record_calls(cfg, &f, &teacher, calls ? calls : &own);
    safetensors_close(&f);
    arena_rewind(scratch, mark);
    return s;
}

static Status load_open(LeadRun *r, const SafeFile *f, const TrafficSeries *s, const Device *dev, Arena *step,
                        Arena *scratch)
{
    TRY(checkpoint_meta(f, "lead.manifest", &r->manifest));
    TRY(config_of(&r->cfg, f, r->perm));
    TRY(lead_record_calls(&r->cfg, f, &r->teacher_calls, &r->calls));
    TRY(lead_stats_fit(&r->stats, r->perm, s, r->train, &r->cfg));
    paramset_init(&r->ps, r->perm, dev, (uint64_t)r->cfg.seed, true);
    const LeadShape shape = lead_stats_shape(&r->stats, &r->cfg);
    TRY(lead_model_new(&r->model, &r->ps, &r->cfg, &shape, scratch));
    TRY(checkpoint_load(f, &r->ps));
    tape_init(&r->tape, dev, step, scratch);
    r->tape.record = r->tape.training = false;
    return OK;
}

int64_t lead_general_first(int64_t end)
{
    enum { NEWEST = 20000 };
    return end > NEWEST ? end - NEWEST : 0;
}

static bool has_traffic(const TrafficSeries *s, TrafficRange rows)
{
    const int64_t F = (int64_t)s->N * s->N;
    for (int64_t t = rows.begin; t < rows.end; t++)
        for (int64_t f = 0; s->valid[t] && f < F; f++)
            if (s->x[t * F + f] > 0) return true;
    return false;
}

static int64_t count_windows(const TrafficSeries *s, TrafficRange rows, int history, int horizon, Arena *scratch)
{
    const size_t mark = arena_mark(scratch);
    int64_t *starts;
    const int64_t n = traffic_windows(s, scratch, rows, history, horizon, 1, &starts);
    arena_rewind(scratch, mark);
    return n;
}

Status lead_general_enough(const TrafficSeries *s, TrafficRange rows, const LeadConfig *cfg, Arena *scratch)
{
    const int K = cfg->horizon, least = lead_uses_ridge(cfg) ? RIDGE_MIN_WINDOWS : 0;
    const int64_t n = count_windows(s, rows, RIDGE_LAGS, K, scratch);
    if (n < least || count_windows(s, rows, cfg->history, K, scratch) < 1)
        return ERROR("rows %lld..%lld hold %lld windows of %d + %d valid consecutive snapshots, want at least %d",
                     (long long)rows.begin, (long long)rows.end - 1, (long long)n, RIDGE_LAGS, K, RIDGE_MIN_WINDOWS);
    if (!has_traffic(s, rows))
        return ERROR("rows %lld..%lld hold no traffic", (long long)rows.begin, (long long)rows.end - 1);
    return OK;
}

Status lead_general_load(LeadRun *r, const char *file, const TrafficSeries *s, TrafficRange train, TrafficRange val,
                         size_t memory, const Device *dev, Arena *perm, Arena *step, Arena *scratch,
                         Calibration *out)
{
    *r = (LeadRun){.perm = perm, .file = file, .general = true, .train = train, .val = val,
                   .data_path = "synthetic traffic", .memory = memory};
    SafeFile f;
    TRY(checkpoint_open(&f, perm, file));
    const Status loaded = load_open(r, &f, s, dev, step, scratch);
    safetensors_close(&f);
    TRY(loaded);
    TRY(lead_run_attach(r, s));
    const int samples = r->cfg.samples;
    r->cfg.samples = samples < QUICK_SAMPLES ? samples : QUICK_SAMPLES;
    const Status done = lead_calibrate(r, val, CALIBRATE_QUICK, out);
    r->cfg.samples = samples;
    return done;
}

Status lead_general_refit(LeadRun *r, TrafficRange all)
{
    const LeadStats before = r->stats;
    TRY(lead_stats_fit(&r->stats, r->perm, r->series, all, &r->cfg));
    memcpy(r->stats.spread, before.spread, (size_t)before.Kt * sizeof *before.spread);
    memcpy(r->stats.head_weight, before.head_weight, (size_t)before.Kt * sizeof *before.head_weight);
    *r->stats.fallback = *before.fallback;
    r->train = all;
    r->val = (TrafficRange){all.end, all.end};
    r->final = true;
    r->sampling = (LeadSampling){.work = {0}};
    return lead_run_attach(r, r->series);
}
