// lead impute
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/impute_lead.h"
#include "cli/paths.h"
#include "cli/verbs.h"
#include "io/file.h"
#include "traffic/impute.h"

typedef struct Values {
    DataOptions data;
    const char *out, *method, *quantiles, *model;
    int64_t rows, hidden, rounds, window, seed, percent;
    bool score;
} Values;

#define AT(field) offsetof(Values, field)
static const Option table[] = {
    DATA_OPTIONS(Values),
    {"out", OPT_TEXT, AT(out), "FILE", "series to write, FILE.npz: the data with the means in it, and the quantiles", 0,
     0},
    {"method", OPT_TEXT, AT(method), "NAME", 
     "last, seasonal, lds, lds-dropout or lead [lds; with --score all of them]", 0, 0},
    {"model", OPT_TEXT, AT(model), "FILE", "lead: weights of lead pretrain [those that come with the program]", 0, 0},
    {"quantiles", OPT_TEXT, AT(quantiles), "LIST", "quantile levels to write, 0.01 .. 0.99 [0.05,0.25,0.5,0.75,0.95]",
     0, 0},
    {"rows", OPT_INT, AT(rows), "N", "add rows for slots that the file lacks, in gaps of at most N slots [a day]", 0,
     1e6},
    {"hidden", OPT_INT, AT(hidden), "K", "lds: hidden values of the system of all flows [8]", 1, 16},
    {"rounds", OPT_INT, AT(rounds), "N", "lds: rounds of EM [15]", 1, 1000},
    {"window", OPT_INT, AT(window), "ROWS", "lds: rows that a system is fitted to, and an eighth on each side [4032]",
     64, 1e6},
    {"score", OPT_FLAG, AT(score), NULL, "fill nothing: hide known values, fill those, print errors (TSV)", 0, 0},
    {"percent", OPT_INT, AT(percent), "P", "with --score: of the first P per cent of the rows [100]", 1, 100},
    {"seed", OPT_INT, AT(seed), "N", "with --score: seed of the outages [1]", 0, 9e15},
};

static void defaults(void *values)
{
    const ImputeOptions o = impute_defaults();
    *(Values *)values = (Values){.quantiles = "0.05,0.25,0.5,0.75,0.95", .rows = -1, .hidden = o.hidden,
                                 .rounds = o.rounds, .window = o.window, .seed = 1, .percent = 100};
}

static Status choose_method(const Values *v, ImputeMethod *m)
{
    for (int i = 0; v->method && i < IMPUTE_METHODS; i++)
        if (!strcmp(v->method, impute_names[i])) {
            *m = (ImputeMethod)i;
            return OK;
        }
    return v->method ? USAGE_ERROR("--method: want last, seasonal, lds, lds-dropout or lead, got '%s'", v->method) : OK;
}

// Weights that are fitted to no network: a run could not be fitted to the series run backwards.
static Status choose_weights(Cli *cli, const Values *v, ImputeOptions *o, ImputeLeadArg *lead)
{
    const RunOptions run = {.model = v->model};
    if (v->model && v->method && o->method != IMPUTE_LEAD) return USAGE_ERROR("--model: wants --method lead");
    TRY(run_is_general(cli, &run, &lead->file));
    if (!lead->file)
        return ERROR("--model %s: want a file of lead pretrain, whose weights can be fitted to the series run "
                     "backwards too", v->model);
    o->lead = impute_by_lead;
    o->lead_arg = lead;
    return OK;
}

static Status read_levels(const Values *v, double *q, int *n)
{
    TRY(paths_parse_levels(v->quantiles, "quantiles", q, n));
    for (int i = 0; i < *n; i++)
        if (q[i] < 0.01 || q[i] > 0.99)
            return USAGE_ERROR("--quantiles: want levels in 0.01 .. 0.99, got %g", q[i]);
    return OK;
}

// ---- scores

static Status print_scores(Cli *cli, const TrafficSeries *s, ImputeOptions o, const Values *v)
{
    printf("outage\tmethod\tvalues\trmse\tmae\tcrps\tcover50\tcover90\trmse_kbps\tseconds\n");
    for (int kind = 0; kind < OUTAGE_KINDS; kind++)
        for (int m = 0; m < IMPUTE_METHODS; m++) {
            if (v->method && m != (int)o.method) continue;
            ImputeOptions now = o;
            now.method = (ImputeMethod)m;
            ImputeScore r;
            TRY(impute_score(&r, cli->perm, s, &now, (OutageKind)kind, (uint64_t)v->seed));
            printf("%s\t%s\t%lld\t%.5f\t%.5f\t%.5f\t%.4f\t%.4f\t%.6g\t%.1f\n", outage_names[kind], impute_names[m],
                   (long long)r.values, r.rmse, r.mae, r.crps, r.cover50, r.cover90, r.rmse_kbps, r.seconds);
            fflush(stdout);
        }
    return OK;
}

// ---- filling

static int64_t count_known(const TrafficSeries *s)
{
    int64_t n = 0;
    for (int64_t k = 0; k < s->T * s->N * s->N; k++) n += !isnan(s->x[k]);
    return n;
}

// The flows without any value, by name, the first few.
static void say_left(Cli *cli, const TrafficSeries *s, int64_t left)
{
    enum { SHOWN = 5 };
    const int64_t F = (int64_t)s->N * s->N;
    const size_t mark = arena_mark(cli->scratch);
    int64_t n = 0;
    TextWriter list;
    text_open(&list, cli->scratch);
    for (int64_t f = 0; f < F; f++) {
        int64_t t = 0;
        while (t < s->T && isnan(s->x[t * F + f])) t++;
        if (t < s->T || n++ >= SHOWN) continue;
        fputs(n > 1 ? ", " : "", list.f);
        traffic_node_put(list.f, s, f / s->N);
        fputs("->", list.f);
        traffic_node_put(list.f, s, f % s->N);
    }
    cli_say("%s: %lld values stay missing: %lld flows were never measured (%s%s)", cli->verb->name, (long long)left,
            (long long)n, text_close(&list), n > SHOWN ? ", .." : "");
    arena_rewind(cli->scratch, mark);
}

static Status fill(Cli *cli, TrafficSeries *s, const ImputeOptions *o, const Values *v)
{
    Imputation m;
    TRY(traffic_impute(&m, cli->perm, s, o));
    if (!m.n && !m.left) cli_say("impute: no value is missing; %s gets the data as they are", v->out);
    if (m.n) cli_say("impute: %lld values filled by %s", (long long)m.n, impute_names[o->method]);
    if (m.n && o->method == IMPUTE_LDS_DROPOUT)
        cli_say("impute: a hole begins with probability 1 / (1 + exp(%.3g %+.3g asinh(x / mean))), mean of %d windows",
                -m.a, -m.b, m.windows);
    if (m.left) say_left(cli, s, m.left);
    if (s->n_runs > 1) cli_say("impute: %lld longer gaps stay (--rows N)", (long long)s->n_runs - 1);
    TRY(impute_write(s, cli->perm, v->out, &m, o));
    return manifest_write(cli, v->out);
}

static void keep_first(TrafficSeries *s, int64_t T)
{
    s->T = T;
    while (s->n_runs > 1 && s->runs[s->n_runs - 1].begin >= T) s->n_runs--;
    s->runs[s->n_runs - 1].end = T;
}

static Status run(Cli *cli, void *values)
{
    Values *v = values;
    ImputeOptions o = impute_defaults();
    double q[PATHS_LEVELS];
    ImputeLeadArg lead = {.cli = cli};
    if (v->score && v->out) return USAGE_ERROR("--score: fills nothing and prints to stdout; wants no --out");
    if (!v->score && !v->out) return USAGE_ERROR("impute: wants --out FILE.npz, or --score");
    TRY(choose_method(v, &o.method));
    TRY(choose_weights(cli, v, &o, &lead));
    TRY(read_levels(v, q, &o.levels));
    o.level = q;
    o.hidden = (int)v->hidden;
    o.rounds = (int)v->rounds;
    o.window = v->window;
    TrafficSeries read, s;
    if (v->out) TRY(file_try(v->out));      // before the long work
    TRY(data_read_to_write(cli, &v->data, &read));
    int64_t added;
    TRY(impute_open(&s, cli->perm, &read, v->rows < 0 ? traffic_slots_per_day(&read) : v->rows, &added));
    if (added) cli_say("impute: %lld rows added for slots that the data lack", (long long)added);
    if (v->score) keep_first(&s, s.T * v->percent / 100);
    if (s.T < 2 || !count_known(&s))
        return ERROR("%s: want measured values, got none", v->data.data ? v->data.data : cli->positional);
    if (!v->score) return fill(cli, &s, &o, v);
    return print_scores(cli, &s, o, v);
}

const Verb verb_impute = {
    .name = "impute",
    .summary = "Fills missing values with means and quantiles, or scores that on outages that it makes.",
    .text = "A filled value knows what came after it: fill to look back, not before a forecast is scored.  A verb\n"
            "that reads the written file takes filled values as measured; its arrays imputed (row, source,\n"
            "destination), imputed_quantiles and imputed_levels say which they are.  Suspicious snapshots are taken\n"
            "as measured; --invalid has rows filled.  Without --fill the simpler filling of other verbs is off.",
    .positional = "[FILE]", OPTIONS(table), .size = sizeof(Values), .defaults = defaults, .run = run,
};
