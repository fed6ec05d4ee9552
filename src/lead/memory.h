// Forecasts within a stated amount of memory: how many samples are drawn at once, and of how many windows.  A few
// samples are drawn to see what they take, so nothing is estimated from sizes of layers; what is drawn does not depend
// on it.
#ifndef LEAD_LEAD_MEMORY_H
#define LEAD_LEAD_MEMORY_H

#include "lead/forecast.h"

// Draws the samples of the n windows at t and forgets them; r->fit.rows at a time.
typedef void MemoryDraw(LeadRun *r, void *arg, const int64_t *t, int n);

// Chooses r->fit, at most `windows` windows, such that `draw` keeps arenas and program within r->memory bytes, not 0.
// Calls `draw` some times to see what it takes.  t: a row to forecast from.  On a device with memory of its own, that
// memory is meant.  Error: one sample at a time takes more; says how much.
enum { MEMORY_PROGRAM = 24 << 20 };   // bytes of the program itself: code, libraries, stacks
Status lead_memory_fit(LeadRun *r, int64_t t, int windows, MemoryDraw *draw, void *arg);

#endif
