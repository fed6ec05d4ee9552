// A stroke font drawn for this project: every printable ASCII character is a few lines and quadratic curves.  It scales
// to any size and needs no font file.  One em is 20 units: capitals 14, small letters 10, descenders 4, baseline at 0.
#ifndef LEAD_PLOT_FONT_H
#define LEAD_PLOT_FONT_H

#include <stdbool.h>

enum { FONT_MAX_POINTS = 160 };
#define FONT_EM 20.0

typedef struct FontPoint {
    double x, y;     // units, y upwards from the baseline
    bool start;      // lifts the pen: this point begins a new stroke
} FontPoint;

// The next character of *text (UTF-8), which is moved past it; 0 at the end.  Latin letters with accents (U+00C0 ..
// U+017F) come back without them; anything else that is not printable ASCII as '\x7f', which the font draws as a box.
unsigned font_next(const char **text);

// The strokes of one character as polylines; returns the number of points, at most FONT_MAX_POINTS.
int font_strokes(unsigned code, FontPoint points[FONT_MAX_POINTS]);

double font_advance(unsigned code);                   // units from this character's origin to the next one's
double font_width(const char *text, double size);     // pixels at `size` pixels per em, without the outer bearings

#endif
