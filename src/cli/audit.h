// The page that an auditor signs (docs/audit.md): lead check --report.
#ifndef LEAD_CLI_AUDIT_H
#define LEAD_CLI_AUDIT_H

#include "check/check.h"
#include "cli/golden.h"

// Writes machine, build, hashes of the program, its sources and its models, every op's row and the golden runs as one
// JSON object (docs/formats.md).  Errors: a file that cannot be read or written.
Status audit_write(const Cli *cli, const char *path, const CheckReport *report, const GoldenRun golden[GOLDEN_RUNS]);

#endif
