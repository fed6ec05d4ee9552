// The functions of each row of the table.
#ifndef LEAD_RIVALS_MODELS_H
#define LEAD_RIVALS_MODELS_H

#include "rivals/rival.h"
#include "rivals/table.h"

#define DECLARE(symbol, ...)                               \
    Status symbol##_build(RivalNet *n, Arena *scratch);    \
    Tensor *symbol##_forecast(Tape *t, const RivalNet *n, const RivalInput *in);
RIVAL_TABLE(DECLARE)
#undef DECLARE

#endif
