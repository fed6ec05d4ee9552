#include "bench/ladder/ladder.h"

#include <math.h>
#include <string.h>

// In [-size, size], from a fixed seed.
static float *numbers(Arena *mem, int64_t n, float size, uint32_t seed)
{
    float *x = arena_alloc(mem, (size_t)n * sizeof *x);
    for (int64_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        x[i] = size * (float)(int32_t)seed * 0x1p-31f;
    }
    return x;
}

// The op of a problem on a device, with inputs in[] and result out of the device's own kind of numbers.
static void call(const LadderProblem *p, const Device *dev, void *const in[3], void *out, Arena *scratch)
{
    const size_t mark = arena_mark(scratch);
    const Shape x = SHAPE(1, p->T, p->heads * p->E);
    Tensor t[5] = {{.shape = p->T ? x : SHAPE(p->M, p->K), .x = in[0]},
                   {.shape = p->T ? x : SHAPE(p->K, p->N), .x = in[1]},
                   {.shape = x, .x = in[2]},
                   {.shape = p->T ? x : SHAPE(p->M, p->N), .x = out},
                   {.shape = SHAPE(1, p->heads, p->T)}};
    for (int i = 0; i < 5; i++) t[i].dev = dev;
    const AttentionParams attention = {.heads = (int)p->heads};
    OpCall c = {.op = OP_linear, .n_in = 3, .n_out = 1, .in = {&t[0], &t[1], NULL}, .out = {&t[3]}, .scratch = scratch};
    if (p->T) {
        t[4].x = arena_alloc(scratch, (size_t)(p->heads * p->T) * dev->real_size);
        c.op = OP_attention, c.n_out = 2, c.in[2] = &t[2], c.out[1] = &t[4], c.p = &attention;
    }
    dev->fwd[c.op](&c);
    arena_rewind(scratch, mark);
}

static double *widened(Arena *mem, const float *x, int64_t n)
{
    double *y = arena_alloc(mem, (size_t)n * sizeof *y);
    for (int64_t i = 0; i < n; i++) y[i] = (double)x[i];
    return y;
}

// Truth and result of a problem whose inputs, n[i] values each, are there.
static LadderProblem *finished(LadderProblem *p, Arena *mem, const int64_t n[3])
{
    const Device f64 = device_cpu_f64();
    double *truth = arena_alloc(mem, (size_t)p->n * sizeof *truth);
    p->out = arena_alloc(mem, (size_t)p->n * sizeof *p->out);
    const size_t mark = arena_mark(mem);
    void *in[3];
    for (int i = 0; i < 3; i++) in[i] = widened(mem, p->in[i], n[i]);
    call(p, &f64, in, truth, p->scratch);
    arena_rewind(mem, mark);
    p->truth = truth;
    return p;
}

// Length of n floats, `step` apart.
static double length(const float *x, int64_t n, int64_t step)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)x[i * step] * (double)x[i * step];
    return sqrt(sum);
}

LadderProblem *ladder_sgemm(Arena *mem, Arena *scratch, int64_t M, int64_t N, int64_t K)
{
    LadderProblem *p = arena_zalloc(mem, sizeof *p);
    *p = (LadderProblem){.M = M, .N = N, .K = K, .n = M * N, .scratch = scratch,
                         .in = {numbers(mem, M * K, 1, 1), numbers(mem, K * N, 1, 2), NULL}};
    double *bound = arena_alloc(mem, (size_t)p->n * sizeof *bound);
    double *column = arena_alloc(mem, (size_t)N * sizeof *column);
    for (int64_t n = 0; n < N; n++) column[n] = length(p->in[1] + n, K, N);
    for (int64_t m = 0; m < M; m++) {
        const double row = (double)(K + 2) * 0x1p-24 * length(p->in[0] + m * K, K, 1);
        for (int64_t n = 0; n < N; n++) bound[m * N + n] = row * column[n];
    }
    p->bound = bound;
    return finished(p, mem, (int64_t[]){M * K, K * N, 0});
}

LadderProblem *ladder_attention(Arena *mem, Arena *scratch, int64_t T, int64_t heads, int64_t E)
{
    LadderProblem *p = arena_zalloc(mem, sizeof *p);
    const int64_t D = heads * E, n = T * D;
    *p = (LadderProblem){.T = T, .heads = heads, .E = E, .n = n, .scratch = scratch,
                         .in = {numbers(mem, n, 4, 3), numbers(mem, n, 1, 4), numbers(mem, n, 1, 5)}};
    p->room = arena_alloc(mem, (size_t)attention_room(T, E) * sizeof *p->room);
    double *bound = arena_alloc(mem, (size_t)n * sizeof *bound);
    for (int64_t h = 0; h < heads; h++) {
        double longest[2] = {0}, largest = 0;
        for (int64_t i = 0; i < T; i++) {
            for (int x = 0; x < 2; x++) longest[x] = fmax(longest[x], length(p->in[x] + i * D + h * E, E, 1));
            for (int64_t e = 0; e < E; e++) largest = fmax(largest, fabs((double)p->in[2][i * D + h * E + e]));
        }
        const double score = longest[0] * longest[1] / sqrt((double)E);
        const double most = 0x1p-24 * (2 * (double)(E + 8) * score + 2 * (double)T + 64) * largest;
        for (int64_t i = 0; i < T; i++)
            for (int64_t e = 0; e < E; e++) bound[i * D + h * E + e] = most;
    }
    p->bound = bound;
    return finished(p, mem, (int64_t[]){n, n, n});
}

double ladder_flops(const LadderProblem *p)
{
    return p->T ? 4.0 * (double)(p->T * p->T * p->heads * p->E) : 2.0 * (double)(p->M * p->N * p->K);
}

void ladder_run(const LadderProblem *p, const Rung *r)
{
    float *const *x = p->in;
    if (r->sgemm) {
        r->sgemm(p->M, p->N, p->K, x[0], x[1], p->out);
        return;
    }
    const int64_t D = p->heads * p->E;
    for (int64_t at = 0; at < D; at += p->E)
        r->attention(p->T, p->E, D, x[0] + at, x[1] + at, x[2] + at, p->out + at, p->room);
}

void ladder_product(const LadderProblem *p, const Device *dev)
{
    call(p, dev, (void *[]){p->in[0], p->in[1], p->in[2]}, p->out, p->scratch);
}

double ladder_error(const LadderProblem *p)
{
    double worst = 0;
    for (int64_t i = 0; i < p->n; i++) {
        const double e = fabs((double)p->out[i] - p->truth[i]) / p->bound[i];
        worst = e <= worst ? worst : isnan(e) ? INFINITY : e;
    }
    return worst;
}

const Rung *ladder_rungs(const LadderProblem *p, Isa isa)
{
#if defined(__x86_64__)
    if (isa == ISA_AVX512) return p->T ? attention_rungs_avx512 : sgemm_rungs_avx512;
    if (isa == ISA_AVX2) return p->T ? attention_rungs_avx2 : sgemm_rungs_avx2;
#endif
    (void)p, (void)isa;
    return NULL;
}
