// The asynchronous machinery of sm_90a on the host: the contracts of cuda/hopper.h, from the PTX ISA.
//   barriers   one 64-bit word as the hardware has it: expected arrivals, pending arrivals, pending bytes, phase
//   copies     The target is NaN from the issue on; the copy lands later: with order 1 as soon as it can, with order 2
//              only when nothing else moves, the last one first, else in between in a shuffled order.
//   products   A warp's part (16 rows) is computed when that warp waits for it.  Operands are read at the issue and
//              again then: other bytes, or a copy under way to them, abort.  d is NaN in between and must not have
//              been written.
// Each of the other rules of the PTX ISA that a kernel could break without showing it is checked and aborts with a
// message.
#include "scheduler.h"

#include "hopper.h"

#include <stdlib.h>

enum { WARPS = 32, COPIES = 256, OPS = 16, SITES = 4096, DEPTH_MAX = 16, COLUMNS = 256 };

typedef struct Transfer { TensorBox map; size_t to; int at[3]; uint64_t *barrier; size_t bytes; } Transfer;

// One product of a warp: its 16 rows of A and all of B as they were at the issue.
typedef struct Product {
    uint64_t a, b;
    int N, group;
    bool bf16, across_a, across_b;
    uint32_t rows[16 * DEPTH_MAX], cols[COLUMNS * DEPTH_MAX];
} Product;

typedef struct Warp {
    bool fenced;
    Product op[OPS];
    int n_ops, group, registers;      // group: of the next commit
    int issued;
} Warp;

// A thread's sums while products are under way: d itself holds NaN then.
typedef struct Sums { float *d; int n, under_way; float value[COLUMNS / 2]; } Sums;

static struct {
    int threads, registers;           // of the block, at its start at most
    bool unfenced;                    // barriers were initialised and no fence followed
    Transfer transfer[COPIES];
    int n_transfers;
    Warp warp[WARPS];
    Sums sums[WARPS * 32];
    uint64_t site[WARPS / 4][SITES][2];   // descriptors of a warpgroup's latest products
    unsigned turns;
    long products;
} h;

long emulate_wgmma_count(void) { return h.products; }

static void want_sm90(const char *file, int line)
{
    if (!emulate_is_sm90())
        emulate_fail("%s:%d: an instruction of sm_90a in a kernel that is launched as another", file, line);
}

void hopper_begin(int threads)
{
    const int each = 65536 / ((threads + 31) / 32 * 32) / 8 * 8;
    h.threads = threads;
    h.registers = (threads + 31) / 32 * 32 * each;
    h.unfenced = false;
    h.n_transfers = 0;
    for (int i = 0; i < (threads + 31) / 32; i++) {
        Warp *w = &h.warp[i];
        w->fenced = false;
        w->n_ops = w->group = w->issued = 0;
        w->registers = each;
    }
    for (int i = 0; i < threads; i++) h.sums[i].under_way = 0;
}

unsigned emulate_shared_address(const void *p)
{
    return (unsigned)((const unsigned char *)p - emulate_shared_memory());
}

static size_t shared_at(const void *p, size_t bytes, size_t align, const char *what, const char *file, int line)
{
    const size_t at = (size_t)((const unsigned char *)p - emulate_shared_memory());
    if ((const unsigned char *)p < emulate_shared_memory() || !emulate_shared_holds(at, bytes))
        emulate_fail("%s:%d: %s of %zu bytes is not in a shared variable", file, line, what, bytes);
    if (at % align) emulate_fail("%s:%d: %s at %zu is not a multiple of %zu", file, line, what, at, align);
    return at;
}

// ---- barriers: bits 0..19 count, 20..39 arrivals that are missing, 40..62 bytes that are missing + 2^22, 63 phase

static const uint64_t NO_BYTES = (uint64_t)1 << 22;
typedef struct Barrier { unsigned count, missing, phase; int64_t bytes; } Barrier;

static Barrier barrier_get(const uint64_t *b, const char *file, int line)
{
    shared_at(b, 8, 8, "a barrier", file, line);
    if (*b == ~(uint64_t)0) emulate_fail("%s:%d: the barrier is not initialised", file, line);
    const uint64_t v = *b;
    return Barrier{(unsigned)(v & 0xFFFFF), (unsigned)(v >> 20 & 0xFFFFF), (unsigned)(v >> 63),
                   (int64_t)(v >> 40 & 0x7FFFFF) - (int64_t)NO_BYTES};
}

// The phase ends when nothing is missing.
static void barrier_put(uint64_t *b, Barrier v, const char *file, int line)
{
    if (v.bytes <= -(1 << 20) || v.bytes >= 1 << 20)
        emulate_fail("%s:%d: %lld bytes missing on a barrier", file, line, (long long)v.bytes);
    if (v.missing == 0 && v.bytes == 0) {
        v.missing = v.count;
        v.phase ^= 1;
    }
    *b = (uint64_t)v.count | (uint64_t)v.missing << 20 | ((uint64_t)v.bytes + NO_BYTES) << 40 | (uint64_t)v.phase << 63;
}

void emulate_mbarrier_init(uint64_t *b, unsigned count, const char *file, int line)
{
    want_sm90(file, line);
    shared_at(b, 8, 8, "a barrier", file, line);
    if (count < 1 || count >= 0xFFFFF) emulate_fail("%s:%d: a barrier of %u arrivals", file, line, count);
    *b = (uint64_t)count | (uint64_t)count << 20 | NO_BYTES << 40;
    h.unfenced = true;
}

void emulate_mbarrier_init_fence() { h.unfenced = false; }

void emulate_mbarrier_arrive(uint64_t *b, unsigned expect, const char *file, int line)
{
    want_sm90(file, line);
    Barrier v = barrier_get(b, file, line);
    if (v.missing == 0) emulate_fail("%s:%d: more arrivals than the barrier's %u", file, line, v.count);
    v.bytes += expect;
    v.missing--;
    barrier_put(b, v, file, line);
}

typedef struct Wait { uint64_t *b; unsigned parity; const char *file; int line; } Wait;

static bool phase_ended(void *arg)
{
    const Wait *w = static_cast<Wait *>(arg);
    return barrier_get(w->b, w->file, w->line).phase != w->parity;
}

void emulate_mbarrier_wait(uint64_t *b, unsigned parity, const char *file, int line)
{
    want_sm90(file, line);
    if (parity > 1) emulate_fail("%s:%d: parity %u", file, line, parity);
    Wait w = {b, parity, file, line};
    emulate_wait_until(phase_ended, &w, "the end of a barrier's phase", file, line);
}

// ---- copies

static size_t swizzled(size_t at) { return at ^ (at >> 7 & 7) << 4; }

// The driver's conditions on a tensor map.
void emulate_tensor_check(const TensorBox *t)
{
    const bool value = t->value == 2 || t->value == 4;
    CHECK(value && (uintptr_t)t->x % 16 == 0, "tensor map: values of %d bytes at %p", t->value, t->x);
    for (int i = 0; i < 3; i++)
        CHECK(t->dim[i] > 0 && t->dim[i] <= INT64_C(1) << 32, "tensor map: dimension %d is %lld", i,
              (long long)t->dim[i]);
    for (int i = 0; i < 2; i++)
        CHECK(t->stride[i] % 16 == 0 && t->stride[i] > 0 && t->stride[i] < INT64_C(1) << 40 && t->box[i] > 0 &&
                  t->box[i] <= 256,
              "tensor map: stride %lld, box %d", (long long)t->stride[i], t->box[i]);
    CHECK(t->dim[0] * t->value <= t->stride[0], "tensor map: rows of %lld bytes, %lld apart",
          (long long)(t->dim[0] * t->value), (long long)t->stride[0]);
    CHECK(t->box[0] * t->value == 128, "tensor map: a box of %d values of %d bytes; 128-byte rows are emulated",
          t->box[0], t->value);
}

void emulate_tma_load(void *to, const TensorBox *t, uint64_t *b, const int at[3], const char *file, int line)
{
    want_sm90(file, line);
    const size_t bytes = (size_t)128 * (size_t)t->box[1];
    const size_t where = shared_at(to, bytes, 128, "the target of a copy", file, line);
    (void)barrier_get(b, file, line);
    if (h.unfenced) emulate_fail("%s:%d: no mbarrier_init_fence() since the barriers were initialised", file, line);
    if (h.n_transfers == COPIES) emulate_fail("%s:%d: more than %d copies under way", file, line, COPIES);
    for (int i = 0; i < h.n_transfers; i++)
        if (where < h.transfer[i].to + h.transfer[i].bytes && h.transfer[i].to < where + bytes)
            emulate_fail("%s:%d: another copy to the same place is under way", file, line);
    h.transfer[h.n_transfers++] = Transfer{*t, where, {at[0], at[1], at[2]}, b, bytes};
    memset(to, 0xFF, bytes);
}

static void land(int which)
{
    const Transfer t = h.transfer[which];
    h.transfer[which] = h.transfer[--h.n_transfers];
    const size_t value = (size_t)t.map.value;
    for (int r = 0; r < t.map.box[1]; r++)
        for (int i = 0; i < t.map.box[0]; i++) {
            const int64_t x = t.at[0] + i, y = t.at[1] + r, z = t.at[2];
            unsigned char *to = emulate_shared_memory() + swizzled(t.to + (size_t)r * 128 + (size_t)i * value);
            if (x < 0 || x >= t.map.dim[0] || y < 0 || y >= t.map.dim[1] || z < 0 || z >= t.map.dim[2])
                memset(to, 0, value);
            else
                memcpy(to, (const char *)t.map.x + z * t.map.stride[1] + y * t.map.stride[0] + x * (int64_t)value,
                       value);
        }
    Barrier v = barrier_get(t.barrier, "a copy", 0);
    v.bytes -= (int64_t)t.bytes;
    barrier_put(t.barrier, v, "a copy", 0);
}

bool hopper_turn(bool idle)
{
    const int how = emulate_order();
    h.turns++;
    if (h.n_transfers == 0) return false;
    if (how == 1) land(0);
    else if (idle) land(how == 2 ? h.n_transfers - 1 : (int)(h.turns * 2654435761u >> 16) % h.n_transfers);
    else if (how == 2 || (h.turns * 2654435761u >> 20 & 3)) return false;
    else land((int)(h.turns % (unsigned)h.n_transfers));
    return true;
}

// ---- products

typedef struct Post { float *d; const Product *p; int self, newest; const char *file; int line; } Post;

static size_t field(uint64_t v, int bit) { return (size_t)(v >> bit & 0x3FFF) << 4; }

// Address of value (r, k) of the matrix behind a descriptor; r: row of A, column of B.
static size_t value_at(uint64_t m, bool across, size_t bytes, size_t r, size_t k)
{
    const size_t start = field(m, 0), leading = field(m, 16), stride = field(m, 32);
    if (across) return swizzled(start + r / 64 * leading + r % 64 * bytes + k / 8 * stride + k % 8 * 128);
    return swizzled(start + r / 8 * stride + r % 8 * 128 + k * bytes);
}

// 1,024 bytes that a product reads: all or none of them are of one variable, and of one copy.
static void check_pattern(size_t pattern, const char *file, int line)
{
    const size_t at = pattern * 1024;
    if (!emulate_shared_holds(at, 1024)) emulate_fail("%s:%d: a matrix reaches out of its shared variable", file, line);
    for (int i = 0; i < h.n_transfers; i++)
        if (at < h.transfer[i].to + h.transfer[i].bytes && h.transfer[i].to < at + 1024)
            emulate_fail("%s:%d: reads a matrix to which a copy is under way", file, line);
}

// Rows r0.. of the matrix, K values each, as f32 bits, by pieces of 16 bytes: neighbours along k, or along the rows.
static void read_matrix(uint64_t m, bool across, bool bf16, int r0, int rows, uint32_t *to, const char *file, int line)
{
    const size_t bytes = bf16 ? 2 : 4, K = bf16 ? 16 : 8, piece = 16 / bytes;
    size_t checked = SIZE_MAX;
    for (size_t r = 0; r < (size_t)rows; r += across ? piece : 1)
        for (size_t k = 0; k < K; k += across ? 1 : piece) {
            const size_t at = value_at(m, across, bytes, (size_t)r0 + r, k);
            if (at / 1024 != checked) check_pattern(checked = at / 1024, file, line);
            for (size_t j = 0; j < piece; j++) {
                uint32_t v = 0;
                memcpy(&v, emulate_shared_memory() + at + j * bytes, bytes);
                v = bf16 ? v << 16 : v & ~0x1FFFu;   // tf32: low bits are ignored
                to[across ? (r + j) * K + k : r * K + k + j] = v;
            }
        }
}

static void check_matrix(uint64_t m, const char *file, int line)
{
    if (m >> 62 != 1 || m >> 46 & 0xFFFF || m >> 30 & 3 || m >> 14 & 3)
        emulate_fail("%s:%d: descriptor %016llx: want the 128-byte swizzle, nothing else", file, line,
                     (unsigned long long)m);
    if (field(m, 0) & 0x380)
        emulate_fail("%s:%d: the swizzle's pattern does not begin at a multiple of 1,024", file, line);
}

static void warp_site(void *const post[32], Post **first, Warp **w)
{
    *first = static_cast<Post *>(post[0]);
    *w = &h.warp[(*first)->self / 32];
}

static void together_fence(void *const post[32], unsigned)
{
    Post *p;
    Warp *w;
    warp_site(post, &p, &w);
    w->fenced = true;
}

static void together_commit(void *const post[32], unsigned)
{
    Post *p;
    Warp *w;
    warp_site(post, &p, &w);
    w->group++;
}

// d is NaN while products are under way.
static void hide_sums(const Post *p)
{
    Sums *s = &h.sums[p->self];
    const int n = p->p->N / 2;
    if (s->under_way++ == 0) {
        s->d = p->d;
        s->n = n;
        memcpy(s->value, p->d, (size_t)n * sizeof(float));
        memset(p->d, 0xFF, (size_t)n * sizeof(float));
        return;
    }
    if (s->d != p->d || s->n != n)
        emulate_fail("%s:%d: other sums than those of the products under way", p->file, p->line);
    for (int i = 0; i < n; i++)
        if (__float_as_uint(p->d[i]) != 0xFFFFFFFFu)
            emulate_fail("%s:%d: sums were written while products were under way", p->file, p->line);
}

static void together_issue(void *const post[32], unsigned)
{
    Post *first;
    Warp *w;
    warp_site(post, &first, &w);
    const Product *p = first->p;
    const int warp = first->self / 32;
    if (h.threads % 128) emulate_fail("%s:%d: wgmma in a block of %d threads", first->file, first->line, h.threads);
    if (!w->fenced) emulate_fail("%s:%d: no wgmma_fence() since the sums could be touched", first->file, first->line);
    if (w->n_ops == OPS) emulate_fail("%s:%d: more than %d products under way", first->file, first->line, OPS);
    check_matrix(p->a, first->file, first->line);
    check_matrix(p->b, first->file, first->line);
    // the four warps of a group issue the same products
    uint64_t *seen = h.site[warp / 4][w->issued % SITES];
    bool newest = true;
    for (int i = warp / 4 * 4; i < warp / 4 * 4 + 4; i++) {
        newest &= h.warp[i].issued <= w->issued;
        if (abs(h.warp[i].issued - w->issued) >= SITES)
            emulate_fail("%s:%d: the warps of a group issue other products", first->file, first->line);
    }
    if (newest) seen[0] = p->a, seen[1] = p->b;
    else if (seen[0] != p->a || seen[1] != p->b)
        emulate_fail("%s:%d: the warps of a group name other matrices", first->file, first->line);
    w->issued++;
    Product *op = &w->op[w->n_ops++];
    op->a = p->a, op->b = p->b, op->N = p->N, op->bf16 = p->bf16, op->across_a = p->across_a,
    op->across_b = p->across_b;
    op->group = w->group;
    read_matrix(op->a, op->across_a, op->bf16, warp % 4 * 16, 16, op->rows, first->file, first->line);
    read_matrix(op->b, op->across_b, op->bf16, 0, op->N, op->cols, first->file, first->line);
    for (int l = 0; l < 32; l++) {
        const Post *q = static_cast<Post *>(post[l]);
        if (q->p->a != p->a || q->p->b != p->b)
            emulate_fail("%s:%d: the lanes of a warp name other matrices", first->file, first->line);
        hide_sums(q);
    }
    h.products++;
}

// d += A B for the warp's 16 rows: products summed in double, rounded once.
static void compute(int warp, const Product *op)
{
    static double b[DEPTH_MAX][COLUMNS], sum[COLUMNS];
    const int K = op->bf16 ? 16 : 8, N = op->N;
    Sums *lanes = &h.sums[warp * 32];
    for (int k = 0; k < K; k++)
        for (int n = 0; n < N; n++) b[k][n] = (double)__uint_as_float(op->cols[n * K + k]);
    for (int row = 0; row < 16; row++) {
        Sums *four = &lanes[row % 8 * 4];   // the lanes that hold this row, two neighbouring columns of eight each
        const int half = row / 8 * 2;
        for (int n = 0; n < N; n++) sum[n] = (double)four[n % 8 / 2].value[n / 8 * 4 + half + n % 2];
        for (int k = 0; k < K; k++) {
            const double a = (double)__uint_as_float(op->rows[row * K + k]);
#pragma omp simd
            for (int n = 0; n < N; n++) sum[n] += a * b[k][n];
        }
        for (int n = 0; n < N; n++) four[n % 8 / 2].value[n / 8 * 4 + half + n % 2] = (float)sum[n];
    }
    for (int l = 0; l < 32; l++)
        if (--lanes[l].under_way == 0) memcpy(lanes[l].d, lanes[l].value, (size_t)lanes[l].n * sizeof(float));
}

static void together_wait(void *const post[32], unsigned)
{
    static uint32_t rows[16 * DEPTH_MAX], cols[COLUMNS * DEPTH_MAX];
    Post *p;
    Warp *w;
    warp_site(post, &p, &w);
    const int warp = p->self / 32;
    int done = 0;
    for (; done < w->n_ops && w->op[done].group < w->group - p->newest; done++) {
        const Product *op = &w->op[done];
        const size_t K = op->bf16 ? 16 : 8;
        read_matrix(op->a, op->across_a, op->bf16, warp % 4 * 16, 16, rows, p->file, p->line);
        read_matrix(op->b, op->across_b, op->bf16, 0, op->N, cols, p->file, p->line);
        if (memcmp(rows, op->rows, 16 * K * 4) != 0 || memcmp(cols, op->cols, (size_t)op->N * K * 4) != 0)
            emulate_fail("%s:%d: a matrix has changed while a product that reads it was under way", p->file, p->line);
        compute(warp, op);
    }
    memmove(w->op, w->op + done, (size_t)(w->n_ops - done) * sizeof(Product));
    w->n_ops -= done;
    w->fenced = false;
}

static void collective(Post *p, EmulateTogether *together)
{
    want_sm90(p->file, p->line);
    emulate_warp(0xFFFFFFFFu, p->file, p->line, p, together);
}

void emulate_wgmma_fence(const char *file, int line)
{
    Post p = {NULL, NULL, emulate_self(), 0, file, line};
    collective(&p, together_fence);
}

void emulate_wgmma(float *d, int N, uint64_t a, uint64_t b, bool bf16, bool across_a, bool across_b, const char *file,
                   int line)
{
    static Product op[WARPS * 32];
    Product *mine = &op[emulate_self()];
    mine->a = a, mine->b = b, mine->N = N, mine->bf16 = bf16, mine->across_a = across_a, mine->across_b = across_b;
    Post p = {d, mine, emulate_self(), 0, file, line};
    collective(&p, together_issue);
}

void emulate_wgmma_commit(const char *file, int line)
{
    Post p = {NULL, NULL, emulate_self(), 0, file, line};
    collective(&p, together_commit);
}

void emulate_wgmma_wait(int newest, const char *file, int line)
{
    Post p = {NULL, NULL, emulate_self(), newest, file, line};
    collective(&p, together_wait);
}

// ---- registers

static void together_registers(void *const post[32], unsigned)
{
    Post *p;
    Warp *w;
    warp_site(post, &p, &w);
    const int n = abs(p->newest);
    if (n < 24 || n > 256 || n % 8 || (p->newest > 0 ? n < w->registers : n > w->registers))
        emulate_fail("%s:%d: from %d to %d registers", p->file, p->line, w->registers, n);
    w->registers = n;
}

void emulate_registers(int n, bool take, const char *file, int line)
{
    Post p = {NULL, NULL, emulate_self(), take ? n : -n, file, line};
    collective(&p, together_registers);
}

void hopper_end()
{
    int registers = 0;
    if (h.n_transfers) emulate_fail("the block has ended while %d copies are under way", h.n_transfers);
    for (int i = 0; i < (h.threads + 31) / 32; i++) {
        const Warp *w = &h.warp[i];
        registers += w->registers * 32;
        if (w->n_ops) emulate_fail("warp %d has ended with %d products that it has not waited for", i, w->n_ops);
        if (w->issued != h.warp[i / 4 * 4].issued)
            emulate_fail("the warps of a group have issued other numbers of products");
        if (w->registers != h.warp[i / 4 * 4].registers)
            emulate_fail("the warps of a group have other numbers of registers");
    }
    if (registers > h.registers) emulate_fail("%d registers, the block began with %d", registers, h.registers);
}
