// Time and work of each op during training (validation is left out), measured while tape->profile is set:
// `lead train --profile`.
#ifndef LEAD_AUTOGRAD_PROFILE_H
#define LEAD_AUTOGRAD_PROFILE_H

#include "tensor/ceiling.h"
#include "tensor/device.h"

// Sums over the calls of an op.  least: the least seconds that the machine's ceilings allow (tensor/ceiling.h).
typedef struct ProfileRow { int64_t calls; double seconds, flops, bytes, least; } ProfileRow;

typedef struct Profile {
    ProfileRow fwd[OP_COUNT], bwd[OP_COUNT];
    const Ceiling *ceiling;      // NULL: least stays 0
    double steps;                // seconds of whole steps; the caller that runs the steps adds them
} Profile;

// Runs kernel k on call c, waits until the device has finished, and adds the time to the row of c's op.
void profile_kernel(Profile *p, const Device *dev, Kernel *k, const OpCall *c, bool backward);

#endif
