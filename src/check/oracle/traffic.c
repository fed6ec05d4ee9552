// Windows and features, derived another way: rows by looking at every row of the series, the calendar by walking slot
// by slot, seasons by stepping back period by period, asinh, tanh and sinh from log and exp.
#include <float.h>
#include <math.h>

#include "check/oracle.h"
#include "tensor/philox.h"
#include "tensor/traffic_ops.h"

static const int32_t *index_of(const OpCall *c, int i) { return c->in[i]->x; }
static uint32_t step_of(RandomAddress at, const OpCall *c, int i)
{
    return at.step + (c->in[i] ? (uint32_t)*index_of(c, i) : 0);
}

void draw_windows_oracle(const OpCall *c, long double *const *out)
{
    const RandomAddress at = ((const DrawWindowsParams *)c->p)->at;
    for (int64_t b = 0; b < numel(c->out[0]); b++) {
        const uint32_t draw = philox_u32(at.seed, philox_subsequence(at.site, step_of(at, c, 1)),
                                         at.offset + (uint64_t)b);
        const long double share = (long double)draw / 4294967296.0L;   // of [0,1)
        out[0][b] = index_of(c, 0)[(int64_t)floorl(share * (long double)numel(c->in[0]))];
    }
}

static int64_t find_row(const OpCall *c, int64_t t, int64_t offset)
{
    const int32_t *place = index_of(c, 1), *valid = index_of(c, 2);
    int64_t found = -1;
    for (int64_t r = 0; r < numel(c->in[1]); r++)
        if (place[r] - place[t] == offset && valid[r]) found = r;
    return found;
}

// From t back by whole periods from h until it is at most -margin.
static int64_t back_to(int64_t h, int64_t period, int64_t margin)
{
    while (h > -margin) h -= period;
    return h;
}

void window_rows_oracle(const OpCall *c, long double *const *out)
{
    const WindowParams *p = c->p;
    const int64_t W = c->out[0]->shape.d[1], K = p->steps, H = p->history, T = numel(c->in[1]);
    for (int64_t b = 0; b < numel(c->in[0]); b++) {
        const int64_t t = index_of(c, 0)[b], first_of_path = T + b * p->path;
        long double *row = out[0] + b * W;
        for (int64_t ahead = -H; ahead < W - K - H; ahead++) {      // slots after now
            const int64_t of_path = ahead + p->drawn - 1;
            const bool drawn = ahead <= 0 && of_path >= 0;
            row[ahead + H] = (long double)(drawn ? first_of_path + of_path : find_row(c, t, ahead + p->drawn));
        }
        if (row[0] == -1) row[0] = row[1];
        for (int64_t k = 1; k <= K; k++) {
            const int64_t day = find_row(c, t, back_to(p->drawn + k, p->per_day, 0));
            row[W - K + k - 1] = day < 0 ? row[H] : (long double)day;
            long double *e = out[1] + (b * K + k - 1) * 4;
            const int64_t at = back_to(k, p->per_day, 1);
            e[0] = (long double)find_row(c, t, at - 1);
            e[1] = (long double)find_row(c, t, at);
            e[2] = (long double)find_row(c, t, at + 1);
            e[3] = (long double)find_row(c, t, back_to(k, 7 * (int64_t)p->per_day, 0));
        }
    }
}

typedef struct Clock { int64_t slot, day; } Clock;

static Clock walk(Clock w, int64_t slots, int64_t per_day)
{
    for (; slots > 0; slots--)
        if (++w.slot == per_day) w = (Clock){0, (w.day + 1) % 7};
    for (; slots < 0; slots++)
        if (--w.slot < 0) w = (Clock){per_day - 1, (w.day + 6) % 7};
    return w;
}

void window_calendar_oracle(const OpCall *c, long double *const *out)
{
    const WindowParams *p = c->p;
    const int64_t H = p->history, M = H + p->steps;
    for (int64_t b = 0; b < numel(c->in[0]); b++) {
        const int32_t start = index_of(c, 1)[index_of(c, 0)[b]];
        const Clock now = walk((Clock){start % p->per_day, start / p->per_day}, p->drawn, p->per_day);
        for (int64_t i = 0; i < M; i++) {
            const Clock w = walk(now, i - (H - 1), p->per_day);
            out[2][b * M + i] = (long double)(p->slots == p->per_day ? w.slot : w.day * p->per_day + w.slot);
            if (i < H) out[0][b * H + i] = (long double)w.slot, out[1][b * H + i] = (long double)w.day;
        }
    }
}

void ridge_oracle(const OpCall *c, long double *const *out)
{
    const double *x = c->in[0]->x, *coef = c->in[1]->x;
    const int64_t K = c->in[1]->shape.d[2], F = c->in[0]->shape.d[1], W = c->in[2]->shape.d[1];
    const int H = ((const RidgeParams *)c->p)->history;
    for (int64_t i = 0; i < numel(c->out[0]); i++) {
        const int64_t f = i % F, k = i / F % K, b = i / F / K;
        const int32_t *season = index_of(c, 3) + (b * K + k) * 4, *row = index_of(c, 2) + b * W;
        const bool day = season[0] != -1 && season[1] != -1 && season[2] != -1, week = season[3] != -1;
        const int64_t fit = !day ? 2 : !week ? 1 : 0;
        const int64_t model = c->in[4] ? index_of(c, 4)[row[H]] : 0;
        const double *w = coef + model * 3 * K * F * 17 + fit * K * F * 17 + k * F * 17 + f * 17;
        long double sum = 0;
        for (int j = 3 - (int)fit; j >= 0 && fit < 2; j--) sum = fmal(w[12 + j], x[season[j] * F + f], sum);
        for (int l = 11; l >= 0; l--) sum = fmal(w[l], x[row[H - l] * F + f], sum);
        out[0][i] = fmaxl(0, sum + w[16]);
    }
}

// The line through the two knots around v, or through the last two.
static long double on_line(const double *from, const double *to, int64_t n, long double v)
{
    int64_t i = 1;
    while (i < n - 1 && v >= from[i]) i++;
    const long double share = (v - from[i - 1]) / ((long double)from[i] - from[i - 1]);
    return (1 - share) * to[i - 1] + share * to[i];
}

void traffic_scale_oracle(const OpCall *c, long double *const *out)
{
    const TrafficScaleParams *p = c->p;
    const double *flowmax = c->in[1]->x;
    for (int64_t i = 0; i < numel(c->in[0]); i++) {
        const long double x = ((const double *)c->in[0]->x)[i], base = 1 + (long double)p->max_kbps / p->c_kbps;
        const long double unit = p->kind == SCALE_MAX ? p->max_kbps : flowmax[i % numel(c->in[1])];
        long double y;
        if (p->kind == SCALE_LOG && p->inverse) y = p->c_kbps * (powl(base, x) - 1);
        else if (p->kind == SCALE_LOG) y = log2l(1 + x / p->c_kbps) / log2l(base);
        else if (p->kind == SCALE_QUANTILE && p->inverse) y = on_line(c->in[3]->x, c->in[2]->x, numel(c->in[2]), x);
        else if (p->kind == SCALE_QUANTILE) y = on_line(c->in[2]->x, c->in[3]->x, numel(c->in[2]), x);
        else y = p->inverse ? x * unit : x / unit;
        out[0][i] = !p->inverse ? y : x <= 0 ? 0 : y > FLT_MAX ? FLT_MAX : y;
    }
}

static long double log_asinh(long double x) { return x < 0 ? -log_asinh(-x) : logl(x + sqrtl(x * x + 1)); }
static long double exp_tanh(long double x) { return 1 - 2 / (expl(2 * x) + 1); }

void encode_image_oracle(const OpCall *c, long double *const *out)
{
    const EncodeParams *p = c->p;
    const double *u = c->in[0]->x, *means = c->in[1]->x;
    const int64_t W = c->in[0]->shape.d[1], F = c->in[0]->shape.d[2], M = c->in[1]->shape.d[1], C = p->channels;
    for (int64_t i = 0; i < numel(c->out[0]); i++) {
        const int64_t f = i / C % F, w = p->first + i / C / F % p->count, b = i / C / F / p->count;
        const long double now = u[(b * W + w) * F + f], before = u[(b * W + w - 1) * F + f];
        const long double mean = means[(b * M + w - 1) * F + f];
        const long double value[3] = {now + now - 1, exp_tanh(p->k_g * now - p->k_g * before),
                                      exp_tanh(p->k_b * now - p->k_b * mean)};
        out[0][i] = value[i % C];
    }
}

// Plane by plane over the image.
void context_planes_oracle(const OpCall *c, long double *const *out)
{
    const double *u = c->in[0]->x, *means = c->in[1]->x, *level = c->in[3]->x, *sigma = c->in[4]->x;
    const int64_t B = c->in[0]->shape.d[0], W = c->in[0]->shape.d[1], F = c->in[0]->shape.d[2];
    const int64_t K = c->in[4]->shape.d[0];
    const int64_t H = ((const FeatureParams *)c->p)->history, C = H + 3 * K;
    for (int64_t b = 0; b < B; b++)
        for (int64_t f = 0; f < F; f++) {
            const long double now = u[(b * W + H) * F + f];
            long double *y = out[0] + (b * F + f) * C;
            y[0] = log_asinh((now - level[f]) / level[F + f]);
            for (int64_t w = 1; w < H; w++) y[H - w] = log_asinh((u[(b * W + w) * F + f] - now) / sigma[f]);
            for (int64_t k = 0; k < K; k++) {
                const long double v[3] = {c->in[2] ? ((const double *)c->in[2]->x)[(b * K + k) * F + f] : now,
                                          u[(b * W + W - K + k) * F + f], means[(b * (H + K) + H + k) * F + f]};
                for (int j = 0; j < 3; j++) y[H + 3 * k + j] = log_asinh((v[j] - now) / sigma[k * F + f]);
            }
        }
}

// Each average from its definition: the weight of every value is the share kept by all values after it.
void ewma_oracle(const OpCall *c, long double *const *out)
{
    const EwmaParams *p = c->p;
    const double *x = c->in[0]->x;
    const int32_t *place = index_of(c, 1), *valid = index_of(c, 2);
    const int64_t T = c->in[0]->shape.d[0], F = c->in[0]->shape.d[1];
    for (int64_t t = 0; t < T; t++)
        for (int64_t f = 0; f < F; f++)
            for (int j = 0; j < p->n; j++) {
                long double sum = 0, kept = 1;
                int64_t later = -1;      // the value after row r, towards t
                for (int64_t r = t; r >= 0; r--) {
                    if (!valid[r] || (p->change && (r == 0 || !valid[r - 1] || place[r] != place[r - 1] + 1))) continue;
                    if (later >= 0) kept *= exp2l((long double)(place[r] - place[later]) / p->half_life[j]);
                    const long double x_r = x[r * F + f];
                    const long double v = p->change ? fabsl(x_r - x[(r - 1) * F + f]) : x_r;
                    // the share that this value takes when it comes: all of it for the first, known when r is the first
                    int64_t earlier = r - 1;
                    while (earlier >= 0 && (!valid[earlier] || (p->change && (earlier == 0 || !valid[earlier - 1] ||
                                                                place[earlier] != place[earlier - 1] + 1)))) earlier--;
                    const long double taken =
                        earlier < 0 ? 1 : -expm1l(logl(2) * (place[earlier] - place[r]) / (long double)p->half_life[j]);
                    sum += kept * taken * v;
                    later = r;
                }
                out[0][(t * F + f) * p->n + j] = sum;
            }
}

// The week before by looking at every row, the part of the week by walking slot by slot.
void window_season_oracle(const OpCall *c, long double *const *out)
{
    const WindowParams *p = c->p;
    const int32_t *at = index_of(c, 0), *place = index_of(c, 1), *valid = index_of(c, 2), *week_slot = index_of(c, 3);
    const int64_t B = numel(c->in[0]), T = numel(c->in[1]), K = p->steps, week = 7 * (int64_t)p->per_day;
    for (int64_t b = 0; b < B; b++) {
        int64_t slot = week_slot[at[b]];
        out[2][b] = (long double)slot;
        for (int64_t k = 1; k <= K; k++) {
            int64_t want = place[at[b]] + k, row = at[b];
            while (want > place[at[b]]) want -= week;
            for (int64_t r = 0; r < T; r++)
                if (place[r] == want && valid[r]) row = r;
            slot = slot + 1 == week ? 0 : slot + 1;
            int64_t day = 0, rest = slot;
            while (rest >= p->per_day) rest -= p->per_day, day++;
            out[0][b * K + k - 1] = (long double)row;
            out[1][b * K + k - 1] = (long double)(day > 4 ? p->per_day + rest : rest);
        }
    }
}

// Plane by plane from the last one to the first.
void flow_context_oracle(const OpCall *c, long double *const *out)
{
    const FlowContextParams *p = c->p;
    const double *u = c->in[0]->x, *v[4] = {c->in[1]->x, NULL, c->in[2]->x, c->in[3]->x}, *ewma = c->in[4]->x;
    const double *change = c->in[5]->x, *level = c->in[6]->x, *sigma = c->in[7]->x;
    const int64_t B = c->in[0]->shape.d[0], W = c->in[0]->shape.d[1], F = c->in[0]->shape.d[2], H = p->history;
    const int64_t K = c->in[7]->shape.d[0], n = c->in[4]->shape.d[2], m = c->in[5]->shape.d[2];
    const int64_t C = H + n + m + 6 + 4 * K;
    const long double turn = 8 * atanl(1), week = 7.0L * p->per_day;
    for (int64_t i = 0; i < B * F; i++) {
        const int64_t b = i / F, f = i % F;
        const long double now = u[(b * W + H) * F + f], unit = sigma[f], slot = index_of(c, 8)[b];
        long double *y = out[0] + i * C + C, lowest = now, highest = now;
        for (int64_t k = K - 1; k >= 0; k--)
            for (int j = 3; j >= 0; j--) {
                const double to = j == 1 ? u[(b * W + W - K + k) * F + f] : v[j][(b * K + k) * F + f];
                *--y = log_asinh((to - now) / sigma[k * F + f]);
            }
        *--y = cosl(turn * slot / week);
        *--y = sinl(turn * slot / week);
        *--y = cosl(turn * slot / p->per_day);      // whole days are whole turns
        *--y = sinl(turn * (slot / p->per_day - floorl(slot / p->per_day)));
        for (int64_t w = 1; w < H; w++) {
            lowest = fminl(lowest, u[(b * W + w) * F + f]);
            highest = fmaxl(highest, u[(b * W + w) * F + f]);
        }
        *--y = log_asinh((highest - now) / unit);
        *--y = logl((highest - lowest) / unit + 0.02L);
        for (int64_t j = m - 1; j >= 0; j--) *--y = logl(change[i * m + j] / unit + 0.02L);
        for (int64_t j = n - 1; j >= 0; j--) *--y = log_asinh((ewma[i * n + j] - now) / unit);
        for (int64_t w = 1; w < H; w++) *--y = log_asinh((u[(b * W + w) * F + f] - now) / unit);
        *--y = log_asinh((now - level[f]) / level[F + f]);
    }
}

void base_error_oracle(const OpCall *c, long double *const *out)
{
    const double *u = c->in[0]->x, *made = c->in[1]->x, *sigma = c->in[3]->x;
    const int64_t T = c->in[0]->shape.d[0], F = c->in[0]->shape.d[1];
    for (int64_t t = 0; t < T; t++)
        for (int64_t f = 0; f < F; f++) {
            const int32_t from = index_of(c, 2)[t];
            long double e = 0;
            if (from >= 0) e = fminl(30, fmaxl(-30, ((long double)u[t * F + f] - made[from * F + f]) / sigma[f]));
            out[0][t * 2 * F + f] = e;
            out[0][t * 2 * F + F + f] = fmaxl(e, -e);
        }
}

// Every flow is added to three sums.
void node_sums_oracle(const OpCall *c, long double *const *out)
{
    const double *x = c->in[0]->x;
    const int64_t V = c->out[0]->shape.d[1], N = (V - 1) / 2;
    for (int64_t i = 0; i < numel(c->out[0]); i++) out[0][i] = 0;
    for (int64_t i = numel(c->in[0]) - 1; i >= 0; i--) {
        long double *y = out[0] + i / (N * N) * V;
        y[i / N % N] += x[i];
        y[N + i % N] += x[i];
        y[V - 1] += x[i];
    }
}

// Value by value of the result.
void flow_news_oracle(const OpCall *c, long double *const *out)
{
    const double *v[4];
    for (int i = 0; i < 4; i++) v[i] = c->in[i]->x;   // error, now, before, mean
    const int64_t F = c->out[0]->shape.d[1], C = c->out[0]->shape.d[2], n = c->in[0]->shape.d[2], V = numel(c->in[4]);
    for (int64_t i = 0; i < numel(c->out[0]); i++) {
        const int64_t plane = i % C, f = i / C % F, b = i / C / F;
        if (plane < 2 * n) {
            const double e = v[0][((2 * b + plane / n) * F + f) * n + plane % n];
            out[0][i] = plane < n ? log_asinh(e) : logl(e + 0.05L);
            continue;
        }
        const int64_t which = (plane - 2 * n) / 2, N = (V - 1) / 2;
        const int64_t node = which == 0 ? f / N : which == 1 ? N + f % N : V - 1;
        const long double now = v[1][b * V + node], other = v[3 - (plane - 2 * n) % 2][b * V + node];
        const long double unit = ((const double *)c->in[4]->x)[node];
        out[0][i] = log_asinh(((plane - 2 * n) % 2 ? now - other : other - now) / unit);
    }
}

// Value i of input `in`, or `otherwise` where the input is absent.
static long double value_or(const OpCall *c, int in, int64_t i, long double otherwise)
{
    return c->in[in] ? ((const double *)c->in[in]->x)[i] : otherwise;
}

void residual_target_oracle(const OpCall *c, long double *const *out)
{
    const double *u = c->in[0]->x, *sigma = c->in[2]->x, *gamma = c->in[3]->x;
    const int64_t B = c->in[0]->shape.d[0], W = c->in[0]->shape.d[1], F = c->in[0]->shape.d[2];
    const int64_t K = c->in[2]->shape.d[0];
    const ResidualParams *p = c->p;
    const int64_t H = p->history;
    for (int64_t b = 0; b < B; b++)
        for (int64_t k = 0; k < K; k++)
            for (int64_t f = 0; f < F; f++) {
                const int64_t i = (b * F + f) * K + k;
                const double *base = c->in[1] ? (const double *)c->in[1]->x + (b * K + k) * F : u + (b * W + H) * F;
                const long double change = (long double)u[(b * W + H + 1 + k) * F + f] - base[f];
                const long double z = change / sigma[k * F + f], away = z - value_or(c, 4, i, 0);
                switch (p->kind) {
                case RESIDUAL_SHAPE:
                    out[0][i] = log_asinh(away / expl(value_or(c, 5, i, 0))) / gamma[k * F + f];
                    break;
                case RESIDUAL_UNITS: out[0][i] = fmaxl(-30, fminl(30, z)); break;
                case RESIDUAL_LOG_SIZE: out[0][i] = logl(0.1L + fmaxl(away, -away)); break;
                }
            }
}

void residual_decode_oracle(const OpCall *c, long double *const *out)
{
    const double *x = c->in[0]->x, *u = c->in[1]->x;
    const double *sigma = c->in[3]->x, *gamma = c->in[4]->x, *low = c->in[5]->x, *high = c->in[6]->x;
    const int64_t B = c->in[1]->shape.d[0], W = c->in[1]->shape.d[1], F = c->in[0]->shape.d[1];
    const int64_t K = c->in[0]->shape.d[2];
    const int64_t S = c->in[0]->shape.d[0] / B, H = ((const FeatureParams *)c->p)->history;
    for (int64_t b = 0; b < B; b++)
        for (int64_t s = 0; s < S; s++)
            for (int64_t f = 0; f < F; f++)
                for (int64_t k = 0; k < K; k++) {
                    const int64_t r = b * S + s, at = k * F + f;
                    const double *base = c->in[2] ? (const double *)c->in[2]->x + (b * K + k) * F : u + (b * W + H) * F;
                    const long double drawn = expl(gamma[at] * x[(r * F + f) * K + k]);
                    const long double z = value_or(c, 7, (b * F + f) * K + k, 0)
                                          + expl(value_or(c, 8, (b * F + f) * K + k, 0)) * (drawn - 1 / drawn) / 2;
                    const long double v = log_asinh(z) / gamma[at];
                    const long double e = expl(gamma[at] * fminl(high[at], fmaxl(low[at], v)));
                    out[0][(r * K + k) * F + f] = base[f] + sigma[at] * (e - 1 / e) / 2;
                }
}

void traffic_weight_oracle(const OpCall *c, long double *const *out)
{
    const double *u = c->in[0]->x;
    const Shape s = c->out[0]->shape;
    const int64_t F = s.d[1], K = s.d[2], C = s.d[3], W = c->in[0]->shape.d[1];
    const int64_t H = ((const FeatureParams *)c->p)->history;
    for (int64_t i = 0; i < numel(c->out[0]); i++) {
        const int64_t k = i / C % K, f = i / C / K % F, b = i / C / K / F;
        const double *next = u + (b * W + H + 1 + k) * F;
        long double total = 0;
        for (int64_t j = F - 1; j >= 0; j--) total += next[j];
        out[0][i] = total > 0 ? sqrtl((long double)F * next[f] / total) : 1;
    }
}
