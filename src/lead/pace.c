#include "lead/pace.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "tensor/status.h"

Pace pace_new(void) { return (Pace){.validation = NAN, .save = NAN}; }

void pace_add(Pace *p, double step_seconds)
{
    p->step[p->n++ % PACE_STEPS] = step_seconds;
    p->sum += step_seconds;
}

static int compare(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double pace_step(const Pace *p)
{
    double v[PACE_STEPS];
    const size_t n = p->n < PACE_STEPS ? (size_t)p->n : PACE_STEPS;
    if (p->n < PACE_KNOWN) return NAN;
    memcpy(v, p->step, n * sizeof *v);
    qsort(v, n, sizeof *v, compare);
    return n % 2 ? v[n / 2] : (v[n / 2 - 1] + v[n / 2]) / 2;
}

double pace_validation(const Pace *p) { return isfinite(p->validation) ? p->validation : 6 * pace_step(p) / 3; }

int64_t pace_period(int64_t total, int validations)
{
    return validations > 0 && total / validations > 1 ? total / validations : 1;
}

int64_t pace_total(const Pace *p, const PaceBudget *b)
{
    // what lies close ahead goes as fast as the last steps, what is trained again as fast as all of them
    const double c = pace_step(p), again = b->again ? p->sum / (double)p->n : 0;
    const double v = b->validations ? pace_validation(p) : 0, save = isfinite(p->save) ? p->save : 0;
    CHECK(isfinite(c) && b->save_every > 0, "pace_total: %lld steps seen", (long long)p->n);
    // a last checkpoint and a last validation, just before which another may fall
    double left = b->left - 2 * v - save, per = c, steps;
    if (b->again) left -= b->again_setup + (double)b->step * again + save;
    if (!(left > 0)) return b->step;
    for (int i = 0; i < 4; i++) {   // how often is validated depends on the total that is sought
        steps = left / per;
        const int64_t total = b->step + (int64_t)fmin(steps, 1e15);
        per = (c + v / (double)pace_period(total, b->validations)) * (1 + save / b->save_every) + again;
    }
    steps = left / per;
    return b->step + (int64_t)fmin(steps, 1e15);
}

double pace_eta(const Pace *p, int64_t step, int64_t total, int validations)
{
    const double left = (double)(total - step);
    if (step >= total) return 0;
    if (!validations) return left * pace_step(p);
    return left * pace_step(p) + left / (double)pace_period(total, validations) * pace_validation(p);
}
