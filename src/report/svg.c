#include "report/svg.h"

#include <math.h>
#include <string.h>
#include <time.h>

enum { TEXT = 11 };              // height of text; a digit is about 6.2 wide

typedef struct Plot {
    Html *h;
    Arena *a;
    double x0, y0, w, hgt;       // where the data are drawn
    double all;                  // width of the chart
    Axis x, y;
} Plot;

// ---- numbers

const char *svg_value_text(Arena *a, double v, const char *unit)
{
    double factor = 1;
    const char *base = unit;
    if (!isfinite(v)) return "none";
    const bool prefixed = axis_unit_split(unit, &factor, &base);
    const char *prefix = "";
    double x = v * factor;
    if (prefixed) {
        static const char *const names[] = {"", "k", "M", "G", "T", "P", "E"};
        int k = 0;
        while (k < 6 && fabs(x) >= 999.5) x /= 1000, k++;
        prefix = names[k];
    }
    const double size = fabs(x);
    const int decimals = size >= 99.95 || size < 1e-12 ? 0 : size >= 9.995 ? 1 : size >= 0.995 || prefixed ? 2 : 3;
    return arena_printf(a, "%.*f\xc2\xa0%s%s", decimals, x, prefix, base ? base : "");
}

static const char *moment(Arena *a, const Axis *axis, double v)
{
    if (axis->kind != AXIS_TIME) return arena_printf(a, "slot %.0f", v);
    const time_t s = (time_t)v;
    struct tm tm;
    char text[40] = "";
    if (gmtime_r(&s, &tm)) strftime(text, sizeof text, "%a %Y-%m-%d %H:%M UTC", &tm);
    return arena_printf(a, "%s", text);
}

// ---- axes

static double at_x(const Plot *p, double v) { return p->x0 + axis_at(&p->x, v) * p->w; }

static double at_y(const Plot *p, double v) { return p->y0 + (1 - axis_at(&p->y, v)) * p->hgt; }

static void text_at(Html *h, double x, double y, const char *class_name, const char *text)
{
    html_open(h, "text", " x=\"%.1f\" y=\"%.1f\" class=\"%s\"", x, y, class_name);
    html_text(h, text);
    html_close(h);
}

static void line_at(Html *h, const char *class_name, double x1, double x2, double y1, double y2)
{
    html_empty(h, "line", " x1=\"%.1f\" x2=\"%.1f\" y1=\"%.1f\" y2=\"%.1f\" class=\"%s\"", x1, x2, y1,
               y2, class_name);
}

static double widest(const Ticks *t)
{
    size_t most = 1;
    for (int i = 0; i < t->n; i++)
        if (strlen(t->tick[i].text) > most) most = strlen(t->tick[i].text);
    return 6.2 * (double)most;
}

static void draw_y_ticks(const Plot *p, const Ticks *t, const char *title)
{
    for (int i = 0; i < t->n; i++) {
        const double y = at_y(p, t->tick[i].v);
        if (!*t->tick[i].text) continue;
        line_at(p->h, "grid", p->x0, p->x0 + p->w, y, y);
        text_at(p->h, p->x0 - 6, y + 4, "end", t->tick[i].text);
    }
    if (*title) text_at(p->h, 2, 10, "unit", title);
}

// x, moved so that a text centred there stays inside the chart.
static double inside(const Plot *p, double x, const char *text)
{
    const double half = 3.2 * (double)strlen(text);
    return fmin(fmax(x, half), p->all - half);
}

static void draw_x_ticks(const Plot *p, const Ticks *t, const char *title)
{
    const double foot = p->y0 + p->hgt;
    line_at(p->h, "axis", p->x0, p->x0 + p->w, foot, foot);
    for (int i = 0; i < t->n; i++) {
        const double x = at_x(p, t->tick[i].v);
        line_at(p->h, "axis", x, x, foot, foot + 4);
        if (*t->tick[i].text) text_at(p->h, inside(p, x, t->tick[i].text), foot + 16, "mid", t->tick[i].text);
        if (*t->tick[i].below) text_at(p->h, inside(p, x, t->tick[i].below), foot + 29, "mid", t->tick[i].below);
    }
    if (*title) text_at(p->h, p->x0 + p->w, foot + 30, "unit end", title);
}

// Begins the element, draws the axes.  The caller closes it.
static Plot begin(Html *h, Arena *a, SvgSize size, Axis x, Axis y)
{
    Plot p = {.h = h, .a = a, .x = x, .y = y, .all = size.w};
    html_open(h, "svg", " viewBox=\"0 0 %.0f %.0f\" role=\"img\"", size.w, size.h);
    p.y0 = 20;
    p.hgt = size.h - p.y0 - 36;
    const Ticks ty = axis_ticks(&y, p.hgt, false, TEXT);
    p.x0 = widest(&ty) + 10;
    p.w = size.w - p.x0 - 14;
    const Ticks tx = axis_ticks(&x, p.w, true, TEXT + 1);
    draw_y_ticks(&p, &ty, axis_title(a, &y, &ty));
    draw_x_ticks(&p, &tx, x.label ? x.label : "");
    return p;
}

// ---- lines and areas: numbers alone, so they are written as they come

static void path(const Plot *p, const char *class_name, int n, const double *x, const double *y)
{
    bool pen = false;
    fprintf(p->h->f, "<path class=\"%s\" d=\"", class_name);
    for (int i = 0; i < n; i++) {
        const bool here = isfinite(x[i]) && isfinite(y[i]);
        if (here) fprintf(p->h->f, "%c%.1f %.1f", pen ? 'L' : 'M', x[i], y[i]);
        if (here && !pen && (i + 1 == n || !isfinite(y[i + 1]))) fputs("h.01", p->h->f);   // a lone point
        pen = here;
    }
    fputs("\"/>", p->h->f);
}

// The area between lo and hi, in as many pieces as gaps leave.
static void area(const Plot *p, const char *class_name, int n, const double *x, const double *lo, const double *hi)
{
    fprintf(p->h->f, "<path class=\"%s\" d=\"", class_name);
    for (int i = 0, begin_at = 0; i <= n; i++) {
        if (i < n && isfinite(lo[i]) && isfinite(hi[i])) continue;
        for (int k = begin_at; k < i; k++) fprintf(p->h->f, "%c%.1f %.1f", k == begin_at ? 'M' : 'L', x[k], lo[k]);
        for (int k = i - 1; k >= begin_at; k--) fprintf(p->h->f, "L%.1f %.1f", x[k], hi[k]);
        if (i > begin_at) fputc('Z', p->h->f);
        begin_at = i + 1;
    }
    fputs("\"/>", p->h->f);
}

// A column that shows `text` when pointed at, with a dot at y (NaN: none), and `tip` in the chart's upper right
// corner: at once, and where a tap is all there is.
static void hit(const Plot *p, double x, double width, double y, const char *text, const char *tip)
{
    html_open(p->h, "g", " class=\"hit\"");
    html_empty(p->h, "rect", " x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\"", x - width / 2, p->y0, width,
               p->hgt);
    if (isfinite(y)) html_empty(p->h, "circle", " cx=\"%.1f\" cy=\"%.1f\" r=\"3\"", x, y);
    if (*tip) text_at(p->h, p->x0 + p->w, 10, "tip end", tip);
    html_put(p->h, "title", "", "%s", text);
    html_close(p->h);
}

// ---- fan chart

static double fan_value(const FanChart *c, const float *v, int slot)    // slot -1: the last measured value
{
    if (slot < 0) return c->history && c->n_history > 0 ? (double)c->history[c->n_history - 1] : NAN;
    return v ? (double)v[slot] : NAN;
}

// A line of the text that pointing shows; v NULL or NaN: none.
static const char *value_line(Arena *a, const FanChart *c, const char *name, const float *v, int k)
{
    if (!v || isnan(v[k])) return "";
    return arena_printf(a, "\n%s: %s", name, svg_value_text(a, (double)v[k], c->unit));
}

static const char *band_line(Arena *a, const FanChart *c, const char *name, const float *lo, const float *hi, int k)
{
    if (!lo || !hi) return "";
    return arena_printf(a, "%s .. %s", value_line(a, c, name, lo, k), svg_value_text(a, (double)hi[k], c->unit));
}

static const char *fan_text(Arena *a, const FanChart *c, const Axis *x, int slot)
{
    const char *when = moment(a, x, fan_time(c, slot));
    if (slot < 0) return arena_printf(a, "%s%s", when, value_line(a, c, "measured", c->history, c->n_history + slot));
    return arena_printf(a, "%s%s%s%s%s", when, value_line(a, c, "median", c->median, slot),
                        band_line(a, c, "50 % of the paths", c->q25, c->q75, slot),
                        band_line(a, c, "90 % of the paths", c->q05, c->q95, slot),
                        value_line(a, c, "measured", c->truth, slot));
}

// The same in one short line.
static const char *fan_tip(Arena *a, const FanChart *c, const Axis *x, int slot)
{
    const double v = slot < 0 ? (double)c->history[c->n_history + slot] : fan_value(c, c->median, slot);
    const char *when = moment(a, x, fan_time(c, slot)), *value = svg_value_text(a, v, c->unit);
    const char *time = x->kind == AXIS_TIME && strlen(when) > 15 ? arena_printf(a, "%.5s", when + 15) : when;
    return slot < 0 || !c->q05 || !c->q95
               ? arena_printf(a, "%s  %s", time, value)
               : arena_printf(a, "%s  %s (%s .. %s)", time, value, svg_value_text(a, (double)c->q05[slot], c->unit),
                              svg_value_text(a, (double)c->q95[slot], c->unit));
}

static void fan_hits(const Plot *p, const FanChart *c)
{
    const double step = at_x(p, fan_time(c, 1)) - at_x(p, fan_time(c, 0));
    for (int i = -c->n_history; i < c->n_forecast; i++) {
        const size_t mark = arena_mark(p->a);
        const double v = i < 0 ? (double)c->history[c->n_history + i] : fan_value(c, c->median, i);
        if (isfinite(v)) hit(p, at_x(p, fan_time(c, i)), step, at_y(p, v), fan_text(p->a, c, &p->x, i),
                             fan_tip(p->a, c, &p->x, i));
        arena_rewind(p->a, mark);
    }
}

// Band and lines of the forecast set out from the last measured value.
static void fan_lines(const Plot *p, const FanChart *c)
{
    const int n = c->n_forecast + 1, H = c->n_history;
    double *x = arena_alloc(p->a, (size_t)(n + H) * 3 * sizeof *x), *lo = x + n + H, *hi = lo + n + H;
    const struct { const char *name; const float *lo, *hi; } band[] = {
        {"band90", c->q05, c->q95}, {"band50", c->q25, c->q75}};
    for (int k = 0; k < n; k++) x[k] = at_x(p, fan_time(c, k - 1));
    for (int b = 0; b < 2; b++) {
        for (int k = 0; k < n; k++) {
            lo[k] = at_y(p, fan_value(c, band[b].lo, k - 1));
            hi[k] = at_y(p, fan_value(c, band[b].hi, k - 1));
        }
        area(p, band[b].name, n, x, lo, hi);
    }
    const struct { const char *name; const float *v; } line[] = {{"truth", c->truth}, {"median", c->median}};
    for (int l = 0; l < 2; l++) {
        for (int k = 0; k < n; k++) lo[k] = at_y(p, fan_value(c, line[l].v, k - 1));
        if (line[l].v) path(p, line[l].name, n, x, lo);
    }
    for (int k = 0; k < H; k++) {
        x[k] = at_x(p, fan_time(c, k - H));
        lo[k] = at_y(p, (double)c->history[k]);
    }
    if (H) path(p, "history", H, x, lo);
}

void svg_fan_chart(Html *h, Arena *a, const FanChart *c, SvgSize size, double limit)
{
    const size_t mark = arena_mark(a);
    Range time, value;
    fan_ranges(c, &time, &value);
    const bool marked = isfinite(limit) && limit <= 4 * value.hi;     // a line far above would flatten the rest
    if (marked) range_add(&value, limit);
    const bool clock = c->step_s > 0;
    const Axis x = axis_fit(clock ? AXIS_TIME : AXIS_WHOLE, time, clock ? NULL : "slots ahead", NULL);
    const Plot p = begin(h, a, size, x, axis_fit(AXIS_LINEAR, value, NULL, c->unit));
    const double now = at_x(&p, fan_time(c, -1));
    if (c->n_history > 0)
        line_at(h, "now", now, now, p.y0, p.y0 + p.hgt);
    if (marked)
        line_at(h, "limit", p.x0, p.x0 + p.w, at_y(&p, limit), at_y(&p, limit));
    fan_lines(&p, c);
    fan_hits(&p, c);
    html_close(h);
    arena_rewind(a, mark);
}

// ---- line chart

const char *svg_series_class(Arena *a, const LineChart *c, int i)
{
    int weak = 0;
    for (int k = 0; k < i; k++) weak += !c->series[k].strong;
    if (c->series[i].strong) return "line c0 strong";
    return arena_printf(a, "line c%d%s", 1 + weak % 6, weak >= 6 ? " dashed" : "");
}

static const char *line_text(Arena *a, const LineChart *c, int k)
{
    const char *text = arena_printf(a, "%s %g", c->x_label ? c->x_label : "", c->series[0].x[k]);
    for (int i = 0; i < c->n_series; i++)
        if (k < c->series[i].n && isfinite(c->series[i].y[k]))
            text = arena_printf(a, "%s\n%s: %.4g", text, c->series[i].name, c->series[i].y[k]);
    return text;
}

static void draw_series(const Plot *p, const LineChart *c, int i)
{
    const Series *s = &c->series[i];
    double *x = arena_alloc(p->a, (size_t)s->n * 2 * sizeof *x), *y = x + s->n;
    for (int k = 0; k < s->n; k++) {
        x[k] = at_x(p, s->x[k]);
        y[k] = at_y(p, s->y[k]);
    }
    path(p, svg_series_class(p->a, c, i), s->n, x, y);
}

void svg_line_chart(Html *h, Arena *a, const LineChart *c, SvgSize size)
{
    const size_t mark = arena_mark(a);
    Range x = range_empty(), y = range_empty();
    for (int i = 0; i < c->n_series; i++)
        for (int k = 0; k < c->series[i].n; k++)
            if (isfinite(c->series[i].y[k])) range_add(&x, c->series[i].x[k]), range_add(&y, c->series[i].y[k]);
    const Plot p = begin(h, a, size, axis_fit(c->x_kind, x, c->x_label, c->x_unit),
                         axis_fit(c->y_kind, y, c->y_label, c->y_unit));
    for (int strong = 0; strong < 2; strong++)
        for (int i = 0; i < c->n_series; i++)
            if (c->series[i].strong == (strong == 1)) draw_series(&p, c, i);
    const Series *first = &c->series[0];
    const double step = first->n > 1 ? at_x(&p, first->x[1]) - at_x(&p, first->x[0]) : p.w;
    for (int k = 0; k < first->n; k++) hit(&p, at_x(&p, first->x[k]), step, NAN, line_text(a, c, k), "");
    html_close(h);
    arena_rewind(a, mark);
}

// ---- heat map

static void hex(char out[8], Color c) { snprintf(out, 8, "#%02x%02x%02x", c.r, c.g, c.b); }

static Color heat_color(const SvgHeatMap *m, double v)
{
    if (isnan(v)) return COLOR_MISSING;
    if (m->axis.kind == AXIS_LOG && v <= 0) return color_map(m->map, 0);
    return color_map(m->map, axis_at(&m->axis, v));
}

// The first characters of a name that take at most `most` columns.
static const char *short_name(Arena *a, const char *name, int most)
{
    int columns = 0;
    const char *p = name;
    for (; *p; p++) {
        if (((unsigned char)*p & 0xc0) == 0x80) continue;      // inside a character
        if (++columns > most) return arena_printf(a, "%.*s\xe2\x80\xa6", (int)(p - name), name);
    }
    return name;
}

static void heat_bar(Html *h, const SvgHeatMap *m, double x, double y, double w)
{
    enum { STEPS = 48 };
    char color[8];
    for (int i = 0; i < STEPS; i++) {
        hex(color, color_map(m->map, (i + 0.5) / STEPS));
        html_empty(h, "rect", " x=\"%.1f\" y=\"%.1f\" width=\"%.2f\" height=\"9\" fill=\"%s\"", x + w * i / STEPS, y,
                   w / STEPS + 0.3, color);
    }
    const Ticks t = axis_ticks(&m->axis, w, true, TEXT + 1);
    for (int i = 0; i < t.n; i++)
        if (*t.tick[i].text) text_at(h, x + axis_at(&m->axis, t.tick[i].v) * w, y + 21, "mid", t.tick[i].text);
    text_at(h, x + w, y - 4, "unit end", t.unit);
}

// The name of every k-th node, so that they do not touch.
static void heat_names(Html *h, Arena *a, const SvgHeatMap *m, double x, double y, double cell, int columns)
{
    const int every = cell >= 10 ? 1 : (int)ceil(10 / cell);
    for (int i = 0; i < m->n; i += every) {
        const double mid = (i + 0.5) * cell;
        const char *name = short_name(a, m->names[i], columns);
        text_at(h, x - 5, y + mid + 3.5, "end small", name);
        html_open(h, "text", " transform=\"translate(%.1f %.1f) rotate(-90)\" class=\"small\"", x + mid + 3.5, y - 5);
        html_text(h, name);
        html_close(h);
    }
}

void svg_heat_map(Html *h, Arena *a, const SvgHeatMap *m, SvgSize size)
{
    enum { COLUMNS = 9 };
    const size_t mark = arena_mark(a);
    int longest = 1;
    for (int i = 0; i < m->n; i++) {
        const int n = (int)strlen(short_name(a, m->names[i], COLUMNS));
        longest = n > longest ? n : longest;
    }
    const double room = 5.8 * (longest < COLUMNS + 1 ? longest : COLUMNS + 1) + 8;
    const double cell = (size.w - room - 4) / m->n, side = cell * m->n;
    html_open(h, "svg", " viewBox=\"0 0 %.0f %.0f\" role=\"img\"", size.w, room + side + 46);
    heat_names(h, a, m, room, room, cell, COLUMNS);
    for (int i = 0; i < m->n; i++)
        for (int j = 0; j < m->n; j++) {
            const size_t inner = arena_mark(a);
            const double v = (double)m->values[(int64_t)i * m->n + j];
            char color[8];
            hex(color, heat_color(m, v));
            html_open(h, "rect", " x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" fill=\"%s\" class=\"cell\"",
                      room + j * cell, room + i * cell, cell, cell, color);
            const char *value = svg_value_text(a, v, m->axis.unit);
            html_put(h, "title", "", "%s to %s\n%s", m->names[i], m->names[j], value);
            html_close(h);
            text_at(h, room, room + side + 14, "tip", arena_printf(a, "%s to %s: %s", short_name(a, m->names[i], 12),
                                                                   short_name(a, m->names[j], 12), value));
            arena_rewind(a, inner);
        }
    heat_bar(h, m, room, room + side + 18, side);
    html_close(h);
    arena_rewind(a, mark);
}

// ---- timeline

static void timeline_hit(const Plot *p, const SvgTimeline *t, int i, double from, double width)
{
    const double begins = t->t0 + (t->t1 - t->t0) * i / t->n;
    const char *when = moment(p->a, &p->x, begins);
    const bool here = isfinite(t->mean[i]);
    const char *text = here ? arena_printf(p->a, "from %s\nmean: %s\n%s .. %s", when,
                                           svg_value_text(p->a, (double)t->mean[i], t->unit),
                                           svg_value_text(p->a, (double)t->low[i], t->unit),
                                           svg_value_text(p->a, (double)t->high[i], t->unit))
                            : arena_printf(p->a, "from %s\nnothing measured, or left out", when);
    if (t->marked && t->marked[i] && here) text = arena_printf(p->a, "%s\nsome of it left out or filled", text);
    hit(p, from + width / 2, width, here ? at_y(p, (double)t->mean[i]) : NAN, text,
        here ? arena_printf(p->a, "%s  %s", when, svg_value_text(p->a, (double)t->mean[i], t->unit)) : when);
}

void svg_timeline(Html *h, Arena *a, const SvgTimeline *t, SvgSize size)
{
    const size_t mark = arena_mark(a);
    Range time = range_empty(), value = range_empty();
    range_add(&time, t->t0);
    range_add(&time, t->t1);
    range_add_f32(&value, t->low, t->n);
    range_add_f32(&value, t->high, t->n);
    Axis x = axis_fit(t->clock ? AXIS_TIME : AXIS_WHOLE, time, NULL, NULL);
    x.lo = t->t0, x.hi = t->t1 > t->t0 ? t->t1 : t->t0 + 1;
    const Plot p = begin(h, a, size, x, axis_fit(AXIS_LINEAR, value, NULL, t->unit));
    double *at = arena_alloc(a, (size_t)t->n * 4 * sizeof *at), *mean = at + t->n, *lo = mean + t->n, *hi = lo + t->n;
    const double width = p.w / t->n;
    for (int i = 0; i < t->n; i++) {
        at[i] = p.x0 + (i + 0.5) * width;
        mean[i] = at_y(&p, (double)t->mean[i]);
        lo[i] = at_y(&p, (double)t->low[i]);
        hi[i] = at_y(&p, (double)t->high[i]);
    }
    for (int i = 0, to; i < t->n; i = to) {      // bins of one hole are one rectangle: seams would show
        const bool hole = !isfinite(mean[i]), marked = t->marked && t->marked[i];
        for (to = i + 1; to < t->n && hole && !isfinite(mean[to]);) to++;
        if (hole || marked)
            html_empty(h, "rect", " x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" class=\"%s\"",
                       p.x0 + i * width, hole ? p.y0 : p.y0 + p.hgt - 5, (to - i) * width, hole ? p.hgt : 5.0,
                       hole ? "hole" : "mark");
    }
    area(&p, "band50", t->n, at, lo, hi);
    path(&p, "line c0", t->n, at, mean);
    for (int i = 0; i < t->n; i++) {
        const size_t inner = arena_mark(a);
        timeline_hit(&p, t, i, p.x0 + i * width, width);
        arena_rewind(a, inner);
    }
    html_close(h);
    arena_rewind(a, mark);
}

// ---- a range in a table

void svg_range(Html *h, double low, double middle, double high, double lo, double hi, double zero)
{
    enum { W = 120, H = 14 };
    const double scale = hi > lo ? (W - 4) / (hi - lo) : 0;
    html_open(h, "svg", " viewBox=\"0 0 %d %d\" class=\"range\"", W, H);
    if (isfinite(zero))
        html_empty(h, "line", " x1=\"%.1f\" x2=\"%.1f\" y1=\"0\" y2=\"%d\" class=\"limit\"", 2 + (zero - lo) * scale,
                   2 + (zero - lo) * scale, H);
    if (isfinite(low) && isfinite(high))
        html_empty(h, "rect", " x=\"%.1f\" y=\"4\" width=\"%.1f\" height=\"6\" class=\"bar\"", 2 + (low - lo) * scale,
                   fmax((high - low) * scale, 1));
    if (isfinite(middle))
        html_empty(h, "rect", " x=\"%.1f\" y=\"1\" width=\"2\" height=\"12\" class=\"tick\"",
                   1 + (middle - lo) * scale);
    html_close(h);
}
