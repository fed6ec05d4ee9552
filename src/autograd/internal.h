// Functions that the files of the tape share; nobody else includes this.
#ifndef LEAD_AUTOGRAD_INTERNAL_H
#define LEAD_AUTOGRAD_INTERNAL_H

#include "autograd/tape.h"

void tape_record(Tape *t, OpCall *c);       // appends a call to the tape
Tensor *tape_grad_owner(Tensor *y);         // the tensor whose gradient y shares: y itself, unless it is a view

// A segment (tape_segment) stands on the tape as a call of no op.
enum { OP_SEGMENT = OP_COUNT };
void segment_backward(Tape *t, const OpCall *c);

// gradient.c: memory of activations and gradients that nobody reads again, for new gradients, while backward runs.
void gradient_begin(Tape *t);                       // backward begins: there is none
void gradient_end(Tape *t);                         // backward has ended: nothing may be taken any more
void *gradient_take(Tape *t, const Tensor *x);      // zeros for the gradient of x
// Backward has run c, the last to read its outputs and the gradient of the first: their memory may be taken.  Leaves
// keep their gradients.
void gradient_give(Tape *t, OpCall *c);

#endif
