#include "check/check.h"

#include <float.h>
#include <math.h>
#include <omp.h>
#include <stdarg.h>
#include <string.h>

#include "check/fill.h"
#include "check/oracle.h"
#include "check/replay.h"
#include "tensor/clock.h"

// One case being checked.  The device handed to the case's tape is the first member: its kernel of the op under test is
// capture(), which finds the Checker through the output's device and runs all checks on the live call.
typedef struct Checker {
    Device dev;
    const CheckOptions *o;
    const Case *c;
    int index;             // of the case, for messages
    CheckRow *row;
    Arena *mem, *scratch;
    int captured;          // calls of the op that build made: must be 1
    double *cotangent;     // NULL: not differentiable
    Results truth;         // of the f64 device
} Checker;

double check_fold(double worst, double error)
{
    if (isnan(worst) || isnan(error)) return INFINITY;
    return error > worst ? error : worst;
}

// ---- comparisons

// Largest |a - b|; NaN or infinity on either side gives infinity.
static double max_error(const double *a, const double *b, int64_t n)
{
    double worst = 0;
    for (int64_t i = 0; i < n; i++) worst = check_fold(worst, fabs(a[i] - b[i]));
    return worst;
}

static double max_abs(const double *a, int64_t n)
{
    double worst = 0;
    for (int64_t i = 0; i < n; i++) worst = check_fold(worst, fabs(a[i]));
    return worst;
}

// One float ulp of the largest |value|.
static double float_ulp(double largest)
{
    int e;
    frexp(largest, &e);
    return ldexp(1, (e < FLT_MIN_EXP ? FLT_MIN_EXP : e) - FLT_MANT_DIG);
}

// Counts one check; a false condition is a failure with the case's name in front.
__attribute__((format(printf, 3, 4))) static void expect(Checker *k, bool ok, const char *fmt, ...)
{
    k->row->checks++;
    if (ok) return;
    char msg[sizeof k->row->first];
    int at = snprintf(msg, sizeof msg, "%s case %d (%s): ", k->row->op, k->index, k->c->label);
    va_list ap;
    va_start(ap, fmt);
    if (at < (int)sizeof msg) vsnprintf(msg + at, sizeof msg - (size_t)at, fmt, ap);
    va_end(ap);
    if (!k->row->failures++) memcpy(k->row->first, msg, sizeof msg);
    if (k->o->say) k->o->say(k->o->ctx, msg);
}

static void expect_intact(Checker *k, const Replay *r)
{
    expect(k, !r->fault[0], "%s: %s", r->dev->name, r->fault);
}

// a and b must be the same bits, tensor by tensor; tensor `except` is left out (-1: none).
static void expect_same(Checker *k, const Results *a, const Results *b, int except, const char *what, const char *dev)
{
    char buf[32];
    for (int t = 0; t < REPLAY_TENSORS; t++) {
        if (t == except || !a->v[t]) continue;
        expect(k, b->v[t] && a->n[t] == b->n[t] && memcmp(a->v[t], b->v[t], (size_t)a->n[t] * sizeof(double)) == 0,
               "%s: %s changes the bits of %s", dev, what, results_name(a, t, buf));
    }
}

// ---- f64: gradient and oracle

static double weighted_difference(const double *r, const double *a, const double *b, int64_t n)
{
    double sum = 0;
    for (int64_t i = 0; i < n; i++) sum += r[i] * (a[i] - b[i]);
    return sum;
}

static void check_gradient(Checker *k, Replay *r, int input)
{
    Tensor *x = &r->in[input];
    const Tensor *y = r->call.out[0];
    const int64_t n = numel(x), m = numel(y);
    double *value = x->x, *numeric = arena_alloc(k->mem, (size_t)n * sizeof *numeric);
    double *plus = arena_alloc(k->mem, (size_t)m * sizeof *plus);
    for (int64_t i = 0; i < n; i++) {
        const double keep = value[i];
        value[i] = keep + CHECK_H;
        const double up = value[i];
        replay_call(r, false);
        memcpy(plus, y->x, (size_t)m * sizeof *plus);
        value[i] = keep - CHECK_H;
        const double down = value[i];
        replay_call(r, false);
        numeric[i] = weighted_difference(k->cotangent, plus, y->x, m) / (up - down);
        value[i] = keep;
    }
    const double *analytic = k->truth.v[k->truth.n_out + input];
    const double scale = fmax(1, max_abs(numeric, n));
    double worst = 0;
    int64_t at = 0;
    for (int64_t i = 0; i < n; i++) {
        const double e = check_fold(worst, fabs(analytic[i] - numeric[i]) / scale);
        if (e > worst) at = i;
        worst = e;
    }
    k->row->gradient = check_fold(k->row->gradient, worst);
    k->row->gradients += n;
    expect(k, worst <= GRADIENT_TOL,
           "gradient of input %d, element %lld of %lld: backward %.9g, central difference %.9g", input,
           (long long)at, (long long)n, analytic[at], numeric[at]);
}

static void check_oracle(Checker *k, const OpCall *c)
{
    Oracle *oracle = oracle_find(c->op);
    if (!oracle) return;
    k->row->has_oracle = true;
    long double *want[OP_MAX_OUT];
    for (int j = 0; j < c->n_out; j++) {
        want[j] = arena_alloc(k->mem, (size_t)k->truth.n[j] * sizeof *want[j]);
        for (int64_t i = 0; i < k->truth.n[j]; i++) want[j][i] = (long double)NAN;   // left as it is: failed
    }
    const size_t mark = arena_mark(c->scratch);
    oracle(c, want);
    arena_rewind(c->scratch, mark);
    for (int j = 0; j < c->n_out; j++) {
        double worst = 0, scale = 1;
        for (int64_t i = 0; i < k->truth.n[j]; i++) {
            worst = check_fold(worst, (double)fabsl((long double)k->truth.v[j][i] - want[j][i]));
            scale = check_fold(scale, (double)fabsl(want[j][i]));
        }
        worst = isinf(scale) ? INFINITY : worst / scale;
        k->row->oracle = check_fold(k->row->oracle, worst);
        expect(k, worst <= ORACLE_TOL, "out %d is %.3g of its largest value away from the oracle, bound %.1g", j, worst,
               ORACLE_TOL);
    }
}

// ---- contract, on any device

static void check_accumulates(Checker *k, Replay *r, const Results *once)
{
    replay_backward(r);   // a second time, on top
    const Results twice = replay_results(k->mem, r);
    const double tol = r->dev->real_size == sizeof(double) ? 1e-10 : 1e-3;
    char buf[32];
    for (int t = once->n_out; t < REPLAY_TENSORS; t++) {
        if (!once->v[t]) continue;
        double worst = 0;
        for (int64_t i = 0; i < once->n[t]; i++) worst = check_fold(worst, fabs(twice.v[t][i] - 2 * once->v[t][i]));
        expect(k, worst <= tol * fmax(1, max_abs(once->v[t], once->n[t])),
               "%s: backward twice is not double: %s is off by %.3g", r->dev->name, results_name(once, t, buf), worst);
    }
}

// With gradient `out` missing (or, when only, all gradients but that one) the others keep their bits.
static void check_skips_one(Checker *k, Replay *r, const Results *full, int one, bool only)
{
    void *kept[OP_MAX_IN] = {0};
    bool any = false;
    for (int i = 0; i < r->call.n_in; i++) {
        kept[i] = r->in[i].g;
        if ((i == one) != only) r->in[i].g = NULL;
        any |= r->in[i].g != NULL;
    }
    replay_zero_grad(r);
    if (any) {
        replay_backward(r);
        const Results part = replay_results(k->mem, r);
        Results want = *full;
        for (int i = 0; i < r->call.n_in; i++)
            if (!r->in[i].g) want.v[want.n_out + i] = NULL;
        expect_same(k, &want, &part, -1, "a gradient that nobody asked for", r->dev->name);
    }
    for (int i = 0; i < r->call.n_in; i++) r->in[i].g = kept[i];
}

static void check_contract(Checker *k, Replay *r, const Results *full)
{
    if (k->cotangent) {
        check_accumulates(k, r, full);
        int wanted = 0;
        for (int i = 0; i < r->call.n_in; i++) wanted += r->in[i].g != NULL;
        for (int i = 0; wanted > 1 && i < r->call.n_in; i++) {
            if (!r->in[i].g) continue;
            check_skips_one(k, r, full, i, false);
            if (wanted > 2) check_skips_one(k, r, full, i, true);
        }
    }
    expect_intact(k, r);
}

static Results run(Checker *k, Replay *r)
{
    replay_forward(r);
    if (k->cotangent) replay_backward(r);
    expect_intact(k, r);
    return replay_results(k->mem, r);
}

static void check_threads(Checker *k, const Device *dev, const OpCall *c, const Results *one)
{
    static const int counts[] = {2, 3, 7};
    for (int i = 0; i < (int)(sizeof counts / sizeof *counts); i++) {
        const size_t mark = arena_mark(k->mem);
        omp_set_num_threads(counts[i]);
        const Results s = run(k, replay_new(k->mem, dev, c, k->cotangent, 0));
        omp_set_num_threads(1);
        char what[32];
        snprintf(what, sizeof what, "%d threads", counts[i]);
        expect_same(k, one, &s, -1, what, dev->name);
        arena_rewind(k->mem, mark);
    }
}

// ---- f32 against f64

// The ulps of the op's row, and more for Winograd's algorithm, whose transforms amplify roundings: 19 ulps were seen
// where the plain sum errs by 2.3 (F(4x4,3x3), 32 channels: rms 0.6e-6 of the result's rms against 0.2e-6).
static double allowance(const Device *dev, OpId op)
{
    enum { WINOGRAD_ULPS = 16 };
    return op_info(op)->ulps + (op == OP_conv2d && !dev->exact ? WINOGRAD_ULPS : 0);
}

// Of the largest value: what operands rounded to 11 and 8 bits may cost, twice over.
static double math_tolerance(Math math) { return math == MATH_BF16 ? 0x1p-6 : math == MATH_TF32 ? 0x1p-9 : 0; }

// Errors of results s against the truth, tensor by tensor, held to the plain device's (NULL: s is the plain device's).
static void check_parity(Checker *k, const Device *dev, const Results *s, const Results *plain, int offset)
{
    char buf[32];
    for (int t = 0; t < REPLAY_TENSORS; t++) {
        if (!k->truth.v[t]) continue;
        const int64_t n = k->truth.n[t];
        const double largest = max_abs(k->truth.v[t], n), ulp = float_ulp(largest);
        const double err = s->v[t] ? max_error(s->v[t], k->truth.v[t], n) / ulp : INFINITY;
        double bound = fmax(PLAIN_TOL * largest, 4 * (double)FLT_EPSILON) / ulp;
        if (plain) {
            bound = 2 * max_error(plain->v[t], k->truth.v[t], n) / ulp + allowance(dev, k->c->op);
            bound = fmax(bound, math_tolerance(dev->math) * largest / ulp);
            if (!(err / bound <= k->row->parity / k->row->bound)) {
                k->row->parity = err;
                k->row->bound = bound;
            }
        } else {
            k->row->plain = check_fold(k->row->plain, err);
        }
        expect(k, isfinite(largest) && err <= bound, "%s, offset %d: %s errs by %.3g ulp of %.3g, bound %.3g",
               dev->name, offset, results_name(&k->truth, t, buf), err, largest, bound);
    }
}

// Ops in which every value of the first input reaches an output, also through a maximum or a branch.
static bool keeps_nan(OpId op)
{
    switch (op) {
    case OP_relu: case OP_silu: case OP_gelu_tanh: case OP_gelu_erf: case OP_sigmoid: case OP_tanh: case OP_softplus:
    case OP_clamp:
    case OP_global_maxpool: case OP_global_avgpool: case OP_softmax: case OP_attention: case OP_layer_norm:
    case OP_group_norm: case OP_adagn: case OP_film: case OP_sum: case OP_mean: case OP_mse: case OP_huber:
    case OP_crps_pair: case OP_sumsq: case OP_add: case OP_scale: case OP_linear: case OP_linear_gelu:
    case OP_linear_silu: case OP_linear_add: case OP_selective_scan:
        return true;
    default:
        return false;
    }
}

// A NaN must not vanish in a kernel (max(NaN, 0) = 0 hides a diverged training run).
static void check_nan(Checker *k, const Device *dev, const OpCall *c)
{
    enum { PLACES = 64 };
    if (!keeps_nan(c->op) || k->c->large) return;
    Replay *r = replay_new(k->mem, dev, c, NULL, 0);
    const Tensor *x = &r->in[0], *y = r->call.out[0];
    const int64_t n = numel(x), step = n <= PLACES ? 1 : n / PLACES;
    double *out = arena_alloc(k->mem, (size_t)numel(y) * sizeof *out);
    int64_t lost = -1;
    for (int64_t i = 0; i < n; i += step) {
        bool seen = false;
        unsigned char *place = (unsigned char *)x->x + (size_t)i * dev->real_size, keep[8];
        memcpy(keep, place, dev->real_size);
        memset(place, 0xFF, dev->real_size);
        replay_call(r, false);
        tensor_get_f64(y, out, numel(y));
        for (int64_t j = 0; j < numel(y); j++) seen |= isnan(out[j]);
        memcpy(place, keep, dev->real_size);
        if (!seen) lost = i;
    }
    expect(k, lost < 0, "%s: a NaN in element %lld of input 0 vanishes", dev->name, (long long)lost);
}

static bool has_variant(const CheckOptions *o, const Device *dev, OpId op)
{
    return dev != o->f32[0] && (dev->fwd[op] != o->f32[0]->fwd[op] || dev->bwd[op] != o->f32[0]->bwd[op]);
}

// The direct convolution where the device would take Winograd's: held to the bound of plain sums.
static void check_exact(Checker *k, const Device *dev, const OpCall *c, const Results *plain)
{
    const size_t mark = arena_mark(k->mem);
    Device exact = *dev;
    exact.exact = true;
    const Results s = run(k, replay_new(k->mem, &exact, c, k->cotangent, 0));
    check_parity(k, &exact, &s, plain, 0);
    arena_rewind(k->mem, mark);
}

static void check_device(Checker *k, const Device *dev, const OpCall *c, const Results *plain, Results *kept)
{
    Replay *r = replay_new(k->mem, dev, c, k->cotangent, 0);
    *kept = run(k, r);
    if (!plain && k->o->variants_only) return;
    check_parity(k, dev, kept, plain, 0);
    check_contract(k, r, kept);
    check_nan(k, dev, c);
    check_threads(k, dev, c, kept);
    const size_t mark = arena_mark(k->mem);
    const Results shifted = run(k, replay_new(k->mem, dev, c, k->cotangent, 1));
    check_parity(k, dev, &shifted, plain, 1);
    if (c->op == OP_conv2d && plain) check_exact(k, dev, c, plain);
    arena_rewind(k->mem, mark);
}

// Products of small integers are exact in float in any order: every device must give the very same values.  What is
// no sum of products in another order (Winograd) steps aside on an exact device; parity holds it to the truth.
static void check_integers(Checker *k, const OpCall *c)
{
    OpCall whole = *c;
    for (int i = 0; i < c->n_in; i++) {
        if (!c->in[i] || c->in[i]->dtype != REAL) continue;
        Tensor *t = arena_alloc(k->mem, sizeof *t);
        const int64_t n = numel(c->in[i]);
        double *x = arena_alloc(k->mem, (size_t)n * sizeof *x);
        for (int64_t e = 0; e < n; e++) x[e] = fmin(4, fmax(-4, nearbyint(2 * ((const double *)c->in[i]->x)[e])));
        *t = *c->in[i];
        t->x = x;
        whole.in[i] = t;
    }
    double *fine = k->cotangent;
    k->cotangent = arena_alloc(k->mem, (size_t)k->truth.n[0] * sizeof(double));
    for (int64_t e = 0; e < k->truth.n[0]; e++) k->cotangent[e] = fmin(4, fmax(-4, nearbyint(2 * fine[e])));
    const Results want = run(k, replay_new(k->mem, k->o->f64, &whole, k->cotangent, 0));
    for (int d = 0; d < k->o->n_f32; d++) {
        if (d > 0 && !has_variant(k->o, k->o->f32[d], c->op)) continue;
        Device exact = *k->o->f32[d];
        exact.exact = true;
        const Results got = run(k, replay_new(k->mem, &exact, &whole, k->cotangent, 0));
        char buf[32];
        for (int t = 0; t < REPLAY_TENSORS; t++)
            if (want.v[t])
                expect(k, max_error(want.v[t], got.v[t], want.n[t]) == 0, "%s: %s of small integers is not exact",
                       k->o->f32[d]->name, results_name(&want, t, buf));
    }
    k->cotangent = fine;
}

static bool is_product(OpId op)
{
    return op == OP_linear || op == OP_linear_add || op == OP_matmul || op == OP_conv2d || op == OP_dwconv1d;
}

// ---- one case

static void check_truth(Checker *k, Replay *r, const OpCall *c)
{
    check_oracle(k, c);
    check_contract(k, r, &k->truth);
    check_nan(k, k->o->f64, c);
    check_threads(k, k->o->f64, c, &k->truth);
    for (int i = 0; !k->c->large && i < c->n_in; i++)
        if (r->in[i].g) check_gradient(k, r, i);
}

static void check_call(Checker *k, const OpCall *c)
{
    const CheckOptions *o = k->o;
    const int64_t n = numel(c->out[0]);
    bool wants = false;
    for (int i = 0; i < c->n_in; i++) wants |= c->in[i] && c->in[i]->needs_grad;
    if (wants && op_info(c->op)->diff) {
        k->cotangent = arena_alloc(k->mem, (size_t)n * sizeof(double));
        fill_f64(k->cotangent, n, FILL_NORMAL, 99, (uint32_t)k->index);
    }
    Replay *r = replay_new(k->mem, o->f64, c, k->cotangent, 0);
    k->truth = run(k, r);
    char buf[32];
    for (int t = 0; t < REPLAY_TENSORS; t++)
        if (k->truth.v[t])
            expect(k, isfinite(max_abs(k->truth.v[t], k->truth.n[t])), "f64: %s is not finite",
                   results_name(&k->truth, t, buf));
    if (!o->variants_only) check_truth(k, r, c);
    Results plain = {0}, other;
    for (int d = 0; d < o->n_f32; d++) {
        if (d == 0) check_device(k, o->f32[0], c, NULL, &plain);
        else if (has_variant(o, o->f32[d], c->op)) check_device(k, o->f32[d], c, &plain, &other);
    }
    if (is_product(c->op) && o->n_f32) check_integers(k, c);
}

// The kernel that the case's tape calls for the op under test.
static void capture(const OpCall *c)
{
    Checker *k = (Checker *)(uintptr_t)c->out[0]->dev;
    if (k->captured++ == 0) check_call(k, c);
    k->o->f64->fwd[c->op](c);
}

// The tape's own backward pass gives the replay's gradients.
static void check_tape(Checker *k, Tape *t)
{
    expect(k, t->n_nodes == 1, "the tape holds %d nodes, want 1", t->n_nodes);
    if (t->n_nodes != 1) return;
    const OpCall *c = t->node[0];
    memcpy(tape_grad(t, c->out[0]), k->cotangent, (size_t)numel(c->out[0]) * sizeof(double));
    tape_backward_from(t, c->out[0]);
    for (int i = 0; i < c->n_in; i++) {
        const double *want = k->truth.v[c->n_out + i];
        if (!want) continue;
        bool once = true;   // an input used twice gets the sum: compared by the gradient check of modules
        for (int j = 0; j < c->n_in; j++) once &= j == i || c->in[j] != c->in[i];
        if (once)
            expect(k, memcmp(want, c->in[i]->g, (size_t)numel(c->in[i]) * sizeof(double)) == 0,
                   "tape_backward gives another gradient of input %d", i);
    }
}

static void check_case(Checker *k, Arena *step)
{
    const OpId op = k->c->op;
    const size_t step_mark = arena_mark(step), mem_mark = arena_mark(k->mem);
    k->dev = *k->o->f64;
    k->dev.fwd[op] = capture;
    k->captured = 0;
    k->cotangent = NULL;
    k->truth = (Results){0};
    Tensor *in[OP_MAX_IN] = {0};
    for (int i = 0; i < k->c->n_in; i++)
        in[i] = fill_tensor(k->mem, &k->dev, &k->c->in[i], (uint64_t)i + 1, (uint32_t)k->index);
    Tape t;
    tape_init(&t, &k->dev, step, k->scratch);
    k->c->build(&t, in, k->c);
    expect(k, k->captured == 1, "build called the op %d times, want once", k->captured);
    if (k->captured == 1 && k->cotangent) check_tape(k, &t);
    k->row->cases++;
    tape_reset(&t);
    arena_rewind(step, step_mark);
    arena_rewind(k->mem, mem_mark);
}

// ---- all cases, all ops

// False: a kernel is missing (a link that ignored it), which is a failure of the op.
static bool has_kernels(const Device *dev, OpId op) { return dev->fwd[op] && (dev->bwd[op] || !op_info(op)->diff); }

void check_op(const CheckOptions *o, OpId op, CaseMaker *make, CheckRow *row)
{
    enum { GIB = 30 };
    const double start = clock_seconds();
    Arena *mem = arena_new("check", (size_t)16 << GIB, NULL), *step = arena_new("step", (size_t)4 << GIB, NULL);
    Arena *scratch = arena_new("scratch", (size_t)4 << GIB, NULL);
    CHECK(mem && step && scratch, "check: no address space for arenas");
    const int threads = omp_get_max_threads();
    omp_set_num_threads(1);
    CaseList list = {.arena = mem};
    Checker *k = arena_zalloc(mem, sizeof *k);
    *k = (Checker){.o = o, .row = row, .mem = mem, .scratch = scratch, .c = &(Case){.label = "all"}};
    row->op = op_info(op)->name;
    row->bound = 1;
    if (make) make(&list);
    bool kernels = has_kernels(o->f64, op);
    for (int d = 0; d < o->n_f32; d++) {
        const Status s = device_attach(o->f32[d], scratch, CHECK_DEVICE_BYTES);
        expect(k, !s.code, "%s", s.msg);
        kernels &= has_kernels(o->f32[d], op);
        row->variants += has_variant(o, o->f32[d], op);
    }
    for (int i = 0; kernels && i < list.n; i++) {
        const long before = row->checks;
        k->c = &list.c[i];
        k->index = i;
        CHECK(k->c->op == op, "cases of %s hold a case of %s", row->op, op_info(k->c->op)->name);
        if (o->quick && k->c->large) continue;
        check_case(k, step);
        expect(k, row->checks > before, "no check was run");
    }
    expect(k, kernels, "a kernel is missing");
    expect(k, row->cases > 0, "no case was run");
    expect(k, row->gradients > 0 || !op_info(op)->diff || !kernels || o->variants_only, "no gradient was checked");
    omp_set_num_threads(threads);
    for (int d = 0; d < o->n_f32; d++) device_detach(o->f32[d], scratch);
    arena_delete(scratch);
    arena_delete(step);
    arena_delete(mem);
    row->seconds += clock_seconds() - start;
}

void check_run(CheckReport *report, const CheckOptions *o, const char *only)
{
    static CaseMaker *const make[OP_COUNT] = {
#define OP(name, ...) name##_cases,
#include "tensor/ops.def"
#undef OP
    };
    *report = (CheckReport){0};
    for (int op = 0; op < OP_COUNT; op++) {
        if (only && strcmp(only, op_info((OpId)op)->name) != 0) continue;
        check_op(o, (OpId)op, make[op], &report->row[op]);
        report->failures += report->row[op].failures;
        report->checks += report->row[op].checks;
    }
    if (report->checks == 0) report->failures++;   // an unknown name: nothing was proved
}

void check_devices(Devices *d, CheckOptions *o, Isa cap)
{
    *o = (CheckOptions){.f64 = &d->f64};
    d->f64 = device_cpu_f64();
    for (int isa = 0; isa < ISA_COUNT; isa++) {
        d->f32[isa] = device_cpu_f32((Isa)isa);
        if (isa <= (int)cap && d->f32[isa].isa == (Isa)isa) o->f32[o->n_f32++] = &d->f32[isa];
    }
}

void check_print(FILE *f, const CheckReport *report)
{
    fprintf(f, "%-15s %5s %7s %6s  %-9s %-9s  %9s %9s %9s  %s\n", "op", "cases", "checks", "failed", "gradient",
            "oracle", "plain/ulp", "fast/ulp", "bound/ulp", "seconds");
    for (int op = 0; op < OP_COUNT; op++) {
        const CheckRow *r = &report->row[op];
        if (!r->op) continue;
        char gradient[16] = "-", oracle[16] = "-", parity[32] = "        -         -";
        if (r->gradients) snprintf(gradient, sizeof gradient, "%.1e", r->gradient);
        if (r->has_oracle) snprintf(oracle, sizeof oracle, "%.1e", r->oracle);
        if (r->variants) snprintf(parity, sizeof parity, "%9.3g %9.3g", r->parity, r->bound);
        fprintf(f, "%-15s %5d %7ld %6d  %-9s %-9s  %9.3g %s  %7.2f\n", r->op, r->cases, r->checks, r->failures,
                gradient, oracle, r->plain, parity, r->seconds);
    }
    fprintf(f, "bounds: gradient %.0e, oracle %.0e, fast <= 2 plain + the row's ulps; %ld checks, %d failures\n",
            GRADIENT_TOL, ORACLE_TOL, report->checks, report->failures);
}
