#include "plot/picture.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"
#include "io/stb.h"
#include "plot/font.h"

static Rect intersect(Rect a, Rect b)
{
    int x0 = a.x > b.x ? a.x : b.x, y0 = a.y > b.y ? a.y : b.y;
    int x1 = a.x + a.w < b.x + b.w ? a.x + a.w : b.x + b.w;
    int y1 = a.y + a.h < b.y + b.h ? a.y + a.h : b.y + b.h;
    return (Rect){x0, y0, x1 > x0 ? x1 - x0 : 0, y1 > y0 ? y1 - y0 : 0};
}

static int clamp_int(double v, int lo, int hi) { return v <= lo ? lo : v >= hi ? hi : (int)v; }

// Pixels from column floor(x0) to ceil(x1), rows likewise, inside the clip.
static Rect pixels_of(const Picture *p, double x0, double y0, double x1, double y1)
{
    Rect c = p->clip;
    int ax = clamp_int(floor(x0), c.x, c.x + c.w), bx = clamp_int(ceil(x1), c.x, c.x + c.w);
    int ay = clamp_int(floor(y0), c.y, c.y + c.h), by = clamp_int(ceil(y1), c.y, c.y + c.h);
    return (Rect){ax, ay, bx - ax, by - ay};
}

static bool finite_point(Point p) { return isfinite(p.x) && isfinite(p.y); }

Status picture_new(Arena *arena, int64_t w, int64_t h, Color background, Picture **out)
{
    if (w < 1 || h < 1 || w > PICTURE_MAX_SIDE || h > PICTURE_MAX_SIDE || w * h > PICTURE_MAX_PIXELS)
        return ERROR("picture: want sides of 1 to %d and at most %d pixels in all, got %lld x %lld; "
                     "show less in one picture", PICTURE_MAX_SIDE, PICTURE_MAX_PIXELS, (long long)w, (long long)h);
    Picture *p = arena_alloc(arena, sizeof *p);
    *p = (Picture){.w = (int)w, .h = (int)h, .arena = arena, .clip = {0, 0, (int)w, (int)h}};
    p->rgb = arena_alloc(arena, (size_t)(w * h) * 3);
    p->mask = arena_zalloc(arena, (size_t)(w * h));
    picture_fill(p, p->clip, background, 1);
    *out = p;
    return OK;
}

void picture_clip(Picture *p, Rect r)
{
    p->clip = intersect(r, (Rect){0, 0, p->w, p->h});
}

void picture_unclip(Picture *p)
{
    p->clip = (Rect){0, 0, p->w, p->h};
}

Color picture_get(const Picture *p, int x, int y)
{
    CHECK(x >= 0 && y >= 0 && x < p->w && y < p->h, "picture_get(%d, %d) in a picture of %d x %d", x, y, p->w, p->h);
    const uint8_t *q = p->rgb + 3 * ((size_t)y * (size_t)p->w + (size_t)x);
    return (Color){q[0], q[1], q[2]};
}

static uint8_t mix(uint8_t under, uint8_t over, double a)
{
    return (uint8_t)lrint(under + a * (over - under));
}

static void blend(uint8_t *q, Color c, double a)
{
    q[0] = mix(q[0], c.r, a);
    q[1] = mix(q[1], c.g, a);
    q[2] = mix(q[2], c.b, a);
}

// Paints through the mask inside r and clears it.
static void paint(Picture *p, Rect r, Color color, double alpha)
{
    for (int y = r.y; y < r.y + r.h; y++) {
        uint8_t *m = p->mask + (size_t)y * (size_t)p->w, *q = p->rgb + 3 * (size_t)y * (size_t)p->w;
        for (int x = r.x; x < r.x + r.w; x++) {
            if (!m[x]) continue;
            blend(q + 3 * x, color, alpha * m[x] / 255);
            m[x] = 0;
        }
    }
}

void picture_fill(Picture *p, Rect r, Color color, double alpha)
{
    r = intersect(r, p->clip);
    for (int y = r.y; y < r.y + r.h; y++) {
        uint8_t *q = p->rgb + 3 * ((size_t)y * (size_t)p->w + (size_t)r.x);
        for (int x = 0; x < r.w; x++) blend(q + 3 * x, color, alpha);
    }
}

void picture_frame(Picture *p, Rect r, Color color)
{
    picture_fill(p, (Rect){r.x - 1, r.y - 1, r.w + 2, 1}, color, 1);
    picture_fill(p, (Rect){r.x - 1, r.y + r.h, r.w + 2, 1}, color, 1);
    picture_fill(p, (Rect){r.x - 1, r.y, 1, r.h}, color, 1);
    picture_fill(p, (Rect){r.x + r.w, r.y, 1, r.h}, color, 1);
}

// Coverage of a line of the given width with round ends: a pixel whose centre is d away from the segment is covered
// by half + 0.5 - d, at most 1.
static void mask_segment(Picture *p, Point a, Point b, double width)
{
    double half = width / 2, reach = half + 0.5, dx = b.x - a.x, dy = b.y - a.y, len2 = dx * dx + dy * dy;
    Rect box = pixels_of(p, 0, fmin(a.y, b.y) - reach, p->w, fmax(a.y, b.y) + reach);
    for (int y = box.y; y < box.y + box.h; y++) {
        // The part of the segment that this row can see, as a range of its parameter t.
        double t0 = 0, t1 = 1, cy = y + 0.5;
        if (fabs(dy) > 1e-9) {
            double u = (cy - reach - a.y) / dy, v = (cy + reach - a.y) / dy;
            t0 = fmin(fmax(fmin(u, v), 0), 1);
            t1 = fmin(fmax(fmax(u, v), 0), 1);
        }
        double xa = a.x + t0 * dx, xb = a.x + t1 * dx;
        Rect row = pixels_of(p, fmin(xa, xb) - reach, y, fmax(xa, xb) + reach, y + 1);
        uint8_t *m = p->mask + (size_t)y * (size_t)p->w;
        for (int x = row.x; x < row.x + row.w; x++) {
            double px = x + 0.5 - a.x, py = cy - a.y;
            double t = len2 > 0 ? fmin(fmax((px * dx + py * dy) / len2, 0), 1) : 0;
            double cover = reach - hypot(px - t * dx, py - t * dy);
            uint8_t c = (uint8_t)clamp_int(255 * cover + 0.5, 0, 255);
            if (c > m[x]) m[x] = c;
        }
    }
}

// The dashes of one segment; *at is how far along the pattern of dash and gap the pen is.
static void mask_dashes(Picture *p, Point a, Point b, double width, double dash, double *at)
{
    double len = hypot(b.x - a.x, b.y - a.y);
    if (len > 4.0 * (p->w + p->h)) {   // far outside the picture: not worth a million dashes
        mask_segment(p, a, b, width);
        return;
    }
    for (double s = 0; s < len;) {
        double phase = fmod(*at, 2 * dash), left = phase < dash ? dash - phase : 2 * dash - phase;
        double e = fmin(s + left + 1e-6, len);
        if (phase < dash) {
            Point u = {a.x + (b.x - a.x) * s / len, a.y + (b.y - a.y) * s / len};
            Point v = {a.x + (b.x - a.x) * e / len, a.y + (b.y - a.y) * e / len};
            mask_segment(p, u, v, width);
        }
        *at += e - s;
        s = e;
    }
}

void picture_stroke(Picture *p, const Point *points, int n, Ink ink)
{
    double at = 0, x0 = p->w, y0 = p->h, x1 = 0, y1 = 0;
    for (int i = 0; i < n; i++) {
        if (!finite_point(points[i])) continue;
        x0 = fmin(x0, points[i].x), x1 = fmax(x1, points[i].x);
        y0 = fmin(y0, points[i].y), y1 = fmax(y1, points[i].y);
        bool before = i > 0 && finite_point(points[i - 1]), after = i + 1 < n && finite_point(points[i + 1]);
        if (!before && !after) mask_segment(p, points[i], points[i], ink.width + 3);
        if (before && ink.dash > 0) mask_dashes(p, points[i - 1], points[i], ink.width, ink.dash, &at);
        if (before && !(ink.dash > 0)) mask_segment(p, points[i - 1], points[i], ink.width);
    }
    double r = ink.width / 2 + 2;
    paint(p, pixels_of(p, x0 - r, y0 - r, x1 + r, y1 + r), ink.color, ink.alpha);
}

// Adds 51 to the mask of every pixel of row y between x0 and x1, in proportion to the part covered.
static void mask_span(Picture *p, int y, double x0, double x1)
{
    Rect box = pixels_of(p, x0, y, x1, y + 1);
    uint8_t *m = p->mask + (size_t)y * (size_t)p->w;
    for (int x = box.x; x < box.x + box.w; x++) {
        double part = fmin(x1, x + 1) - fmax(x0, x);
        m[x] = (uint8_t)clamp_int(m[x] + 51 * part + 0.5, 0, 255);
    }
}

// Five scan lines a pixel row, exact along each: 5 * 51 = 255.
void picture_polygon(Picture *p, const Point *points, int n, Ink ink)
{
    enum { SCANS = 5 };
    if (n < 3) return;
    double x0 = INFINITY, y0 = INFINITY, x1 = -INFINITY, y1 = -INFINITY;
    for (int i = 0; i < n; i++) {
        CHECK(finite_point(points[i]), "picture_polygon: point %d of %d is not finite", i, n);
        x0 = fmin(x0, points[i].x), x1 = fmax(x1, points[i].x);
        y0 = fmin(y0, points[i].y), y1 = fmax(y1, points[i].y);
    }
    Rect box = pixels_of(p, x0, y0, x1, y1);
    size_t mark = arena_mark(p->arena);
    double *cross = arena_alloc(p->arena, (size_t)n * sizeof *cross);
    for (int s = 0; s < SCANS * box.h; s++) {
        double y = box.y + (s + 0.5) / SCANS;
        int found = 0;
        for (int i = 0; i < n; i++) {
            Point a = points[i], b = points[(i + 1) % n];
            if ((a.y <= y) == (b.y <= y)) continue;
            double x = a.x + (b.x - a.x) * (y - a.y) / (b.y - a.y);
            int k = found++;
            for (; k > 0 && cross[k - 1] > x; k--) cross[k] = cross[k - 1];
            cross[k] = x;
        }
        for (int i = 0; i + 1 < found; i += 2) mask_span(p, box.y + s / SCANS, cross[i], cross[i + 1]);
    }
    arena_rewind(p->arena, mark);
    paint(p, box, ink.color, ink.alpha);
}

void picture_image(Picture *p, int x, int y, int side, const uint8_t *rgb, int w, int h)
{
    for (int i = 0; i < h; i++)
        for (int j = 0; j < w; j++) {
            const uint8_t *q = rgb + 3 * ((size_t)i * (size_t)w + (size_t)j);
            picture_fill(p, (Rect){x + j * side, y + i * side, side, side}, (Color){q[0], q[1], q[2]}, 1);
        }
}

// Font units above the baseline to pixels.  The tops of small letters and capitals and the foot of descenders land on
// whole pixels, so horizontal strokes are sharp at every size.
static double hint_height(double units, double scale)
{
    static const double LINES[] = {-4, 0, 10, 14};
    int k = units < 0 ? 0 : units < 10 ? 1 : 2;
    double lo = round(LINES[k] * scale), hi = round(LINES[k + 1] * scale);
    return lo + (hi - lo) * (units - LINES[k]) / (LINES[k + 1] - LINES[k]);
}

void picture_text(Picture *p, double x, double y, TextStyle style, const char *text)
{
    double scale = style.size / FONT_EM, length = font_width(text, style.size);
    double along = style.align == ALIGN_LEFT ? 0 : style.align == ALIGN_CENTER ? -length / 2 : -length;
    double width = fmax(style.size * (style.bold ? 0.12 : 0.085), style.bold ? 1.7 : 1.15), r = style.size + width;
    Rect box = style.up ? pixels_of(p, x - r, y - along - length - r, x + r, y - along + r)
                        : pixels_of(p, x + along - r, y - r, x + along + length + r, y + r);
    // The centre of the stroke along the baseline is the centre of a pixel row (column for .up).
    Point origin = style.up ? (Point){floor(x) - 0.5, y} : (Point){x, floor(y) - 0.5};
    for (unsigned c; (c = font_next(&text));) {
        FontPoint glyph[FONT_MAX_POINTS];
        int n = font_strokes(c, glyph);
        Point last = {0, 0};
        for (int i = 0; i < n; i++) {
            double u = along + glyph[i].x * scale, v = hint_height(glyph[i].y, scale);
            Point q = style.up ? (Point){origin.x - v, origin.y - u} : (Point){origin.x + u, origin.y - v};
            if (!glyph[i].start) mask_segment(p, last, q, width);
            last = q;
        }
        along += font_advance(c) * scale;
    }
    paint(p, box, style.color, 1);
}

const char *picture_text_fit(Arena *arena, const char *text, double size, double width)
{
    if (font_width(text, size) <= width) return text;
    size_t mark = arena_mark(arena);
    for (int n = (int)strlen(text) - 1; n >= 0; n--) {
        if (((unsigned char)text[n] & 0xc0) == 0x80) continue;   // never cut a UTF-8 character in two
        arena_rewind(arena, mark);
        const char *s = arena_printf(arena, "%.*s...", n, text);
        if (font_width(s, size) <= width) return s;
    }
    return "";
}

Status picture_write_png(const Picture *p, const char *path)
{
    const size_t mark = arena_mark(p->arena);
    size_t n;
    const unsigned char *png = stb_png(p->rgb, p->w, p->h, &n, p->arena);
    const Status s = file_write(path, png, n);
    arena_rewind(p->arena, mark);
    return s;
}
