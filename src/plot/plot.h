// Pictures of traffic matrices, forecasts and training runs.  Each function lays out a whole page, 1000 to 1600 pixels
// wide, in `arena`; picture_write_png saves it.  NaN is drawn as a gap (grey in matrices).  Errors: a page larger than
// a Picture may be; nothing to show.
#ifndef LEAD_PLOT_PLOT_H
#define LEAD_PLOT_PLOT_H

#include "plot/axes.h"
#include "plot/picture.h"

// ---- film strip: RGB images of matrices (equation E2), rows below each other (history, forecast, truth)

typedef struct FilmRow {
    const char *label;
    int n_frames;
    const float *frames;             // [n_frames][n][n][3] in [-1,1]; -1 is drawn as 0, 1 as 255
    const char *const *captions;     // [n_frames], or NULL
} FilmRow;

typedef struct FilmStrip {
    const char *title, *note;        // note: one line below, e.g. the meaning of the colours; either may be NULL
    int n;                           // nodes
    int n_rows;
    const FilmRow *rows;
} FilmStrip;

// Rows that are too long are continued on the next line.
Status plot_film_strip(Arena *arena, const FilmStrip *f, Picture **out);

// ---- heat maps: truth, forecast, and forecast - truth, side by side

typedef struct HeatMaps {
    const char *title;               // may be NULL
    int n;                           // nodes
    const char *const *names;        // [n] node names, or NULL: their indices
    const char *unit;                // of the matrices
    bool log;                        // logarithmic colours (zero has the lowest one); the error's are symmetric log
    const float *truth, *forecast;   // [n][n], origin x destination; if one is NULL, only the other is drawn
} HeatMaps;

// The axes that the colours are read from: of both matrices, and of an error [n*n], symmetric about 0.
Axis heat_maps_axis(const HeatMaps *h);
Axis heat_maps_error_axis(const HeatMaps *h, const float *error);

Status plot_heat_maps(Arena *arena, const HeatMaps *h, Picture **out);

// ---- fan charts: one flow's history and forecast with its 50 % and 90 % bands

typedef struct FanChart {
    const char *title;
    const char *unit;
    double t0;                       // Unix seconds of history[0] (of the first forecast when n_history is 0)
    double step_s;                   // seconds from slot to slot; 0: no clock, slots are counted, 1 = first forecast
    int n_history, n_forecast;
    const float *history;            // [n_history]
    const float *truth, *median;     // [n_forecast]; each may be NULL
    const float *q05, *q25, *q75, *q95;   // quantiles 0.05 .. 0.95, [n_forecast]; a band needs both of its sides
} FanChart;

// Where slot 0, the first forecast, or another lies on the axis of time: Unix seconds, or without a clock slots ahead.
double fan_time(const FanChart *c, int slot);
// What the two axes must show.
void fan_ranges(const FanChart *c, Range *time, Range *value);

// n charts in rows of `columns`; one legend for all, with the truth where a chart has any.  title may be NULL.
Status plot_fan_charts(Arena *arena, const char *title, int n, const FanChart *charts, int columns, Picture **out);

// ---- line charts: loss curves, metrics by horizon, rooflines

typedef enum SeriesLook { LOOK_LINE, LOOK_DASHED, LOOK_DOTS, LOOK_LINE_DOTS } SeriesLook;

typedef struct Series {
    const char *name;
    int n;
    const double *x, *y;             // [n]
    SeriesLook look;
    bool strong;                     // the series to emphasise (our model): thick, and drawn last
} Series;

typedef struct LineChart {
    const char *title;
    AxisKind x_kind, y_kind;
    const char *x_label, *x_unit, *y_label, *y_unit;
    int n_series;
    const Series *series;
} LineChart;

// Draws one chart with its legend into r, for pages of another layout.
void plot_line_chart(Picture *p, Rect r, const LineChart *c);
// n charts in rows of `columns`.  title may be NULL.
Status plot_line_charts(Arena *arena, const char *title, int n, const LineChart *charts, int columns, Picture **out);

#endif
