#include "bench/peer.h"

#include <dlfcn.h>
#include <string.h>
#include <time.h>

double bench_seconds(int threads)
{
    struct timespec t;
    clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

void peer_symbol(void *library, const char *name, void *fn_ptr)
{
    void *p = dlsym(library, name);
    memcpy(fn_ptr, &p, sizeof p);
}

int peers_open(Peer *peers, Isa isa, int max_threads, const char *python, Arena *a)
{
    int n = 0;
    Peer python_peers[2];   // before OpenBLAS: a fork ends its threads, and those that it makes next are tied to our core
    peer_python(python_peers, python, "bench/peers/ops.py", isa, max_threads, a);
    peers[n++] = peer_openblas(isa, max_threads, a);
    peers[n++] = peer_onednn(false, isa, a);
    peers[n++] = peer_onednn(true, isa, a);
    peers[n++] = peer_onednn3(isa, a);
    memcpy(peers + n, python_peers, sizeof python_peers);
    return n + 2;
}
