// Charts as SVG inside a page, from the structs that the pictures of src/plot are drawn from.  Sizes are in units of
// the viewBox, in which text is 11 high; the page scales them.  Pointing at a place shows its numbers: <title>
// elements and CSS, no script.  Colours are classes of the page's style sheet (report.c), so that they follow light
// and dark; cells of heat maps have those of src/plot/colormap.h.  Values that are not finite are gaps.
#ifndef LEAD_REPORT_SVG_H
#define LEAD_REPORT_SVG_H

#include "plot/colormap.h"
#include "plot/plot.h"
#include "report/html.h"

typedef struct SvgSize { double w, h; } SvgSize;

// History, bands, median and truth of one FanChart, without its title.  limit: a value to mark by a line, such as a
// capacity; NaN: none.  Scratch memory comes from a and is given back (all functions here).
void svg_fan_chart(Html *h, Arena *a, const FanChart *c, SvgSize size, double limit);

// Without title and legend.
void svg_line_chart(Html *h, Arena *a, const LineChart *c, SvgSize size);
// The class of the line of series i: colour 0, thick, for the strong one, 1 .. 6 for the others, then again dashed.
const char *svg_series_class(Arena *a, const LineChart *c, int i);

// A matrix [n][n], origin x destination, with a bar that explains its colours.  names [n].
typedef struct SvgHeatMap {
    int n;
    const char *const *names;
    const float *values;
    ColorMap map;
    Axis axis;
} SvgHeatMap;
void svg_heat_map(Html *h, Arena *a, const SvgHeatMap *m, SvgSize size);

// A long series in n equal bins of time: mean, smallest and largest value of each; NaN: nothing was measured.
// marked: [n] 1 where something in the bin was left out; NULL: none.
typedef struct SvgTimeline {
    int n;
    double t0, t1;               // begin of the first bin, end of the last: Unix seconds, or slots
    bool clock;                  // .. they are seconds
    const float *mean, *low, *high;
    const unsigned char *marked;
    const char *unit;
} SvgTimeline;
void svg_timeline(Html *h, Arena *a, const SvgTimeline *t, SvgSize size);

// A small range beside the numbers of a table: a bar from low to high, a mark at `middle`, on a scale from lo to hi,
// with a line at `zero` (NaN: none).
void svg_range(Html *h, double low, double middle, double high, double lo, double hi, double zero);

// A value of an axis as text with its unit, three significant digits, in the prefix that reads best: "12.3 Mbit/s".
const char *svg_value_text(Arena *a, double v, const char *unit);

#endif
