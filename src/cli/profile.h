// The table of --profile.
#ifndef LEAD_CLI_PROFILE_H
#define LEAD_CLI_PROFILE_H

#include "autograd/profile.h"
#include "cli/cli.h"

// Measures the ceilings of this machine (takes less than a second) and prints them on stderr.
Profile *profile_new(Cli *cli);
// TSV on stdout, slowest op first: op pass calls seconds share gflops gbps pct_ceiling, of training steps alone.
// share: of the steps' time; pct_ceiling: of the roofline, see ceiling.h.  Last rows: `all`, the sum of the ops, and
// `outside`, the time that the steps spent outside of ops (zeroing gradients, data, the host's bookkeeping).
void profile_print(const Profile *p);

#endif
