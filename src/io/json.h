// JSON (RFC 8259), strict: one value, UTF-8 only, no comments, no trailing commas, no duplicate keys, no lone
// surrogates, numbers within the range of double, at most JSON_MAX_DEPTH levels.  The reader makes a tree in an arena;
// nothing is freed.  The writer makes compact or indented text in an arena, for manifests, JSON-lines logs,
// configurations and safetensors headers.
#ifndef LEAD_IO_JSON_H
#define LEAD_IO_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "tensor/arena.h"
#include "tensor/status.h"
#include "tensor/utf8.h"

enum { JSON_MAX_DEPTH = 128 };

typedef enum JsonType { JSON_NULL, JSON_BOOL, JSON_NUMBER, JSON_STRING, JSON_ARRAY, JSON_OBJECT } JsonType;

typedef struct Json Json;
struct Json {
    JsonType type;
    bool is_int;             // number: was written without fraction or exponent, and fits int64
    const char *key;         // member of an object: its name, NUL-terminated; else NULL
    size_t key_len;          // a key may hold \u0000, so that strlen(key) < key_len
    union {
        bool boolean;
        double number;       // finite
        const char *string;  // UTF-8, NUL-terminated, n bytes (may hold \u0000)
        const Json *child;   // array, object: first of n, the others follow by ->next; NULL when empty
    };
    int64_t n;               // string: bytes; array, object: children; number with is_int: the exact value
    const Json *next;
};

// Parses len bytes.  Every message begins with `name`, the file's: "config.json:3:14: want ',' or '}', got 'x'" (line
// and column count from 1, the column in bytes).  The tree does not point into text.
Status json_parse(const Json **root, Arena *a, const char *text, size_t len, const char *name);
// Reads and parses a file of at most max_bytes.
Status json_read(const Json **root, Arena *a, const char *path, size_t max_bytes);

// The member of that name, or NULL when obj is not an object or has none.  Linear in the number of members.
const Json *json_find(const Json *obj, const char *key);

// Whether a setting is off: missing, null, false, or an empty string, array or object.
bool json_is_off(const Json *v);

// The value of a member that must exist and have that type (int: within min..max; string: without NUL).
// The message of an error begins with `where`: "config.json: n_layer: want an integer in 1..100, got "x"".
Status json_get_int(int64_t *out, const Json *obj, const char *key, int64_t min, int64_t max, const char *where);
Status json_get_number(double *out, const Json *obj, const char *key, const char *where);
Status json_get_string(const char **out, const Json *obj, const char *key, const char *where);
Status json_get_bool(bool *out, const Json *obj, const char *key, const char *where);

// Describes a value in a few words for messages: `"relu"`, `3.5`, `an array of 4`; `nothing` when v is NULL.
typedef struct JsonWords { char s[80]; } JsonWords;
JsonWords json_describe(const Json *v);

// ---- Writer -------------------------------------------------------------------------------------------------------
// JsonWriter w = json_writer(arena, 2);  json_object(&w, NULL);  json_int(&w, "a", 1);  json_end(&w);
// `key` must be NULL for the outermost value and inside arrays, and must be given inside objects (else it is a bug).
// Invalid UTF-8 is written as U+FFFD, a NaN or infinity as null, a double with the fewest of 15..17 digits that
// read back as the same double.
typedef struct JsonWriter {
    Arena *a;
    char *text;              // len bytes, always NUL-terminated
    size_t len, cap;
    int indent;              // spaces per level; 0 = compact, on one line
    int depth;
    bool done;               // the outermost value is complete
    char closer[JSON_MAX_DEPTH];    // '}' or ']' of each open level
    bool filled[JSON_MAX_DEPTH];    // the level holds a value already
} JsonWriter;

JsonWriter json_writer(Arena *a, int indent);
void json_reset(JsonWriter *w);                      // forgets the text, keeps the buffer: for the next line of a log
void json_object(JsonWriter *w, const char *key);
void json_array(JsonWriter *w, const char *key);
void json_end(JsonWriter *w);                        // closes the innermost object or array
void json_null(JsonWriter *w, const char *key);
void json_bool(JsonWriter *w, const char *key, bool v);
void json_int(JsonWriter *w, const char *key, int64_t v);
void json_double(JsonWriter *w, const char *key, double v);
void json_string(JsonWriter *w, const char *key, const char *v);
void json_string_n(JsonWriter *w, const char *key, const char *v, size_t n);
// The complete text and a newline; *len counts both (len may be NULL).  A bug when a level is still open.
const char *json_text(JsonWriter *w, size_t *len);

#endif
