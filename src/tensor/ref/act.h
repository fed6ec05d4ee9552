// Activation functions and their derivatives, shared by reference kernels (elementwise rows and fused ones).
#ifndef LEAD_TENSOR_REF_ACT_H
#define LEAD_TENSOR_REF_ACT_H

#include "tensor/ref.h"

static inline real act_sigmoid(real x) { return 1 / (1 + R(exp)(-x)); }   // exp(-x) = inf gives 0

static inline real act_silu(real x) { return x / (1 + R(exp)(-x)); }

static inline real act_silu_grad(real x)
{
    const real s = act_sigmoid(x);
    return s * (1 + x * (1 - s));
}

// gelu(x) = x/2 (1 + tanh u), u = sqrt(2/pi) (x + 0.044715 x^3): GPT-2's GELU (Hendrycks, Gimpel 2016)
#define GELU_ROOT ((real)0.79788456080286535588)
#define GELU_CUBE ((real)0.044715)

static inline real act_gelu_tanh(real x)
{
    return (real)0.5 * x * (1 + R(tanh)(GELU_ROOT * (x + GELU_CUBE * x * x * x)));
}

static inline real act_gelu_tanh_grad(real x)
{
    const real t = R(tanh)(GELU_ROOT * (x + GELU_CUBE * x * x * x));
    return (real)0.5 * (1 + t) + (real)0.5 * x * (1 - t * t) * GELU_ROOT * (1 + 3 * GELU_CUBE * x * x);
}

#endif
