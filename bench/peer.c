#include "bench/peer.h"
#include "tensor/clock.h"

#include <dlfcn.h>
#include <string.h>

double bench_seconds(int threads) { return threads == 1 ? clock_thread_seconds() : clock_seconds(); }

void peer_symbol(void *library, const char *name, void *fn_ptr)
{
    void *p = dlsym(library, name);
    memcpy(fn_ptr, &p, sizeof p);
}

bool peer_product(void *state, Problem *p, Pass pass, PeerMatmul *call)
{
    const Tensor *x = p->call.in[0], *w = p->call.in[1], *y = p->call.out[0];
    if (x->shape.n != 2) return false;
    const bool tb = p->row->op == OP_matmul && ((const MatmulParams *)p->call.p)->trans_b;
    const int64_t M = x->shape.d[0], K = x->shape.d[1], N = y->shape.d[1];
    if (pass == FWD) return call(state, M, K, N, x->x, false, w->x, tb, y->x);
    if (pass == DX) return call(state, M, N, K, y->g, false, w->x, !tb, p->grad[0]);
    return tb ? call(state, N, M, K, y->g, true, x->x, false, p->grad[1])
              : call(state, K, M, N, x->x, true, y->g, false, p->grad[1]);
}

int peers_open(Peer *peers, Isa isa, int max_threads, const char *python, Arena *a)
{
    int n = 0;
    // Before OpenBLAS: a fork ends its threads, and those that it makes next are tied to our core.
    Peer python_peers[2];
    peer_python(python_peers, python, "bench/peers/ops.py", isa, max_threads, a);
    peers[n++] = peer_openblas(isa, max_threads, a);
    peers[n++] = peer_onednn(false, isa, a);
    peers[n++] = peer_onednn(true, isa, a);
    peers[n++] = peer_onednn3(isa, a);
    memcpy(peers + n, python_peers, sizeof python_peers);
    return n + 2;
}
