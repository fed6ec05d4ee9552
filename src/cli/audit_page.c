// The report of lead check as a page to read, print and sign: laid out from the same JSON, which stands at its end.
#include <math.h>
#include <string.h>

#include "cli/audit.h"
#include "io/file.h"
#include "io/json.h"
#include "report/page.h"

static const char *value_text(const Json *v, Arena *a)
{
    if (!v || v->type == JSON_NULL) return "\xe2\x80\x93";
    if (v->type == JSON_STRING) return v->string;
    if (v->type == JSON_BOOL) return v->boolean ? "yes" : "no";
    if (v->type == JSON_NUMBER) return v->is_int ? arena_printf(a, "%lld", (long long)v->n)
                                                 : arena_printf(a, "%.3g", v->number);
    return arena_printf(a, "%s", json_describe(v).s);
}

static const char *text_of(const Json *object, const char *key, Arena *a)
{
    return arena_printf(a, "%s", value_text(json_find(object, key), a));
}

static double number_of(const Json *object, const char *key)
{
    const Json *v = json_find(object, key);
    return v && v->type == JSON_NUMBER ? v->number : NAN;
}

// The members that are no lists, each with its name.
static void facts(Page *p, const Json *object)
{
    html_open(&p->h, "dl", "%s", "");
    for (const Json *v = object ? object->child : NULL; v; v = v->next) {
        if (v->type == JSON_OBJECT || v->type == JSON_ARRAY) continue;
        html_put(&p->h, "dt", "", "%s", v->key);
        html_put(&p->h, "dd", "", "%s", value_text(v, p->a));
    }
    html_close(&p->h);
}

static void error_cell(Page *p, double v)
{
    html_put(&p->h, "td", "", isfinite(v) ? "%.2g" : "\xe2\x80\x93", v);
}

static void ops(Page *p, const Json *root)
{
    const Json *bounds = json_find(root, "bounds"), *list = json_find(root, "ops");
    page_section(p, "ops", "Every operation",
                 "The worst error of all cases. Gradients and second derivations (oracle) as a fraction of the largest "
                 "value; kernels in units of the last place (ulp) of a 32-bit float.");
    page_table(p, arena_printf(p->a, "Bounds: gradient %.0e, oracle %.0e, plain kernel %.0e; of a fast kernel as "
                               "listed.", number_of(bounds, "gradient"), number_of(bounds, "oracle"),
                               number_of(bounds, "plain")),
               "operation|cases|checks|failed|gradient|oracle|plain, ulp|fast, ulp|its bound, ulp", 1);
    for (const Json *o = list ? list->child : NULL; o; o = o->next) {
        const double failed = number_of(o, "failures");
        page_row(p, failed > 0);
        page_word(p, text_of(o, "op", p->a));
        page_number(p, 0, number_of(o, "cases"));
        page_number(p, 0, number_of(o, "checks"));
        page_number(p, 0, failed);
        static const char *const errors[] = {"gradient", "oracle", "plain_ulp", "fast_ulp", "fast_bound_ulp"};
        const bool fast = number_of(o, "fast_variants") > 0;
        for (int i = 0; i < 5; i++) error_cell(p, i > 2 && !fast ? NAN : number_of(o, errors[i]));
        page_row_end(p);
        if (json_find(o, "first_failure")) {
            html_open(&p->h, "tr", "%s", "");
            html_open(&p->h, "td", " class=\"w\" colspan=\"9\"");
            html_text(&p->h, text_of(o, "first_failure", p->a));
            html_close(&p->h);
            html_close(&p->h);
        }
    }
    page_table_end(p);
    page_section_end(p);
}

static void golden(Page *p, const Json *root)
{
    const Json *list = json_find(root, "golden_runs");
    page_section(p, "golden", "Golden runs",
                 "20 training steps of a preset and a forecast, on this machine. The SHA-256 is that of the bits of "
                 "all losses and sample paths; expected are those of this version on this instruction set.");
    for (const Json *g = list ? list->child : NULL; g; g = g->next) {
        const Json *same = json_find(g, "same");
        html_put(&p->h, "h3", "", "%s, %s: %s", text_of(g, "preset", p->a), text_of(g, "instruction_set", p->a),
                 same && same->type == JSON_BOOL && same->boolean ? "the bits of this version" : "OTHER BITS");
        facts(p, g);
    }
    page_section_end(p);
}

static void sign(Page *p, const Sha256Hex *hash)
{
    page_section(p, "signature", "Signature", "What is not covered: see docs/audit.md of this version.");
    html_open(&p->h, "dl", "%s", "");
    html_put(&p->h, "dt", "", "SHA-256 of the JSON below");
    html_put(&p->h, "dd", "", "%s", hash->s);
    static const char *const lines[] = {"last line of make test", "name", "date", "signature"};
    for (int i = 0; i < 4; i++) {
        html_put(&p->h, "dt", "", "%s", lines[i]);
        html_put(&p->h, "dd", "", "%s", "........................................");
    }
    html_close(&p->h);
    page_section_end(p);
}

static void body(Page *p, const Json *root, const char *json, const Sha256Hex *hash)
{
    const Json *made = json_find(root, "made_by");
    html_open(&p->h, "header", "%s", "");
    html_put(&p->h, "h1", "", "Audit of %s %s", text_of(made, "program", p->a), text_of(made, "version", p->a));
    html_put(&p->h, "p", "soft", "commit %s, %s: %s checks, %s failed", text_of(made, "commit", p->a),
             text_of(made, "date", p->a), text_of(root, "checks", p->a), text_of(root, "failures", p->a));
    html_close(&p->h);
    html_open(&p->h, "main", "%s", "");
    page_section(p, "machine", "Machine and build", "");
    facts(p, json_find(root, "machine"));
    facts(p, made);
    page_section_end(p);
    page_section(p, "hashes", "SHA-256", "Of the program, of all sources that it was compiled from (one after another "
                 "in the order of their names), and of the models that come with it.");
    facts(p, json_find(root, "sha256"));
    page_section_end(p);
    ops(p, root);
    golden(p, root);
    sign(p, hash);
    page_section(p, "json", "The same as JSON", "");
    html_open(&p->h, "pre", "%s", "");
    html_text(&p->h, json);
    html_close(&p->h);
    page_section_end(p);
    html_close(&p->h);
}

Status audit_page(const char *path, const char *json, size_t n, Arena *a)
{
    const Json *root;
    const Sha256Hex hash = sha256_hex_of(json, n);
    FileWriter w;
    TRY(json_parse(&root, a, json, n, path));
    TRY(file_open(&w, path));
    Page p = {.h = html_begin(w.f, "Audit of lead", report_style), .a = a};
    body(&p, root, json, &hash);
    html_end(&p.h);
    return file_commit(&w, false);
}
