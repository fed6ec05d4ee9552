// What tests/test_emulator.c plants.
#ifndef LEAD_TESTS_FAULTS_H
#define LEAD_TESTS_FAULTS_H

enum { FAULT_THREADS = 128 };

typedef enum Fault {
    FAULT_NONE_MIRROR, FAULT_NONE_ASYNC, FAULT_NONE_WARPS, FAULT_NONE_PRODUCTS,   // right: the values are known
    FAULT_NO_BARRIER, FAULT_UNWRITTEN, FAULT_NO_WAIT,                             // other values, or NaN
    FAULT_DIVERGENT, FAULT_TWO_BARRIERS, FAULT_MISSING_LANE, FAULT_OVERRUN,       // a message and abort
    FAULT_LARGE_BLOCK, FAULT_LARGE_GRID,
} Fault;

#ifdef __cplusplus
extern "C"
#endif
void fault_run(Fault f, float *y);   // y [FAULT_THREADS]

#endif
