#include <math.h>
#include <string.h>

#include "io/number.h"
#include "traffic/formats/internal.h"

const char *traffic_format_name(TrafficFormat f)
{
    static const char *const name[FORMAT_COUNT] = {
        [FORMAT_OTHER] = "a table", [FORMAT_SNDLIB_XML] = "SNDlib XML", [FORMAT_SNDLIB_NATIVE] = "SNDlib native",
        [FORMAT_TOTEM] = "TOTEM XML", [FORMAT_X] = "Abilene X file", [FORMAT_TEXT] = "matrix text",
        [FORMAT_ROUGHAN] = "Roughan .dat", [FORMAT_REPETITA] = "REPETITA demands",
        [FORMAT_PARAGON_DEMAND] = "Paragon demands", [FORMAT_PARAGON_LOAD] = "Paragon trafficload",
        [FORMAT_GRAPH] = "REPETITA graph", [FORMAT_TOPOLOGY] = "a TOTEM topology",
        [FORMAT_INTERFACE] = "Paragon interface traffic", [FORMAT_UNKNOWN_XML] = "unknown XML"};
    return name[f];
}

// ---- XML: the name of the root element decides ---------------------------------------------------------------------

static bool skip_markup(const char **p, const char *end)
{
    const char *stop = *p + 1 < end && (*p)[1] == '?'                  ? "?>"
                     : end - *p >= 4 && !memcmp(*p, "<!--", 4)        ? "-->"
                     : *p + 1 < end && (*p)[1] == '!'                  ? ">"
                                                                       : NULL;
    const char *found = stop ? memmem(*p, (size_t)(end - *p), stop, strlen(stop)) : NULL;
    if (found) *p = found + strlen(stop);
    return found != NULL;
}

static TrafficFormat detect_xml(const char *p, const char *end)
{
    while (p < end) {
        if (strchr(" \t\r\n", *p) && *p) p++;
        else if (*p != '<' || !skip_markup(&p, end)) break;
    }
    if (p == end || *p++ != '<') return FORMAT_UNKNOWN_XML;
    Slice root = {p, 0};
    while (p < end && *p && !strchr(" \t\r\n/>", *p)) p++, root.n++;
    const char *colon = memrchr(root.s, ':', root.n);
    if (colon) root = (Slice){colon + 1, root.n - (size_t)(colon + 1 - root.s)};
    return slice_is(root, "network")           ? FORMAT_SNDLIB_XML
         : slice_is(root, "TrafficMatrixFile") ? FORMAT_TOTEM
         : slice_is(root, "domain")            ? FORMAT_TOPOLOGY
                                               : FORMAT_UNKNOWN_XML;
}

// ---- text: the first line that is neither blank nor a comment decides ----------------------------------------------

enum { FIELDS = 6 };

static bool is_direction(Slice s) { return slice_is(s, "A2Z") || slice_is(s, "Z2A"); }

// 02,02
static bool is_priority(Slice s)
{
    const char *comma = memchr(s.s, ',', s.n);
    int64_t v;
    return comma && slice_integer(&v, (Slice){s.s, (size_t)(comma - s.s)}, 1 << 20) &&
           slice_integer(&v, (Slice){comma + 1, s.n - (size_t)(comma + 1 - s.s)}, 1 << 20);
}

static TrafficFormat detect_words(Slice line)
{
    Slice field[FIELDS] = {0};
    int n = 0;
    double v;
    for (; n < FIELDS && field_next(&field[n], &line); n++) continue;
    if (slice_is(field[0], "DEMANDS") && n == 2 && slice_number(&v, field[1])) return FORMAT_REPETITA;
    if (slice_is(field[0], "NODES") && n == 2 && slice_number(&v, field[1])) return FORMAT_GRAPH;
    if (n >= 3 && is_direction(field[1])) return FORMAT_PARAGON_LOAD;
    if (n >= 4 && is_direction(field[2])) return FORMAT_INTERFACE;
    if (n == FIELDS && is_priority(field[5]) && number_parse(field[3].s, field[3].s + field[3].n, '.', &v))
        return FORMAT_PARAGON_DEMAND;
    return FORMAT_OTHER;
}

static bool is_square(int64_t n)
{
    const int64_t r = llround(sqrt((double)n));
    return n >= 4 && r * r == n;
}

// Whether there are exactly n; no more than that are looked at.
static bool has_data_lines(Lines lines, int64_t n)
{
    int64_t found = 0;
    for (Slice line; found <= n && lines_next_data(&line, &lines);) found++;
    return found == n;
}

// A line of numbers alone, separated by blanks: as many as a matrix has, as many as there are lines, or five times as
// many as a matrix has.  What could be a table instead, with a time or a row number in front, is left to its reader:
// lines of four numbers; a first number that may be a time (1990 in Unix s; ms, us, ns), in up to sixteen columns or
// where there are as many lines as columns; and of these the sizes that are a square and one more.  X files write %.7e:
// a whole number in front is no X file.
static TrafficFormat detect_numbers(Slice line, Lines all)
{
    int64_t n = 0;
    bool point = false;
    double first = 0;
    if (memchr(line.s, '\t', line.n)) return FORMAT_OTHER;
    for (Slice field; field_next(&field, &line); n++) {
        double v;
        if (number_parse(field.s, field.s + field.n, '.', &v) != field.s + field.n) return FORMAT_OTHER;
        if (!n) {
            point = memchr(field.s, '.', field.n) != NULL;
            first = v;
        }
    }
    const bool timed = first >= 631152000;
    if (n <= 4 || (n <= 16 && timed)) return FORMAT_OTHER;
    if (is_square(n) || (!timed && !is_square(n - 1) && has_data_lines(all, n))) return FORMAT_TEXT;
    return point && n >= 5 * 9 && n % 5 == 0 && is_square(n / 5) ? FORMAT_X : FORMAT_OTHER;
}

static int64_t count_commas(Slice line)
{
    int64_t n = 0;
    for (size_t i = 0; i < line.n; i++) n += line.s[i] == ',';
    return n;
}

// Values with commas below comments '# key = value': those of TrafficMatrix::write or, where others wrote them, two
// keys that it has and a square matrix.
static bool is_roughan(const char *bytes, size_t size, Slice data)
{
    static const char *const known[] = {"units", "date", "time", "time interval"};
    Lines lines = lines_of(bytes, size);
    int keys = 0;
    bool own = false;
    for (Slice line; lines_next(&line, &lines) && line.s < data.s; ) {
        const char *equals = line.n && *line.s == '#' ? memchr(line.s, '=', line.n) : NULL;
        if (!equals) continue;
        const Slice key = slice_trim((Slice){line.s + 1, (size_t)(equals - line.s - 1)});
        const Slice value = slice_trim((Slice){equals + 1, line.n - (size_t)(equals + 1 - line.s)});
        for (size_t i = 0; i < sizeof known / sizeof *known; i++) keys += slice_is(key, known[i]);
        own |= slice_is(key, "created by") && slice_begins(value, "TrafficMatrix");
    }
    double v;
    const char *comma = memchr(data.s, ',', data.n);
    if (!comma || number_parse(data.s, comma, '.', &v) != comma) return false;
    return own || (keys >= 2 && has_data_lines(lines_of(bytes, size), count_commas(data) + 1));
}

TrafficFormat traffic_format_detect(const char *bytes, size_t size)
{
    enum { LOOK = 1 << 16 };                              // readers of text refuse a NUL byte that comes later
    if (memchr(bytes, 0, size < LOOK ? size : LOOK)) return FORMAT_OTHER;     // no text
    Lines lines = lines_of(bytes, size);
    const char *p = lines.p;
    while (p < lines.end && *p && strchr(" \t\r\n", *p)) p++;
    if (p < lines.end && *p == '<') return detect_xml(p, lines.end);
    if (slice_begins((Slice){p, (size_t)(lines.end - p)}, "?SNDlib native format")) return FORMAT_SNDLIB_NATIVE;
    Slice line;
    do {                                                  // UNIT=1 may stand before the lines of a trafficload
        if (!lines_next_data(&line, &lines)) return FORMAT_OTHER;
    } while (slice_begins(line, "UNIT="));
    const TrafficFormat words = detect_words(line);
    if (words != FORMAT_OTHER) return words;
    return is_roughan(bytes, size, line) ? FORMAT_ROUGHAN : detect_numbers(line, lines_of(bytes, size));
}
