// Shape and Tensor.  Row-major, always contiguous, channels last: images [N,H,W,C], token sequences [N,T,C].
// Reshape is the only view; permute, slice and concat copy.  So no kernel has a stride case.
#ifndef LEAD_TENSOR_TENSOR_H
#define LEAD_TENSOR_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tensor/arena.h"
#include "tensor/status.h"

enum { MAX_DIMS = 6 };

typedef struct Shape {
    int n;                  // number of dimensions; 0 = a scalar
    int64_t d[MAX_DIMS];
} Shape;

// SHAPE(2, 3, 4): number of dimensions is counted from the arguments.
#define SHAPE(...) shape_make((int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__})

Shape shape_make(int n, const int64_t *d);
int64_t shape_numel(Shape s);
int64_t shape_last(Shape s);                       // last dimension, 1 for a scalar
int64_t shape_rows(Shape s);                       // product of all but the last
bool shape_equal(Shape a, Shape b);
const char *shape_text(Shape s, char buf[96]);     // "[2,3,4]", for messages; returns buf

// The type of a tensor's values: REAL is the device's floating type (float or double), I32 holds indices.
typedef enum DType { REAL = 0, I32 = 1 } DType;

// How the values lie: row after row, or, of a frozen matrix, as products read them (tensor/pack.h).
typedef enum Layout { LAYOUT_ROWS = 0, LAYOUT_PANELS = 1, LAYOUT_PANELS_BF16 = 2, LAYOUT_COLUMNS_BF16 = 3,
                       LAYOUT_NF4 = 4 } Layout;

struct Device;

typedef struct Tensor {
    Shape shape;
    void *x;                     // values
    void *g;                     // d loss / d x, or NULL: nobody needs it (then its product is never computed)
    const struct Device *dev;
    struct Tensor *view_of;      // a reshape shares x and g with this tensor; else NULL
    DType dtype;
    Layout layout;
    bool needs_grad;
    const char *name;            // for messages; may be NULL
} Tensor;

static inline int64_t numel(const Tensor *t) { return shape_numel(t->shape); }

// A tensor in arena a; values undefined.  needs_grad = false, g = NULL.
Tensor *tensor_new(Arena *a, const struct Device *dev, DType dtype, Shape shape, const char *name);
size_t tensor_bytes(const Tensor *t);              // that the values take as they lie

// Host values in and out, converting to and from the device's real type.  n must equal numel(t).
void tensor_set_f32(Tensor *t, const float *src, int64_t n);
void tensor_set_f64(Tensor *t, const double *src, int64_t n);
void tensor_set_i32(Tensor *t, const int32_t *src, int64_t n);
void tensor_get_f32(const Tensor *t, float *dst, int64_t n);
void tensor_get_f64(const Tensor *t, double *dst, int64_t n);
void tensor_get_grad_f64(const Tensor *t, double *dst, int64_t n);   // zeros when g is NULL
void tensor_fill(Tensor *t, double value);

#endif
