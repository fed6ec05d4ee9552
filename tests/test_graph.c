// Recorded work (tensor/graph.h) on the emulated GPU, over memory that the host may not touch: what is replayed has the
// bits of what is run, follows the clock and everything else that lies on the device, and takes nothing from the host.
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "autograd/tape.h"
#include "tensor/graph.h"
#include "tests/emulate/fence.h"
#include "tests/test.h"

enum { N = 67, BLOCK = 1 << 24 };

typedef struct Rig { Device dev; Arena *a[2]; Tape t; Tensor *x, *log; } Rig;

static void rig_open(Rig *r)
{
    *r = (Rig){.dev = fence_cuda()};
    for (int i = 0; i < 2; i++) {
        r->a[i] = arena_new("graph", (size_t)1 << 28, NULL);
        CHECK(r->a[i] && !device_attach(&r->dev, r->a[i], BLOCK).code, "no memory");
    }
    r->x = tensor_new(r->a[0], &r->dev, REAL, SHAPE(N), "x");
    r->log = tensor_new(r->a[0], &r->dev, REAL, SHAPE(4, 1), "log");
    tensor_fill(r->x, 0);
    tensor_fill(r->log, 0);
    tape_init(&r->t, &r->dev, r->a[0], r->a[1]);
}

static void rig_close(Rig *r)
{
    for (int i = 0; i < 2; i++) {
        arena_rewind(r->a[i], 0);
        device_detach(&r->dev, r->a[i]);
        arena_delete(r->a[i]);
    }
}

// x += noise of the clock, through a buffer that is cleared and copied; its sum to the log.
static void walk(void *ctx)
{
    Rig *r = ctx;
    Tape *t = &r->t;
    tape_reset(t);
    const RandomAddress at = {.seed = 5, .site = SITE_TEST};
    Tensor *still = tape_zeros(t, SHAPE(N)), *noise = tape_randn_clock(t, SHAPE(N), at, 0);
    Tensor *y = tape_add(t, tape_add(t, r->x, noise), still);
    device_copy(&r->dev, r->x->x, y->x, tensor_bytes(y));
    tape_log_put(t, r->log, (Tensor *[]){tape_sum(t, r->x)}, 1);
}

static void test_replay(TestLog *log)
{
    float x[2][N], sums[2][4];
    for (int graphs = 0; graphs < 2; graphs++) {
        Rig r;
        rig_open(&r);
        r.dev.no_graph = !graphs;
        Repeated work = {0};
        for (uint32_t step = 0; step < 6; step++) {
            tape_set_step(&r.t, step * 3 + 1);
            device_repeat(&r.dev, &work, walk, &r);
        }
        TEST(log, (work.graph != NULL) == graphs, "recorded %d, wanted %d", work.graph != NULL, graphs);
        const int64_t nodes = work.graph ? device_graph_nodes(&r.dev, work.graph) : 8;
        TEST(log, nodes == 8, "%lld nodes", (long long)nodes);
        device_repeat_end(&r.dev, &work);
        tensor_get_f32(r.x, x[graphs], N);
        tensor_get_f32(r.log, sums[graphs], 4);
        rig_close(&r);
    }
    TEST(log, memcmp(x[0], x[1], sizeof x[0]) == 0 && x[0][0] != 0, "replayed: other bits, %g and %g",
         (double)x[0][0], (double)x[1][0]);
    TEST(log, memcmp(sums[0], sums[1], sizeof sums[0]) == 0 && sums[0][3] != 0, "replayed: another log");
}

// ---- how many nodes

typedef struct Deep { Rig r; int n; } Deep;

static void deep_sum(void *ctx)
{
    Deep *d = ctx;
    Tape *t = &d->r.t;
    tape_reset(t);
    t->record = true;
    Tensor *y = d->r.x;
    for (int i = 0; i < d->n; i++) y = tape_scale(t, y, 2, 0);
    tape_backward(t, tape_sum(t, y));
}

// The nodes of a step of n calls and a sum; *g: the gradient of x after three of them, which add.
static int64_t nodes_of(int n, float *g)
{
    Deep d = {.n = n};
    Repeated work = {0};
    rig_open(&d.r);
    d.r.x->needs_grad = true;
    d.r.x->g = device_zalloc(&d.r.dev, d.r.a[0], tensor_bytes(d.r.x));
    tape_init(&d.r.t, &d.r.dev, d.r.a[0], d.r.a[1]);
    for (int i = 0; i < 3; i++) device_repeat(&d.r.dev, &work, deep_sum, &d);
    float all[N];
    device_get(&d.r.dev, all, d.r.x->g, sizeof all);
    *g = all[N - 1];
    const int64_t nodes = device_graph_nodes(&d.r.dev, work.graph);
    device_repeat_end(&d.r.dev, &work);
    rig_close(&d.r);
    return nodes;
}

// A further call costs two nodes, forward and backward: its gradient is cleared together with all others.
static void test_nodes(TestLog *log)
{
    float g[2];
    const int64_t few = nodes_of(3, &g[0]), many = nodes_of(10, &g[1]);
    TEST(log, many - few == 2 * 7, "%lld nodes with 3 calls, %lld with 10", (long long)few, (long long)many);
    TEST(log, g[0] == 3 << 3 && g[1] == 3 << 10, "want three times 2^3 and 2^10, got %g and %g", (double)g[0],
         (double)g[1]);
}

// ---- what the host must not do meanwhile

static void put(void *ctx)
{
    Rig *r = ctx;
    tape_set_step(&r->t, 1);
}
static void get(void *ctx)
{
    Rig *r = ctx;
    float v[N];
    tensor_get_f32(r->x, v, N);
}
static void wait_meanwhile(void *ctx) { device_wait(&((Rig *)ctx)->dev); }

static void test_host(TestLog *log)
{
    static RepeatedWork *const wrong[] = {put, get, wait_meanwhile};
    for (int i = 0; i < 3; i++) {
        fflush(stdout);
        const pid_t pid = fork();
        if (pid == 0) {
            setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
            if (!freopen("/dev/null", "w", stderr)) _exit(2);
            Rig r;
            Repeated work = {0};
            rig_open(&r);
            for (int k = 0; k < 2; k++) device_repeat(&r.dev, &work, wrong[i], &r);
            _exit(0);
        }
        int status = 0;
        TEST(log, pid > 0 && waitpid(pid, &status, 0) == pid && WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT,
             "host value %d while recording: not noticed", i);
    }
}

void test_graph(TestLog *log)
{
    test_replay(log);
    test_nodes(log);
    test_host(log);
}
