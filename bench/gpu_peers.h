// Other people's GPU kernels beside ours, in build/bench/gpu alone: cuBLAS, cuBLASLt and cuDNN are opened while it runs
// and never linked.  What is missing says so: a header when the bench was built, a library or a symbol now.
//   cublas     cublasGemmStridedBatchedEx: matmul, linear and their gradients
//   cublaslt   the fastest of up to 3 of cublasLtMatmul's proposals; linear_gelu and linear_add forward with bias and
//              GELU or residual fused
//   cudnn      convolutions, the fastest algorithm that cudnnFindConvolution.. finds, channels last
// Random operands of their own.  With --math bf16 these lie in memory as bf16 and results as f32 (cuDNN: as bf16),
// while our kernels read f32 and round: the peers move half the bytes.
#ifndef LEAD_BENCH_GPU_PEERS_H
#define LEAD_BENCH_GPU_PEERS_H

#ifdef __cplusplus
extern "C" {
#endif
#include "bench/problem.h"

typedef enum GpuPeer { PEER_CUBLAS, PEER_CUBLASLT, PEER_CUDNN, GPU_PEERS } GpuPeer;

typedef struct GpuPeers GpuPeers;

// One an address space; lives until the program ends.
GpuPeers *gpu_peers_open(Math math);
// "cuBLAS 13.0.2" or "cuDNN: missing: why"
const char *gpu_peer_about(const GpuPeers *p, GpuPeer which);
// Median seconds of one call like c in one pass; NAN: the peer is missing, has no such kernel or refused it.
double gpu_peer_seconds(GpuPeers *p, GpuPeer which, const OpCall *c, Pass pass);
// Operations a second of a product n x n x n, the faster of cuBLAS and cuBLASLt; NAN without them.
double gpu_peers_product(GpuPeers *p, int n);

#ifdef __cplusplus
}
#endif
#endif
