#include "llm/train_run.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "llm/gpt2_directory.h"
#include "nn/checkpoint.h"
#include "nn/run_directory.h"
#include "io/json.h"
#include "tensor/clock.h"

typedef struct State {
    Gpt2Run *r;
    Tape *t;
    Gpt2Hook hook;
    const char *identity;        // what a checkpoint must agree with, as JSON
    const char *base_hash;       // of the frozen base, or NULL
    const char *bits;            // checkpoint_bits
    RunLog log;
    double begin, saved;         // seconds of the clock
    int64_t first;               // the step this call began at
    Status failed;               // of a save inside the loop
} State;

// ---- what a run is --------------------------------------------------------------------------------------------------

static const char *identity_json(const Gpt2Run *r, const char *base_hash, Arena *a)
{
    const Gpt2Config *c = &r->m->c;
    JsonWriter w = json_writer(a, 0);
    json_object(&w, NULL);
    const struct { const char *key; int64_t value; } whole[] = {
        {"vocab", c->vocab}, {"positions", c->positions}, {"width", c->width}, {"inner", c->inner},
        {"layers", c->layers}, {"heads", c->heads}, {"tied", c->tied}, {"batch", r->opt.batch},
        {"context", r->opt.context}, {"accumulate", r->opt.accumulate}, {"in_order", r->opt.in_order},
        {"seed", (int64_t)r->opt.seed}, {"steps", r->optim.total}, {"warmup", r->optim.warmup},
        {"lora_rank", r->lora.rank}, {"lora_targets", r->lora.targets},
        {"bottleneck", r->adapters ? r->adapters->c.bottleneck : 0},
    };
    const struct { const char *key; double value; } real[] = {
        {"lr", r->optim.lr}, {"beta1", r->optim.beta1}, {"beta2", r->optim.beta2}, {"eps", r->optim.eps},
        {"decay", r->optim.decay}, {"clip", r->optim.clip}, {"floor", r->optim.floor}, {"dropout", r->m->dropout},
        {"attention_dropout", r->m->attention_dropout},
        {"lora_alpha", r->lora.alpha},
    };
    for (size_t i = 0; i < sizeof whole / sizeof *whole; i++) json_int(&w, whole[i].key, whole[i].value);
    for (size_t i = 0; i < sizeof real / sizeof *real; i++) json_double(&w, real[i].key, real[i].value);
    if (c->activation) json_int(&w, "activation", c->activation);       // keys that older checkpoints do not have
    if (c->plain_scores) json_bool(&w, "plain_scores", true);
    if (c->scores_by_layer) json_bool(&w, "scores_by_layer", true);
    json_string(&w, "data_sha256", tokens_hash(r->train, a));
    json_string(&w, "base_sha256", base_hash ? base_hash : "");
    json_end(&w);
    return json_text(&w, NULL);
}

// ---- saving and resuming --------------------------------------------------------------------------------------------

enum { N_META = 4 };

static void describe(const State *s, SafeMeta meta[N_META])
{
    const Gpt2Run *r = s->r;
    meta[0] = (SafeMeta){"gpt2.run", s->identity};
    meta[1] = (SafeMeta){"gpt2.step", arena_printf(s->t->scratch, "%lld", (long long)r->optim.step)};
    meta[2] = (SafeMeta){"gpt2.manifest", r->manifest ? r->manifest : "{}"};
    meta[3] = (SafeMeta){"gpt2.bits", s->bits};
}

static const char *checkpoint_path(const State *s)
{
    return arena_printf(s->t->scratch, "%s/" RUN_CHECKPOINT, s->r->out);
}

static Status save_checkpoint(State *s)
{
    Arena *a = s->t->scratch;
    const size_t mark = arena_mark(a);
    SafeMeta meta[N_META];
    describe(s, meta);
    optim_collect(&s->r->optim, s->r->ps, a);
    const Status st = checkpoint_save(checkpoint_path(s), s->r->ps, meta, N_META, NULL, 0, a);
    optim_release(&s->r->optim, s->r->ps);
    arena_rewind(a, mark);
    s->saved = clock_seconds();
    return st;
}

// Before the first step: whether a checkpoint can be written at all.
static Status try_saving(const State *s)
{
    const size_t mark = arena_mark(s->t->scratch);
    SafeMeta meta[N_META];
    describe(s, meta);
    TRY(checkpoint_try(checkpoint_path(s), meta, N_META));
    arena_rewind(s->t->scratch, mark);
    return OK;
}

static Status load_checkpoint(State *s, const SafeFile *f)
{
    const char *identity, *bits = safetensors_meta(f, "gpt2.bits");
    TRY(checkpoint_meta(f, "gpt2.run", &identity));
    if (strcmp(identity, s->identity))
        return ERROR("%s: want a run of these options, data and weights, got another one: %s here, %s there", f->path,
                     s->identity, identity);
    if (bits && strcmp(bits, s->bits) && !s->r->other_bits)
        return ERROR("%s: trained by %s; here it would go on by %s, and not give the bits of a run that never stopped: "
                     "--allow-other-bits goes on all the same", f->path, bits, s->bits);
    TRY(checkpoint_numbers(f, "gpt2.step", 1, 0, s->r->optim.total, &s->r->optim.step));
    return checkpoint_load(f, s->r->ps);
}

static Status resume(State *s)
{
    Arena *a = s->t->scratch;
    const size_t mark = arena_mark(a);
    SafeFile f;
    TRY(ranks_agree(checkpoint_open(&f, a, checkpoint_path(s))));   // by all, before it may be renamed
    Status st = load_checkpoint(s, &f);
    if (f.note && s->r->note) s->r->note(s->r->arg, f.note);
    // the whole file takes the place of the damaged one, which the next save would else keep as the previous
    if (!st.code && ranks_first() && checkpoint_is_previous(&f) && rename(f.path, checkpoint_path(s)))
        st = ERROR("%s: cannot rename: %s", f.path, strerror(errno));
    safetensors_close(&f);
    if (!st.code) arena_rewind(a, mark);
    return st;
}

static Status save_result(const State *s)
{
    const Gpt2Run *r = s->r;
    Arena *a = s->t->scratch;
    if (r->lora.rank) TRY(lora_save(r->m, &r->lora, r->out, r->base, a));
    if (r->adapters) TRY(adapter_save(r->adapters, r->out, a));
    if (!r->lora.rank && !r->adapters) TRY(gpt2_save(r->m, r->out, a));
    if (r->bpe && r->tokenizer) return gpt2_side_files_copy(r->tokenizer, r->out, false, a);
    if (r->bpe)
        TRY(bpe_save(r->bpe, a, arena_printf(a, "%s/vocab.json", r->out), arena_printf(a, "%s/merges.txt", r->out)));
    return OK;
}

// ---- the run --------------------------------------------------------------------------------------------------------

static const Gpt2Hook *hook_of(const State *s) { return s->r->adapters ? &s->hook : NULL; }

static double validate(const State *s)
{
    const Gpt2Run *r = s->r;
    if (r->val.n <= r->opt.context) return NAN;
    return gpt2_text_loss(s->t, r->m, hook_of(s), r->val, r->opt.context, r->val_windows);
}

static Status write_log(State *s, const Gpt2TrainProgress *p, double val_loss)
{
    const Gpt2TrainOptions *o = &s->r->opt;
    const long long tokens = (long long)(p->step * o->batch * o->accumulate * o->context);
    char val[40] = "", line[300];
    if (isfinite(val_loss)) snprintf(val, sizeof val, ",\"val_loss\":%.9g", val_loss);
    snprintf(line, sizeof line,
             "{\"step\":%lld,\"loss\":%.9g,\"grad_norm\":%.6g,\"lr\":%.6g,\"tokens\":%lld,\"seconds\":%.3f%s}\n",
             (long long)p->step, p->loss, p->grad_norm, p->lr, tokens, p->seconds, val);
    return run_log_line(&s->log, line);
}

static bool after_step(void *arg, const Gpt2TrainProgress *p)
{
    State *s = arg;
    const Gpt2Run *r = s->r;
    const bool stop = r->stop_after && p->step - s->first >= r->stop_after, last = p->step == p->steps;
    const double val_loss = last || (r->val_every && p->step % r->val_every == 0) ? validate(s) : NAN;
    s->failed = write_log(s, p, val_loss);
    const bool go_on = !ranks_any(r->progress && !r->progress(r->arg, p, val_loss));
    if (!s->failed.code && ranks_same(clock_seconds() - s->saved) > r->checkpoint_seconds)
        s->failed = save_checkpoint(s);
    return go_on && !stop && !s->failed.code;
}

static Status train(State *s)
{
    Gpt2Run *r = s->r;
    s->begin = s->saved = clock_seconds();
    s->first = r->optim.step;
    TRY(gpt2_train(s->t, r->m, hook_of(s), r->ps, &r->optim, r->train, &r->opt, after_step, s));
    if (s->failed.code) {
        const Status saved = save_checkpoint(s);
        return ERROR("%s; training stops after step %lld, %s", s->failed.msg, (long long)r->optim.step,
                     saved.code ? "which could not be saved" : "which is saved");
    }
    if (s->base_hash)
        CHECK(!strcmp(s->base_hash, paramset_frozen_hash(r->ps, s->t->scratch)), "training changed the frozen base");
    TRY(save_checkpoint(s));
    return save_result(s);
}

// Whether all ranks begin with the same trainable weights: they never compare them later.  Frozen ones are in the
// identity of the run.
static Status check_weights(const ParamSet *ps)
{
    for (int i = 0; i < ps->n && !ps->dev->memory; i++) {
        const Tensor *t = &ps->p[i]->t;
        if (!ps->p[i]->frozen) TRY(ranks_check_alike(t->x, tensor_bytes(t), "weights to begin with"));
    }
    return OK;
}

// In the directory, which is locked.
static Status run(State *s)
{
    Gpt2Run *r = s->r;
    TRY(ranks_check_alike(s->bits, strlen(s->bits), "compiler and instruction set"));
    TRY(ranks_check_alike(s->identity, strlen(s->identity), "options, data and weights"));
    if (r->resume) TRY(ranks_agree(resume(s)));
    TRY(check_weights(r->ps));
    TRY(try_saving(s));
    TRY(run_log_open(&s->log, r->out, r->resume, r->ps->perm));
    const Status st = train(s), closed = run_log_close(&s->log);
    return st.code ? st : closed;
}

Status gpt2_run(Gpt2Run *r, Tape *t)
{
    Arena *perm = r->ps->perm;
    State s = {.r = r, .t = t, .failed = OK, .bits = checkpoint_bits(r->ps->dev, perm)};
    RunDirectory dir;
    if (r->opt.batch < ranks_count())
        return ERROR("ranks: want at most the %lld windows of a micro-batch, got %d", (long long)r->opt.batch,
                     ranks_count());
    if (r->adapters) s.hook = adapter_hook(r->adapters);
    if (r->lora.rank || r->adapters) s.base_hash = paramset_frozen_hash(r->ps, perm);
    s.identity = identity_json(r, s.base_hash, perm);
    TRY(run_directory_open(&dir, r->out, r->resume, perm));
    if (dir.note && r->note) r->note(r->arg, dir.note);
    const Status st = run(&s);
    run_directory_close(&dir);
    return st;
}
