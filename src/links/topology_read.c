// REPETITA, SNDlib native and CSV, and the choice between all formats.
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "io/file.h"
#include "links/topology.h"
#include "links/topology_xml.h"

enum { MOST_WORDS = 512 };

typedef struct Lines { char *next; int number; } Lines;

// The next line, cut off in place, without \r and blanks at its ends; NULL at the end.
static char *next_line(Lines *l)
{
    if (!l->next) return NULL;
    char *line = l->next, *end = strchr(line, '\n');
    l->next = end ? end + 1 : NULL;
    if (end) *end = 0;
    l->number++;
    while (isspace((unsigned char)*line)) line++;
    for (size_t n = strlen(line); n && isspace((unsigned char)line[n - 1]); n--) line[n - 1] = 0;
    return line;
}

static int split_words(char *line, const char *separators, char **word)
{
    int n = 0;
    char *save;
    for (char *w = strtok_r(line, separators, &save); w && n < MOST_WORDS; w = strtok_r(NULL, separators, &save))
        word[n++] = w;
    return n;
}

static int count_lines(const char *text)
{
    int n = 1;
    for (; *text; text++) n += *text == '\n';
    return n;
}

static bool parse_number(const char *text, double *v)
{
    char *end;
    *v = strtod(text, &end);
    return end != text && !*end;
}

static Status find_node(const Topology *t, const char *name, int line, int *node)
{
    *node = topology_node(t, name);
    return *node >= 0 ? OK : ERROR("%s:%d: want the name of a node, got '%s'", t->path, line, name);
}

// ---- REPETITA

// "NODES 12": the count; the line of column names follows.
static Status repetita_head(const Topology *t, Lines *l, const char *word, int *count)
{
    char *line, *w[MOST_WORDS];
    while ((line = next_line(l)) && !*line) continue;
    double v = 0;
    if (!line || split_words(line, " \t", w) != 2 || strcasecmp(w[0], word) || !parse_number(w[1], &v) ||
        !(v >= 1 && v <= 1e6) || v != (int)v)
        return ERROR("%s:%d: want %s and their number, got '%.40s'", t->path, l->number, word, line ? line : "");
    *count = (int)v;
    return next_line(l) ? OK : ERROR("%s:%d: want the names of the columns, got the end", t->path, l->number);
}

// "src" and "dest" are indices of nodes; some files have the labels instead.
static Status repetita_node(const Topology *t, const char *word, int line, int *node)
{
    char *end;
    const long v = strtol(word, &end, 10);
    if (end == word || *end) return find_node(t, word, line, node);
    *node = (int)v;
    return v >= 0 && v < t->N ? OK : ERROR("%s:%d: want a node 0..%d, got %ld", t->path, line, t->N - 1, v);
}

static Status repetita_edge(Topology *t, Arena *a, char *line, int number, double unit_kbps)
{
    char *w[MOST_WORDS];
    const int n = split_words(line, " \t", w);
    TopologyLink link = {.weight = 1};
    if (n < 5 || !parse_number(w[3], &link.weight) || !parse_number(w[4], &link.capacity_kbps))
        return ERROR("%s:%d: want label src dest weight bw delay, got %d words or no numbers", t->path, number, n);
    TRY(repetita_node(t, w[1], number, &link.from));
    TRY(repetita_node(t, w[2], number, &link.to));
    link.capacity_kbps *= unit_kbps;
    link.name = w[0];
    return topology_add_link(t, a, link, false, number);
}

Status topology_parse_repetita(Topology *t, Arena *a, char *text, double unit_kbps)
{
    const int room = count_lines(text);
    *t = topology_new(a, t->path, "REPETITA", room, room);
    if (!(unit_kbps > 0)) topology_say(t, a, "bw is taken as kbit/s");
    Lines l = {text, 0};
    int count;
    TRY(repetita_head(t, &l, "NODES", &count));
    for (int i = 0; i < count; i++) {
        char *line = next_line(&l), *w[MOST_WORDS];
        if (!line || split_words(line, " \t", w) < 1)
            return ERROR("%s:%d: want %d nodes, got %d", t->path, l.number, count, i);
        TRY(topology_add_node(t, a, w[0], l.number));
    }
    TRY(repetita_head(t, &l, "EDGES", &count));
    for (int i = 0; i < count; i++) {
        char *line = next_line(&l);
        if (!line || !*line) return ERROR("%s:%d: want %d edges, got %d", t->path, l.number, count, i);
        TRY(repetita_edge(t, a, line, l.number, unit_kbps > 0 ? unit_kbps : 1));
    }
    return OK;
}

// ---- SNDlib native

// LINKS: id ( a b ) capacity capacity_cost routing_cost setup_cost ( {module_capacity module_cost}* )
static Status native_link(Topology *t, Arena *a, char *line, int number, double unit_kbps, bool *has_cost)
{
    char *w[MOST_WORDS];
    const int n = split_words(line, " \t()", w);
    double capacity, cost, module;
    TopologyLink link = {.weight = 1};
    if (n < 6 || !parse_number(w[3], &capacity) || !parse_number(w[5], &cost))
        return ERROR("%s:%d: want id ( a b ) capacity cost routing_cost setup_cost ( modules ), got %d words",
                     t->path, number, n);
    for (int i = 7; i < n && !(capacity > 0); i += 2) {
        if (!parse_number(w[i], &module))
            return ERROR("%s:%d: want a module capacity, got '%s'", t->path, number, w[i]);
        link.capacity_kbps = module > link.capacity_kbps ? module : link.capacity_kbps;
    }
    TRY(find_node(t, w[1], number, &link.from));
    TRY(find_node(t, w[2], number, &link.to));
    link.capacity_kbps = (capacity > 0 ? capacity : link.capacity_kbps) * unit_kbps;
    if (cost > 0) *has_cost = true, link.weight = cost;
    return topology_add_link(t, a, link, true, number);
}

Status topology_parse_native(Topology *t, Arena *a, char *text, double unit_kbps)
{
    const int room = count_lines(text);
    *t = topology_new(a, t->path, "SNDlib native", room, 2 * room);
    Lines l = {text, 0};
    char section[16] = "";
    double unit = 0;
    bool has_cost = false;
    for (char *line; (line = next_line(&l));) {
        char *w[MOST_WORDS];
        if (!*line || *line == '#' || *line == '?') continue;
        if (!strcmp(line, ")")) {
            *section = 0;
            continue;
        }
        const size_t word = strcspn(line, " \t(");
        const bool one_line = line[strlen(line) - 1] == ')';
        if (!*section && word < sizeof section && strchr(line, '(')) {
            memcpy(section, line, word);
            section[word] = 0;
            if (one_line) *section = 0;   // "LINKS ( )"
        } else if (!strcmp(section, "META")) {
            if (split_words(line, " \t=", w) == 2 && !strcmp(w[0], "unit")) unit = topology_unit_kbps(w[1]);
        } else if (!strcmp(section, "NODES")) {
            if (split_words(line, " \t(", w) > 0) TRY(topology_add_node(t, a, w[0], l.number));
        } else if (!strcmp(section, "LINKS")) {
            const double kbps = unit_kbps > 0 ? unit_kbps : unit > 0 ? unit : 1e3;
            TRY(native_link(t, a, line, l.number, kbps, &has_cost));
        }
    }
    if (!(unit_kbps > 0) && !(unit > 0)) topology_say(t, a, "no unit given: capacities are taken as Mbit/s");
    if (!has_cost) topology_say(t, a, "no routing costs: every link has weight 1");
    return OK;
}

// ---- CSV

typedef enum Column { SOURCE, DESTINATION, CAPACITY, WEIGHT, NAME, GROUP, COLUMNS } Column;

// The place of each column in the header; -1: not there.  both: the links are undirected.
static Status csv_columns(const Topology *t, char **word, int n, int line, int place[COLUMNS], double *unit, bool *both)
{
    static const char *const names[COLUMNS] = {
        "source src from node_a a", "destination dst dest target to node_b b z node_z",
        "capacity bw bandwidth cap", "weight metric cost ospf igp", "name label link id", "group srlg"};
    for (int c = 0; c < COLUMNS; c++) place[c] = -1;
    *both = false;
    for (int i = 0; i < n; i++) {
        char *under = strrchr(word[i], '_');
        const double said = under ? topology_unit_kbps(under + 1) : 0;
        if (said > 0) *under = 0, *unit = said;      // capacity_mbps
        for (int c = 0; c < COLUMNS; c++)
            for (const char *p = names[c]; *p; p += strcspn(p, " "), p += *p == ' ')
                if (strcspn(p, " ") == strlen(word[i]) && !strncasecmp(p, word[i], strlen(word[i]))) place[c] = i;
        *both |= !strcasecmp(word[i], "node_a") || !strcasecmp(word[i], "a");
    }
    if (place[SOURCE] < 0 || place[DESTINATION] < 0)
        return ERROR("%s:%d: want a header with source and destination, and any of capacity (or capacity_mbps ..), "
                     "weight, name, group; got '%s,..'", t->path, line, word[0]);
    return OK;
}

// Fields of one line, empty ones too; blanks and quotation marks around them are dropped.
static int split_fields(char *line, char separator, char **field)
{
    int n = 0;
    for (char *p = line; p && n < MOST_WORDS; n++) {
        char *end = strchr(p, separator);
        if (end) *end++ = 0;
        while (*p == ' ' || *p == '"') p++;
        for (size_t k = strlen(p); k && (p[k - 1] == ' ' || p[k - 1] == '"'); k--) p[k - 1] = 0;
        field[n] = p;
        p = end;
    }
    return n;
}

static Status csv_node(Topology *t, Arena *a, const char *name, int line, int *node)
{
    *node = topology_node(t, name);
    if (*node >= 0) return OK;
    *node = t->N;
    return topology_add_node(t, a, name, line);
}

static Status csv_link(Topology *t, Arena *a, char **w, int n, const int place[COLUMNS], double unit, bool both,
                       int line)
{
    for (int c = 0; c < COLUMNS; c++)
        if (place[c] >= n)
            return ERROR("%s:%d: want %d fields at least, got %d", t->path, line, place[c] + 1, n);
    TopologyLink link = {.weight = 1};
    if (place[CAPACITY] >= 0 && *w[place[CAPACITY]] && !parse_number(w[place[CAPACITY]], &link.capacity_kbps))
        return ERROR("%s:%d: want a capacity, got '%s'", t->path, line, w[place[CAPACITY]]);
    if (place[WEIGHT] >= 0 && !parse_number(w[place[WEIGHT]], &link.weight))
        return ERROR("%s:%d: want a weight, got '%s'", t->path, line, w[place[WEIGHT]]);
    link.capacity_kbps *= unit;
    if (place[NAME] >= 0 && *w[place[NAME]]) link.name = w[place[NAME]];
    if (place[GROUP] >= 0 && *w[place[GROUP]]) link.group = arena_printf(a, "%s", w[place[GROUP]]);
    TRY(csv_node(t, a, w[place[SOURCE]], line, &link.from));
    TRY(csv_node(t, a, w[place[DESTINATION]], line, &link.to));
    return topology_add_link(t, a, link, both, line);
}

Status topology_parse_csv(Topology *t, Arena *a, char *text, double unit_kbps)
{
    const int room = count_lines(text);
    *t = topology_new(a, t->path, "CSV of links", 2 * room, 2 * room);
    Lines l = {text, 0};
    char *line = next_line(&l), *w[MOST_WORDS];
    while (line && (!*line || *line == '#')) line = next_line(&l);
    if (!line) return ERROR("%s: want a header with source and destination, got no line", t->path);
    const char separator = strchr(line, '\t') ? '\t' : strchr(line, ';') ? ';' : ',';
    int place[COLUMNS];
    double said = 0;
    bool both;
    TRY(csv_columns(t, w, split_fields(line, separator, w), l.number, place, &said, &both));
    const double unit = unit_kbps > 0 ? unit_kbps : said > 0 ? said : 1;
    while ((line = next_line(&l)))
        if (*line && *line != '#')
            TRY(csv_link(t, a, w, split_fields(line, separator, w), place, unit, both, l.number));
    if (place[CAPACITY] < 0) topology_say(t, a, "no column capacity: loads alone, no utilisation");
    else if (!(unit_kbps > 0) && !(said > 0)) topology_say(t, a, "capacities are taken as kbit/s");
    if (place[WEIGHT] < 0) topology_say(t, a, "no column weight: every link has weight 1");
    return OK;
}

// ---- any format

Status topology_read(Topology *t, Arena *a, const char *path, double unit_kbps)
{
    enum { MOST_BYTES = 1 << 28 };
    char *text;
    size_t size;
    TRY(file_read(&text, &size, a, path, MOST_BYTES));
    if (strlen(text) != size) return ERROR("%s: want text, got a NUL byte after %zu bytes", path, strlen(text));
    if (!strncmp(text, "\xef\xbb\xbf", 3)) text += 3, size -= 3;
    const char *first = text + strspn(text, " \t\r\n");
    *t = (Topology){.path = path, .note = ""};
    if (*first == '<') TRY(topology_parse_xml(t, a, text, size, unit_kbps));
    else if (!strncasecmp(first, "NODES", 5)) TRY(topology_parse_repetita(t, a, text, unit_kbps));
    else if (!strncmp(first, "?SNDlib", 7)) TRY(topology_parse_native(t, a, text, unit_kbps));
    else TRY(topology_parse_csv(t, a, text, unit_kbps));
    if (t->N < 2 || t->L < 1)
        return ERROR("%s: want a network, got %d nodes and %d links (%s)", path, t->N, t->L, t->format);
    return OK;
}
