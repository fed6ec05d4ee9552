// Writes HTML that is well-formed XML as well: elements end in the order in which they began, and whatever does not
// come from this program goes through html_text, which escapes it.  The page stands alone: nothing is loaded, and a
// browser is told to load nothing (Content-Security-Policy).
#ifndef LEAD_REPORT_HTML_H
#define LEAD_REPORT_HTML_H

#include <stdio.h>

enum { HTML_MAX_DEPTH = 32 };

typedef struct Html {
    FILE *f;
    int depth;
    const char *tag[HTML_MAX_DEPTH];     // open elements; constants
    int ids;                             // given out by html_id
} Html;

// The page up to <body>.  css: lines of this program without '<' and '&', NULL at the end.
Html html_begin(FILE *f, const char *title, const char *const *css);
void html_end(Html *h);                  // every element must have ended

// Begins an element.  attributes: ` name="value"` .. of this program, numbers alone filled in; "": none.
void html_open(Html *h, const char *tag, const char *attributes, ...) __attribute__((format(printf, 3, 4)));
void html_close(Html *h);                // the last one begun
// An element without content: <rect .../>.  Only for those that HTML ends so too: svg's, br, meta.
void html_empty(Html *h, const char *tag, const char *attributes, ...) __attribute__((format(printf, 3, 4)));

// Text, escaped; control characters, bytes that are no UTF-8 and characters that hide or turn text become \xNN
// (tensor/utf8.h).  Lines and tabs stay.
void html_text(Html *h, const char *text);
void html_textf(Html *h, const char *fmt, ...) __attribute__((format(printf, 2, 3)));    // at most 4095 bytes
// An element of nothing but text, without attributes, or of a class.
void html_put(Html *h, const char *tag, const char *class_name, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

// The number of a new id, for attributes such as id="i%d".
int html_id(Html *h);

#endif
