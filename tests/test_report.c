// The page of lead report: well-formed, escaped, alone (nothing is loaded), all its sections; every number of its
// tables that of the verb that prints it.  The page is read back by our own XML reader.
#include <ctype.h>
#include <math.h>
#include <sys/stat.h>

#include "io/file.h"
#include "io/xml.h"
#include "report/report.h"
#include "report/html.h"
#include "tests/run_lead.h"

// ---- a page as a list of elements

enum { MOST_NODES = 60000, MOST_TEXT = 1 << 22 };

typedef struct Element {
    const char *name, *id, *class_name;
    int depth, end;          // elements begin+1 .. end-1 lie inside
    int text;                // where the page's text stood when it began ..
    int text_end;            // .. and ended
} Element;

typedef struct Doc {
    int n;
    Element *e;
    char *text;              // all of it, one after the other
    int length;
    const char *error;       // NULL: well-formed
    int outside;             // attributes that load something, run something or lead away
} Doc;

static bool leads_out(const XmlReader *r)
{
    for (int i = 0; i < r->n_attributes; i++) {
        const char *value = r->attribute[i].value;
        const XmlSlice name = r->attribute[i].name;
        const bool link = (name.n == 4 && !strncmp(name.s, "href", 4)) || (name.n == 3 && !strncmp(name.s, "src", 3));
        if ((link && *value != '#') || strstr(value, "//") || strstr(value, "url(") || !strncmp(name.s, "on", 2))
            return true;
    }
    return false;
}

static Doc parse(Arena *a, const char *html, const char *name)
{
    Doc d = {.e = arena_alloc(a, MOST_NODES * sizeof *d.e), .text = arena_zalloc(a, MOST_TEXT)};
    XmlReader r;
    Status s = xml_begin(&r, a, html, strlen(html), name);
    int open[64], depth = 0;
    for (XmlEvent e = XML_OPEN; !s.code && e != XML_END;) {
        s = xml_next(&e, &r);
        if (s.code || e == XML_END) break;
        if (e == XML_TEXT) {
            const int n = (int)strlen(r.text);
            if (d.length + n + 2 > MOST_TEXT) return d.error = "more text than the test has room for", d;
            memcpy(d.text + d.length, r.text, (size_t)n);
            d.length += n;
        } else if (e == XML_CLOSE) {
            Element *x = &d.e[open[--depth]];
            x->end = d.n;
            x->text_end = d.length;
        } else {
            if (d.n == MOST_NODES) return d.error = "more elements than the test has room for", d;
            const char *id = xml_attribute(&r, "id"), *class_name = xml_attribute(&r, "class");
            d.outside += leads_out(&r);
            d.e[d.n] = (Element){arena_printf(a, "%s", r.name), id ? id : "", class_name ? class_name : "", depth, 0,
                                 d.length, 0};
            open[depth++] = d.n++;
        }
    }
    d.error = s.code ? arena_printf(a, "%s", s.msg) : NULL;
    return d;
}

static const char *text_of(const Doc *d, Arena *a, int e)
{
    return arena_printf(a, "%.*s", d->e[e].text_end - d->e[e].text, d->text + d->e[e].text);
}

// The k-th element of that name inside element `in`; -1: none.
static int find(const Doc *d, int in, const char *name, int k)
{
    for (int i = in + 1; i < d->e[in].end; i++)
        if (!strcmp(d->e[i].name, name) && k-- == 0) return i;
    return -1;
}

static int section(const Doc *d, const char *id)
{
    for (int i = 0; i < d->n; i++)
        if (!strcmp(d->e[i].name, "section") && !strcmp(d->e[i].id, id)) return i;
    return -1;
}

static int count(const Doc *d, int in, const char *name)
{
    int n = 0;
    while (find(d, in, name, n) >= 0) n++;
    return n;
}

// The k-th table of a section; -1: none.
static int table_of(const Doc *d, const char *id, int k)
{
    const int in = section(d, id);
    return in < 0 ? -1 : find(d, in, "table", k);
}

// Cell of the table `table` (an element); row from 0 below the head.  "" where there is none.
static const char *cell(const Doc *d, Arena *a, int table, int row, int column)
{
    const int body = find(d, table, "tbody", 0), tr = body < 0 ? -1 : find(d, body, "tr", row),
              td = tr < 0 ? -1 : find(d, tr, "td", column);
    return td < 0 ? "" : text_of(d, a, td);
}

static int rows(const Doc *d, int table)
{
    const int body = table < 0 ? -1 : find(d, table, "tbody", 0);
    return body < 0 ? 0 : count(d, body, "tr");
}

// Whether the text is `value`, rounded to the digits that it has.
static bool shows(const char *text, double value)
{
    const bool minus = !strncmp(text, "\xe2\x88\x92", 3);
    const char *digits = minus ? text + 3 : text, *point = strchr(digits, '.');
    const int decimals = point ? (int)strlen(point + 1) : 0;
    if (!isdigit((unsigned char)*digits)) return false;
    // the tables that it is compared with print six digits
    return fabs((minus ? -1 : 1) * strtod(digits, NULL) - value) <= 0.5 * pow(10, -decimals) + 2e-6 * fabs(value);
}

static Doc page(TestLog *log, Arena *a, const char *path)
{
    const Doc d = parse(a, slurp(a, path), path);
    TEST(log, !d.error, "%s is not well-formed: %s", path, d.error ? d.error : "");
    TEST(log, d.outside == 0, "%s: %d attributes lead away from the page", path, d.outside);
    TEST(log, d.n > 10 && find(&d, 0, "script", 0) < 0, "%s: %d elements, want some and no script", path, d.n);
    return d;
}

static void sections(TestLog *log, const Doc *d, const char *want)
{
    char got[256] = "";
    for (int i = 0; i < d->n; i++)
        if (!strcmp(d->e[i].name, "section")) snprintf(got + strlen(got), sizeof got - strlen(got), "%s ", d->e[i].id);
    TEST(log, !strcmp(got, want), "sections: want %s, got %s", want, got);
}

// ---- what the verbs print

// Field `column` of a line; at: its begin.
static const char *field(Arena *a, const char *line, char separator, int column)
{
    for (; column > 0; column--) {
        line += strcspn(line, separator == '\t' ? "\t\n" : ",\n");
        if (*line++ != separator) return "";
    }
    return arena_printf(a, "%.*s", (int)strcspn(line, separator == '\t' ? "\t\n" : ",\n"), line);
}

// The line of a table whose fields c0, c1, c2 are these; NULL: none.
static const char *line_of(Arena *a, const char *table, char separator, const int *column, const char *const *value,
                           int n)
{
    for (const char *line = table; line && *line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
        int same = 0;
        const size_t mark = arena_mark(a);
        while (same < n && !strcmp(field(a, line, separator, column[same]), value[same])) same++;
        arena_rewind(a, mark);
        if (same == n) return line;
    }
    return NULL;
}

// ---- data: four nodes with names that are hard to bear

static const char *const NAMES[4] = {"<script>alert(1)</script>", "R&D", "O'Neil", "Z\xc3\xbcrich]]>"};

static void put_name(FILE *f, const char *text)
{
    fprintf(f, "\"%s\"", text);
}

// Twelve days in half-hour slots with a daily cycle; a gap of five slots; a row that is 12 times as large; in the last
// row one flow is 40 times as large.
static void write_data(TestLog *log, const char *path)
{
    enum { SLOTS = 12 * 48, GAP = 200 };
    FILE *f = fopen(path, "w");
    if (!TEST(log, f, "cannot write %s", path)) return;
    fprintf(f, "time,source,destination,mbps\n");
    for (int t = 0; t < SLOTS; t++)
        for (int i = 0; i < 16 && (t < GAP || t >= GAP + 5); i++) {
            const double noise = sin(12.9898 * (t * 16 + i)) * 43758.5453,
                         v = (i + 1) * (2 + sin(6.2832 * t / 48) + 0.4 * (noise - floor(noise)));
            fprintf(f, "%d,", 1700006400 + 1800 * t);
            put_name(f, NAMES[i / 4]);
            fputc(',', f);
            put_name(f, NAMES[i % 4]);
            fprintf(f, ",%.6f\n", v * (t == 100 ? 12 : t == SLOTS - 1 && i == 6 ? 40 : 1));
        }
    fclose(f);
}

static void write_network(TestLog *log, const char *path)
{
    static const int ends[][2] = {{0, 1}, {1, 2}, {2, 3}, {3, 0}, {0, 2}};
    FILE *f = fopen(path, "w");
    if (!TEST(log, f, "cannot write %s", path)) return;
    fprintf(f, "source,destination,capacity_mbps,weight,group\n");
    for (int i = 0; i < 10; i++) {
        put_name(f, NAMES[ends[i / 2][i % 2]]);
        fputc(',', f);
        put_name(f, NAMES[ends[i / 2][1 - i % 2]]);
        fprintf(f, ",%d,10,%s\n", 150 + 30 * i, i < 4 ? "\"<i>&trench\"" : "");
    }
    fclose(f);
}

// ---- tables against the verbs

static void check_flows(TestLog *log, Arena *a, const Doc *d, const char *csv)
{
    const int table = table_of(d, "forecast", 0), n = rows(d, table);
    if (!TEST(log, n == 15, "want the 15 largest of 16 flows, got %d", n)) return;
    const char *caption = text_of(d, a, find(d, section(d, "forecast"), "p", 1));
    TEST(log, strstr(caption, "Mbit/s"), "want the unit Mbit/s in '%s'", caption);
    double before = INFINITY;
    for (int i = 0; i < n; i++) {
        double mean = 0;
        const char *last = NULL, *from = cell(d, a, table, i, 0), *to = cell(d, a, table, i, 1);
        for (int k = 1; k <= 20; k++) {
            const char *step = arena_printf(a, "%d", k);
            last = line_of(a, csv, ',', (const int[]){0, 2, 3}, (const char *const[]){step, from, to}, 3);
            if (!TEST(log, last, "no line for step %d of %s to %s", k, from, to)) return;
            mean += strtod(field(a, last, ',', 4), NULL) / 20 / 1000;
        }
        TEST(log, shows(cell(d, a, table, i, 3), mean), "%s to %s: mean: want %g, got %s", from, to, mean,
             cell(d, a, table, i, 3));
        for (int q = 0; q < 3; q++) {
            const double want = strtod(field(a, last, ',', 5 + q), NULL) / 1000;
            TEST(log, shows(cell(d, a, table, i, 4 + q), want), "%s to %s: quantile %d: want %g, got %s", from, to, q,
                 want, cell(d, a, table, i, 4 + q));
        }
        TEST(log, mean <= before, "row %d: a larger flow stands below a smaller one", i);
        before = mean;
    }
}

// The table of nodes: sums within paths, as lead forecast --aggregate prints them.
static void check_nodes(TestLog *log, Arena *a, const Doc *d, const char *csv)
{
    const int table = table_of(d, "forecast", 1);
    if (!TEST(log, rows(d, table) == 4, "want 4 nodes, got %d", rows(d, table))) return;
    double before = INFINITY;
    for (int i = 0; i < 4; i++) {
        const char *name = cell(d, a, table, i, 0);
        double both = 0;
        for (int w = 0; w < 2; w++) {
            const char *last = line_of(a, csv, ',', (const int[]){0, 2, 3},
                                       (const char *const[]){"20", w ? "*" : name, w ? name : "*"}, 3);
            if (!TEST(log, last, "no line for step 20 of %s", name)) return;
            for (int q = 0; q < 3; q++)
                TEST(log, shows(cell(d, a, table, i, 5 * w + 3 + q), strtod(field(a, last, ',', 5 + q), NULL) / 1000),
                     "%s, way %d, quantile %d: %s in %s", name, w, q, cell(d, a, table, i, 5 * w + 3 + q), last);
            both += strtod(cell(d, a, table, i, 5 * w + 2), NULL);
        }
        TEST(log, both <= before, "node %d: a busier one stands below", i);
        before = both;
    }
}

// Where there is a Chromium, it opens the page: its text is rendered, and the picture of it is not empty.
static void check_browser(TestLog *log, Arena *a, const char *dir, const char *html)
{
    static const char *const names[] = {"chromium", "chromium-browser", "google-chrome"};
    const char *browser = NULL;
    for (int i = 0; i < 3 && !browser; i++)
        if (!system(arena_printf(a, "command -v %s >/dev/null 2>&1", names[i]))) browser = names[i];
    if (!browser) {
        test_skip(log, "skipped: no Chromium to open a report in");
        return;
    }
    // --dump-dom prints the document as the browser understood it, after layout
    const char *run = "env -u DBUS_SESSION_BUS_ADDRESS timeout 120 %s --headless --no-sandbox --disable-gpu "
                      "--user-data-dir=%s/chromium --window-size=1000,1400 --screenshot=%s/%s.png --dump-dom "
                      "file://%s > %s/%s.dom 2> %s/%s.err";
    const char *blank = arena_printf(a, "%s/blank.html", dir);
    FILE *f = fopen(blank, "w");
    CHECK(f && fputs("<!doctype html><title>empty</title>", f) >= 0 && !fclose(f), "cannot write %s", blank);
    struct stat picture[2];
    for (int i = 0; i < 2; i++) {
        const char *name = i ? "page" : "blank";
        const int code = system(arena_printf(a, run, browser, dir, dir, name, i ? html : blank, dir, name, dir, name));
        if (!TEST(log, code == 0 && !stat(arena_printf(a, "%s/%s.png", dir, name), &picture[i]), "%s: %d: %s", browser,
                  code, slurp(a, arena_printf(a, "%s/%s.err", dir, name)))) return;
    }
    const char *dom = slurp(a, arena_printf(a, "%s/page.dom", dir));
    TEST(log, picture[1].st_size > 5 * picture[0].st_size, "the picture of a page has %lld bytes, that of nothing %lld",
         (long long)picture[1].st_size, (long long)picture[0].st_size);
    const char *said = slurp(a, arena_printf(a, "%s/page.err", dir));
    TEST(log, !strstr(said, "CONSOLE"), "the console says: %s", said);
    static const char *const want[] = {"What nodes send and receive", "R&amp;D", "The forecast", "</html>"};
    for (int i = 0; i < 4; i++) TEST(log, strstr(dom, want[i]), "no '%s' in what the browser shows", want[i]);
}

static double value_at(Arena *a, const char *line, int column) { return strtod(field(a, line, '\t', column), NULL); }

// Columns of lead loads: step time link source destination capacity mean q q q mean% q% q% q% p p p.
static void check_links(TestLog *log, Arena *a, const Doc *d, const char *tsv)
{
    const int table = table_of(d, "links", 0), n = rows(d, table);
    if (!TEST(log, n == 10, "want 10 links, got %d", n)) return;
    for (int i = 0; i < n; i++) {
        const char *link = cell(d, a, table, i, 0), *best = NULL;
        double most = -1;
        for (int k = 1; k <= 20; k++) {
            const char *line = line_of(a, tsv, '\t', (const int[]){0, 2}, (const char *const[]){arena_printf(a, "%d",
                                                                                                             k),
                                       link}, 2);
            if (!TEST(log, line, "no line for step %d of %s", k, link)) return;
            if (value_at(a, line, 13) > most) most = value_at(a, line, 13), best = line;
        }
        const char *when = field(a, best, '\t', 1);
        TEST(log, !strncmp(cell(d, a, table, i, 1), when, 10) && !strncmp(cell(d, a, table, i, 1) + 11, when + 11, 5),
             "%s: want its fullest step at %s, got %s", link, when, cell(d, a, table, i, 1));
        TEST(log, shows(cell(d, a, table, i, 2), value_at(a, best, 5) / 1000) &&
                      shows(cell(d, a, table, i, 3), value_at(a, best, 6) / 1000), "%s: capacity %s, mean load "
                                                                                   "%s", link,
             cell(d, a, table, i, 2), cell(d, a, table, i, 3));
        const int from[] = {11, 12, 13}, to[] = {4, 5, 6};
        for (int c = 0; c < 3; c++)
            TEST(log, shows(cell(d, a, table, i, to[c]), value_at(a, best, from[c])), "%s, column %d: want %g, got "
                                                                                        "%s",
                 link, to[c], value_at(a, best, from[c]), cell(d, a, table, i, to[c]));
        for (int c = 0; c < 3; c++)
            TEST(log, shows(cell(d, a, table, i, 8 + c), 100 * value_at(a, best, 14 + c)),
                 "%s, P %d: want %g, got %s",
                 link, c, 100 * value_at(a, best, 14 + c), cell(d, a, table, i, 8 + c));
    }
}

// Columns of lead whatif: failure kind mean% q% q% q% p p p fullest ..
static void check_failures(TestLog *log, Arena *a, const Doc *d, const char *tsv)
{
    const int table = table_of(d, "failures", 0);
    const char *line = strchr(tsv, '\n');
    int i = 0;
    for (line = line ? line + 1 : ""; *line && table >= 0; line = strchr(line, '\n') + 1, i++) {
        const int from[] = {3, 4, 5, 6, 7, 8}, to[] = {4, 5, 6, 8, 9, 10};
        TEST(log, !strcmp(field(a, line, '\t', 1), cell(d, a, table, i, 1)), "row %d: kind %s", i,
             cell(d, a, table, i, 1));
        for (int c = 0; c < 6; c++) {
            const double want = value_at(a, line, from[c]) * (c > 2 ? 100 : 1);
            TEST(log, shows(cell(d, a, table, i, to[c]), want), "failure %d, column %d: want %g, got %s", i, to[c],
                 want,
                 cell(d, a, table, i, to[c]));
        }
    }
    TEST(log, i > 8 && rows(d, table) == i, "want %d failures, got %d", i,
         rows(d, table));
}

// The scores against lead eval on the same windows, which the page names.
static void check_scores(TestLog *log, Arena *a, const Doc *d, const char *data)
{
    const int in = section(d, "accuracy");
    if (!TEST(log, in >= 0, "no accuracy")) return;
    const char *stride = strstr(text_of(d, a, in), "stride ");
    if (!TEST(log, stride, "the page does not say its stride")) return;
    const Ran r = lead_run(log, a, "eval --naive-only --data %s --stride %d", data, atoi(stride + 7));
    int seen = 0, table = -1;
    for (int k = 0; find(d, in, "table", k) >= 0; k++) table = find(d, in, "table", k);
    for (int i = 0; table >= 0 && i < rows(d, table); i++) {
        const char *model = cell(d, a, table, i, 0);
        const char *first = line_of(a, r.out, '\t', (const int[]){0, 1}, (const char *const[]){model, "1"}, 2);
        const char *last = line_of(a, r.out, '\t', (const int[]){0, 1}, (const char *const[]){model, "20"}, 2);
        if (!TEST(log, first && last, "%s is not in the table of lead eval", model)) continue;
        TEST(log, shows(cell(d, a, table, i, 1), value_at(a, first, 2)) &&
                      shows(cell(d, a, table, i, 2), value_at(a, last, 2)) &&
                      shows(cell(d, a, table, i, 4), value_at(a, first, 5)) &&
                      shows(cell(d, a, table, i, 5), value_at(a, last, 5)),
             "%s: RMSE %s %s, CRPS %s %s", model, cell(d, a, table, i, 1), cell(d, a, table, i, 2),
             cell(d, a, table, i, 4), cell(d, a, table, i, 5));
        seen++;
    }
    TEST(log, seen >= 5, "want five naive forecasts at least, got %d", seen);
}

static void check_alarms(TestLog *log, Arena *a, const Doc *d, const char *data)
{
    const Ran r = lead_run(log, a, "alarm --model ridge --data %s --rows 48 --learn-rows 300", data);
    int lines = 0;
    for (const char *p = r.out; *p; p++) lines += *p == '\n';
    const int table = table_of(d, "alarms", 0);
    TEST(log, r.code == 3 && lines > 0, "want alarms of lead alarm, got %d lines, exit %d: %s", lines, r.code, r.err);
    if (!TEST(log, rows(d, table) == lines, "want the %d alarms of lead alarm, got %d", lines,
              rows(d, table))) return;
    bool found = false;
    for (int i = 0; i < lines; i++)
        found |= !strcmp(cell(d, a, table, i, 2), arena_printf(a, "%s to %s", NAMES[1], NAMES[2]));
    TEST(log, found, "the flow that grew is not among the alarms");
}

// What pointing at the last step of the first chart shows is the total of lead forecast.
static void check_hover(TestLog *log, Arena *a, const Doc *d, const char *data)
{
    const Ran r = lead_run(log, a, "forecast --model ridge --data %s --aggregate total --quantiles 0.05,0.5,0.95",
                           data);
    const char *line = line_of(a, r.out, ',', (const int[]){0}, (const char *const[]){"20"}, 1);
    const int in = section(d, "forecast"), svg = in < 0 ? -1 : find(d, find(d, in, "figure", 0), "svg", 0);
    if (!TEST(log, line && svg >= 0, "no total, or no chart: %s", r.err)) return;
    const char *title = text_of(d, a, find(d, svg, "title", count(d, svg, "title") - 1));
    const char *median = strstr(title, "median: "), *band = strstr(title, "90 % of the paths: ");
    if (!TEST(log, median && band && strstr(band, " .. "), "want median and band in '%s'", title)) return;
    const double got[] = {strtod(band + 19, NULL), strtod(median + 8, NULL), strtod(strstr(band, " .. ") + 4, NULL)};
    for (int q = 0; q < 3; q++) {
        const double want = strtod(field(a, line, ',', 5 + q), NULL) / 1000;
        TEST(log, fabs(got[q] - want) <= 0.006 * want && strstr(title, "Mbit/s"), "total, quantile %d: want %g Mbit/s, "
             "got %g in '%s'", q, want, got[q], title);
    }
}

static void whole_report(TestLog *log, Arena *a, const char *dir)
{
    const char *data = arena_printf(a, "%s/flows.csv", dir), *net = arena_printf(a, "%s/net.csv", dir),
               *out = arena_printf(a, "%s/r.html", dir);
    write_data(log, data);
    write_network(log, net);
    const Ran r = lead_run(log, a, "report --model ridge --data %s --topology %s --out %s --title <b>T&C</b>", data,
                           net,
                           out);
    if (!TEST(log, r.code == 0, "exit %d: %s", r.code, r.err)) return;
    const Doc d = page(log, a, out);
    if (d.error) return;
    sections(log, &d, "data forecast accuracy links failures alarms manifest ");
    TEST(log, !strcmp(text_of(&d, a, find(&d, 0, "h1", 0)), "<b>T&C</b>"), "title '%s'",
         text_of(&d, a, find(&d, 0, "h1", 0)));
    for (int i = 0; i < 4; i++) TEST(log, strstr(d.text, NAMES[i]), "no node %s in the text", NAMES[i]);
    const char *html = slurp(a, out);
    TEST(log, !strstr(html, "http:") && !strstr(html, "https:") && !strstr(html, "@import"), "an address in the page");
    TEST(log, strstr(html, "Content-Security-Policy") && strstr(html, "default-src 'none'"), "no policy");
    TEST(log, strstr(html, "prefers-color-scheme:dark") && strstr(html, "@media print") && strstr(html, "viewport"),
         "no dark colours, paper or phone");
    TEST(log, count(&d, section(&d, "data"), "table") == 3, "want tables of gaps, suspicious rows and faults");
    TEST(log, strstr(d.text, "flow R&D:\"O'Neil\": ") && strstr(d.text, "spike"), "the flow that grew is no fault");
    for (int i = 0, f; (f = find(&d, 0, "figure", i)) >= 0; i++)
        TEST(log, count(&d, f, "svg") == 1 && count(&d, f, "title") > 15, "figure %d: %d charts with %d titles", i,
             count(&d, f, "svg"), count(&d, f, "title"));
    const Ran csv = lead_run(log, a, "forecast --model ridge --data %s --quantiles 0.05,0.5,0.95", data);
    check_flows(log, a, &d, csv.out);
    const Ran nodes = lead_run(log, a, "forecast --model ridge --data %s --quantiles 0.05,0.5,0.95 "
                               "--aggregate origins,destinations", data);
    check_nodes(log, a, &d, nodes.out);
    check_browser(log, a, dir, out);
    check_hover(log, a, &d, data);
    const Ran loads = lead_run(log, a, "loads --model ridge --data %s --topology %s --above 50,80,100", data, net);
    check_links(log, a, &d, loads.out);
    const Ran failures = lead_run(log, a, "whatif --model ridge --data %s --topology %s --above 50,80,100", data, net);
    check_failures(log, a, &d, failures.out);
    check_scores(log, a, &d, data);
    check_alarms(log, a, &d, data);
}

// ---- the option of other verbs; what is left out

static void other_verbs(TestLog *log, Arena *a, const char *dir)
{
    const char *data = arena_printf(a, "%s/flows.csv", dir), *net = arena_printf(a, "%s/net.csv", dir),
               *out = arena_printf(a, "%s/v.html", dir);
    static const struct { const char *args, *sections; } verb[] = {
        {"forecast --model ridge", "data forecast manifest "},
        {"eval --naive-only --stride 20", "data accuracy manifest "}};
    for (int i = 0; i < 2; i++) {
        const char *args = arena_printf(a, "%s --out %s/o.txt --data %s --report %s", verb[i].args, dir, data, out);
        const Ran r = lead_run(log, a, "%s", args);
        if (!TEST(log, r.code == 0, "%s: exit %d: %s", args, r.code, r.err)) continue;
        const Doc d = page(log, a, out);
        sections(log, &d, verb[i].sections);
    }
    const char *paths = arena_printf(a, "%s/paths.npy", dir);
    Ran r = lead_run(log, a, "forecast --model ridge --data %s --paths %s --out %s/f.csv", data, paths, dir);
    TEST(log, r.code == 0, "%s", r.err);
    r = lead_run(log, a, "loads --data %s --topology %s --paths %s --out %s/l.tsv --report %s", data, net, paths, dir,
                 out);
    if (!TEST(log, r.code == 0, "loads: exit %d: %s", r.code, r.err)) return;
    const Doc d = page(log, a, out);
    sections(log, &d, "data forecast links manifest ");
    // paths alone: no data, no names, no times
    FILE *f = fopen(arena_printf(a, "%s/plain.csv", dir), "w");
    if (!TEST(log, f, "cannot write")) return;
    fprintf(f, "source,destination,capacity_mbps\n0,1,100\n1,0,100\n1,2,100\n2,1,100\n2,3,100\n3,2,100\n");
    fclose(f);
    r = lead_run(log, a, "loads --topology %s/plain.csv --paths %s --out %s/l.tsv --report %s", dir, paths, dir, out);
    if (!TEST(log, r.code == 0, "loads: exit %d: %s", r.code, r.err)) return;
    const Doc alone = page(log, a, out);
    sections(log, &alone, "forecast links manifest ");
    TEST(log, strstr(alone.text, "step 20") && !strstr(alone.text, "Measured, "), "steps, and nothing measured");
}

// A page and a table are not mixed on stdout; a page that cannot be written is found before the work.
static void pages_elsewhere(TestLog *log, Arena *a, const char *dir)
{
    const char *const verb[] = {"forecast --model ridge", "eval --naive-only --stride 20",
                                arena_printf(a, "loads --model ridge --topology %s/net.csv", dir)};
    for (int i = 0; i < 3; i++) {
        const char *args = verb[i];
        Ran r = lead_run(log, a, "%s --data %s/flows.csv --report -", args, dir);
        TEST(log, r.code == 2 && strstr(r.err, "want --out FILE") && !*r.out, "%s: exit %d: %s", args, r.code, r.err);
        r = lead_run(log, a, "%s --data %s/flows.csv --report %s/none/r.html --out %s/w.txt", args, dir, dir, dir);
        struct stat st;
        TEST(log, r.code == 1 && stat(arena_printf(a, "%s/w.txt", dir), &st), "%s: exit %d: %s", args, r.code, r.err);
    }
    const Ran r = lead_run(log, a, "report --model ridge --windows 0 --alarm-rows 0 --data %s/flows.csv --out -", dir);
    const Doc d = parse(a, r.out, "stdout");
    TEST(log, r.code == 0 && !d.error, "--out -: exit %d, %s", r.code, d.error ? d.error : "well-formed");
    sections(log, &d, "data forecast manifest ");
}

static void truth_or_none(TestLog *log, Arena *a, const char *dir)
{
    const char *data = arena_printf(a, "%s/flows.csv", dir), *out = arena_printf(a, "%s/t.html", dir);
    for (int past = 0; past < 2; past++) {
        const Ran r = lead_run(log, a, "forecast --model ridge --data %s --out %s/f.csv --report %s%s", data, dir, out,
                               past ? " --row 500" : "");
        if (!TEST(log, r.code == 0, "%s", r.err)) continue;
        const Doc d = page(log, a, out);
        const bool there = strstr(d.text, "what came") != NULL, line = strstr(slurp(a, out), "class=\"truth\"") != NULL;
        TEST(log, there == (past == 1) && line == there, "%s: what came is %sin the legend, %sdrawn",
             past ? "row 500" : "the last row", there ? "" : "not ", line ? "" : "not ");
    }
}

static void refusals(TestLog *log, Arena *a, const char *dir)
{
    const char *data = arena_printf(a, "%s/flows.csv", dir);
    const struct { const char *args, *want; int code; } bad[] = {
        {"", "wants --out", 2}, {"--out %s/none/r.html", "No such file", 1}, {"--out %s/flows.csv", "file of --data",
                                                                              2},
        {"--out %s/x.html --split all", "want test or val", 2},
        {"--out %s/x.html --alarm-model nobody", "--alarm-model: want run or a naive forecast", 2},
        {"--out %s/x.html --fail all", "--topology", 2},
        {"--out %s/x.html --topology %s/absent.csv", "absent.csv", 1},
        {"--out %s/x.html --topology %s/net.csv --fail nobody", "nobody", 2}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        char args[1024] = "";
        for (const char *p = bad[i].args; *p; p++)
            if (p[0] == '%' && p[1] == 's') strcat(args, dir), p++;
            else strncat(args, p, 1);
        const Ran r = lead_run(log, a, "report --model ridge --data %s %s", data, args);
        TEST(log, r.code == bad[i].code && strstr(r.err, bad[i].want), "report %s: want exit %d and '%s', got %d: %s",
             args,
             bad[i].code, bad[i].want, r.code, r.err);
        struct stat st;
        TEST(log, stat(arena_printf(a, "%s/x.html", dir), &st) != 0, "report %s: leaves a page", args);
    }
}

// Too little data to score and to judge: the page is made, and says what it lacks.
static void left_out(TestLog *log, Arena *a, const char *dir)
{
    const char *data = arena_printf(a, "%s/short.csv", dir), *out = arena_printf(a, "%s/s.html", dir);
    FILE *f = fopen(data, "w");
    if (!TEST(log, f, "cannot write")) return;
    for (int t = 0; t < 60; t++)
        for (int i = 0; i < 9; i++) fprintf(f, "%.3f%s", 1000.0 + 10 * i + t % 7, i == 8 ? "\n" : ",");
    fclose(f);
    const Ran r = lead_run(log, a, "report --model persistence --data %s --out %s", data, out);
    if (!TEST(log, r.code == 0, "exit %d: %s", r.code, r.err)) return;
    const Doc d = page(log, a, out);
    sections(log, &d, "data forecast manifest ");
    TEST(log, strstr(d.text, "Left out: accuracy") && strstr(d.text, "Left out: alarms") &&
                  strstr(r.err, "left out of the report: accuracy"), "the page and stderr must say what is missing");
    const Ran bare = lead_run(log, a, "report --samples 4 --data %s --out %s", data, out);   // a forecast without a run
    TEST(log, bare.code == 0, "without --model: exit %d: %s", bare.code, bare.err);
}

// Weights for any network forecast from the newest 20,000 rows; alarms are those of the end of all.
static void newest_rows(TestLog *log, Arena *a, const char *dir)
{
    const char *data = arena_printf(a, "%s/long.npy", dir), *out = arena_printf(a, "%s/l.html", dir);
    const Ran made = lead_run(log, a, "data synth --nodes 3 --days 75 --out %s", data);      // from 2024-01-01 on
    const Ran r = lead_run(log, a, "report --samples 2 --windows 0 --alarm-rows 4 --learn-rows 50 --data %s --out %s",
                           data, out);
    if (!TEST(log, made.code == 0 && r.code == 0, "exit %d: %s%s", r.code, made.err, r.err)) return;
    const Doc d = page(log, a, out);
    const int in = section(&d, "alarms");
    TEST(log, in >= 0 && strstr(text_of(&d, a, in), "2024-03-15 23:55"), "alarms: want those of the last rows, got %s",
         in >= 0 ? text_of(&d, a, in) : "none");
}

// ---- the parts

static const char *written(Arena *a, const char *text)
{
    char *html = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&html, &size);
    Html h = html_begin(f, text, (const char *const[]){"p{}\n", NULL});
    html_put(&h, "p", "", "%s", text);
    html_end(&h);
    fclose(f);
    const char *copy = arena_printf(a, "%s", html);
    free(html);
    return copy;
}

static void escaping(TestLog *log, Arena *a)
{
    static const char *const text[][2] = {
        {"plain", "plain"}, {"<script>alert('x')</script>", "<script>alert('x')</script>"}, {"a&amp;b", "a&amp;b"},
        {"\"q\" ]]> -->", "\"q\" ]]> -->"}, {"\x1b[31mred", "\\x1B[31mred"}, {"\xff\xfe", "\\xFF\\xFE"},
        {"caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80", "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"},
        {"two\nlines\tand a tab", "two\nlines\tand a tab"}, {"\xef\xbf\xbf", "\\xEF\\xBF\\xBF"}, {"\xc3", "\\xC3"}};
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) {
        const Doc d = parse(a, written(a, text[i][0]), "escaped");
        if (!TEST(log, !d.error, "%s: %s", text[i][0], d.error)) continue;
        const char *got = text_of(&d, a, find(&d, 0, "p", 0));
        TEST(log, !strcmp(got, text[i][1]), "want '%s', got '%s'", text[i][1], got);
        TEST(log, count(&d, 0, "script") == 0, "%s became an element", text[i][0]);
    }
}

// A forecast of many nodes, gaps everywhere, sent straight to the page.
static void large_and_empty(TestLog *log, Arena *a, const char *dir)
{
    enum { N = 60, K = 3 };
    const char *path = arena_printf(a, "%s/large.html", dir), *node[N];
    float *now = arena_alloc(a, 2 * N * N * sizeof *now), *then = now + N * N, none[K] = {NAN, NAN, NAN};
    for (int i = 0; i < N; i++) node[i] = arena_printf(a, "node-with-a-long-name-%d", i);
    for (int i = 0; i < N * N; i++) now[i] = i % 7 ? 0 : NAN, then[i] = (float)(i / N + i % N);
    const FanChart fan = {.title = "nothing", .unit = "kbit/s", .n_forecast = K, .median = none, .q05 = none,
                          .q95 = none};
    const ReportForecast f = {.model = "test", .from = "row 1", .to = "step 3", .paths = 2, .steps = K, .fan = &fan,
                              .fans = 1, .N = N, .node = node, .now = now, .then = then};
    Report r = {.title = "t", .made = "m", .forecast = &f};
    report_note(&r, a, "accuracy", "a <reason>");
    Status s = report_write(&r, path, a);
    if (!TEST(log, !s.code, "%s", s.msg)) return;
    const Doc d = page(log, a, path);
    TEST(log, strstr(d.text, "the 40 of 60 nodes") && !strstr(d.text, "node-with-a-long-name-3 to"),
         "the 40 busiest are the last ones, and the page says how many");
    TEST(log, strstr(d.text, "Left out: accuracy: a <reason>"), "the note");
    const Report empty = {.title = "t", .made = "m"};
    s = report_write(&empty, path, a);
    TEST(log, !s.code && !parse(a, slurp(a, path), path).error, "a page without sections: %s", s.msg);
    s = report_write(&empty, arena_printf(a, "%s/no/such/r.html", dir), a);
    TEST(log, s.code == 1, "a directory that is not there must be an error");
}

// Weights that need no training: a verdict, and alarms by ridge, which the page says.
static void general_weights(TestLog *log, Arena *a, const char *dir)
{
    const char *out = arena_printf(a, "%s/g.html", dir);
    const Ran r = lead_run(log, a, "report --data %s/flows.csv --samples 8 --sample-steps 2 --windows 4 --alarm-rows 4 "
                           "--out %s", dir, out);
    if (!TEST(log, r.code == 0, "exit %d: %s", r.code, r.err)) return;
    const Doc d = page(log, a, out);
    sections(log, &d, "data forecast accuracy alarms manifest ");
    const int in = section(&d, "accuracy");
    TEST(log, in >= 0 && strstr(text_of(&d, a, in), "lead: ") && strstr(text_of(&d, a, in), "Gain over "),
         "want a verdict and its gains");
    TEST(log, strstr(d.text, "the forecast that ridge makes"), "the page must say who judges");
    const Ran by = lead_run(log, a, "report --data %s/flows.csv --samples 8 --sample-steps 2 --windows 0 "
                            "--alarm-rows 4 --alarm-model run --out %s", dir, out);
    TEST(log, by.code == 0 && strstr(page(log, a, out).text, "Left out: alarms: --alarm-model run"),
         "weights that nobody trained judge the rows that calibrated them: %s", by.err);
}

void test_report(TestLog *log)
{
    Arena *a = arena_new("report test", (size_t)4 << 30, NULL);
    const char *dir = arena_printf(a, "%s/report", log->tmp);
    TEST(log, !directory_make(dir).code, "cannot make %s", dir);
    escaping(log, a);
    large_and_empty(log, a, dir);
    whole_report(log, a, dir);
    truth_or_none(log, a, dir);
    if (!log->quick) general_weights(log, a, dir);
    if (!log->quick) newest_rows(log, a, dir);
    other_verbs(log, a, dir);
    pages_elsewhere(log, a, dir);
    refusals(log, a, dir);
    left_out(log, a, dir);
    arena_delete(a);
}
