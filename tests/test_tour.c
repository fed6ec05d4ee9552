// The pages of the tour (docs/tour/*.md) against its programs.  Rules for whoever writes a page: docs/tour/README.md.
//   ```output    lines that the program prints, in this order: text and whole numbers exactly, other numbers within
//                the relative tolerance of the page (<!-- tolerance 1e-6 -->, from there on; before that 1e-12)
//   ```c         lines of the chapter's program, in this order;   ```c FILE   lines of that file
//   prose        a number with a point or an exponent, and a number alone in backticks, is one that the program
//                prints (rounded to the digits that the prose has), or stands in it, or in <!-- given: 0.5, 1e-4 -->,
//                or in a block of the page that is called
//   ```measured  times and the like, which no test can repeat
// Afterwards each place that was compared is changed, one at a time: the page must fail every time.
#include <ctype.h>
#include <dirent.h>
#include <math.h>

#include "tensor/status.h"
#include "tests/run_lead.h"

#define TOUR "docs/tour"

typedef struct Page {
    const char *name, *text;
    const char *source, *printed;    // of its program; NULL: it has none
} Page;

enum { MAX_PLACES = 4096 };
typedef struct Verdict {
    int wrong, n;                    // places that are wrong; that were compared
    size_t place[MAX_PLACES];        // offset in the text of a number's first digit, or of a line's first character
    char first[512];                 // the first that was wrong
} Verdict;

static void judge(Verdict *v, const Page *p, const char *place, bool ok, const char *what, const char *line, int n)
{
    CHECK(v->n < MAX_PLACES, "%s: more than %d places", p->name, MAX_PLACES);
    v->place[v->n++] = (size_t)(place - p->text);
    if (!ok && v->wrong++ == 0) snprintf(v->first, sizeof v->first, "%s: %.*s", what, n, line);
}

// ---- numbers

typedef struct Number {
    const char *digits;      // the first one
    int n;                   // characters, with the sign
    double value, unit;      // unit: one in the last digit
    bool whole;              // neither point nor exponent
} Number;

static int digits(const char *s) { return (int)strspn(s, "0123456789"); }

// The number that begins at s, in a text that begins at `text`.  What follows a letter, a digit, "_" or "." is none:
// x_0, GPT2, 1.2.3.
static bool number_at(const char *s, const char *text, Number *x)
{
    const char before = s > text ? s[-1] : ' ', *d = s + (*s == '-' || *s == '+'), *e = d + digits(d);
    if (e == d || isalnum((unsigned char)before) || before == '_' || before == '.') return false;
    int decimals = 0;
    const bool point = *e == '.' && digits(e + 1);
    if (point) {
        decimals = digits(e + 1);
        e += 1 + decimals;
    }
    const char *power = e + 1 + (*e == 'e' && (e[1] == '-' || e[1] == '+'));
    const bool exponent = *e == 'e' && digits(power);
    if (exponent) {
        decimals -= atoi(e + 1);
        e = power + digits(power);
    }
    *x = (Number){d, (int)(e - s), strtod(s, NULL), pow(10, -decimals), !point && !exponent};
    return true;
}

// Is there a number in the text that is x when it is rounded to x's digits?
static bool number_in(const char *text, Number x)
{
    Number y;
    for (const char *s = text; s && *s; s++) {
        if (!number_at(s, text, &y)) continue;
        if (fabs(y.value - x.value) <= 0.5000001 * x.unit) return true;
        s += y.n - 1;
    }
    return false;
}

// ---- lines

static const char *line_end(const char *s) { return s + strcspn(s, "\n"); }
static const char *next_line(const char *end) { return end + (*end == '\n'); }

static const char *first_char(const char *s, const char *end)
{
    while (s < end && isspace((unsigned char)*s)) s++;
    return s;
}

static const char *past_last_char(const char *s, const char *end)
{
    while (end > s && isspace((unsigned char)end[-1])) end--;
    return end;
}

typedef bool Agrees(const char *a, const char *a_end, const char *b, const char *b_end, double tolerance);

// Lines of source: equal but for the blanks at both ends.
static bool same_code(const char *a, const char *a_end, const char *b, const char *b_end, double tolerance)
{
    (void)tolerance;
    b = first_char(b, b_end);
    b_end = past_last_char(b, b_end);
    return a_end - a == b_end - b && memcmp(a, b, (size_t)(a_end - a)) == 0;
}

// Lines of output.  a begins with its first character that is no blank; b's blanks before that are not compared.
static bool same_output(const char *a, const char *a_end, const char *b, const char *b_end, double tolerance)
{
    b = first_char(b, b_end);
    b_end = past_last_char(b, b_end);
    for (const char *const a0 = a, *const b0 = b; a < a_end && b < b_end; a++, b++) {
        Number x, y;
        if (number_at(a, a0, &x) && number_at(b, b0, &y)) {
            const bool equal = x.n == y.n && memcmp(a, b, (size_t)x.n) == 0;
            const bool near = fabs(x.value - y.value) <= tolerance * fmax(fabs(x.value), fabs(y.value));
            if (x.whole || y.whole ? !equal : !near) return false;
            a += x.n - 1;
            b += y.n - 1;
        } else if (*a != *b) {
            return false;
        }
    }
    return a >= a_end && b >= b_end;
}

// Moves *at behind the next of its lines that agrees with a.  False: there is none, and *at stays.
static bool find_line(const char **at, const char *a, const char *a_end, Agrees *agrees, double tolerance)
{
    for (const char *s = *at; s && *s; s = next_line(line_end(s))) {
        if (!agrees(a, a_end, s, line_end(s), tolerance)) continue;
        *at = next_line(line_end(s));
        return true;
    }
    return false;
}

// ---- a page

typedef enum Block { PROSE, OUTPUT, CODE, MEASURED, OTHER } Block;   // OTHER: another name, or none; read like prose

typedef struct Reader {
    const Page *p;
    Arena *a;
    Verdict *v;
    Block block;
    const char *source, *printed;    // from where the next line is looked for
    const char *given;               // all_given
    double tolerance;
} Reader;

// What the page says of its own accord: its lines <!-- given: .. -->, and its ```measured blocks.
static const char *all_given(const char *text, Arena *a)
{
    const char *all = "", *mark = "<!-- given:", *open = "```measured\n";
    for (const char *s = text; *s; s = next_line(line_end(s))) {
        const char *end = line_end(s);
        if (!strncmp(s, open, strlen(open))) {
            const char *close = strstr(end, "\n```");
            end = close ? close : end;
        } else if (strncmp(s, mark, strlen(mark)) != 0) {
            continue;
        }
        all = arena_printf(a, "%s\n%.*s", all, (int)(end - s), s);
        s = end;
    }
    return all;
}

// The line ``` with what follows it.
static void fence(Reader *r, const char *s, const char *end)
{
    s += strlen("```");
    const int n = (int)(past_last_char(s, end) - s);
    if (r->block != PROSE) {
        r->block = PROSE;
    } else if (n == 6 && !memcmp(s, "output", 6)) {
        r->block = OUTPUT;
    } else if (n == 8 && !memcmp(s, "measured", 8)) {
        r->block = MEASURED;
    } else if (n == 1 && *s == 'c') {
        r->block = CODE;
        r->source = r->p->source;
    } else if (n > 2 && !memcmp(s, "c ", 2)) {
        r->block = CODE;
        r->source = slurp(r->a, arena_printf(r->a, "%.*s", n - 2, s + 2));
    } else {
        r->block = OTHER;
    }
}

static void output_line(Reader *r, const char *s, const char *end)
{
    const bool found = find_line(&r->printed, s, end, same_output, r->tolerance);
    judge(r->v, r->p, s, found, "the program does not print (here)", s, (int)(end - s));
    Number x;
    for (const char *c = s; c < end; c++)
        if (number_at(c, s, &x)) {
            if (x.digits != s) judge(r->v, r->p, x.digits, true, "", s, 0);
            c += x.n - 1;
        }
}

static void code_line(Reader *r, const char *s, const char *end)
{
    const bool found = find_line(&r->source, s, end, same_code, 0);
    judge(r->v, r->p, s, found, "no such line of code (here)", s, (int)(end - s));
}

static void prose_line(Reader *r, const char *s, const char *end)
{
    const Page *p = r->p;
    Number x;
    for (const char *c = s; c < end; c++) {
        if (!number_at(c, p->text, &x)) continue;
        const bool alone = c > s && c[-1] == '`' && c[x.n] == '`';
        if (!x.whole || alone)
            judge(r->v, p, x.digits, number_in(p->printed, x) || number_in(p->source, x) || number_in(r->given, x),
                  "neither printed nor in the program nor given", c, x.n);
        c += x.n - 1;
    }
}

static void read_page(const Page *p, Arena *a, Verdict *v)
{
    const size_t mark = arena_mark(a);
    Reader r = {.p = p, .a = a, .v = v, .printed = p->printed, .given = all_given(p->text, a), .tolerance = 1e-12};
    const char *tolerance = "<!-- tolerance ";
    v->wrong = v->n = 0;
    for (const char *line = p->text, *next; *line; line = next) {
        const char *const eol = line_end(line), *s = first_char(line, eol), *end = past_last_char(s, eol);
        next = next_line(eol);
        if (end - s >= 3 && !memcmp(s, "```", 3)) fence(&r, s, end);
        else if (s == end || r.block == MEASURED) continue;
        else if (r.block == OUTPUT) output_line(&r, s, end);
        else if (r.block == CODE) code_line(&r, s, end);
        else if (!strncmp(s, tolerance, strlen(tolerance))) r.tolerance = atof(s + strlen(tolerance));
        else if (strncmp(s, "<!--", 4) != 0) prose_line(&r, s, end);
    }
    if (r.block != PROSE) v->wrong++, snprintf(v->first, sizeof v->first, "a fence is not closed");
    arena_rewind(a, mark);
}

// A place of a page without errors where a changed character is no error, be it a digit that becomes any other one, or
// anything else that becomes '#'.  NULL: there is none.
static const char *unnoticed(const Page *p, const Verdict *v, Arena *a)
{
    const size_t mark = arena_mark(a);
    char *text = arena_printf(a, "%s", p->text);
    Page changed = *p;
    Verdict *w = arena_alloc(a, sizeof *w);
    const char *missed = NULL;
    changed.text = text;
    for (int i = 0; i < v->n && !missed; i++) {
        char *c = &text[v->place[i]];
        const char before = *c;
        const bool digit = isdigit((unsigned char)before);
        bool wrong = false;
        for (int k = 1; k < (digit ? 10 : 2) && !wrong; k++) {
            *c = (char)(digit ? '0' + (before - '0' + k) % 10 : before == '#' ? '%' : '#');
            read_page(&changed, a, w);
            wrong = w->wrong > 0;
        }
        if (!wrong) missed = p->text + v->place[i];
        *c = before;
    }
    arena_rewind(a, mark);
    return missed;
}

// ---- the reader on pages that are right or wrong on purpose

static void test_reader(TestLog *log, Arena *a)
{
    static const struct { bool right; const char *text; } made[] = {
        {true, "x is 2.5, about 0.33 and `7`, 12 or so.\n```output\nx 2.5\ny 0.333333333333\n\nn 7\n```\n"},
        {false, "x is 2.6.\n"},
        {false, "n is `8`.\n"},
        {true, "n is `8`.\n<!-- given: 3, 8 -->\n"},
        {true, "it took 3.2 s\n```measured\nseconds 3.21\nmore 5\n```\n"},
        {false, "it took 3.3 s\n```measured\nseconds 3.21\nmore 5\n```\n"},
        {true, "the rate 1e-3\n```c\nrate = 0.001;\n```\n"},
        {false, "```c\nrate = 0.002;\n```\n"},
        {false, "```c\nint n = 7;\nrate = 0.001;\n```\n"},                              // the other way round
        {false, "```output\nn 7\ny 0.333333333333\n```\n"},                              // the same
        {false, "```output\nx 2.5 m\n```\n"},
        {false, "```output\nX 2.5\n```\n"},
        {false, "```output\nn 7.0\n```\n"},
        {false, "```output\ny 0.3333\n```\n"},
        {true, "<!-- tolerance 1e-3 -->\n```output\ny 0.3333\n```\n"},
        {false, "<!-- tolerance 1e-5 -->\n```output\ny 0.3333\n```\n"},
        {false, "```output\nx 2.5\n"},
        {true, "```c docs/tour/tour.mk\nTOUR_SRC := $(sort $(wildcard docs/tour/*.c))\n```\n"},
        {false, "```c docs/tour/none.mk\nTOUR_SRC := $(sort $(wildcard docs/tour/*.c))\n```\n"},
    };
    Verdict v;
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) {
        const Page p = {"made", made[i].text, "rate = 0.001;\nint n = 7;\n", "x 2.5\ny 0.3333333333331\nn 7\n"};
        read_page(&p, a, &v);
        TEST(log, made[i].right == (v.wrong == 0), "page %zu: %d of %d places are wrong", i, v.wrong, v.n);
        if (!made[i].right) continue;
        const char *missed = unnoticed(&p, &v, a);
        TEST(log, !missed, "page %zu: a change goes unnoticed: %s", i, missed);
    }
}

// ---- the tour

// What the program of a chapter prints.
static const char *run_program(TestLog *log, Arena *a, const char *name)
{
    const int dir = (int)(strrchr(log->lead, '/') - log->lead);
    const char *out = arena_printf(a, "%s/%s.out", log->tmp, name);
    const int code = system(arena_printf(a, "'%.*s/tour/%s' '%s' > '%s'", dir, log->lead, name, log->tmp, out));
    TEST(log, code == 0, "%s: status %d", name, code);
    return slurp(a, out);
}

// Every picture that the page shows and that lies beside it is one that the program draws.
static void test_pictures(TestLog *log, Arena *a, const Page *p)
{
    for (const char *s = p->text; (s = strstr(s, "](")) != NULL; s++) {
        const int n = (int)strcspn(s + 2, ")/");
        if (n < 5 || s[2 + n] != ')' || strncmp(s + 2 + n - 4, ".png", 4) != 0) continue;
        const char *drawn = arena_printf(a, "%s/%.*s", log->tmp, n, s + 2);
        const char *shown = arena_printf(a, TOUR "/%.*s", n, s + 2);
        TEST(log, access(drawn, R_OK) == 0 && access(shown, R_OK) == 0, "no %s or no %s", drawn, shown);
    }
}

static void test_page(TestLog *log, Arena *a, const char *name)
{
    static Verdict v;
    Page p = {.name = name, .text = slurp(a, arena_printf(a, TOUR "/%s.md", name))};
    const char *source = slurp(a, arena_printf(a, TOUR "/%s.c", name));
    if (*source) {
        p.source = source;
        p.printed = run_program(log, a, name);
    }
    read_page(&p, a, &v);
    TEST(log, *p.text && v.wrong == 0, TOUR "/%s.md: %d of %d places are wrong, the first: %s", name, v.wrong, v.n,
         *p.text ? v.first : "no page");
    test_pictures(log, a, &p);
    if (v.wrong) return;
    TEST(log, v.n >= 3 || strcmp(name, "README") == 0, TOUR "/%s.md holds %d places that can be compared", name, v.n);
    const char *missed = unnoticed(&p, &v, a);
    const int n = missed ? (int)(line_end(missed) - missed) : 0;
    TEST(log, !missed, TOUR "/%s.md: a change goes unnoticed: %.*s", name, n, missed);
}

void test_tour(TestLog *log)
{
    Arena *a = arena_new("tour", (size_t)1 << 28, NULL);
    test_reader(log, a);
    const char *readme = slurp(a, TOUR "/README.md");
    DIR *dir = opendir(TOUR);
    int chapters = 0;
    for (struct dirent *e; dir && (e = readdir(dir)) != NULL;) {
        char *name = arena_printf(a, "%s", e->d_name), *dot = strrchr(name, '.');
        const bool page = dot && !strcmp(dot, ".md"), program = dot && !strcmp(dot, ".c");
        if (!page && !program) continue;
        *dot = 0;
        if (program) {
            const char *path = arena_printf(a, TOUR "/%s.md", name);
            TEST(log, access(path, R_OK) == 0, "%s: a program without a page", path);
            continue;
        }
        if (strcmp(name, "README") != 0)
            TEST(log, strstr(readme, arena_printf(a, "(%s.md)", name)) != NULL, "README.md does not name %s", name);
        chapters++;
        // which train for seconds, minutes under sanitizers; the others call every part that they call
        if (log->quick && strchr("346", *name)) test_skip(log, "skipped in a quick run: chapter %s", name);
        else test_page(log, a, name);
    }
    if (dir) closedir(dir);
    TEST(log, chapters > 1, "no pages in " TOUR);
    arena_delete(a);
}
