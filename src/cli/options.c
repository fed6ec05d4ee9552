#include "cli/cli.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "io/file.h"

static const Option common_table[] = {
    {"help", OPT_FLAG, offsetof(CommonOptions, help), NULL, "this text (also -h, anywhere)", 0, 0},
    {"version", OPT_FLAG, offsetof(CommonOptions, version), NULL, "print the version and end", 0, 0},
    {"threads", OPT_INT, offsetof(CommonOptions, threads), "N", "worker threads (default: one per core)", 1, 1024},
    {"device", OPT_TEXT, offsetof(CommonOptions, device), "DEVICE", "cpu, or cuda (build/lead-cuda only) [cpu]", 0, 0},
    {"math", OPT_TEXT, offsetof(CommonOptions, math), "KIND",
     "type of the factors in matrix products of --device cuda: fp32, tf32 or bf16; sums are f32 [fp32]", 0, 0},
    {"no-graph", OPT_FLAG, offsetof(CommonOptions, no_graph), NULL,
     "with --device cuda, launch kernels one by one instead of as recorded steps: slower, for debugging", 0, 0},
    {"isa", OPT_TEXT, offsetof(CommonOptions, isa), "SET",
     "highest instruction set to use: scalar, avx2 or avx512 (also: LEAD_ISA)", 0, 0},
    {"exact", OPT_FLAG, offsetof(CommonOptions, exact), NULL,
     "compute convolutions as plain sums of products, not by Winograd's algorithm: slower, half the error", 0, 0},
    {"manifest", OPT_TEXT, offsetof(CommonOptions, manifest), "FILE",
     "write how the output was made (options, commit, device) to FILE, as JSON", 0, 0},
};
enum { N_COMMON = (int)(sizeof common_table / sizeof *common_table) };

bool options_ask_help(int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) return true;
    return false;
}

static bool same_name(const char *option, const char *given, size_t len)
{
    if (strlen(option) != len) return false;
    for (size_t i = 0; i < len; i++)
        if (option[i] != given[i] && !(option[i] == '_' && given[i] == '-')) return false;
    return true;
}

static Status set_value(const Option *o, void *values, const char *text, Arena *a)
{
    void *at = (char *)values + o->offset;
    if (o->type == OPT_TEXT || o->type == OPT_LIST) {
        const char **list = at;
        *list = o->type == OPT_LIST && *list ? arena_printf(a, "%s,%s", *list, text) : text;
        return OK;
    }
    char *end;
    errno = 0;
    const double v = strtod(text, &end);
    const bool whole = o->type == OPT_NUMBER || v == floor(v);
    if (!*text || *end || errno || !(v >= o->min && v <= o->max) || !whole)
        return USAGE_ERROR("--%s: want %s in %.10g..%.10g, got '%s'", o->name,
                           o->type == OPT_NUMBER ? "a number" : "an integer", o->min, o->max, text);
    if (o->type == OPT_NUMBER) *(double *)at = v;
    else *(int64_t *)at = (int64_t)v;
    return OK;
}

static Status read_config_file(LeadConfig *c, const char *path, Arena *a)
{
    const Json *root;
    TRY(json_read(&root, a, path, 1 << 20));
    return config_read_json(c, root, path);
}

typedef struct Given { const char *name; size_t len; const char *value; } Given;

// Splits "--name=value" or "--name value"; flags take no value.
static Status next_option(int argc, char **argv, int *i, bool flag, Given *g)
{
    const char *eq = strchr(argv[*i], '=');
    g->name = argv[*i] + 2;
    g->len = eq ? (size_t)(eq - g->name) : strlen(g->name);
    g->value = eq ? eq + 1 : NULL;
    if (flag) return g->value ? USAGE_ERROR("--%.*s: takes no value", (int)g->len, g->name) : OK;
    if (!g->value) {
        if (*i + 1 >= argc) return USAGE_ERROR("--%.*s: wants a value", (int)g->len, g->name);
        g->value = argv[++*i];
    }
    return OK;
}

static const Option *find_option(const Option *table, int n, const char *name, size_t len)
{
    for (int i = 0; i < n; i++)
        if (same_name(table[i].name, name, len)) return &table[i];
    return NULL;
}

static bool is_config_key(const char *name, size_t len)
{
    int n;
    const ConfigKey *k = config_keys(&n);
    for (int i = 0; i < n; i++)
        if (same_name(k[i].name, name, len)) return true;
    return false;
}

// The order of the arguments does not matter: pass 0 reads the preset and the verb's own options, pass 1 the
// model, pass 2 the file, pass 3 single keys.
enum { PASSES = 4 };

// What an option says about the configuration.
static Status set_config(Cli *cli, LeadConfig *c, const Given *g, int pass)
{
    if (same_name("config", g->name, g->len)) return pass == 0 ? config_preset(c, g->value) : OK;
    if (same_name("config-file", g->name, g->len)) return pass == 2 ? read_config_file(c, g->value, cli->perm) : OK;
    if (pass == 1 && same_name("model", g->name, g->len)) return config_model(c, g->value);
    if (pass != 3 || !is_config_key(g->name, g->len)) return OK;
    return config_set(c, arena_printf(cli->perm, "%.*s", (int)g->len, g->name), g->value);
}

// One option, from argv[*i] on: *o is its row in a table, NULL when it is about the configuration; *own: in the verb's.
static Status read_option(const Verb *v, int argc, char **argv, int *i, const Option **o, bool *own, Given *g)
{
    const char *name = argv[*i] + 2;
    const size_t len = strcspn(name, "=");
    *o = find_option(v->option, v->n_options, name, len);
    *own = *o != NULL;
    if (!*o) *o = find_option(common_table, N_COMMON, name, len);
    const bool config = same_name("config", name, len) || same_name("config-file", name, len) ||
                        is_config_key(name, len);
    if (!*o && !(v->preset && config))
        return USAGE_ERROR("unknown option --%.*s; lead %s --help lists them", (int)len, name, v->name);
    return next_option(argc, argv, i, *o && (*o)->type == OPT_FLAG, g);
}

static Status parse_one(Cli *cli, const Verb *v, int argc, char **argv, int *i, CommonOptions *common, void *values,
                        int pass)
{
    const Option *o;
    bool own;
    Given g;
    TRY(read_option(v, argc, argv, i, &o, &own, &g));
    if (!o && pass == 0 && same_name("config", g.name, g.len)) cli->config_name = g.value;
    if (!o) return set_config(cli, &cli->config, &g, pass);
    void *into = own ? values : (void *)common;
    if (pass) return OK;
    if (o->type == OPT_FLAG) *(bool *)((char *)into + o->offset) = true;
    return o->type == OPT_FLAG ? OK : set_value(o, into, g.value, cli->perm);
}

Status options_config(Cli *cli, LeadConfig *c, bool preset)
{
    for (int pass = preset ? 0 : 1; pass < PASSES; pass++)
        for (int i = 0; i < cli->argc; i++) {
            const Option *o;
            bool own;
            Given g;
            if (strncmp(cli->argv[i], "--", 2) || !cli->argv[i][2]) continue;
            TRY(read_option(cli->verb, cli->argc, cli->argv, &i, &o, &own, &g));
            if (!o) TRY(set_config(cli, c, &g, pass));
        }
    return OK;
}

Status options_parse(Cli *cli, const Verb *v, int argc, char **argv, CommonOptions *common, void *values)
{
    cli->argc = argc;
    cli->argv = argv;
    if (v->preset && !cli->config_name) {
        cli->config_name = v->preset;
        TRY(config_preset(&cli->config, cli->config_name));
    }
    for (int pass = 0; pass < PASSES; pass++)
        for (int i = 0; i < argc; i++) {
            if (strncmp(argv[i], "--", 2) == 0 && argv[i][2]) {
                TRY(parse_one(cli, v, argc, argv, &i, common, values, pass));
                continue;
            }
            if (pass) continue;
            if (v->many) {
                if (!cli->paths) cli->paths = arena_alloc(cli->perm, (size_t)argc * sizeof *cli->paths);
                cli->paths[cli->n_paths++] = argv[i];
                if (cli->positional) continue;
            }
            const char **place = v->positional && !cli->positional    ? &cli->positional
                                 : v->positional2 && !cli->positional2 ? &cli->positional2
                                                                       : NULL;
            if (!place) return USAGE_ERROR("%s: unexpected argument '%s'", v->name, argv[i]);
            *place = argv[i];
        }
    return OK;
}

// ---- what the command that began a run said

// options_parse has found the arguments right.
static bool is_given(const Cli *cli, const char *name)
{
    for (int i = 0; i < cli->argc; i++) {
        const Option *o;
        bool own;
        Given g;
        if (strncmp(cli->argv[i], "--", 2) || !cli->argv[i][2]) continue;
        if (read_option(cli->verb, cli->argc, cli->argv, &i, &o, &own, &g).code) return false;
        if (same_name(name, g.name, g.len)) return true;
    }
    return false;
}

static bool is_listed(const char *const *list, const char *name)
{
    while (*list && strcmp(*list, name)) list++;
    return *list != NULL;
}

static Status recall(const Option *o, void *values, const Json *then, const char *where, Arena *a)
{
    void *at = (char *)values + o->offset;
    const bool text = o->type == OPT_TEXT || o->type == OPT_LIST;
    // what was not given then is the default, which may lie outside the option's range
    if (o->type == OPT_NUMBER && then->type == JSON_NUMBER && then->number == *(double *)at) return OK;
    if (o->type == OPT_INT && then->type == JSON_NUMBER && then->is_int && then->n == *(int64_t *)at) return OK;
    if (o->type == OPT_FLAG && then->type == JSON_BOOL) *(bool *)at = then->boolean;
    else if (text && then->type == JSON_STRING) *(const char **)at = arena_printf(a, "%s", then->string);
    else if (o->type == OPT_NUMBER && then->type == JSON_NUMBER && then->number >= o->min && then->number <= o->max)
        *(double *)at = then->number;
    else if (o->type == OPT_INT && then->type == JSON_NUMBER && then->is_int && then->number >= o->min &&
             then->number <= o->max)
        *(int64_t *)at = then->n;
    else return ERROR("%s: --%s of the command that began the run: got %s", where, o->name, json_describe(then).s);
    return OK;
}

Status options_recall(Cli *cli, void *values, const char *manifest, const char *const *except, const char *where)
{
    const Json *root;
    TRY(json_parse(&root, cli->perm, manifest, strlen(manifest), where));
    const Json *options = json_find(root, "options");
    for (int i = 0; i < cli->verb->n_options; i++) {
        const Option *o = &cli->verb->option[i];
        const Json *then = json_find(options, o->name);
        if (then && !is_listed(except, o->name) && !is_given(cli, o->name))
            TRY(recall(o, values, then, where, cli->perm));
    }
    return OK;
}

// ---- help

static void each(const Option *table, int n, OptionPart part, void (*row)(void *ctx, const OptionRow *r), void *ctx)
{
    for (int i = 0; i < n; i++)
        row(ctx, &(OptionRow){part, table[i].name, table[i].meta, table[i].help, table[i].type != OPT_FLAG, NULL});
}

// The name of a key as an option: '-' for '_'.
static const char *dashes(char *to, size_t size, const char *name)
{
    snprintf(to, size, "%s", name);
    for (char *p = to; *p; p++)
        if (*p == '_') *p = '-';
    return to;
}

static void each_key(const char *preset, void (*row)(void *ctx, const OptionRow *r), void *ctx)
{
    LeadConfig c;
    int n;
    const ConfigKey *k = config_keys(&n);
    const Status s = config_preset(&c, preset);
    CHECK(!s.code, "preset %s: %s", preset, s.msg);
    for (int i = 0; i < n; i++) {
        char text[1100], line[1400], name[80], names[256] = "";
        for (int j = 0; k[i].choice && k[i].choice[j]; j++) {
            const size_t at = strlen(names);
            snprintf(names + at, sizeof names - at, "%s%s", j ? "|" : ": ", k[i].choice[j]);
        }
        snprintf(line, sizeof line, "%s%s [%s]", k[i].help, names, config_text(&c, &k[i], text));
        row(ctx, &(OptionRow){OPTION_KEY, dashes(name, sizeof name, k[i].name), NULL, line, true, k[i].choice});
    }
}

void options_each(const Verb *v, void (*row)(void *ctx, const OptionRow *r), void *ctx)
{
    static const char *const presets[] = {"small", "image", "paper", "pretrained", "demo", "tiny", NULL};
    each(v->option, v->n_options, OPTION_OWN, row, ctx);
    each(common_table, N_COMMON, OPTION_COMMON, row, ctx);
    if (!v->preset) return;
    row(ctx, &(OptionRow){OPTION_KEY, "config", "NAME", "small, image, paper, pretrained, demo or tiny", true,
                          presets});
    row(ctx, &(OptionRow){OPTION_KEY, "config-file", "FILE", "a JSON object of keys", true, NULL});
    each_key(v->preset, row, ctx);
}

typedef struct Help { FILE *out; const char *preset; bool keys; } Help;

static void help_row(void *ctx, const OptionRow *r)
{
    Help *h = ctx;
    char left[80];
    if (r->part == OPTION_KEY && !h->keys)
        fprintf(h->out, "\nconfiguration (--config gives all, each key can be set by itself; value of `%s` in "
                "brackets):\n", h->preset);
    h->keys = r->part == OPTION_KEY;
    snprintf(left, sizeof left, "--%s%s%s", r->name, r->meta ? " " : "", r->meta ? r->meta : "");
    fprintf(h->out, "  %-24s %s\n", left, r->help);
}

void options_help(const Verb *v, FILE *out)
{
    fprintf(out, "usage: lead %s%s%s%s%s [options]\n\n%s\n", v->name, v->positional ? " " : "",
            v->positional ? v->positional : "", v->positional2 ? " " : "", v->positional2 ? v->positional2 : "",
            v->summary);
    if (v->text) fprintf(out, "%s\n", v->text);
    fprintf(out, "\noptions:\n");
    options_each(v, help_row, &(Help){out, v->preset, false});
}
