// Forward passes of the rivals, one or more of each family, derived a second time by plain loops in f64 from the
// equations at the heads of src/rivals: DLinear and STID, GRU and CfC, ConvLSTM, iTransformer, Graph WaveNet with
// virtual nodes (and so without), NetLLM around its GPT-2.  The inputs of a batch too.
#include <math.h>

#include "rivals_world.h"

enum { T = RL + RK, ROWS = RB * RF };

static double *zeros(RivalWorld *x, int64_t n) { return arena_zalloc(x->w->perm, (size_t)n * sizeof(double)); }

// The values of the parameter "<model>.<name>".
static const double *value(RivalWorld *x, const char *name)
{
    const Param *p = param_find(&x->w->ps, arena_printf(x->w->perm, "%s.%s", x->m->rival->name, name));
    CHECK(p, "no parameter %s", name);
    return p->t.x;
}

// y [out] = x [in] W + b of the layer
static void line(RivalWorld *x, const char *layer, const double *in, int64_t n_in, int64_t n_out, double *y)
{
    const double *w = value(x, arena_printf(x->w->perm, "%s.weight", layer));
    const double *b = value(x, arena_printf(x->w->perm, "%s.bias", layer));
    for (int64_t j = 0; j < n_out; j++) {
        y[j] = b[j];
        for (int64_t i = 0; i < n_in; i++) y[j] += in[i] * w[i * n_out + j];
    }
}

static double sigmoid(double v) { return 1 / (1 + exp(-v)); }

// x of window b, column i, flow f.
static double input(const RivalWorld *x, int b, int i, int f)
{
    return ((const double *)x->b.rival.x->x)[(b * T + i) * RF + f];
}

static void series(const RivalWorld *x, int b, int f, double v[T])
{
    for (int i = 0; i < T; i++) v[i] = input(x, b, i, f);
}

// want [B,F,K]
static void compare(TestLog *log, RivalWorld *x, const double *want)
{
    x->keep.record = x->keep.training = false;
    const Tensor *y = lead_rival_output(&x->keep, x->m, &x->b);
    const double error = max_error(y, want, ROWS * RK, x->w->scratch);
    double largest = 0;
    for (int i = 0; i < ROWS * RK; i++) largest = fmax(largest, fabs(want[i]));
    TEST(log, shape_equal(y->shape, SHAPE(RB, RF, RK)) && largest > 0.01 && error < 1e-9 * (1 + largest),
         "%s: the forecast is off by %.2g (largest %.2g)", x->m->rival->name, error, largest);
}

// ---- inputs

static void inputs(TestLog *log)
{
    static const int64_t at[RB] = {47, 83};
    RivalWorld *x = rival_world(log, "dlinear", RIVAL_RESIDUAL, false);
    const double *got = x->b.rival.x->x;
    const int32_t *slot = x->b.rival.slot->x, *day = x->b.rival.day->x, *next = x->b.rival.next_slot->x;
    double worst = 0;
    float ridge[RK * RF];
    int wrong = 0;
    for (int b = 0; b < RB; b++) {
        ridge_predict(&x->st.ridge, &x->s, at[b], ridge);
        for (int i = 0; i < T; i++) {
            int s, d;
            for (int f = 0; f < RF; f++) {
                const float v = i < RL ? x->s.x[(at[b] - RL + 1 + i) * RF + f] : ridge[(i - RL) * RF + f];
                const double u = (double)scale_forward_flow(&x->st.scale, f, v);
                const double want = (u - (double)x->st.mean[f]) / (double)x->st.std[f];
                worst = check_fold(worst, fabs(got[(b * T + i) * RF + f] - fmax(-30, fmin(30, want))));
            }
            traffic_calendar(&x->s, at[b], i - RL + 1, &s, &d);
            wrong += slot[b * T + i] != s || day[b * T + i] != d;
            wrong += i >= RL && next[b * RK + i - RL] != s;
        }
    }
    TEST(log, worst < 1e-4, "inputs are off by %.2g", worst);   // ridge in f32 here
    TEST(log, wrong == 0, "%d columns have another time", wrong);
    world_delete(x->w);
    x = rival_world(log, "dlinear", RIVAL_LEVELS, false);
    worst = 0;
    for (int b = 0; b < RB; b++)
        for (int k = 0; k < RK * RF; k++) {
            const int f = k % RF;
            const double u = (double)scale_forward_flow(&x->st.scale, f, x->s.x[(at[b] + 1) * RF + k]);
            const double want = (u - (double)x->st.mean[f]) / (double)x->st.std[f];
            worst = check_fold(worst, fabs(((double *)x->b.levels->x)[(b * RF + f) * RK + k / RF] - want));
        }
    TEST(log, worst < 1e-5 && x->b.rival.x->shape.d[1] == RL, "targets of levels are off by %.2g", worst);
    world_delete(x->w);
}

// ---- the simple ones

static void dlinear(TestLog *log)
{
    RivalWorld *x = rival_world(log, "dlinear", RIVAL_RESIDUAL, false);
    double want[ROWS * RK], v[T], trend[T], rest[T], y[RK];
    for (int r = 0; r < ROWS; r++) {
        series(x, r / RF, r % RF, v);
        for (int i = 0; i < T; i++) {
            trend[i] = 0;
            for (int j = i - 12; j <= i + 12; j++) trend[i] += v[j < 0 ? 0 : j >= T ? T - 1 : j] / 25;
            rest[i] = v[i] - trend[i];
        }
        line(x, "trend", trend, T, RK, want + r * RK);
        line(x, "rest", rest, T, RK, y);
        for (int k = 0; k < RK; k++) want[r * RK + k] += y[k];
    }
    compare(log, x, want);
    world_delete(x->w);
}

static void stid(TestLog *log)
{
    enum { D = 4, H = 4 * D };
    RivalWorld *x = rival_world(log, "stid", RIVAL_RESIDUAL, false);
    const int32_t *slot = x->b.rival.slot->x, *day = x->b.rival.day->x;
    double want[ROWS * RK], v[T], h[H], inner[H], add[H];
    for (int r = 0; r < ROWS; r++) {
        const int now = r / RF * T + RL - 1;
        series(x, r / RF, r % RF, v);
        line(x, "x", v, T, D, h);
        for (int i = 0; i < D; i++) {
            h[D + i] = value(x, "flow.weight")[r % RF * D + i];
            h[2 * D + i] = value(x, "slot.weight")[slot[now] * D + i];
            h[3 * D + i] = value(x, "day.weight")[day[now] * D + i];
        }
        for (int l = 0; l < 3; l++) {
            line(x, arena_printf(x->w->perm, "%d.in", l), h, H, H, inner);
            for (int i = 0; i < H; i++) inner[i] = fmax(0, inner[i]);
            line(x, arena_printf(x->w->perm, "%d.out", l), inner, H, H, add);
            for (int i = 0; i < H; i++) h[i] += add[i];
        }
        line(x, "head", h, H, RK, want + r * RK);
    }
    compare(log, x, want);
    world_delete(x->w);
}

// ---- recurrent

static void gru(TestLog *log)
{
    enum { W = 4 };
    RivalWorld *x = rival_world(log, "gru", RIVAL_RESIDUAL, false);
    double want[ROWS * RK];
    for (int r = 0; r < ROWS; r++) {
        double h[W] = {0}, a[3 * W], b[3 * W];
        for (int i = 0; i < T; i++) {
            const double v = input(x, r / RF, i, r % RF);
            line(x, "x", &v, 1, 3 * W, a);
            line(x, "h", h, W, 3 * W, b);
            for (int j = 0; j < W; j++) {
                const double reset = sigmoid(a[j] + b[j]), z = sigmoid(a[W + j] + b[W + j]);
                h[j] = (1 - z) * tanh(a[2 * W + j] + reset * b[2 * W + j]) + z * h[j];
            }
        }
        line(x, "head", h, W, RK, want + r * RK);
    }
    compare(log, x, want);
    world_delete(x->w);
}

static void cfc(TestLog *log)
{
    enum { W = 4, U = 2 * W };
    RivalWorld *x = rival_world(log, "cfc", RIVAL_RESIDUAL, true);
    const double *seen = x->b.rival.seen->x;
    double want[ROWS * RK];
    for (int r = 0; r < ROWS; r++) {
        double h[W] = {0}, u[U], from_h[U], f1[W], f2[W], a[W], b[W];
        int last = -1;   // column of the last measured value
        for (int i = 0; i < T; i++) {
            const double v = input(x, r / RF, i, r % RF), dt = i - last;
            line(x, "x", &v, 1, U, u);
            line(x, "h", h, W, U, from_h);
            for (int j = 0; j < U; j++) u[j] = 1.7159 * tanh(0.666 * (u[j] + from_h[j]));
            line(x, "f1", u, U, W, f1);
            line(x, "f2", u, U, W, f2);
            line(x, "a", u, U, W, a);
            line(x, "b", u, U, W, b);
            for (int j = 0; j < W; j++) {
                const double s = sigmoid(a[j] * dt + b[j]);
                h[j] = tanh(f1[j]) * (1 - s) + tanh(f2[j]) * s;
            }
            if (seen[(r / RF * T + i) * RF + r % RF] > 0) last = i;
        }
        line(x, "head", h, W, RK, want + r * RK);
    }
    compare(log, x, want);
    world_delete(x->w);
}

static void convlstm(TestLog *log)
{
    enum { W = 4 };
    RivalWorld *x = rival_world(log, "convlstm", RIVAL_RESIDUAL, false);
    const double *w = value(x, "gates.weight"), *bias = value(x, "gates.bias");
    double want[ROWS * RK];
    for (int b = 0; b < RB; b++) {
        double h[RF][W] = {{0}}, c[RF][W] = {{0}}, g[RF][4 * W];
        for (int i = 0; i < T; i++) {
            for (int p = 0; p < RF; p++)
                for (int o = 0; o < 4 * W; o++) {
                    g[p][o] = bias[o];
                    for (int q = 0; q < RF; q++) {   // the tap that pixel q is at, seen from p
                        const int row = q / RN - p / RN + 1, col = q % RN - p % RN + 1;
                        if (row < 0 || row > 2 || col < 0 || col > 2) continue;
                        const double *tap = w + (row * 3 + col) * (1 + W) * 4 * W;
                        g[p][o] += input(x, b, i, q) * tap[o];
                        for (int j = 0; j < W; j++) g[p][o] += h[q][j] * tap[(1 + j) * 4 * W + o];
                    }
                }
            for (int p = 0; p < RF; p++)
                for (int j = 0; j < W; j++) {
                    c[p][j] = sigmoid(g[p][W + j]) * c[p][j] + sigmoid(g[p][j]) * tanh(g[p][2 * W + j]);
                    h[p][j] = sigmoid(g[p][3 * W + j]) * tanh(c[p][j]);
                }
        }
        for (int p = 0; p < RF; p++) line(x, "head", h[p], W, RK, want + (b * RF + p) * RK);
    }
    compare(log, x, want);
    world_delete(x->w);
}

// ---- attention

static void norm(RivalWorld *x, const char *name, double *v, int n)
{
    const double *g = value(x, arena_printf(x->w->perm, "%s.weight", name));
    const double *b = value(x, arena_printf(x->w->perm, "%s.bias", name));
    double mean = 0, var = 0;
    for (int i = 0; i < n; i++) mean += v[i] / n;
    for (int i = 0; i < n; i++) var += (v[i] - mean) * (v[i] - mean) / n;
    for (int i = 0; i < n; i++) v[i] = (v[i] - mean) / sqrt(var + 1e-5) * g[i] + b[i];
}

// An encoder layer of width 4 with 4 heads, so one value a head, over the flows.
static void encoder(RivalWorld *x, const char *layer, double h[RF][4])
{
    enum { W = 4 };
    const char *const part[] = {"q", "k", "v"};
    double p[3][RF][W], mixed[RF][W], out[W], inner[W];
    for (int i = 0; i < 3; i++)
        for (int f = 0; f < RF; f++) line(x, arena_printf(x->w->perm, "%s.%s", layer, part[i]), h[f], W, W, p[i][f]);
    for (int f = 0; f < RF; f++)
        for (int j = 0; j < W; j++) {
            double sum = 0;
            mixed[f][j] = 0;
            for (int g = 0; g < RF; g++) {
                sum += exp(p[0][f][j] * p[1][g][j]);
                mixed[f][j] += exp(p[0][f][j] * p[1][g][j]) * p[2][g][j];
            }
            mixed[f][j] /= sum;
        }
    for (int f = 0; f < RF; f++) {
        line(x, arena_printf(x->w->perm, "%s.o", layer), mixed[f], W, W, out);
        for (int j = 0; j < W; j++) h[f][j] += out[j];
        norm(x, arena_printf(x->w->perm, "%s.norm1", layer), h[f], W);
        line(x, arena_printf(x->w->perm, "%s.in", layer), h[f], W, W, inner);
        for (int j = 0; j < W; j++) inner[j] *= 0.5 * (1 + erf(inner[j] / sqrt(2)));
        line(x, arena_printf(x->w->perm, "%s.out", layer), inner, W, W, out);
        for (int j = 0; j < W; j++) h[f][j] += out[j];
        norm(x, arena_printf(x->w->perm, "%s.norm2", layer), h[f], W);
    }
}

static void itransformer(TestLog *log)
{
    enum { W = 4 };
    RivalWorld *x = rival_world(log, "itransformer", RIVAL_RESIDUAL, false);
    double want[ROWS * RK];
    for (int b = 0; b < RB; b++) {
        double h[RF][W], spread[RF];
        for (int f = 0; f < RF; f++) {
            double v[T], mean = 0, var = 0;
            series(x, b, f, v);
            for (int i = 0; i < T; i++) mean += v[i] / T;
            for (int i = 0; i < T; i++) var += (v[i] - mean) * (v[i] - mean) / T;
            for (int i = 0; i < T; i++) v[i] = (v[i] - mean) / sqrt(var + 1e-5);
            spread[f] = var / sqrt(var + 1e-5);
            line(x, "in", v, T, W, h[f]);
        }
        for (int l = 0; l < 3; l++) encoder(x, arena_printf(x->w->perm, "layer.%d", l), h);
        for (int f = 0; f < RF; f++) {
            double *y = want + (b * RF + f) * RK;
            norm(x, "norm", h[f], W);
            line(x, "head", h[f], W, RK, y);
            for (int k = 0; k < RK; k++) y[k] *= spread[f];
        }
    }
    compare(log, x, want);
    world_delete(x->w);
}

// ---- graphs

// out [nodes,W] = A in
static void apply_graph(const double *A, int nodes, int W, const double *in, double *out)
{
    for (int i = 0; i < nodes; i++)
        for (int c = 0; c < W; c++) {
            out[i * W + c] = 0;
            for (int j = 0; j < nodes; j++) out[i * W + c] += A[i * nodes + j] * in[j * W + c];
        }
}

enum { V = RF + 2 * RN };

// softmax(relu(E1 E2')), with virtual nodes row by row: what a node is joined to counts 1 each.
static void wave_graph(RivalWorld *x, int nodes, double *A)
{
    enum { D = 10 };
    const double *e1 = value(x, "e1.weight"), *e2 = value(x, "e2.weight");
    for (int i = 0; i < RF; i++) {
        double sum = 0;
        for (int j = 0; j < RF; j++) {
            double dot = 0;
            for (int d = 0; d < D; d++) dot += e1[i * D + d] * e2[j * D + d];
            A[i * nodes + j] = exp(fmax(0, dot));
            sum += A[i * nodes + j];
        }
        for (int j = 0; j < RF; j++) A[i * nodes + j] /= sum;
    }
    if (nodes == RF) return;
    for (int f = 0; f < RF; f++) {
        const int joined[2] = {RF + f / RN, RF + RN + f % RN};
        for (int k = 0; k < 2; k++) A[f * nodes + joined[k]] = A[joined[k] * nodes + f] = 1;
    }
    for (int v = RF; v < nodes; v++) A[v * nodes + v] = 1;
    for (int i = 0; i < nodes; i++) {
        double sum = 0;
        for (int j = 0; j < nodes; j++) sum += A[i * nodes + j];
        for (int j = 0; j < nodes; j++) A[i * nodes + j] /= sum;
    }
}

static void wave(TestLog *log, const char *name, int nodes)
{
    enum { W = 4, FIELD = 18 };   // T = 14: dilations 1, 2, 4, 1, 2, 4, 1, 2
    static const int dilation[8] = {1, 2, 4, 1, 2, 4, 1, 2};
    RivalWorld *x = rival_world(log, name, RIVAL_RESIDUAL, false);
    double A[V * V] = {0}, want[ROWS * RK];
    wave_graph(x, nodes, A);
    for (int b = 0; b < RB; b++) {
        double *h = zeros(x, FIELD * V * W), *next = zeros(x, FIELD * V * W), skip[V][8 * W] = {{0}};
        for (int i = 0; i < FIELD; i++)
            for (int v = 0; v < nodes; v++) {
                const int column = i - (FIELD - T);
                double in = 0;
                for (int f = 0; f < RF && column >= 0; f++) {
                    const bool mine = v < RF ? f == v : v < RF + RN ? f / RN == v - RF : f % RN == v - RF - RN;
                    if (mine) in += input(x, b, column, f) / (v < RF ? 1 : RN);
                }
                line(x, "in", &in, 1, W, h + (i * nodes + v) * W);
            }
        int columns = FIELD;
        for (int l = 0; l < 8; l++) {
            const int left = columns - dilation[l];
            for (int i = 0; i < left; i++) {
                double now[V * W], once[V * W], twice[V * W];
                for (int v = 0; v < nodes; v++) {
                    double pair[2 * W], g[2 * W], add[8 * W];
                    memcpy(pair, h + (i * nodes + v) * W, sizeof *pair * W);
                    memcpy(pair + W, h + ((i + dilation[l]) * nodes + v) * W, sizeof *pair * W);
                    line(x, arena_printf(x->w->perm, "%d.conv", l), pair, 2 * W, 2 * W, g);
                    for (int c = 0; c < W; c++) now[v * W + c] = tanh(g[c]) * sigmoid(g[W + c]);
                    if (i < left - 1) continue;
                    line(x, arena_printf(x->w->perm, "%d.skip", l), now + v * W, W, 8 * W, add);
                    for (int c = 0; c < 8 * W; c++) skip[v][c] += add[c];
                }
                if (l == 7) continue;
                apply_graph(A, nodes, W, now, once);
                apply_graph(A, nodes, W, once, twice);
                for (int v = 0; v < nodes; v++) {
                    double all[3 * W], *to = next + (i * nodes + v) * W;
                    for (int c = 0; c < W; c++)
                        all[c] = now[v * W + c], all[W + c] = once[v * W + c], all[2 * W + c] = twice[v * W + c];
                    line(x, arena_printf(x->w->perm, "%d.mix", l), all, 3 * W, W, to);
                    for (int c = 0; c < W; c++) to[c] += h[((i + dilation[l]) * nodes + v) * W + c];
                    norm(x, arena_printf(x->w->perm, "%d.norm", l), to, W);
                }
            }
            columns = left;
            double *swap = h;
            h = next, next = swap;
        }
        for (int f = 0; f < RF; f++) {
            double end[16 * W];
            for (int c = 0; c < 8 * W; c++) skip[f][c] = fmax(0, skip[f][c]);
            line(x, "end", skip[f], 8 * W, 16 * W, end);
            for (int c = 0; c < 16 * W; c++) end[c] = fmax(0, end[c]);
            line(x, "head", end, 16 * W, RK, want + (b * RF + f) * RK);
        }
    }
    compare(log, x, want);
    world_delete(x->w);
}

// ---- NetLLM: what goes into GPT-2 and what is read from it

static void netllm(TestLog *log)
{
    enum { D = 8 };
    RivalWorld *x = rival_world(log, "netllm", RIVAL_RESIDUAL, false);
    double *token = zeros(x, RB * T * D), *want = zeros(x, ROWS * RK), y[RF * RK];
    for (int i = 0; i < RB * T; i++) {
        line(x, "in", (const double *)x->b.rival.x->x + i * RF, RF, D, token + i * D);
        norm(x, "norm", token + i * D, D);
    }
    Tensor *in = tape_tensor(&x->keep, SHAPE(RB, T, D));
    tensor_set_f64(in, token, RB * T * D);
    const Gpt2 *llm = *(Gpt2 *const *)x->m->net.part;   // the first member of its struct
    const double *h = gpt2_forward_embeds(&x->keep, llm, in, NULL)->x;
    for (int b = 0; b < RB; b++) {
        line(x, "head", h + (b * T + T - 1) * D, D, RF * RK, y);
        memcpy(want + b * RF * RK, y, sizeof y);
    }
    TEST(log, llm->block[0].c_attn.lora_a && llm->block[1].mlp_proj.lora_b, "netllm has no LoRA");
    compare(log, x, want);
    world_delete(x->w);
}

void test_rivals_forward(TestLog *log)
{
    inputs(log);
    dlinear(log);
    stid(log);
    gru(log);
    cfc(log);
    convlstm(log);
    itransformer(log);
    wave(log, "gwn", RF);
    wave(log, "virtual-nodes", V);
    netllm(log);
}
