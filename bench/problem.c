#include "bench/problem.h"

#include <math.h>
#include <string.h>

#include "tensor/pack.h"

const char *const pass_names[PASSES] = {"fwd", "bwd", "dx", "dw"};

// The device of the tape on which the row's call is made.  Its kernel of that op is capture(), which finds the problem
// through the output's device and keeps the call.
typedef struct Captured { Device dev; Problem *problem; } Captured;

static void capture(const OpCall *c)
{
    const Captured *k = (const Captured *)(const void *)c->out[0]->dev;
    k->problem->call = *c;
}

// ---- inputs

// Each value from a hash of its place, so that all threads fill large tensors.
static uint32_t hash_of(uint32_t seed, int64_t i)
{
    uint32_t h = (uint32_t)i * 2654435761u + seed * 0x9E3779B9u;
    h = (h ^ h >> 15) * 2246822519u;
    h = (h ^ h >> 13) * 3266489917u;
    return h ^ h >> 16;
}

static void fill(Tensor *x, BenchFill how, int below, uint32_t seed)
{
    float *v = x->x;
#pragma omp parallel for if (numel(x) > 1 << 16)
    for (int64_t i = 0; i < numel(x); i++) {
        const uint32_t h = hash_of(seed, i);
        if (how == FILL_INDEX) ((int32_t *)x->x)[i] = (int32_t)((uint64_t)h * (uint64_t)below >> 32);
        else if (how == FILL_SIGNED) v[i] = (float)(int32_t)h * 0x1p-31f;
        else v[i] = (float)(h >> 8) * 0x1p-24f * (how == FILL_TIME ? 999.0f : 0.9f) + (how == FILL_TIME ? 1 : 0.05f);
    }
}

Problem *problem_new(Arena *mem, Arena *scratch, const BenchRow *row)
{
    Captured *k = arena_alloc(mem, sizeof *k);
    Problem *p = arena_zalloc(mem, sizeof *p);
    *k = (Captured){.dev = device_cpu_f32(isa_detect()), .problem = p};
    k->dev.fwd[row->op] = capture;
    p->row = row;
    p->memory = k;
    Tape tape;
    tape_init(&tape, &k->dev, mem, scratch);
    Tensor *in[BENCH_MAX_IN] = {0};
    for (int i = 0; i < BENCH_MAX_IN; i++) {
        if (!row->in[i].n) continue;
        int below;
        const BenchFill how = bench_fill(row, i, &below);
        in[i] = tensor_new(mem, &k->dev, how == FILL_INDEX ? I32 : REAL, row->in[i], "input");
        fill(in[i], how, below, (uint32_t)i + 1);
    }
    bench_call(&tape, row, in);
    CHECK(p->call.n_out > 0, "bench: row %s makes no call of op %s", row->label, op_info(row->op)->name);
    p->call.scratch = scratch;
    if (row->op == OP_linear && row->i[0]) {
        p->packed = tensor_new(mem, &k->dev, REAL, row->in[1], "packed");
        memcpy(p->packed->x, in[1]->x, tensor_bytes(in[1]));
        if (row->i[0] == 2) tensor_pack_bf16(p->packed, mem);
        else tensor_pack(p->packed, mem);
    }
    if (!op_info(row->op)->diff) return p;
    Tensor *y = p->call.out[0];
    y->g = arena_alloc(mem, tensor_bytes(y));
    Tensor dy = *y;
    dy.x = y->g;
    fill(&dy, FILL_SIGNED, 0, 77);
    for (int i = 0; i < p->call.n_in; i++)
        if (p->call.in[i] && p->call.in[i]->dtype == REAL) p->grad[i] = arena_zalloc(mem, tensor_bytes(p->call.in[i]));
    return p;
}

// ---- passes

static bool is_product(OpId op)
{
    return op == OP_matmul || op == OP_linear || op == OP_conv2d || op == OP_conv2d_multi;
}

static bool in_bf16(const Problem *p) { return p->packed && p->packed->layout == LAYOUT_PANELS_BF16; }

bool problem_has(const Problem *p, Pass pass)
{
    if (pass == FWD) return true;
    if (!op_info(p->row->op)->diff || (p->row->op == OP_attention && p->row->i[2])) return false;
    if (p->packed && pass == DW) return false;   // frozen
    if (in_bf16(p)) return pass == FWD;
    return is_product(p->row->op) == (pass != BWD);
}

static void attach_gradients(Problem *p, Pass pass)
{
    for (int i = 0; i < p->call.n_in; i++)
        if (p->call.in[i])
            p->call.in[i]->g = pass == BWD || (pass == DX && i == 0) || (pass == DW && i > 0) ? p->grad[i] : NULL;
}

void problem_run(Problem *p, const Device *dev, Pass pass)
{
    Tensor *const rows = p->call.in[1];
    if (p->packed && dev->isa >= ISA_AVX2 && (pass == FWD || !in_bf16(p))) p->call.in[1] = p->packed;
    attach_gradients(p, pass);
    const size_t mark = arena_mark(p->call.scratch);
    (pass == FWD ? dev->fwd : dev->bwd)[p->row->op](&p->call);
    arena_rewind(p->call.scratch, mark);
    p->call.in[1] = rows;
}

OpWork problem_work(Problem *p, Pass pass)
{
    Tensor *const rows = p->call.in[1];
    if (in_bf16(p)) p->call.in[1] = p->packed;   // half the bytes
    attach_gradients(p, pass);
    const OpWork w = op_work(&p->call, pass != FWD);
    p->call.in[1] = rows;
    return w;
}

double problem_bound(const Problem *p) { return in_bf16(p) ? 0.2 : 1e-3; }

// ---- are the numbers right?

static double dot(const float *a, const float *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += (double)a[i] * (double)b[i];
    return sum;
}

static double adjoint_error(Problem *p, const Device *dev)
{
    Tensor *const *in = p->call.in, *y = p->call.out[0];
    for (int i = 0; i < p->call.n_in; i++)
        if (p->grad[i]) memset(p->grad[i], 0, tensor_bytes(in[i]));
    memset(y->x, 0x7f, tensor_bytes(y));
    const Pass passes[] = {FWD, DX, DW};
    for (int i = 0; i < 3; i++) problem_run(p, dev, passes[i]);
    const double s = dot(y->x, y->g, numel(y));
    double w = 0;   // of weights: conv2d_multi has several
    for (int i = 1; i < p->call.n_in; i++)
        if (p->grad[i]) w += dot(in[i]->x, p->grad[i], numel(in[i]));
    const double e = fmax(fabs(s - dot(in[0]->x, p->grad[0], numel(in[0]))), fabs(s - w));
    return isnan(s) ? INFINITY : e / sqrt((double)numel(y));
}

static double difference(const float *a, const float *b, int64_t n)
{
    double worst = 0, top = 1e-30;
    for (int64_t i = 0; i < n; i++) {
        const double e = fabs((double)a[i] - (double)b[i]);
        if (!(e <= worst)) worst = isnan(e) ? INFINITY : e;
        top = fmax(top, fabs((double)a[i]));
    }
    return worst / top;
}

// Forward, and backward into gradients that start at zero; copies of y and of the gradients into mem.
static void results(Problem *p, const Device *dev, float *out[1 + OP_MAX_IN], Arena *mem)
{
    Tensor *y = p->call.out[0];
    problem_run(p, dev, FWD);
    out[0] = memcpy(arena_alloc(mem, tensor_bytes(y)), y->x, tensor_bytes(y));
    for (int i = 0; i < p->call.n_in; i++)
        if (p->grad[i]) memset(p->grad[i], 0, tensor_bytes(p->call.in[i]));
    if (problem_has(p, BWD)) problem_run(p, dev, BWD);
    for (int i = 0; i < p->call.n_in; i++)
        if (p->grad[i]) {
            const size_t bytes = tensor_bytes(p->call.in[i]);
            out[1 + i] = memcpy(arena_alloc(mem, bytes), p->grad[i], bytes);
        }
}

double problem_error(Problem *p, const Device *dev, const Device *plain, Arena *mem)
{
    const OpId op = p->row->op;
    if (is_product(op)) return adjoint_error(p, dev);
    if (op == OP_adamw) return 0;   // in place: the second call would see the first one's result
    const size_t mark = arena_mark(mem);
    float *want[1 + OP_MAX_IN] = {0}, *got[1 + OP_MAX_IN] = {0};
    results(p, plain, want, mem);
    results(p, dev, got, mem);
    double worst = difference(want[0], got[0], numel(p->call.out[0]));
    for (int i = 0; i < p->call.n_in; i++)
        if (want[1 + i]) worst = fmax(worst, difference(want[1 + i], got[1 + i], numel(p->call.in[i])));
    arena_rewind(mem, mark);
    return worst;
}
