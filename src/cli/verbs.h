// The verbs, one file each.
#ifndef LEAD_CLI_VERBS_H
#define LEAD_CLI_VERBS_H

#include "cli/cli.h"

#define VERBS(X) X(train) X(eval)

#define VERB_DECL(name) extern const Verb verb_##name;
VERBS(VERB_DECL)
#undef VERB_DECL

#endif
