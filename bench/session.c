#include "bench/session.h"

#include "traffic/synth.h"

static Status read_series(Session *s, const SessionData *data)
{
    if (!data->path) {
        SynthOptions o = synth_defaults();
        o.N = data->synth_nodes;
        return synth_generate(&s->series, s->perm, &o);
    }
    const TrafficReadOptions o = {0};
    TRY(traffic_series_read(&s->series, s->perm, data->path, &o));
    traffic_suspects_mark(&s->series, s->perm);
    return OK;
}

Status session_open(Session *s, const LeadConfig *cfg, const SessionData *data, Device dev)
{
    *s = (Session){.dev = dev, .cfg = *cfg};
    s->perm = arena_new("perm", (size_t)64 << 30, NULL);
    s->step = arena_new("step", (size_t)64 << 30, NULL);
    s->scratch = arena_new("scratch", (size_t)16 << 30, NULL);
    CHECK(s->perm && s->step && s->scratch, "session: no address space");
    const size_t room = dev.memory ? device_cuda_free(&dev) / 16 : 0;
    TRY(device_attach(&s->dev, s->perm, 5 * room));
    TRY(device_attach(&s->dev, s->step, 9 * room));
    TRY(device_attach(&s->dev, s->scratch, 2 * room));
    TRY(read_series(s, data));
    const TrafficRange train = traffic_splits(s->series.T, PROTOCOL_CLEAN).train;
    TRY(lead_stats_fit(&s->stats, s->perm, &s->series, train, cfg));
    int64_t *window;
    s->n_windows = traffic_windows(&s->series, s->perm, train, cfg->history, s->stats.Kt, 1, &window);
    s->window = window;
    paramset_init(&s->ps, s->perm, &s->dev, (uint64_t)cfg->seed, data->inference);
    const LeadShape shape = lead_stats_shape(&s->stats, cfg);
    TRY(lead_model_new(&s->model, &s->ps, cfg, &shape, s->scratch));
    s->optim = (Optim){.lr = cfg->lr, .beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .decay = cfg->decay, .clip = cfg->clip,
                       .ema = cfg->ema, .warmup = cfg->warmup, .total = cfg->steps, .floor = 0.02};
    tape_init(&s->tape, &s->dev, s->step, s->scratch);
    s->tape.seed = (uint64_t)cfg->seed;
    return lead_data_new(&s->data, &s->tape, s->perm, &s->stats, &s->cfg, &s->series);
}

void session_close(Session *s)
{
    if (!s->perm) return;
    Arena *const a[] = {s->scratch, s->step, s->perm};
    for (int i = 0; i < 3; i++) {
        arena_rewind(a[i], 0);
        device_detach(&s->dev, a[i]);
        arena_delete(a[i]);
    }
    *s = (Session){.perm = NULL};
}

Tensor *session_rows(Session *s, int64_t step)
{
    Tape *t = &s->tape;
    const int B = s->cfg.batch;
    tape_reset(t);
    tape_set_step(t, (uint32_t)step);
    int64_t *at = arena_alloc(t->step, (size_t)B * sizeof *at);
    for (int64_t i = 0; i < B; i++) {
        const int64_t w = (i * s->n_windows / B + step * 131) % s->n_windows;
        at[i] = s->window[w] + s->cfg.history - 1;
    }
    return lead_data_rows(&s->data, t->step, at, B);
}

Tensor *session_loss_of(Session *s, Tensor *rows, LeadBatch *batch)
{
    paramset_zero_grad(&s->ps);
    *batch = lead_data_batch(&s->tape, &s->data, rows, NULL, true);
    return lead_loss(&s->tape, &s->model, batch);
}

Tensor *session_loss(Session *s, int64_t step, LeadBatch *batch)
{
    return session_loss_of(s, session_rows(s, step), batch);
}

double session_value(Tensor *loss)
{
    double v;
    tensor_get_f64(loss, &v, 1);
    return v;
}

SessionStep session_step_values(Session *s)
{
    optim_rates(&s->optim, &s->ps);
    return (SessionStep){s, session_rows(s, s->optim.step++)};
}

void session_step_work(void *ctx)
{
    const SessionStep *step = ctx;
    LeadBatch b;
    tape_backward(&step->s->tape, session_loss_of(step->s, step->rows, &b));
    optim_update(&step->s->optim, &step->s->tape, &step->s->ps);
}
