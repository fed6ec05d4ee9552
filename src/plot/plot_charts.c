// Fan charts and line charts: values over an axis, with a legend.
#include <math.h>
#include <string.h>

#include "plot/colormap.h"
#include "plot/font.h"
#include "plot/plot.h"

enum { PAGE_W = 1400, MARGIN = 20, TITLE_H = 40, LEGEND_LINE = 24, KEY_W = 30 };

static const Ink INK_HISTORY = {.color = {120, 120, 126}, .alpha = 1, .width = 1.8};
static const Ink INK_TRUTH = {.color = {20, 20, 24}, .alpha = 1, .width = 2.0};
static const Ink INK_MEDIAN = {.color = {0, 114, 178}, .alpha = 1, .width = 2.6};
static const Ink INK_BAND_50 = {.color = {0, 114, 178}, .alpha = 0.38};
static const Ink INK_BAND_90 = {.color = {0, 114, 178}, .alpha = 0.18};

// ---- legend

typedef struct Key {
    const char *name;
    Ink ink;             // width 0: a filled box, as of a band
    SeriesLook look;
} Key;

static void dot(Picture *p, Point at, double radius, Color color)
{
    picture_stroke(p, &at, 1, (Ink){.color = color, .alpha = 1, .width = 2 * radius - 3});
}

static void draw_key(Picture *p, int x, int base, const Key *k, const char *name)
{
    Point line[2] = {{x, base - 4.5}, {x + KEY_W, base - 4.5}};
    if (k->ink.width <= 0) picture_fill(p, (Rect){x, base - 10, KEY_W, 12}, k->ink.color, k->ink.alpha);
    else if (k->look != LOOK_DOTS) picture_stroke(p, line, 2, k->ink);
    if (k->look == LOOK_DOTS || k->look == LOOK_LINE_DOTS)
        dot(p, (Point){x + KEY_W / 2.0, base - 4.5}, k->ink.width + 1.6, k->ink.color);
    picture_text(p, x + KEY_W + 8, base, STYLE_TICK, name);
}

// Keys side by side from (x, y) in as many lines as `width` asks for; returns the height used.  p = NULL only measures.
static int draw_legend(Arena *arena, Picture *p, int x, int y, int width, int n, const Key *keys)
{
    enum { GAP = 22 };
    int at = 0, lines = n > 0;
    size_t mark = arena_mark(arena);
    for (int i = 0; i < n; i++) {
        const char *name = picture_text_fit(arena, keys[i].name, STYLE_TICK.size, width - KEY_W - 8);
        int need = KEY_W + 8 + (int)ceil(font_width(name, STYLE_TICK.size));
        if (at > 0 && at + need > width) at = 0, lines++;
        if (p) draw_key(p, x + at, y + (lines - 1) * LEGEND_LINE + 16, &keys[i], name);
        at += need + GAP;
    }
    arena_rewind(arena, mark);
    return lines * LEGEND_LINE;
}

// ---- a page of equal cells

enum { MAX_COLUMNS = 6, GUTTER = 24 };

typedef struct Grid {
    int n, columns;
    int cell_w, cell_h;      // with the gutter
    int top, page_w;
} Grid;

// Cells become lower as they become narrower.  `head` pixels are left free between the title and the first row.
static Status grid_fit(int n, int columns, const char *title, int head, Grid *g)
{
    if (n < 1 || columns < 1) return ERROR("charts: want at least 1 chart and 1 column, got %d and %d", n, columns);
    if (columns > n) columns = n;
    if (columns > MAX_COLUMNS) columns = MAX_COLUMNS;
    *g = (Grid){.n = n, .columns = columns, .page_w = columns == 1 ? 1100 : PAGE_W};
    g->cell_w = (g->page_w - 2 * MARGIN + GUTTER) / columns;
    g->cell_h = columns == 1 ? 480 : columns == 2 ? 360 : 280;
    g->top = MARGIN + (title ? TITLE_H - 6 : 0) + head;
    return OK;
}

static Status grid_page(Arena *arena, const Grid *g, const char *title, Picture **out)
{
    int64_t rows = (g->n + g->columns - 1) / g->columns;
    TRY(picture_new(arena, g->page_w, g->top + rows * g->cell_h + MARGIN, COLOR_PAPER, out));
    if (title) picture_text(*out, MARGIN, MARGIN + 16, STYLE_PAGE,
                            picture_text_fit(arena, title, STYLE_PAGE.size, g->page_w - 2 * MARGIN));
    return OK;
}

static Rect grid_cell(const Grid *g, int i)
{
    int x = MARGIN + i % g->columns * g->cell_w, y = g->top + i / g->columns * g->cell_h;
    return (Rect){x, y, g->cell_w - GUTTER, g->cell_h - 12};
}

// ---- fan charts

double fan_time(const FanChart *c, int slot)
{
    return c->step_s > 0 ? c->t0 + (c->n_history + slot) * c->step_s : slot + 1;
}

void fan_ranges(const FanChart *c, Range *time, Range *value)
{
    *time = *value = range_empty();
    range_add(time, fan_time(c, c->n_history > 0 ? -c->n_history : 0));
    range_add(time, fan_time(c, c->n_forecast - 1));
    range_add_f32(value, c->history, c->n_history);
    const float *const all[] = {c->truth, c->median, c->q05, c->q25, c->q75, c->q95};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) range_add_f32(value, all[i], c->n_forecast);
}

// The last known value, where forecasts set out from; NaN when there is none.
static double fan_start(const FanChart *c)
{
    return c->history && c->n_history > 0 ? (double)c->history[c->n_history - 1] : NAN;
}

static void fan_line(Picture *p, const Frame *f, const FanChart *c, const float *v, Ink ink)
{
    if (!v) return;
    size_t mark = arena_mark(p->arena);
    Point *q = arena_alloc(p->arena, (size_t)(c->n_forecast + 1) * sizeof *q);
    q[0] = frame_point(f, fan_time(c, -1), fan_start(c));
    for (int i = 0; i < c->n_forecast; i++) q[i + 1] = frame_point(f, fan_time(c, i), (double)v[i]);
    bool lone = !isfinite(q[0].y);
    picture_stroke(p, q + lone, c->n_forecast + 1 - lone, ink);
    arena_rewind(p->arena, mark);
}

// The band between lo and hi, in as many pieces as NaN leaves.
static void fan_band(Picture *p, const Frame *f, const FanChart *c, const float *lo, const float *hi, Ink ink)
{
    if (!lo || !hi) return;
    size_t mark = arena_mark(p->arena);
    int n = c->n_forecast, first = isfinite(fan_start(c)) ? -1 : 0;
    size_t bytes = (size_t)(n + 2) * sizeof(Point);
    Point *q = arena_alloc(p->arena, 2 * bytes), *back = arena_alloc(p->arena, bytes);   // the outline; its hi side
    int m = 0;
    for (int i = first; i <= n; i++) {
        Point a = {NAN, NAN}, b = a;
        if (i < n) {
            a = frame_point(f, fan_time(c, i), i < 0 ? fan_start(c) : (double)lo[i]);
            b = frame_point(f, fan_time(c, i), i < 0 ? fan_start(c) : (double)hi[i]);
        }
        if (isfinite(a.y) && isfinite(b.y)) { q[m] = a; back[m++] = b; continue; }
        if (m == 1) {                        // one slot between gaps: a bar
            q[0].x -= 2, back[0].x -= 2;
            q[1] = (Point){q[0].x + 4, q[0].y}, back[1] = (Point){back[0].x + 4, back[0].y};
            m = 2;
        }
        for (int k = 0; k < m; k++) q[m + k] = back[m - 1 - k];
        picture_polygon(p, q, 2 * m, ink);
        m = 0;
    }
    arena_rewind(p->arena, mark);
}

static void fan_history(Picture *p, const Frame *f, const FanChart *c)
{
    size_t mark = arena_mark(p->arena);
    Point *q = arena_alloc(p->arena, (size_t)(c->n_history + 1) * sizeof *q);
    for (int i = 0; i < c->n_history; i++)
        q[i] = frame_point(f, fan_time(c, i - c->n_history), (double)c->history[i]);
    picture_stroke(p, q, c->n_history, INK_HISTORY);
    arena_rewind(p->arena, mark);
}

static bool has_truth(const FanChart *c)
{
    for (int i = 0; c->truth && i < c->n_forecast; i++)
        if (isfinite(c->truth[i])) return true;
    return false;
}

static void fan_chart(Picture *p, Rect r, const FanChart *c)
{
    Range time, value;
    fan_ranges(c, &time, &value);
    bool clock = c->step_s > 0;
    Axis x = axis_fit(clock ? AXIS_TIME : AXIS_WHOLE, time, clock ? NULL : "slots ahead", NULL);
    Frame f = plot_axes(p, r, c->title, x, axis_fit(AXIS_LINEAR, value, NULL, c->unit));
    picture_clip(p, (Rect){f.in.x, f.in.y - 3, f.in.w + 4, f.in.h + 5});
    double start = frame_point(&f, fan_time(c, -1), f.y.lo).x;
    int at = (int)fmax(f.in.x, floor(start));
    if (c->n_history > 0) {
        picture_fill(p, (Rect){at, f.in.y, f.in.x + f.in.w - at, f.in.h}, INK_MEDIAN.color, 0.05);
        picture_fill(p, (Rect){at, f.in.y, 1, f.in.h}, COLOR_AXIS, 0.7);
    }
    fan_band(p, &f, c, c->q05, c->q95, INK_BAND_90);
    fan_band(p, &f, c, c->q25, c->q75, INK_BAND_50);
    if (c->history) fan_history(p, &f, c);
    if (has_truth(c)) fan_line(p, &f, c, c->truth, INK_TRUTH);
    fan_line(p, &f, c, c->median, INK_MEDIAN);
    picture_unclip(p);
}

Status plot_fan_charts(Arena *arena, const char *title, int n, const FanChart *charts, int columns, Picture **out)
{
    const Key keys[] = {
        {"history", INK_HISTORY, LOOK_LINE}, {"forecast, median", INK_MEDIAN, LOOK_LINE},
        {"50 % band", INK_BAND_50, LOOK_LINE}, {"90 % band", INK_BAND_90, LOOK_LINE},
        {"what came", INK_TRUTH, LOOK_LINE},         // where there is any
    };
    bool truth = false;
    for (int i = 0; i < n; i++)
        if (charts[i].n_history < 0 || charts[i].n_forecast < 0 || charts[i].n_history + charts[i].n_forecast < 1)
            return ERROR("fan chart %d: want at least one slot, got %d of history and %d of forecast", i,
                         charts[i].n_history, charts[i].n_forecast);
    for (int i = 0; i < n; i++) truth |= has_truth(&charts[i]);
    Grid g;
    Picture *p = NULL;
    TRY(grid_fit(n, columns, title, LEGEND_LINE + 12, &g));
    TRY(grid_page(arena, &g, title, &p));
    draw_legend(arena, p, MARGIN, g.top - LEGEND_LINE - 12, p->w - 2 * MARGIN, truth ? 5 : 4, keys);
    TextStyle right = STYLE_TICK;
    right.align = ALIGN_RIGHT;
    if (charts[0].step_s > 0) picture_text(p, p->w - MARGIN, g.top - LEGEND_LINE + 4, right, "times in UTC");
    for (int i = 0; i < n; i++) fan_chart(p, grid_cell(&g, i), &charts[i]);
    *out = p;
    return OK;
}

// ---- line charts

static Ink series_ink(const LineChart *c, int i)
{
    // The strong series is blue; the others take the other six colours in turn, then again with dashes.
    const Series *s = &c->series[i];
    int weak = 0;
    for (int k = 0; k < i; k++) weak += !c->series[k].strong;
    bool dashed = s->look == LOOK_DASHED || (!s->strong && weak / 6 % 2);
    return (Ink){.color = color_category(s->strong ? 0 : 1 + weak % 6), .alpha = 1, .width = s->strong ? 3.2 : 1.8,
                 .dash = dashed ? 7 : 0};
}

static void draw_series(Picture *p, const Frame *f, const Series *s, Ink ink)
{
    size_t mark = arena_mark(p->arena);
    Point *q = arena_alloc(p->arena, (size_t)(s->n + 1) * sizeof *q);
    for (int i = 0; i < s->n; i++) q[i] = frame_point(f, s->x[i], s->y[i]);
    if (s->look != LOOK_DOTS) picture_stroke(p, q, s->n, ink);
    for (int i = 0; i < s->n && (s->look == LOOK_DOTS || s->look == LOOK_LINE_DOTS); i++)
        if (isfinite(q[i].x) && isfinite(q[i].y)) dot(p, q[i], ink.width + 1.6, ink.color);
    arena_rewind(p->arena, mark);
}

// The legend of one chart, `width` pixels wide; a single series is named by the chart's title.
static int chart_legend(Arena *arena, Picture *p, int x, int y, int width, const LineChart *c)
{
    if (c->n_series < 2) return 0;
    size_t mark = arena_mark(arena);
    Key *keys = arena_alloc(arena, (size_t)c->n_series * sizeof *keys);
    for (int i = 0; i < c->n_series; i++) {
        const Series *s = &c->series[i];
        keys[i] = (Key){s->name ? s->name : "", series_ink(c, i), s->look};
    }
    int used = draw_legend(arena, p, x, y, width, c->n_series, keys);
    arena_rewind(arena, mark);
    return used;
}

void plot_line_chart(Picture *p, Rect r, const LineChart *c)
{
    size_t mark = arena_mark(p->arena);
    Range x = range_empty(), y = range_empty();
    for (int i = 0; i < c->n_series; i++) {
        const Series *s = &c->series[i];
        for (int k = 0; k < s->n; k++)
            if (isfinite(s->x[k]) && isfinite(s->y[k])) range_add(&x, s->x[k]), range_add(&y, s->y[k]);
    }
    if (c->title) {
        picture_text(p, r.x + 8, r.y + 18, STYLE_TITLE,
                     picture_text_fit(p->arena, c->title, STYLE_TITLE.size, r.w - 8));
        r.y += 30, r.h -= 30;
    }
    int used = chart_legend(p->arena, p, r.x + 8, r.y, r.w - 8, c);
    r.y += used, r.h -= used;
    Frame f = plot_axes(p, r, NULL, axis_fit(c->x_kind, x, c->x_label, c->x_unit),
                        axis_fit(c->y_kind, y, c->y_label, c->y_unit));
    picture_clip(p, (Rect){f.in.x - 6, f.in.y - 6, f.in.w + 12, f.in.h + 12});
    for (int strong = 0; strong < 2; strong++)
        for (int i = 0; i < c->n_series; i++)
            if (c->series[i].strong == (strong == 1)) draw_series(p, &f, &c->series[i], series_ink(c, i));
    picture_unclip(p);
    arena_rewind(p->arena, mark);
}

Status plot_line_charts(Arena *arena, const char *title, int n, const LineChart *charts, int columns, Picture **out)
{
    Grid g;
    Picture *p = NULL;
    TRY(grid_fit(n, columns, title, 6, &g));
    int legend = 0;          // the highest one's lines after the second make all cells higher
    for (int i = 0; i < n; i++) {
        int need = chart_legend(arena, NULL, 0, 0, g.cell_w - GUTTER - 8, &charts[i]);
        legend = need > legend ? need : legend;
    }
    if (legend > 2 * LEGEND_LINE) g.cell_h += legend - 2 * LEGEND_LINE;
    TRY(grid_page(arena, &g, title, &p));
    for (int i = 0; i < n; i++) plot_line_chart(p, grid_cell(&g, i), &charts[i]);
    *out = p;
    return OK;
}
