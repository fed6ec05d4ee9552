// Colour maps: t in [0,1] (clamped) to a colour, linear in sRGB between published anchors.  NaN gives COLOR_MISSING.
//   sequential: viridis (van der Walt and Smith, matplotlib 1.5), 10 anchors, dark = low
//   diverging:  RdBu (Brewer, ColorBrewer 2.0), 11 anchors, reversed: blue = low, white = 0.5, red = high
// Categories: the colours of Okabe and Ito (2008), which colour-blind readers can tell apart too.
#ifndef LEAD_PLOT_COLORMAP_H
#define LEAD_PLOT_COLORMAP_H

#include "plot/picture.h"

#define COLOR_MISSING ((Color){200, 200, 200})

typedef enum ColorMap { MAP_SEQUENTIAL, MAP_DIVERGING } ColorMap;

Color color_map(ColorMap map, double t);
Color color_category(int i);     // 0 blue, 1 vermillion, 2 green, ...; repeats after seven (no yellow: white paper)

#endif
