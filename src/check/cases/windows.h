// What the cases of the window ops share: a short series with gaps and invalid rows, as index tensors.
#ifndef LEAD_CHECK_CASES_WINDOWS_H
#define LEAD_CHECK_CASES_WINDOWS_H

#include "autograd/traffic.h"
#include "check/cases/common.h"

// I32 [n], value i = f(i, arg)
static inline Tensor *index_tensor(Tape *t, int64_t n, int32_t (*f)(int64_t i, int64_t arg), int64_t arg)
{
    int32_t *v = arena_alloc(t->step, (size_t)n * sizeof *v);
    for (int64_t i = 0; i < n; i++) v[i] = f(i, arg);
    return tape_from_i32(t, SHAPE(n), v);
}

// gaps of 3, of 200
static inline int32_t case_place(int64_t i, int64_t arg) { return (int32_t)(i + i / arg * 3 + i / 50 * 200); }
static inline int32_t case_valid(int64_t i, int64_t arg) { return i % arg != 4; }
static inline int32_t case_week_slot(int64_t i, int64_t arg) { return (int32_t)((5 * i + 3) % arg); }
static inline int32_t case_row(int64_t i, int64_t arg) { return (int32_t)((37 * i + arg - 1) % arg); }
static inline int32_t case_clock(int64_t i, int64_t arg) { return (int32_t)(uint32_t)(i + arg); }

#endif
