// AVX2 builds of the kernel families in cpu_simd/*.inl.  Compiled with its own -m flags (Makefile); called only after
// isa_detect has seen the instructions (src/tensor/device.c).
#define SYMBOL(name, dir) name##_##dir##_avx2

#include "cpu_simd/vec.h"

#include "cpu_simd/range.inl"

#include "cpu_simd/linear.inl"
#include "cpu_simd/elementwise.inl"
#include "cpu_simd/optim.inl"
#include "cpu_simd/random.inl"
#include "cpu_simd/conv.inl"
#include "cpu_simd/attention.inl"
#include "cpu_simd/norm.inl"
#include "cpu_simd/modulate.inl"
#include "cpu_simd/mix.inl"
#include "cpu_simd/loss.inl"
#include "cpu_simd/shape.inl"
