// AdamW (Loshchilov, Hutter 2019) over a ParamSet, global-norm clipping, EMA, learning-rate schedule.  E7.  One step is
// two op calls over the whole set (paramset_lay_out): the sum of squares of the gradient, then everything else.  Four
// numbers differ from step to step: learning rate, two bias corrections, weight of the new value in the average.
// optim_rates copies them to the device before the step, and the clip factor never leaves the device, so optim_update
// can be recorded (tensor/graph.h).
// The schedule: linear warm-up to lr, then a cosine of the progress u from lr (u = 0) to lr * floor (u = 1).  u grows
// evenly from `done` at step `bend` (or at the end of the warm-up, whichever is later) to 1 at step `total`.  A plan
// that changes during the run (optim_replan) bends the line of u, so the learning rate does not jump.
#ifndef LEAD_NN_OPTIM_H
#define LEAD_NN_OPTIM_H

#include "autograd/tape.h"
#include "nn/params.h"

// AdamW as nearly every diffusion model is trained with it; the cosine ends at a fiftieth of the peak.
#define OPTIM_BETA1 0.9
#define OPTIM_BETA2 0.999
#define OPTIM_EPS 1e-8
#define OPTIM_FLOOR 0.02

typedef struct Optim {
    double lr, beta1, beta2, eps, decay;   // lr: peak
    double clip;                           // largest global norm of the gradient; 0 = off
    double ema;                            // 0.999; ramped as min(ema, (1+step)/(10+step)), for the sake of short runs
    int64_t warmup, total;                 // steps
    int64_t bend;                          // step of the last optim_replan; 0 = none
    double done;                           // u at that step
    double floor;                          // share of lr
    int64_t step;                          // steps done
    bool sharded;                          // of several ranks each keeps the moments of its part of the values
                                           // (ZeRO-1: Rajbhandari et al. 2020).  Wants parameters without EMA
    Tensor *rates, *sumsq;                 // [4], [1] on the device, in ps->perm; made by the first optim_rates
} Optim;

// The learning rate of a step (steps count from 0).
double optim_lr(const Optim *o, int64_t step);
// From now on (o->step) the run shall end at step `total`, more than o->step.
void optim_replan(Optim *o, int64_t total);

// Copies the four numbers of step o->step to the device.  The first call also lays ps out (paramset_lay_out).
void optim_rates(Optim *o, ParamSet *ps);
// One update of ps from its gradients, with those numbers.  If the gradient's norm is not finite, nothing changes.
// A bug while values and EMA are swapped, or before optim_rates.  Sharded: from the sum of the ranks' gradients, which
// are of no use afterwards; each rank updates its part and gets the parts of the others.
void optim_update(const Optim *o, Tape *t, ParamSet *ps);
// Sharded: rank 0 gets all moments, for a checkpoint / every rank gives back the memory of those that are not its own.
void optim_collect(const Optim *o, ParamSet *ps, Arena *scratch);
void optim_release(const Optim *o, ParamSet *ps);
// The gradient's global norm before clipping, from the last update.  Waits for the device.
double optim_norm(const Optim *o);

// optim_rates, optim_update and o->step + 1; returns optim_norm.  If the norm is not finite, neither the parameters nor
// o->step change; the caller decides what to do.
double optim_step(Optim *o, Tape *t, ParamSet *ps);

#endif
