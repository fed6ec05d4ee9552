#include "autograd/profile.h"
#include "llm/train.h"
#include "tensor/clock.h"

#include <math.h>

typedef struct Windows { Tensor *x, *y; } Windows;   // I32 [N,T], [N T]

// Windows that start at start[0..N): token i of a window predicts token i + 1.
static Windows put_windows(Tape *t, const int32_t *token, const int64_t *start, int64_t N, int64_t T)
{
    int32_t *xs = arena_alloc(t->step, (size_t)(N * T) * 2 * sizeof *xs), *ys = xs + N * T;
    for (int64_t n = 0; n < N; n++)
        for (int64_t i = 0; i < T; i++) {
            xs[n * T + i] = token[start[n] + i];
            ys[n * T + i] = token[start[n] + i + 1];
        }
    return (Windows){tape_from_i32(t, SHAPE(N, T), xs), tape_from_i32(t, SHAPE(N * T), ys)};
}

// Their mean cross entropy.
static Tensor *window_loss(Tape *t, const Gpt2 *m, const Gpt2Hook *hook, Windows w)
{
    return tape_cross_entropy(t, gpt2_logits(t, m, gpt2_forward_tokens(t, m, w.x, hook)), w.y);
}

static double scalar(const Tensor *x)
{
    double v;
    tensor_get_f64(x, &v, 1);
    return v;
}

// Where window i of a step starts, of `places` places.
static int64_t window_start(const Gpt2TrainOptions *o, int64_t step, int64_t i, int64_t places)
{
    if (o->in_order) return i * o->context % places;
    const uint32_t u = philox_u32(o->seed, philox_subsequence(SITE_SHUFFLE, (uint32_t)step), (uint64_t)i);
    return (int64_t)((uint64_t)u * (uint64_t)places >> 32);
}

// What a micro-batch does on the device once its windows and the clock are there.
typedef struct MicroWork {
    Tape *t;
    const Gpt2 *m;
    const Gpt2Hook *hook;
    Windows w;
    double share;      // of the step's windows
    Tensor *loss;      // where micro_work leaves it
} MicroWork;

static void micro_work(void *ctx)
{
    MicroWork *k = ctx;
    Tensor *loss = window_loss(k->t, k->m, k->hook, k->w);
    *k->loss = *loss;
    tape_backward(k->t, k->share < 1 ? tape_scale(k->t, loss, k->share, 0) : loss);
}

Status gpt2_train_step(Tape *t, const Gpt2 *m, const Gpt2Hook *hook, ParamSet *ps, Optim *o, Tokens data,
                       const Gpt2TrainOptions *opt, Gpt2Recorded *again, Gpt2TrainProgress *p)
{
    const int64_t N = opt->batch, T = opt->context, A = opt->accumulate, places = data.n - T;
    CHECK(N >= ranks_count() && T >= 1 && A >= 1 && T <= m->c.positions,
          "gpt2_train: batch %lld, context %lld, accumulate %lld", (long long)N, (long long)T, (long long)A);
    if (places < 1)
        return ERROR("training data: want more than %lld tokens, got %lld", (long long)T, (long long)data.n);
    const RowPart own = ranks_part(N);
    *p = (Gpt2TrainProgress){.steps = o->total, .lr = optim_lr(o, o->step)};
    paramset_lay_out(ps);   // before anything is recorded
    paramset_zero_grad(ps);
    t->record = t->training = true;
    t->seed = opt->seed;
    for (int64_t k = 0; k < A; k++) {
        tape_reset(t);
        tape_set_step(t, (uint32_t)(o->step * A + k));
        if (own.n < N) t->part = own;
        int64_t *start = arena_alloc(t->step, (size_t)own.n * sizeof *start);
        for (int64_t i = 0; i < own.n; i++) start[i] = window_start(opt, o->step, k * N + own.begin + i, places);
        Tensor loss;
        const double share = own.n < N ? (double)own.n / (double)(N * A) : 1 / (double)A;
        MicroWork work = {t, m, hook, put_windows(t, data.id, start, own.n, T), share, again ? &again->loss : &loss};
        if (again && !t->profile) device_repeat(t->dev, &again->work, micro_work, &work);
        else micro_work(&work);
        p->loss += own.n < N ? scalar(work.loss) * share : scalar(work.loss) / (double)A;
    }
    t->part = (RowPart){0};
    ranks_sum(&(Device){.real_size = sizeof p->loss}, &p->loss, 1, t->scratch);
    o->sharded = own.n < N;
    p->grad_norm = optim_step(o, t, ps);
    if (!isfinite(p->loss) || !isfinite(p->grad_norm))
        return ERROR("step %lld: want a finite loss and gradient, got loss %g, gradient norm %g", (long long)o->step,
                     p->loss, p->grad_norm);
    p->step = o->step;
    return OK;
}

Status gpt2_train(Tape *t, const Gpt2 *m, const Gpt2Hook *hook, ParamSet *ps, Optim *o, Tokens data,
                  const Gpt2TrainOptions *opt, Gpt2TrainFn *progress, void *arg)
{
    const double begin = clock_seconds();
    Gpt2Recorded again = {0};
    Status s = OK;
    while (o->step < o->total) {
        Gpt2TrainProgress p;
        const double before = clock_seconds();
        s = gpt2_train_step(t, m, hook, ps, o, data, opt, &again, &p);
        if (t->profile) t->profile->steps += clock_seconds() - before;
        p.seconds = clock_seconds() - begin;
        if (s.code || (progress && !progress(arg, &p))) break;
    }
    device_repeat_end(t->dev, &again.work);
    return s;
}

double gpt2_text_loss(Tape *t, const Gpt2 *m, const Gpt2Hook *hook, Tokens data, int64_t context, int64_t windows)
{
    enum { BATCH = 8 };
    const bool record = t->record, training = t->training;
    t->record = t->training = false;
    const int64_t all = (data.n - 1) / context;
    if (windows == 0 || windows > all) windows = all;
    CHECK(windows >= 1, "gpt2_text_loss: %lld tokens, windows of %lld", (long long)data.n, (long long)context);
    const RowPart own = ranks_part((windows + BATCH - 1) / BATCH);
    const size_t mark = arena_mark(t->scratch);
    double sum = 0, *loss = arena_alloc(t->scratch, (size_t)own.of * sizeof *loss);
    for (int64_t b = own.begin; b < own.begin + own.n; b++) {
        int64_t start[BATCH], N = 0;
        for (; N < BATCH && b * BATCH + N < windows; N++) start[N] = (b * BATCH + N) * context;
        tape_reset(t);
        loss[b] = (double)N * scalar(window_loss(t, m, hook, put_windows(t, data.id, start, N, context)));
    }
    ranks_gather(&(Device){.real_size = sizeof *loss}, loss, own.of, sizeof *loss, t->scratch);
    for (int64_t b = 0; b < own.of; b++) sum += loss[b];
    arena_rewind(t->scratch, mark);
    t->record = record;
    t->training = training;
    return sum / (double)windows;
}
