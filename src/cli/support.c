// Code that the verbs share: manifest, progress bar.
#include <errno.h>
#include <math.h>
#include <omp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "io/file.h"
#include "nn/run_directory.h"
#include "tensor/clock.h"
#include "tensor/utf8.h"

#ifndef LEAD_COMMIT
#define LEAD_COMMIT "unknown"
#endif
#ifndef LEAD_SOURCES
#define LEAD_SOURCES "unknown"
#endif
#ifndef LEAD_FLAGS
#define LEAD_FLAGS ""
#endif

#ifndef LEAD_VERSION
#define LEAD_VERSION "unknown"
#endif

const char *cli_version(void) { return "lead " LEAD_VERSION " (commit " LEAD_COMMIT ")"; }

void manifest_put(const Cli *cli, JsonWriter *w, const char *key)
{
    json_object(w, key);
    json_string(w, "program", "lead");
    json_string(w, "verb", cli->verb->name);
    json_string(w, "version", LEAD_VERSION);
    json_string(w, "commit", LEAD_COMMIT);
    json_string(w, "compiler", __VERSION__);
    json_string(w, "flags", LEAD_FLAGS);
    json_string(w, "device", cli->device.name);
    json_int(w, "threads", omp_get_max_threads());
    char when[40];
    const time_t now = time(NULL);
    struct tm tm;
    gmtime_r(&now, &tm);
    strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &tm);
    json_string(w, "date", when);
    if (cli->positional) json_string(w, "argument", cli->positional);
    json_object(w, "options");
    for (int i = 0; i < cli->n_options; i++) {
        const Option *o = &cli->option[i];
        const void *at = (const char *)cli->values + o->offset;
        if (o->type == OPT_FLAG) json_bool(w, o->name, *(const bool *)at);
        else if (o->type == OPT_INT) json_int(w, o->name, *(const int64_t *)at);
        else if (o->type == OPT_NUMBER) json_double(w, o->name, *(const double *)at);
        else if (*(const char *const *)at) json_string(w, o->name, *(const char *const *)at);
    }
    json_end(w);
    if (cli->verb->preset) {
        json_string(w, "config_name", cli->config_name);
        config_write_json(&cli->config, w, "config");
    }
    json_end(w);
}

const char *manifest_json(const Cli *cli, Arena *a)
{
    JsonWriter w = json_writer(a, 1);
    manifest_put(cli, &w, NULL);
    return json_text(&w, NULL);
}

const char *cli_sources(void) { return LEAD_SOURCES; }

Status manifest_write(const Cli *cli, const char *path)
{
    struct stat sb;   // stdout, a device, a pipe: nothing to put it beside
    if (strcmp(path, "-") == 0 || (stat(path, &sb) == 0 && !S_ISREG(sb.st_mode))) return OK;
    const char *text = manifest_json(cli, cli->perm);
    return file_write(arena_printf(cli->perm, "%s.manifest.json", path), text, strlen(text));
}

// ---- messages

void cli_say(const char *fmt, ...)
{
    char raw[4096], safe[2 * sizeof raw];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(raw, sizeof raw, fmt, ap);
    va_end(ap);
    text_clean(safe, sizeof safe, raw, strlen(raw));
    fprintf(stderr, "%s\n", safe);
}

// ---- outputs that would take the place of an input

// Whether path is the file sb.  Error: it cannot be looked up: it might be.
static Status is_file(bool *same, const char *path, const struct stat *sb)
{
    struct stat other;
    const bool there = stat(path, &other) == 0;
    const bool absent = errno == ENOENT || errno == ENOTDIR || errno == ENAMETOOLONG || errno == EACCES;
    if (!there && !absent) return ERROR("%s: cannot look: %s", path, strerror(errno));
    *same |= there && other.st_dev == sb->st_dev && other.st_ino == sb->st_ino;
    return OK;
}

// Whether `text`, or a part of it after a comma or an equals sign, names the file sb.
static Status names_file(bool *same, const char *text, const struct stat *sb, Arena *a)
{
    char *save, *list = arena_printf(a, "%s", text);
    *same = false;
    TRY(is_file(same, text, sb));
    for (char *p = strtok_r(list, ",", &save); p && !*same; p = strtok_r(NULL, ",", &save)) {
        const char *path = strchr(p, '=');
        TRY(is_file(same, path ? path + 1 : p, sb));
    }
    return OK;
}

// The files that come with the data: times.npy.
static const char *times_beside(const char *data, Arena *a)
{
    const char *slash = strrchr(data, '/');
    return arena_printf(a, "%.*stimes.npy", slash ? (int)(slash + 1 - data) : 0, data);
}

// --paths is written by lead forecast alone.
static bool is_output(const Cli *cli, const char *option)
{
    static const char *const names[] = {"out", "png", "windows-out", "routing-out", "report"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(option, names[i]) == 0) return true;
    return !strcmp(option, "paths") && !strcmp(cli->verb->name, "forecast");
}

static const char *text_of(const Cli *cli, int i)
{
    const Option *o = &cli->option[i];
    const void *at = (const char *)cli->values + o->offset;
    return o->type == OPT_TEXT || o->type == OPT_LIST ? *(const char *const *)at : NULL;
}

// Error: the file of option `name` is an input of the verb, another output, or weights.
static Status check_output(const Cli *cli, const char *name, const char *path, Arena *a)
{
    struct stat sb;
    bool same;
    for (int i = 0; i < cli->n_options; i++) {
        const char *other = text_of(cli, i);
        if (other && strcmp(cli->option[i].name, name) && is_output(cli, cli->option[i].name) && !strcmp(other, path))
            return USAGE_ERROR("--%s %s: is --%s too; want another", name, path, cli->option[i].name);
    }
    if (stat(path, &sb)) {
        const bool absent = errno == ENOENT || errno == ENOTDIR;   // another error: file_open says it
        return absent || errno == EACCES || errno == ENAMETOOLONG ? OK : ERROR("%s: cannot look: %s", path,
                                                                                strerror(errno));
    }
    if (!S_ISREG(sb.st_mode)) return OK;
    for (int i = 0; i < cli->n_options; i++) {
        const char *other = text_of(cli, i);
        if (!other || strcmp(cli->option[i].name, name) == 0) continue;
        TRY(names_file(&same, other, &sb, a));
        if (same)
            return USAGE_ERROR("--%s %s: is the file of --%s; want another", name, path, cli->option[i].name);
        if (strcmp(cli->option[i].name, "data")) continue;
        TRY(names_file(&same, times_beside(other, a), &sb, a));
        if (same) return USAGE_ERROR("--%s %s: holds the times of --data; want another", name, path);
    }
    const int words = cli->n_paths ? cli->n_paths : cli->positional != NULL;
    for (int i = 0; i < words; i++) {
        TRY(names_file(&same, cli->n_paths ? cli->paths[i] : cli->positional, &sb, a));
        if (same) return USAGE_ERROR("--%s %s: is the file that is read; want another", name, path);
    }
    char resolved[PATH_MAX];
    const char *base = realpath(path, resolved) ? strrchr(resolved, '/') : NULL;
    if (base && strstr(base, ".safetensors")) return USAGE_ERROR("--%s %s: holds weights; want another", name, path);
    if (!base || (strcmp(base, "/log.jsonl") && strcmp(base, "/config.json"))) return OK;
    RunState state;
    TRY(run_directory_state(arena_printf(a, "%.*s", (int)(base - resolved), resolved), &state, a));
    return state == RUN_NONE ? OK : USAGE_ERROR("--%s %s: belongs to a run; want another", name, path);
}

Status outputs_check(const Cli *cli, const char *manifest)
{
    for (int i = 0; i < cli->n_options; i++) {
        const char *path = text_of(cli, i);
        if (path && is_output(cli, cli->option[i].name)) TRY(check_output(cli, cli->option[i].name, path, cli->perm));
    }
    return manifest ? check_output(cli, "manifest", manifest, cli->perm) : OK;
}

// ---- progress

Progress progress_new(void) { return (Progress){.last = -1e9, .tty = isatty(2)}; }

void progress_show(Progress *p, int64_t done, int64_t total, double eta, const char *text, bool force)
{
    const double now = clock_seconds(), every = p->tty ? 0.2 : 10;
    if (!force && now - p->last < every) return;
    p->last = now;
    enum { WIDTH = 24 };
    char bar[WIDTH + 1];
    const int full = total > 0 ? (int)(WIDTH * done / total) : 0;
    for (int i = 0; i < WIDTH; i++) bar[i] = i < full ? '#' : '.';
    bar[WIDTH] = 0;
    const long long left = eta > 0 && eta < 1e9 ? (long long)(eta + 0.5) : 0;
    char when[32] = "--";
    if (isfinite(eta)) snprintf(when, sizeof when, "%lld:%02lld", left / 60, left % 60);
    fprintf(stderr, "%s[%s] %lld/%lld  %s  ETA %s%s", p->tty ? "\r" : "", bar, (long long)done, (long long)total, text,
            when, p->tty ? "\033[K" : "\n");
    if (p->tty && done == total) fputc('\n', stderr);
    fflush(stderr);
}
