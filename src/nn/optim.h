// AdamW (Loshchilov, Hutter 2019) over a ParamSet, global-norm clipping, EMA, learning-rate schedule.  E7. One step is
// two op calls over the whole set (paramset_lay_out): the sum of the gradient's squares, then everything else. What
// differs from step to step (rate, bias corrections, averaging) is a block of four numbers on the device that one copy
// fills beforehand, and the clip factor never leaves the device, so that optim_update can be recorded (tensor/graph.h).
#ifndef LEAD_NN_OPTIM_H
#define LEAD_NN_OPTIM_H

#include "autograd/tape.h"
#include "nn/params.h"

typedef struct Optim {
    double lr, beta1, beta2, eps, decay;   // lr: peak
    double clip;                           // largest global norm of the gradient; 0 = off
    double ema;                            // 0.999; ramped as min(ema, (1+step)/(10+step)) so that short runs have one
    int64_t warmup, total;                 // steps; cosine from lr to lr * floor after the warm-up
    double floor;
    int64_t step;                          // steps done
    Tensor *rates, *sumsq;                 // [4], [1] on the device, in ps->perm; made by the first optim_rates
} Optim;

double optim_lr(const Optim *o, int64_t step);

// The rates of step o->step, to the device.  The first call lays ps out.
void optim_rates(Optim *o, ParamSet *ps);
// One update from the gradients in ps, at those rates.  Gradients whose norm is not finite leave everything as it was.
void optim_update(const Optim *o, Tape *t, ParamSet *ps);
// The gradient's global norm before clipping, as the last update found it.  Waits for the device.
double optim_norm(const Optim *o);

// All of it, and o->step + 1.  A norm that is not finite is no step, and returned as it is: the caller decides.
double optim_step(Optim *o, Tape *t, ParamSet *ps);

#endif
