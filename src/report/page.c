#include "report/page.h"

#include <math.h>
#include <string.h>

RateUnit rate_unit(double largest)
{
    static const RateUnit units[] = {{1e-9, "Tbit/s", 0}, {1e-6, "Gbit/s", 0}, {1e-3, "Mbit/s", 0}, {1, "kbit/s", 0}};
    RateUnit u = {1e3, "bit/s", 0};
    for (int i = 3; i >= 0; i--)
        if (largest * units[i].per_kbps >= 1) u = units[i];
    const double v = largest * u.per_kbps;
    u.decimals = v >= 100 ? 1 : v >= 10 ? 2 : 3;
    return u;
}

const char *rate_text(Arena *a, double kbps) { return svg_value_text(a, kbps, "kbit/s"); }

void page_section(Page *p, const char *id, const char *title, const char *lead_in)
{
    html_open(&p->h, "section", " id=\"%s\"", id);
    html_put(&p->h, "h2", "", "%s", title);
    if (*lead_in) html_put(&p->h, "p", "soft", "%s", lead_in);
}

void page_section_end(Page *p) { html_close(&p->h); }

void page_figure(Page *p, const char *class_name, const char *caption)
{
    if (*class_name) html_open(&p->h, "figure", " class=\"%s\"", class_name);
    else html_open(&p->h, "figure", "%s", "");
    html_open(&p->h, "figcaption", "%s", "");
    html_put(&p->h, "b", "", "%s", caption);
    html_close(&p->h);
}

void page_figure_end(Page *p) { html_close(&p->h); }

// The n bytes of a head, its per cent signs kept with their numbers.
static const char *head_text(Arena *a, const char *text, int n)
{
    char *out = arena_printf(a, "%.*s", n, text), *at = strstr(out, " %");
    return at ? arena_printf(a, "%.*s\xc2\xa0%s", (int)(at - out), out, at + 1) : out;
}

void page_table(Page *p, const char *caption, const char *heads, int texts)
{
    Html *h = &p->h;
    const int id = html_id(h);       // a caption inside a table that scrolls would scroll away with it
    html_open(h, "p", " class=\"caption\" id=\"t%d\"", id);
    html_text(h, caption);
    html_close(h);
    html_open(h, "div", " class=\"scroll\" tabindex=\"0\" role=\"region\" aria-labelledby=\"t%d\"", id);
    html_open(h, "table", " aria-labelledby=\"t%d\"", id);
    html_open(h, "thead", "%s", "");
    html_open(h, "tr", "%s", "");
    for (const char *at = heads; *at; texts--) {
        const int n = (int)strcspn(at, "|");
        html_put(h, "th", texts > 0 ? "w" : "", "%s", head_text(p->a, at, n));
        at += n + (at[n] == '|');
    }
    html_close(h);
    html_close(h);
    html_open(h, "tbody", "%s", "");
}

void page_table_end(Page *p)
{
    for (int i = 0; i < 3; i++) html_close(&p->h);
}

void page_row(Page *p, bool strong) { html_open(&p->h, "tr", "%s", strong ? " class=\"strong\"" : ""); }

void page_row_end(Page *p) { html_close(&p->h); }

void page_word(Page *p, const char *text) { html_put(&p->h, "td", "w", "%s", text); }

static const char *number_text(Arena *a, int decimals, double v)
{
    if (!isfinite(v)) return "\xe2\x80\x93";
    const char *digits = arena_printf(a, "%.*f", decimals, fabs(v));
    const bool zero = strspn(digits, "0.") == strlen(digits);
    return v < 0 && !zero ? arena_printf(a, "\xe2\x88\x92%s", digits) : digits;
}

void page_number(Page *p, int decimals, double v)
{
    html_put(&p->h, "td", "", "%s", number_text(p->a, decimals, v));
}

void page_rate(Page *p, RateUnit u, double kbps) { page_number(p, u.decimals, kbps * u.per_kbps); }

void page_probability(Page *p, double share)
{
    if (!isfinite(share)) {
        page_number(p, 0, share);
        return;
    }
    html_open(&p->h, "td", " style=\"background:rgba(var(--tint),%.2f)\"", 0.5 * share);
    html_textf(&p->h, share > 0 && share < 0.005 ? "%.1f" : "%.0f", 100 * share);
    html_close(&p->h);
}

void page_range(Page *p, double low, double middle, double high, double lo, double hi, double zero)
{
    html_open(&p->h, "td", "%s", "");
    svg_range(&p->h, low, middle, high, lo, hi, zero);
    html_close(&p->h);
}

void page_legend(Page *p, int n, const PageKey *keys)
{
    html_open(&p->h, "ul", " class=\"legend\"");
    for (int i = 0; i < n; i++) {
        html_open(&p->h, "li", "%s", "");
        html_open(&p->h, "svg", " viewBox=\"0 0 26 12\"");
        if (!strncmp(keys[i].class_name, "band", 4) || !strcmp(keys[i].class_name, "hole"))
            html_empty(&p->h, "rect", " width=\"26\" height=\"12\" class=\"%s\"", keys[i].class_name);
        else html_empty(&p->h, "path", " d=\"M0 6H26\" class=\"%s\"", keys[i].class_name);
        html_close(&p->h);
        html_text(&p->h, keys[i].name);
        html_close(&p->h);
    }
    html_close(&p->h);
}
