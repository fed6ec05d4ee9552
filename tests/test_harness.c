// The case runner can fail: each wrong kernel planted here is noticed, and by the check that is there to notice it.
// Every planted kernel does the right thing first and then one thing wrong.
#include <math.h>
#include <omp.h>
#include <stdio.h>
#include <string.h>

#include "check/check.h"
#include "tests/test.h"

// ---- wrong kernels of linear, f64

static double *grad(const OpCall *c, int i) { return c->in[i] ? c->in[i]->g : NULL; }

static void bwd_flips(const OpCall *c)
{
    linear_bwd_f64(c);
    for (int64_t i = 0; grad(c, 0) && i < numel(c->in[0]); i++) grad(c, 0)[i] = -grad(c, 0)[i];
}

static void bwd_scales(const OpCall *c)
{
    linear_bwd_f64(c);
    for (int64_t i = 0; grad(c, 1) && i < numel(c->in[1]); i++) grad(c, 1)[i] *= 1.001;
}

static void bwd_one_element(const OpCall *c)   // the last element of the smallest gradient
{
    linear_bwd_f64(c);
    if (grad(c, 2)) grad(c, 2)[numel(c->in[2]) - 1] += 1e-5;
}

static void bwd_nan(const OpCall *c)
{
    linear_bwd_f64(c);
    if (grad(c, 1)) grad(c, 1)[0] = NAN;
}

static void bwd_overwrites(const OpCall *c)
{
    if (grad(c, 1)) memset(c->in[1]->g, 0, tensor_bytes(c->in[1]));
    linear_bwd_f64(c);
}

static void bwd_entangled(const OpCall *c)   // dx depends on whether dw is wanted
{
    linear_bwd_f64(c);
    if (grad(c, 0) && !grad(c, 1)) grad(c, 0)[0] += 1e-9;
}

static void bwd_spoils_cotangent(const OpCall *c)
{
    linear_bwd_f64(c);
    ((double *)c->out[0]->g)[0] += 1;
}

static void bwd_spoils_output(const OpCall *c)
{
    linear_bwd_f64(c);
    ((double *)c->out[0]->x)[0] += 1;
}

// Reaches outside of a buffer: the harness must see it, not the address sanitizer.
#define PLANTED __attribute__((no_sanitize_address))

PLANTED static void bwd_behind(const OpCall *c)
{
    linear_bwd_f64(c);
    if (grad(c, 0)) grad(c, 0)[numel(c->in[0])] = 0;
}

PLANTED static void fwd_before(const OpCall *c)
{
    linear_fwd_f64(c);
    ((double *)c->out[0]->x)[-1] = 0;
}

PLANTED static void fwd_reads_behind(const OpCall *c)
{
    linear_fwd_f64(c);
    ((double *)c->out[0]->x)[0] += 0 * ((double *)c->in[0]->x)[numel(c->in[0])];
}

static void fwd_spoils_input(const OpCall *c)
{
    linear_fwd_f64(c);
    ((double *)c->in[0]->x)[0] = 3;
}

static void fwd_forgets_last(const OpCall *c)
{
    double *y = c->out[0]->x, keep = y[numel(c->out[0]) - 1];
    linear_fwd_f64(c);
    y[numel(c->out[0]) - 1] = keep;
}

static void by_threads(const OpCall *c, int threads)
{
    linear_fwd_f64(c);
    if (omp_get_max_threads() == threads) ((double *)c->out[0]->x)[0] += 1e-15;
}

static void fwd_by_2_threads(const OpCall *c) { by_threads(c, 2); }
static void fwd_by_threads(const OpCall *c) { by_threads(c, 3); }
static void fwd_by_7_threads(const OpCall *c) { by_threads(c, 7); }

// Another gradient when the tape calls than when the replay does: of the tape's device the op is the harness's.
static void bwd_by_tape(const OpCall *c)
{
    linear_bwd_f64(c);
    if (grad(c, 0) && c->out[0]->dev->fwd[OP_linear] != linear_fwd_f64) grad(c, 0)[0] += 1e-12;
}

// ---- wrong fast variants of linear, f32

static void fast_coarse(const OpCall *c)
{
    linear_fwd_f32(c);
    for (int64_t i = 0; i < numel(c->out[0]); i++) ((float *)c->out[0]->x)[i] *= 1.0001f;
}

static void fast_slightly(const OpCall *c)   // 30 ulps of the largest value
{
    linear_fwd_f32(c);
    for (int64_t i = 0; i < numel(c->out[0]); i++) ((float *)c->out[0]->x)[i] *= 1.000004f;
}

static void fast_by_threads(const OpCall *c)
{
    linear_fwd_f32(c);
    float *y = c->out[0]->x;
    if (omp_get_max_threads() == 3) y[0] = nextafterf(y[0], 100);
}

static void plain_coarse(const OpCall *c)
{
    linear_fwd_f32(c);
    for (int64_t i = 0; i < numel(c->out[0]); i++) ((float *)c->out[0]->x)[i] *= 1.01f;
}

static void fast_nan(const OpCall *c)
{
    linear_fwd_f32(c);
    ((float *)c->out[0]->x)[0] = NAN;
}

static void fast_inexact(const OpCall *c)   // within the float bound, but not exact on integers
{
    linear_fwd_f32(c);
    float *y = c->out[0]->x;
    for (int64_t i = 0; i < numel(c->out[0]); i++) y[i] = nextafterf(y[i], 100.0f);
}

static void fast_unaligned(const OpCall *c)
{
    linear_fwd_f32(c);
    if ((uintptr_t)c->out[0]->x % 64) ((float *)c->out[0]->x)[0] += 1;
}

static void fast_bwd_drops_bias(const OpCall *c)
{
    OpCall d = *c;
    d.in[2] = NULL;
    linear_bwd_f32(&d);
}

// ---- a wrong forward that its own gradient check agrees with

static void upsample_wrong(const OpCall *c)
{
    upsample2_fwd_f64(c);
    for (int64_t i = 0; i < numel(c->out[0]); i++) ((double *)c->out[0]->x)[i] += 0.25;
}

static void upsample_slightly(const OpCall *c)
{
    upsample2_fwd_f64(c);
    for (int64_t i = 0; i < numel(c->out[0]); i++) ((double *)c->out[0]->x)[i] += 1e-9;
}

// ---- cases

static void build_linear(Tape *t, Tensor *const *in, const Case *c)
{
    (void)c;
    tape_linear(t, in[0], in[1], in[2]);
}

static void build_twice(Tape *t, Tensor *const *in, const Case *c)
{
    build_linear(t, in, c);
    build_linear(t, in, c);
}

static void build_nothing(Tape *t, Tensor *const *in, const Case *c) { (void)t, (void)in, (void)c; }

static void add_linear(CaseList *list, void (*build)(Tape *, Tensor *const *, const Case *), bool large)
{
    case_add(list, (Case){.op = OP_linear, .label = "planted", .n_in = 3, .build = build, .large = large,
                          .in = {{.shape = SHAPE(3, 5)}, {.shape = SHAPE(5, 4)}, {.shape = SHAPE(4)}}});
}

static void linear_one(CaseList *list) { add_linear(list, build_linear, false); }
static void linear_large(CaseList *list) { add_linear(list, build_linear, true); }
static void linear_both(CaseList *list)
{
    linear_one(list);
    linear_large(list);
}
static void linear_twice(CaseList *list) { add_linear(list, build_twice, false); }
static void linear_nothing(CaseList *list) { add_linear(list, build_nothing, false); }
static void linear_none(CaseList *list) { (void)list; }

static void build_upsample(Tape *t, Tensor *const *in, const Case *c)
{
    (void)c;
    tape_upsample2(t, in[0]);
}

static void upsample_one(CaseList *list)
{
    case_add(list, (Case){.op = OP_upsample2, .label = "planted", .n_in = 1, .build = build_upsample,
                          .in = {{.shape = SHAPE(1, 2, 3, 2)}}});
}

// ---- one planted device

typedef struct Said { char text[8192]; } Said;

static void say(void *ctx, const char *message)
{
    Said *s = ctx;
    const size_t at = strlen(s->text);
    snprintf(s->text + at, sizeof s->text - at, "%s\n", message);
}

typedef struct Plant {
    const char *what, *noticed;      // noticed: part of the failure message that must come
    OpId op;
    Kernel *fwd64, *bwd64, *fast_fwd, *fast_bwd, *plain_fwd;
    bool no_backward;
} Plant;

static CheckRow run(const Plant *p, CaseMaker *make, bool quick, Said *said)
{
    Devices d;
    CheckOptions o;
    CheckRow row = {0};
    check_devices(&d, &o, ISA_SCALAR);
    Device fast = d.f32[ISA_SCALAR];   // a second f32 device: a faster variant
    if (p->fwd64) d.f64.fwd[p->op] = p->fwd64;
    if (p->bwd64) d.f64.bwd[p->op] = p->bwd64;
    if (p->plain_fwd) d.f32[ISA_SCALAR].fwd[p->op] = p->plain_fwd;
    if (p->no_backward) d.f64.bwd[p->op] = NULL;
    if (p->fast_fwd) fast.fwd[p->op] = p->fast_fwd;
    if (p->fast_bwd) fast.bwd[p->op] = p->fast_bwd;
    o.f32[o.n_f32++] = &fast;
    o.quick = quick;
    o.say = say;
    o.ctx = said;
    check_op(&o, p->op, make, &row);
    return row;
}

static void test_plants(TestLog *log)
{
    static const Plant plants[] = {
        {"a flipped sign", "gradient of input 0", OP_linear, .bwd64 = bwd_flips},
        {"a factor 1.001", "gradient of input 1", OP_linear, .bwd64 = bwd_scales},
        {"one wrong element", "gradient of input 2", OP_linear, .bwd64 = bwd_one_element},
        {"a NaN gradient", "gradient of input 1", OP_linear, .bwd64 = bwd_nan},
        {"a gradient overwritten", "backward twice is not double", OP_linear, .bwd64 = bwd_overwrites},
        {"entangled gradients", "a gradient that nobody asked for changes the bits", OP_linear, .bwd64 = bwd_entangled},
        {"a spoilt cotangent", "changed cotangent", OP_linear, .bwd64 = bwd_spoils_cotangent},
        {"a spoilt output", "changed output", OP_linear, .bwd64 = bwd_spoils_output},
        {"a write behind", "wrote behind gradient", OP_linear, .bwd64 = bwd_behind},
        {"a write before", "wrote before output", OP_linear, .fwd64 = fwd_before},
        {"a read behind", "out 0 is not finite", OP_linear, .fwd64 = fwd_reads_behind},
        {"a spoilt input", "changed input", OP_linear, .fwd64 = fwd_spoils_input},
        {"an element not written", "out 0 is not finite", OP_linear, .fwd64 = fwd_forgets_last},
        {"bits by threads", "3 threads changes the bits", OP_linear, .fwd64 = fwd_by_threads},
        {"bits by 2 threads", "2 threads changes the bits", OP_linear, .fwd64 = fwd_by_2_threads},
        {"bits by 7 threads", "7 threads changes the bits", OP_linear, .fwd64 = fwd_by_7_threads},
        {"a variant's bits by threads", "3 threads changes the bits", OP_linear, .fast_fwd = fast_by_threads},
        {"another gradient by the tape", "tape_backward gives another gradient", OP_linear, .bwd64 = bwd_by_tape},
        {"a coarse plain kernel", "out 0 errs by", OP_linear, .plain_fwd = plain_coarse},
        {"a backward kernel that is missing", "a kernel is missing", OP_linear, .no_backward = true},
        {"a slightly coarse variant", "out 0 errs by", OP_linear, .fast_fwd = fast_slightly},
        {"a coarse variant", "out 0 errs by", OP_linear, .fast_fwd = fast_coarse},
        {"a NaN variant", "out 0 errs by", OP_linear, .fast_fwd = fast_nan},
        {"an inexact variant", "small integers is not exact", OP_linear, .fast_fwd = fast_inexact},
        {"an unaligned variant", "offset 1: out 0 errs by", OP_linear, .fast_fwd = fast_unaligned},
        {"a variant without bias gradient", "grad 2 errs by", OP_linear, .fast_bwd = fast_bwd_drops_bias},
        {"a wrong forward", "away from the oracle", OP_upsample2, .fwd64 = upsample_wrong},
        {"a slightly wrong forward", "away from the oracle", OP_upsample2, .fwd64 = upsample_slightly},
    };
    for (int i = 0; i < (int)(sizeof plants / sizeof *plants); i++) {
        const Plant *p = &plants[i];
        Said said = {""};
        const CheckRow row = run(p, p->op == OP_upsample2 ? upsample_one : linear_one, false, &said);
        TEST(log, row.failures > 0, "%s was not noticed", p->what);
        TEST(log, strstr(said.text, p->noticed) != NULL, "%s: want '%s', got: %s", p->what, p->noticed, said.text);
    }
}

static void test_runs(TestLog *log)
{
    static const Plant right = {.what = "right", .op = OP_linear};
    Said said = {""};
    CheckRow row = run(&right, linear_one, false, &said);
    TEST(log, row.failures == 0 && row.cases == 1 && row.checks > 50, "the right kernel: %s", said.text);
    TEST(log, row.gradients == 15 + 20 + 4, "%ld gradients were compared, want all 39", row.gradients);
    TEST(log, run(&right, linear_none, false, &said).failures > 0, "zero cases passed");
    TEST(log, run(&(Plant){.op = OP_randn}, linear_none, false, &said).failures > 0,
         "zero cases of an op without gradient passed");
    TEST(log, run(&right, NULL, false, &said).failures > 0, "no cases at all passed");
    TEST(log, run(&right, linear_both, false, &said).cases == 2, "large cases are left out");
    TEST(log, run(&right, linear_both, true, &said).cases == 1, "large cases are not left out of a quick run");
    TEST(log, run(&right, linear_large, true, &said).failures > 0, "an op whose cases are all left out passed");
    TEST(log, run(&right, linear_large, false, &said).failures > 0, "an op without a gradient check passed");
    TEST(log, run(&right, linear_twice, false, &said).failures > 0, "a case that calls its op twice passed");
    TEST(log, run(&right, linear_nothing, false, &said).failures > 0, "a case that calls nothing passed");
    Devices d;
    CheckOptions o;
    CheckReport report;
    check_devices(&d, &o, ISA_SCALAR);
    check_run(&report, &o, "linaer");
    TEST(log, report.failures > 0, "an unknown op passed");
    TEST(log, isinf(check_fold(0, NAN)) && isinf(check_fold(NAN, 0)) && isinf(check_fold(INFINITY, 0)),
         "NaN does not stick");
    TEST(log, check_fold(1, 2) == 2 && check_fold(2, 1) == 2, "check_fold is no maximum");
}

// ---- modules

typedef struct Module { Tensor *x, *w, *b; } Module;

static Tensor *module_loss(Tape *t, void *ctx)
{
    Module *m = ctx;
    Tensor *y = tape_linear(t, tape_linear(t, m->x, m->w, m->b), m->w, m->b);   // weights used twice: gradients add
    return tape_mean(t, tape_mul(t, y, y));
}

static Tensor *module_once(Tape *t, void *ctx)
{
    Module *m = ctx;
    return tape_sum(t, tape_tanh(t, tape_linear(t, m->x, m->w, m->b)));
}

static Tensor *leaf(Arena *a, const Device *dev, Shape s, const char *name)
{
    Tensor *t = tensor_new(a, dev, REAL, s, name);
    t->g = arena_zalloc(a, tensor_bytes(t));
    t->needs_grad = true;
    for (int64_t i = 0; i < numel(t); i++)
        ((double *)t->x)[i] = (double)philox_normal(7, philox_subsequence(SITE_TEST, (uint32_t)shape_numel(s)),
                                                    (uint64_t)i);
    return t;
}

static void test_module(TestLog *log)
{
    Arena *a = arena_new("test", (size_t)64 << 20, NULL);
    Device f64 = device_cpu_f64();
    Module m = {leaf(a, &f64, SHAPE(3, 4), "x"), leaf(a, &f64, SHAPE(4, 4), "w"), leaf(a, &f64, SHAPE(4), "b")};
    Tensor *all[] = {m.x, m.w, m.b};
    ModuleReport r = check_module_gradient(&f64, module_loss, &m, all, 3);
    TEST(log, r.elements == 12 + 16 + 4 && r.wrong == 0, "%ld of %ld wrong, %s[%lld]: %.9g, numeric %.9g", r.wrong,
         r.elements, r.worst_name, (long long)r.worst_at, r.analytic, r.numeric);
    TEST(log, check_module_gradient(&f64, module_loss, &m, all, 0).wrong > 0, "zero tensors passed");
    Kernel *const wrong[] = {bwd_flips, bwd_scales, bwd_nan, bwd_overwrites};
    for (int i = 0; i < 4; i++) {
        f64.bwd[OP_linear] = wrong[i];
        r = check_module_gradient(&f64, module_loss, &m, all, 3);
        TEST(log, r.wrong > 0 && !(r.worst <= GRADIENT_TOL), "wrong backward %d passed", i);
    }
    f64.bwd[OP_linear] = bwd_flips;
    r = check_module_gradient(&f64, module_once, &m, all, 1);   // right but for its sign
    TEST(log, r.wrong == r.elements, "a flipped sign: %ld of %ld elements are wrong", r.wrong, r.elements);
    arena_delete(a);
}

void test_harness(TestLog *log)
{
    test_plants(log);
    test_runs(log);
    test_module(log);
}
