// AdamW (Loshchilov, Hutter 2019) over a ParamSet, global-norm clipping, EMA, learning-rate schedule.  E7.
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
} Optim;

double optim_lr(const Optim *o, int64_t step);
// One update from the gradients in ps; returns the gradient's global norm before clipping.  A norm that is not finite
// leaves every parameter as it was and is returned as it is: the caller decides.
double optim_step(Optim *o, Tape *t, ParamSet *ps);

#endif
