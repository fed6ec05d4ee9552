// Sorting of floats, ascending, in place.  None may be NaN.
#ifndef LEAD_TENSOR_SORT_H
#define LEAD_TENSOR_SORT_H

#include <stdint.h>

void sort_f32(float *v, int64_t n);

#endif
