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

void optim_update(const Optim *o, Tape *t, ParamSet *ps)
{
    ParamFlat *f = &ps->flat;
    CHECK(!ps->swapped && o->rates, "optim_update: the averages stand in for the parameters, or there are no rates");
    tape_run(t, OP_sumsq, 1, (Tensor *[]){&f->g}, 1, (Tensor *[]){o->sumsq}, NULL);
    Tensor *e = ps->no_ema ? NULL : &f->ema;
    const AdamwParams a = {.beta1 = o->beta1, .beta2 = o->beta2, .eps = o->eps, .decay = o->decay, .clip = o->clip,
                           .decayed = f->decayed};
    tape_run(t, OP_adamw, 7, (Tensor *[]){&f->x, &f->g, &f->m, &f->v, o->rates, o->sumsq, e}, e ? 4 : 3,
             (Tensor *[]){&f->x, &f->m, &f->v, e}, &a);
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
