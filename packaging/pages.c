// Man pages and shell completions, from the tables that parse the command line (src/cli).
//   pages VERSION man DIR       lead.1 and lead-VERB.1, one a verb
//   pages VERSION bash|zsh|fish FILE
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/verbs.h"

static const Verb *const verbs[] = {
#define VERB_ROW(name) &verb_##name,
    VERBS(VERB_ROW)
#undef VERB_ROW
};
enum { N_VERBS = (int)(sizeof verbs / sizeof *verbs) };

static FILE *create(const char *path)
{
    FILE *f = fopen(path, "w");
    if (f) return f;
    perror(path);
    exit(1);
}

static void finish(FILE *f, const char *path)
{
    const bool lost = ferror(f);
    if (fclose(f) == 0 && !lost) return;
    perror(path);
    exit(1);
}

// ---- man pages

// Text for troff: what begins a line may be a request, a plain '-' is a hyphen.
static void man_text(FILE *out, const char *text)
{
    bool start = true;
    for (const char *p = text; *p; p++) {
        if (start && (*p == '.' || *p == '\'')) fputs("\\&", out);
        if (*p == '\\') fputs("\\e", out);
        else if (*p == '-') fputs("\\-", out);
        else fputc(*p, out);
        if (*p == '|') fputs("\\:", out);   // a list of names may be broken here
        start = *p == '\n';
    }
}

static void man_name(FILE *out, const char *verb)
{
    fputs("lead", out);
    if (!verb) return;
    fputs("\\-", out);
    for (const char *p = verb; *p; p++) fputs(*p == ' ' || *p == '-' ? "\\-" : (char[]){*p, 0}, out);
}

static void man_head(FILE *out, const char *version, const char *verb, const char *summary)
{
    fputs(".TH \"", out);
    man_name(out, verb);
    fprintf(out, "\" 1 \"\" \"lead %s\" \"Traffic matrix forecasts\"\n.ad l\n.SH NAME\n", version);
    man_name(out, verb);
    fputs(" \\- ", out);
    const size_t n = strlen(summary);   // without the full stop
    for (size_t i = 0; i < n; i++)
        if (i + 1 < n || summary[i] != '.') man_text(out, (char[]){summary[i], 0});
    fputc('\n', out);
}

typedef struct Man { FILE *out; const Verb *verb; bool keys; } Man;

static void man_row(void *ctx, const OptionRow *r)
{
    Man *m = ctx;
    if (r->part == OPTION_KEY && !m->keys) {
        fputs(".SH CONFIGURATION\nA preset gives all keys, and each can be set by itself.  In brackets: the value of ",
              m->out);
        fprintf(m->out, "%s.\n", m->verb->preset);
    }
    m->keys = r->part == OPTION_KEY;
    fputs(".TP\n\\fB\\-\\-", m->out);
    man_text(m->out, r->name);
    fputs("\\fR", m->out);
    if (r->takes_value) fprintf(m->out, " \\fI%s\\fR", r->meta ? r->meta : "VALUE");
    fputc('\n', m->out);
    man_text(m->out, r->help);
    fputc('\n', m->out);
}

static void man_verb(FILE *out, const char *version, const Verb *v)
{
    man_head(out, version, v->name, v->summary);
    fputs(".SH SYNOPSIS\n.B lead ", out);
    man_text(out, v->name);
    fputs("\n", out);
    for (int i = 0; i < 2; i++) {
        const char *place = i ? v->positional2 : v->positional;
        if (place) fprintf(out, ".I \"%s\"\n", place);
    }
    fputs("[options]\n.SH DESCRIPTION\n", out);
    man_text(out, v->summary);
    if (v->text) {
        fputs("\n.PP\n.nf\n", out);
        man_text(out, v->text);
        fputs("\n.fi", out);
    }
    fputs("\n.SH OPTIONS\n", out);
    options_each(v, man_row, &(Man){out, v, false});
    fputs(".SH SEE ALSO\n.BR lead (1)\n", out);
}

static void man_lead(FILE *out, const char *version)
{
    man_head(out, version, NULL, "forecasts network traffic matrices.");
    fputs(".SH SYNOPSIS\n.B lead\n.I VERB\n[options]\n.br\n.B lead\n.I VERB\n.B \\-\\-help\n.br\n"
          ".B lead \\-\\-version\n"
          ".SH DESCRIPTION\nlead forecasts traffic matrices, which say how much each node of a network sends to each "
          "other, and says how sure it is.\nEach verb has a page of its own: lead train is described in\n"
          ".BR lead\\-train (1).\n.SH VERBS\n", out);
    for (int i = 0; i < N_VERBS; i++) {
        fputs(".TP\n\\fB", out);
        man_text(out, verbs[i]->name);
        fputs("\\fR\n", out);
        man_text(out, verbs[i]->summary);
        fputc('\n', out);
    }
    fputs(".SH EXIT STATUS\n.TP\n0\ndone; also a training that was stopped and saved\n.TP\n1\nfailed: a file, the "
          "data, memory, or a check that did not pass\n.TP\n2\nwrong usage\n.TP\n3\nlead alarm: at least one alarm\n"
          ".SH ENVIRONMENT\n.TP\nLEAD_ISA\nhighest instruction set to use: scalar, avx2 or avx512\n.TP\n"
          "OMP_NUM_THREADS, OMP_WAIT_POLICY\nthreads, and whether they wait passively, which is the default here\n"
          ".SH FILES\n.TP\n\\&../share/lead, seen from the program\nthe models that come with it\n", out);
}

static void man_pages(const char *version, const char *dir)
{
    for (int i = -1; i < N_VERBS; i++) {
        char path[4096];
        const size_t n = (size_t)snprintf(path, sizeof path, "%s/", dir);
        snprintf(path + n, sizeof path - n, i < 0 ? "lead.1" : "lead-%s.1", i < 0 ? "" : verbs[i]->name);
        for (char *p = path + n; *p; p++)
            if (*p == ' ') *p = '-';
        FILE *f = create(path);
        if (i < 0) man_lead(f, version);
        else man_verb(f, version, verbs[i]);
        finish(f, path);
    }
}

// ---- completions

// The first word of a verb of two, or NULL; each group once, at its first verb.
static const char *group_at(int i, char word[64])
{
    const char *space = strchr(verbs[i]->name, ' ');
    if (!space) return NULL;
    const size_t n = (size_t)(space - verbs[i]->name);
    if (i && !strncmp(verbs[i - 1]->name, verbs[i]->name, n + 1)) return NULL;
    snprintf(word, 64, "%.*s", (int)n, verbs[i]->name);
    return word;
}

static bool in_group(const Verb *v, const char *group)
{
    const size_t n = strlen(group);
    return !strncmp(v->name, group, n) && v->name[n] == ' ';
}

// The words after `lead`, or those after the word of a group.
static void words(FILE *out, const char *group)
{
    char word[64];
    for (int i = 0; i < N_VERBS; i++) {
        if (group && in_group(verbs[i], group)) fprintf(out, "%s ", verbs[i]->name + strlen(group) + 1);
        if (group) continue;
        if (!strchr(verbs[i]->name, ' ')) fprintf(out, "%s ", verbs[i]->name);
        else if (group_at(i, word)) fprintf(out, "%s ", word);
    }
}

static void bash_option(void *ctx, const OptionRow *r) { fprintf(ctx, "--%s ", r->name); }

typedef struct Choices { FILE *out; const char *verb; } Choices;

static void bash_choices(void *ctx, const OptionRow *r)
{
    const Choices *c = ctx;
    if (!r->choice) return;
    fprintf(c->out, "    '%s --%s') words='", c->verb, r->name);
    for (int i = 0; r->choice[i]; i++) fprintf(c->out, "%s ", r->choice[i]);
    fputs("' ;;\n", c->out);
}

static void bash(FILE *out)
{
    char word[64];
    fputs("# bash completion for lead; made by packaging/pages.c\n_lead()\n{\n"
          "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD-1]} verb=${COMP_WORDS[1]} at=2 words=\n"
          "    COMPREPLY=()\n"
          "    [ \"$cur\" = = ] && cur= && prev=${COMP_WORDS[COMP_CWORD-1]}\n"
          "    [ \"$prev\" = = ] && prev=${COMP_WORDS[COMP_CWORD-2]}\n"
          "    case $verb in\n", out);
    for (int i = 0; i < N_VERBS; i++) {
        if (!group_at(i, word)) continue;
        fprintf(out, "    %s) at=3; [ \"$COMP_CWORD\" -gt 1 ] && words='", word);
        words(out, word);
        fputs("'; verb=\"$verb ${COMP_WORDS[2]}\" ;;\n", out);
    }
    fputs("    esac\n    if [ \"$COMP_CWORD\" -eq 1 ]; then words='", out);
    words(out, NULL);
    fputs("--help --version'\n    elif [ \"$COMP_CWORD\" -ge \"$at\" ]; then\n    words=\n"
          "    case $cur in -*) case $verb in\n", out);
    for (int i = 0; i < N_VERBS; i++) {
        fprintf(out, "    '%s') words='", verbs[i]->name);
        options_each(verbs[i], bash_option, out);
        fputs("' ;;\n", out);
    }
    fputs("    esac ;; *) case \"$verb $prev\" in\n", out);
    for (int i = 0; i < N_VERBS; i++) options_each(verbs[i], bash_choices, &(Choices){out, verbs[i]->name});
    fputs("    esac ;; esac\n    fi\n"
          "    [ -z \"$words\" ] || COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))   # none: names of files\n"
          "}\ncomplete -o default -F _lead lead\n", out);
}

// A description of _arguments, within quotes.
static void zsh_text(FILE *out, const char *text)
{
    for (const char *p = text; *p; p++) {
        if (*p == '\'') fputs("'\\''", out);
        else fprintf(out, "%s%c", strchr("[]:\\", *p) ? "\\" : "", *p == '\n' ? ' ' : *p);
    }
}

static void zsh_row(void *ctx, const OptionRow *r)
{
    fprintf(ctx, " \\\n        '--%s[", r->name);
    zsh_text(ctx, r->help);
    fputc(']', ctx);
    if (r->takes_value) {
        fprintf(ctx, ":%s:", r->meta ? r->meta : "value");
        if (!r->choice) fputs("_files", ctx);
        else fputc('(', ctx);
        for (int i = 0; r->choice && r->choice[i]; i++) fprintf(ctx, "%s%s", i ? " " : "", r->choice[i]);
        if (r->choice) fputc(')', ctx);
    }
    fputc('\'', ctx);
}

static void zsh(FILE *out)
{
    char word[64];
    fputs("#compdef lead\n# zsh completion for lead; made by packaging/pages.c\n_lead() {\n"
          "    local verb=$words[2] at=2\n    case $verb in\n", out);
    for (int i = 0; i < N_VERBS; i++) {
        if (!group_at(i, word)) continue;
        fprintf(out, "    %s) at=3; if (( CURRENT == 3 )); then compadd -- ", word);
        words(out, word);
        fputs("; return; fi; verb=\"$verb $words[3]\" ;;\n", out);
    }
    fputs("    esac\n    if (( CURRENT == 2 )); then compadd -- ", out);
    words(out, NULL);
    fputs("--help --version; return; fi\n    shift $(( at - 1 )) words\n    (( CURRENT -= at - 1 ))\n"
          "    case $verb in\n", out);
    for (int i = 0; i < N_VERBS; i++) {
        fprintf(out, "    '%s') _arguments", verbs[i]->name);
        options_each(verbs[i], zsh_row, out);
        fputs(" \\\n        '*:file:_files' ;;\n", out);
    }
    fputs("    esac\n}\n_lead \"$@\"\n", out);
}

static void fish_row(void *ctx, const OptionRow *r)
{
    const Choices *c = ctx;
    fprintf(c->out, "complete -c lead -n '__lead_verb \"%s\"' -l %s -d '", c->verb, r->name);
    for (const char *p = r->help; *p; p++)
        fprintf(c->out, "%s%c", strchr("\\'", *p) ? "\\" : "", *p == '\n' ? ' ' : *p);
    fputc('\'', c->out);
    if (r->takes_value) fputs(r->choice ? " -x -a '" : " -r", c->out);
    for (int i = 0; r->choice && r->choice[i]; i++) fprintf(c->out, "%s ", r->choice[i]);
    fputs(r->choice ? "'\n" : "\n", c->out);
}

static void fish(FILE *out)
{
    char word[64];
    fputs("# fish completion for lead; made by packaging/pages.c\nfunction __lead_verb\n"
          "    set -l w (commandline -opc)\n    set -l verb \"$w[2]\"\n    contains -- \"$verb\"", out);
    for (int i = 0; i < N_VERBS; i++)
        if (group_at(i, word)) fprintf(out, " %s", word);
    fputs("; and set verb \"$verb $w[3]\"\n    test \"$verb\" = \"$argv[1]\"\nend\n"
          "complete -c lead -f -n '__lead_verb \"\"' -a '", out);
    words(out, NULL);
    fputs("--help --version'\n", out);
    for (int i = 0; i < N_VERBS; i++) {
        if (!group_at(i, word)) continue;
        fprintf(out, "complete -c lead -f -n '__lead_verb \"%s \"' -a '", word);
        words(out, word);
        fputs("'\n", out);
    }
    for (int i = 0; i < N_VERBS; i++) options_each(verbs[i], fish_row, &(Choices){out, verbs[i]->name});
}

int main(int argc, char **argv)
{
    static const struct { const char *name; void (*write)(FILE *out); } shell[] = {
        {"bash", bash}, {"zsh", zsh}, {"fish", fish}};
    if (argc == 4 && strcmp(argv[2], "man") == 0) {
        man_pages(argv[1], argv[3]);
        return 0;
    }
    for (size_t i = 0; argc == 4 && i < sizeof shell / sizeof *shell; i++) {
        if (strcmp(argv[2], shell[i].name)) continue;
        FILE *f = create(argv[3]);
        shell[i].write(f);
        finish(f, argv[3]);
        return 0;
    }
    fprintf(stderr, "usage: pages VERSION man DIR | bash|zsh|fish FILE\n");
    return 2;
}
