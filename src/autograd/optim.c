// Checked calls of the optimiser's ops.  sumsq and adamw work on whole parameter sets: src/nn/optim.c calls them.
#include "autograd/check.h"

void tape_log_put(Tape *t, Tensor *log, Tensor *const *x, int n)
{
    CHECK(log->shape.n == 2 && log->shape.d[1] == n && n <= OP_MAX_IN - 2, "log_put: %d values for a log of %lld", n,
          (long long)log->shape.d[1]);
    Tensor *in[OP_MAX_IN] = {log, t->clock};
    for (int j = 0; j < n; j++) {
        CHECK(numel(x[j]) == 1, "log_put: value %d has %lld elements", j, (long long)numel(x[j]));
        in[2 + j] = x[j];
    }
    tape_run(t, OP_log_put, 2 + n, in, 1, &log, NULL);
}
