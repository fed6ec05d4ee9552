// Time and work by op of training (not of validation), measured where tape->profile is set: `lead train --profile`.
#ifndef LEAD_AUTOGRAD_PROFILE_H
#define LEAD_AUTOGRAD_PROFILE_H

#include "tensor/ceiling.h"
#include "tensor/device.h"

// least: the time that the machine's ceilings allow.
typedef struct ProfileRow { int64_t calls; double seconds, flops, bytes, least; } ProfileRow;

typedef struct Profile {
    ProfileRow fwd[OP_COUNT], bwd[OP_COUNT];
    const Ceiling *ceiling;      // NULL: least stays 0
    double steps;                // seconds of whole steps, added by whoever runs them
} Profile;

// Runs kernel k of c and charges its op with the time until the device has done it.
void profile_kernel(Profile *p, const Device *dev, Kernel *k, const OpCall *c, bool backward);

#endif
