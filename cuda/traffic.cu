// Windows of a traffic series and their features (E1, E2, E7, E9): draw_windows, window_rows, window_calendar, ridge,
// traffic_scale, encode_image, context_planes, ewma, window_season, flow_context, base_error, node_sums, flow_news,
// residual_target, residual_decode, traffic_weight.
// A batch of 32 windows of 144 flows is 10^4 .. 10^6 values, read from L2: one thread a value, the launch is most of
// the time.  Nothing here depends on values that the host has: the training step is recorded once (tensor/graph.h).
#include "kernel.h"
#include "tensor/philox.h"
#include "tensor/traffic_ops.h"

#define SCALE_FN static __device__ __forceinline__
#define SCALE_REAL float
#include "tensor/ref/scale.h"

static inline int32_t *out_i32(const OpCall *c, int j) { return static_cast<int32_t *>(c->out[j]->x); }

// ---- integers

static __global__ void draw_windows_kernel(RandomAddress at, const uint32_t *clock, const int32_t *list, int64_t n,
                                           int64_t B, int32_t *y)
{
    const int64_t b = (int64_t)blockIdx.x * MAP_BLOCK + threadIdx.x;
    if (b >= B) return;
    const uint64_t sub = philox_subsequence(at.site, at.step + clock_value(clock));
    y[b] = list[philox_u32(at.seed, sub, at.offset + (uint64_t)b) * (uint64_t)n >> 32];
}

CUDA_KERNEL(draw_windows, fwd)
{
    const int64_t B = numel(c->out[0]);
    launch(c, draw_windows_kernel, grid_of(B, MAP_BLOCK), MAP_BLOCK, 0, params<DrawWindowsParams>(c)->at,
           clock_of(c, 1), in_i32(c, 0), numel(c->in[0]), B, out_i32(c, 0));
}

struct Series { const int32_t *place, *valid; int64_t T; };

// As in ref/window_rows.inl: the valid row `offset` slots after row t, or -1.
static __device__ int32_t row_at(const Series &s, int64_t t, int64_t offset)
{
    const int64_t want = s.place[t] + offset;
    int64_t low = 0, high = s.T - 1;
    while (low < high) {
        const int64_t mid = (low + high) / 2;
        if (s.place[mid] < want) low = mid + 1;
        else high = mid;
    }
    return s.place[low] == want && s.valid[low] ? (int32_t)low : -1;
}

static __device__ __forceinline__ int64_t season_offset(int64_t h, int64_t period, int64_t margin)
{
    return h - (h + margin + period - 1) / period * period;
}

// A thread finds one row: column j of rows, or, after them, one of the 4 K of season.
static __global__ void window_rows_kernel(WindowParams p, Series s, const int32_t *at, int64_t B, int64_t W,
                                          int32_t *rows, int32_t *season)
{
    const int64_t H = p.history, K = p.steps, n = p.drawn, each = W + RIDGE_SEASON * K;
    const int64_t i = (int64_t)blockIdx.x * MAP_BLOCK + threadIdx.x, b = quotient(i, each), j = i - b * each;
    if (b >= B) return;
    const int64_t t = at[b], path = s.T + b * p.path;
    const auto column = [&](int64_t w) {
        const int64_t offset = n + w - H;
        return offset > 0 && offset <= n ? (int32_t)(path + offset - 1) : row_at(s, t, offset);
    };
    if (j < W) {
        const bool day = j >= W - K;
        int32_t row = day ? row_at(s, t, season_offset(n + j - (W - K) + 1, p.per_day, 0)) : column(j);
        if (row < 0 && (day || j == 0)) row = column(day ? H : 1);
        rows[b * W + j] = row;
    } else {
        const int64_t e = j - W, k = e / RIDGE_SEASON + 1, which = e % RIDGE_SEASON;
        const int64_t week = season_offset(k, 7 * (int64_t)p.per_day, 0);
        const int64_t offset = which < 3 ? season_offset(k, p.per_day, 1) + which - 1 : week;
        season[b * RIDGE_SEASON * K + e] = row_at(s, t, offset);
    }
}

CUDA_KERNEL(window_rows, fwd)
{
    const WindowParams *p = params<WindowParams>(c);
    const int64_t B = numel(c->in[0]), W = c->out[0]->shape.d[1];
    const Series s = {in_i32(c, 1), in_i32(c, 2), numel(c->in[1])};
    launch(c, window_rows_kernel, grid_of(B * (W + RIDGE_SEASON * p->steps), MAP_BLOCK), MAP_BLOCK, 0, *p, s,
           in_i32(c, 0), B, W, out_i32(c, 0), out_i32(c, 1));
}

static __global__ void window_calendar_kernel(WindowParams p, const int32_t *at, const int32_t *week_slot, int64_t B,
                                              int32_t *slot, int32_t *day, int32_t *mean)
{
    const int64_t H = p.history, M = H + p.steps, week = 7 * (int64_t)p.per_day;
    const int64_t i = (int64_t)blockIdx.x * MAP_BLOCK + threadIdx.x, b = quotient(i, M), j = i - b * M;
    if (b >= B) return;
    const int64_t later = week_slot[at[b]] + p.drawn + j + 1 - H, w = (later % week + week) % week;
    mean[i] = (int32_t)(w % p.slots);
    if (j >= H) return;
    slot[b * H + j] = (int32_t)(w % p.per_day);
    day[b * H + j] = (int32_t)(w / p.per_day);
}

CUDA_KERNEL(window_calendar, fwd)
{
    const WindowParams *p = params<WindowParams>(c);
    const int64_t B = numel(c->in[0]);
    launch(c, window_calendar_kernel, grid_of(numel(c->out[2]), MAP_BLOCK), MAP_BLOCK, 0, *p, in_i32(c, 0),
           in_i32(c, 1), B, out_i32(c, 0), out_i32(c, 1), out_i32(c, 2));
}

// ---- values: one a thread

template <class F> static __global__ void each_kernel(int64_t n, float *y, F f)
{
    const int64_t i = (int64_t)blockIdx.x * MAP_BLOCK + threadIdx.x;
    if (i < n) y[i] = f(i);
}

template <class F> static void each(const OpCall *c, F f)
{
    const int64_t n = numel(c->out[0]);
    auto *kernel = each_kernel<F>;
    launch(c, kernel, grid_of(n, MAP_BLOCK), MAP_BLOCK, 0, n, out_x(c, 0), f);
}

struct Ridge {   // neighbouring threads read neighbouring flows of x; their 17 coefficients lie one after another
    const float *x, *coef;
    const int32_t *rows, *season, *model;
    int64_t K, F, W, H;
    __device__ float operator()(int64_t i) const
    {
        const int64_t bk = quotient(i, F), f = i - bk * F, b = quotient(bk, K), k = bk - b * K;
        const int32_t *e = season + bk * RIDGE_SEASON, *now = rows + b * W + H;
        const bool day = e[0] >= 0 && e[1] >= 0 && e[2] >= 0;
        const int fit = day && e[3] >= 0 ? 0 : day ? 1 : 2, inputs = fit == 0 ? 4 : fit == 1 ? 3 : 0;
        const int64_t first = (model ? model[*now] : 0) * RIDGE_FITS + fit;
        const float *w = coef + ((first * K + k) * F + f) * RIDGE_INPUTS;
        double v = w[RIDGE_INPUTS - 1];
        for (int l = 0; l < RIDGE_LAGS; l++) v += (double)w[l] * (double)x[now[-l] * F + f];
        for (int j = 0; j < inputs; j++) v += (double)w[RIDGE_LAGS + j] * (double)x[e[j] * F + f];
        return v > 0 ? (float)v : 0.0f;
    }
};

CUDA_KERNEL(ridge, fwd)
{
    const Shape coef = c->in[1]->shape;
    each(c, Ridge{in_x(c, 0), in_x(c, 1), in_i32(c, 2), in_i32(c, 3),
                  c->in[4] ? in_i32(c, 4) : nullptr, coef.d[2], coef.d[3], c->in[2]->shape.d[1],
                  params<RidgeParams>(c)->history});
}

struct Scaled {
    TrafficScaleParams p;
    const float *x, *flowmax, *kbps, *s;
    int64_t F, knots;
    __device__ float operator()(int64_t i) const
    {
        const double max = flowmax[remainder_of(i, F)], v = x[i];
        return (float)(p.inverse ? scale_from(&p, max, kbps, s, knots, v) : scale_to(&p, max, kbps, s, knots, v));
    }
};

CUDA_KERNEL(traffic_scale, fwd)
{
    each(c, Scaled{*params<TrafficScaleParams>(c), in_x(c, 0), in_x(c, 1), in_x(c, 2), in_x(c, 3), numel(c->in[1]),
                   c->in[2] ? numel(c->in[2]) : 0});
}

struct Image {
    const float *u, *means;
    float k_g, k_b;
    int64_t first, count, C, W, F, M;
    __device__ float operator()(int64_t i) const
    {
        const int64_t pixel = quotient(i, C), channel = i - pixel * C;
        const int64_t image = quotient(pixel, F), f = pixel - image * F;
        const int64_t b = quotient(image, count), w = first + image - b * count;
        const float *now = u + (b * W + w) * F + f;
        if (channel == 0) return 2 * now[0] - 1;
        if (channel == 1) return tanhf(k_g * (now[0] - now[-F]));
        return tanhf(k_b * (now[0] - means[(b * M + w - 1) * F + f]));
    }
};

CUDA_KERNEL(encode_image, fwd)
{
    const EncodeParams *p = params<EncodeParams>(c);
    const Shape u = c->in[0]->shape;
    each(c, Image{in_x(c, 0), in_x(c, 1), (float)p->k_g, (float)p->k_b, p->first, p->count, p->channels, u.d[1], u.d[2],
                  c->in[1]->shape.d[1]});
}

struct Context {
    const float *u, *means, *base, *level, *sigma;
    int64_t W, F, H, K;
    __device__ float operator()(int64_t i) const
    {
        const int64_t C = H + 3 * K, pixel = quotient(i, C), plane = i - pixel * C;
        const int64_t b = quotient(pixel, F), f = pixel - b * F;
        const float *column = u + b * W * F + f, now = column[H * F];
        if (plane == 0) return asinhf((now - level[f]) / level[F + f]);
        if (plane < H) return asinhf((column[(H - plane) * F] - now) / sigma[f]);
        const int64_t k = (plane - H) / 3, which = (plane - H) % 3;
        const float v = which == 1 ? column[(W - K + k) * F] : which == 2 ? means[(b * (H + K) + H + k) * F + f]
                        : base ? base[(b * K + k) * F + f] : now;
        return asinhf((v - now) / sigma[k * F + f]);
    }
};

CUDA_KERNEL(context_planes, fwd)
{
    const Shape u = c->in[0]->shape;
    each(c, Context{in_x(c, 0), in_x(c, 1), in_x(c, 2), in_x(c, 3), in_x(c, 4), u.d[1], u.d[2],
                    params<FeatureParams>(c)->history, c->in[4]->shape.d[0]});
}

// One thread a flow and half-life goes through time: the rows depend on each other.
static __global__ void ewma_kernel(EwmaParams p, const float *x, const int32_t *place, const int32_t *valid, int64_t T,
                                   int64_t F, float *y)
{
    const int64_t i = (int64_t)blockIdx.x * MAP_BLOCK + threadIdx.x;
    if (i >= F * p.n) return;
    const int64_t f = i / p.n, j = i - f * p.n;
    int64_t last = -1;
    float average = 0;
    for (int64_t t = 0; t < T; t++) {
        const bool pair = t > 0 && valid[t - 1] && place[t] - place[t - 1] == 1;
        if (valid[t] && (pair || !p.change)) {
            const double kept = last >= 0 ? exp2(-(place[t] - place[last]) / p.half_life[j]) : 0;
            const float v = p.change ? fabsf(x[t * F + f] - x[(t - 1) * F + f]) : x[t * F + f];
            average += (float)(1 - kept) * (v - average);
            last = t;
        }
        y[t * F * p.n + i] = average;
    }
}

CUDA_KERNEL(ewma, fwd)
{
    const int64_t T = c->in[0]->shape.d[0], F = c->in[0]->shape.d[1];
    const EwmaParams p = *params<EwmaParams>(c);
    launch(c, ewma_kernel, grid_of(F * p.n, MAP_BLOCK), MAP_BLOCK, 0, p, in_x(c, 0), in_i32(c, 1), in_i32(c, 2), T, F,
           out_x(c, 0));
}

static __global__ void window_season_kernel(WindowParams p, const int32_t *at, Series s, const int32_t *week_slot,
                                            int64_t B, int32_t *week, int32_t *part, int32_t *now)
{
    const int64_t i = (int64_t)blockIdx.x * MAP_BLOCK + threadIdx.x, K = p.steps, W = 7 * (int64_t)p.per_day;
    if (i >= B * K) return;
    const int64_t b = i / K, k = i - b * K + 1, t = at[b], slot = (week_slot[t] + k) % W;
    const int32_t row = row_at(s, t, k - (k + W - 1) / W * W);
    week[i] = row < 0 ? (int32_t)t : row;
    part[i] = (int32_t)(slot / p.per_day < 5 ? slot % p.per_day : p.per_day + slot % p.per_day);
    if (k == 1) now[b] = week_slot[t];
}

CUDA_KERNEL(window_season, fwd)
{
    const WindowParams p = *params<WindowParams>(c);
    const int64_t B = numel(c->in[0]);
    launch(c, window_season_kernel, grid_of(B * p.steps, MAP_BLOCK), MAP_BLOCK, 0, p, in_i32(c, 0),
           Series{in_i32(c, 1), in_i32(c, 2), numel(c->in[1])}, in_i32(c, 3), B, out_i32(c, 0), out_i32(c, 1),
           out_i32(c, 2));
}

struct FlowPlanes {
    const float *u, *v[4], *ewma, *change, *level, *sigma;      // v: base, none, week, part
    const int32_t *now;
    int64_t W, F, H, K, n, m, C, per_day;
    __device__ float operator()(int64_t i) const
    {
        const int64_t pixel = quotient(i, C), b = quotient(pixel, F), f = pixel - b * F;
        int64_t plane = i - pixel * C;
        const float *column = u + b * W * F + f, here = column[H * F], unit = sigma[f];
        if (plane == 0) return asinhf((here - level[f]) / level[F + f]);
        if (plane < H) return asinhf((column[(H - plane) * F] - here) / unit);
        plane -= H;
        if (plane < n) return asinhf((ewma[pixel * n + plane] - here) / unit);
        plane -= n;
        if (plane < m) return logf(change[pixel * m + plane] / unit + 0.02f);
        plane -= m;
        if (plane < 2) {
            float most = here, least = here;
            for (int64_t w = 1; w < H; w++) {
                most = fmaxf(most, column[w * F]);
                least = fminf(least, column[w * F]);
            }
            return plane == 0 ? logf((most - least) / unit + 0.02f) : asinhf((most - here) / unit);
        }
        plane -= 2;
        if (plane < 4) {
            const float turn = 6.283185307179586f;
            const float angle = plane < 2 ? turn * (float)(now[b] % per_day) / (float)per_day
                                          : turn * (float)now[b] / (float)(7 * per_day);
            return plane % 2 ? cosf(angle) : sinf(angle);
        }
        const int64_t k = (plane - 4) / 4, j = (plane - 4) % 4;
        const float to = j == 1 ? column[(W - K + k) * F] : v[j][(b * K + k) * F + f];
        return asinhf((to - here) / sigma[k * F + f]);
    }
};

CUDA_KERNEL(flow_context, fwd)
{
    const FlowContextParams *p = params<FlowContextParams>(c);
    const Shape u = c->in[0]->shape;
    each(c, FlowPlanes{in_x(c, 0), {in_x(c, 1), nullptr, in_x(c, 2), in_x(c, 3)}, in_x(c, 4), in_x(c, 5), in_x(c, 6),
                       in_x(c, 7), in_i32(c, 8), u.d[1], u.d[2], p->history, c->in[7]->shape.d[0],
                       c->in[4]->shape.d[2], c->in[5]->shape.d[2], c->out[0]->shape.d[2], p->per_day});
}

struct BaseError {
    const float *u, *made, *sigma;
    const int32_t *origin;
    int64_t F;
    __device__ float operator()(int64_t i) const
    {
        const int64_t half = quotient(i, F), f = i - half * F, t = half / 2, from = origin[t];
        const float e = from < 0 ? 0.0f : (u[t * F + f] - made[from * F + f]) / sigma[f];
        const float held = e < -30.0f ? -30.0f : e > 30.0f ? 30.0f : e;
        return half % 2 ? fabsf(held) : held;
    }
};

CUDA_KERNEL(base_error, fwd)
{
    each(c, BaseError{in_x(c, 0), in_x(c, 1), in_x(c, 3), in_i32(c, 2), c->in[0]->shape.d[1]});
}

struct NodeSum {
    const float *x;
    int64_t N, V;
    __device__ float operator()(int64_t i) const
    {
        const int64_t t = quotient(i, V), v = i - t * V, F = N * N;
        const float *row = x + t * F;
        double sum = 0;
        if (v == 2 * N)
            for (int64_t f = 0; f < F; f++) sum += row[f];
        else
            for (int64_t m = 0; m < N; m++) sum += v < N ? row[v * N + m] : row[m * N + v - N];
        return (float)sum;
    }
};

CUDA_KERNEL(node_sums, fwd)
{
    const int64_t V = c->out[0]->shape.d[1];
    each(c, NodeSum{in_x(c, 0), (V - 1) / 2, V});
}

struct FlowNews {
    const float *error, *now, *before, *mean, *unit;
    int64_t F, C, n, V;
    __device__ float operator()(int64_t i) const
    {
        const int64_t pixel = quotient(i, C), plane = i - pixel * C, b = quotient(pixel, F), f = pixel - b * F;
        if (plane < n) return asinhf(error[(2 * b * F + f) * n + plane]);
        if (plane < 2 * n) return logf(error[((2 * b + 1) * F + f) * n + plane - n] + 0.05f);
        const int64_t k = (plane - 2 * n) / 2, N = V / 2;
        const int64_t node = k == 0 ? quotient(f, N) : k == 1 ? N + f - quotient(f, N) * N : 2 * N, v = b * V + node;
        const float change = (plane - 2 * n) % 2 ? now[v] - before[v] : mean[v] - now[v];
        return asinhf(change / unit[node]);
    }
};

CUDA_KERNEL(flow_news, fwd)
{
    const Shape y = c->out[0]->shape;
    each(c, FlowNews{in_x(c, 0), in_x(c, 1), in_x(c, 2), in_x(c, 3), in_x(c, 4), y.d[1], y.d[2],
                     c->in[0]->shape.d[2], numel(c->in[4])});
}

struct Residual {
    const float *u, *base, *sigma, *gamma, *location, *log_scale;
    int64_t W, F, H, K;
    ResidualKind kind;
    __device__ float operator()(int64_t i) const
    {
        const int64_t pixel = quotient(i, K), k = i - pixel * K;
        const int64_t b = quotient(pixel, F), f = pixel - b * F, kf = k * F + f;
        const float *column = u + b * W * F + f, from = base ? base[b * K * F + kf] : column[H * F];
        const float z = (column[(H + 1 + k) * F] - from) / sigma[kf], at = location ? z - location[i] : z;
        if (kind == RESIDUAL_UNITS) return z < -30.0f ? -30.0f : z > 30.0f ? 30.0f : z;
        if (kind == RESIDUAL_LOG_SIZE) return logf(fabsf(at) + 0.1f);
        return asinhf(log_scale ? at * expf(-log_scale[i]) : at) / gamma[kf];
    }
};

CUDA_KERNEL(residual_target, fwd)
{
    const Shape u = c->in[0]->shape;
    const ResidualParams *p = params<ResidualParams>(c);
    each(c, Residual{in_x(c, 0), in_x(c, 1), in_x(c, 2), in_x(c, 3), in_x(c, 4), in_x(c, 5), u.d[1], u.d[2], p->history,
                     c->in[2]->shape.d[0], p->kind});
}

struct Decoded {
    const float *x, *u, *base, *sigma, *gamma, *low, *high, *location, *log_scale;
    int64_t R, F, K, B, W, H;
    __device__ float operator()(int64_t i) const
    {
        const int64_t rk = quotient(i, F), f = i - rk * F, r = quotient(rk, K), k = rk - r * K;
        const int64_t b = quotient(r * B, R), kf = k * F + f, at = (b * F + f) * K + k;
        const float from = base ? base[b * K * F + kf] : u[(b * W + H) * F + f];
        float v = x[(r * F + f) * K + k];
        if (location || log_scale) {
            const float z = sinhf(gamma[kf] * v) * (log_scale ? expf(log_scale[at]) : 1.0f);
            v = asinhf(location ? location[at] + z : z) / gamma[kf];
        }
        const float inside = v < low[kf] ? low[kf] : v > high[kf] ? high[kf] : v;
        return from + sigma[kf] * sinhf(gamma[kf] * inside);
    }
};

struct DecodedSlope {   // of Decoded by x, where v lies within its range
    const float *x, *sigma, *gamma, *low, *high, *location, *log_scale, *dy;
    int64_t R, F, K, B;
    template <int W> __device__ Pack<W> at(int64_t i) const
    {
        Pack<W> g;
#pragma unroll
        for (int w = 0; w < W; w++) g.v[w] = one(i + w);
        return g;
    }
    __device__ float one(int64_t i) const
    {
        const int64_t rf = quotient(i, K), k = i - rf * K, r = quotient(rf, F), f = rf - r * F;
        const int64_t b = quotient(r * B, R), kf = k * F + f, at = (b * F + f) * K + k;
        const float stretch = log_scale ? expf(log_scale[at]) : 1.0f;
        float v = x[i];
        if (location || log_scale) {
            const float moved = sinhf(gamma[kf] * v) * stretch;
            v = asinhf(location ? location[at] + moved : moved) / gamma[kf];
        }
        if (v < low[kf] || v > high[kf]) return 0.0f;
        return dy[(r * K + k) * F + f] * sigma[kf] * gamma[kf] * stretch * coshf(gamma[kf] * x[i]);
    }
};

CUDA_KERNEL(residual_decode, fwd)
{
    const Shape x = c->in[0]->shape, u = c->in[1]->shape;
    each(c, Decoded{in_x(c, 0), in_x(c, 1), in_x(c, 2), in_x(c, 3), in_x(c, 4), in_x(c, 5), in_x(c, 6), in_x(c, 7),
                    in_x(c, 8), x.d[0], x.d[1], x.d[2], u.d[0], u.d[1], params<FeatureParams>(c)->history});
}

CUDA_KERNEL(residual_decode, bwd)
{
    const Shape x = c->in[0]->shape;
    if (!in_g(c, 0)) return;
    const DecodedSlope f = {in_x(c, 0), in_x(c, 3), in_x(c, 4), in_x(c, 5), in_x(c, 6), in_x(c, 7), in_x(c, 8),
                            out_g(c, 0), x.d[0], x.d[1], x.d[2], c->in[1]->shape.d[0]};
    map<true>(c, numel(c->in[0]), in_g(c, 0), f, false);
}

struct FlowMean {   // of the next matrices, for sum_rows
    const float *u;
    float *mean;
    int64_t W, F, H, K;
    __device__ double operator()(int64_t p, int64_t f) const
    {
        const int64_t b = quotient(p, K);
        return u[(b * W + H + 1 + p - b * K) * F + f];
    }
    __device__ void put(int64_t p, double sum) const { mean[p] = (float)(sum / (double)F); }
};

struct Share {
    const float *u, *mean;
    int64_t W, F, H, K, C;
    __device__ float operator()(int64_t i) const
    {
        const int64_t at = quotient(i, C), pixel = quotient(at, K), k = at - pixel * K;
        const int64_t b = quotient(pixel, F), f = pixel - b * F;
        const float m = mean[b * K + k];
        return m > 0 ? sqrtf(u[(b * W + H + 1 + k) * F + f] / m) : 1.0f;
    }
};

CUDA_KERNEL(traffic_weight, fwd)
{
    const Shape s = c->out[0]->shape;
    const int64_t B = s.d[0], F = s.d[1], K = s.d[2], W = c->in[0]->shape.d[1], H = params<FeatureParams>(c)->history;
    float *mean = scratch_of<float>(c, (size_t)(B * K));
    sum_rows(c, B * K, F, FlowMean{in_x(c, 0), mean, W, F, H, K});
    each(c, Share{in_x(c, 0), mean, W, F, H, K, s.d[3]});
}
