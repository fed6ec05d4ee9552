#include "plot/axes.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "plot/font.h"

const TextStyle STYLE_PAGE = {.size = 20, .color = {30, 30, 34}, .bold = true};
const TextStyle STYLE_TITLE = {.size = 16, .color = {30, 30, 34}, .bold = true};
const TextStyle STYLE_LABEL = {.size = 15, .color = {30, 30, 34}};
const TextStyle STYLE_TICK = {.size = 14, .color = {60, 60, 66}};

// ---- ranges and scales

Range range_empty(void) { return (Range){INFINITY, -INFINITY, INFINITY}; }

void range_add(Range *r, double v)
{
    if (!isfinite(v)) return;
    r->lo = fmin(r->lo, v);
    r->hi = fmax(r->hi, v);
    if (v > 0) r->lo_positive = fmin(r->lo_positive, v);
}

void range_add_f32(Range *r, const float *v, int64_t n)
{
    for (int64_t i = 0; v && i < n; i++) range_add(r, v[i]);
}

static Axis fit_log(Axis a, Range r)
{
    if (!(r.lo_positive <= r.hi)) r.lo_positive = 1, r.hi = 10;
    // No more than twelve decades, or a stray 1e-300 would hide the rest.
    double lo = fmax(r.lo_positive, r.hi * 1e-12), hi = r.hi;
    double pad = fmax(0.03 * log10(hi / lo), log10(hi / lo) < 0.05 ? 0.15 : 0);
    a.lo = fmax(lo * pow(10, -pad), 1e-300);
    a.hi = fmin(hi * pow(10, pad), 1e300);
    return a;
}

static Axis fit_linear(Axis a, Range r)
{
    double size = fmax(fabs(r.lo), fabs(r.hi)), span = r.hi - r.lo;
    if (!(r.lo <= r.hi) || size == 0) {
        a.lo = 0, a.hi = 1;
    } else if (span < 1e-6 * size) {          // all equal, as far as float can tell
        a.lo = r.lo > 0 ? 0 : 1.5 * r.lo;
        a.hi = r.hi > 0 ? 1.5 * r.hi : 0;
    } else {
        bool from_zero = r.lo >= 0 && span > size / 3, to_zero = r.hi <= 0 && span > size / 3;
        a.lo = from_zero ? 0 : r.lo - 0.05 * span;
        a.hi = to_zero ? 0 : r.hi + 0.05 * span;
    }
    return a;
}

Axis axis_fit(AxisKind kind, Range r, const char *label, const char *unit)
{
    Axis a = {.kind = kind, .label = label, .unit = unit};
    // Larger numbers than any traffic: kept out so that differences of limits stay finite.
    if (r.lo <= r.hi) r.lo = fmax(r.lo, -1e300), r.hi = fmin(r.hi, 1e300);
    if (kind == AXIS_LOG) return fit_log(a, r);
    if (kind == AXIS_TIME) {
        bool some = r.lo <= r.hi;
        double pad = some && r.hi - r.lo >= 1 ? 0 : 1800;
        a.lo = some ? r.lo - pad : 0;
        a.hi = some ? r.hi + pad : 3600;
        return a;
    }
    if (kind == AXIS_WHOLE) {
        bool some = r.lo <= r.hi;
        double span = r.hi - r.lo, size = fmax(fabs(r.lo), fabs(r.hi));
        double pad = some && span > 1e-6 * size ? 0.02 * span : fmax(1, 1e-3 * size);
        a.lo = some ? r.lo - pad : 0;
        a.hi = some ? r.hi + pad : 1;
        return a;
    }
    a = fit_linear(a, r);
    if (kind == AXIS_SYMLOG) a.knee = fmax(fabs(a.lo), fabs(a.hi)) * 1e-2;
    return a;
}

static double scale(const Axis *a, double v)
{
    if (a->kind == AXIS_LOG) return v > 0 ? log10(v) : NAN;
    if (a->kind == AXIS_SYMLOG) return copysign(log10(1 + fabs(v) / a->knee), v);
    return v;
}

double axis_at(const Axis *a, double v)
{
    double lo = scale(a, a->lo), hi = scale(a, a->hi);
    return (scale(a, v) - lo) / (hi - lo);
}

// ---- units

static const char PREFIXES[] = " kMGTPE";

bool axis_unit_split(const char *unit, double *factor, const char **base)
{
    static const char *const BASES[] = {"bit/s", "B/s", "FLOP/s"};
    for (size_t i = 0; unit && i < sizeof BASES / sizeof *BASES; i++) {
        size_t n = strlen(unit), m = strlen(BASES[i]);
        if (n < m || n > m + 1 || strcmp(unit + n - m, BASES[i])) continue;
        const char *prefix = n == m ? PREFIXES : strchr(PREFIXES + 1, unit[0]);
        if (!prefix || !*prefix) continue;
        *factor = pow(1000, (double)(prefix - PREFIXES));
        *base = BASES[i];
        return true;
    }
    return false;
}

// The power of 1000 that brings v to 1..999, as an index of PREFIXES.
static int prefix_of(double v)
{
    int k = v > 0 ? (int)floor(log10(v * (1 + 1e-9)) / 3) : 0;
    return k < 0 ? 0 : k > 6 ? 6 : k;
}

static void number_text(char *out, size_t size, double v, double step)
{
    if (fabs(v) < 1e-9 * step) v = 0;
    double big = fmax(fabs(v), step);
    int decimals = (int)ceil(-log10(step) - 1e-9);
    if (big >= 1e7 || step < 1e-4) snprintf(out, size, "%.6g", v);
    else snprintf(out, size, "%.*f", decimals < 0 ? 0 : decimals, v);
}

// ---- ticks

static void add_tick(Ticks *t, double v, const char *text, const char *below)
{
    CHECK(t->n < MAX_TICKS, "axis_ticks: more than %d ticks", MAX_TICKS);
    Tick *k = &t->tick[t->n++];
    k->v = v;
    snprintf(k->text, sizeof k->text, "%s", text);
    snprintf(k->below, sizeof k->below, "%s", below);
}

// Ticks at multiples of 1, 2 or 5 times a power of ten, at most `want` + 1 of them.
static void linear_ticks(const Axis *a, int want, Ticks *t)
{
    double factor = 1, size = fmax(fabs(a->lo), fabs(a->hi));
    const char *base;
    snprintf(t->unit, sizeof t->unit, "%s", a->unit ? a->unit : "");
    if (axis_unit_split(a->unit, &factor, &base)) {
        int k = prefix_of(size * factor);
        snprintf(t->unit, sizeof t->unit, "%.*s%s", k ? 1 : 0, PREFIXES + k, base);
        factor /= pow(1000, k);
    }
    double lo = a->lo * factor, hi = a->hi * factor, least = (hi - lo) / want;
    double step = pow(10, floor(log10(least) + 1e-9));
    if (a->kind == AXIS_WHOLE) step = fmax(step, 1), least = fmax(least, 1);
    step *= least <= step * 1.0001 ? 1 : least <= 2 * step ? 2 : least <= 5 * step ? 5 : 10;
    for (double i = ceil(lo / step - 1e-6); i * step <= hi + 1e-6 * step; i++) {
        char text[24];
        number_text(text, sizeof text, i * step, step);
        add_tick(t, i * step / factor, text, "");
    }
}

static void power_text(char *out, size_t size, const Axis *a, double v)
{
    double factor = 1;
    const char *base;
    if (axis_unit_split(a->unit, &factor, &base)) {
        int k = prefix_of(fabs(v) * factor);
        snprintf(out, size, "%.6g%.*s", v * factor / pow(1000, k), k ? 1 : 0, PREFIXES + k);
    } else {
        snprintf(out, size, fabs(v) >= 1e6 ? "%.0e" : "%.6g", v);
    }
}

static void power_unit(const Axis *a, Ticks *t)
{
    double factor;
    const char *base = a->unit ? a->unit : "";
    axis_unit_split(a->unit, &factor, &base);
    snprintf(t->unit, sizeof t->unit, "%s", base);
}

// Powers of ten, with 2 and 5 times them where there is room; other whole multiples are minor ticks.
static void log_ticks(const Axis *a, int want, Ticks *t)
{
    int d0 = (int)floor(log10(a->lo) + 1e-9), d1 = (int)ceil(log10(a->hi) - 1e-9);
    double decades = log10(a->hi / a->lo);
    if (decades < 0.7) { linear_ticks(a, want, t); return; }
    power_unit(a, t);
    int every = (int)ceil((decades + 1) / want);
    bool fives = 3 * decades <= want, minor = decades <= 7;
    for (int d = d0; d <= d1; d++)
        for (int m = 1; m <= 9; m++) {
            double v = m * pow(10, d);
            if (v < a->lo * (1 - 1e-9) || v > a->hi * (1 + 1e-9) || (m > 1 && !minor)) continue;
            bool major = m == 1 ? d % every == 0 : fives && (m == 2 || m == 5);
            char text[24] = "";
            if (major) power_text(text, sizeof text, a, v);
            if (major || minor) add_tick(t, v, text, "");
        }
}

// 0 and the powers of ten from the knee up, on both sides.
static void symlog_ticks(const Axis *a, int want, Ticks *t)
{
    double top = fmax(fabs(a->lo), fabs(a->hi));
    int d0 = (int)ceil(log10(a->knee) - 1e-9), d1 = (int)floor(log10(top) + 1e-9);
    int sides = (a->lo < 0) + (a->hi > 0), every = (sides * (d1 - d0 + 1) + 1) / want + 1;
    power_unit(a, t);
    int most = d1 >= d0 ? (d1 - d0) / every : -1;
    for (int i = -most - 1; i <= most + 1; i++) {
        double v = i ? copysign(pow(10, d1 - (most + 1 - abs(i)) * every), i) : 0;
        char text[24];
        if (v < a->lo || v > a->hi) continue;
        power_text(text, sizeof text, a, v);
        add_tick(t, v, text, "");
    }
}

static void time_ticks(const Axis *a, int want, Ticks *t)
{
    static const double STEPS[] = {1, 2, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200,
                                   86400, 172800, 432000, 864000, 2592000, 7776000, 31536000};
    int last = (int)(sizeof STEPS / sizeof *STEPS) - 1, k = 0;
    double span = a->hi - a->lo;
    while (k < last && span / STEPS[k] > want) k++;
    double step = STEPS[k] * fmax(1, ceil(span / STEPS[k] / want));
    char shown[16] = "";
    snprintf(t->unit, sizeof t->unit, "UTC");
    for (double v = ceil(a->lo / step) * step; v <= a->hi; v += step) {
        time_t s = (time_t)v;
        struct tm tm;
        char text[24] = "?", day[16] = "";
        if (gmtime_r(&s, &tm)) {
            strftime(text, sizeof text, step < 60 ? "%H:%M:%S" : step < 86400 ? "%H:%M" : "%m-%d", &tm);
            strftime(day, sizeof day, step < 86400 ? "%Y-%m-%d" : "%Y", &tm);
        }
        bool news = strcmp(day, shown) != 0;
        add_tick(t, v, text, news ? day : "");
        memcpy(shown, day, sizeof shown);
    }
}

// True when no two texts touch.
static bool ticks_fit(const Axis *a, const Ticks *t, double length, bool horizontal, double text_size)
{
    double end[2] = {-INFINITY, -INFINITY};
    for (int i = 0; i < t->n; i++) {
        const char *line[2] = {t->tick[i].text, t->tick[i].below};
        double at = axis_at(a, t->tick[i].v) * length;
        for (int j = 0; j < 2; j++) {
            if (!line[j][0]) continue;
            double half = (horizontal ? font_width(line[j], text_size) : text_size) / 2;
            if (at - half < end[j] + (horizontal ? text_size : 0)) return false;
            end[j] = at + half;
        }
    }
    return true;
}

Ticks axis_ticks(const Axis *a, double length, bool horizontal, double text_size)
{
    double room = length / (horizontal ? 4 * text_size : 2.6 * text_size);
    int want = room < 2 ? 2 : room > 12 ? 12 : (int)room;
    for (;; want--) {
        Ticks t = {.n = 0};
        if (a->kind == AXIS_LINEAR || a->kind == AXIS_WHOLE) linear_ticks(a, want, &t);
        if (a->kind == AXIS_LOG) log_ticks(a, want, &t);
        if (a->kind == AXIS_SYMLOG) symlog_ticks(a, want, &t);
        if (a->kind == AXIS_TIME) time_ticks(a, want, &t);
        if (want <= 1 || ticks_fit(a, &t, length, horizontal, text_size)) return t;
    }
}

const char *axis_title(Arena *arena, const Axis *a, const Ticks *t)
{
    const char *label = a->label ? a->label : "";
    return arena_printf(arena, "%s%s%s", label, *label && *t->unit ? ", " : "", t->unit);
}

// ---- the frame

Point frame_point(const Frame *f, double x, double y)
{
    return (Point){f->in.x + axis_at(&f->x, x) * f->in.w, f->in.y + (1 - axis_at(&f->y, y)) * f->in.h};
}

static double widest(const Ticks *t)
{
    double w = 0;
    for (int i = 0; i < t->n; i++) w = fmax(w, font_width(t->tick[i].text, STYLE_TICK.size));
    return w;
}

static void draw_x_ticks(Picture *p, const Frame *f, const Ticks *t)
{
    TextStyle s = STYLE_TICK;
    s.align = ALIGN_CENTER;
    int foot = f->in.y + f->in.h;
    for (int i = 0; i < t->n; i++) {
        const Tick *k = &t->tick[i];
        double x = frame_point(f, k->v, f->y.lo).x;
        int px = (int)floor(fmin(x, f->in.x + f->in.w - 1));
        if (*k->text) picture_fill(p, (Rect){px, f->in.y, 1, f->in.h}, COLOR_GRID, 1);
        picture_fill(p, (Rect){px, foot, 1, *k->text ? 6 : 3}, COLOR_AXIS, 1);
        picture_text(p, x, foot + 20, s, k->text);
        picture_text(p, x, foot + 37, s, k->below);
    }
}

static void draw_y_ticks(Picture *p, const Frame *f, const Ticks *t)
{
    TextStyle s = STYLE_TICK;
    s.align = ALIGN_RIGHT;
    for (int i = 0; i < t->n; i++) {
        const Tick *k = &t->tick[i];
        int py = (int)floor(fmin(frame_point(f, f->x.lo, k->v).y, f->in.y + f->in.h - 1));
        int len = *k->text ? 6 : 3;
        if (*k->text) picture_fill(p, (Rect){f->in.x, py, f->in.w, 1}, COLOR_GRID, 1);
        picture_fill(p, (Rect){f->in.x - len, py, len, 1}, COLOR_AXIS, 1);
        picture_text(p, f->in.x - 9, py + 6, s, k->text);
    }
}

Frame plot_axes(Picture *p, Rect outer, const char *title, Axis x, Axis y)
{
    size_t mark = arena_mark(p->arena);
    int top = title && *title ? 30 : 10;
    // The labels' widths depend on the ticks and these on the room left: the vertical axis goes first.
    Ticks ty = axis_ticks(&y, outer.h - top - 60, false, STYLE_TICK.size);
    const char *y_title = axis_title(p->arena, &y, &ty);
    int left = (int)ceil(widest(&ty)) + 14 + (*y_title ? 24 : 0), right = 22;
    Ticks tx = axis_ticks(&x, outer.w - left - right, true, STYLE_TICK.size);
    const char *x_title = x.label ? axis_title(p->arena, &x, &tx) : "";
    int below = 28 + (x.kind == AXIS_TIME ? 18 : 0) + (*x_title ? 22 : 0);
    Rect in = {outer.x + left, outer.y + top, outer.w - left - right, outer.h - top - below};
    if (in.w < 1) in.w = 1;
    if (in.h < 1) in.h = 1;
    Frame f = {.in = in, .x = x, .y = y};
    TextStyle center = STYLE_LABEL, up = STYLE_LABEL;
    center.align = up.align = ALIGN_CENTER;
    up.up = true;
    if (title) picture_text(p, in.x, outer.y + 18, STYLE_TITLE,
                            picture_text_fit(p->arena, title, STYLE_TITLE.size, in.w));
    draw_y_ticks(p, &f, &ty);
    draw_x_ticks(p, &f, &tx);
    picture_fill(p, (Rect){in.x - 1, in.y, 1, in.h + 1}, COLOR_AXIS, 1);
    picture_fill(p, (Rect){in.x - 1, in.y + in.h, in.w + 1, 1}, COLOR_AXIS, 1);
    picture_text(p, outer.x + 15, in.y + in.h / 2.0, up, picture_text_fit(p->arena, y_title, up.size, in.h + 20));
    picture_text(p, in.x + in.w / 2.0, outer.y + outer.h - 6, center, x_title);
    arena_rewind(p->arena, mark);
    return f;
}
