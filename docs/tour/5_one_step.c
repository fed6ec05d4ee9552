// Chapter 5: one training step of LEAD (preset tiny), through the equations E1 to E9 in their order.
//   Run it at the root of the repository: it reads data/gpt2-small.
#include <omp.h>
#include <string.h>

#include "docs/tour/5_equations.h"
#include "nn/optim.h"
#include "traffic/synth.h"

// The largest |gradient| of each module.  Parameters are called "module.part...".
static void show_gradients(const ParamSet *ps)
{
    static const char *const module[] = {"vision", "agg", "to_llm", "adapter", "cond", "pixel", "unet"};
    for (int k = 0; k < 7; k++) {
        double most = 0;
        for (int i = 0; i < ps->n; i++)
            if (strncmp(ps->p[i]->t.name, module[k], strlen(module[k])) == 0)
                for (int64_t j = 0; j < numel(&ps->p[i]->t); j++) most = fmax(most, fabs(grad(&ps->p[i]->t)[j]));
        printf("  %s %#.2g", module[k], most);
    }
    printf("\n");
}

// AdamW of everything, and of one number of the vision encoder by hand.
static void update(Optim *o, Tape *t, ParamSet *ps)
{
    const Param *p = param_find(ps, "vision.fc2.weight");
    const double x = val(&p->t)[0], m = val(&p->m)[0], v = val(&p->v)[0], raw = grad(&p->t)[0];
    const double norm = optim_step(o, t, ps), n = (double)o->step, g = raw * fmin(1, o->clip / norm);
    const double m1 = o->beta1 * m + (1 - o->beta1) * g, v1 = o->beta2 * v + (1 - o->beta2) * g * g;
    const double way = m1 / (1 - pow(o->beta1, n)) / (sqrt(v1 / (1 - pow(o->beta2, n))) + o->eps);
    const double by_hand = x - optim_lr(o, o->step - 1) * (way + o->decay * x);
    printf("AdamW: norm %.6g; %s[0] was %.6f\n", norm, p->t.name, x);
    printf("       becomes by hand %.6f, library %.6f\n", by_hand, val(&p->t)[0]);
}

static Status run(const Device *dev, Arena *perm, Arena *step, Arena *scratch)
{
    TrafficSeries s;
    SynthOptions o = synth_defaults();
    o.N = N, o.slot_seconds = 3600, o.T = 28 * 24;   // four weeks of hours
    TRY(synth_generate(&s, perm, &o));
    LeadConfig cfg;
    TRY(config_preset(&cfg, "tiny"));
    cfg.history = 6, cfg.sampler = SAMPLER_DDIM, cfg.samples = S;
    LeadStats st;
    TRY(lead_stats_fit(&st, perm, &s, traffic_splits(s.T, PROTOCOL_CLEAN).train, &cfg));
    ParamSet ps;
    paramset_init(&ps, perm, dev, (uint64_t)cfg.seed, false);
    const LeadShape shape = lead_stats_shape(&st, &cfg);
    LeadModel m;
    TRY(lead_model_new(&m, &ps, &cfg, &shape, scratch));
    Tape t;
    tape_init(&t, dev, step, scratch);
    LeadData data;
    TRY(lead_data_new(&data, &t, perm, &st, &cfg, &s));
    printf("%lld parameters, %lld of them trained\n", (long long)paramset_count(&ps, false),
           (long long)paramset_count(&ps, true));
    Optim adamw = {.lr = cfg.lr, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .decay = cfg.decay, .clip = cfg.clip,
                   .ema = cfg.ema, .warmup = cfg.warmup, .total = cfg.steps, .floor = 0.02};
    const int64_t now[4] = {100, 200, 300, 400};   // the last rows of the histories of a batch of four windows
    Tensor *rows = lead_data_rows(&data, perm, now, cfg.batch);
    for (uint32_t i = 1; i <= 5; i++) {
        tape_reset(&t);
        tape_set_step(&t, i);
        paramset_zero_grad(&ps);
        const LeadBatch b = lead_data_batch(&t, &data, rows, NULL, true);
        if (i == 5) show_pixel(&s, &st, &b, now[0], cfg.history);
        if (i == 5) show_stages(&t, &m, &b, cfg.batch, cfg.history);
        Tensor *loss = lead_loss(&t, &m, &b);
        tape_backward(&t, loss);
        printf("step %u, loss %.6f:", i, val(loss)[0]);
        show_gradients(&ps);
        if (i < 5) optim_step(&adamw, &t, &ps);
        else update(&adamw, &t, &ps);
    }
    t.record = t.training = false;
    paramset_swap_ema(&ps);
    show_forecast(&t, &m, &data, &s, 600);
    return OK;
}

int main(void)
{
    omp_set_num_threads(1);   // the model is tiny: two threads would only wait for each other
    const Device dev = device_cpu_f64();
    Arena *perm = arena_new("perm", 1 << 30, NULL), *step = arena_new("step", 1 << 30, NULL);
    const Status s = run(&dev, perm, step, arena_new("scratch", 1 << 30, NULL));
    if (s.code) fprintf(stderr, "%s\n", s.msg);
    return s.code;
}
