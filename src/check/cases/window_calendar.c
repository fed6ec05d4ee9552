#include "check/cases/windows.h"

// i: rows of the series, windows, history, steps, slots a day, drawn, a table of the week
static void build(Tape *t, Tensor *const *in, const Case *c)
{
    (void)in;
    const int64_t T = c->i[0], D = c->i[4];
    const WindowParams p = {.history = (int)c->i[2], .steps = (int)c->i[3], .per_day = (int)D,
                            .slots = (int)(c->i[6] ? 7 * D : D),
                            .drawn = (int)c->i[5], .path = (int)c->i[5]};
    tape_window_calendar(t, index_tensor(t, c->i[1], case_row, T), index_tensor(t, T, case_week_slot, 7 * D), &p);
}

static void shape(CaseList *list, const char *label, int64_t B, int history, int steps, int per_day, int drawn,
                  bool week)
{
    case_add(list, (Case){.op = OP_window_calendar, .label = label, .build = build,
                          .i = {211, B, history, steps, per_day, drawn, week}});
}

void window_calendar_cases(CaseList *list)
{
    shape(list, "one slot a day", 33, 1, 1, 1, 0, true);
    shape(list, "means of the day", 61, 4, 2, 8, 0, false);
    shape(list, "means of the week", 61, 4, 2, 8, 0, true);
    shape(list, "longer than a week", 17, 30, 31, 3, 5, true);
    shape(list, "drawn matrices", 33, 5, 3, 24, 4, false);
    shape(list, "slots of 43 s", 33, 3, 2, 2009, 1, true);
    shape(list, "the model's sizes", 32, 16, 20, 288, 0, true);
}
