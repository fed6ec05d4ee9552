// linear and its fused forms, forward: the unit of linear_bf16.h that is compiled with AVX512-BF16.
#include "cpu_simd/linear_bf16.h"

#define FORWARD(name, j, ...)                                                              \
    void name##_fwd_avx512bf16(const OpCall *c)                                            \
    {                                                                                      \
        if (c->in[1]->layout != LAYOUT_PANELS_BF16) name##_fwd_avx512(c);                  \
        else linear_bf16(c, out_x(c, j), (Epilogue){__VA_ARGS__});                         \
    }
FORWARD(linear, 0, EPILOGUE_NONE)
FORWARD(linear_gelu, 1, EPILOGUE_GELU, .y = out_x(c, 0))
FORWARD(linear_silu, 1, EPILOGUE_SILU, .y = out_x(c, 0))
FORWARD(linear_add, 0, EPILOGUE_ADD, .r = in_x(c, 3))
#undef FORWARD
