// log_put: one block; bound by its launch.
#include "kernel.h"

struct LogRow { const float *x[OP_MAX_IN]; };

static __global__ void log_put_kernel(int64_t K, int64_t C, const float *log, const uint32_t *clock, LogRow row,
                                      float *y)
{
    const int64_t at = clock_value(clock) % K;
    for (int64_t i = threadIdx.x; i < K * C; i += MAP_BLOCK) {
        if (i / C == at) y[i] = *row.x[i % C];
        else if (y != log) y[i] = log[i];
    }
}

CUDA_KERNEL(log_put, fwd)
{
    const int64_t *s = c->in[0]->shape.d;
    LogRow row = {};
    for (int j = 0; j < s[1]; j++) row.x[j] = in_x(c, 2 + j);
    launch(c, log_put_kernel, 1, MAP_BLOCK, 0, s[0], s[1], in_x(c, 0), clock_of(c, 1), row, out_x(c, 0));
}
