// The conditional U-Net (E7) with dual conditioning (E6).  Images [B,N,N,C], any N from 4 to 64.
//   level l has base * mult[l] channels.  Down: 3x3 convolution of stride 2 (n -> ceil(n/2)); up: nearest-neighbour
//   upsampling, a crop to the size before, 3x3 convolution.  A residual block:
//       h = conv1(silu(GN(x)));  h = AdaGN(h, g) = (1 + gamma(g)) GN(h) + beta(g);  h = silu(FiLM(h, t));
//       y = x + conv2(h)
//   followed, at the lowest level (down and up) and in the first of the two middle stages, by self-attention of the
//   pixels, and everywhere by their cross-attention to the condition sequence S: y += Attn(LN(y), S).  conv2, attention
//   outputs and the last convolution start at 0.
#ifndef LEAD_DIFFUSION_UNET_H
#define LEAD_DIFFUSION_UNET_H

#include "nn/layers.h"

enum { UNET_MAX_LEVELS = 4, UNET_MAX_BLOCKS = 3 };

typedef struct UNetConfig {
    int in_channels, out_channels;     // in: noisy target and context planes, concatenated
    int base, levels, mult[UNET_MAX_LEVELS], blocks;
    int cond_width, seq_width;         // g [B,cond_width], S [B,M,seq_width]
    int heads;                         // lowered per level until it divides the channels
} UNetConfig;

typedef struct ResBlock { Norm norm1; Conv conv1, conv2; Linear from_g, from_t, shortcut; } ResBlock;
typedef struct AttnBlock { Norm norm; Attention attn; } AttnBlock;
// self.norm.gamma = NULL: no self-attention
typedef struct UNetStage { ResBlock res; AttnBlock cross, self; } UNetStage;

typedef struct UNet {
    UNetConfig cfg;
    Linear time1, time2;
    Conv conv_in, conv_out, down[UNET_MAX_LEVELS], up[UNET_MAX_LEVELS];
    Norm norm_out;
    UNetStage enc[UNET_MAX_LEVELS][UNET_MAX_BLOCKS], dec[UNET_MAX_LEVELS][UNET_MAX_BLOCKS], mid[2];
} UNet;

// Registers "<prefix>.." parameters in ps.  Sizes out of range are a bug.
UNet unet_new(ParamSet *ps, const char *prefix, UNetConfig cfg);
// x [B,N,N,in], time [B] (1..T), g [B,cond_width], s [B,M,seq_width] -> [B,N,N,out]
Tensor *unet_apply(Tape *t, const UNet *u, Tensor *x, Tensor *time, Tensor *g, Tensor *s);

#endif
