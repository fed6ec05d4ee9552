#include "autograd/traffic.h"
#include "check/cases/common.h"

// i: history.  in: x, coef, rows, season, model.  Of the season's rows some are missing: -1.
static void build(Tape *t, Tensor *const *in, const Case *c)
{
    int32_t *season = in[3]->x;
    for (int64_t i = 0; i < numel(in[3]); i++) season[i]--;
    tape_ridge(t, in[0], in[1], (WindowRows){in[2], in[3]}, in[4], (int)c->i[0]);
}

// models 1: without the input that says which model.
static void shape(CaseList *list, const char *label, int64_t models, int64_t T, int64_t F, int64_t B, int64_t K,
                  int64_t history)
{
    const CaseInput rows = {.shape = SHAPE(B, history + 1 + K), .fill = FILL_INDEX, .limit = T};
    const CaseInput season = {.shape = SHAPE(B, K, RIDGE_SEASON), .fill = FILL_INDEX, .limit = T < 6 ? T + 1 : 6};
    case_add(list, (Case){.op = OP_ridge, .label = label, .n_in = 5, .build = build, .i = {history},
                          .in = {{.shape = SHAPE(T, F), .fill = FILL_POSITIVE},
                                 {.shape = SHAPE(models, RIDGE_FITS, K, F, RIDGE_INPUTS)}, rows, season,
                                 {.shape = SHAPE(T), .fill = FILL_INDEX, .limit = models, .absent = models == 1}}});
}

void ridge_cases(CaseList *list)
{
    shape(list, "one flow", 1, 13, 1, 5, 1, 11);
    for (int i = 0; i < VECTOR_EDGES; i++) shape(list, "vector edge", i % 2 ? 4 : 1, 40, vector_edge[i], 7, 3, 12);
    shape(list, "one row of data", 1, 1, 4, 3, 2, 13);
    shape(list, "one row of data, two models", 2, 1, 4, 3, 2, 13);
    shape(list, "a model a day", 9, 120, 6, 8, 3, 12);
    shape(list, "the model's sizes", 1, 120, 144, 8, 20, 16);
}
