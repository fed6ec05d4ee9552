// What the files of the tape share; nobody else includes this.
#ifndef LEAD_AUTOGRAD_INTERNAL_H
#define LEAD_AUTOGRAD_INTERNAL_H

#include "autograd/tape.h"

void tape_record(Tape *t, OpCall *c);       // appends a call to the tape
Tensor *tape_grad_owner(Tensor *y);         // whose gradient a view shares

// A segment (tape_segment) stands on the tape as a call of no op.
enum { OP_SEGMENT = OP_COUNT };
void segment_backward(Tape *t, const OpCall *c);

// gradient.c
void gradient_begin(Tape *t);                       // nothing is free yet
void gradient_end(Tape *t);                         // nothing is free any more
void *gradient_take(Tape *t, const Tensor *x);      // memory for the gradient of x, contents undefined
void gradient_give(Tape *t, Tensor *out);           // nobody will read out->g any more

#endif
