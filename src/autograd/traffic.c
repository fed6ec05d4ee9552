// Checked calls of the ops that cut windows out of a traffic series and compute their features (E1, E2, E7, E9).
#include "autograd/check.h"
#include "autograd/traffic.h"

static void check_index(const char *op, const char *what, const Tensor *x, int dims)
{
    CHECK(x->dtype == I32, "%s: %s wants I32", op, what);
    check_dims(op, what, x, dims);
}

static void check_window(const char *op, const WindowParams *p)
{
    CHECK(p->history >= 1 && p->steps >= 1 && p->per_day >= 1 && p->drawn >= 0 && p->drawn <= p->path,
          "%s: history %d, steps %d, %d slots a day, %d of %d matrices drawn", op, p->history, p->steps, p->per_day,
          p->drawn, p->path);
}

// u [B,W,F] with at least `columns` columns.
static void check_columns(const char *op, const Tensor *u, int64_t columns)
{
    check_dims(op, "u", u, 3);
    CHECK(u->shape.d[1] >= columns, "%s: want %lld columns, got %lld", op, (long long)columns,
          (long long)u->shape.d[1]);
}

Tensor *tape_draw_windows(Tape *t, Tensor *list, int64_t B, RandomAddress at, Tensor *clock)
{
    check_index("draw_windows", "list", list, 1);
    CHECK(list->shape.d[0] >= 1, "draw_windows: an empty list");
    const DrawWindowsParams p = {at};
    const Shape y = SHAPE(B);
    return tape_op(t, OP_draw_windows, 2, (Tensor *[]){list, clock}, 1, &y, &p, sizeof p)->out[0];
}

WindowRows tape_window_rows(Tape *t, Tensor *at, Tensor *place, Tensor *valid, const WindowParams *p)
{
    check_index("window_rows", "at", at, 1);
    check_index("window_rows", "place", place, 1);
    check_index("window_rows", "valid", valid, 1);
    check_shape("window_rows", "valid", valid, place->shape);
    check_window("window_rows", p);
    const int64_t B = at->shape.d[0], H = p->history, K = p->steps, W = H + 1 + (p->target ? 2 : 1) * K;
    const OpCall *c = tape_op(t, OP_window_rows, 3, (Tensor *[]){at, place, valid}, 2,
                              (Shape[]){SHAPE(B, W), SHAPE(B, K, RIDGE_SEASON)}, p, sizeof *p);
    return (WindowRows){c->out[0], c->out[1]};
}

WindowCalendar tape_window_calendar(Tape *t, Tensor *at, Tensor *week_slot, const WindowParams *p)
{
    check_index("window_calendar", "at", at, 1);
    check_index("window_calendar", "week_slot", week_slot, 1);
    check_window("window_calendar", p);
    CHECK(p->slots == p->per_day || p->slots == 7 * p->per_day, "window_calendar: %d slots, %d a day", p->slots,
          p->per_day);
    const int64_t B = at->shape.d[0], H = p->history;
    const OpCall *c = tape_op(t, OP_window_calendar, 2, (Tensor *[]){at, week_slot}, 3,
                              (Shape[]){SHAPE(B, H), SHAPE(B, H), SHAPE(B, H + p->steps)}, p, sizeof *p);
    return (WindowCalendar){c->out[0], c->out[1], c->out[2]};
}

Tensor *tape_ridge(Tape *t, Tensor *x, Tensor *coef, WindowRows rows, Tensor *model, int history)
{
    check_dims("ridge", "x", x, 2);
    check_dims("ridge", "coef", coef, 5);
    const int64_t K = coef->shape.d[2], F = x->shape.d[1], B = rows.rows->shape.d[0];
    check_shape("ridge", "coef", coef, SHAPE(coef->shape.d[0], RIDGE_FITS, K, F, RIDGE_INPUTS));
    check_index("ridge", "rows", rows.rows, 2);
    check_index("ridge", "season", rows.season, 3);
    check_shape("ridge", "season", rows.season, SHAPE(B, K, RIDGE_SEASON));
    if (model) {
        check_index("ridge", "model", model, 1);
        check_shape("ridge", "model", model, SHAPE(x->shape.d[0]));
    }
    CHECK(history >= RIDGE_LAGS - 1 && history < rows.rows->shape.d[1], "ridge: history %d", history);
    const RidgeParams p = {history};
    const Shape y = SHAPE(B, K, F);
    Tensor *in[] = {x, coef, rows.rows, rows.season, model};
    return tape_op(t, OP_ridge, 5, in, 1, &y, &p, sizeof p)->out[0];
}

Tensor *tape_traffic_scale(Tape *t, Tensor *x, Tensor *flowmax, Tensor *knot_kbps, Tensor *knot_s,
                           const TrafficScaleParams *p)
{
    check_dims("traffic_scale", "flowmax", flowmax, 1);
    check_last("traffic_scale", "x", x, flowmax->shape.d[0]);
    CHECK(p->kind != SCALE_QUANTILE || (knot_kbps && knot_s && numel(knot_kbps) >= 2), "traffic_scale: want two knots");
    if (knot_s) check_shape("traffic_scale", "knot_s", knot_s, knot_kbps->shape);
    return tape_op(t, OP_traffic_scale, 4, (Tensor *[]){x, flowmax, knot_kbps, knot_s}, 1, &x->shape, p,
                   sizeof *p)->out[0];
}

Tensor *tape_encode_image(Tape *t, Tensor *u, Tensor *means, const EncodeParams *p)
{
    check_columns("encode_image", u, p->first + p->count);
    check_dims("encode_image", "means", means, 3);
    const int64_t B = u->shape.d[0], F = u->shape.d[2], M = means->shape.d[1];
    check_shape("encode_image", "means", means, SHAPE(B, M, F));
    CHECK(p->first >= 1 && p->count >= 1 && p->first + p->count - 1 <= M && (p->channels == 3 || p->channels == 1),
          "encode_image: %d columns from %d of %lld, %d channels", p->count, p->first, (long long)M, p->channels);
    const Shape y = SHAPE(B, p->count, F, p->channels);
    return tape_op(t, OP_encode_image, 2, (Tensor *[]){u, means}, 1, &y, p, sizeof *p)->out[0];
}

// base [B,K,F] or NULL beside u [B,W,F]
static void check_base(const char *op, const Tensor *u, const Tensor *base, int64_t K)
{
    if (base) check_shape(op, "base", base, SHAPE(u->shape.d[0], K, u->shape.d[2]));
}

Tensor *tape_context_planes(Tape *t, Tensor *u, Tensor *means, Tensor *base, Tensor *level, Tensor *sigma, int history)
{
    check_dims("context_planes", "sigma", sigma, 2);
    const int64_t K = sigma->shape.d[0], F = sigma->shape.d[1];
    check_columns("context_planes", u, history + 1 + K);
    const int64_t B = u->shape.d[0];
    check_last("context_planes", "u", u, F);
    check_shape("context_planes", "means", means, SHAPE(B, history + K, F));
    check_shape("context_planes", "level", level, SHAPE(2, F));
    check_base("context_planes", u, base, K);
    const FeatureParams p = {history};
    const Shape y = SHAPE(B, F, history + 3 * K);
    return tape_op(t, OP_context_planes, 5, (Tensor *[]){u, means, base, level, sigma}, 1, &y, &p, sizeof p)->out[0];
}

Tensor *tape_ewma(Tape *t, Tensor *x, Tensor *place, Tensor *valid, const EwmaParams *p)
{
    check_dims("ewma", "x", x, 2);
    check_index("ewma", "place", place, 1);
    check_index("ewma", "valid", valid, 1);
    check_shape("ewma", "place", place, SHAPE(x->shape.d[0]));
    check_shape("ewma", "valid", valid, place->shape);
    CHECK(p->n >= 1 && p->n <= EWMA_MAX, "ewma: %d half-lives", p->n);
    for (int j = 0; j < p->n; j++) CHECK(p->half_life[j] > 0, "ewma: a half-life of %g slots", p->half_life[j]);
    const Shape y = SHAPE(x->shape.d[0], x->shape.d[1], p->n);
    return tape_op(t, OP_ewma, 3, (Tensor *[]){x, place, valid}, 1, &y, p, sizeof *p)->out[0];
}

WindowSeason tape_window_season(Tape *t, Tensor *at, Tensor *place, Tensor *valid, Tensor *week_slot,
                                const WindowParams *p)
{
    Tensor *const in[] = {at, place, valid, week_slot};
    static const char *const names[] = {"at", "place", "valid", "week_slot"};
    for (int i = 0; i < 4; i++) check_index("window_season", names[i], in[i], 1);
    for (int i = 2; i < 4; i++) check_shape("window_season", names[i], in[i], place->shape);
    check_window("window_season", p);
    const int64_t B = at->shape.d[0], K = p->steps;
    const OpCall *c = tape_op(t, OP_window_season, 4, in, 3, (Shape[]){SHAPE(B, K), SHAPE(B, K), SHAPE(B)}, p,
                              sizeof *p);
    return (WindowSeason){c->out[0], c->out[1], c->out[2]};
}

Tensor *tape_flow_context(Tape *t, const FlowContext *v, const FlowContextParams *p)
{
    check_dims("flow_context", "sigma", v->sigma, 2);
    const int64_t K = v->sigma->shape.d[0], F = v->sigma->shape.d[1], H = p->history;
    check_columns("flow_context", v->u, H + 1 + K);
    check_last("flow_context", "u", v->u, F);
    const int64_t B = v->u->shape.d[0];
    check_shape("flow_context", "base", v->base, SHAPE(B, K, F));
    check_shape("flow_context", "week", v->week, SHAPE(B, K, F));
    check_shape("flow_context", "part", v->part, SHAPE(B, K, F));
    check_dims("flow_context", "ewma", v->ewma, 3);
    check_dims("flow_context", "change", v->change, 3);
    const int64_t n = v->ewma->shape.d[2], m = v->change->shape.d[2];
    check_shape("flow_context", "ewma", v->ewma, SHAPE(B, F, n));
    check_shape("flow_context", "change", v->change, SHAPE(B, F, m));
    check_shape("flow_context", "level", v->level, SHAPE(2, F));
    check_index("flow_context", "now", v->now, 1);
    check_shape("flow_context", "now", v->now, SHAPE(B));
    CHECK(H >= 1 && p->per_day >= 1, "flow_context: history %lld, %d slots a day", (long long)H, p->per_day);
    const Shape y = SHAPE(B, F, H + n + m + 6 + 4 * K);
    Tensor *const in[] = {v->u, v->base, v->week, v->part, v->ewma, v->change, v->level, v->sigma, v->now};
    return tape_op(t, OP_flow_context, 9, in, 1, &y, p, sizeof *p)->out[0];
}

// N of F = N N flows.
static int64_t nodes_of(const char *op, int64_t F)
{
    int64_t N = 0;
    while ((N + 1) * (N + 1) <= F) N++;
    CHECK(N >= 1 && N * N == F, "%s: want a square number of flows, got %lld", op, (long long)F);
    return N;
}

Tensor *tape_base_error(Tape *t, Tensor *u, Tensor *made, Tensor *origin, Tensor *sigma)
{
    check_dims("base_error", "u", u, 2);
    check_shape("base_error", "made", made, u->shape);
    check_index("base_error", "origin", origin, 1);
    check_shape("base_error", "origin", origin, SHAPE(u->shape.d[0]));
    check_shape("base_error", "sigma", sigma, SHAPE(u->shape.d[1]));
    const Shape y = SHAPE(u->shape.d[0], 2 * u->shape.d[1]);
    return tape_op(t, OP_base_error, 4, (Tensor *[]){u, made, origin, sigma}, 1, &y, NULL, 0)->out[0];
}

Tensor *tape_node_sums(Tape *t, Tensor *x)
{
    check_dims("node_sums", "x", x, 2);
    const Shape y = SHAPE(x->shape.d[0], 2 * nodes_of("node_sums", x->shape.d[1]) + 1);
    return tape_op(t, OP_node_sums, 1, &x, 1, &y, NULL, 0)->out[0];
}

Tensor *tape_flow_news(Tape *t, Tensor *error, Tensor *now, Tensor *before, Tensor *mean, Tensor *unit)
{
    check_dims("flow_news", "error", error, 3);
    const int64_t B = error->shape.d[0], F = error->shape.d[1] / 2, V = 2 * nodes_of("flow_news", F) + 1;
    CHECK(error->shape.d[1] == 2 * F, "flow_news: want two rows of errors a flow, got %lld",
          (long long)error->shape.d[1]);
    check_shape("flow_news", "now", now, SHAPE(B, V));
    check_shape("flow_news", "before", before, SHAPE(B, V));
    check_shape("flow_news", "mean", mean, SHAPE(B, V));
    check_shape("flow_news", "unit", unit, SHAPE(V));
    const Shape y = SHAPE(B, F, 2 * error->shape.d[2] + 6);
    return tape_op(t, OP_flow_news, 5, (Tensor *[]){error, now, before, mean, unit}, 1, &y, NULL, 0)->out[0];
}

// location, log_scale [B,F,K] or NULL
static void check_moments(const char *op, ResidualMoments m, int64_t B, int64_t F, int64_t K)
{
    if (m.location) check_shape(op, "location", m.location, SHAPE(B, F, K));
    if (m.log_scale) check_shape(op, "log_scale", m.log_scale, SHAPE(B, F, K));
}

Tensor *tape_residual_target(Tape *t, Tensor *u, Tensor *base, Tensor *sigma, Tensor *gamma, ResidualMoments m,
                             const ResidualParams *p)
{
    check_dims("residual_target", "sigma", sigma, 2);
    const int64_t B = u->shape.d[0], K = sigma->shape.d[0], F = sigma->shape.d[1];
    check_columns("residual_target", u, p->history + 1 + K);
    check_last("residual_target", "u", u, F);
    check_shape("residual_target", "gamma", gamma, sigma->shape);
    check_base("residual_target", u, base, K);
    check_moments("residual_target", m, B, F, K);
    const Shape y = SHAPE(B, F, K);
    return tape_op(t, OP_residual_target, 6, (Tensor *[]){u, base, sigma, gamma, m.location, m.log_scale}, 1, &y, p,
                   sizeof *p)->out[0];
}

Tensor *tape_residual_decode(Tape *t, Tensor *x, Tensor *u, Tensor *base, const ResidualUnits *units,
                             ResidualMoments m, int history)
{
    check_dims("residual_decode", "x", x, 3);
    const int64_t R = x->shape.d[0], F = x->shape.d[1], K = x->shape.d[2];
    Tensor *const unit[] = {units->sigma, units->gamma, units->low, units->high};
    for (int i = 0; i < 4; i++) check_shape("residual_decode", "unit", unit[i], SHAPE(K, F));
    check_columns("residual_decode", u, history + 1);
    check_last("residual_decode", "u", u, F);
    CHECK(u->shape.d[0] >= 1 && R % u->shape.d[0] == 0, "residual_decode: %lld rows of %lld windows", (long long)R,
          (long long)u->shape.d[0]);
    check_base("residual_decode", u, base, K);
    check_moments("residual_decode", m, u->shape.d[0], F, K);
    const FeatureParams p = {history};
    const Shape y = SHAPE(R, K, F);
    const bool data = !(m.location && m.location->needs_grad) && !(m.log_scale && m.log_scale->needs_grad) &&
                      !u->needs_grad && !(base && base->needs_grad);
    CHECK(data || !t->record, "residual_decode: only x has a gradient, the other inputs must be data");
    Tensor *const in[] = {x, u, base, unit[0], unit[1], unit[2], unit[3], m.location, m.log_scale};
    return tape_op(t, OP_residual_decode, 9, in, 1, &y, &p, sizeof p)->out[0];
}

Tensor *tape_traffic_weight(Tape *t, Tensor *u, int history, int64_t steps, int64_t channels)
{
    check_columns("traffic_weight", u, history + 1 + steps);
    const FeatureParams p = {history};
    const Shape y = SHAPE(u->shape.d[0], u->shape.d[2], steps, channels);
    return tape_op(t, OP_traffic_weight, 1, &u, 1, &y, &p, sizeof p)->out[0];
}
