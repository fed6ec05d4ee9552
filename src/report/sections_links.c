// The sections of a report about links: their loads under the forecast, and what failures do to them.
#include <math.h>
#include <stdlib.h>

#include "report/page.h"

// ---- loads

static int by_high(const void *p, const void *q)
{
    const ReportFullest *a = p, *b = q;
    return a->high < b->high ? 1 : a->high > b->high ? -1 : a->link - b->link;
}

ReportFullest *report_fullest(const ReportLinks *l, Arena *a)
{
    ReportFullest *f = arena_alloc(a, (size_t)l->t->L * sizeof *f);
    for (int i = 0; i < l->t->L; i++) {
        const double c = l->t->link[i].capacity_kbps;
        f[i] = (ReportFullest){i, 0, -1};
        for (int k = 0; k < l->steps; k++) {
            const double q = l->step[k].link[i].quantile[REPORT_HIGH];
            if (q > f[i].high) f[i].high = q, f[i].step = k;
        }
        f[i].high = c > 0 ? f[i].high / c : 1e-30 * f[i].high;     // unknown: behind all others
    }
    qsort(f, (size_t)l->t->L, sizeof *f, by_high);
    return f;
}

static const char *above_heads(Arena *a, const LoadOptions *o)
{
    const char *text = "";
    for (int i = 0; i < o->thresholds; i++) text = arena_printf(a, "%s|P > %g %%", text, 100 * o->above[i]);
    return text;
}

static void link_row(Page *p, const ReportLinks *l, const ReportFullest *f, RateUnit u, double top)
{
    const TopologyLink *link = &l->t->link[f->link];
    const LoadSummary *s = &l->step[f->step].link[f->link];
    const double c = link->capacity_kbps, percent = c > 0 ? 100 / c : NAN;
    page_row(p, false);
    page_word(p, link->name);
    page_word(p, l->time[f->step]);
    page_rate(p, u, c > 0 ? c : NAN);
    page_rate(p, u, s->mean);
    page_number(p, 1, s->quantile[0] * percent);
    page_number(p, 1, s->quantile[REPORT_MEDIAN] * percent);
    page_number(p, 1, s->quantile[REPORT_HIGH] * percent);
    page_range(p, s->quantile[0] * percent, s->quantile[REPORT_MEDIAN] * percent, s->quantile[REPORT_HIGH] * percent,
               0, top, top >= 100 ? 100 : NAN);
    for (int i = 0; i < l->o->thresholds; i++) page_probability(p, s->probability[i]);
    page_row_end(p);
}

static void link_table(Page *p, const ReportLinks *l)
{
    enum { MOST = 60 };
    const int n = l->t->L < MOST ? l->t->L : MOST;
    const ReportFullest *f = report_fullest(l, p->a);
    double most = 0, top = 1;
    for (int i = 0; i < l->t->L; i++) {
        const LoadSummary *s = &l->step[f[i].step].link[f[i].link];
        const double c = l->t->link[f[i].link].capacity_kbps;
        most = fmax(most, fmax(c, s->mean));
        if (c > 0) top = fmax(top, 100 * s->quantile[REPORT_HIGH] / c);
    }
    const RateUnit u = rate_unit(most);
    const bool cut = n < l->t->L;
    const char *which = cut ? arena_printf(p->a, "The %d fullest of %d links, each", n, l->t->L) : "Every link";
    page_table(p, arena_printf(p->a, "%s at its fullest step, the fullest first: rates in %s, utilisation and "
                               "probabilities in %%%s", which, u.name, cut ? "; lead loads prints all" : ""),
               arena_printf(p->a, "Link|Fullest step|Capacity|Mean load|5 %%|Median|95 %%|5 to 95 %%%s",
                            above_heads(p->a, l->o)), 2);
    for (int i = 0; i < n; i++) link_row(p, l, &f[i], u, top);
    page_table_end(p);
}

// The largest utilisation, step by step.
static void largest_table(Page *p, const ReportLinks *l)
{
    double top = 1;
    if (l->step[0].most_often < 0) return;
    for (int k = 0; k < l->steps; k++) top = fmax(top, 100 * l->step[k].largest.quantile[REPORT_HIGH]);
    page_table(p, "The largest utilisation of any link, step by step, %",
               arena_printf(p->a, "Step|Mostly|in %% of the paths|5 %%|Median|95 %%|5 to 95 %%%s",
                            above_heads(p->a, l->o)), 2);
    for (int k = 0; k < l->steps; k++) {
        const LoadStep *s = &l->step[k];
        page_row(p, false);
        page_word(p, l->time[k]);
        page_word(p, s->most_often < 0 ? "" : l->t->link[s->most_often].name);
        page_number(p, 0, 100 * s->most_often_share);
        page_number(p, 1, 100 * s->largest.quantile[0]);
        page_number(p, 1, 100 * s->largest.quantile[REPORT_MEDIAN]);
        page_number(p, 1, 100 * s->largest.quantile[REPORT_HIGH]);
        page_range(p, 100 * s->largest.quantile[0], 100 * s->largest.quantile[REPORT_MEDIAN],
                   100 * s->largest.quantile[REPORT_HIGH],
                   0, top, top >= 100 ? 100 : NAN);
        for (int i = 0; i < l->o->thresholds; i++) page_probability(p, s->largest.probability[i]);
        page_row_end(p);
    }
    page_table_end(p);
}

void report_links(Page *p, const ReportLinks *l)
{
    page_section(p, "links", "Links",
                 arena_printf(p->a, "Every sample path is routed by itself over %s (%d links); quantiles and "
                              "probabilities are those of the loads. Per cent of the capacity; a red line marks "
                              "100 %%.", l->t->path, l->t->L));
    if (l->fans) {
        html_open(&p->h, "div", " class=\"charts\"");
        for (int i = 0; i < l->fans; i++) {
            page_figure(p, "", l->fan[i].title);
            svg_fan_chart(&p->h, p->a, &l->fan[i], (SvgSize){360, 235}, 100);
            page_figure_end(p);
        }
        html_close(&p->h);
    }
    link_table(p, l);
    largest_table(p, l);
    page_section_end(p);
}

// ---- failures

static const char *lost_text(Page *p, const ReportFailures *f, const FailureResult *r)
{
    enum { SHOWN = 2 };
    if (!r->n_lost) return "none";
    const char *text = arena_printf(p->a, "%s, ", rate_text(p->a, r->lost_kbps));
    for (int i = 0; i < r->n_lost && i < SHOWN; i++)
        text = arena_printf(p->a, "%s%s%s>%s", text, i ? ", " : "", f->t->node[r->lost[i] / f->N],
                            f->t->node[r->lost[i] % f->N]);
    return r->n_lost > SHOWN ? arena_printf(p->a, "%s and %d more", text, r->n_lost - SHOWN) : text;
}

static void failure_row(Page *p, const ReportFailures *f, const FailureResult *r, double top)
{
    page_row(p, r->failure->kind == FAIL_NOTHING);
    page_word(p, r->failure->name);
    page_word(p, failure_kinds[r->failure->kind]);
    page_word(p, r->link < 0 ? "" : f->t->link[r->link].name);
    page_word(p, lost_text(p, f, r));
    page_number(p, 1, 100 * r->quantile[0]);
    page_number(p, 1, 100 * r->quantile[REPORT_MEDIAN]);
    page_number(p, 1, 100 * r->quantile[REPORT_HIGH]);
    page_range(p, 100 * r->quantile[0], 100 * r->quantile[REPORT_MEDIAN], 100 * r->quantile[REPORT_HIGH], 0, top,
               top >= 100 ? 100 : NAN);
    for (int i = 0; i < f->o->thresholds; i++) page_probability(p, r->probability[i]);
    page_row_end(p);
}

void report_failures(Page *p, const ReportFailures *f)
{
    enum { MOST = 25 };
    const int n = f->n < MOST ? f->n : MOST;
    double top = 1;
    page_section(p, "failures", "Failures",
                 "What fails by itself, the worst first: the largest utilisation over all links and steps after the "
                 "rest was routed anew, and demand that is left without a path. The row in bold is the network as it "
                 "is.");
    for (int i = 0; i < f->n; i++)
        if (isfinite(f->result[i].quantile[REPORT_HIGH]))
            top = fmax(top, 100 * f->result[i].quantile[REPORT_HIGH]);
    page_table(p, n < f->n ? arena_printf(p->a, "The worst %d of %d; lead whatif prints all", n, f->n - 1) : "",
               arena_printf(p->a, "Failure|Kind|Then the fullest|Lost demand|5 %%|Median|95 %%|5 to 95 %%%s",
                            above_heads(p->a, f->o)), 4);
    for (int i = 0; i < f->n; i++)
        if (i < n || f->result[i].failure->kind == FAIL_NOTHING) failure_row(p, f, &f->result[i], top);
    page_table_end(p);
    page_section_end(p);
}
