#include "traffic/encode.h"

#include <math.h>

EncodeGains encode_gains_fit(Arena *a, const TrafficSeries *s, TrafficRange rows, const TrafficScale *k,
                             const SlotMeans *m)
{
    const int64_t F = k->F;
    size_t mark = arena_mark(a);
    float *now = arena_alloc(a, (size_t)F * sizeof *now), *prev = arena_alloc(a, (size_t)F * sizeof *prev);
    double change = 0, deviation = 0, pairs = 0;
    for (int64_t t = rows.begin + 1; t < rows.end; t++) {
        if (!s->valid[t] || traffic_row_at(s, t, -1) != t - 1) continue;
        scale_forward(k, s->x + t * F, now);
        scale_forward(k, s->x + (t - 1) * F, prev);
        const float *mean = slot_means_at(m, s, t, 0);
        for (int64_t f = 0; f < F; f++) {
            if (!traffic_seen(s, t, f) || !traffic_seen(s, t - 1, f)) continue;
            double d = (double)now[f] - (double)prev[f], e = (double)now[f] - (double)mean[f];
            change += d * d;
            deviation += e * e;
            pairs++;
        }
    }
    arena_rewind(a, mark);
    double rms_g = pairs > 0 ? sqrt(change / pairs) : 0, rms_b = pairs > 0 ? sqrt(deviation / pairs) : 0;
    return (EncodeGains){(float)(0.5 / fmax(rms_g, 0.0005)), (float)(0.5 / fmax(rms_b, 0.0005))};
}

void encode_rgb(float *rgb, const float *x_kbps, const float *prev_kbps, const float *mean, const TrafficScale *k,
                EncodeGains g)
{
    for (int f = 0; f < k->F; f++) {
        float s = scale_forward_flow(k, f, x_kbps[f]);
        float before = prev_kbps ? scale_forward_flow(k, f, prev_kbps[f]) : s;
        rgb[3 * f] = 2 * s - 1;
        rgb[3 * f + 1] = tanhf(g.k_g * (s - before));
        rgb[3 * f + 2] = tanhf(g.k_b * (s - mean[f]));
    }
}

void encode_grey(float *grey, const float *x_kbps, const TrafficScale *k)
{
    for (int f = 0; f < k->F; f++) grey[f] = 2 * scale_forward_flow(k, f, x_kbps[f]) - 1;
}

void encode_decode(float *x_kbps, const float *image, int channels, const TrafficScale *k)
{
    CHECK(channels == 1 || channels == 3, "encode_decode: channels = %d", channels);
    for (int f = 0; f < k->F; f++) x_kbps[f] = scale_inverse_flow(k, f, (image[f * channels] + 1) / 2);
}

uint8_t encode_to_byte(float v)
{
    if (!(v > -1)) return 0;
    return v < 1 ? (uint8_t)lrintf((v + 1) * 127.5f) : 255;
}

float encode_from_byte(uint8_t v)
{
    return (float)v / 127.5f - 1;
}
