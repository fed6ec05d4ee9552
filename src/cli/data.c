// lead data info, lead data synth, lead data render
#include <string.h>
#include <sys/stat.h>

#include "cli/show.h"
#include "cli/verbs.h"
#include "traffic/encode.h"
#include "traffic/info.h"
#include "plot/plot.h"
#include "traffic/synth.h"

// ---- info

typedef struct InfoValues { DataOptions data; } InfoValues;

static const Option info_table[] = {DATA_OPTIONS(InfoValues)};

static Status info_run(Cli *cli, void *values)
{
    InfoValues *v = values;
    TrafficSeries s;
    TRY(data_read(cli, &v->data, &s));
    traffic_info_print(&s, v->data.data ? v->data.data : cli->positional, cli->perm, stdout);
    return OK;
}

const Verb verb_data_info = {
    .name = "data info",
    .summary = "Reports shape, span, gaps, zeros, quantiles, autocorrelation, suspicious snapshots, faults.",
    .positional = "[FILE]", OPTIONS(info_table), .size = sizeof(InfoValues), .run = info_run,
};

// ---- synth

typedef struct SynthValues { const char *out; int64_t nodes, days, slot_seconds, seed; double mean_kbps; } SynthValues;

static const Option synth_table[] = {
    {"out", OPT_TEXT, offsetof(SynthValues, out), "FILE",
     "file to write, FILE.npy [T,N,N] kbit/s; times.npy goes beside it", 0, 0},
    {"nodes", OPT_INT, offsetof(SynthValues, nodes), "N", "nodes [12]", 2, 64},
    {"days", OPT_INT, offsetof(SynthValues, days), "D", "days [56]", 1, 3650},
    {"slot-seconds", OPT_INT, offsetof(SynthValues, slot_seconds), "S", "length of a slot [300]", 1, 86400},
    {"mean-kbps", OPT_NUMBER, offsetof(SynthValues, mean_kbps), "X", "mean of a flow, kbit/s [21500]", 1e-3, 1e9},
    {"seed", OPT_INT, offsetof(SynthValues, seed), "N", "seed [1]", 0, 9e15},
};

static void synth_values(void *values)
{
    const SynthOptions d = synth_defaults();
    *(SynthValues *)values = (SynthValues){.nodes = d.N,
                                           .days = d.T * d.slot_seconds / 86400,
                                           .slot_seconds = d.slot_seconds,
                                           .seed = (int64_t)d.seed,
                                           .mean_kbps = d.mean_flow_kbps};
}

static Status synth_run(Cli *cli, void *values)
{
    const SynthValues *v = values;
    if (!v->out) return USAGE_ERROR("data synth: wants --out FILE.npy");
    SynthOptions o = synth_defaults();
    o.N = (int)v->nodes;
    o.T = v->days * 86400 / v->slot_seconds;
    o.slot_seconds = (int)v->slot_seconds;
    o.seed = (uint64_t)v->seed;
    o.mean_flow_kbps = v->mean_kbps;
    const char *slash = strrchr(v->out, '/'),
               *times = arena_printf(cli->perm, "%.*stimes.npy", slash ? (int)(slash + 1 - v->out) : 0, v->out);
    struct stat sb;
    if (stat(v->out, &sb) && stat(times, &sb) == 0)
        return ERROR("%s: belongs to another series in that directory; want --out in a directory of its own", times);
    TrafficSeries s;
    TRY(synth_generate(&s, cli->perm, &o));
    TRY(traffic_series_write(&s, v->out, NULL));
    TRY(manifest_write(cli, v->out));
    cli_say("%s: %lld snapshots of %d x %d, %d s each", v->out, (long long)s.T, s.N, s.N, s.slot_seconds);
    return OK;
}

const Verb verb_data_synth = {
    .name = "data synth",
    .summary = "Makes synthetic traffic: gravity model, daily and weekly cycles, bursts, outages.",
    OPTIONS(synth_table), .size = sizeof(SynthValues), .defaults = synth_values, .run = synth_run,
};

// ---- render

typedef struct RenderValues { DataOptions data; const char *out, *encoding; int64_t row, count; } RenderValues;

static const Option render_table[] = {
    DATA_OPTIONS(RenderValues),
    {"out", OPT_TEXT, offsetof(RenderValues, out), "FILE", "PNG to write", 0, 0},
    {"row", OPT_INT, offsetof(RenderValues, row), "T", "row of the first matrix [0]", 0, 1e12},
    {"count", OPT_INT, offsetof(RenderValues, count), "N",
     "matrices to draw: 1 as a heat map, more as a film strip of RGB images (E2) [24]", 1, 2000},
};

static void render_defaults(void *values) { ((RenderValues *)values)->count = 24; }

static Status film(Cli *cli, const TrafficSeries *s, int64_t row, int n, Picture **p)
{
    Arena *a = cli->perm;
    const int F = s->N * s->N;
    const TrafficSplits split = traffic_splits(s->T, PROTOCOL_CLEAN);
    TrafficScale k;
    SlotMeans m;
    TRY(scale_fit(&k, a, s, split.train, SCALE_FLOWMAX));
    slot_means_fit(&m, a, s, split.train, &k);
    const EncodeGains g = encode_gains_fit(a, s, split.train, &k, &m);
    float *frames = arena_alloc(a, (size_t)n * (size_t)F * 3 * sizeof *frames);
    const char **caption = arena_alloc(a, (size_t)n * sizeof *caption);
    for (int i = 0; i < n; i++) {
        const int64_t t = row + i;
        encode_rgb(frames + (int64_t)i * F * 3, s->x + t * F, t ? s->x + (t - 1) * F : NULL, slot_means_at(&m, s, t, 0),
                   &k, g);
        caption[i] = arena_printf(a, "%lld", (long long)t);
    }
    const FilmRow r = {"row", n, frames, caption};
    const FilmStrip f = {
        .title = "Traffic matrices as images (E2)",
        .n = s->N,
        .n_rows = 1,
        .rows = &r,
        .note = show_film_note};
    return plot_film_strip(a, &f, p);
}

static Status render_run(Cli *cli, void *values)
{
    RenderValues *v = values;
    if (!v->out) return USAGE_ERROR("data render: wants --out FILE.png");
    TrafficSeries s;
    TRY(data_read(cli, &v->data, &s));
    if (v->row + v->count > s.T)
        return USAGE_ERROR("--row, --count: want rows inside 0..%lld, got %lld..%lld", (long long)s.T - 1,
                           (long long)v->row, (long long)(v->row + v->count - 1));
    Picture *p;
    if (v->count > 1) {
        TRY(film(cli, &s, v->row, (int)v->count, &p));
    } else {
        const HeatMaps h = {.title = arena_printf(cli->perm, "Traffic matrix, row %lld", (long long)v->row),
                            .n = s.N,
                            .unit = "kbit/s",
                            .log = true,
                            .truth = s.x + v->row * s.N * s.N};
        TRY(plot_heat_maps(cli->perm, &h, &p));
    }
    TRY(picture_write_png(p, v->out));
    return manifest_write(cli, v->out);
}

const Verb verb_data_render = {
    .name = "data render", .summary = "Draws matrices as a heat map or as a film strip of RGB images.",
    .positional = "[FILE]", OPTIONS(render_table), .size = sizeof(RenderValues), .defaults = render_defaults,
    .run = render_run,
};
