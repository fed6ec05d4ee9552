// Other people's kernels as yardsticks: loaded while the benchmark runs, never linked into the product.
//   openblas   libopenblas.so.0, products                               (Debian libopenblas-dev)
//   onednn     libdnnl.so.2: products with prepacked weights, convolutions (direct, blocked layouts), softmax,
//              layer norm, activations; onednn-wino: its Winograd convolutions  (Debian libdnnl-dev, at build time too)
//   onednn3    libdnnl.so.3 (ONEDNN3: another path): the same without Winograd, and attention as one fused partition
//   torch, ort PyTorch eager and onnxruntime in a Python process that runs one round when asked (bench/peers/ops.py)
// Each runs with the instruction set of our fastest variant (LEAD_ISA caps both) and its threads pinned.
#ifndef LEAD_BENCH_PEER_H
#define LEAD_BENCH_PEER_H

#include "bench/problem.h"

typedef struct Peer Peer;
struct Peer {
    const char *name;          // variant in the table
    char about[128];           // version, or why it is missing
    bool missing, elsewhere;   // elsewhere: in another process, its results are not seen here
    void *state;
    // Gets ready for the problem; false: it has no such kernel.  In-process peers leave the result of FWD in
    // call.out[0], or that of a gradient in grad[], so that it can be compared.
    bool (*load)(Peer *p, Problem *problem, Pass pass, int threads);
    // Seconds that n calls take.
    double (*run)(Peer *p, Problem *problem, Pass pass, int n, int threads);
};

enum { MAX_PEERS = 6 };
// Fills peers[]; returns how many.  python: command of the interpreter, or NULL.
int peers_open(Peer *peers, Isa isa, int max_threads, const char *python, Arena *a);

Peer peer_openblas(Isa isa, int max_threads, Arena *a);
Peer peer_onednn(bool winograd, Isa isa, Arena *a);
Peer peer_onednn3(Isa isa, Arena *a);
// script: bench/peers/ops.py or models.py
void peer_python(Peer out[2], const char *python, const char *script, Isa isa, int max_threads, Arena *a);
// Instead of load, for models.py: a row of bench_models.
bool peer_python_model(Peer *p, const char *name, const char *label, int threads);

// A product, forward or a gradient, on plain arrays: c [m,n] = a b; a is k x m when trans_a, b is n x k when trans_b.
typedef bool PeerMatmul(void *state, int64_t m, int64_t k, int64_t n, float *a, bool trans_a, float *b, bool trans_b,
                        float *c);
// Of linear or matmul, two-dimensional; false: not that, or call() says so.
bool peer_product(void *state, Problem *p, Pass pass, PeerMatmul *call);

// CPU time of this thread when it works alone, wall time else.
double bench_seconds(int threads);
// ISO C does not convert between object and function pointers; POSIX promises that they are alike.
void peer_symbol(void *library, const char *name, void *fn_ptr);

#endif
