#include "bench/shapes.h"

#include <string.h>

// Linear layers and products have no bias here, so that <y,dy> = <x,dx> = <w,dw> checks them exactly.
#define LINEAR(M, K, N, why) {.op = OP_linear, .label = #M "x" #K "->" #N " " why, .in = {SHAPE(M, K), SHAPE(K, N)}}
// The weight in panels for our SIMD variants (tensor/pack.h), as GPT-2's are; plain for the peers.
#define PACKED(M, K, N, why) {.op = OP_linear, .label = #M "x" #K "->" #N " packed " why, \
                              .in = {SHAPE(M, K), SHAPE(K, N)}, .i = {true}}
// The weight in bf16 panels, forward only; plain for the peers and for our scalar kernels.
#define PACKED_BF16(M, K, N, why) {.op = OP_linear, .label = #M "x" #K "->" #N " packed bf16 " why, \
                                   .in = {SHAPE(M, K), SHAPE(K, N)}, .i = {2}}
#define LINEAR_GELU(M, K, N, why) {.op = OP_linear_gelu, .label = #M "x" #K "->" #N " " why, \
                                   .in = {SHAPE(M, K), SHAPE(K, N), SHAPE(N)}}
#define LINEAR_SILU(M, K, N, why) {.op = OP_linear_silu, .label = #M "x" #K "->" #N " " why, \
                                   .in = {SHAPE(M, K), SHAPE(K, N), SHAPE(N)}}
#define LINEAR_ADD(M, K, N, why) {.op = OP_linear_add, .label = #M "x" #K "->" #N " " why, \
                                  .in = {SHAPE(M, K), SHAPE(K, N), SHAPE(N), SHAPE(M, N)}}
#define CONV(n, h, c, k, o, s, p, why) {.op = OP_conv2d, \
    .label = #n "x" #h "x" #h " C" #c " k" #k " O" #o " s" #s " " why, \
    .in = {SHAPE(n, h, h, c), SHAPE(k, k, c, o)}, .i = {s, p}}
// Windows of 1, 3, 5 and k7 (7, or 0: none) pixels, o outputs each.
#define STEM(images, h, o, k7, why) {.op = OP_conv2d_multi, \
    .label = #images "x" #h "x" #h " C3 O" #o " each " why, \
    .in = {SHAPE(images, h, h, 3), SHAPE(1, 1, 3, o), SHAPE(3, 3, 3, o), SHAPE(5, 5, 3, o), \
           {.n = (k7) ? 4 : 0, .d = {k7, k7, 3, o}}}}
#define MATMUL(m, k, n) {.op = OP_matmul, .label = #m "x" #k "x" #n, .in = {SHAPE(m, k), SHAPE(k, n)}}
#define ATTENTION(n, tq, tk, d, h, causal, why) {.op = OP_attention, .i = {h, causal}, \
    .label = #n "x" #tq "x" #tk " D" #d " heads " #h " " why, .in = {SHAPE(n, tq, d), SHAPE(n, tk, d), SHAPE(n, tk, d)}}
// One tensor of images [n,h,h,c].
#define PIXELS(o, n, h, c, why) {.op = OP_##o, .label = #n "x" #h "x" #h " C" #c " " why, .in = {SHAPE(n, h, h, c)}}
#define ROWS(o, m, d, why) {.op = OP_##o, .label = #m "x" #d " " why, .in = {SHAPE(m, d)}}
#define TWO(o, n, h, c, why) {.op = OP_##o, .label = #n "x" #h "x" #h " C" #c " " why, \
                              .in = {SHAPE(n, h, h, c), SHAPE(n, h, h, c)}}
#define NORM(o, n, h, c, groups, why) {.op = OP_##o, .label = #n "x" #h "x" #h " C" #c " " why, .i = {groups, true}, \
                                       .in = {SHAPE(n, h, h, c), SHAPE(c), SHAPE(c)}}
#define MODULATE(o, n, h, c, groups, why) {.op = OP_##o, .i = {groups, true}, \
    .label = #n "x" #h "x" #h " C" #c " " why, .in = {SHAPE(n, h, h, c), SHAPE(n, 2 * c)}}

const BenchRow *bench_rows(Arena *a, int *n)
{
    const BenchRow rows[] = {
        // products
        MATMUL(512, 512, 512), MATMUL(1024, 1024, 1024),
        {.op = OP_matmul, .label = "64x768x50257 NT lm-head", .in = {SHAPE(64, 768), SHAPE(50257, 768)},
         .i = {false, true}},
        {.op = OP_matmul, .label = "96 x 64x64x64 NT scores", .in = {SHAPE(96, 64, 64), SHAPE(96, 64, 64)},
         .i = {false, true}},
        LINEAR(64, 768, 768, "GPT-2"), LINEAR(64, 768, 2304, "GPT-2"), LINEAR(64, 768, 3072, "GPT-2"),
        LINEAR(64, 3072, 768, "GPT-2"), LINEAR(512, 768, 2304, "GPT-2"), LINEAR(512, 768, 3072, "GPT-2"),
        LINEAR(512, 3072, 768, "GPT-2"), LINEAR(512, 768, 128, "adapter"), LINEAR(512, 128, 768, "adapter"),
        LINEAR(1, 768, 3072, "decode"), LINEAR(1, 768, 50257, "decode"), LINEAR(16, 512, 512, "small"),
        LINEAR(32, 64, 64, "small"), LINEAR(64, 128, 128, "small"), LINEAR(4608, 128, 128, "pixels"),
        LINEAR(1152, 256, 256, "pixels"), LINEAR(288, 512, 512, "pixels"),
        PACKED(64, 768, 768, "GPT-2"), PACKED(64, 768, 2304, "GPT-2"), PACKED(64, 768, 3072, "GPT-2"),
        PACKED(64, 3072, 768, "GPT-2"), PACKED(512, 768, 3072, "GPT-2"), PACKED(512, 3072, 768, "GPT-2"),
        PACKED(16, 768, 3072, "GPT-2"), PACKED(1, 768, 3072, "decode"),
        PACKED_BF16(64, 768, 3072, "GPT-2"), PACKED_BF16(64, 3072, 768, "GPT-2"), PACKED_BF16(512, 768, 3072, "GPT-2"),
        PACKED_BF16(512, 3072, 768, "GPT-2"), PACKED_BF16(16, 768, 3072, "GPT-2"), PACKED_BF16(1, 768, 3072, "decode"),
        PACKED_BF16(1, 768, 50257, "lm-head"), PACKED_BF16(64, 768, 50257, "lm-head"),
        {.op = OP_matmul, .label = "1x768x50257 NT lm-head", .in = {SHAPE(1, 768), SHAPE(50257, 768)},
         .i = {false, true}},
        LINEAR_GELU(256, 768, 3072, "GPT-2"), LINEAR_GELU(512, 512, 2048, "aggregator"),
        LINEAR_SILU(512, 512, 512, "times"), LINEAR_ADD(256, 768, 768, "GPT-2"), LINEAR_ADD(256, 3072, 768, "GPT-2"),
        LINEAR_ADD(512, 512, 512, "aggregator"),
        // convolutions, resampling
        CONV(32, 12, 128, 3, 128, 1, 1, "U-Net"), CONV(32, 12, 256, 3, 128, 1, 1, "U-Net"),
        CONV(32, 6, 256, 3, 256, 1, 1, "U-Net"), CONV(32, 3, 512, 3, 512, 1, 1, "U-Net"),
        CONV(8, 23, 128, 3, 128, 1, 1, "U-Net"), CONV(32, 12, 256, 3, 256, 1, 1, "U-Net"),
        CONV(8, 12, 128, 3, 128, 1, 1, "U-Net"), CONV(8, 12, 256, 3, 256, 1, 1, "U-Net"),
        CONV(8, 12, 512, 3, 512, 1, 1, "U-Net"), CONV(32, 12, 512, 3, 512, 1, 1, "U-Net"),
        CONV(32, 23, 128, 3, 128, 1, 1, "U-Net"), CONV(8, 23, 256, 3, 256, 1, 1, "U-Net"),
        CONV(512, 12, 3, 5, 16, 1, 2, "stem"), CONV(512, 12, 16, 3, 16, 1, 1, "encoder"),
        CONV(512, 12, 16, 3, 32, 2, 1, "encoder"), CONV(512, 6, 32, 3, 64, 2, 1, "encoder"),
        CONV(32, 12, 32, 3, 32, 1, 1, "encoder"), CONV(32, 12, 64, 3, 64, 1, 1, "encoder"),
        CONV(32, 12, 3, 3, 32, 1, 1, "stem"), CONV(32, 12, 3, 5, 32, 1, 2, "stem"), CONV(8, 23, 3, 7, 32, 1, 3, "stem"),
        STEM(512, 12, 16, 0, "k 1 3 5"), STEM(32, 12, 32, 0, "k 1 3 5"), STEM(8, 23, 32, 7, "k 1 3 5 7"),
        CONV(32, 12, 40, 3, 128, 1, 1, "first"), CONV(32, 12, 128, 3, 256, 2, 1, "down"),
        CONV(32, 12, 128, 3, 3, 1, 1, "last"), CONV(32, 12, 256, 1, 128, 1, 0, "1x1"),
        {.op = OP_dwconv1d, .label = "32x64 C128 k3 adapter", .in = {SHAPE(32, 64, 128), SHAPE(3, 128), SHAPE(128)}},
        {.op = OP_dwconv1d, .label = "32x64 C128 k5 adapter", .in = {SHAPE(32, 64, 128), SHAPE(5, 128), SHAPE(128)}},
        PIXELS(upsample2, 32, 6, 256, "U-Net"), PIXELS(avgpool2, 32, 12, 20, "loss"),
        PIXELS(global_avgpool, 512, 2, 256, "encoder"), PIXELS(global_maxpool, 512, 2, 256, "encoder"),
        // elementwise
        TWO(add, 32, 12, 128, "U-Net"), ROWS(add, 256, 3072, "bias"), TWO(mul, 32, 12, 128, "U-Net"),
        {.op = OP_mul_rows, .label = "512x12x12 C32 encoder", .in = {SHAPE(512, 12, 12, 32), SHAPE(512, 12, 12)}},
        ROWS(scale, 2048, 128, "adapter"), PIXELS(relu, 512, 12, 4, "encoder"), PIXELS(silu, 32, 12, 256, "U-Net"),
        ROWS(silu, 1024, 3072, "rival"), ROWS(gelu_tanh, 1024, 3072, "GPT-2"), ROWS(gelu_tanh, 256, 3072, "GPT-2"),
        ROWS(gelu_erf, 1024, 3072, "rival"), ROWS(sigmoid, 2048, 128, "adapter"), ROWS(tanh, 1024, 3072, "rival"),
        ROWS(softplus, 1024, 1024, "rival"), PIXELS(clamp, 32, 12, 20, "x0"),
        {.op = OP_dropout, .label = "512x2048 aggregator", .in = {SHAPE(512, 2048)},
                                              .d = 0.1},
        // norms and modulation
        {.op = OP_layer_norm, .label = "256x768 GPT-2", .in = {SHAPE(256, 768), SHAPE(768), SHAPE(768)}},
        {.op = OP_layer_norm, .label = "4608x128 pixels", .in = {SHAPE(4608, 128), SHAPE(128), SHAPE(128)}},
        NORM(group_norm, 32, 12, 128, 32, "U-Net, SiLU"), NORM(group_norm, 32, 12, 256, 32, "U-Net, SiLU"),
        NORM(group_norm, 32, 3, 512, 32, "U-Net, SiLU"), MODULATE(adagn, 32, 12, 128, 32, "U-Net, SiLU"),
        MODULATE(film, 32, 12, 128, 0, "U-Net, SiLU"),
        // attention
        ROWS(softmax, 3072, 256, "rival"), ROWS(softmax, 12288, 64, "GPT-2"),
        ATTENTION(1, 64, 64, 768, 12, true, "GPT-2"), ATTENTION(4, 64, 64, 768, 12, true, "GPT-2"),
        ATTENTION(1, 256, 256, 768, 12, true, "GPT-2"), ATTENTION(1, 1024, 1024, 768, 12, true, "GPT-2"),
        ATTENTION(32, 64, 64, 512, 8, false, "tokens"), ATTENTION(32, 144, 64, 128, 8, false, "pixels"),
        ATTENTION(8, 529, 64, 128, 8, false, "pixels"), ATTENTION(32, 9, 9, 512, 8, false, "U-Net"),
        {.op = OP_attention, .label = "1x1x1024 D768 heads 12 cached", .i = {12, true, 1024},
         .in = {SHAPE(1, 1, 768), SHAPE(1, 1024, 768), SHAPE(1, 1024, 768)}},
        // state spaces
        {.op = OP_selective_scan, .label = "144x16 C128 N16 MamNet",
         .in = {SHAPE(144, 16, 128), SHAPE(144, 16, 128), SHAPE(128, 16), SHAPE(144, 16, 16), SHAPE(144, 16, 16),
                SHAPE(128)}},
        // shape
        {.op = OP_embedding, .label = "256 of 50257x768 GPT-2", .in = {SHAPE(50257, 768), SHAPE(256)}, .i = {50257}},
        {.op = OP_concat, .label = "2 x 32x12x12 C128 U-Net", .i = {3},
         .in = {SHAPE(32, 12, 12, 128), SHAPE(32, 12, 12, 128)}},
        {.op = OP_slice, .label = "256x2304 -> 768 GPT-2", .in = {SHAPE(1, 256, 2304)}, .i = {2, 768, 768}},
        {.op = OP_permute, .label = "32x12x12 C20 loss", .in = {SHAPE(32, 12, 12, 20)}, .i = {0, 3, 1, 2}},
        PIXELS(pad2d, 32, 23, 64, "U-Net"), PIXELS(crop2d, 32, 24, 64, "U-Net"),
        {.op = OP_cache_put, .label = "1x1x768 into 1024 GPT-2", .i = {500},
         .in = {SHAPE(1, 1024, 768), SHAPE(1, 1, 768)}},
        // reductions, losses
        ROWS(sum, 1024, 1024, ""), ROWS(mean, 1024, 1024, ""), TWO(mse, 32, 12, 20, "loss"),
        {.op = OP_wmse, .label = "32x12x12 C20 loss", .in = {SHAPE(32, 12, 12, 20), SHAPE(32, 12, 12, 20), SHAPE(32)}},
        TWO(huber, 32, 12, 20, "loss"),
        {.op = OP_crps_pair, .label = "32x144 C20 loss",
         .in = {SHAPE(32, 144, 20), SHAPE(32, 144, 20), SHAPE(32, 144, 20)}},
        {.op = OP_cross_entropy, .label = "256x50257 GPT-2", .in = {SHAPE(256, 50257), SHAPE(256)}, .i = {50257}},
        // diffusion
        {.op = OP_timestep_embed, .label = "32 -> 128 U-Net", .in = {SHAPE(32)}, .i = {128}},
        {.op = OP_q_sample, .label = "32x12x12 C20", .in = {SHAPE(32, 12, 12, 20), SHAPE(32, 12, 12, 20), SHAPE(32)}},
        {.op = OP_convert, .label = "32x12x12 C20", .in = {SHAPE(32, 12, 12, 20), SHAPE(32, 12, 12, 20), SHAPE(32)}},
        {.op = OP_sampler_step, .label = "32x12x12 C20",
         .in = {SHAPE(32, 12, 12, 20), SHAPE(32, 12, 12, 20), SHAPE(32, 12, 12, 20)}},
        {.op = OP_randn, .label = "32x12x12 C20", .in = {SHAPE(32, 12, 12, 20)}},
        {.op = OP_randn, .label = "64x65536", .in = {SHAPE(64, 65536)}},
        {.op = OP_diffuse, .label = "32x12x12 C20", .in = {SHAPE(32, 12, 12, 20), SHAPE(32)}},
        {.op = OP_diffuse, .label = "64x65536", .in = {SHAPE(64, 65536), SHAPE(64)}},
        // optimiser
        ROWS(adamw, 16, 1048576, "16M parameters"), ROWS(adamw, 128, 128, "one matrix"),
        ROWS(sumsq, 16, 1048576, "16M parameters"),
    };
    *n = (int)(sizeof rows / sizeof *rows);
    return memcpy(arena_alloc(a, sizeof rows), rows, sizeof rows);
}

const BenchRow *bench_rows_gpu(Arena *a, int *n)
{
    const BenchRow rows[] = {
        MATMUL(4096, 4096, 4096), MATMUL(8192, 8192, 8192), LINEAR(16384, 768, 2304, "GPT-2 B16 T1024"),
        LINEAR(16384, 768, 3072, "GPT-2 B16 T1024"), LINEAR(16384, 3072, 768, "GPT-2 B16 T1024"),
        LINEAR_GELU(16384, 768, 3072, "GPT-2 B16 T1024"), LINEAR_ADD(16384, 3072, 768, "GPT-2 B16 T1024"),
        {.op = OP_matmul, .label = "4096x768x50257 NT lm-head", .in = {SHAPE(4096, 768), SHAPE(50257, 768)},
         .i = {false, true}},
        ATTENTION(16, 1024, 1024, 768, 12, true, "GPT-2"), ATTENTION(1, 4096, 4096, 768, 12, true, "GPT-2"),
        TWO(add, 32, 128, 128, "268 MB"), ROWS(gelu_tanh, 16384, 3072, "201 MB"), ROWS(softmax, 24576, 1024, "101 MB"),
        {.op = OP_layer_norm, .label = "32768x768 101 MB", .in = {SHAPE(32768, 768), SHAPE(768), SHAPE(768)}},
        NORM(group_norm, 32, 64, 256, 32, "134 MB, SiLU"), PIXELS(upsample2, 32, 48, 256, "75 MB"),
        {.op = OP_permute, .label = "32x128x128 C128 268 MB", .in = {SHAPE(32, 128, 128, 128)}, .i = {0, 3, 1, 2}},
        {.op = OP_cross_entropy, .label = "4096x50257 GPT-2", .in = {SHAPE(4096, 50257), SHAPE(4096)}, .i = {50257}},
        {.op = OP_randn, .label = "64x1048576", .in = {SHAPE(64, 1048576)}},
        ROWS(adamw, 124, 1048576, "124M parameters"), ROWS(sumsq, 124, 1048576, "124M parameters"),
    };
    *n = (int)(sizeof rows / sizeof *rows);
    return memcpy(arena_alloc(a, sizeof rows), rows, sizeof rows);
}

static void optimiser_call(Tape *t, const BenchRow *r, Tensor **in)
{
    AdamwParams *adamw = arena_alloc(t->step, sizeof *adamw);
    *adamw = (AdamwParams){.beta1 = 0.9, .beta2 = 0.999, .eps = 1e-8, .decay = 0.01, .decayed = INT64_MAX};
    Tensor *x[5] = {in[0]};   // without the average, as peers do it
    for (int k = 1; k < 4; k++) {
        x[k] = tape_zeros(t, in[0]->shape);
        memcpy(x[k]->x, in[0]->x, tensor_bytes(in[0]));
    }
    if (r->op == OP_adamw) {   // x, gradient, m, v in place; v must not be negative
        for (int64_t i = 0, n = numel(x[3]); i < n; i++) ((float *)x[3]->x)[i] *= ((float *)x[3]->x)[i];
        x[4] = tape_from_f32(t, SHAPE(4), (float[]){1e-4f, 1.5f, 100, 0});
        tape_run(t, OP_adamw, 5, x, 3, (Tensor *[]){x[0], x[2], x[3]}, adamw);
    } else tape_run(t, OP_sumsq, 1, x, 1, (Tensor *[]){tape_zeros(t, SHAPE(1))}, NULL);
}

void bench_call(Tape *t, const BenchRow *r, Tensor **in)
{
    Tensor *a = in[0], *b = in[1], *c = in[2], *d = in[3];
    const int *i = r->i;
    switch (r->op) {
    case OP_add: tape_add(t, a, b ? b : tape_zeros(t, SHAPE(shape_last(a->shape)))); break;
    case OP_mul: tape_mul(t, a, b); break;
    case OP_mul_rows: tape_mul_rows(t, a, b); break;
    case OP_scale: tape_scale(t, a, -1, 1); break;
    case OP_relu: tape_relu(t, a); break;
    case OP_silu: tape_silu(t, a); break;
    case OP_gelu_tanh: tape_gelu_tanh(t, a); break;
    case OP_gelu_erf: tape_gelu_erf(t, a); break;
    case OP_sigmoid: tape_sigmoid(t, a); break;
    case OP_tanh: tape_tanh(t, a); break;
    case OP_softplus: tape_softplus(t, a); break;
    case OP_clamp: tape_clamp(t, a, 6); break;
    case OP_dropout: tape_dropout(t, a, r->d); break;
    case OP_matmul: tape_matmul(t, a, b, i[0], i[1]); break;
    case OP_linear: tape_linear(t, a, b, NULL); break;
    case OP_linear_gelu: tape_linear_gelu(t, a, b, c); break;
    case OP_linear_silu: tape_linear_silu(t, a, b, c); break;
    case OP_linear_add: tape_linear_add(t, a, b, c, d); break;
    case OP_conv2d: tape_conv2d(t, a, b, NULL, i[0], i[1]); break;
    case OP_conv2d_multi: {   // inputs behind x: windows, no biases
        int n = 0;
        while (n + 1 < BENCH_MAX_IN && in[n + 1]) n++;
        tape_conv2d_multi(t, a, n, in + 1, (Tensor *[CONV_BRANCHES]){0});
        break;
    }
    case OP_dwconv1d: tape_dwconv1d(t, a, b, c); break;
    case OP_upsample2: tape_upsample2(t, a); break;
    case OP_avgpool2: tape_avgpool2(t, a); break;
    case OP_global_avgpool: tape_global_avgpool(t, a); break;
    case OP_global_maxpool: tape_global_maxpool(t, a); break;
    case OP_layer_norm: tape_layer_norm(t, a, b, c, 1e-5); break;
    case OP_group_norm: tape_group_norm(t, a, b, c, i[0], i[1]); break;
    case OP_adagn: tape_adagn(t, a, b, i[0], i[1]); break;
    case OP_film: tape_film(t, a, b, i[1]); break;
    case OP_softmax: tape_softmax(t, a); break;
    case OP_attention:
        if (i[2]) tape_attention_cached(t, a, b, c, i[0], i[2]);
        else tape_attention(t, a, b, c, i[0], i[1]);
        break;
    case OP_selective_scan: tape_selective_scan(t, a, b, c, d, in[4], in[5]); break;
    case OP_embedding: tape_embedding(t, a, b); break;
    case OP_concat: tape_concat(t, (Tensor *[]){a, b}, 2, i[0]); break;
    case OP_slice: tape_slice(t, a, i[0], i[1], i[2]); break;
    case OP_permute: tape_permute(t, a, i); break;
    case OP_pad2d: tape_pad2d(t, a, 0, 1, 0, 1); break;
    case OP_crop2d: tape_crop2d(t, a, 0, 1, 0, 1); break;
    case OP_cache_put: tape_cache_put(t, a, b, i[0]); break;
    case OP_sum: tape_sum(t, a); break;
    case OP_mean: tape_mean(t, a); break;
    case OP_mse: tape_mse(t, a, b); break;
    case OP_wmse: tape_wmse(t, a, b, c); break;
    case OP_huber: tape_huber(t, a, b, 1); break;
    case OP_crps_pair: tape_crps_pair(t, a, b, c, 1); break;
    case OP_cross_entropy: tape_cross_entropy(t, a, b); break;
    case OP_timestep_embed: tape_timestep_embed(t, a, i[0]); break;
    case OP_q_sample: tape_q_sample(t, a, b, c); break;
    case OP_convert: tape_convert(t, a, b, c, V_FROM_X0_EPS); break;
    case OP_sampler_step: tape_sampler_step(t, a, b, c, 0.5, 0.5, 0.1); break;
    case OP_randn: tape_randn(t, a->shape, (RandomAddress){.seed = 1, .site = SITE_TEST}, 0); break;
    case OP_diffuse: tape_diffuse(t, a, b, (RandomAddress){.seed = 1, .site = SITE_TEST}, DIFFUSE_V, NULL); break;
    case OP_adamw:
    case OP_sumsq: optimiser_call(t, r, in); break;
    default: CHECK(false, "bench_call: op %s has no line here", op_info(r->op)->name);
    }
}

BenchFill bench_fill(const BenchRow *r, int k, int *below)
{
    *below = r->i[0];
    if (k == 1 && (r->op == OP_embedding || r->op == OP_cross_entropy)) return FILL_INDEX;
    if (k == 1 && (r->op == OP_diffuse || r->op == OP_selective_scan)) return FILL_UNIT;
    if (k == 2 && (r->op == OP_q_sample || r->op == OP_convert || r->op == OP_wmse)) return FILL_UNIT;
    return r->op == OP_timestep_embed ? FILL_TIME : FILL_SIGNED;
}
