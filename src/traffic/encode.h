// E2: a traffic matrix as an image, one pixel per origin-destination pair, channels in [-1, 1] except that R exceeds 1
// where the volume exceeds the training maximum (nothing is clipped):
//   R = 2 s(X_t) - 1                      the volume
//   G = tanh(k_g (s(X_t) - s(X_{t-1})))   the change
//   B = tanh(k_b (s(X_t) - m_tau(t)))     the deviation from the training mean of that slot
// Grey images hold R only.  Decoding reads R: s = (R + 1) / 2, then the inverse scale.  R = -1 is exactly 0 kbit/s;
// rounding R to float changes s by at most 2^-25.
#ifndef LEAD_TRAFFIC_ENCODE_H
#define LEAD_TRAFFIC_ENCODE_H

#include "traffic/scaling.h"

typedef struct EncodeGains { float k_g, k_b; } EncodeGains;

// Fits k_g and k_b: k = 1/2 / (root mean square of the argument over the training pairs of neighbouring valid
// snapshots), at most 1000.  So a typical change lies on the steep part of the tanh for every scale and data set.
EncodeGains encode_gains_fit(Arena *a, const TrafficSeries *s, TrafficRange rows, const TrafficScale *k,
                             const SlotMeans *m);

// x_kbps, prev_kbps [F] (prev NULL = no predecessor: G = 0), mean [F] from slot_means_at -> rgb [F][3].
void encode_rgb(float *rgb, const float *x_kbps, const float *prev_kbps, const float *mean, const TrafficScale *k,
                EncodeGains g);
void encode_grey(float *grey, const float *x_kbps, const TrafficScale *k);          // [F] -> [F]
// Reads channel 0 of image [F][channels] (3 or 1) -> x_kbps [F].
void encode_decode(float *x_kbps, const float *image, int channels, const TrafficScale *k);

// To the 8 bits of a picture: [-1,1] -> 0 .. 255, rounded and clamped; and back.  One step is 2/255 in R, 1/255 in s.
uint8_t encode_to_byte(float v);
float encode_from_byte(uint8_t v);

#endif
