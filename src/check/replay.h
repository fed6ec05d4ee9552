// Replay of one op call on another device, on guarded copies of its tensors.  Every buffer stands between canaries:
// signalling NaNs, numbered.  A kernel that reads one computes NaN, one that computes with it or copies it changes its
// bits (with quiet NaN, NaN + x has the bits of NaN: a trap).  Outputs start as NaN: an element never written shows.
#ifndef LEAD_CHECK_REPLAY_H
#define LEAD_CHECK_REPLAY_H

#include "tensor/device.h"

enum { REPLAY_TENSORS = OP_MAX_IN + OP_MAX_OUT, REPLAY_GUARDS = 2 * REPLAY_TENSORS };

typedef struct Guard {
    const char *what;                 // "input", "output", "gradient of input", "cotangent"
    int index;
    size_t word;                      // bytes of one value: 4 or 8
    unsigned char *low, *data, *high, *end;   // canaries are [low,data) and [high,end)
    unsigned char *saved;             // copy of the data, where the running kernel must not change it
    enum { READ_ALWAYS, WRITTEN_FORWARD, WRITTEN_BACKWARD } role;
} Guard;

typedef struct Replay {
    const Device *dev;
    Device host;                      // dev, but values are host memory: what the buffers here are
    OpCall call;
    Tensor in[OP_MAX_IN], out[OP_MAX_OUT];
    Guard guard[REPLAY_GUARDS];
    int n_guards;
    char fault[160];                  // first damage seen: "" = none
} Replay;

// Copies the call c (its tensors on the f64 device; values that are written stay as before the call) to dev, buffers
// `offset` elements off alignment.  cotangent: numel(out[0]) doubles, or NULL when there will be no backward pass.
Replay *replay_new(Arena *mem, const Device *dev, const OpCall *c, const double *cotangent, int offset);

void replay_forward(Replay *r);       // with canaries and read-only buffers checked into fault
void replay_backward(Replay *r);      // adds to the gradients, as the tape does
void replay_zero_grad(Replay *r);
void replay_call(Replay *r, bool backward);   // the bare kernel

// Outputs, then gradients of inputs, as doubles in mem.  v[k] = NULL: there is no such tensor.
typedef struct Results {
    double *v[REPLAY_TENSORS];
    int64_t n[REPLAY_TENSORS];
    int n_out;                        // v[0..n_out) are outputs, v[n_out + i] the gradient of input i
} Results;

Results replay_results(Arena *mem, const Replay *r);
const char *results_name(const Results *s, int k, char buf[32]);   // "out 0", "grad 1"

#endif
