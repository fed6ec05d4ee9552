#include "rivals/rival.h"

#include "rivals/models.h"
#include "rivals/table.h"

const char *const rival_targets[] = {"residual", "levels", NULL};
const char *const rival_losses[] = {"auto", "huber", "mae", "mse", NULL};

#define ROW(symbol, name, what, width, lr, decay, clip, dropout, batch, loss) \
    {name, what, symbol##_build, symbol##_forecast, width, lr, decay, clip, dropout, batch, RIVAL_##loss},
static const Rival rival_table[] = {RIVAL_TABLE(ROW)};

#define NAME(symbol, name, ...) name,
const char *const rival_names[] = {"lead", RIVAL_TABLE(NAME) NULL};

const Rival *rival_at(int place)
{
    CHECK(place >= 0 && place <= (int)(sizeof rival_table / sizeof *rival_table), "rival_at: %d", place);
    return place ? &rival_table[place - 1] : NULL;
}

Status rival_new(RivalNet *n, const Rival *r, ParamSet *ps, const RivalSizes *size, Arena *scratch)
{
    *n = (RivalNet){.size = *size, .ps = ps, .name = r->name};
    return r->build(n, scratch);
}

static Tensor *times(Tape *t, Tensor *x, Tensor *factor) { return factor ? tape_mul(t, x, factor) : x; }

Tensor *rival_loss(Tape *t, RivalLoss kind, Tensor *y, Tensor *target, Tensor *seen)
{
    const double delta = kind == RIVAL_MAE ? 1.0 / 1024 : 4;
    Tensor *a = times(t, y, seen), *b = times(t, target, seen);
    if (kind == RIVAL_MSE) return tape_mse(t, a, b);
    Tensor *loss = tape_huber(t, a, b, delta);
    return kind == RIVAL_MAE ? tape_scale(t, loss, 1 / delta, 0) : loss;
}
