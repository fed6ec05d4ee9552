// The state of a training run on the disk: saving, resuming, beginning with another run's weights.
#include "lead/trainer.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "io/file.h"
#include "lead/general.h"
#include "tensor/clock.h"

// Rank 0's, for all ranks: plans depend on it.
double trainer_now(const Trainer *tr) { return ranks_same(tr->o->clock ? tr->o->clock() : clock_seconds()); }

void trainer_note(const Trainer *tr, const char *text)
{
    if (text && tr->o->note) tr->o->note(tr->o->ctx, text);
}

bool trainer_final_wanted(const Trainer *tr) { return tr->o->final.end > tr->o->final.begin; }

// The most steps that this fit may have.
int64_t trainer_most_steps(const Trainer *tr) { return tr->final ? tr->best_step : tr->cfg->steps; }

// ---- saving

const char *trainer_path(const Trainer *tr, const char *name)
{
    return arena_printf(tr->scratch, "%s/%s", tr->o->out, name);
}

static const char *range_text(Arena *a, TrafficRange r)
{
    return arena_printf(a, "%lld %lld", (long long)r.begin, (long long)r.end);
}

enum { N_META = 20 };

// What a file says about the run and its state.
static void describe(Trainer *tr, SafeMeta meta[N_META])
{
    Arena *a = tr->scratch;
    const Optim *op = &tr->optim;
    const TrainOptions *o = tr->o;
    const SafeMeta m[N_META] = {
        {"lead.config", tr->config_json},
        {"lead.manifest", o->manifest ? o->manifest : "{}"},
        {"lead.data", o->data_path ? o->data_path : ""},
        {"lead.nodes", traffic_nodes_text(tr->s, a)},
        {"lead.zone", tr->s->zone ? tr->s->zone : ""},
        {"lead.start", tr->start},
        {"lead.rows", arena_printf(a, "%s %s", range_text(a, o->train), range_text(a, o->val))},
        {"lead.final_rows", range_text(a, o->final)},
        {"lead.fit", tr->final ? "final" : "train"},
        {"lead.llm_sha256", tr->llm_hash},
        {"lead.data_sha256", tr->data_hash},
        {"lead.series", tr->series},
        {"lead.bits", tr->bits},
        {"lead.step", arena_printf(a, "%lld", (long long)op->step)},
        {"lead.total", arena_printf(a, "%lld", (long long)op->total)},
        {"lead.schedule", arena_printf(a, "%lld %lld", (long long)op->warmup, (long long)op->bend)},
        {"lead.schedule_done", arena_printf(a, "%.17g", op->done)},
        {"lead.validation", arena_printf(a, "%lld %lld %lld", (long long)tr->validated, (long long)tr->best_step,
                                         (long long)tr->since)},
        {"lead.best_val", arena_printf(a, "%.17g", tr->best_val)},
        {"lead.smooth_loss", arena_printf(a, "%.17g", tr->smooth)},
    };
    memcpy(meta, m, sizeof m);
}

// Everything that a resumed run needs (weights: that a forecast needs).
Status trainer_save(Trainer *tr, const char *name, bool weights)
{
    Arena *a = tr->scratch;
    const size_t mark = arena_mark(a);
    StatArray stat[STATS_MAX_ARRAYS];
    SafeMeta meta[N_META];
    const int n_stat = lead_stats_pack(&tr->stats, a, stat);
    describe(tr, meta);
    const char *path = trainer_path(tr, name);
    const Status st = weights ? checkpoint_save_weights(path, &tr->ps, meta, N_META, stat, n_stat, a)
                              : checkpoint_save(path, &tr->ps, meta, N_META, stat, n_stat, a);
    arena_rewind(a, mark);
    return st;
}

// Before the first step: whether these files can be written at all.
Status trainer_try_saving(Trainer *tr)
{
    Arena *a = tr->scratch;
    const size_t mark = arena_mark(a);
    SafeMeta meta[N_META];
    describe(tr, meta);
    TRY(checkpoint_try(trainer_path(tr, RUN_CHECKPOINT), meta, N_META));
    arena_rewind(a, mark);
    return OK;
}

Status trainer_save_checkpoint(Trainer *tr)
{
    const double before = trainer_now(tr);
    TRY(trainer_save(tr, RUN_CHECKPOINT, false));
    tr->saved = trainer_now(tr);
    tr->pace.save = tr->saved - before;
    return OK;
}

// ---- resuming

static bool same_rows(TrafficRange a, TrafficRange b) { return a.begin == b.begin && a.end == b.end; }

// Whether the run in the directory is the one that is wanted.
Status trainer_check_same(const Trainer *tr, const LeadRecord *r)
{
    const TrainOptions *o = tr->o;
    const ConfigKey *k = config_difference(tr->cfg, &r->cfg);
    char want[1100], got[1100];
    if (k)
        return ERROR("%s: want the configuration that the run was started with, %s %s, got %s", r->file, k->name,
                     config_text(&r->cfg, k, want), config_text(tr->cfg, k, got));
    if (!same_rows(r->train, o->train) || !same_rows(r->val, o->val) || !same_rows(r->final, o->final))
        return ERROR("%s: want the rows that the run was started with, got others", r->file);
    if (!r->bits || o->other_bits || strcmp(r->bits, tr->bits) == 0) return OK;
    return ERROR("%s: trained by %s; here it would go on by %s, and not give the bits of a run that never stopped: "
                 "--allow-other-bits goes on all the same", r->file, r->bits, tr->bits);
}

// Checkpoints before version 2 had all three numbers under one key.
static Status load_schedule(Trainer *tr, const SafeFile *f, int64_t warmup_bend[2])
{
    Optim *op = &tr->optim;
    const char *text;
    if (safetensors_meta(f, "lead.schedule_done")) {
        TRY(checkpoint_numbers(f, "lead.schedule", 2, 0, tr->cfg->steps, warmup_bend));
        TRY(checkpoint_real(f, "lead.schedule_done", &op->done));
    } else {
        long long w, b;
        TRY(checkpoint_meta(f, "lead.schedule", &text));
        if (sscanf(text, "%lld %lld %lf", &w, &b, &op->done) != 3) w = -1;
        warmup_bend[0] = w, warmup_bend[1] = b;
    }
    if (warmup_bend[0] >= 0 && warmup_bend[0] <= tr->cfg->steps && warmup_bend[1] >= 0 && warmup_bend[1] <= op->step &&
        op->done >= 0 && op->done <= 1)
        return OK;
    return ERROR("%s: lead.schedule, lead.schedule_done: want steps of the run and a share of it, got others", f->path);
}

// The numbers of a checkpoint: each one that a run could have stored.
static Status load_progress(Trainer *tr, const SafeFile *f)
{
    Optim *op = &tr->optim;
    const int64_t most = trainer_most_steps(tr);
    int64_t validation[3], warmup_bend[2];
    TRY(checkpoint_numbers(f, "lead.total", 1, 0, most, &op->total));
    TRY(checkpoint_numbers(f, "lead.step", 1, 0, op->total, &op->step));
    // in the final fit these are of the fit before
    TRY(checkpoint_numbers(f, "lead.validation", 3, 0, tr->final ? tr->cfg->steps : op->step, validation));
    TRY(load_schedule(tr, f, warmup_bend));
    TRY(checkpoint_real(f, "lead.best_val", &tr->best_val));
    TRY(checkpoint_real(f, "lead.smooth_loss", &tr->smooth));
    if (!isfinite(tr->smooth) || tr->best_val == -INFINITY)
        return ERROR("%s: lead.smooth_loss, lead.best_val: want losses, got %g and %g", f->path, tr->smooth,
                     tr->best_val);
    op->warmup = warmup_bend[0];
    op->bend = warmup_bend[1];
    tr->validated = validation[0];
    tr->best_step = validation[1];
    tr->since = validation[2];
    return OK;
}

static Status load_state(Trainer *tr, const SafeFile *f)
{
    const char *hash, *data;
    TRY(checkpoint_meta(f, "lead.llm_sha256", &hash));
    TRY(checkpoint_meta(f, "lead.data_sha256", &data));
    if (strcmp(hash, tr->llm_hash)) return ERROR("%s: trained with other LLM weights than %s", f->path, tr->cfg->llm);
    if (strcmp(data, tr->data_hash)) return ERROR("%s: trained on other traffic than this", f->path);
    TRY(load_progress(tr, f));
    TRY(checkpoint_load(f, &tr->ps));
    if (tr->optim.step >= SPEED_STEPS) tr->next_plan = -1;   // the plan was made
    return OK;
}

// ---- the start

// What the run that is given begins with; for the final fit that run's final weights, which have seen more rows, for
// validation too many.
static Status open_given(const Trainer *tr, bool final, SafeFile *f, Arena *a)
{
    static const char *const names[] = {RUN_FINAL, RUN_BEST};
    struct stat sb;
    if (stat(tr->start, &sb) || !S_ISDIR(sb.st_mode)) return checkpoint_open(f, a, tr->start);
    return run_directory_read(f, a, tr->start, names + !final, 1 + final);
}

// The copy of it in the directory; runs of earlier versions made none.
static Status open_start(const Trainer *tr, SafeFile *f, Arena *a)
{
    static const char *const names[] = {RUN_START_FINAL, RUN_START};
    bool copied;
    TRY(file_exists(trainer_path(tr, RUN_START), &copied));
    if (copied) return run_directory_read(f, a, tr->o->out, names + !tr->final, 1 + tr->final);
    const Status s = open_given(tr, tr->final, f, a);
    return s.code ? ERROR("this update began with %s and needs it still: %s", tr->start, s.msg) : OK;
}

static Status copy_given(Trainer *tr, bool final, const char *to)
{
    SafeFile f;
    const size_t mark = arena_mark(tr->scratch);
    TRY(open_given(tr, final, &f, tr->scratch));
    trainer_note(tr, f.note);
    const Status s = ranks_agree(file_write(trainer_path(tr, to), f.map.data, f.map.size));
    safetensors_close(&f);
    arena_rewind(tr->scratch, mark);
    return s;
}

// Copies what the run begins with: it may move or go while this one trains.
Status trainer_copy_start(Trainer *tr)
{
    TRY(copy_given(tr, false, RUN_START));
    return trainer_final_wanted(tr) ? copy_given(tr, true, RUN_START_FINAL) : OK;
}

static Status check_start_file(const Trainer *tr, const SafeFile *f, Arena *a)
{
    LeadConfig cfg;
    LeadStats st;
    TRY(lead_record_config(&cfg, a, f));
    if (lead_general_file(f)) return OK;   // weights that suit any network
    TRY(lead_stats_unpack(&st, a, f, &cfg));
    if (tr->s->N != st.N) return ERROR("data: want %d nodes as %s was trained on, got %d", st.N, f->path, tr->s->N);
    if (tr->s->slot_seconds != st.slot_seconds)
        return ERROR("data: want slots of %d s as %s was trained on, got %d s", st.slot_seconds, f->path,
                     tr->s->slot_seconds);
    return OK;
}

// Before the long work of the statistics.
Status trainer_check_start(const Trainer *tr)
{
    Arena *a = tr->scratch;
    const size_t mark = arena_mark(a);
    SafeFile f;
    TRY(tr->o->resume ? open_start(tr, &f, a) : open_given(tr, false, &f, a));
    const Status s = check_start_file(tr, &f, a);
    safetensors_close(&f);
    arena_rewind(a, mark);
    return s;
}

static Status load_start_file(Trainer *tr, const SafeFile *f)
{
    const char *hash;
    if (lead_general_file(f)) return checkpoint_load_start(f, &tr->ps);
    TRY(checkpoint_meta(f, "lead.llm_sha256", &hash));
    if (strcmp(hash, tr->llm_hash)) return ERROR("%s: trained with other LLM weights than %s", f->path, tr->cfg->llm);
    return checkpoint_load_start(f, &tr->ps);
}

// The whole file takes the place of the damaged one, which the next save would else keep as the previous.  After all
// ranks have opened it: one that came later would find neither.
static Status put_back(Trainer *tr, const SafeFile *f, const char *name)
{
    trainer_note(tr, f->note);
    if (!ranks_first() || !checkpoint_is_previous(f) || !rename(f->path, trainer_path(tr, name))) return OK;
    return ERROR("%s: cannot rename: %s", f->path, strerror(errno));
}

Status trainer_open_best(Trainer *tr, SafeFile *f)
{
    TRY(ranks_agree(checkpoint_open(f, tr->perm, trainer_path(tr, RUN_BEST))));
    const Status s = put_back(tr, f, RUN_BEST);
    if (s.code) safetensors_close(f);
    return s;
}

// What a fit begins with: a checkpoint, another run's weights, or the initial values.
Status trainer_load(Trainer *tr, bool resume)
{
    if (!resume && !*tr->start) return OK;
    SafeFile f;
    TRY(ranks_agree(resume ? checkpoint_open(&f, tr->perm, trainer_path(tr, RUN_CHECKPOINT))
                           : open_start(tr, &f, tr->perm)));
    Status s = resume ? load_state(tr, &f) : load_start_file(tr, &f);
    if (!s.code && resume) s = put_back(tr, &f, RUN_CHECKPOINT);
    else trainer_note(tr, f.note);
    safetensors_close(&f);
    return s;
}
