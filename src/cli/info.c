// lead info: the program and this machine; lead info RUN: what a run is, what it was trained on and how good it was.
#include <math.h>
#include <omp.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/verbs.h"
#include "io/file.h"
#include "lead/fallback.h"
#include "lead/general.h"
#include "lead/record.h"
#include "nn/run_directory.h"
#include "tensor/utf8.h"

// One line of the answer; names and texts of files are made safe to show.
static void say(const char *what, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(const char *what, const char *fmt, ...)
{
    char raw[2048], safe[2 * sizeof raw];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(raw, sizeof raw, fmt, ap);
    va_end(ap);
    text_clean(safe, sizeof safe, raw, strlen(raw));
    printf("%-12s %s\n", what, safe);
}

static const char *text_of(const Json *j, const char *key, const char *otherwise)
{
    const Json *v = json_find(j, key);
    return v && v->type == JSON_STRING ? v->string : otherwise;
}

static double number_of(const Json *j, const char *key)
{
    const Json *v = json_find(j, key);
    return v && v->type == JSON_NUMBER ? v->number : NAN;
}

static const char *rows_text(TrafficRange r, Arena *a)
{
    return r.end > r.begin ? arena_printf(a, "%lld..%lld", (long long)r.begin, (long long)r.end - 1) : "none";
}

static Status say_made(const char *manifest, const char *file, Arena *a)
{
    const Json *m;
    TRY(json_parse(&m, a, manifest, strlen(manifest), file));
    say("made", "%s by lead %s, commit %s, compiler %s, device %s", text_of(m, "date", "at an unknown time"),
        text_of(m, "version", "of unrecorded version"), text_of(m, "commit", "unknown"),
        text_of(m, "compiler", "unknown"), text_of(m, "device", "unknown"));
    return OK;
}

// ---- a run of lead train

static void say_data(const LeadRecord *r, Arena *a)
{
    long long rows;
    int N, slot;
    char *list = arena_printf(a, "%s", r->nodes);
    for (char *p = list; *p; p++)
        if (*p == '\n') *p = ' ';
    say("data", "%s", *r->data_path ? r->data_path : "of unknown name");
    if (r->series && sscanf(r->series, "%lld %d %d ", &rows, &N, &slot) == 3)
        say("series", "%lld rows of %d x %d, %d s each", rows, N, N, slot);
    say("nodes", "%s", *list ? list : "without names");
    say("sha256", "%s", r->data_sha256);
}

static const char *ended_text(const Json *j, Arena *a)
{
    static const char *const why[][2] = {{"complete", "all its steps are done"}, {"patience", "no better validation"},
                                         {"time", "the time was over"}, {"asked", "it was asked to"}};
    const char *word = text_of(j, "why", "");
    for (size_t i = 0; i < sizeof why / sizeof *why; i++)
        if (strcmp(word, why[i][0]) == 0) return arena_printf(a, ", ended because %s", why[i][1]);
    return "";
}

typedef struct Log { const Json *train, *final, *calibrated; } Log;   // the last line of each kind, or NULL

static Status read_log(Log *log, const char *dir, Arena *a)
{
    const char *path = arena_printf(a, "%s/log.jsonl", dir);
    char *text;
    size_t size;
    *log = (Log){.train = NULL};
    if (file_absent(path)) return OK;
    TRY(file_read(&text, &size, a, path, (size_t)1 << 28));
    for (char *line = text, *end; (end = strchr(line, '\n')); line = end + 1) {
        const Json *j;
        if (strncmp(line, "{\"ended\"", 8) && strncmp(line, "{\"calibrated\"", 13)) continue;
        TRY(json_parse(&j, a, line, (size_t)(end - line), path));
        const Json **into = json_find(j, "calibrated")                     ? &log->calibrated
                            : strcmp(text_of(j, "ended", ""), "final") == 0 ? &log->final
                                                                            : &log->train;
        *into = j;
    }
    return OK;
}

static void say_quality(const Log *log)
{
    const double best = number_of(log->train, "best_val"), ours = number_of(log->calibrated, "crps"),
                 naive = number_of(log->calibrated, "naive_crps");
    if (isfinite(best)) say("validation", "loss %.5f at the best step", best);
    if (!isfinite(ours) || !isfinite(naive)) {
        say("accuracy", "not recorded: unfinished, not calibrated, or a run of before it was");
        return;
    }
    const char *name = text_of(log->calibrated, "naive", "unknown");
    const Json *fallback = json_find(log->calibrated, "fallback");
    say("accuracy", "CRPS %.5f on %.0f validation windows (flow / its maximum); best naive forecast, %s: %.5f", ours,
        number_of(log->calibrated, "calibrated"), name, naive);
    if (fallback && fallback->type == JSON_BOOL && fallback->boolean)
        say("", "the network is no better than that: this run forecasts as %s does", name);
    else say("", "%.1f %% %s than that", 100 * fabs(1 - ours / naive), ours < naive ? "lower" : "higher");
}

// lead eval --out RUN/eval.tsv: its first line says what was found.
static Status say_scores(const char *dir, Arena *a)
{
    const char *path = arena_printf(a, "%s/eval.tsv", dir);
    char *text;
    size_t size;
    if (file_absent(path)) return OK;
    TRY(file_read(&text, &size, a, path, (size_t)1 << 26));
    if (!strncmp(text, "# ", 2)) say("eval.tsv", "%.*s", (int)strcspn(text + 2, "\n"), text + 2);
    return OK;
}

static Status say_run(const char *dir, RunState state, Arena *a)
{
    LeadRecord r;
    Log log;
    TRY(lead_record_open(&r, a, dir));
    TRY(read_log(&log, dir, a));
    if (r.note) cli_say("note: %s", r.note);
    const bool final = r.final.end > r.final.begin;
    if (state == RUN_UNFINISHED)
        say("run", "%s: lead train, unfinished: step %lld of %lld of the %s; go on with lead train --out %s --resume",
            dir, (long long)r.step, (long long)r.total, r.in_final ? "final fit" : "training", dir);
    else say("run", "%s: lead train, finished%s", dir, final ? ", with the final fit" : ", without a final fit");
    TRY(say_made(r.manifest, r.file, a));
    say("began with", "%s", *r.start ? r.start : "nothing");
    say_data(&r, a);
    say("trained on", "rows %s, validated on rows %s%s", rows_text(r.train, a), rows_text(r.val, a),
        final ? arena_printf(a, "; final fit on rows %s", rows_text(r.final, a)) : "");
    say("steps", "best step %lld of %lld%s", (long long)r.best_step, (long long)r.total, ended_text(log.train, a));
    const char *what = r.cfg.model ? "rival_target" : "denoiser";
    say("model", "%s, %s %s, base %s, %lld parameters", config_choice(&r.cfg, "model"), r.cfg.model ? "target" : what,
        config_choice(&r.cfg, what), config_choice(&r.cfg, "base"), (long long)r.parameters);
    say("forecasts", "%d steps from %d rows, %d samples", r.cfg.horizon, r.cfg.history, r.cfg.samples);
    say_quality(&log);
    return say_scores(dir, a);
}

// ---- other things that --model and --out name

static Status say_general(const char *file, Arena *a, Arena *scratch)
{
    SafeFile f;
    const char *manifest;
    LeadConfig cfg;
    int calls;
    TRY(lead_general_config(&cfg, &calls, file, scratch));
    TRY(checkpoint_open(&f, a, file));
    Status s = checkpoint_meta(&f, "lead.manifest", &manifest);
    say("weights", "%s: lead pretrain, for any network of nodes; trained on synthetic traffic", file);
    if (calls) say("distilled", "draws a sample in %d network call%s", calls, calls > 1 ? "s" : "");
    if (!s.code) s = say_made(manifest, file, a);
    safetensors_close(&f);
    return s;
}

static Status say_gpt2(const SafeFile *f, const char *dir, Arena *a)
{
    const char *step, *manifest;
    TRY(checkpoint_meta(f, "gpt2.step", &step));
    TRY(checkpoint_meta(f, "gpt2.manifest", &manifest));
    say("run", "%s: lead gpt2 train, at step %s; an unfinished one goes on with lead gpt2 train --out %s --resume", dir,
        step, dir);
    return say_made(manifest, f->path, a);
}

static Status say_directory(const char *dir, Arena *a)
{
    static const char *const names[] = {RUN_CHECKPOINT};
    RunState state;
    TRY(run_directory_state(dir, &state, a));
    if (state == RUN_NONE) return ERROR("%s: want a run directory of lead train, or weights of lead pretrain", dir);
    SafeFile f;
    const bool has = state == RUN_UNFINISHED && !run_directory_read(&f, a, dir, names, 1).code;
    const bool gpt2 = has && safetensors_meta(&f, "gpt2.step");
    const Status s = gpt2 ? say_gpt2(&f, dir, a) : OK;
    if (has) safetensors_close(&f);
    return gpt2 ? s : say_run(dir, state, a);
}

static Status run(Cli *cli, void *values)
{
    (void)values;
    const char *path = cli->positional;
    struct stat st;
    if (!path) {
        printf("%s", manifest_json(cli, cli->perm));
        printf("cpu instruction sets: %s; device: %s; threads: %d\n", isa_name(isa_detect()), cli->device.name,
               omp_get_max_threads());
        return OK;
    }
    if (strcmp(path, "pretrained") == 0) path = file_bundled(GENERAL_BUNDLED, cli->perm);
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) return say_general(path, cli->perm, cli->scratch);
    return say_directory(path, cli->perm);
}

const Verb verb_info = {
    .name = "info", .summary = "Prints version, compiler, instruction sets, threads; of a RUN what it is and how good.",
    .positional = "[RUN]",
    .text = "RUN: a run directory of lead train; `pretrained`, or a file of lead pretrain.",
    .run = run, .looks = true,
};
