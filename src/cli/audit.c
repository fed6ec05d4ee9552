// The report of lead check
#include "cli/audit.h"

#include <stdio.h>
#include <string.h>

#include "io/file.h"
#include "io/json.h"
#include "lead/general.h"

// name: hash of the file, or null where there is none.
static Status put_hash(JsonWriter *w, const char *name, const char *path)
{
    FileMap m;
    if (file_absent(path)) {
        json_null(w, name);
        return OK;
    }
    TRY(file_map(&m, path));
    json_string(w, name, sha256_hex_of(m.data, m.size).s);
    file_unmap(&m);
    return OK;
}

static Status put_hashes(JsonWriter *w, Arena *a)
{
    static const char *const models[] = {GENERAL_BUNDLED, GENERAL_TEACHER, "data/gpt2-small/config.json",
                                         "data/gpt2-small/model.safetensors", "data/gpt2-small/merges.txt"};
    json_object(w, "sha256");
    TRY(put_hash(w, "program", "/proc/self/exe"));
    json_string(w, "sources", cli_sources());
    for (size_t i = 0; i < sizeof models / sizeof *models; i++) TRY(put_hash(w, models[i], file_bundled(models[i], a)));
    json_end(w);
    return OK;
}

static void put_machine(JsonWriter *w)
{
    char line[512] = "", *value = NULL;
    FILE *f = fopen("/proc/cpuinfo", "r");
    while (f && !value && fgets(line, sizeof line, f))
        if (strncmp(line, "model name", 10) == 0) value = strchr(line, ':');
    if (f) fclose(f);
    json_object(w, "machine");
    if (value) json_string_n(w, "cpu", value + 2, strcspn(value + 2, "\n"));
    json_string(w, "instruction_sets", isa_name(isa_detect()));
    json_end(w);
}

// Errors that are infinite or NaN become null.
static void put_ops(JsonWriter *w, const CheckReport *report)
{
    json_object(w, "bounds");
    json_double(w, "gradient", GRADIENT_TOL);
    json_double(w, "oracle", ORACLE_TOL);
    json_double(w, "plain", PLAIN_TOL);
    json_end(w);
    json_array(w, "ops");
    for (int i = 0; i < OP_COUNT; i++) {
        const CheckRow *r = &report->row[i];
        if (r->checks == 0 && r->failures == 0) continue;   // not asked for
        json_object(w, NULL);
        json_string(w, "op", r->op);
        json_int(w, "cases", r->cases);
        json_int(w, "checks", r->checks);
        json_int(w, "failures", r->failures);
        json_double(w, "gradient", r->gradient);
        json_double(w, "oracle", r->oracle);
        json_double(w, "plain_ulp", r->plain);
        json_double(w, "fast_ulp", r->parity);
        json_double(w, "fast_bound_ulp", r->bound);
        json_int(w, "fast_variants", r->variants);
        if (r->failures) json_string(w, "first_failure", r->first);
        json_end(w);
    }
    json_end(w);
    json_int(w, "checks", report->checks);
    json_int(w, "failures", report->failures);
}

static void put_golden(JsonWriter *w, const GoldenRun golden[GOLDEN_RUNS])
{
    json_array(w, "golden_runs");
    for (int i = 0; i < GOLDEN_RUNS; i++) {
        const GoldenRun *g = &golden[i];
        json_object(w, NULL);
        json_string(w, "preset", g->preset);
        json_string(w, "instruction_set", g->isa);
        json_array(w, "loss");
        for (int k = 0; k < GOLDEN_STEPS; k++) json_double(w, NULL, g->loss[k]);
        json_end(w);
        json_double(w, "forecast_mean_kbps", g->mean);
        json_string(w, "sha256", g->bits.s);
        if (g->want) json_string(w, "expected", g->want);
        else json_null(w, "expected");
        json_bool(w, "same", g->same);
        json_end(w);
    }
    json_end(w);
}

Status audit_write(const Cli *cli, const char *path, const CheckReport *report, const GoldenRun golden[GOLDEN_RUNS])
{
    JsonWriter w = json_writer(cli->perm, 1);
    json_object(&w, NULL);
    manifest_put(cli, &w, "made_by");
    put_machine(&w);
    TRY(put_hashes(&w, cli->perm));
    put_ops(&w, report);
    put_golden(&w, golden);
    json_end(&w);
    size_t n;
    const char *text = json_text(&w, &n);
    const size_t len = strlen(path);
    if (len > 5 && strcmp(path + len - 5, ".html") == 0) return audit_page(path, text, n, cli->perm);
    return file_write(path, text, n);
}
