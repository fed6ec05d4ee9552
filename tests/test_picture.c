// Pictures: the font, anti-aliased drawing, axes, every plot with plain, degenerate and real data, and PNG files that
// are whole or not there.
#include <dirent.h>
#include <errno.h>
#include <float.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "tests/test.h"
#include "plot/colormap.h"
#include "plot/font.h"
#include "plot/plot.h"

static const Color WHITE = {255, 255, 255}, BLACK = {0, 0, 0};

static bool same(Color a, Color b) { return a.r == b.r && a.g == b.g && a.b == b.b; }

static long count(const Picture *p, Color c)
{
    long n = 0;
    for (int y = 0; y < p->h; y++)
        for (int x = 0; x < p->w; x++) n += same(picture_get(p, x, y), c);
    return n;
}

static bool mask_clean(const Picture *p)
{
    for (size_t i = 0; i < (size_t)p->w * (size_t)p->h; i++)
        if (p->mask[i]) return false;
    return true;
}

// Sum over all pixels of how black a white picture has become, in pixels.
static double blackness(const Picture *p)
{
    double sum = 0;
    for (int y = 0; y < p->h; y++)
        for (int x = 0; x < p->w; x++) sum += (255 - picture_get(p, x, y).g) / 255.0;
    return sum;
}

static Picture *blank(TestLog *log, Arena *a, int w, int h)
{
    Picture *p = NULL;
    Status s = picture_new(a, w, h, WHITE, &p);
    TEST(log, !s.code, "%s", s.msg);
    return p;
}

static void test_font(TestLog *log)
{
    for (unsigned c = ' '; c <= 0x7f; c++) {
        FontPoint q[FONT_MAX_POINTS];
        int n = font_strokes(c, q), outside = 0;
        for (int i = 0; i < n; i++)
            outside += !(q[i].x >= 0 && q[i].x <= font_advance(c) - 4 && q[i].y >= -4 && q[i].y <= 15);
        TEST(log, (n >= 2) == (c != ' ') && (n == 0 || q[0].start), "character %u has %d points", c, n);
        TEST(log, outside == 0, "character %u: %d points outside the em", c, outside);
        // No two characters look alike.
        for (unsigned d = ' '; d < c; d++) {
            FontPoint r[FONT_MAX_POINTS];
            int m = font_strokes(d, r), equal = m == n;
            for (int i = 0; equal && i < n; i++) equal = q[i].x == r[i].x && q[i].y == r[i].y;
            if (equal) TEST(log, false, "characters %u and %u are the same", c, d);
        }
    }
    const char *text = "a\xe2\x82\xac\t\xff";
    TEST(log, font_next(&text) == 'a' && font_next(&text) == 0x7f && font_next(&text) == 0x7f &&
                  font_next(&text) == 0x7f && !font_next(&text),
         "other UTF-8, control characters and bytes that are none must each be one box");
    // A, u, n, z, O, L, s with accents, the first and the last that are known, and the two beside them
    text = "\xc3\x84\xc3\xbc\xc3\xb1\xc5\xbe\xc5\x90\xc5\x81\xc5\x9b\xc3\x80\xc5\xbf\xc2\xbf\xc6\x80";
    for (const char *want = "AunzOLsAs\x7f\x7f"; *want; want++) {
        const unsigned c = font_next(&text);
        TEST(log, c == (unsigned char)*want, "an accented letter: want '%c', got '%c'", *want, (int)c);
    }
    TEST(log, font_width("", 14) == 0 && font_width("WW", 14) > font_width("ii", 14), "widths");
    TEST(log, fabs(font_width("Mbit", 28) - 2 * font_width("Mbit", 14)) < 1e-9, "width must grow with the size");
}

static void test_raster(TestLog *log, Arena *a)
{
    Picture *p = blank(log, a, 100, 80);
    Ink ink = {.color = BLACK, .alpha = 1, .width = 1};
    picture_stroke(p, (Point[]){{10, 20.5}, {90, 20.5}}, 2, ink);
    TEST(log, same(picture_get(p, 50, 20), BLACK) && same(picture_get(p, 50, 19), WHITE),
         "a line on a pixel row is sharp");
    picture_stroke(p, (Point[]){{10, 40}, {90, 40}}, 2, ink);
    int up = picture_get(p, 50, 39).g, down = picture_get(p, 50, 40).g;
    TEST(log, up == down && abs(up - 128) <= 1, "a line between two rows is half in each, got %d and %d", up, down);

    p = blank(log, a, 100, 80);
    picture_stroke(p, (Point[]){{10, 10}, {80, 60}, {NAN, 30}, {20, 70}, {INFINITY, 3}}, 5, (Ink){BLACK, 1, 3, 0});
    double want = 3 * hypot(70, 50) + 3.1416 * (2.25 + 9), got = blackness(p);   // with round ends, and one dot
    TEST(log, fabs(got - want) < 0.02 * want, "ink of a line and a dot: want %.1f pixels, got %.1f", want, got);

    p = blank(log, a, 100, 80);
    picture_polygon(p, (Point[]){{10.3, 10.2}, {90.7, 30.9}, {30.1, 75.4}}, 3, ink);
    want = 0.5 * fabs((90.7 - 10.3) * (75.4 - 10.2) - (30.1 - 10.3) * (30.9 - 10.2)), got = blackness(p);
    TEST(log, fabs(got - want) < 0.005 * want, "area of a triangle: want %.1f pixels, got %.1f", want, got);

    p = blank(log, a, 100, 80);
    picture_stroke(p, (Point[]){{10, 40}, {90, 40}, {50, 70}, {50, 10}}, 4, (Ink){BLACK, 0.5, 8, 0});
    for (int x = 20; x < 80; x++)
        TEST(log, picture_get(p, x, 40).g == 128, "a translucent line is even where it crosses itself, got %d at %d",
             picture_get(p, x, 40).g, x);
    TEST(log, mask_clean(p), "mask must be clear between calls");

    p = blank(log, a, 100, 80);
    picture_clip(p, (Rect){20, 20, 10, 10});
    picture_fill(p, (Rect){-5, -5, 1000, 1000}, BLACK, 1);
    picture_text(p, 0, 30, (TextStyle){.size = 60, .color = {255, 0, 0}}, "clipped");
    picture_unclip(p);
    TEST(log, count(p, WHITE) == 100 * 80 - 100, "the clip must hold, %ld pixels are white", count(p, WHITE));
    picture_image(p, 40, 40, 7, (uint8_t[]){1, 2, 3, 4, 5, 6}, 2, 1);
    TEST(log, count(p, (Color){4, 5, 6}) == 49 && same(picture_get(p, 47, 40), (Color){4, 5, 6}), "magnified image");
    picture_stroke(p, (Point[]){{-1e30, 5}, {1e30, 1e300}, {-DBL_MAX, DBL_MAX}}, 3, (Ink){BLACK, 1, 2, 5});
    TEST(log, mask_clean(p), "far points must leave the mask clear");
}

static void test_text(TestLog *log, Arena *a)
{
    for (int up = 0; up < 2; up++)
        for (int align = ALIGN_LEFT; align <= ALIGN_RIGHT; align++) {
            Picture *p = blank(log, a, 400, 400);
            TextStyle s = {.size = 16, .align = (Align)align, .up = up == 1};
            picture_text(p, 200, 200, s, "Mbit/s (HMH)");
            double w = font_width("Mbit/s (HMH)", 16);
            double from = align == ALIGN_LEFT ? 0 : align == ALIGN_CENTER ? -w / 2 : -w;
            int lo = 400, hi = -1;          // extent along the text
            for (int y = 0; y < 400; y++)
                for (int x = 0; x < 400; x++)
                    if (picture_get(p, x, y).g < 128) {
                        int along = up ? 399 - y : x;
                        lo = along < lo ? along : lo, hi = along > hi ? along : hi;
                    }
            TEST(log, fabs(lo - (200 + from)) < 3 && fabs(hi - (200 + from + w)) < 3,
                 "up %d align %d: want %.1f to %.1f, got %d to %d", up, align, 200 + from, 200 + from + w, lo, hi);
        }
    const char *cut = picture_text_fit(a, "Frankfurt am Main \xe2\x82\xac\xe2\x82\xac", 14, 100);
    size_t n = strlen(cut);
    TEST(log, n > 3 && !strcmp(cut + n - 3, "...") && font_width(cut, 14) <= 100, "cut text is '%s'", cut);
    TEST(log, !strcmp(picture_text_fit(a, "short", 14, 100), "short"), "a text that fits stays");
    TEST(log, !strcmp(picture_text_fit(a, "anything", 14, 1), ""), "no room: empty");
}

static void test_colors(TestLog *log)
{
    TEST(log, same(color_map(MAP_SEQUENTIAL, 0), (Color){68, 1, 84}), "viridis begins dark violet");
    TEST(log, same(color_map(MAP_SEQUENTIAL, 7), (Color){253, 231, 37}), "beyond 1 is 1: yellow");
    TEST(log, same(color_map(MAP_DIVERGING, 0.5), (Color){247, 247, 247}), "zero error is white");
    TEST(log, same(color_map(MAP_DIVERGING, NAN), COLOR_MISSING), "NaN is grey");
    double before = -1;
    for (int i = 0; i <= 100; i++) {
        Color c = color_map(MAP_SEQUENTIAL, i / 100.0);
        double light = 0.299 * c.r + 0.587 * c.g + 0.114 * c.b;
        TEST(log, light > before, "lightness must rise, at %d: %.2f after %.2f", i, light, before);
        before = light;
    }
    TEST(log, same(color_category(0), color_category(7)) && !same(color_category(0), color_category(1)), "categories");
}

static const char *find_text(const Ticks *t, double v)
{
    for (int i = 0; i < t->n; i++)
        if (fabs(t->tick[i].v - v) <= 1e-9 * fabs(v) + 1e-12) return t->tick[i].text;
    return "(none)";
}

static void test_ticks(TestLog *log)
{
    Axis a = {.kind = AXIS_LINEAR, .lo = 0, .hi = 250000, .unit = "kbit/s"};
    Ticks t = axis_ticks(&a, 300, false, 14);
    TEST(log, !strcmp(t.unit, "Mbit/s") && !strcmp(find_text(&t, 200000), "200"), "250000 kbit/s: '%s' in %s",
         find_text(&t, 200000), t.unit);
    a = (Axis){.kind = AXIS_LOG, .lo = 20, .hi = 3e6, .unit = "kbit/s"};
    t = axis_ticks(&a, 300, false, 14);
    TEST(log, !strcmp(t.unit, "bit/s") && !strcmp(find_text(&t, 1e5), "100M"), "1e5 kbit/s is '%s' %s",
         find_text(&t, 1e5), t.unit);
    a = (Axis){.kind = AXIS_SYMLOG, .lo = -5000, .hi = 5000, .knee = 50};
    t = axis_ticks(&a, 300, false, 14);
    TEST(log, !strcmp(find_text(&t, 0), "0") && !strcmp(find_text(&t, -1000), "-1000"), "symmetric log ticks");
    a = (Axis){.kind = AXIS_TIME, .lo = 1089460800, .hi = 1089460800 + 4 * 3600};     // 2004-07-10 12:00 UTC
    t = axis_ticks(&a, 1000, true, 14);
    TEST(log, !strcmp(find_text(&t, 1089460800 + 3600), "13:00") && !strcmp(t.tick[0].below, "2004-07-10"),
         "an hour after noon is '%s' of '%s'", find_text(&t, 1089460800 + 3600), t.tick[0].below);
    a = axis_fit(AXIS_WHOLE, (Range){1, 3, 1}, NULL, NULL);
    t = axis_ticks(&a, 1000, true, 14);
    for (int i = 0; i < t.n; i++)
        TEST(log, fabs(t.tick[i].v - nearbyint(t.tick[i].v)) < 1e-9, "tick %g is not whole", t.tick[i].v);
}

// Whatever the range: the axis is drawable, ticks lie on it in rising order and their texts differ.
static void test_axis_properties(TestLog *log)
{
    static const double VALUE[] = {-1e300, -3e20, -1e6, -1, -1e-12, 0, 1e-300, 1e-30, 3e-4, 0.02, 1, 1.0000001, 7,
                                   12345.678, 86400, 1.1e9, 4e12, 1e38, 1e300};
    enum { VALUES = sizeof VALUE / sizeof *VALUE };
    for (int k = AXIS_LINEAR; k <= AXIS_TIME; k++)
        for (int i = 0; i < VALUES; i++)
            for (int j = 0; j < VALUES; j++) {
                if (k == AXIS_TIME && (fabs(VALUE[i]) > 1e11 || fabs(VALUE[j]) > 1e11)) continue;
                Range r = range_empty();
                range_add(&r, VALUE[i]), range_add(&r, VALUE[j]), range_add(&r, NAN), range_add(&r, INFINITY);
                Axis a = axis_fit((AxisKind)k, r, NULL, i % 2 ? "kbit/s" : NULL);
                bool drawable = a.lo < a.hi && isfinite(a.lo) && isfinite(a.hi);
                TEST(log, drawable, "kind %d of %g, %g: axis from %g to %g", k, VALUE[i], VALUE[j], a.lo, a.hi);
                if (!drawable) continue;
                Ticks t = axis_ticks(&a, 300, j % 2, 14);
                double at = -1e-5;
                int bad = 0;
                const char *text = "";
                for (int m = 0; m < t.n; m++) {
                    double next = axis_at(&a, t.tick[m].v);
                    bad += !(next >= at && next <= 1 + 1e-5);
                    if (!*t.tick[m].text) continue;
                    bad += *text && !strcmp(text, t.tick[m].text) && !*t.tick[m].below;
                    at = next, text = t.tick[m].text;
                }
                TEST(log, bad == 0, "kind %d of %g, %g: %d bad ticks of %d, %s", k, VALUE[i], VALUE[j], bad, t.n, text);
            }
    Axis none = axis_fit(AXIS_LINEAR, range_empty(), NULL, NULL);
    TEST(log, none.lo < none.hi, "an axis of nothing");
}

// page: where the plot's call put its picture.
static void check_page(TestLog *log, const char *what, Status s, Picture **page)
{
    if (!TEST(log, !s.code, "%s: %s", what, s.msg)) return;
    const Picture *p = *page;
    TEST(log, p->w >= 100 && p->w <= 1700 && p->h >= 100 && p->h <= 4000, "%s is %d x %d", what, p->w, p->h);
    TEST(log, mask_clean(p), "%s leaves its mask", what);
    // Nothing is cut off: the outermost two pixels of the paper stay white.
    long stained = 0;
    for (int i = 0; i < 2; i++) {
        for (int x = 0; x < p->w; x++)
            stained += !same(picture_get(p, x, i), WHITE) + !same(picture_get(p, x, p->h - 1 - i), WHITE);
        for (int y = 0; y < p->h; y++)
            stained += !same(picture_get(p, i, y), WHITE) + !same(picture_get(p, p->w - 1 - i, y), WHITE);
    }
    TEST(log, stained == 0, "%s: %ld pixels at the paper's edge are drawn on", what, stained);
}

static void test_film(TestLog *log, Arena *a)
{
    // One matrix of 2 x 2 nodes in four known colours.
    static const float FRAME[12] = {-1, -1, 1, 1, -1, -1, -1, 1, -1, NAN, 0, 0};
    const char *captions[] = {"12:00"};
    FilmRow row = {"history", 1, FRAME, captions};
    FilmStrip f = {"one frame", "note", 2, 1, &row};
    Picture *p = NULL;
    Status s = plot_film_strip(a, &f, &p);
    check_page(log, "film of 2 nodes", s, &p);
    if (s.code) return;
    long blue = count(p, (Color){0, 0, 255}), red = count(p, (Color){255, 0, 0}), green = count(p, (Color){0, 255, 0});
    TEST(log, blue == 10000 && red == 10000 && green == 10000 && count(p, COLOR_MISSING) == 10000,
         "entries are squares of 100 pixels, got %ld %ld %ld", blue, red, green);

    static float frames[40 * 64 * 64 * 3];
    for (size_t i = 0; i < sizeof frames / sizeof *frames; i++) frames[i] = (float)sin((double)i * 0.01);
    for (int n = 3; n <= 64; n += log->quick ? 61 : 10) {
        size_t mark = arena_mark(a);
        FilmRow rows[2] = {{"history", 40, frames, NULL}, {"forecast", 5, frames, NULL}};
        f = (FilmStrip){NULL, NULL, n, 2, rows};
        check_page(log, "film", plot_film_strip(a, &f, &p), &p);
        arena_rewind(a, mark);
    }
    f.n_rows = 0;
    TEST(log, plot_film_strip(a, &f, &p).code == 1, "a film of nothing must be refused");
}

// The first square of one colour in reading order.
static bool find_square(const Picture *p, Color c, int side, int *x, int *y)
{
    for (*y = 0; *y + side <= p->h; ++*y)
        for (*x = 0; *x + side <= p->w; ++*x) {
            int k = 0;
            while (k < side && same(picture_get(p, *x + k, *y), c) && same(picture_get(p, *x, *y + k), c)) k++;
            if (k == side) return true;
        }
    return false;
}

static void test_heat(TestLog *log, Arena *a)
{
    static float truth[64 * 64], forecast[64 * 64];
    const char *names[64];
    for (int i = 0; i < 64; i++) names[i] = arena_printf(a, "router-%d.some.very.long.domain.example", i * 997);
    for (int i = 0; i < 64 * 64; i++) {
        truth[i] = (float)(i % 7 ? exp(i % 13) * 100 : 0);
        forecast[i] = i % 31 ? truth[i] * 1.2f : NAN;
    }
    for (int n = 1; n <= 64; n = n < 3 || !log->quick ? n + (n < 3 ? 1 : 7) : 2 * n)
        for (int k = 0; k < 4; k++) {
            size_t mark = arena_mark(a);
            HeatMaps h = {k % 2 ? NULL : "heat", n, k / 2 ? names : NULL, "kbit/s", k % 2 == 1, truth, forecast};
            Picture *p = NULL;
            check_page(log, "heat maps", plot_heat_maps(a, &h, &p), &p);
            arena_rewind(a, mark);
        }
    float flat[9] = {0};
    HeatMaps zero = {"zero", 3, NULL, "kbit/s", false, flat, flat};
    Picture *p = NULL;
    Status s = plot_heat_maps(a, &zero, &p);
    check_page(log, "all zero", s, &p);
    // The map's 270 x 270 pixels; the colour bar has some more of each.
    long dark = count(p, color_map(MAP_SEQUENTIAL, 0)), white = count(p, color_map(MAP_DIVERGING, 0.5));
    TEST(log, dark >= 2 * 72900 && white >= 72900, "zero is dark, no error is white: %ld, %ld pixels", dark, white);
    // One flow, from node 0 to node 2, which only the forecast has: top right, red, and yellow in the forecast.
    float one[9] = {0, 0, 100};
    HeatMaps h = {NULL, 3, NULL, "kbit/s", false, flat, one};
    s = plot_heat_maps(a, &h, &p);
    check_page(log, "one flow", s, &p);
    Color dark_color = color_map(MAP_SEQUENTIAL, 0), yellow = color_map(MAP_SEQUENTIAL, 1);
    int x, y;
    if (TEST(log, find_square(p, yellow, 90, &x, &y), "no yellow square"))
        TEST(log, same(picture_get(p, x - 1, y), dark_color) && same(picture_get(p, x, y + 90), dark_color) &&
             !same(picture_get(p, x + 90, y), dark_color), "the entry [0][2] must be at the top right");
    TEST(log, find_square(p, color_map(MAP_DIVERGING, 1), 90, &x, &y), "too much is red");
    TEST(log, !find_square(p, color_map(MAP_DIVERGING, 0), 90, &x, &y), "nothing is too little, so nothing is blue");
    zero.truth = zero.forecast = NULL;
    TEST(log, plot_heat_maps(a, &zero, &p).code == 1, "no matrix must be refused");
}

// The legend names a truth where there is one, and nowhere else.
static void test_truth_key(TestLog *log, Arena *a)
{
    enum { LEGEND = 50 };
    const float v[3] = {1, 2, 3}, none[3] = {NAN, NAN, NAN}, *truth[3] = {NULL, none, v};
    Picture *p[3] = {NULL};
    for (int i = 0; i < 3; i++) {
        const FanChart c = {.title = "t", .unit = "kbit/s", .n_history = 3, .n_forecast = 3, .history = v, .median = v,
                            .truth = truth[i]};
        check_page(log, "truth", plot_fan_charts(a, NULL, 1, &c, 1, &p[i]), &p[i]);
        if (!p[i]) return;
    }
    const size_t legend = (size_t)p[0]->w * LEGEND * 3, all = (size_t)p[0]->w * (size_t)p[0]->h * 3;
    TEST(log, !memcmp(p[0]->rgb, p[1]->rgb, all), "a truth of no value must be as none");
    TEST(log, memcmp(p[0]->rgb, p[2]->rgb, legend) != 0, "a truth must be in the legend");
}

static void test_fan(TestLog *log, Arena *a)
{
    enum { K = 12, CASES = 9 };
    static const float FILL[CASES] = {0, 1, -5, 1e-30f, FLT_MAX, -FLT_MAX, NAN, INFINITY, 1000};
    for (int k = 0; k < CASES; k++) {
        size_t mark = arena_mark(a);
        float v[K];
        for (int i = 0; i < K; i++) v[i] = FILL[k];
        FanChart c[4] = {
            {"all", "kbit/s", 1089460800, 300, K, K, v, v, v, v, v, v, v},
            {"no clock", "kbit/s", 0, 0, K, 1, v, v, v, v, v, v, v},
            {"no history", NULL, 1e9, 86400, 0, K, NULL, NULL, v, v, v, v, v},
            {"no forecast", "kbit/s", -1e9, 1, 1, 0, v, NULL, NULL, NULL, NULL, NULL, NULL},
        };
        Picture *p = NULL;
        for (int columns = 1; columns <= 4; columns++)
            check_page(log, "fan charts", plot_fan_charts(a, "fan", 4, c, columns, &p), &p);
        arena_rewind(a, mark);
    }
    FanChart none = {.title = "none"};
    Picture *p = NULL;
    TEST(log, plot_fan_charts(a, NULL, 1, &none, 1, &p).code == 1, "a chart of nothing must be refused");
    test_truth_key(log, a);
    TEST(log, plot_fan_charts(a, NULL, 0, &none, 1, &p).code == 1, "no chart must be refused");
}

// What a fan chart shows, by the colours of its parts.
static void test_fan_content(TestLog *log, Arena *a)
{
    enum { K = 12 };
    float v[5][K];
    for (int i = 0; i < K; i++) v[0][i] = 0, v[1][i] = 30, v[2][i] = 50, v[3][i] = 70, v[4][i] = 100;
    FanChart c = {"bands", "kbit/s", 1089460800, 300, 0, K, NULL, NULL, v[2], v[0], v[1], v[3], v[4]};
    Picture *p = NULL, *q = NULL;
    check_page(log, "bands", plot_fan_charts(a, NULL, 1, &c, 1, &p), &p);
    Color blue = {0, 114, 178};
    Picture *ink = blank(log, a, 2, 1);
    picture_fill(ink, (Rect){0, 0, 2, 1}, blue, 0.18);
    picture_fill(ink, (Rect){1, 0, 1, 1}, blue, 0.38);
    long outer = count(p, picture_get(ink, 0, 0)), inner = count(p, picture_get(ink, 1, 0)), line = count(p, blue);
    // 30 + 30 of the outer band are seen and 40 of the inner one, less grid lines and the median.
    TEST(log, inner > 100000 && fabs((double)outer / (double)inner - 1.5) < 0.08, "bands: want 60 : 40, got %ld : %ld",
         outer, inner);
    TEST(log, line > 900, "the median is drawn: %ld pixels", line);

    // The same slots as history and as forecast stand over the same times.
    c = (FanChart){NULL, "kbit/s", 1089460800, 300, 0, K, NULL, v[2], NULL, NULL, NULL, NULL, NULL};
    FanChart past = {NULL, "kbit/s", 1089460800, 300, K, 0, v[2], NULL, NULL, NULL, NULL, NULL, NULL};
    check_page(log, "forecast", plot_fan_charts(a, NULL, 1, &c, 1, &p), &p);
    check_page(log, "history", plot_fan_charts(a, NULL, 1, &past, 1, &q), &q);
    size_t strip = (size_t)p->w * 3 * 70, at = (size_t)p->w * 3 * (size_t)p->h - strip;
    TEST(log, p->h == q->h && !memcmp(p->rgb + at, q->rgb + at, strip), "time labels of history and forecast differ");
}

static void test_lines(TestLog *log, Arena *a)
{
    enum { K = 20, M = 14 };
    double x[K], y[M][K];
    Series series[M];
    for (int m = 0; m < M; m++) {
        for (int i = 0; i < K; i++) {
            x[i] = i + 1;
            y[m][i] = m == 3 ? NAN : m == 4 ? 0 : m == 5 && i == 7 ? INFINITY : 0.01 * (m + 1) * sqrt(i + 1);
        }
        series[m] = (Series){arena_printf(a, "a model with a name %d", m), K, x, y[m], (SeriesLook)(m % 4), m == 0};
    }
    for (int kind = AXIS_LINEAR; kind <= AXIS_SYMLOG; kind++)
        for (int n = 0; n <= M; n += 7) {
            size_t mark = arena_mark(a);
            LineChart c = {"metric by horizon", AXIS_WHOLE, (AxisKind)kind, "slots ahead", NULL, "RMSE", "kbit/s", n,
                           series};
            LineChart four[4] = {c, c, c, c};
            Picture *p = NULL;
            for (int columns = 1; columns <= 4; columns++)
                check_page(log, "line charts", plot_line_charts(a, "lines", columns, four, columns, &p), &p);
            arena_rewind(a, mark);
        }
    // The strong series is on top: where another one runs along it, only its colour is seen.
    Series pair[2] = {{"ours", K, x, y[1], LOOK_LINE, true}, {"other", K, x, y[1], LOOK_LINE, false}};
    LineChart c = {NULL, AXIS_WHOLE, AXIS_LINEAR, NULL, NULL, NULL, NULL, 2, pair};
    Picture *p = NULL;
    check_page(log, "pair", plot_line_charts(a, NULL, 1, &c, 1, &p), &p);
    long ours = count(p, color_category(0)), other = count(p, color_category(1));
    TEST(log, ours > 1000 && other < 120, "the strong line must hide the other: %ld and %ld pixels", ours, other);
}

static int files_in(const char *dir)
{
    DIR *d = opendir(dir);
    int n = 0;
    for (struct dirent *e; d && (e = readdir(d));) n += e->d_name[0] != '.';
    if (d) closedir(d);
    return n;
}

static uint32_t big_endian(const uint8_t *q)
{
    return (uint32_t)q[0] << 24 | (uint32_t)q[1] << 16 | (uint32_t)q[2] << 8 | q[3];
}

static uint32_t crc(const uint8_t *q, size_t n)     // PNG specification, annex D
{
    uint32_t c = 0xffffffff;
    for (size_t i = 0; i < n; i++) {
        c ^= q[i];
        for (int k = 0; k < 8; k++) c = c & 1 ? 0xedb88320u ^ c >> 1 : c >> 1;
    }
    return ~c;
}

// Walks the chunks: signature, IHDR of w x h RGB, right checksums, IEND at the very end.
static void check_png(TestLog *log, Arena *a, const char *path, uint32_t w, uint32_t h)
{
    FILE *f = fopen(path, "rb");
    if (!TEST(log, f, "cannot read %s back", path)) return;
    size_t room = (size_t)8 << 20;
    uint8_t *q = arena_alloc(a, room);
    size_t n = fread(q, 1, room, f);
    fclose(f);
    TEST(log, n > 57 && !memcmp(q, "\x89PNG\r\n\x1a\n\0\0\0\rIHDR", 16), "%s: no PNG signature", path);
    TEST(log, n > 57 && big_endian(q + 16) == w && big_endian(q + 20) == h && q[24] == 8 && q[25] == 2,
         "%s: want %u x %u RGB, got %u x %u", path, w, h, big_endian(q + 16), big_endian(q + 20));
    size_t at = 8;
    bool good = true, end = false;
    while (good && !end && at + 12 <= n) {
        size_t len = big_endian(q + at);
        good = at + 12 + len <= n && crc(q + at + 4, len + 4) == big_endian(q + at + 8 + len);
        end = !memcmp(q + at + 4, "IEND", 4);
        at += 12 + len;
    }
    TEST(log, good && end && at == n, "%s: broken at byte %zu of %zu", path, at, n);
}

static void refuse(TestLog *log, const Picture *p, const char *path, const char *why)
{
    Status s = picture_write_png(p, path);
    TEST(log, s.code == 1 && strstr(s.msg, why), "%s: want '%s', got %d '%s'", path, why, s.code, s.msg);
}

// A device that is always full.  Trap: whoever may write to /dev can lose the real /dev/full to a writer that renames
// over devices, so they get one of their own.
static const char *full_device(TestLog *log, Arena *a)
{
    if (access("/dev", W_OK)) return access("/dev/full", W_OK) ? NULL : "/dev/full";
    const char *path = arena_printf(a, "%s/full", log->tmp);
    if (mknod(path, S_IFCHR | 0600, makedev(1, 7))) return NULL;
    FILE *f = fopen(path, "wb");        // a file system may be mounted without devices
    if (f) fclose(f);
    return f ? path : NULL;
}

static void test_files(TestLog *log, Arena *a)
{
    Picture *p = blank(log, a, 321, 123);
    for (int y = 0; y < p->h; y++)      // noise, so that the file has some size
        for (int x = 0; x < 3 * p->w; x++) p->rgb[y * 3 * p->w + x] = (uint8_t)((x * x * 31 + y * y * 17 + x * y) >> 3);
    char *dir = arena_printf(a, "%s/pictures", log->tmp), *path = arena_printf(a, "%s/p.png", dir);
    if (!TEST(log, !mkdir(dir, 0777), "cannot make %s", dir)) return;
    Status s = picture_write_png(p, path);
    TEST(log, !s.code, "%s", s.msg);
    check_png(log, a, path, 321, 123);

    refuse(log, p, arena_printf(a, "%s/none/p.png", dir), strerror(ENOENT));
    refuse(log, p, dir, "got a directory");
    refuse(log, p, arena_printf(a, "%s/x", path), strerror(ENOTDIR));
    struct stat st;
    const char *device = full_device(log, a);
    if (device) {
        refuse(log, p, device, strerror(ENOSPC));
        TEST(log, !stat(device, &st) && S_ISCHR(st.st_mode), "%s must still be a device", device);
    } else {
        test_skip(log, "skipped: no device like /dev/full");
    }
    // The disk runs full in the middle: the old file stays as it was and nothing is left beside it.
    struct rlimit old, few = {.rlim_cur = 1000, .rlim_max = 1000};
    getrlimit(RLIMIT_FSIZE, &old);
    few.rlim_max = old.rlim_max;
    void (*before)(int) = signal(SIGXFSZ, SIG_IGN);
    setrlimit(RLIMIT_FSIZE, &few);
    Status full = picture_write_png(p, path), fresh = picture_write_png(p, arena_printf(a, "%s/new.png", dir));
    setrlimit(RLIMIT_FSIZE, &old);
    signal(SIGXFSZ, before);
    TEST(log, full.code == 1 && fresh.code == 1, "a file that cannot grow must be an error: '%s' '%s'", full.msg,
         fresh.msg);
    check_png(log, a, path, 321, 123);
    TEST(log, files_in(dir) == 1, "want only p.png in %s, found %d files", dir, files_in(dir));
    // A link to a file stays a link; its target is replaced.
    char *link = arena_printf(a, "%s/link.png", log->tmp);
    Picture *small = blank(log, a, 5, 6);
    TEST(log, !symlink(path, link) && !picture_write_png(small, link).code, "cannot write through a link");
    TEST(log, !lstat(link, &st) && S_ISLNK(st.st_mode), "the link must still be one");
    check_png(log, a, path, 5, 6);
    char *too_long = arena_zalloc(a, 5001);
    memset(too_long, 'x', 5000);
    TEST(log, picture_write_png(p, too_long).code == 1, "a path of 5000 bytes must be an error");
}

static void test_sizes(TestLog *log, Arena *a)
{
    static const int64_t BAD[][2] = {{0, 10}, {10, 0}, {-1, 10}, {40000, 1}, {1, 40000}, {30000, 30000},
                                     {INT64_MAX, INT64_MAX}};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        Picture *p = NULL;
        Status s = picture_new(a, BAD[i][0], BAD[i][1], WHITE, &p);
        TEST(log, s.code == 1 && !p, "a picture of %lld x %lld must be refused", (long long)BAD[i][0],
             (long long)BAD[i][1]);
    }
    Picture *p = blank(log, a, 1, 1);
    picture_text(p, 0, 1, STYLE_PAGE, "does not fit");
    plot_axes(p, (Rect){0, 0, 1, 1}, "title", axis_fit(AXIS_LINEAR, range_empty(), "x", NULL),
              axis_fit(AXIS_LOG, range_empty(), "y", "kbit/s"));
    char *path = arena_printf(a, "%s/one.png", log->tmp);
    TEST(log, !picture_write_png(p, path).code, "a picture of one pixel");
    check_png(log, a, path, 1, 1);
}

static void test_real(TestLog *log, Arena *a)
{
    enum { N = 12, H = 48, K = 20, FIRST = 30000 };
    static float day[H + K][N][N];
    FILE *f = log->shared ? fopen(arena_printf(a, "%s/data/abilene/abilene.npy", log->shared), "rb") : NULL;
    if (!f) { test_skip(log, "skipped: no ../shared/data/abilene"); return; }
    bool read = !fseek(f, 128 + FIRST * (long)sizeof day[0], SEEK_SET) && fread(day, sizeof day[0], H + K, f) == H + K;
    fclose(f);
    if (!TEST(log, read, "abilene.npy is short")) return;
    float flow[3][H + K], low[K], high[K];
    FanChart c[3];
    for (int i = 0; i < 3; i++) {
        for (int t = 0; t < H + K; t++) flow[i][t] = day[t][5 + i][8 + i];
        for (int t = 0; t < K; t++) low[t] = 0, high[t] = 2 * flow[0][H - 1];
        c[i] = (FanChart){"flow", "kbit/s", 1089460800, 300, H, K, flow[i], flow[i] + H, low, low, low, high, high};
    }
    Picture *p = NULL;
    check_page(log, "Abilene fan charts", plot_fan_charts(a, "Abilene", 3, c, 3, &p), &p);
    HeatMaps h = {"Abilene", N, NULL, "kbit/s", true, &day[H][0][0], &day[H - 1][0][0]};
    check_page(log, "Abilene heat maps", plot_heat_maps(a, &h, &p), &p);
    char *path = arena_printf(a, "%s/abilene.png", log->tmp);
    Status s = picture_write_png(p, path);
    TEST(log, !s.code, "%s", s.msg);
    check_png(log, a, path, (uint32_t)p->w, (uint32_t)p->h);
}

void test_picture(TestLog *log)
{
    Arena *a = arena_new("test_picture", (size_t)1 << 30, NULL);
    if (!TEST(log, a, "no memory")) return;
    size_t mark = arena_mark(a);
    void (*const parts[])(TestLog *, Arena *) = {test_raster, test_text, test_film, test_heat, test_fan,
                                                 test_fan_content, test_lines, test_files, test_sizes, test_real};
    test_font(log);
    test_colors(log);
    test_ticks(log);
    test_axis_properties(log);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        parts[i](log, a);
        arena_rewind(a, mark);
    }
    arena_delete(a);
}
