#include <dirent.h>
#include <dlfcn.h>
#include <omp.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/peer.h"

// C [M,N] = alpha op(A) op(B) + beta C, row-major; lda, ldb, ldc as in cblas_sgemm.
typedef void Sgemm(int layout, int trans_a, int trans_b, int M, int N, int K, float alpha, const float *A, int lda,
                   const float *B, int ldb, float beta, float *C, int ldc);
enum { CBLAS_ROW_MAJOR = 101, CBLAS_NO_TRANS = 111, CBLAS_TRANS = 112 };

typedef struct OpenBlas { Sgemm *sgemm; void (*set_threads)(int n); } OpenBlas;

// ---- threads

enum { MAX_TASKS = 256 };

static int list_tasks(int *tid)
{
    int n = 0;
    DIR *d = opendir("/proc/self/task");
    for (const struct dirent *e; d && (e = readdir(d)) && n < MAX_TASKS;)
        if (e->d_name[0] != '.') tid[n++] = atoi(e->d_name);
    if (d) closedir(d);
    return n;
}

// Threads born since `before` go to the places of our own threads 1, 2, ... (OMP_PROC_BIND is set: the main thread is
// on place 0, and what it creates would stay there: two threads would run at the speed of one).
static void pin_new(const int *before, int n_before)
{
    int now[MAX_TASKS], place = 0;
    const int n = list_tasks(now), places = omp_get_num_places();
    for (int i = 0; i < n && places > 0; i++) {
        bool old = false;
        for (int j = 0; j < n_before; j++) old |= before[j] == now[i];
        if (old) continue;
        place = (place + 1) % places;
        int procs[MAX_TASKS];
        if (omp_get_place_num_procs(place) > MAX_TASKS) continue;
        omp_get_place_proc_ids(place, procs);
        cpu_set_t one;
        CPU_ZERO(&one);
        CPU_SET((size_t)procs[0], &one);
        sched_setaffinity(now[i], sizeof one, &one);
    }
}

// ---- products

static void call(const OpenBlas *r, Problem *p, Pass pass)
{
    const bool matmul = p->row->op == OP_matmul;
    const bool trans_b = matmul && ((const MatmulParams *)p->call.p)->trans_b;
    const Tensor *x = p->call.in[0], *w = p->call.in[1], *y = p->call.out[0];
    const int K = (int)x->shape.d[1], M = (int)x->shape.d[0], N = (int)w->shape.d[trans_b ? 0 : 1];
    const int ldw = (int)w->shape.d[1], tb = trans_b ? CBLAS_TRANS : CBLAS_NO_TRANS;
    if (pass == FWD)
        r->sgemm(CBLAS_ROW_MAJOR, CBLAS_NO_TRANS, tb, M, N, K, 1, x->x, K, w->x, ldw, 0, y->x, N);
    else if (pass == DX)   // dX += dY W^T
        r->sgemm(CBLAS_ROW_MAJOR, CBLAS_NO_TRANS, trans_b ? CBLAS_NO_TRANS : CBLAS_TRANS, M, K, N, 1, y->g, N, w->x,
                 ldw, 1, p->grad[0], K);
    else if (trans_b)      // dW [N,K] += dY^T X
        r->sgemm(CBLAS_ROW_MAJOR, CBLAS_TRANS, CBLAS_NO_TRANS, N, K, M, 1, y->g, N, x->x, K, 1, p->grad[1], K);
    else                   // dW [K,N] += X^T dY
        r->sgemm(CBLAS_ROW_MAJOR, CBLAS_TRANS, CBLAS_NO_TRANS, K, N, M, 1, x->x, K, y->g, N, 1, p->grad[1], N);
}

static bool load(Peer *peer, Problem *p, Pass pass, int threads)
{
    const OpId op = p->row->op;
    if (!(op == OP_linear || op == OP_matmul) || p->call.in[0]->shape.n != 2 || pass == BWD) return false;
    if (op == OP_matmul && ((const MatmulParams *)p->call.p)->trans_a) return false;
    const OpenBlas *r = peer->state;
    if (r->set_threads) r->set_threads(threads);
    call(r, p, pass);
    return true;
}

static double run(Peer *peer, Problem *p, Pass pass, int n, int threads)
{
    const OpenBlas *r = peer->state;
    if (r->set_threads) r->set_threads(threads);
    const double start = bench_seconds(threads);
    for (int i = 0; i < n; i++) call(r, p, pass);
    return bench_seconds(threads) - start;
}

Peer peer_openblas(Isa isa, int max_threads, Arena *a)
{
    Peer p = {.name = "openblas", .state = arena_zalloc(a, sizeof(OpenBlas)), .load = load, .run = run};
    OpenBlas *r = p.state;
    char threads[16];
    snprintf(threads, sizeof threads, "%d", max_threads);
    // old releases do not know new CPUs and would fall back to plain C
    setenv("OPENBLAS_CORETYPE", isa == ISA_AVX512 ? "SkylakeX" : isa == ISA_AVX2 ? "Haswell" : "Nehalem", 0);
    setenv("OPENBLAS_NUM_THREADS", threads, 1);
    setenv("OPENBLAS_THREAD_TIMEOUT", "14", 0);   // idle workers sleep, not spin
    int before[MAX_TASKS];
    const int n_before = list_tasks(before);
    // It counts the cores that this thread may use: one, as OMP_PROC_BIND has tied it.  All of them while it loads.
    cpu_set_t tied, all;
    CPU_ZERO(&all);
    for (size_t i = 0; i < CPU_SETSIZE; i++) CPU_SET(i, &all);
    sched_getaffinity(0, sizeof tied, &tied);
    sched_setaffinity(0, sizeof all, &all);
    void *lib = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (lib) peer_symbol(lib, "cblas_sgemm", &r->sgemm);
    if (lib) peer_symbol(lib, "openblas_set_num_threads", &r->set_threads);
    if (r->set_threads) r->set_threads(max_threads);
    pin_new(before, n_before);
    sched_setaffinity(0, sizeof tied, &tied);
    if (!lib || !r->sgemm) {
        snprintf(p.about, sizeof p.about, "libopenblas.so.0 not found (Debian: libopenblas-dev)");
        p.missing = true;
        return p;
    }
    char *(*corename)(void) = NULL, *(*config)(void) = NULL;
    peer_symbol(lib, "openblas_get_corename", &corename);
    peer_symbol(lib, "openblas_get_config", &config);
    snprintf(p.about, sizeof p.about, "%.60s, kernels %.40s", config ? config() : "?", corename ? corename() : "?");
    return p;
}
