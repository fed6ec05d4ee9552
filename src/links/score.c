#include "links/score.h"

#include <math.h>
#include <string.h>

#include "tensor/sort.h"

static const char *const space_names[LINK_SPACES] = {"links", "largest"};

Status link_score_new(LinkScore *s, Arena *a, const Topology *t, const Routing *r, int K, int most_models,
                      int most_paths)
{
    bool known = false;
    for (int l = 0; l < t->L; l++) known |= t->link[l].capacity_kbps > 0;
    if (!known) return ERROR("%s: want capacities, in whose per cent loads are scored, got none", t->path);
    *s = (LinkScore){.t = t, .r = r, .K = K, .most_models = most_models, .room = most_paths,
                     .name = arena_alloc(a, (size_t)most_models * sizeof(char *)),
                     .sums = arena_zalloc(a, (size_t)(most_models * LINK_SPACES * K) * sizeof(MetricSums)),
                     .load = arena_alloc(a, ((size_t)most_paths + 2) * (size_t)t->L * sizeof(double)),
                     .v = arena_alloc(a, ((size_t)most_paths + 1) * sizeof(float))};
    return OK;
}

static int model_of(LinkScore *s, const char *name)
{
    for (int m = 0; m < s->models; m++)
        if (!strcmp(s->name[m], name)) return m;
    CHECK(s->models < s->most_models, "link score: more than %d models", s->most_models);
    s->name[s->models] = name;
    return s->models++;
}

// Scores one value; s->v holds those of the paths.
static void add_value(LinkScore *s, MetricSums *into, DistKind kind, int S, double truth, double point)
{
    const double within = kind == DIST_PAIRS ? metric_within_pairs(s->v, S) : 0;
    sort_f32(s->v, S);
    const MetricTerms terms = metric_terms((float)truth, (float)point, s->v, S, kind, within);
    metric_sums_add(into, &terms, 1, 0, kind);
}

static void add_step(LinkScore *s, int model, int k, DistKind kind, int S, const float *dist, const float *point,
                     const float *truth)
{
    const int L = s->t->L;
    const int64_t F = (int64_t)s->r->n * s->r->n;
    double *of_point = s->load + (int64_t)S * L, *of_truth = of_point + L, mean = 0;
    for (int i = 0; i < S; i++) loads_of(s->r, dist + ((int64_t)i * s->K + k) * F, s->load + (int64_t)i * L);
    loads_of(s->r, point + k * F, of_point);
    loads_of(s->r, truth + k * F, of_truth);
    MetricSums *sums = s->sums + (int64_t)model * LINK_SPACES * s->K + k;
    for (int l = 0; l < L; l++) {
        const double percent = 100 / s->t->link[l].capacity_kbps;
        if (!isfinite(percent)) continue;
        for (int i = 0; i < S; i++) s->v[i] = (float)(s->load[(int64_t)i * L + l] * percent);
        add_value(s, sums, kind, S, of_truth[l] * percent, of_point[l] * percent);
    }
    for (int i = 0; i < S; i++) {
        s->v[i] = (float)(100 * loads_largest(s->t, s->load + (int64_t)i * L, NULL));
        mean += (double)s->v[i] / S;
    }
    if (!S) mean = 100 * loads_largest(s->t, of_point, NULL);
    add_value(s, sums + s->K, kind, S, 100 * loads_largest(s->t, of_truth, NULL), mean);
    sums->windows++;
    sums[s->K].windows++;
}

void link_score_add(LinkScore *s, const char *name, DistKind kind, int S, const float *dist, const float *point,
                    const float *truth)
{
    const bool drawn = kind == DIST_SAMPLES || kind == DIST_PAIRS;
    const int model = model_of(s, name);
    CHECK(!drawn || S <= s->room, "link score: room for %d paths, got %d", s->room, S);
    for (int k = 0; k < s->K; k++) add_step(s, model, k, drawn ? kind : DIST_NONE, drawn ? S : 0, dist, point, truth);
}

MetricResult link_score_result(const LinkScore *s, int model, int space, int horizon)
{
    const MetricSums *first = s->sums + ((int64_t)model * LINK_SPACES + space) * s->K;
    if (horizon > 0) return metric_sums_result(&first[horizon - 1]);
    MetricSums all = {0};
    for (int k = 0; k < s->K; k++) metric_sums_merge(&all, &first[k]);
    return metric_sums_result(&all);
}

void link_score_print(const LinkScore *s, FILE *out)
{
    fprintf(out, "model\tspace\thorizon\twindows\trmse\tmae\tcrps\tcover50\tcover90\n");
    for (int m = 0; m < s->models; m++)
        for (int space = 0; space < LINK_SPACES; space++)
            for (int h = 1; h <= s->K + 1; h++) {
                const MetricResult r = link_score_result(s, m, space, h > s->K ? 0 : h);
                fprintf(out, "%s\t%s\t", s->name[m], space_names[space]);
                if (h <= s->K) fprintf(out, "%d\t%lld", h, (long long)r.windows);
                else fprintf(out, "all\t%lld", (long long)(r.windows / s->K));
                fprintf(out, "\t%.6g\t%.6g\t%.6g\t%.4f\t%.4f\n", r.rmse, r.mae, r.crps, r.cover50, r.cover90);
            }
}
