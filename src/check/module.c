// Gradient check of whole modules: backward through the tape against central differences of the loss.
#include <math.h>
#include <string.h>

#include "check/check.h"

// Rewinds the tape, so that every evaluation draws the same dropout masks and uses the same memory.
static double loss_value(Tape *t, ModuleLoss *build, void *ctx)
{
    double y;
    tape_reset(t);
    Tensor *loss = build(t, ctx);
    CHECK(numel(loss) == 1, "check_module_gradient: the loss has %lld values", (long long)numel(loss));
    tensor_get_f64(loss, &y, 1);
    return y;
}

static void check_tensor(Tape *t, ModuleLoss *build, void *ctx, Tensor *x, const double *analytic, Arena *mem,
                         ModuleReport *rep)
{
    const int64_t n = numel(x);
    double *value = x->x, scale = 1;
    double *numeric = arena_alloc(mem, (size_t)n * sizeof *numeric);
    for (int64_t i = 0; i < n; i++) {
        const double keep = value[i], up = keep + CHECK_H, down = keep - CHECK_H;
        value[i] = up;
        const double plus = loss_value(t, build, ctx);
        value[i] = down;
        const double minus = loss_value(t, build, ctx);
        value[i] = keep;
        numeric[i] = (plus - minus) / (up - down);
        scale = check_fold(scale, fabs(numeric[i]));
    }
    for (int64_t i = 0; i < n; i++) {
        const double error = check_fold(0, fabs(analytic[i] - numeric[i]) / scale);
        rep->elements++;
        if (!(error <= GRADIENT_TOL)) rep->wrong++;
        if (error < rep->worst) continue;
        rep->worst = error;
        rep->worst_name = x->name;
        rep->worst_at = i;
        rep->analytic = analytic[i];
        rep->numeric = numeric[i];
    }
}

ModuleReport check_module_gradient(const Device *f64, ModuleLoss *build, void *ctx, Tensor *const *x, int n)
{
    enum { GIB = 30 };
    CHECK(f64->real_size == sizeof(double), "check_module_gradient: wants an f64 device, got %s", f64->name);
    Arena *step = arena_new("step", (size_t)4 << GIB, NULL), *scratch = arena_new("scratch", (size_t)4 << GIB, NULL);
    Arena *mem = arena_new("check", (size_t)4 << GIB, NULL);
    CHECK(step && scratch && mem, "check_module_gradient: no address space for arenas");
    ModuleReport rep = {.worst_name = "nothing"};
    Tape t;
    tape_init(&t, f64, step, scratch);
    for (int i = 0; i < n; i++) {
        CHECK(x[i]->g && x[i]->needs_grad, "check_module_gradient: %s has no gradient", x[i]->name ? x[i]->name : "?");
        memset(x[i]->g, 0, tensor_bytes(x[i]));
    }
    tape_backward(&t, build(&t, ctx));
    double **analytic = arena_alloc(mem, (size_t)(n + 1) * sizeof *analytic);
    for (int i = 0; i < n; i++) {
        analytic[i] = arena_alloc(mem, tensor_bytes(x[i]));
        tensor_get_grad_f64(x[i], analytic[i], numel(x[i]));
    }
    t.record = false;   // values only from here on
    for (int i = 0; i < n; i++) check_tensor(&t, build, ctx, x[i], analytic[i], mem, &rep);
    if (rep.elements == 0) rep.wrong = 1, rep.worst = INFINITY;   // nothing was proved
    arena_delete(mem);
    arena_delete(scratch);
    arena_delete(step);
    return rep;
}
