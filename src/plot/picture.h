// A picture in memory and what can be drawn on it, anti-aliased, all coordinates in pixels:
//   x to the right, y downwards, (0,0) the corner of the top left pixel, whose centre is (0.5,0.5).
// Every shape is first drawn as coverage (0..255) into a mask and then painted once through it, so a translucent stroke
// that crosses itself has the same tone everywhere.  Points that are NaN or infinite are gaps.
#ifndef LEAD_PLOT_PICTURE_H
#define LEAD_PLOT_PICTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "tensor/arena.h"
#include "tensor/status.h"

typedef struct Color { uint8_t r, g, b; } Color;
typedef struct Rect { int x, y, w, h; } Rect;
typedef struct Point { double x, y; } Point;

typedef struct Picture {
    int w, h;
    uint8_t *rgb;       // [h][w][3]
    uint8_t *mask;      // [h][w], all zero between two calls
    Rect clip;          // nothing outside is touched
    Arena *arena;       // owns rgb and mask; lent for scratch memory, rewound before a call returns
} Picture;

typedef struct Ink {
    Color color;
    double alpha;       // 0 invisible .. 1 opaque
    double width;       // of a stroke, pixels
    double dash;        // length of dashes and of the gaps between them; 0 = solid
} Ink;

typedef enum Align { ALIGN_LEFT, ALIGN_CENTER, ALIGN_RIGHT } Align;

typedef struct TextStyle {
    double size;        // pixels per em; capitals are 0.7 em high
    Color color;
    Align align;
    bool bold;
    bool up;            // runs from bottom to top
} TextStyle;

// Makes a w x h picture of one colour, clip = all of it.  Errors: a side outside 1..PICTURE_MAX_SIDE, more than
// PICTURE_MAX_PIXELS pixels.
enum { PICTURE_MAX_SIDE = 32767, PICTURE_MAX_PIXELS = 1 << 26 };
Status picture_new(Arena *arena, int64_t w, int64_t h, Color background, Picture **out);

void picture_clip(Picture *p, Rect r);         // intersected with the picture
void picture_unclip(Picture *p);
Color picture_get(const Picture *p, int x, int y);

void picture_fill(Picture *p, Rect r, Color color, double alpha);
void picture_frame(Picture *p, Rect r, Color color);                         // the one-pixel border just outside r
void picture_stroke(Picture *p, const Point *points, int n, Ink ink);        // a polyline; a lone point is a dot
void picture_polygon(Picture *p, const Point *points, int n, Ink ink);       // filled, even-odd; all points finite
// Draws the image rgb[h][w][3] with its top left corner at (x, y), each of its pixels as a square of `side` pixels.
void picture_image(Picture *p, int x, int y, int side, const uint8_t *rgb, int w, int h);

// One line of text.  (x, y) is on the baseline, at the left end, middle or right end; with .up the line is rotated
// anticlockwise by 90 degrees about (x, y).
void picture_text(Picture *p, double x, double y, TextStyle style, const char *text);
// text, or its beginning and "..." if it is wider than `width` pixels; lives in arena.
const char *picture_text_fit(Arena *arena, const char *text, double size, double width);

// Writes a PNG, whole or not at all: temporary file beside it, fsync, rename.  A path that exists and is not a regular
// file (a pipe, a device) is written to directly; a symbolic link is followed.  Errors: those of file_commit.
Status picture_write_png(const Picture *p, const char *path);

#endif
