// PyTorch and onnxruntime: a Python process answers one line with one line (bench/peers/ops.py).
//   load torch|ort OP PASS THREADS i0,i1,i2,i3 d shape shape ..    ->  ok | no
//   load torch|ort ROW THREADS LABEL                               ->  ok | no        (bench/peers/models.py)
//   run torch|ort N                                                ->  seconds
#include <errno.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/peer.h"

typedef struct Child { FILE *to, *from; } Child;
typedef struct Python { Child *child; const char *engine; } Python;

static bool ask(const Child *c, char *answer, int size, const char *question)
{
    if (fprintf(c->to, "%s\n", question) < 0 || fflush(c->to) != 0) return false;
    if (!fgets(answer, size, c->from)) return false;
    answer[strcspn(answer, "\n")] = 0;
    return true;
}

static bool load(Peer *peer, Problem *p, Pass pass, int threads)
{
    const Python *py = peer->state;
    const BenchRow *r = p->row;
    char q[512], answer[256];
    int at = snprintf(q, sizeof q, "load %s %s %s %d %d,%d,%d,%d %.9g", py->engine, op_info(r->op)->name,
                      pass_names[pass], threads, r->i[0], r->i[1], r->i[2], r->i[3], r->d);
    for (int k = 0; k < BENCH_MAX_IN; k++)
        for (int j = 0; j < r->in[k].n; j++)
            at += snprintf(q + at, sizeof q - (size_t)at, "%c%lld", j ? ',' : ' ', (long long)r->in[k].d[j]);
    return ask(py->child, answer, sizeof answer, q) && strcmp(answer, "ok") == 0;
}

bool peer_python_model(Peer *peer, const char *name, const char *label, int threads)
{
    const Python *py = peer->state;
    char q[256], answer[256];
    snprintf(q, sizeof q, "load %s %s %d %s", py->engine, name, threads, label);
    return ask(py->child, answer, sizeof answer, q) && strcmp(answer, "ok") == 0;
}

static double run(Peer *peer, Problem *p, Pass pass, int n, int threads)
{
    (void)p, (void)pass, (void)threads;
    const Python *py = peer->state;
    char q[64], answer[256];
    snprintf(q, sizeof q, "run %s %d", py->engine, n);
    return ask(py->child, answer, sizeof answer, q) ? strtod(answer, NULL) : NAN;
}

// Starts the interpreter; false with errno when it cannot.
static bool start(Child *c, const char *python, const char *script)
{
    int to[2], from[2];
    signal(SIGPIPE, SIG_IGN);   // an interpreter that ends at once is a missing peer, not our end
    if (pipe(to) || pipe(from)) return false;
    const pid_t pid = fork();
    if (pid < 0) return false;
    if (pid == 0) {
        // OMP_PROC_BIND has tied this thread to one core: the peer's threads get all of them back, to bind as they
        // like.
        cpu_set_t all;
        CPU_ZERO(&all);
        for (size_t i = 0; i < CPU_SETSIZE; i++) CPU_SET(i, &all);
        sched_setaffinity(0, sizeof all, &all);
        dup2(to[0], 0);
        dup2(from[1], 1);
        close(to[1]);
        close(from[0]);
        execlp(python, python, script, (char *)NULL);
        _exit(127);
    }
    close(to[0]);
    close(from[1]);
    c->to = fdopen(to[1], "w");
    c->from = fdopen(from[0], "r");
    return c->to && c->from;
}

void peer_python(Peer out[2], const char *python, const char *script, Isa isa, int max_threads, Arena *a)
{
    static const char *const engine[2] = {"torch", "ort"};
    char text[128];
    snprintf(text, sizeof text, "%d", max_threads);
    setenv("OMP_NUM_THREADS", text, 1);   // of the child: ours were read when this process began
    setenv("ATEN_CPU_CAPABILITY", isa == ISA_AVX512 ? "avx512" : isa == ISA_AVX2 ? "avx2" : "default", 1);
    setenv("ONEDNN_MAX_CPU_ISA", isa == ISA_AVX512 ? "AVX512_CORE" : isa == ISA_AVX2 ? "AVX2" : "SSE41", 1);
    setenv("MKL_ENABLE_INSTRUCTIONS", isa == ISA_AVX512 ? "AVX512" : isa == ISA_AVX2 ? "AVX2" : "SSE4_2", 1);
    Child *c = arena_zalloc(a, sizeof *c);
    const bool started = python && start(c, python, script);
    for (int i = 0; i < 2; i++) {
        Python *py = arena_alloc(a, sizeof *py);
        *py = (Python){c, engine[i]};
        out[i] = (Peer){.name = engine[i], .state = py, .elsewhere = true, .load = load, .run = run};
        char q[64];
        snprintf(q, sizeof q, "about %s", engine[i]);
        if (!started) snprintf(out[i].about, sizeof out[i].about, "no Python given (--python, make bench-peers)");
        else if (!ask(c, out[i].about, sizeof out[i].about, q))
            snprintf(out[i].about, sizeof out[i].about, "%.60s %.40s does not answer", python, script);
        out[i].missing = strncmp(out[i].about, "version ", 8) != 0;
    }
}
