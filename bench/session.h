// A LEAD model with data, statistics, parameters and optimiser, set up as `lead train` sets it up, for programs that
// run single training steps: the dump for the PyTorch twin (dump_step.c) and the whole-model rows (bench_models.c).
#ifndef LEAD_BENCH_SESSION_H
#define LEAD_BENCH_SESSION_H

#include "lead/data.h"
#include "nn/optim.h"

typedef struct Session {
    Device dev;
    LeadConfig cfg;
    TrafficSeries series;
    LeadStats stats;
    LeadData data;
    LeadModel model;
    ParamSet ps;
    Optim optim;
    Tape tape;
    Arena *perm, *step, *scratch;
    const int64_t *window;    // starts of the training windows
    int64_t n_windows;
} Session;

// path NULL: synthetic, 8 weeks.  inference: the parameters alone, as `lead forecast` loads them; no gradients, moments
// or averages
typedef struct SessionData { const char *path; int synth_nodes; bool inference; } SessionData;

// dev is copied.  Errors: configuration, data, LLM.
Status session_open(Session *s, const LeadConfig *cfg, const SessionData *data, Device dev);
void session_close(Session *s);   // also of a session that was never opened (all zero)
// Zeroes gradients, draws the batch of a step (windows spread evenly, shifted by the step) and runs its loss.
Tensor *session_loss(Session *s, int64_t step, LeadBatch *batch);
// Its two halves: what goes to the device (the clock, rows of the batch's windows), and what is done there.
Tensor *session_rows(Session *s, int64_t step);
Tensor *session_loss_of(Session *s, Tensor *rows, LeadBatch *batch);
double session_value(Tensor *loss);

// A step with its update, as lead train runs it: what goes to the device (rates, clock, rows of the next batch), and
// what is done there and may be recorded (ctx: a SessionStep).
typedef struct SessionStep { Session *s; Tensor *rows; } SessionStep;
SessionStep session_step_values(Session *s);
void session_step_work(void *ctx);

#endif
