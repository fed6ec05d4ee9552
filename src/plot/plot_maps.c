// Film strips and heat maps: matrices as squares of colour.
#include <math.h>

#include "plot/colormap.h"
#include "plot/font.h"
#include "plot/plot.h"

enum { PAGE_W = 1440, MARGIN = 20, TITLE_H = 44 };

static int max_int(int a, int b) { return a > b ? a : b; }
static int min_int(int a, int b) { return a < b ? a : b; }

static int text_px(const char *text, TextStyle s) { return text ? (int)ceil(font_width(text, s.size)) : 0; }

static void page_title(Picture *p, const char *title)
{
    if (title) picture_text(p, MARGIN, MARGIN + 16, STYLE_PAGE,
                            picture_text_fit(p->arena, title, STYLE_PAGE.size, p->w - 2 * MARGIN));
}

// ---- film strip

typedef struct FilmLayout {
    int left;            // width of the row labels
    int columns, mag;    // frames a line, pixels a matrix entry
    int cell_w, cell_h;  // of a frame with its caption and the gap after it
    int lines;
} FilmLayout;

static FilmLayout film_layout(const FilmStrip *f)
{
    enum { GAP = 8, CAPTION = 20, MAX_SIDE = 200, MIN_SIDE = 64 };
    FilmLayout l = {0};
    int longest = 1, widest = (MIN_SIDE + f->n - 1) / f->n * f->n;
    for (int i = 0; i < f->n_rows; i++) {
        const FilmRow *r = &f->rows[i];
        longest = max_int(longest, r->n_frames);
        l.left = max_int(l.left, text_px(r->label, STYLE_LABEL) + 16);
        for (int k = 0; r->captions && k < r->n_frames; k++)
            widest = max_int(widest, min_int(text_px(r->captions[k], STYLE_TICK), MAX_SIDE));
    }
    int room = PAGE_W - 2 * MARGIN - l.left;
    const int most = min_int(longest, max_int(1, room / (widest + GAP))), lines = (longest + most - 1) / most;
    l.columns = (longest + lines - 1) / lines;       // as few lines as there must be, all about as long
    int side = min_int(MAX_SIDE, room / l.columns - GAP);
    l.mag = max_int(1, side / f->n);
    l.cell_w = max_int(widest, l.mag * f->n) + GAP;
    l.cell_h = l.mag * f->n + CAPTION + GAP;
    for (int i = 0; i < f->n_rows; i++) l.lines += (f->rows[i].n_frames + l.columns - 1) / l.columns;
    return l;
}

static uint8_t byte_of(float v)
{
    return (uint8_t)lrint(255 * (fmin(fmax((double)v, -1), 1) + 1) / 2);
}

// [n][n][3] in [-1,1] to bytes; an entry with a NaN in it turns grey.
static void film_bytes(const float *frame, int n, uint8_t *rgb)
{
    for (int i = 0; i < n * n; i++) {
        const float *v = frame + 3 * i;
        bool missing = isnan(v[0]) || isnan(v[1]) || isnan(v[2]);
        Color m = COLOR_MISSING;
        rgb[3 * i] = missing ? m.r : byte_of(v[0]);
        rgb[3 * i + 1] = missing ? m.g : byte_of(v[1]);
        rgb[3 * i + 2] = missing ? m.b : byte_of(v[2]);
    }
}

static void film_frame(Picture *p, const FilmLayout *l, int n, const FilmRow *r, int k, int x, int y)
{
    size_t mark = arena_mark(p->arena), size = (size_t)n * (size_t)n * 3;
    uint8_t *rgb = arena_alloc(p->arena, size);
    film_bytes(r->frames + (size_t)k * size, n, rgb);
    picture_image(p, x, y, l->mag, rgb, n, n);
    picture_frame(p, (Rect){x, y, l->mag * n, l->mag * n}, COLOR_AXIS);
    TextStyle s = STYLE_TICK;
    s.align = ALIGN_CENTER;
    if (r->captions) picture_text(p, x + l->mag * n / 2.0, y + l->mag * n + 17, s,
                                  picture_text_fit(p->arena, r->captions[k], s.size, l->cell_w - 6));
    arena_rewind(p->arena, mark);
}

Status plot_film_strip(Arena *arena, const FilmStrip *f, Picture **out)
{
    if (f->n < 1) return ERROR("film strip: want at least 1 node, got %d", f->n);
    FilmLayout l = film_layout(f);
    if (l.lines < 1) return ERROR("film strip: want at least one frame, got none");
    int top = MARGIN + (f->title ? TITLE_H - 8 : 0), foot = f->note ? 28 : 0;
    int w = max_int(l.left + l.columns * l.cell_w, text_px(f->note, STYLE_TICK));
    w = min_int(max_int(w, text_px(f->title, STYLE_PAGE)), PAGE_W) + 2 * MARGIN;
    Picture *p = NULL;
    TRY(picture_new(arena, w, (int64_t)l.lines * l.cell_h + top + foot + MARGIN, COLOR_PAPER, &p));
    page_title(p, f->title);
    int y = top;
    for (int i = 0; i < f->n_rows; i++) {
        const FilmRow *r = &f->rows[i];
        for (int k = 0; k < r->n_frames; k++) {
            if (k == 0 && r->label) picture_text(p, MARGIN, y + l.mag * f->n / 2.0 + 6, STYLE_LABEL, r->label);
            film_frame(p, &l, f->n, r, k, MARGIN + l.left + k % l.columns * l.cell_w, y);
            if (k % l.columns == l.columns - 1 || k == r->n_frames - 1) y += l.cell_h;
        }
    }
    if (f->note) picture_text(p, MARGIN, y + 16, STYLE_TICK,
                              picture_text_fit(arena, f->note, STYLE_TICK.size, w - 2 * MARGIN));
    *out = p;
    return OK;
}

// ---- heat maps

enum { BAR_W = 16, BAR_GAP = 14, BAR_TEXT = 64, PANEL_GAP = 26, NAME_MAX = 120 };

typedef struct HeatPanel {
    const char *title;
    const float *values;     // [n][n]
    ColorMap map;
    Axis axis;
} HeatPanel;

Axis heat_maps_axis(const HeatMaps *h)
{
    Range r = range_empty();
    int64_t nn = (int64_t)h->n * h->n;
    range_add_f32(&r, h->truth, nn);
    range_add_f32(&r, h->forecast, nn);
    Axis a = {.kind = AXIS_LINEAR, .unit = h->unit};
    if (h->log && r.lo_positive <= r.hi) {
        a.kind = AXIS_LOG;
        a.hi = r.hi;
        a.lo = fmin(fmax(r.lo_positive, r.hi * 1e-5), r.hi / 10);
        return a;
    }
    a.lo = fmin(0, r.lo);
    a.hi = r.hi > a.lo ? r.hi : a.lo + 1;
    return a;
}

Axis heat_maps_error_axis(const HeatMaps *h, const float *error)
{
    Range r = range_empty();
    range_add_f32(&r, error, (int64_t)h->n * h->n);
    double top = r.lo <= r.hi ? fmax(fabs(r.lo), fabs(r.hi)) : 0;
    if (top == 0) top = 1;
    AxisKind kind = h->log ? AXIS_SYMLOG : AXIS_LINEAR;
    return (Axis){.kind = kind, .lo = -top, .hi = top, .knee = top * 1e-2, .unit = h->unit};
}

static Color heat_color(const HeatPanel *q, double v)
{
    if (isnan(v)) return COLOR_MISSING;
    if (q->axis.kind == AXIS_LOG && v <= 0) return color_map(q->map, 0);
    return color_map(q->map, axis_at(&q->axis, v));
}

static void color_bar(Picture *p, Rect r, const HeatPanel *q)
{
    for (int y = 0; y < r.h; y++)
        picture_fill(p, (Rect){r.x, r.y + y, r.w, 1}, color_map(q->map, 1 - (y + 0.5) / r.h), 1);
    picture_frame(p, r, COLOR_AXIS);
    Ticks t = axis_ticks(&q->axis, r.h, false, STYLE_TICK.size);
    for (int i = 0; i < t.n; i++) {
        double y = r.y + (1 - axis_at(&q->axis, t.tick[i].v)) * r.h;
        int py = min_int((int)floor(y), r.y + r.h - 1);
        picture_fill(p, (Rect){r.x + r.w, py, *t.tick[i].text ? 6 : 3, 1}, COLOR_AXIS, 1);
        picture_text(p, r.x + r.w + 10, py + 6, STYLE_TICK, t.tick[i].text);
    }
    picture_text(p, r.x, r.y - 10, STYLE_TICK, t.unit);
}

typedef struct HeatLabels {
    const char **text;   // [n]
    double size;
    int every;           // label each every-th node
    int width;           // of the widest
    bool up;             // column labels run upwards
} HeatLabels;

static HeatLabels heat_labels(Arena *arena, const HeatMaps *h, int cell)
{
    static const int EVERY[] = {1, 2, 5, 10, 20, 50, 100};
    HeatLabels l = {.size = cell >= 15 ? 14 : 12, .up = h->names != NULL, .every = 100};
    l.text = arena_alloc(arena, (size_t)h->n * sizeof *l.text);
    for (int i = 0; i < h->n; i++) {
        l.text[i] = h->names ? picture_text_fit(arena, h->names[i], l.size, NAME_MAX) : arena_printf(arena, "%d", i);
        l.width = max_int(l.width, (int)ceil(font_width(l.text[i], l.size)));
    }
    int need = l.up ? (int)l.size + 1 : max_int(l.width + 4, (int)l.size + 1);
    for (int k = 6; k >= 0; k--)
        if (EVERY[k] * cell >= need) l.every = EVERY[k];
    return l;
}

static void draw_labels(Picture *p, Rect map, int cell, int n, const HeatLabels *l, bool rows)
{
    TextStyle s = STYLE_TICK;
    s.size = l->size;
    for (int i = 0; i < n; i += l->every) {
        double mid = (i + 0.5) * cell;
        s.align = ALIGN_RIGHT;
        s.up = false;
        if (rows) picture_text(p, map.x - 6, map.y + mid + 0.35 * s.size, s, l->text[i]);
        s.up = l->up;
        s.align = l->up ? ALIGN_RIGHT : ALIGN_CENTER;
        if (l->up) picture_text(p, map.x + mid + 0.35 * s.size, map.y + map.h + 7, s, l->text[i]);
        else picture_text(p, map.x + mid, map.y + map.h + 6 + s.size * 0.8, s, l->text[i]);
    }
}

static bool any_missing(const float *v, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (isnan(v[i])) return true;
    return false;
}

static void heat_panel(Picture *p, Rect map, int n, const HeatPanel *q)
{
    int cell = map.w / n;
    picture_text(p, map.x, map.y - 10, STYLE_TITLE, q->title);
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++)
            picture_fill(p, (Rect){map.x + j * cell, map.y + i * cell, cell, cell},
                         heat_color(q, (double)q->values[(size_t)i * (size_t)n + (size_t)j]), 1);
    picture_frame(p, map, COLOR_AXIS);
}

// The panels there are data for; returns their number.
static int heat_panels(Arena *arena, const HeatMaps *h, HeatPanel panel[3])
{
    int n = 0;
    Axis axis = heat_maps_axis(h);
    if (h->truth) panel[n++] = (HeatPanel){"truth", h->truth, MAP_SEQUENTIAL, axis};
    if (h->forecast) panel[n++] = (HeatPanel){"forecast", h->forecast, MAP_SEQUENTIAL, axis};
    if (n < 2) return n;
    size_t nn = (size_t)h->n * (size_t)h->n;
    float *error = arena_alloc(arena, nn * sizeof *error);
    for (size_t i = 0; i < nn; i++) error[i] = h->forecast[i] - h->truth[i];
    panel[n++] = (HeatPanel){"forecast - truth", error, MAP_DIVERGING, heat_maps_error_axis(h, error)};
    return n;
}

Status plot_heat_maps(Arena *arena, const HeatMaps *h, Picture **out)
{
    HeatPanel panel[3];
    if (h->n < 1) return ERROR("heat maps: want at least 1 node, got %d", h->n);
    int n_panels = heat_panels(arena, h, panel);
    if (!n_panels) return ERROR("heat maps: want a truth or a forecast, got neither");
    int cell = min_int(max_int(360 / h->n, 5), 90), side = cell * h->n;
    HeatLabels l = heat_labels(arena, h, cell);
    int left = MARGIN + 26 + l.width + 8, top = MARGIN + (h->title ? TITLE_H : 0) + 24;
    int panel_w = max_int(side, 150) + BAR_GAP + BAR_W + BAR_TEXT + PANEL_GAP;
    int labels_h = l.up ? l.width + 12 : 22;
    int64_t w = (int64_t)left + (int64_t)panel_w * n_panels - PANEL_GAP + MARGIN;
    w = max_int((int)w, min_int(text_px(h->title, STYLE_PAGE) + 2 * MARGIN + 2, PAGE_W));
    Picture *p = NULL;
    TRY(picture_new(arena, w, (int64_t)top + side + labels_h + 26 + MARGIN, COLOR_PAPER, &p));
    page_title(p, h->title);
    TextStyle s = STYLE_LABEL;
    s.align = ALIGN_CENTER;
    for (int i = 0; i < n_panels; i++) {
        Rect map = {left + i * panel_w, top, side, side};
        heat_panel(p, map, h->n, &panel[i]);
        draw_labels(p, map, cell, h->n, &l, i == 0);
        color_bar(p, (Rect){map.x + max_int(side, 150) + BAR_GAP, top, BAR_W, side}, &panel[i]);
        picture_text(p, map.x + side / 2.0, top + side + labels_h + 20, s, "destination");
        if (any_missing(panel[i].values, (size_t)h->n * (size_t)h->n))
            picture_text(p, map.x + max_int(side, 150) + BAR_GAP - 20, top + side + labels_h + 20, STYLE_TICK,
                         "grey: no value");
    }
    s.up = true;
    picture_text(p, MARGIN + 14, top + side / 2.0, s, "origin");
    *out = p;
    return OK;
}
