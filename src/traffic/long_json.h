// Records of a long table (long.h) as JSON: objects, one a line, or over several lines, or as elements of one array.
#ifndef LEAD_TRAFFIC_LONG_JSON_H
#define LEAD_TRAFFIC_LONG_JSON_H

#include "io/json.h"
#include "traffic/text.h"

// How the objects lie in the text.  A first line that holds a whole object says that each line does, so that a broken
// line is reported as itself.
typedef enum JsonLayout { JSON_NONE, JSON_LINES, JSON_SPREAD, JSON_IN_ARRAY } JsonLayout;

typedef struct JsonObjects {
    JsonLayout layout;
    TextLines lines;         // what was read up to
    TextLine rest;           // of the line that is being read; not for JSON_LINES
    bool inside, any, ended; // of an array: after its [; an element was read; after its ]
} JsonObjects;

// layout JSON_NONE: the text is no JSON.
JsonObjects json_objects(const TextSource *s);

// The next object, from its { to its }, with the line that it begins in.  *more false: there is none left.
// Errors: what is no object where one should be, an object or array that does not end, text behind the array.
Status json_objects_next(JsonObjects *o, TextLine *object, bool *more);

// Parses it.  Errors name file and line.
Status json_object_parse(const Json **out, Arena *a, const TextLine *object, const char *path);

// A value as a field of text: null, and what is not there, is empty; what is no text and no number is no field ("?!").
TextField json_field(const Json *v, Arena *a);

#endif
