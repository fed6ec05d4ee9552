// Tables of text: lines, fields, what stands for a missing value.
#ifndef LEAD_TRAFFIC_TEXT_H
#define LEAD_TRAFFIC_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "traffic/series.h"

typedef struct TextSource {
    const char *path;        // for messages
    const char *bytes;
    size_t size;
    bool mapped;             // pages that were read may be given back
} TextSource;

typedef struct TextLine { const char *p, *end; int64_t number; } TextLine;      // number: from 1
typedef struct TextLines { const TextSource *from; const char *p, *unused; int64_t number; } TextLines;

// Refuses a NUL byte; counts the lines.
Status text_source_check(const TextSource *s, int64_t *lines);
// A byte order mark is skipped.
TextLines text_lines(const TextSource *s);
// The next line that is neither blank nor a comment (#); without CR and LF.  False at the end.
bool text_next(TextLines *l, TextLine *line);

typedef struct TextField { const char *p; size_t n; } TextField;
// Cuts a line at `separator` (' ': runs of blanks and tabs), quotes around a field taken off.  Returns the number of
// fields; those beyond `most` are counted only.
int64_t text_split(const TextLine *line, char separator, TextField *field, int64_t most);

bool text_missing(TextField f);                                  // empty, NA, N/A, NaN, null, None, -, ?
bool text_number(TextField f, char point, double *v);            // all of it
bool text_is(TextField f, const char *word);                     // without regard to case
const char *text_copy(Arena *a, TextField f);
// A name in which two double quotes stand for one, as CSV writes them inside quotes; f itself when it has none.
TextField text_name(Arena *a, TextField f);
// text as it may be shown (tensor/utf8.h, text_clean), text itself where that is the same: names of nodes and links.
const char *text_safe(Arena *a, const char *text);

// For "%.*s" of messages.
#define TEXT_SHOW(f) (int)((f).n > 30 ? 30 : (f).n), (f).p

// Reads CSV and its like (csv.h), long tables and JSON lines (long.h); what was guessed goes to notes.
Status text_table_read(TrafficTable *out, Arena *a, const TextSource *s, const TrafficReadOptions *o,
                       TrafficNotes *notes);

#endif
