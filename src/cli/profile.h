// The table of --profile.
#ifndef LEAD_CLI_PROFILE_H
#define LEAD_CLI_PROFILE_H

#include "autograd/profile.h"
#include "cli/cli.h"

// Measures the ceilings of this machine (under a second, said on stderr).
Profile *profile_new(Cli *cli);
// TSV on stdout, slowest first: op pass calls seconds share gflops gbps pct_ceiling, of training steps alone.  share: of
// the steps' time; pct_ceiling: roofline, see ceiling.h.  Last rows: `all`, the sum, and `outside`, the time of the
// steps that was spent in no op (gradients zeroed, data, the host's bookkeeping).
void profile_print(const Profile *p);

#endif
