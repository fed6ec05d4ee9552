// Loops that the families share: how a flat array, or an array of rows, is cut into pieces of work and vectors.
// Pieces depend on the shape alone, never on the number of threads; each writes its own outputs.

enum {
    RANGE = 4096,          // values in a piece of a flat array
    PAR_VALUES = 32768,    // below this many values the other threads stay asleep
};

// Values [i0,i1) of a flat op.
typedef void Range(const OpCall *c, int64_t i0, int64_t i1);

static inline void run_ranges(const OpCall *c, int64_t n, Range *body)
{
#pragma omp parallel for schedule(static) if (n > PAR_VALUES)
    for (int64_t i = 0; i < n; i += RANGE) body(c, i, min_i64(n, i + RANGE));
}

// sum[q] += sum_p part[p,q], q in [0,Q), p in order.
static inline void add_rows(float *sum, const float *part, int64_t P, int64_t Q)
{
    for (int64_t q = 0; q < Q; q += VW) {
        vf s = vzero();
        for (int64_t p = 0; p < P; p++) s = vadd(s, vload_n(part + p * Q + q, Q - q));
        vstore_n(sum + q, Q - q, vadd(vload_n(sum + q, Q - q), s));
    }
}

static inline void add_run(const float *x, float *y, int64_t n)   // y += x
{
    for (int64_t i = 0; i < n; i += VW) vstore_n(y + i, n - i, vadd(vload_n(y + i, n - i), vload_n(x + i, n - i)));
}
