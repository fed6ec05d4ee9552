#include "check/cases/windows.h"

// i: rows of the series, windows, history, steps, slots a day, drawn, target
static void build(Tape *t, Tensor *const *in, const Case *c)
{
    (void)in;
    const int64_t T = c->i[0];
    const WindowParams p = {.history = (int)c->i[2], .steps = (int)c->i[3], .per_day = (int)c->i[4],
                            .slots = (int)c->i[4],
                            .drawn = (int)c->i[5], .path = (int)c->i[5] + 2, .target = c->i[6]};
    tape_window_rows(t, index_tensor(t, c->i[1], case_row, T), index_tensor(t, T, case_place, 31),
                     index_tensor(t, T, case_valid, 19), &p);
}

static void shape(CaseList *list, const char *label, int64_t T, int64_t B, int history, int steps, int per_day,
                  int drawn, bool target)
{
    case_add(list, (Case){.op = OP_window_rows, .label = label, .build = build,
                          .i = {T, B, history, steps, per_day, drawn, target}});
}

void window_rows_cases(CaseList *list)
{
    shape(list, "two rows", 2, 2, 1, 1, 1, 0, false);
    shape(list, "short series, every row", 49, 49, 4, 2, 8, 0, true);
    shape(list, "gaps and weeks", 300, 61, 12, 3, 8, 0, true);
    shape(list, "no targets", 300, 61, 4, 5, 8, 0, false);
    shape(list, "steps beyond a day", 300, 23, 2, 9, 4, 0, true);
    for (int n = 1; n <= 6; n++) shape(list, "drawn matrices", 200, 33, 4, 3, 8, n, false);
    shape(list, "one row a day", 90, 17, 3, 2, 1, 0, true);
    shape(list, "the model's sizes", 3001, 131, 16, 20, 288, 0, true);
}
