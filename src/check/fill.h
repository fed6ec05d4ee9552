// Inputs of cases: fixed random numbers of site SITE_TEST, rounded to float so that every device gets the same values.
#ifndef LEAD_CHECK_FILL_H
#define LEAD_CHECK_FILL_H

#include "check/case.h"

// n values; seed separates the inputs of a case, step the cases.
void fill_f64(double *x, int64_t n, Fill fill, uint64_t seed, uint32_t step);

// The tensor that a case's input describes, on the f64 device; NULL where absent.
Tensor *fill_tensor(Arena *a, const Device *f64, const CaseInput *in, uint64_t seed, uint32_t step);

#endif
