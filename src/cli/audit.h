// The page that an auditor signs (docs/audit.md): lead check --report.
#ifndef LEAD_CLI_AUDIT_H
#define LEAD_CLI_AUDIT_H

#include "check/check.h"
#include "cli/golden.h"

// Writes machine, build, hashes of the program, its sources and its models, every op's row and the golden runs as one
// JSON object (docs/formats.md); where path ends in .html as a page that stands alone, with that JSON at its end.
// Errors: a file that cannot be read or written.
Status audit_write(const Cli *cli, const char *path, const CheckReport *report, const GoldenRun golden[GOLDEN_RUNS]);
// The page alone, of the n bytes of such an object.
Status audit_page(const char *path, const char *json, size_t n, Arena *a);

#endif
