// A routing matrix from a file: orientation, ingress and egress columns, and which order its rows and columns are in.
#include <ctype.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/npy.h"
#include "links/routing.h"

typedef struct Matrix { int64_t rows, cols; double *v; } Matrix;   // [rows][cols]

static Status read_npy(Matrix *m, Arena *a, const char *path)
{
    NpyArray x;
    TRY(npy_read(&x, a, path));
    if (x.n_dims != 2 || !strcmp(x.type, "<i8"))
        return ERROR("%s: want '<f4' or '<f8' of 2 dimensions, got '%s' of %d", path, x.type, x.n_dims);
    *m = (Matrix){x.dims[0], x.dims[1], arena_alloc(a, (size_t)x.count * sizeof(double))};
    for (int64_t i = 0; i < x.count; i++)
        m->v[i] = x.type[2] == '4' ? (double)((const float *)x.data)[i] : ((const double *)x.data)[i];
    return OK;
}

// Numbers of one line -> v (NULL: counts them); a separator at the end is no empty field.  -1: not a number.
static int64_t read_line(const char **cursor, double *v)
{
    int64_t n = 0;
    const char *p = *cursor;
    while (*p && *p != '\n') {
        while (*p == ' ' || *p == '\r' || *p == '\t') p++;
        if (!*p || *p == '\n') break;
        char *end;
        const double x = strtod(p, &end);
        if (end == p) return -1;
        if (v) v[n] = x;
        n++;
        for (p = end; *p == ' ' || *p == ',' || *p == ';' || *p == '\t' || *p == '\r'; p++) continue;
    }
    *cursor = *p ? p + 1 : p;
    return n;
}

static Status read_csv(Matrix *m, Arena *a, const char *path)
{
    char *text;
    size_t size;
    TRY(file_read(&text, &size, a, path, (size_t)1 << 32));
    *m = (Matrix){0};
    const char *p = text;
    m->cols = read_line(&p, NULL);
    if (m->cols < 1) return ERROR("%s:1: want numbers, one row for each flow, got '%.30s'", path, text);
    m->v = arena_alloc(a, (size_t)(size / 2 + 1) * sizeof *m->v);      // a value takes two characters
    p = text;
    for (int64_t line = 1; *p; line++) {
        const char *here = p;
        const int64_t n = read_line(&here, NULL);
        if (n && n != m->cols)
            return ERROR("%s:%lld: want %lld numbers as in line 1, got %s%lld", path, (long long)line,
                         (long long)m->cols, n < 0 ? "something else after " : "", (long long)n);
        if (n) read_line(&p, m->v + m->rows++ * m->cols);
        p = here;
    }
    return OK;
}

static void transpose(Matrix *m, Arena *a)
{
    Matrix t = {m->cols, m->rows, arena_alloc(a, (size_t)(m->rows * m->cols) * sizeof(double))};
    for (int64_t i = 0; i < m->rows; i++)
        for (int64_t j = 0; j < m->cols; j++) t.v[j * m->rows + i] = m->v[i * m->cols + j];
    *m = t;
}

// The columns that no flow from a node to itself uses -> column; their number.
static int64_t link_columns(const Matrix *m, int n, int64_t *column)
{
    int64_t links = 0;
    for (int64_t c = 0; c < m->cols; c++) {
        bool own = false;
        for (int64_t i = 0; i < n; i++) own |= m->v[(i * n + i) * m->cols + c] > 0;
        if (!own) column[links++] = c;
    }
    return links;
}

// A guess at the order: row_of [n] the place of each node of the data among the rows, column [L] of each link.
typedef struct Guess { const int *row_of; const int64_t *column; } Guess;

static const double *flow_row(const Matrix *m, const Guess *g, int n, int from, int to)
{
    return m->v + ((int64_t)g->row_of[from] * n + g->row_of[to]) * m->cols;
}

// Every flow that uses a link at all is a path from its origin to its destination, and some flow does.
static bool are_paths(const Matrix *m, const Guess *g, const Topology *t, int n, double *net)
{
    int64_t used = 0;
    for (int f = 0; f < n * n; f++) {
        const double *row = flow_row(m, g, n, f / n, f % n);
        double all = 0;
        memset(net, 0, (size_t)t->N * sizeof *net);
        for (int l = 0; l < t->L; l++) {
            all += row[g->column[l]];
            net[t->link[l].from] += row[g->column[l]];
            net[t->link[l].to] -= row[g->column[l]];
        }
        if (!(all > 0) || f / n == f % n) continue;
        used++;
        net[f / n] -= 1;
        net[f % n] += 1;
        for (int v = 0; v < t->N; v++)
            if (!(fabs(net[v]) < 1e-4)) return false;
    }
    return used > 0;
}

// The column of link l is the only one that the traffic between its ends uses.
static bool columns_of_direct_paths(const Matrix *m, Guess *g, const Topology *t, int n, const int64_t *column,
                                    int64_t *found)
{
    for (int l = 0; l < t->L; l++) {
        if (t->link[l].from >= n || t->link[l].to >= n) return false;
        const double *row = flow_row(m, g, n, t->link[l].from, t->link[l].to);
        found[l] = -1;
        for (int c = 0; c < t->L; c++) {
            if (!(row[column[c]] > 0)) continue;
            if (found[l] >= 0) return false;
            found[l] = column[c];
        }
        for (int k = 0; k < l; k++)
            if (found[k] == found[l]) return false;
        if (found[l] < 0) return false;
    }
    g->column = found;
    return true;
}

static bool find_order(Guess *g, Arena *a, const Matrix *m, const Topology *t, int n, const int64_t *column,
                       const char **how)
{
    int *row_of[2] = {arena_alloc(a, (size_t)t->N * sizeof(int)), arena_alloc(a, (size_t)t->N * sizeof(int))};
    int64_t *found = arena_alloc(a, (size_t)t->L * sizeof *found);
    double *net = arena_alloc(a, (size_t)t->N * sizeof *net);
    int place = 0;
    for (int p = 0; p < t->N; p++)
        if (t->order[p] < n) row_of[0][t->order[p]] = place++;   // nodes of the data in the order of the file
    for (int i = 0; i < n; i++) row_of[1][i] = i;
    for (int direct = 0; direct < 2; direct++)
        for (int of_data = 0; of_data < 2; of_data++) {
            *g = (Guess){row_of[of_data], column};
            if (direct && !columns_of_direct_paths(m, g, t, n, column, found)) continue;
            if (!are_paths(m, g, t, n, net)) continue;
            *how = arena_printf(a, "rows in the order of the %s's nodes, columns %s", of_data ? "data" : "topology",
                                direct ? "found by the traffic between the ends of each link"
                                       : "in the order of the topology's links");
            return true;
        }
    return false;
}

static void name_columns(Topology *t, Arena *a, const int64_t *column, int64_t links)
{
    t->L = (int)links;
    t->link = arena_alloc(a, (size_t)links * sizeof *t->link);
    for (int64_t l = 0; l < links; l++)
        t->link[l] = (TopologyLink){-1, -1, 0, 1, arena_printf(a, "column %lld", (long long)column[l]), NULL};
}

static Status check_shares(const Matrix *m, const char *path)
{
    for (int64_t i = 0; i < m->rows * m->cols; i++)
        if (!(m->v[i] >= 0 && m->v[i] <= 1 + 1e-6))
            return ERROR("%s: want shares 0..1, got %g in row %lld, column %lld", path, m->v[i],
                         (long long)(i / m->cols), (long long)(i % m->cols));
    return OK;
}

Status routing_read(Routing *r, Arena *a, const char *path, Topology *t, int n, const char **how)
{
    const int64_t F = (int64_t)n * n;
    const size_t len = strlen(path);
    Matrix m = {0};
    TRY(len > 4 && !strcmp(path + len - 4, ".npy") ? read_npy(&m, a, path) : read_csv(&m, a, path));
    TRY(check_shares(&m, path));
    if (m.rows != F && m.cols != F)
        return ERROR("%s: want %lld rows or columns, one for each flow of %d nodes, got %lld x %lld", path,
                     (long long)F, n, (long long)m.rows, (long long)m.cols);
    if (m.rows != F) transpose(&m, a);
    int64_t *column = arena_alloc(a, (size_t)m.cols * sizeof *column);
    const int64_t links = link_columns(&m, n, column);
    int *same = arena_alloc(a, (size_t)n * sizeof *same);
    for (int i = 0; i < n; i++) same[i] = i;
    Guess g = {same, column};
    *how = "links without ends or capacities: one for each column";
    if (!t->L) name_columns(t, a, column, links);
    else if (links != t->L)
        return ERROR("%s: want a column for each of the %d links of %s, got %lld beside those of ingress and egress",
                     path, t->L, t->path, (long long)links);
    else if (!find_order(&g, a, &m, t, n, column, how))
        return ERROR("%s: want paths over the links of %s from the origin of each flow to its destination; neither the "
                     "order of the topology's file nor that of the data gives them", path, t->path);
    double *A = arena_alloc(a, (size_t)(t->L * F) * sizeof *A);
    for (int l = 0; l < t->L; l++)
        for (int64_t f = 0; f < F; f++)
            A[l * F + f] = f / n == f % n ? 0 : flow_row(&m, &g, n, (int)(f / n), (int)(f % n))[g.column[l]];
    routing_from_matrix(r, a, A, n, t->L);
    return OK;
}
