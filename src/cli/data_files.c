// lead data import, lead data export
#include <string.h>

#include "cli/verbs.h"
#include "traffic/series_export.h"
#include "traffic/series_file.h"

// ---- import

typedef struct ImportValues { DataOptions data; const char *out; } ImportValues;

static const Option import_table[] = {
    DATA_OPTIONS(ImportValues),
    {"out", OPT_TEXT, offsetof(ImportValues, out), "FILE", "series to write, FILE.npz", 0, 0},
};

static Status import_run(Cli *cli, void *values)
{
    ImportValues *v = values;
    if (!v->out) return USAGE_ERROR("data import: wants --out FILE.npz");
    TrafficSeries s;
    TRY(data_read_to_write(cli, &v->data, &s));
    TRY(traffic_npz_write(&s, cli->perm, v->out));
    return manifest_write(cli, v->out);
}

const Verb verb_data_import = {
    .name = "data import",
    .summary = "Reads traffic in any format and writes it as one .npz: values, times, names of nodes, unit, slot.",
    .text = "IN: files, directories and patterns; the content decides what they are.  Nothing is filled unless --fill\n"
            "says so: missing values stay missing.",
    .positional = "IN ..", .many = true, OPTIONS(import_table), .size = sizeof(ImportValues), .run = import_run,
};

// ---- export

typedef struct ExportValues { DataOptions data; const char *out, *format; int64_t row, count; } ExportValues;

static const Option export_table[] = {
    DATA_OPTIONS(ExportValues),
    {"out", OPT_TEXT, offsetof(ExportValues, out), "FILE", "file to write", 0, 0},
    {"format", OPT_TEXT, offsetof(ExportValues, format), "NAME",
     "csv, long, npy, npz, hist, repetita, paragon, paragon-load (default: by the end of FILE)", 0, 0},
    {"row", OPT_INT, offsetof(ExportValues, row), "T", "first row to write [all rows]", 0, 1e12},
    {"count", OPT_INT, offsetof(ExportValues, count), "N", "rows from there [1 with --row]", 1, 1e12},
};

static void export_defaults(void *values) { ((ExportValues *)values)->row = -1; }

static Status choose_format(const ExportValues *v, ExportFormat *f)
{
    for (int i = 0; v->format && i < EXPORT_FORMATS; i++)
        if (!strcmp(v->format, export_names[i])) {
            *f = (ExportFormat)i;
            return OK;
        }
    if (v->format)
        return USAGE_ERROR("--format: want csv, long, npy, npz, hist, repetita, paragon or paragon-load, got '%s'",
                           v->format);
    if (export_format_of(f, v->out)) return OK;
    return USAGE_ERROR("--out: want a name that ends in .csv, .long.csv, .npy, .npz, .hist or .demands, or --format, "
                       "got '%s'", v->out);
}

static Status export_run(Cli *cli, void *values)
{
    ExportValues *v = values;
    ExportFormat format;
    if (!v->out) return USAGE_ERROR("data export: wants --out FILE");
    TRY(choose_format(v, &format));
    TrafficSeries s;
    TRY(data_read_to_write(cli, &v->data, &s));
    const TrafficRange rows = {v->row < 0 ? 0 : v->row,
                               v->count ? (v->row < 0 ? 0 : v->row) + v->count : v->row < 0 ? s.T : v->row + 1};
    if (rows.end > s.T)
        return USAGE_ERROR("--row, --count: want rows inside 0..%lld, got %lld..%lld", (long long)s.T - 1,
                           (long long)rows.begin, (long long)rows.end - 1);
    TRY(traffic_series_export(&s, cli->perm, v->out, format, rows));
    return manifest_write(cli, v->out);
}

const Verb verb_data_export = {
    .name = "data export",
    .summary = "Writes a series as CSV (wide or long), .npy, .npz, .hist, REPETITA demands or Paragon files.",
    .positional = "[FILE]", OPTIONS(export_table), .size = sizeof(ExportValues), .defaults = export_defaults,
    .run = export_run,
};
