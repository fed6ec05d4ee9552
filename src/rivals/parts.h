// What several rivals are made of.
#ifndef LEAD_RIVALS_PARTS_H
#define LEAD_RIVALS_PARTS_H

#include "nn/layers.h"
#include "rivals/rival.h"

// A parameter's prefix, "%s" names below the model's: part(n, "layer.%d", 3) is "gru.layer.3" of the rival gru.
const char *part_name(const RivalNet *n, const char *format, ...) __attribute__((format(printf, 2, 3)));
// linear_new, layernorm_new and a table of embeddings (normal, std 0.1; no weight decay) of such a prefix.
Linear part_linear(const RivalNet *n, const char *prefix, int64_t in, int64_t out);
Norm part_norm(const RivalNet *n, const char *prefix, int64_t width);
Tensor *part_table(const RivalNet *n, const char *prefix, int64_t rows, int64_t width);
// Room for a model's struct, in ps->perm, zeroed; n->part points to it.
void *part_new(RivalNet *n, size_t bytes);

// A matrix [rows,columns] that is no parameter: value(&n->size, i, j) at row i, column j; and a row [width] of one, as
// add and layer_norm take it.
typedef double PartValue(const RivalSizes *s, int64_t i, int64_t j);
Tensor *part_constant(const RivalNet *n, int64_t rows, int64_t columns, PartValue *value);
Tensor *part_row(const RivalNet *n, int64_t width, PartValue *value);
double part_zero(const RivalSizes *s, int64_t i, int64_t j);         // 0
double part_one(const RivalSizes *s, int64_t i, int64_t j);          // 1
double part_last(const RivalSizes *s, int64_t i, int64_t j);         // takes the last value of the history
double part_since_last(const RivalSizes *s, int64_t i, int64_t j);   // x minus that value

Tensor *part_sub(Tape *t, Tensor *a, Tensor *b);                     // a - b, shapes as tape_add's
Tensor *part_series(Tape *t, Tensor *x);                             // [B,T,F] -> [B,F,T]
// [B,C] -> [B,F,C], [F,C] -> [B,F,C], [B,T,C] -> [B,T,F,C]: the same for all flows, for all windows, for all flows.
Tensor *part_over_flows(Tape *t, Tensor *x, int64_t F);
Tensor *part_over_windows(Tape *t, Tensor *x, int64_t B);
Tensor *part_over_flows_in_time(Tape *t, Tensor *x, int64_t F);
// A step of an LSTM: g [..,4w] holds i, f, g, o before their sigmoid and tanh; c' = f c + i g, and c becomes c';
// -> o tanh(c').  c [..,w]
Tensor *part_lstm(Tape *t, Tensor *g, int64_t w, Tensor **c);

// Reversible instance normalisation (Kim et al. 2022) without its affine map: each series of a window by its own mean
// and spread over the T columns.  x [B,F,T] -> x' = (x - mean)/spread.  part_level_back: y [B,F,K] -> spread y + mean;
// target residual has no level to give back: spread y.
typedef struct PartLevel { Tensor *gamma, *beta, *mean, *to_mean, *sum; } PartLevel;
typedef struct PartLevelled { Tensor *x, *spread, *mean; } PartLevelled;   // [B,F,T], [B,F,1], [B,F,K]
PartLevel part_level_new(const RivalNet *n);
PartLevelled part_level(Tape *t, const PartLevel *l, Tensor *x);
Tensor *part_level_back(Tape *t, const RivalNet *n, const PartLevelled *l, Tensor *y);

// A layer of a transformer's encoder, norms after the sums: x = LN(x + attention(x)), LN(x + W2 act(W1 x)); act GELU
// or ReLU.  x [N,T,width]
typedef struct PartEncoder { Attention attention; Norm first, second; Linear in, out; bool relu; } PartEncoder;
PartEncoder part_encoder_new(const RivalNet *n, const char *prefix, int64_t width, int heads, int64_t inner, bool relu);
Tensor *part_encoder(Tape *t, const PartEncoder *e, Tensor *x, double dropout);

#endif
