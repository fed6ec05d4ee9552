// Chapter 5: one training step of LEAD (preset tiny), through the equations E1 to E9 in their order.
//   Run it at the root of the repository: it reads data/gpt2-small.
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "lead/forecast.h"
#include "nn/optim.h"
#include "traffic/synth.h"

enum { N = 5, F = N * N, FLOW = 2, S = 3 };   // nodes, flows, the flow we watch (node 0 to node 2), samples

static const double *val(const Tensor *x) { return x->x; }   // on the f64 CPU device
static const double *grad(const Tensor *x) { return x->g; }

static void show(const char *what, const Tensor *x)
{
    char shape[96];
    const double *v = val(x);
    printf("%-24s %-12s %#11.6g %#11.6g %#11.6g\n", what, shape_text(x->shape, shape), v[0], v[1], v[2]);
}

// E1 and E2: our flow at row t, which is the last of the H frames of window 0.
static void show_pixel(const TrafficSeries *s, const LeadStats *st, const LeadBatch *b, int64_t t, int H)
{
    const float *x = s->x + t * F + FLOW, mean = slot_means_at(&st->means, s, t, 0)[FLOW];
    const double max = st->scale.flowmax_kbps[FLOW], u = x[0] / max, before = x[-F] / max;
    printf("E1 %.1f kbit/s: by hand %.6f, library %.6f\n", x[0], u, scale_forward_flow(&st->scale, FLOW, x[0]));
    const double hand[3] = {2 * u - 1, tanh(st->gains.k_g * (u - before)), tanh(st->gains.k_b * (u - mean))};
    const double *rgb = val(b->frames) + 3 * ((H - 1) * F + FLOW);
    for (int c = 0; c < 3; c++) printf("E2 %c: by hand %.6f, library %.6f\n", "RGB"[c], hand[c], rgb[c]);
}

// E3 to E7, stage by stage, as lead_condition and lead_loss put them together.
static void show_stages(Tape *t, const LeadModel *m, const LeadBatch *b, int B, int H)
{
    Tensor *f = vision_apply(t, &m->vision, tape_reshape(t, b->frames, SHAPE(B * H, N, N, 3)));
    f = tape_reshape(t, f, SHAPE(B, H, m->cfg.enc_width));
    Tensor *token = aggregator_apply(t, &m->agg, f, b->slot, b->dow);
    Tensor *e = tape_linear_gelu(t, norm_apply(t, &m->in_norm, token, false), m->in1.w, m->in1.b);
    e = norm_apply(t, &m->out_norm, linear_apply(t, &m->in2, e), false);
    const Gpt2Hook adapters = adapter_hook(m->adapters);
    Tensor *alone = gpt2_forward_embeds(t, m->llm, e, NULL), *z = gpt2_forward_embeds(t, m->llm, e, &adapters);
    const Condition c = lead_condition(t, m, b);   // all of the above, then E6
    const RandomAddress at = {.seed = (uint64_t)m->cfg.seed, .site = SITE_NOISE};
    const DiffusionTimes d = tape_diffusion_times(t, m->ab, m->min_snr, B, at, m->cfg.cond_drop, t->clock);
    const Diffused x = tape_diffuse(t, b->target, d.ab, at, DIFFUSE_V, t->clock);
    Tensor *out = lead_denoise(t, m, x.xt, d.time, lead_condition_drop(t, m, c, d.keep), b->context);
    const struct { const char *name; const Tensor *x; } stage[] = {
        {"E2 frames", b->frames}, {"E3 features of frames", f}, {"E4 tokens", token}, {"E5 input of GPT-2", e},
        {"E5 GPT-2 alone", alone}, {"E5 GPT-2 with adapters", z}, {"E6 g", c.g}, {"E6 S", c.s}, {"E7 times t", d.time},
        {"E7 alpha_bar of t", d.ab}, {"E7 weights w", d.weight}, {"E7 condition kept", d.keep},
        {"E7 target x_0", b->target}, {"E7 x_t", x.xt}, {"E7 context planes", b->context}, {"E7 v wanted", x.target},
        {"E7 v of the U-Net", out}};
    for (size_t i = 0; i < sizeof stage / sizeof *stage; i++) show(stage[i].name, stage[i].x);
    const double ab = val(d.ab)[0], *w = val(d.weight), *want = val(x.target), *got = val(out);
    printf("E7 x_0 from x_t and v: %#.6g\n", sqrt(ab) * val(x.xt)[0] - sqrt(1 - ab) * want[0]);
    double sum = 0;
    for (int64_t n = numel(out), i = 0; i < n; i++) sum += w[i * B / n] * pow(got[i] - want[i], 2) / (double)n;
    printf("E7 loss by hand: %.6f\n", sum);
}

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

// E8 and E9: S samples of what follows row t, and how far those of our flow's next volume are from what came.
static void show_forecast(Tape *t, const LeadModel *m, const LeadData *data, const TrafficSeries *s, int64_t row)
{
    const LeadBatch b = lead_data_batch(t, data, lead_data_rows(data, t->step, &row, 1), NULL, false);
    Tensor *x0 = lead_sample(t, m, &b, 1, S, &row, NULL), *kbps = lead_data_decode(t, data, &b, x0);
    show("E8 x_0, drawn", x0);
    show("E8 in kbit/s", kbps);
    float y = s->x[(row + 1) * F + FLOW], z[S];
    for (int i = 0; i < S; i++) z[i] = (float)val(kbps)[i * numel(kbps) / S + FLOW];
    forecast_sort(z, S);
    const double away = fabs(z[0] - y) + fabs(z[1] - y) + fabs(z[2] - y), apart = 2 * (z[2] - z[0]);
    printf("E9 samples %.1f %.1f %.1f, came %.1f kbit/s\n", z[0], z[1], z[2], y);
    printf("E9 CRPS: by hand %.2f, library %.2f\n", away / S - apart / (S * (S - 1)),
           metric_terms(y, forecast_mean(z, S), z, S, DIST_SAMPLES, 0).crps);
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
