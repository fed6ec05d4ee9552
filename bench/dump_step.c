// Writes training steps of LEAD as one safetensors file, for the PyTorch twin (bench/peers/lead_twin.py):
//   dump_step --out FILE [--config image] [--data FILE.npy | --synth N] [--f64] [--noise 0.05] [--steps 1] [--bare]
//             [key=value ..]
//   param.NAME frozen.NAME            before the first step      grad.NAME    of the first step, before clipping
//   after.NAME ema.NAME               after the last step        loss, norm   [steps]
//   I.frames I.slot I.dow I.context I.target I.weight I.eps      the batch of step I and its noise
//   I.window I.base sigma gamma trust                            with heads: what the residual is computed from
// Metadata: the configuration and what the twin must know besides (slots_per_day, rng_step is I).
// --noise S adds S times standard normal numbers to every trainable parameter, so that nothing is zero by construction.
// --bare: parameters and batches only.  --f64 runs the reference kernels in double precision, and every array is F64.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bench/session.h"

typedef struct Options {
    const char *out, *preset;
    SessionData data;
    bool f64, bare;
    double noise;
    int steps;
} Options;

typedef struct Dump {
    SafeTensor *t;
    int64_t n, cap;
    Arena *a;
    bool f64;
} Dump;

static void put(Dump *d, const char *name, SafeType type, Shape s, const void *data)
{
    CHECK(d->n < d->cap, "dump_step: more than %lld arrays", (long long)d->cap);
    int64_t *shape = arena_alloc(d->a, MAX_DIMS * sizeof *shape);
    memcpy(shape, s.d, MAX_DIMS * sizeof *shape);
    d->t[d->n++] = (SafeTensor){.name = name, .type = type, .n_dim = s.n, .shape = shape, .data = data};
}

// A copy of values (or of gradients): the tensor changes later.
static void put_copy(Dump *d, const char *name, const Tensor *x, const void *values)
{
    if (!x || !values) return;
    void *copy = arena_alloc(d->a, tensor_bytes(x));
    memcpy(copy, values, tensor_bytes(x));
    put(d, name, x->dtype == I32 ? SAFE_I32 : d->f64 ? SAFE_F64 : SAFE_F32, x->shape, copy);
}

#define NAME(...) arena_printf(d->a, __VA_ARGS__)

// Through tensor_get: frozen matrices may lie packed (tensor/pack.h).
static void put_params(Dump *d, const ParamSet *ps)
{
    for (int i = 0; i < ps->n; i++) {
        const Tensor *x = &ps->p[i]->t;
        const int64_t n = numel(x);
        void *values = arena_alloc(d->a, tensor_bytes(x));
        if (d->f64) tensor_get_f64(x, values, n);
        else tensor_get_f32(x, values, n);
        put(d, NAME("%s.%s", ps->p[i]->frozen ? "frozen" : "param", x->name), d->f64 ? SAFE_F64 : SAFE_F32, x->shape,
            values);
    }
}

static void put_grads(Dump *d, const ParamSet *ps)
{
    for (int i = 0; i < ps->n; i++) put_copy(d, NAME("grad.%s", ps->p[i]->t.name), &ps->p[i]->t, ps->p[i]->t.g);
}

static void put_after(Dump *d, const ParamSet *ps)
{
    for (int i = 0; i < ps->n; i++) {
        if (ps->p[i]->frozen) continue;
        put_copy(d, NAME("after.%s", ps->p[i]->t.name), &ps->p[i]->t, ps->p[i]->t.x);
        put_copy(d, NAME("ema.%s", ps->p[i]->t.name), &ps->p[i]->t, ps->p[i]->ema.x);
    }
}

static void put_batch(Dump *d, Session *s, const LeadBatch *b, int step)
{
    const char *const name[] = {"frames", "slot", "dow", "context", "target", "weight", "window", "base"};
    Tensor *const x[] = {b->frames, b->slot, b->dow, b->context, b->target, b->weight, b->window, b->base};
    for (int i = 0, most = lead_has_heads(&s->cfg) ? 8 : 6; i < most; i++)
        put_copy(d, NAME("%d.%s", step, name[i]), x[i], x[i] ? x[i]->x : NULL);
    const RandomAddress at = {.seed = (uint64_t)s->cfg.seed, .site = SITE_NOISE, .step = (uint32_t)step};
    // lead_loss draws these, for every flow by itself where there is no U-Net
    const int64_t K = shape_last(b->target->shape);
    const Shape rows = lead_has_unet(&s->cfg) ? b->target->shape : SHAPE(numel(b->target) / K, K);
    Tensor *eps = tape_randn(&s->tape, rows, at, 0);
    put_copy(d, NAME("%d.eps", step), eps, eps->x);
}

static void add_noise(Session *s, double scale)
{
    for (int i = 0; i < s->ps.n; i++) {
        const Param *p = s->ps.p[i];
        for (int64_t j = 0, n = numel(&p->t); j < n && !p->frozen; j++) {
            const double z =
                scale * (double)philox_normal(1, philox_subsequence(SITE_TEST, (uint32_t)i), (uint64_t)j);
            if (s->dev.real_size == sizeof(double)) ((double *)p->t.x)[j] += z;
            else ((float *)p->t.x)[j] += (float)z;
        }
        if (!p->frozen) memcpy(p->ema.x, p->t.x, tensor_bytes(&p->t));
    }
}

static Status run(const Options *o, const LeadConfig *cfg)
{
    Session *s = calloc(1, sizeof *s);
    CHECK(s, "dump_step: no memory");
    TRY(session_open(s, cfg, &o->data, o->f64 ? device_cpu_f64() : device_cpu_f32(ISA_AVX512)));
    Arena *a = arena_new("dump", (size_t)64 << 30, NULL);
    Dump dump = {.cap = 5 * s->ps.n + 9 * o->steps + 5, .a = a, .f64 = o->f64}, *d = &dump;
    d->t = arena_alloc(a, (size_t)d->cap * sizeof *d->t);
    if (o->noise > 0) add_noise(s, o->noise);
    put_params(d, &s->ps);
    double *loss = arena_zalloc(a, 2 * (size_t)o->steps * sizeof *loss), *norm = loss + o->steps;
    for (int i = 0; i < o->steps; i++) {
        LeadBatch b;
        Tensor *l = session_loss(s, i, &b);
        loss[i] = session_value(l);
        put_batch(d, s, &b, i);
        if (o->bare) continue;
        tape_backward(&s->tape, l);
        if (i == 0) put_grads(d, &s->ps);
        norm[i] = optim_step(&s->optim, &s->tape, &s->ps);
        printf("step %d: loss %.9g, gradient norm %.9g\n", i, loss[i], norm[i]);
    }
    if (!o->bare) put_after(d, &s->ps);
    if (lead_has_heads(cfg)) {
        const Tensor *const x[] = {s->data.units.sigma, s->data.units.gamma, s->data.trust};
        for (int i = 0; i < 3; i++) put_copy(d, (const char *const[]){"sigma", "gamma", "trust"}[i], x[i], x[i]->x);
    }
    put(d, "loss", SAFE_F64, SHAPE(o->steps), loss);
    put(d, "norm", SAFE_F64, SHAPE(o->steps), norm);
    JsonWriter w = json_writer(a, 1);
    config_write_json(cfg, &w, NULL);
    const SafeMeta meta[] = {
        {"config", json_text(&w, NULL)},
        {"slots_per_day", arena_printf(a, "%d", s->stats.per_day)},
        {"llm_heads", arena_printf(a, "%d", s->model.llm_heads)},
        {"llm_eps", arena_printf(a, "%.17g", s->model.llm ? s->model.llm->c.eps : 0)},
        {"device", s->dev.name},
    };
    return safetensors_write(o->out, d->t, d->n, meta, (int64_t)(sizeof meta / sizeof *meta), false, a);
}

static int usage(void)
{
    fprintf(stderr, "usage: dump_step --out FILE [--config image] [--data FILE.npy | --synth N] [--f64] [--noise S] "
                    "[--steps 1..100] [--bare] [key=value ...]\n");
    return 2;
}

int main(int argc, char **argv)
{
    Options o = {.preset = "image", .data = {.synth_nodes = 12}, .steps = 1};
    int i = 1;
    for (; i < argc && argv[i][0] == '-'; i++) {
        const char *opt = argv[i], *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(opt, "--f64") == 0) {
            o.f64 = true;
            continue;
        }
        if (strcmp(opt, "--bare") == 0) {
            o.bare = true;
            continue;
        }
        if (!value) return usage();
        if (strcmp(opt, "--out") == 0) o.out = value;
        else if (strcmp(opt, "--config") == 0) o.preset = value;
        else if (strcmp(opt, "--data") == 0) o.data.path = value;
        else if (strcmp(opt, "--synth") == 0) o.data.synth_nodes = atoi(value);
        else if (strcmp(opt, "--noise") == 0) o.noise = atof(value);
        else if (strcmp(opt, "--steps") == 0) o.steps = atoi(value);
        else return usage();
        i++;
    }
    if (!o.out || o.steps < 1 || o.steps > 100) return usage();
    LeadConfig cfg;
    Status st = config_preset(&cfg, o.preset);
    for (; i < argc && !st.code; i++) {
        char *eq = strchr(argv[i], '=');
        if (!eq) return usage();
        *eq = 0;
        st = config_set(&cfg, argv[i], eq + 1);
    }
    if (!st.code) st = run(&o, &cfg);
    if (st.code) fprintf(stderr, "dump_step: %s\n", st.msg);
    return st.code;
}
