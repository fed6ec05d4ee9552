// Checkpoints of training runs: what their metadata say of the run, and the statistics that a forecast uses.
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "io/json.h"
#include "lead/record.h"
#include "lead/stats.h"
#include "tests/fuzz/seeds.h"
#include "traffic/synth.h"

// ---- what was accepted keeps its promises

void fuzz_record(FuzzWorld *w, const unsigned char *data, size_t size)
{
    SafeFile f;
    LeadRecord r;
    LeadStats st;
    if (safetensors_parse(&f, w->a, data, size, "fuzz").code) return;
    if (!lead_record_read(&r, w->a, &f).code) {
        CHECK(r.train.begin >= 0 && r.train.begin < r.train.end && r.step >= 0 && r.step <= r.total &&
              r.total <= r.cfg.steps && r.calls >= 0, "rows %lld %lld, steps %lld %lld of %d, calls %d",
              (long long)r.train.begin, (long long)r.train.end, (long long)r.step, (long long)r.total, r.cfg.steps,
              r.calls);
        if (!lead_stats_unpack(&st, w->a, &f, &r.cfg).code) {
            (void)lead_stats_shape(&st, &r.cfg);
            CHECK(st.N >= 2 && st.F <= st.N * st.N && st.Kt >= 1, "%d nodes, %d flows", st.N, st.F);
            for (int k = 0; k < st.Kt; k++)
                CHECK(st.spread[k] >= 0 && isfinite(st.spread[k]), "spread %g", (double)st.spread[k]);
            for (int k = 0; k < st.Kt * st.F; k++)
                CHECK(st.sigma[k] > 0 && isfinite(st.sigma[k]) && st.low[k] <= st.high[k], "flow %d", k);
        }
    }
    safetensors_close(&f);
}

// ---- seeds: a tiny network's statistics, and files in which one thing is wrong

static size_t write_file(Arena *a, unsigned char **out, const SafeMeta *meta, int n_meta, const StatArray *stat, int n)
{
    JsonWriter w = json_writer(a, 0);
    size_t at = 0, len;
    json_object(&w, NULL);
    json_object(&w, "__metadata__");
    for (int i = 0; i < n_meta; i++) json_string(&w, meta[i].key, meta[i].value);
    json_end(&w);
    for (int i = 0; i < n; i++) {
        json_object(&w, arena_printf(a, "stat.%s", stat[i].name));
        json_string(&w, "dtype", "F64");
        json_array(&w, "shape");
        json_int(&w, NULL, stat[i].n);
        json_end(&w);
        json_array(&w, "data_offsets");
        json_int(&w, NULL, (int64_t)at);
        at += (size_t)stat[i].n * sizeof(double);
        json_int(&w, NULL, (int64_t)at);
        json_end(&w);
        json_end(&w);
    }
    json_end(&w);
    const char *text = json_text(&w, &len);
    const uint64_t header = (len + 7) / 8 * 8;
    unsigned char *p = *out = arena_alloc(a, 8 + (size_t)header + at);
    memcpy(p, &header, 8);
    memset(p + 8, ' ', (size_t)header);
    memcpy(p + 8, text, len);
    p += 8 + header;
    for (int i = 0; i < n; p += (size_t)stat[i].n * sizeof(double), i++)
        memcpy(p, stat[i].x, (size_t)stat[i].n * sizeof(double));
    return (size_t)(p - *out);
}

// Else no input would reach what comes behind the first refusal.
static void check_accepted(FuzzWorld *w, const unsigned char *file, size_t size)
{
    SafeFile f;
    LeadRecord r;
    LeadStats st;
    Status s = safetensors_parse(&f, w->a, file, size, "seed");
    if (!s.code) s = lead_record_read(&r, w->a, &f);
    if (!s.code) s = lead_stats_unpack(&st, w->a, &f, &r.cfg);
    CHECK(!s.code, "seed: %s", s.msg);
    safetensors_close(&f);
}

void seeds_record(FuzzWorld *w, FuzzSeed *put, void *arg)
{
    static const struct { const char *key, *value; } wrong[] = {
        {"lead.step", "-1"}, {"lead.total", "9e18"}, {"lead.rows", "0 2 1 3"}, {"lead.validation", "0 0 99"},
        {"lead.config", "{\"horizon\":1e9}"}, {"lead.distill", "4 2 1 1"}};
    static const char config[] = "{\"history\":4,\"horizon\":1,\"steps\":9,\"base\":\"last\",\"mean_head\":false,"
                                 "\"scale_head\":false,\"flow_context\":false}";
    const size_t mark = arena_mark(w->scratch);
    SynthOptions o = synth_defaults();
    o.N = 2, o.slot_seconds = 43200, o.T = 60;
    TrafficSeries s;
    LeadConfig cfg;
    LeadStats st;
    StatArray stat[STATS_MAX_ARRAYS];
    const Json *json;
    unsigned char *file;
    Status ok = synth_generate(&s, w->scratch, &o);
    if (!ok.code) ok = config_preset(&cfg, "paper");
    if (!ok.code) ok = json_parse(&json, w->scratch, config, sizeof config - 1, "seed");
    if (!ok.code) ok = config_read_json(&cfg, json, "seed");
    if (!ok.code) ok = lead_stats_fit(&st, w->scratch, &s, (TrafficRange){0, 42}, &cfg);
    CHECK(!ok.code, "seed: %s", ok.msg);
    const int n = lead_stats_pack(&st, w->scratch, stat);
    SafeMeta meta[] = {{"lead.format", "checkpoint 2"}, {"lead.config", config}, {"lead.manifest", "{}"},
                       {"lead.data", "x"}, {"lead.start", ""}, {"lead.data_sha256", "0"}, {"lead.fit", "train"},
                       {"lead.rows", "0 42 42 51"}, {"lead.final_rows", "0 60"}, {"lead.total", "9"},
                       {"lead.step", "9"}, {"lead.validation", "9 9 0"}, {"lead.nodes", "a\nb"}};
    enum { N_META = (int)(sizeof meta / sizeof *meta) };
    for (int i = -1; i < (int)(sizeof wrong / sizeof *wrong); i++) {
        SafeMeta m[N_META + 1];
        int k = 0;
        memcpy(m, meta, sizeof meta);
        m[N_META] = (SafeMeta){"lead.data_path", ""};
        while (i >= 0 && k < N_META && strcmp(m[k].key, wrong[i].key)) k++;
        if (i >= 0) m[k] = (SafeMeta){wrong[i].key, wrong[i].value};
        const size_t size = write_file(w->scratch, &file, m, N_META + 1, stat, i < 0 ? n : 1);
        if (i < 0) check_accepted(w, file, size);
        put(arg, file, size);
    }
    arena_rewind(w->scratch, mark);
}
