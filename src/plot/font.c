#include "plot/font.h"

#include <stdint.h>
#include <string.h>

#include "tensor/status.h"
#include "tensor/utf8.h"

// A path is a list of points, two base-36 digits each (x, then y; the baseline is y = 4, capitals end at i = 18, small
// letters at e = 14, descenders at 0).  A space lifts the pen.  '~' marks the control point of a quadratic curve that
// runs from the point before it to the point after it.
typedef struct Glyph {
    int width;           // of the strokes' centre lines
    const char *path;
} Glyph;

enum { CURVE_STEPS = 8, BASELINE = 4, BOX = 0x7f };
#define GAP 4.6          // between the strokes of neighbours

static const Glyph GLYPHS[] = {
    [' '] = {2, ""},
    ['!'] = {0, "0i09 0504"},
    ['"'] = {3, "0i0e 3i3e"},
    ['#'] = {9, "3i14 8i64 0d9d 0999"},
    ['$'] = {8, "8f~8h4h~0h0e~0c4b~8a88~8545~0507 4j43"},
    ['%'] = {12, "ai24 3i~0i0f~0c3c~6c6f~6i3i 9a~6a67~6494~c4c7~ca9a"},
    ['&'] = {10, "a42e~1f1g~1i4i~6i6g~6e4d~0b08~0444~849a"},
    ['\''] = {0, "0i0e"},
    ['('] = {3, "3j~0f0a~0531"},
    [')'] = {3, "0j~3f3a~3501"},
    ['*'] = {6, "3i3c 0g6e 6g0e"},
    ['+'] = {8, "4d45 0989"},
    [','] = {1, "1502"},
    ['-'] = {5, "0959"},
    ['.'] = {0, "0504"},
    ['/'] = {7, "7i02"},
    ['0'] = {8, "4i~0i0b~0444~848b~8i4i"},
    ['1'] = {8, "1f5i54"},
    ['2'] = {8, "0e~0i4i~8i8e~8b0484"},
    ['3'] = {8, "0f~0i4i~7i7f~7b4b2b4b~8b87~8444~0407"},
    ['4'] = {8, "6i0888 6i64"},
    ['5'] = {8, "7i1i0b~2d4d~8d88~8444~1407"},
    ['6'] = {8, "7h~6i5i~0i08~0444~8488~8c4c~0c08"},
    ['7'] = {8, "0i8i34"},
    ['8'] = {8, "4b~1b1f~1i4i~7i7f~7b4b~0b07~0444~8487~8b4b"},
    ['9'] = {8, "15~2434~848e~8i4i~0i0e~0a4a~8a8e"},
    [':'] = {0, "0504 0d0c"},
    [';'] = {1, "1502 1d1c"},
    ['<'] = {7, "7e0974"},
    ['='] = {8, "0b8b 0787"},
    ['>'] = {7, "0e7904"},
    ['?'] = {7, "0f~0i3i~7i7f~7c4a48 4544"},
    ['@'] = {13, "a3~9272~020a~0i7i~didb~d7b7~97999d 9a~9d6d~3d3a~3767~979a"},
    ['A'] = {10, "045ia4 2989"},
    ['B'] = {8, "040i4i~7i7f~7b4b0b 4b~8b87~844404"},
    ['C'] = {9, "9f~8i5i~0i0b~0454~8497"},
    ['D'] = {9, "040i4i~9i9b~944404"},
    ['E'] = {7, "7i0i0474 0b6b"},
    ['F'] = {7, "7i0i04 0b6b"},
    ['G'] = {9, "9f~8i5i~0i0b~0454~84969a5a"},
    ['H'] = {9, "040i 949i 0b9b"},
    ['I'] = {4, "0444 0i4i 242i"},
    ['J'] = {6, "6i68~6434~0408"},
    ['K'] = {8, "040i 8i09 3c84"},
    ['L'] = {7, "0i0474"},
    ['M'] = {10, "040i58aia4"},
    ['N'] = {9, "040i949i"},
    ['O'] = {10, "5i~0i0b~0454~a4ab~ai5i"},
    ['P'] = {8, "040i4i~8i8e~8a4a0a"},
    ['Q'] = {10, "5i~0i0b~0454~a4ab~ai5i 68a3"},
    ['R'] = {8, "040i4i~8i8e~8a4a0a 4a84"},
    ['S'] = {8, "8f~8i4i~0i0e~0c4b~8a88~8444~0407"},
    ['T'] = {8, "0i8i 4i44"},
    ['U'] = {8, "0i09~0444~84898i"},
    ['V'] = {10, "0i54ai"},
    ['W'] = {14, "0i347ib4ei"},
    ['X'] = {9, "0i94 9i04"},
    ['Y'] = {8, "0i4b8i 4b44"},
    ['Z'] = {8, "0i8i0484"},
    ['['] = {3, "3j0j0131"},
    ['\\'] = {7, "0i72"},
    [']'] = {3, "0j3j3101"},
    ['^'] = {6, "0d3i6d"},
    ['_'] = {8, "0181"},
    ['`'] = {2, "0i2f"},
    ['a'] = {7, "0d~1e3e~7e7b74 7a3a~0a07~0434~6477"},
    ['b'] = {8, "0i04 09~0e4e~8e89~8444~0409"},
    ['c'] = {7, "7c~6e4e~0e09~0444~6476"},
    ['d'] = {8, "8i84 89~8e4e~0e09~0444~8489"},
    ['e'] = {8, "0989~8e4e~0e09~0444~7486"},
    ['f'] = {5, "5i~2i2f24 0e5e"},
    ['g'] = {8, "8e84~8040~1002 89~8e4e~0e09~0444~8489"},
    ['h'] = {7, "0i04 09~0e4e~7e7a74"},
    ['i'] = {0, "0e04 0i0h"},
    ['j'] = {3, "3e33~301000 3i3h"},
    ['k'] = {7, "0i04 7e08 3a74"},
    ['l'] = {2, "0i07~0424"},
    ['m'] = {12, "0e04 0a~0e3e~6e6a64 6a~6e9e~cecac4"},
    ['n'] = {7, "0e04 09~0e4e~7e7a74"},
    ['o'] = {8, "4e~0e09~0444~8489~8e4e"},
    ['p'] = {8, "0e00 09~0e4e~8e89~8444~0409"},
    ['q'] = {8, "8e80 89~8e4e~0e09~0444~8489"},
    ['r'] = {4, "0e04 09~0e4e"},
    ['s'] = {6, "6c~6e3e~0e0c~0a39~6866~6434~0406"},
    ['t'] = {5, "2h27~2454 0e5e"},
    ['u'] = {7, "0e08~0434~7479 7e74"},
    ['v'] = {8, "0e448e"},
    ['w'] = {12, "0e346e94ce"},
    ['x'] = {7, "0e74 7e04"},
    ['y'] = {8, "0e44 8e20"},
    ['z'] = {7, "0e7e0474"},
    ['{'] = {4, "4j~2j2g2d~2a0a~2a2724~2141"},
    ['|'] = {0, "0j01"},
    ['}'] = {4, "0j~2j2g2d~2a4a~2a2724~2101"},
    ['~'] = {8, "08~0b2b~3b49~5767~878a"},
    [BOX] = {8, "040i8i8404"},
};

// The letters U+00C0 .. U+017F without their accents.
static const char BASE[] =
    "AAAAAAACEEEEIIIIDNOOOOOxOUUUUYPsaaaaaaaceeeeiiiidnooooo/ouuuuypy"
    "AaAaAaCcCcCcCcDdDdEeEeEeEeEeGgGgGgGgHhHhIiIiIiIiIiIiJjKkkLlLlLlL"
    "lLlNnNnNnnNnOoOoOoOoRrRrRrSsSsSsSsTtTtTtUuUuUuUuUuUuWwYyYZzZzZzs";

unsigned font_next(const char **text)
{
    unsigned char c = (unsigned char)**text;
    uint32_t code;
    if (!c) return 0;
    ++*text;
    if (c >= ' ' && c < BOX) return c;
    const int n = utf8_decode((const unsigned char *)*text - 1, strnlen(*text - 1, 4), &code);
    while (((unsigned char)**text & 0xc0) == 0x80) ++*text;   // the rest of one UTF-8 character
    return n && code >= 0xc0 && code < 0x180 ? (unsigned char)BASE[code - 0xc0] : BOX;
}

static int digit(char c) { return c <= '9' ? c - '0' : c - 'a' + 10; }

// One curve, from the last point in points[0..n) over control point c to point q.
static int add_curve(FontPoint *points, int n, FontPoint c, FontPoint q)
{
    FontPoint p = points[n - 1];
    for (int i = 1; i <= CURVE_STEPS; i++) {
        double t = (double)i / CURVE_STEPS, a = (1 - t) * (1 - t), b = 2 * t * (1 - t), d = t * t;
        points[n++] = (FontPoint){.x = a * p.x + b * c.x + d * q.x, .y = a * p.y + b * c.y + d * q.y};
    }
    return n;
}

int font_strokes(unsigned code, FontPoint points[FONT_MAX_POINTS])
{
    CHECK(code >= ' ' && code <= BOX, "font_strokes: character %u is not in the font", code);
    int n = 0;
    bool start = true, curve = false;
    FontPoint control = {0};
    for (const char *s = GLYPHS[code].path; *s;) {
        if (*s == ' ') { start = true; s++; continue; }
        bool is_control = *s == '~';
        if (is_control) s++;
        FontPoint q = {.x = digit(s[0]), .y = digit(s[1]) - BASELINE, .start = start};
        s += 2;
        CHECK(n + CURVE_STEPS <= FONT_MAX_POINTS, "font_strokes: '%c' has too many points", (char)code);
        if (is_control) control = q;
        else if (curve) n = add_curve(points, n, control, q);
        else points[n++] = q;
        curve = is_control;
        start = false;
    }
    return n;
}

double font_advance(unsigned code)
{
    CHECK(code >= ' ' && code <= BOX, "font_advance: character %u is not in the font", code);
    return GLYPHS[code].width + GAP;
}

double font_width(const char *text, double size)
{
    double w = 0;
    for (unsigned c; (c = font_next(&text));) w += font_advance(c);
    return w > GAP ? (w - GAP) * size / FONT_EM : 0;
}
