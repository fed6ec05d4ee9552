#include "nn/optim.h"

#include <math.h>

// u of a step after the warm-up.
static double progress(const Optim *o, int64_t step)
{
    const int64_t from = o->bend > o->warmup ? o->bend : o->warmup;
    if (o->total <= from) return o->done;
    const double u = o->done + (1 - o->done) * (double)(step - from) / (double)(o->total - from);
    return u < 1 ? u : 1;
}

double optim_lr(const Optim *o, int64_t step)
{
    if (step < o->warmup) return o->lr * (double)(step + 1) / (double)o->warmup;
    return o->lr * (o->floor + (1 - o->floor) * 0.5 * (1 + cos(3.14159265358979323846 * progress(o, step))));
}

void optim_replan(Optim *o, int64_t total)
{
    CHECK(total > o->step, "optim_replan: step %lld of %lld", (long long)o->step, (long long)total);
    o->done = o->step > o->warmup ? progress(o, o->step) : 0;
    o->bend = o->step;
    o->total = total;
}

void optim_rates(Optim *o, ParamSet *ps)
{
    paramset_lay_out(ps);
    if (!o->rates) {
        o->rates = tensor_new(ps->perm, ps->dev, REAL, SHAPE(4), "rates");
        o->sumsq = tensor_new(ps->perm, ps->dev, REAL, SHAPE(1), "sumsq");
    }
    const double t = (double)(o->step + 1), warm = (1.0 + (double)o->step) / (10.0 + (double)o->step);
    tensor_set_f64(o->rates, (double[]){optim_lr(o, o->step), 1 / (1 - pow(o->beta1, t)), 1 / (1 - pow(o->beta2, t)),
                                        1 - (warm < o->ema ? warm : o->ema)}, 4);
}

// The rows of PARAM_FLAT_UNIT values that this rank updates.
static RowPart own_rows(const Optim *o, const ParamFlat *f)
{
    const int64_t rows = numel(&f->x) / PARAM_FLAT_UNIT;
    return o->sharded ? ranks_part(rows) : (RowPart){0, rows, rows};
}

// Those of a flat tensor.
static Tensor own_values(const Tensor *x, RowPart p)
{
    Tensor y = *x;
    y.shape = SHAPE(p.n * PARAM_FLAT_UNIT);
    if (x->x) y.x = (char *)x->x + (size_t)(p.begin * PARAM_FLAT_UNIT) * x->dev->real_size;
    return y;
}

void optim_update(const Optim *o, Tape *t, ParamSet *ps)
{
    ParamFlat *f = &ps->flat;
    CHECK(!ps->swapped && o->rates, "optim_update: the averages stand in for the parameters, or there are no rates");
    CHECK(!o->sharded || ps->no_ema, "optim_update: averages cannot be sharded");
    const RowPart p = own_rows(o, f);
    if (o->sharded) ranks_reduce(t->dev, f->g.x, p.of, PARAM_FLAT_UNIT, t->scratch);
    Tensor x = own_values(&f->x, p), g = own_values(&f->g, p), m = own_values(&f->m, p), v = own_values(&f->v, p);
    tape_run(t, OP_sumsq, 1, (Tensor *[]){&g}, 1, (Tensor *[]){o->sumsq}, NULL);
    if (o->sharded) ranks_sum(t->dev, o->sumsq->x, 1, t->scratch);
    Tensor *e = ps->no_ema ? NULL : &f->ema;
    const int64_t decayed = f->decayed - p.begin * PARAM_FLAT_UNIT, most = numel(&x);
    const AdamwParams a = {.beta1 = o->beta1, .beta2 = o->beta2, .eps = o->eps, .decay = o->decay, .clip = o->clip,
                           .decayed = decayed < 0 ? 0 : decayed < most ? decayed : most};
    tape_run(t, OP_adamw, 7, (Tensor *[]){&x, &g, &m, &v, o->rates, o->sumsq, e}, e ? 4 : 3,
             (Tensor *[]){&x, &m, &v, e}, &a);
    if (o->sharded) ranks_gather(t->dev, f->x.x, p.of, PARAM_FLAT_UNIT * t->dev->real_size, t->scratch);
}

void optim_collect(const Optim *o, ParamSet *ps, Arena *scratch)
{
    ParamFlat *f = &ps->flat;
    if (!o->sharded || !f->x.x) return;
    const size_t bytes = PARAM_FLAT_UNIT * ps->dev->real_size;
    ranks_gather_first(ps->dev, f->m.x, own_rows(o, f).of, bytes, scratch);
    ranks_gather_first(ps->dev, f->v.x, own_rows(o, f).of, bytes, scratch);
}

// What no rank reads again: zeros from now on.
void optim_release(const Optim *o, ParamSet *ps)
{
    ParamFlat *f = &ps->flat;
    if (!o->sharded || !f->x.x || ps->dev->memory) return;
    const RowPart p = own_rows(o, f);
    const size_t bytes = PARAM_FLAT_UNIT * ps->dev->real_size, begin = (size_t)p.begin * bytes,
                 end = begin + (size_t)p.n * bytes, all = (size_t)p.of * bytes;
    for (int i = 0; i < 2; i++) {
        char *x = i ? f->v.x : f->m.x;
        memory_unused(x, begin);
        memory_unused(x + end, all - end);
    }
}

double optim_norm(const Optim *o)
{
    double sum;
    tensor_get_f64(o->sumsq, &sum, 1);
    return sqrt(sum);
}

double optim_step(Optim *o, Tape *t, ParamSet *ps)
{
    optim_rates(o, ps);
    optim_update(o, t, ps);
    const double norm = optim_norm(o);
    if (isfinite(norm)) o->step++;
    return norm;
}
