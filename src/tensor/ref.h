// Reference kernels.  ref/<op>.inl is compiled twice, with REF_F32 and with REF_F64: `real` is float or double, and
// KERNEL(add, fwd) names add_fwd_f32 or add_fwd_f64.  Plain loops, no vectorisation: the code is the documentation,
// the f32 build the fall-back of every CPU, the f64 build the oracle of every faster variant.
#ifndef LEAD_TENSOR_REF_H
#define LEAD_TENSOR_REF_H

#include <math.h>
#include <string.h>

#include "tensor/ops.h"

#if defined(REF_F32)
typedef float real;
#define SYMBOL(name, dir) name##_##dir##_f32
#define R(fn) fn##f                  // R(exp)(x): expf or exp
#elif defined(REF_F64)
typedef double real;
#define SYMBOL(name, dir) name##_##dir##_f64
#define R(fn) fn
#else
#error "ref.h wants REF_F32 or REF_F64"
#endif
#define KERNEL(name, dir) void SYMBOL(name, dir)(const OpCall *c)

// Values and gradients of the i-th input and j-th output.  Missing optional inputs give NULL.
static inline const real *in_x(const OpCall *c, int i) { return i < c->n_in && c->in[i] ? c->in[i]->x : NULL; }
static inline real *in_g(const OpCall *c, int i) { return i < c->n_in && c->in[i] ? c->in[i]->g : NULL; }
static inline real *out_x(const OpCall *c, int j) { return c->out[j]->x; }
static inline const real *out_g(const OpCall *c, int j) { return c->out[j]->g; }

// Work below this many multiply-adds is not worth waking the other threads for.
#define PAR_MIN 32768

#endif
