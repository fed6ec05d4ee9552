#include "plot/colormap.h"

#include <math.h>

static const Color VIRIDIS[] = {
    {68, 1, 84}, {72, 40, 120}, {62, 74, 137}, {49, 104, 142}, {38, 130, 142},
    {31, 158, 137}, {53, 183, 121}, {110, 206, 88}, {181, 222, 43}, {253, 231, 37},
};

static const Color RDBU[] = {
    {5, 48, 97}, {33, 102, 172}, {67, 147, 195}, {146, 197, 222}, {209, 229, 240}, {247, 247, 247},
    {253, 219, 199}, {244, 165, 130}, {214, 96, 77}, {178, 24, 43}, {103, 0, 31},
};

static uint8_t between(uint8_t a, uint8_t b, double t) { return (uint8_t)lrint(a + t * (b - a)); }

Color color_map(ColorMap map, double t)
{
    if (isnan(t)) return COLOR_MISSING;
    const Color *anchor = map == MAP_SEQUENTIAL ? VIRIDIS : RDBU;
    int n = map == MAP_SEQUENTIAL ? (int)(sizeof VIRIDIS / sizeof *VIRIDIS) : (int)(sizeof RDBU / sizeof *RDBU);
    double at = fmin(fmax(t, 0), 1) * (n - 1);
    int k = at >= n - 1 ? n - 2 : (int)at;
    Color a = anchor[k], b = anchor[k + 1];
    return (Color){between(a.r, b.r, at - k), between(a.g, b.g, at - k), between(a.b, b.b, at - k)};
}

Color color_category(int i)
{
    static const Color OKABE_ITO[] = {
        {0, 114, 178}, {213, 94, 0}, {0, 158, 115}, {204, 121, 167}, {230, 159, 0}, {86, 180, 233}, {90, 90, 90},
    };
    int n = (int)(sizeof OKABE_ITO / sizeof *OKABE_ITO);
    return OKABE_ITO[((i % n) + n) % n];
}
