// What tests/test_emulator.c plants.
#ifndef LEAD_TESTS_FAULTS_H
#define LEAD_TESTS_FAULTS_H

enum { FAULT_THREADS = 128 };

typedef enum Fault {
    FAULT_NONE_MIRROR, FAULT_NONE_ASYNC, FAULT_NONE_WARPS, FAULT_NONE_PRODUCTS,   // right: the values are known
    FAULT_NONE_SHARED,
    FAULT_NO_BARRIER, FAULT_UNWRITTEN, FAULT_NO_WAIT,                             // other values, or NaN
    FAULT_DIVERGENT, FAULT_TWO_BARRIERS, FAULT_MISSING_LANE, FAULT_OVERRUN,       // a message and abort
    FAULT_LARGE_BLOCK, FAULT_LARGE_GRID, FAULT_NOT_ALLOWED,
} Fault;

// A wrong way to use the machinery of cuda/hopper.h; each aborts with the words beside it.
#define HOPPER_FAULTS                                                                    \
    F(NONE, NULL)                                                                        \
    F(NO_FULL_WAIT, "a copy is under way")        /* multiplies what has not arrived */  \
    F(EARLY_REUSE, "has changed while a product") /* loads over what is being read */    \
    F(NO_WAIT, "sums were written")               /* touches sums under way */           \
    F(NO_PRODUCT_FENCE, "no wgmma_fence()")                                              \
    F(NO_BARRIER_FENCE, "no mbarrier_init_fence()")                                      \
    F(FEW_BYTES, "for ever")                      /* expects more than arrives */        \
    F(WRONG_PARITY, "a copy is under way")                                               \
    F(UNALIGNED, "multiple of 1,024")             /* the pattern of the swizzle */       \
    F(SECOND_ARRIVAL, "more arrivals")                                                   \
    F(NOT_COMMITTED, "has not waited for")                                               \
    F(FAR_MATRIX, "reaches out")                                                         \
    F(TWO_MATRICES, "other matrices")             /* the warps disagree */               \
    F(NOT_SM90, "of sm_90a")

typedef enum HopperFault {
#define F(name, words) HOPPER_##name,
    HOPPER_FAULTS
#undef F
    HOPPER_FAULT_COUNT
} HopperFault;


#ifdef __cplusplus
extern "C"
#endif
void fault_run(Fault f, float *y);   // y [FAULT_THREADS]

// One product of 64 x 128 x K values, K = 64 (bf16) or 32 (tf32), which arrive by copies: y[m 128 + n] = sum_k a b.
//   a: [64][K], or, across (bf16), [K][64];  b: [128][K], or, across, [K][128];  values: their bits, 16 or 32 each
typedef struct HopperProduct { const void *a, *b; int bf16, across_a, across_b; float *y; } HopperProduct;
#ifdef __cplusplus
extern "C"
#endif
void hopper_run(HopperFault f, const HopperProduct *p);

#endif
