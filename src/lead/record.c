#include "lead/record.h"

#include <stdio.h>
#include <string.h>

#include "io/sha256.h"
#include "nn/checkpoint.h"
#include "nn/run_directory.h"

Status lead_record_config(LeadConfig *cfg, Arena *a, const SafeFile *f)
{
    const char *text;
    const Json *json;
    TRY(checkpoint_meta(f, "lead.config", &text));
    TRY(json_parse(&json, a, text, strlen(text), f->path));
    TRY(config_preset(cfg, "paper"));
    Status s = config_read_json(cfg, json, f->path);
    if (s.code) return ERROR("%s", s.msg);
    s = config_check(cfg);
    return s.code ? ERROR("%s: lead.config: %s", f->path, s.msg) : OK;
}

// Rows lie in order: begin <= end, validation after training where there is any.
static Status check_rows(const SafeFile *f, const LeadRecord *r)
{
    const TrafficRange t = r->train, v = r->val, l = r->final;
    if (t.begin < t.end && v.begin <= v.end && l.begin <= l.end && (v.begin == v.end || v.begin >= t.end)) return OK;
    return ERROR("%s: lead.rows, lead.final_rows: want rows of training, then of validation, got %lld %lld %lld %lld, "
                 "%lld %lld", f->path, (long long)t.begin, (long long)t.end, (long long)v.begin, (long long)v.end,
                 (long long)l.begin, (long long)l.end);
}

static const int64_t MOST_ROWS = (int64_t)1 << 40;   // more than any series

Status lead_record_calls(const LeadConfig *cfg, const SafeFile *f, int *teacher_calls, int *calls)
{
    int64_t n[4];
    *calls = *teacher_calls = 0;
    if (!safetensors_meta(f, "lead.distill")) return OK;
    TRY(checkpoint_numbers(f, "lead.distill", 4, 0, INT32_MAX, n));
    if (n[1] < 1 || n[0] <= n[1] || n[1] != cfg->sample_steps)
        return ERROR("%s: lead.distill: want calls of the teacher above those of the run, which are its sample_steps "
                     "%d, got %lld and %lld", f->path, cfg->sample_steps, (long long)n[0], (long long)n[1]);
    *teacher_calls = (int)n[0];
    *calls = (int)n[1];
    return OK;
}

// Each has a moving average, and nothing else does (nn/checkpoint.h).
static int64_t count_parameters(const SafeFile *f)
{
    int64_t sum = 0;
    for (int64_t i = 0; i < f->n_tensor; i++) {
        const char *end = strrchr(f->tensor[i].name, '#');
        if (end && strcmp(end, "#ema") == 0) sum += f->tensor[i].count;
    }
    return sum;
}

Status lead_record_read(LeadRecord *r, Arena *a, const SafeFile *f)
{
    int64_t rows[4], last[2], validation[3];
    const char *fit;
    TRY(lead_record_config(&r->cfg, a, f));
    TRY(checkpoint_meta(f, "lead.manifest", &r->manifest));
    TRY(checkpoint_meta(f, "lead.data", &r->data_path));
    TRY(checkpoint_meta(f, "lead.start", &r->start));
    TRY(checkpoint_meta(f, "lead.data_sha256", &r->data_sha256));
    TRY(checkpoint_meta(f, "lead.fit", &fit));
    TRY(checkpoint_numbers(f, "lead.rows", 4, 0, MOST_ROWS, rows));
    TRY(checkpoint_numbers(f, "lead.final_rows", 2, 0, MOST_ROWS, last));
    TRY(checkpoint_numbers(f, "lead.total", 1, 0, r->cfg.steps, &r->total));
    TRY(checkpoint_numbers(f, "lead.step", 1, 0, r->total, &r->step));
    TRY(checkpoint_numbers(f, "lead.validation", 3, 0, r->cfg.steps, validation));
    if (strcmp(fit, "final") && strcmp(fit, "train"))
        return ERROR("%s: lead.fit: want train or final, got '%.100s'", f->path, fit);
    const char *nodes = safetensors_meta(f, "lead.nodes");     // runs of before names were read have none
    r->nodes = nodes ? nodes : "";
    const char *zone = safetensors_meta(f, "lead.zone");       // .. nor a zone
    r->zone = zone ? zone : "";
    r->train = (TrafficRange){rows[0], rows[1]};
    r->val = (TrafficRange){rows[2], rows[3]};
    r->final = (TrafficRange){last[0], last[1]};
    r->in_final = strcmp(fit, "final") == 0;
    r->best_step = validation[1];
    r->series = safetensors_meta(f, "lead.series");
    r->bits = safetensors_meta(f, "lead.bits");
    r->note = f->note;
    r->file = f->path;
    r->parameters = count_parameters(f);
    TRY(lead_record_calls(&r->cfg, f, &r->teacher_calls, &r->calls));
    return check_rows(f, r);
}

Status lead_record_open(LeadRecord *r, Arena *a, const char *dir)
{
    static const char *const names[] = {RUN_CHECKPOINT, RUN_BEST, RUN_FINAL};
    *r = (LeadRecord){.file = NULL};
    SafeFile f;
    TRY(run_directory_read(&f, a, dir, names, 3));
    const Status s = lead_record_read(r, a, &f);
    safetensors_close(&f);
    return s;
}

const char *lead_data_hash(const TrafficSeries *s, Arena *a)
{
    Sha256 h = sha256_new();
    sha256_add(&h, s->x, (size_t)s->T * (size_t)s->N * (size_t)s->N * sizeof *s->x);
    sha256_add(&h, s->valid, (size_t)s->T);
    sha256_add(&h, s->slot, (size_t)s->T * sizeof *s->slot);
    if (s->time) sha256_add(&h, s->time, (size_t)s->T * sizeof *s->time);
    sha256_add(&h, &s->calendar_shift_s, sizeof s->calendar_shift_s);
    if (s->zone) sha256_add(&h, s->zone, strlen(s->zone));
    sha256_add(&h, s->runs, (size_t)s->n_runs * sizeof *s->runs);
    if (s->measured) sha256_add(&h, s->measured, (size_t)s->T);
    return arena_printf(a, "%s", sha256_hex(&h).s);
}

const char *lead_series_text(const TrafficSeries *s, int64_t rows, Arena *a)
{
    Sha256 h = sha256_new();
    sha256_add(&h, s->x, (size_t)rows * (size_t)s->N * (size_t)s->N * sizeof *s->x);
    sha256_add(&h, s->slot, (size_t)rows * sizeof *s->slot);
    if (s->time) sha256_add(&h, s->time, (size_t)rows * sizeof *s->time);
    return arena_printf(a, "%lld %d %d %s", (long long)rows, s->N, s->slot_seconds, sha256_hex(&h).s);
}

Status lead_record_grown(const LeadRecord *r, const TrafficSeries *s, bool *known, Arena *a)
{
    *known = r->series != NULL;
    if (!r->series) return OK;
    long long rows;
    int N, slot;
    if (sscanf(r->series, "%lld %d %d ", &rows, &N, &slot) != 3 || rows < 1 || rows > MOST_ROWS)
        return ERROR("%s: lead.series: want rows, nodes, seconds and a SHA-256, got '%.100s'", r->file, r->series);
    if (N != s->N) return ERROR("data: want %d nodes as %s was trained on, got %d", N, r->file, s->N);
    if (slot != s->slot_seconds)
        return ERROR("data: want slots of %d s as %s was trained on, got %d s", slot, r->file, s->slot_seconds);
    if (s->T < rows)
        return ERROR("data: want the %lld rows that %s was trained on, grown by new rows, got %lld", rows, r->file,
                     (long long)s->T);
    if (strcmp(lead_series_text(s, rows, a), r->series) == 0) return OK;
    return ERROR("data: want the %lld rows that %s was trained on, grown by new rows; the first %lld rows here have "
                 "other values or times", rows, r->file, rows);
}
