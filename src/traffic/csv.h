// Traffic matrices as text, one snapshot a line: N*N values, origin-major, before which a row number, a time (or a date
// and a time) may stand.  What is understood, from the first lines:
//   separator   semicolon, tab, comma or blanks: the first of them that gives every line the same, fitting number of
//               fields.  With another separator than the comma, a comma may be the decimal point.
//   header      a first line of names in every field, or pandas' 0, 1, 2, ..  Names of pairs, such as A-B, A_B, A->B in
//               any order, name the nodes and their columns; columns of pairs that are not listed are 0.
//   comments    lines that begin with '#'; blank lines; a byte order mark; CRLF; a separator at the end of each line
//   missing     empty, NA, N/A, NaN, null, None, -, ?
//   times       as in times.h.  A first column that counts 0, 1, 2, .. is a row number and no time.
// A matrix alone, N lines of N values below a line of N names and each behind its name, is read too.
#ifndef LEAD_TRAFFIC_CSV_H
#define LEAD_TRAFFIC_CSV_H

#include "traffic/text.h"

// Reads such a table.  Errors name file and line: unreadable number or time, another number of fields than in the line
// before, a first line that is neither names nor values, no data.
Status csv_read(TrafficTable *out, Arena *a, const TextSource *s, const TrafficReadOptions *o, TrafficNotes *notes);

// Converts a time to Unix seconds (times.h; a time without a zone is UTC).  False when text is none.
bool csv_parse_time(const char *text, int64_t *seconds);

// ---- inside csv*.c -------------------------------------------------------------------------------------------------

enum { CSV_PROBE = 32 };                              // lines that are looked at first

typedef struct CsvLayout {
    char separator, point;
    int N;
    int64_t n_fields;        // of a line, without one that a separator at its end adds
    int64_t lead;            // fields before the values
    int64_t n_values;        // N*N, or fewer when names say which
    int time_field;          // the first field of the time, -1: none
    int time_fields;         // 2: a date and a time
    bool header, end_separator;
    int64_t *cell;           // [n_values] i*N + j of a column; NULL: in order
    const char *const *node; // [N] or NULL
} CsvLayout;

// Chooses separator and layout from the first lines.
Status csv_layout(CsvLayout *l, Arena *a, const TextSource *s, TrafficNotes *notes);
// Nodes and cells from the names of n columns; false when they are no names of pairs.
bool csv_pair_names(CsvLayout *l, Arena *a, const TextField *name, int64_t n);

#endif
