// Whole models as rows of a benchmark: GPT-2 124M with random weights, LEAD's U-Net, training step, forecast and
// samples.  One round of a row is its unit of work; bench_models.c times rounds on the CPU beside PyTorch, gpu.c on a
// GPU.
#ifndef LEAD_BENCH_MODELS_H
#define LEAD_BENCH_MODELS_H

#include "bench/session.h"
#include "llm/adapter.h"
#include "llm/train.h"

typedef struct World {
    Device dev;
    Arena *perm, *step, *scratch;
    ParamSet ps;
    Tape tape;
    Optim optim;
    Gpt2 *gpt2;
    AdapterSet *adapters;
    Gpt2Cache *cache;
    size_t mark;               // perm, before each round
    int64_t B, T;
    int32_t *token;
    const char *dir;           // of weights on disk
    Session session;
    Repeated lead_step;        // recorded where the device can, as a user's steps, samples and micro-batches are
    LeadSampling sampling;
    Gpt2Recorded gpt2_step;
} World;

typedef struct ModelRow {
    const char *name, *label;
    int64_t B, T;              // tokens of GPT-2; samples and network calls of lead_sample
    const char *config;        // preset of LEAD
    void (*open)(World *w, const char *config);
    void (*round)(World *w);
    double per_second;         // of one round: tokens, samples; 0: not said
    const char *what;
} ModelRow;

// The rows of the CPU's table, and those of the GPU's.
const ModelRow *model_rows(int *n);
const ModelRow *model_rows_gpu(int *n);

// dev is copied; config NULL: the row's own.  An error of files or memory ends the program with a message.
World *world_open(const ModelRow *r, const char *config, const Device *dev);
void world_close(World *w);

#endif
