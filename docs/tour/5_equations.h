// Chapter 5, what 5_one_step.c prints of the equations: E1 to E7 of one batch, E8 and E9 of one forecast.
#pragma once
#include <math.h>
#include <stdio.h>

#include "lead/forecast.h"

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
    const DiffusionTimes d = tape_diffusion_times(t, m->ab, m->min_snr, B, B, at, m->cfg.cond_drop, t->clock);
    const Diffused x = tape_diffuse(t, b->target, d.ab, at, DIFFUSE_V, t->clock);
    const Known known = lead_known(t, m, b, lead_condition_drop(t, m, c, d.keep));
    Tensor *out = lead_denoise(t, m, x.xt, d.time, &known);
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
