#include "lead/record.h"

#include <string.h>
#include <sys/stat.h>

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
    return config_read_json(cfg, json, f->path);
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
    TRY(checkpoint_numbers(f, "lead.rows", 4, rows));
    TRY(checkpoint_numbers(f, "lead.final_rows", 2, last));
    TRY(checkpoint_numbers(f, "lead.step", 1, &r->step));
    TRY(checkpoint_numbers(f, "lead.total", 1, &r->total));
    TRY(checkpoint_numbers(f, "lead.validation", 3, validation));
    r->train = (TrafficRange){rows[0], rows[1]};
    r->val = (TrafficRange){rows[2], rows[3]};
    r->final = (TrafficRange){last[0], last[1]};
    r->in_final = strcmp(fit, "final") == 0;
    r->best_step = validation[1];
    return OK;
}

Status lead_record_open(LeadRecord *r, Arena *a, const char *dir)
{
    static const char *const names[] = {RUN_CHECKPOINT, RUN_BEST, RUN_FINAL};
    *r = (LeadRecord){.file = NULL};
    struct stat sb;
    for (int i = 0; i < 3 && !r->file; i++) {
        const char *path = arena_printf(a, "%s/%s", dir, names[i]);
        if (stat(path, &sb) == 0) r->file = path;
    }
    if (!r->file) return ERROR("%s: want a run, " RUN_CHECKPOINT " or " RUN_BEST ", found none", dir);
    SafeFile f;
    TRY(checkpoint_open(&f, a, r->file));
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
    sha256_add(&h, s->runs, (size_t)s->n_runs * sizeof *s->runs);
    return arena_printf(a, "%s", sha256_hex(&h).s);
}
