// The vision encoder, one frame at a time (E3), and the temporal aggregator over its features (E4).
#ifndef LEAD_LEAD_VISION_H
#define LEAD_LEAD_VISION_H

#include "nn/layers.h"

enum { VISION_MAX_STAGES = 4, VISION_MAX_STEM = 4, AGG_MAX_LAYERS = 12 };

// A residual block: conv-norm-GELU-conv-norm + shortcut, GELU; then spatial attention a = sigmoid(W2 relu(W1 h)),
// h <- a h, one factor per pixel.
typedef struct VisionBlock { Conv conv1, conv2, shortcut; Norm norm1, norm2; Linear att1, att2; } VisionBlock;

// Ablations put in place of E3's stem of several scales: 3x3 convolutions alone with as many channels; in place of the
// whole encoder one linear layer over all pixels; or no image at all, so that E4 sees time and calendar alone.
typedef enum VisionKind { VISION_MULTI, VISION_SINGLE, VISION_LINEAR, VISION_NONE } VisionKind;

typedef struct Vision {
    VisionKind kind;
    int n_stem, n_stages;
    int64_t width;
    Conv stem[VISION_MAX_STEM];       // 1x1, 3x3, 5x5 and, for N >= 16, 7x7; concatenated and fused by 1x1
    Linear fuse, fc1, fc2;            // VISION_LINEAR: fc1 alone
    VisionBlock stage[VISION_MAX_STAGES];   // channels base, 2 base, ..; stages after the first halve the image
} Vision;

// N nodes, channels of an image, base channels of the first stage, width d_v of the feature vector.
Vision vision_new(ParamSet *ps, const char *prefix, VisionKind kind, int N, int channels, int base, int stages,
                  int width);
Tensor *vision_apply(Tape *t, const Vision *v, Tensor *frames);   // [B*H,N,N,channels] -> [B*H,width]

typedef struct AggLayer { Norm norm; Attention attn; Mlp mlp; } AggLayer;

typedef struct Aggregator {
    int n_layers;
    Tensor *time, *slot_of_day, *day_of_week, *queries;   // [H,D] [slots,D] [7,D] [M,D], learned
    AggLayer layer[AGG_MAX_LAYERS], cross[2];
    Norm norm_kv;
    double dropout;
} Aggregator;

Aggregator aggregator_new(ParamSet *ps, const char *prefix, int history, int slots_per_day, int width, int layers,
                          int heads, int tokens, double dropout);
// f [B,H,D] features, slot of the day and day of the week I32 [B,H] -> M tokens [B,M,D]
Tensor *aggregator_apply(Tape *t, const Aggregator *a, Tensor *f, Tensor *slot, Tensor *dow);

#endif
