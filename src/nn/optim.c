#include "nn/optim.h"

#include <math.h>

double optim_lr(const Optim *o, int64_t step)
{
    if (step < o->warmup) return o->lr * (double)(step + 1) / (double)o->warmup;
    if (o->total <= o->warmup) return o->lr;
    double u = (double)(step - o->warmup) / (double)(o->total - o->warmup);
    if (u > 1) u = 1;
    return o->lr * (o->floor + (1 - o->floor) * 0.5 * (1 + cos(3.14159265358979323846 * u)));
}

static Tensor grad_tensor(const Param *p)   // the gradient as a tensor of its own
{
    Tensor g = p->t;
    g.x = p->t.g;
    g.g = NULL;
    g.needs_grad = false;
    return g;
}

static double global_norm(Tape *t, const ParamSet *ps)
{
    Tensor *all = tape_zeros(t, SHAPE(ps->n));   // one sum a parameter, read once: reading waits for the device
    for (int i = 0; i < ps->n; i++) {
        if (!ps->p[i]->t.g) continue;
        Tensor g = grad_tensor(ps->p[i]), one = *all;
        one.shape = SHAPE(1);
        one.x = (char *)all->x + (size_t)i * t->dev->real_size;
        tape_run(t, OP_sumsq, 1, (Tensor *[]){&g}, 1, (Tensor *[]){&one}, NULL);
    }
    double *s = arena_alloc(t->step, (size_t)ps->n * sizeof *s), sum = 0;
    tensor_get_f64(all, s, ps->n);
    for (int i = 0; i < ps->n; i++) sum += s[i];   // in registration order: the same bits for any number of threads
    return sqrt(sum);
}

double optim_step(Optim *o, Tape *t, ParamSet *ps)
{
    const double norm = global_norm(t, ps);
    if (!isfinite(norm)) return norm;
    const double scale = o->clip > 0 && norm > o->clip ? o->clip / norm : 1;
    const double warm = (1.0 + (double)o->step) / (10.0 + (double)o->step);
    const EmaParams ema = {.decay = warm < o->ema ? warm : o->ema};
    AdamwParams a = {.lr = optim_lr(o, o->step), .beta1 = o->beta1, .beta2 = o->beta2, .eps = o->eps,
                     .grad_scale = scale, .step = o->step + 1};
    for (int i = 0; i < ps->n; i++) {
        Param *p = ps->p[i];
        if (!p->t.g) continue;
        Tensor g = grad_tensor(p);
        a.decay = p->decay ? o->decay : 0;
        tape_run(t, OP_adamw, 4, (Tensor *[]){&p->t, &g, &p->m, &p->v}, 3, (Tensor *[]){&p->t, &p->m, &p->v}, &a);
        if (p->ema.x) tape_run(t, OP_ema, 2, (Tensor *[]){&p->ema, &p->t}, 1, (Tensor *[]){&p->ema}, &ema);
    }
    o->step++;
    return norm;
}
