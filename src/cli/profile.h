// The table of --profile.
#ifndef LEAD_CLI_PROFILE_H
#define LEAD_CLI_PROFILE_H

#include "autograd/tape.h"

void profile_print(const Profile *p);    // TSV on stdout: op pass calls seconds share gflops gbps

#endif
