#include "check/cases/windows.h"

static int32_t week_slot(int64_t i, int64_t week) { return (int32_t)((3 * i + 5) % week); }

// i: rows of the series, windows, steps, slots a day
static void build(Tape *t, Tensor *const *in, const Case *c)
{
    (void)in;
    const int64_t T = c->i[0];
    const WindowParams p = {.history = 1, .steps = (int)c->i[2], .per_day = (int)c->i[3], .slots = (int)c->i[3]};
    tape_window_season(t, index_tensor(t, c->i[1], case_row, T), index_tensor(t, T, case_place, 31),
                       index_tensor(t, T, case_valid, 19), index_tensor(t, T, week_slot, 7 * c->i[3]), &p);
}

static void shape(CaseList *list, const char *label, int64_t T, int64_t B, int steps, int per_day)
{
    case_add(list, (Case){.op = OP_window_season, .label = label, .build = build, .i = {T, B, steps, per_day}});
}

void window_season_cases(CaseList *list)
{
    shape(list, "two rows", 2, 2, 1, 1);
    shape(list, "every row of a short series", 49, 49, 3, 2);
    shape(list, "weeks and gaps", 700, 97, 5, 8);
    shape(list, "steps beyond a week", 300, 41, 17, 2);
    // A week is nearly a multiple of the distance between long gaps (case_place), so that last week is often there.
    shape(list, "the model's steps", 3001, 131, 20, 109);
    shape(list, "a slot every two minutes or so", 3001, 61, 3, 582);
}
