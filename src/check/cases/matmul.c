#include "check/cases/common.h"

// i: trans_a, trans_b;  f: alpha (1: the checked call, which knows no other)
static void build(Tape *t, Tensor *const *in, const Case *c)
{
    if (c->f[0] == 1) {
        tape_matmul(t, in[0], in[1], c->i[0] != 0, c->i[1] != 0);
        return;
    }
    const MatmulParams p = {c->i[0] != 0, c->i[1] != 0, c->f[0]};
    const Shape a = in[0]->shape, b = in[1]->shape;
    Shape y = a;
    y.d[y.n - 2] = a.d[p.trans_a ? a.n - 1 : a.n - 2];
    y.d[y.n - 1] = b.d[p.trans_b ? b.n - 2 : b.n - 1];
    tape_op(t, OP_matmul, 2, in, 1, &y, &p, sizeof p);
}

// All four ways of storing a [M,K] and b [K,N]; batch 0: two dimensions.
static void shapes(CaseList *list, const char *label, int64_t batch, int64_t M, int64_t K, int64_t N, double alpha,
                   bool large)
{
    for (int64_t ways = 0; ways < 4; ways++) {
        const int64_t ta = ways & 1, tb = ways >> 1;
        Shape a = ta ? SHAPE(batch, K, M) : SHAPE(batch, M, K), b = tb ? SHAPE(batch, N, K) : SHAPE(batch, K, N);
        if (!batch) {
            a = shape_make(2, a.d + 1);
            b = shape_make(2, b.d + 1);
        }
        case_add(list, (Case){.op = OP_matmul, .label = label, .n_in = 2, .build = build, .large = large,
                              .in = {{.shape = a}, {.shape = b}}, .i = {ta, tb}, .f = {alpha}});
    }
}

void matmul_cases(CaseList *list)
{
    shapes(list, "one value", 0, 1, 1, 1, 1, false);
    shapes(list, "odd", 0, 5, 7, 3, 1, false);
    shapes(list, "odd batch", 3, 4, 5, 6, 1, false);
    shapes(list, "batch of one", 1, 2, 9, 5, 1, false);
    shapes(list, "alpha", 0, 3, 6, 5, -0.5, false);
    shapes(list, "alpha, batch", 2, 3, 6, 5, 0.25, false);
    for (int i = 0; i < VECTOR_EDGES; i++) {
        shapes(list, "columns at the vector edge", 0, 2 + i, 3, vector_edge[i], 1, false);
        shapes(list, "rows at the vector edge", 0, vector_edge[i], 4, 3, 1, false);
        shapes(list, "depth at the vector edge", 2, 3, vector_edge[i], 2, 1, false);
    }
    for (int64_t few = 1; few < 6; few++) {   // the paths for few rows, columns or terms and their end
        shapes(list, "few rows", 0, few, 37, 70, 1, true);
        shapes(list, "few rows, two blocks of terms", 0, few, 530, 129, -0.5, true);
        shapes(list, "few columns", 2, 41, 35, few, 1, true);
        shapes(list, "few terms", 0, 37, few, 67, 1, true);
    }
    shapes(list, "few rows, many columns", 0, 1, 33, 4200, 1, true);
    shapes(list, "few terms, many columns", 0, 9, 2, 4200, 1, true);
    shapes(list, "whole panels", 0, 50, 530, 300, 1, true);
    shapes(list, "B^T in place, two blocks of terms", 0, 37, 530, 330, -0.5, true);
    shapes(list, "multiples of four", 2, 12, 20, 36, 1, false);
    shapes(list, "few rows, multiples of four", 2, 3, 20, 36, 0.5, false);
    shapes(list, "multiples of four, several tiles and splits", 0, 68, 260, 132, 1, true);
    shapes(list, "many small products", 132, 4, 4, 4, 1, true);
    shapes(list, "tile edges", 0, 61, 130, 97, 1, true);
    shapes(list, "batched tile edges", 3, 33, 65, 49, 0.125, true);
    shapes(list, "batches, terms that a GPU splits", 3, 33, 260, 49, 1, true);
}
