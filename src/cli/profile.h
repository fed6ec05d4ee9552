// The table of --profile.
#ifndef LEAD_CLI_PROFILE_H
#define LEAD_CLI_PROFILE_H

#include "autograd/tape.h"
#include "cli/cli.h"

// Measures the ceilings of this machine (under a second, said on stderr); the clock of "outside" starts.
Profile *profile_new(Cli *cli);
// TSV on stdout, slowest first: op pass calls seconds share gflops gbps pct_ceiling.  share: of the time in ops;
// pct_ceiling: roofline, see ceiling.h.  Last rows: `all`, the sum, and `outside`, the time since profile_new that was
// spent in no op (data, files; share and the rest: -).
void profile_print(const Profile *p);

#endif
