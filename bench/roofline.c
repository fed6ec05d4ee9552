// roofline IN.tsv OUT.png: the rows of our widest instruction set in bench.tsv as dots under this machine's roofline, a
// chart for each thread count.   x: flops a byte (gflops / gbps of the row), y: FLOP/s; both logarithmic.
// Roofs: min(multiply-add rate, x times the read bandwidth of a level).  Ops without arithmetic (concat, slice) have no
// place on it.  A dot above the roof of DRAM works in a cache; Winograd saves multiplications and may pass the flat
// roof.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"
#include "plot/plot.h"

enum { MAX_ROWS = 4096, ROOF_POINTS = 65, GROUPS = 5, LEVELS = 4, MAX_CHARTS = 8 };

typedef struct TsvRow { const char *op, *variant, *shape; int threads; double gflops, gbps; } TsvRow;

static const char *const group_name[GROUPS] = {"products", "convolutions", "attention", "norms, softmax", "other"};
static const char *const level_name[LEVELS] = {"L1", "L2", "L3", "DRAM"};

static int group_of(const char *op)
{
    static const struct { const char *prefix; int group; } known[] = {
        {"linear", 0}, {"matmul", 0}, {"conv2d", 1}, {"dwconv1d", 1}, {"attention", 2}, {"layer_norm", 3},
        {"group_norm", 3}, {"adagn", 3}, {"softmax", 3}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strncmp(op, known[i].prefix, strlen(known[i].prefix)) == 0) return known[i].group;
    return 4;
}

// Splits the text in place.  Lines that are not nine columns are an error.
static Status parse(char *text, TsvRow *row, int *n)
{
    *n = 0;
    int line_no = 0;
    for (char *save = NULL, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
        char *col[9];
        int cols = 0;
        for (char *at = line; at && cols < 9; cols++) {
            col[cols] = at;
            at = strchr(at, '\t');
            if (at) *at++ = 0;
        }
        line_no++;
        if (cols != 9) return ERROR("line %d: want 9 columns, got %d", line_no, cols);
        if (line_no == 1) continue;
        if (*n == MAX_ROWS) return ERROR("more than %d rows", MAX_ROWS);
        row[(*n)++] = (TsvRow){col[0], col[1], col[2], atoi(col[3]), strtod(col[5], NULL), strtod(col[6], NULL)};
    }
    return OK;
}

// The widest instruction set that has rows.
static const char *widest(const TsvRow *row, int n)
{
    const char *const isa[] = {"avx512", "avx2", "scalar"};
    for (int k = 0; k < 3; k++)
        for (int i = 0; i < n; i++)
            if (strcmp(row[i].variant, isa[k]) == 0) return isa[k];
    return isa[2];
}

static double ceiling(const TsvRow *row, int n, const char *op, const char *shape, const char *variant, int threads,
                      bool gflops)
{
    for (int i = 0; i < n; i++)
        if (row[i].threads == threads && !strcmp(row[i].op, op) && !strcmp(row[i].shape, shape) &&
            !strcmp(row[i].variant, variant))
            return gflops ? row[i].gflops : row[i].gbps;
    return NAN;
}

static LineChart chart_of(const TsvRow *row, int n, const char *isa, int threads, Arena *a)
{
    Series *s = arena_zalloc(a, (LEVELS + GROUPS) * sizeof *s);
    const double peak = ceiling(row, n, "ceiling_fma", "-", isa, threads, true);
    for (int l = 0; l < LEVELS; l++) {
        double *x = arena_alloc(a, 2 * ROOF_POINTS * sizeof *x), *y = x + ROOF_POINTS;
        const double bandwidth = ceiling(row, n, "ceiling_read", level_name[l], isa, threads, false);
        for (int i = 0; i < ROOF_POINTS; i++) {
            x[i] = exp(log(0.03) + (log(500) - log(0.03)) * i / (ROOF_POINTS - 1));
            y[i] = fmin(peak, x[i] * bandwidth) * 1e9;
        }
        s[l] = (Series){.name = level_name[l], .n = ROOF_POINTS, .x = x, .y = y,
                        .look = l == 3 ? LOOK_LINE : LOOK_DASHED};
    }
    for (int g = 0; g < GROUPS; g++) {
        double *x = arena_alloc(a, 2 * (size_t)n * sizeof *x), *y = x + n;
        int m = 0;
        for (int i = 0; i < n; i++) {
            const TsvRow *r = &row[i];
            if (r->threads != threads || strcmp(r->variant, isa) || !strncmp(r->op, "ceiling", 7)) continue;
            if (group_of(r->op) != g || !(r->gflops > 0) || !(r->gbps > 0)) continue;
            x[m] = r->gflops / r->gbps;
            y[m++] = r->gflops * 1e9;
        }
        s[LEVELS + g] = (Series){.name = group_name[g], .n = m, .x = x, .y = y, .look = LOOK_DOTS};
    }
    const char *title = arena_printf(a, "%d thread%s, %s: %.0f GFLOP/s", threads, threads > 1 ? "s" : "", isa, peak);
    return (LineChart){.title = title, .x_kind = AXIS_LOG, .y_kind = AXIS_LOG, .x_label = "arithmetic intensity",
                       .x_unit = "flops/byte", .y_label = "speed", .y_unit = "FLOP/s",
                       .n_series = LEVELS + GROUPS, .series = s};
}

static Status run(const char *in, const char *out, Arena *a)
{
    char *text;
    size_t size;
    TRY(file_read(&text, &size, a, in, (size_t)64 << 20));
    TsvRow *row = arena_alloc(a, MAX_ROWS * sizeof *row);
    int n, charts = 0, seen[MAX_CHARTS];
    TRY(parse(text, row, &n));
    const char *isa = widest(row, n);
    LineChart chart[MAX_CHARTS];
    for (int i = 0; i < n; i++) {
        bool new = charts < MAX_CHARTS && !strcmp(row[i].op, "ceiling_fma") && !strcmp(row[i].variant, isa);
        for (int c = 0; c < charts; c++) new &= seen[c] != row[i].threads;
        if (!new) continue;
        seen[charts] = row[i].threads;
        chart[charts++] = chart_of(row, n, isa, row[i].threads, a);
    }
    if (!charts) return ERROR("%s: want rows of op ceiling_fma, found none", in);
    Picture *p;
    TRY(plot_line_charts(a, "Roofline of the kernels", charts, chart, charts > 1 ? 2 : 1, &p));
    return picture_write_png(p, out);
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: roofline IN.tsv OUT.png\n");
        return 2;
    }
    Arena *a = arena_new("roofline", (size_t)1 << 30, NULL);
    CHECK(a, "roofline: no memory");
    const Status s = run(argv[1], argv[2], a);
    if (s.code) fprintf(stderr, "roofline: %s\n", s.msg);
    return s.code;
}
