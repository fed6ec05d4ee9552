// A pull parser for XML 1.0 documents that hold data.  It reads bytes in memory, whatever they are, and hands out one
// event at a time; it keeps no tree.  What it takes of the standard (https://www.w3.org/TR/xml/):
//   elements, attributes in quotes, text, CDATA, comments, processing instructions; prefixes of names are dropped;
//   the five predefined entities and character references; nothing else is ever expanded
//   UTF-8 (with or without a byte order mark), ISO-8859-1 and US-ASCII, as the declaration says
// A DOCTYPE that only names a schema is skipped; one that declares something ('[') is refused, as is every unknown
// entity, so a small file cannot grow.  Other limits: below.  Errors name file and line.
#ifndef LEAD_IO_XML_H
#define LEAD_IO_XML_H

#include <stdbool.h>
#include <stddef.h>

#include "tensor/arena.h"
#include "tensor/status.h"

enum { XML_MAX_DEPTH = 64, XML_MAX_ATTRIBUTES = 32, XML_MAX_NAME = 127, XML_MAX_BYTES = 1 << 28 };

typedef enum XmlEvent {
    XML_OPEN,        // name, attributes; an empty element <a/> gives XML_OPEN and XML_CLOSE
    XML_CLOSE,       // name
    XML_TEXT,        // text; what is blank altogether is left out
    XML_END,         // the document is complete
} XmlEvent;

typedef struct XmlSlice { const char *s; size_t n; } XmlSlice;
typedef struct XmlAttribute { XmlSlice name; const char *value; } XmlAttribute;

typedef struct XmlReader {
    char name[XML_MAX_NAME + 1];             // of the element that was opened or closed, without prefix
    const char *text;                        // of XML_TEXT, UTF-8, in the arena
    int n_attributes;
    XmlAttribute attribute[XML_MAX_ATTRIBUTES];
    int depth;                               // open elements, the one just opened counted, the one just closed not
    // private
    Arena *a;
    const char *file, *begin, *p, *end, *counted;      // lines are counted up to there
    int line;
    bool latin1, self_closed, had_root;
    XmlSlice open[XML_MAX_DEPTH];
} XmlReader;

// Starts on `size` bytes, which stay the caller's; strings that the reader hands out live in the arena.
// Errors: more than XML_MAX_BYTES, another encoding, bytes that the encoding does not have, a NUL.
Status xml_begin(XmlReader *r, Arena *a, const char *bytes, size_t size, const char *file);

// Errors: not well-formed, no root element or more than one, a limit exceeded, the end of the bytes before that of the
// document.
Status xml_next(XmlEvent *event, XmlReader *r);

// Value of an attribute of the element just opened; NULL when it has none of that name.
const char *xml_attribute(const XmlReader *r, const char *name);

// After XML_OPEN: reads to the end of that element and returns its text without blanks at either end.  Errors: those of
// xml_next, an element inside.
Status xml_content(const char **text, XmlReader *r);

// After XML_OPEN: reads to the end of that element and ignores what is inside.
Status xml_skip(XmlReader *r);

// Line of the place that the reader has come to, from 1.
int xml_line(XmlReader *r);

#endif
