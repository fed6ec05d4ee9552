// bfloat16: the upper half of a float, 8 significant bits; rounding changes a value by at most 2^-8 of it.
#ifndef LEAD_TENSOR_BF16_H
#define LEAD_TENSOR_BF16_H

#include <stdint.h>
#include <string.h>

// Exact.
static inline float bf16_to_f32(uint16_t h)
{
    const uint32_t bits = (uint32_t)h << 16;
    float x;
    memcpy(&x, &bits, sizeof x);
    return x;
}

// Rounded to nearest even; a NaN stays one.
static inline uint16_t f32_to_bf16(float x)
{
    uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    if ((bits & 0x7FFFFFFF) > 0x7F800000) return (uint16_t)(bits >> 16 | 0x40);
    return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
}

#endif
