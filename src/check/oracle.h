// Forward oracles: what an op should give, derived another way than its reference kernel (scatter instead of gather,
// the explicit T x T matrix, moments instead of two passes) and computed in long double.  A gradient check agrees with
// a forward pass that is wrong and differentiated correctly; an oracle does not.
#ifndef LEAD_CHECK_ORACLE_H
#define LEAD_CHECK_ORACLE_H

#include "tensor/ops.h"

// c: a call on the f64 device, its inputs hold doubles (indices: int32).  Writes the values that c->out[j] should hold
// to out[j], numel(c->out[j]) long doubles.  Uses c->scratch, which the caller rewinds.  Does not read c->out[j]->x.
typedef void Oracle(const OpCall *c, long double *const *out);

Oracle *oracle_find(OpId op);

// src/check/oracle/<family>.c defines one for each row of ops.def; a row without it does not link.
#define OP(name, ...) Oracle name##_oracle;
#include "tensor/ops.def"
#undef OP

#endif
