// Axes: the map from a value to a position, its tick marks at round numbers, and the frame of a plot.
// Rates come in bit/s, kbit/s, Mbit/s, Gbit/s or Tbit/s (B/s, FLOP/s likewise); ticks are printed in whichever of these
// reads best.  Ranges that cannot be drawn (nothing finite, all equal, all zero) are widened to ones that can.
#ifndef LEAD_PLOT_AXES_H
#define LEAD_PLOT_AXES_H

#include "plot/picture.h"

typedef enum AxisKind {
    AXIS_LINEAR,
    AXIS_WHOLE,      // linear, with ticks at integers only: training steps, horizons, slots
    AXIS_LOG,        // values <= 0 have no position (NaN)
    AXIS_SYMLOG,     // sign(v) log10(1 + |v| / knee): signed values over many decades; linear near 0
    AXIS_TIME,       // Unix seconds, printed in UTC
} AxisKind;

typedef struct Axis {
    AxisKind kind;
    double lo, hi;       // finite, lo < hi; AXIS_LOG: lo > 0
    double knee;         // AXIS_SYMLOG only, > 0
    const char *label;   // what is plotted; NULL = nothing
    const char *unit;    // NULL = none
} Axis;

// The smallest and the largest of the finite values seen; empty while lo > hi.
typedef struct Range { double lo, hi, lo_positive; } Range;
Range range_empty(void);
void range_add(Range *r, double v);
void range_add_f32(Range *r, const float *v, int64_t n);    // v may be NULL

// An axis that holds all of r, with round limits where a plot of lines needs some room at the ends.
// AXIS_LINEAR of values that are all >= 0 begins at 0 unless they vary by less than a third of their size.
Axis axis_fit(AxisKind kind, Range r, const char *label, const char *unit);

double axis_at(const Axis *a, double v);     // 0 at lo, 1 at hi, outside 0..1 beyond them; NaN where v has no position

enum { MAX_TICKS = 96 };
typedef struct Tick {
    double v;            // value, in the axis' own unit
    char text[24];       // "" = a minor tick
    char below[16];      // second line (the date under a time of day), often ""
} Tick;

typedef struct Ticks {
    int n;
    Tick tick[MAX_TICKS];
    char unit[24];       // the unit of the texts; "" = none
} Ticks;

// Tick marks for an axis `length` pixels long.  Their texts, in size text_size (pixels per em), must not touch each
// other: side by side on a horizontal axis, one above the other on a vertical one.
Ticks axis_ticks(const Axis *a, double length, bool horizontal, double text_size);

// Splits "Mbit/s" into 1e6 and "bit/s".  False for units that take no prefix (NULL too): nothing is set.
bool axis_unit_split(const char *unit, double *factor, const char **base);

// Label and unit, "traffic, Mbit/s"; "" when there is neither.
const char *axis_title(Arena *arena, const Axis *a, const Ticks *t);

typedef struct Frame {
    Rect in;             // where the data are drawn
    Axis x, y;
} Frame;

// Draws title, grid, ticks and labels inside `outer`; returns the frame that is left for the data.
Frame plot_axes(Picture *p, Rect outer, const char *title, Axis x, Axis y);
Point frame_point(const Frame *f, double x, double y);

// Text styles and colours that all plots share.
extern const TextStyle STYLE_PAGE, STYLE_TITLE, STYLE_LABEL, STYLE_TICK;
#define COLOR_PAPER ((Color){255, 255, 255})
#define COLOR_TEXT ((Color){30, 30, 34})
#define COLOR_AXIS ((Color){110, 110, 116})
#define COLOR_GRID ((Color){228, 228, 232})

#endif
