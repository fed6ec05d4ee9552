#include "io/xml.h"

#include <stdint.h>
#include <string.h>
#include <strings.h>

#include "io/json.h"

// ---- places and names ----------------------------------------------------------------------------------------------

int xml_line(XmlReader *r)
{
    for (; r->counted < r->p; r->counted++) r->line += *r->counted == '\n';
    return r->line;
}

#define XML_ERROR(r, format, ...) ERROR("%s:%d: " format, (r)->file, xml_line(r), __VA_ARGS__)

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == ':' || (unsigned char)c >= 0x80;
}

static bool is_name(char c) { return is_name_start(c) || (c >= '0' && c <= '9') || c == '-' || c == '.'; }

static bool starts_with(const XmlReader *r, const char *word)
{
    const size_t n = strlen(word);
    return (size_t)(r->end - r->p) >= n && !memcmp(r->p, word, n);
}

static void skip_blanks(XmlReader *r) { while (r->p < r->end && is_blank(*r->p)) r->p++; }

// Goes behind the next `word`.
static Status skip_behind(XmlReader *r, const char *word, const char *what)
{
    const char *found = memmem(r->p, (size_t)(r->end - r->p), word, strlen(word));
    if (!found) return XML_ERROR(r, "want '%s' at the end of %s, got the end of the file", word, what);
    r->p = found + strlen(word);
    return OK;
}

static Status read_name(XmlSlice *name, XmlReader *r, const char *of)
{
    const char *from = r->p;
    if (r->p == r->end || !is_name_start(*r->p))
        return XML_ERROR(r, "want the name of %s, got '%.*s'", of, r->end - r->p > 8 ? 8 : (int)(r->end - r->p), r->p);
    while (r->p < r->end && is_name(*r->p)) r->p++;
    *name = (XmlSlice){from, (size_t)(r->p - from)};
    if (name->n > XML_MAX_NAME)
        return XML_ERROR(r, "want a name of at most %d bytes, got %zu", XML_MAX_NAME, name->n);
    return OK;
}

static XmlSlice without_prefix(XmlSlice name)
{
    const char *colon = memrchr(name.s, ':', name.n);
    if (!colon) return name;
    return (XmlSlice){colon + 1, name.n - (size_t)(colon + 1 - name.s)};
}

static void take_name(XmlReader *r, XmlSlice name)
{
    const XmlSlice own = without_prefix(name);
    memcpy(r->name, own.s, own.n);
    r->name[own.n] = 0;
}

static bool same_slice(XmlSlice a, XmlSlice b) { return a.n == b.n && !memcmp(a.s, b.s, a.n); }

// ---- characters ----------------------------------------------------------------------------------------------------

static Status check_bytes(XmlReader *r)
{
    for (r->p = r->begin; r->p < r->end; ) {
        const unsigned char c = (unsigned char)*r->p;
        uint32_t cp;
        const bool one = c < 0x80 || r->latin1;
        const int n = one ? 1 : utf8_decode((const unsigned char *)r->p, (size_t)(r->end - r->p), &cp);
        if (!n) return XML_ERROR(r, "want UTF-8, got the byte 0x%02x", c);
        if (c < 0x20 && !is_blank((char)c)) return XML_ERROR(r, "want text, got the byte 0x%02x", c);
        r->p += n;
    }
    r->p = r->begin;
    return OK;
}

static bool is_character(uint32_t cp)
{
    return cp == 9 || cp == 10 || cp == 13 || (cp >= 0x20 && cp <= 0xD7FF) || (cp >= 0xE000 && cp <= 0xFFFD) ||
           (cp >= 0x10000 && cp <= 0x10FFFF);
}

static int digit_of(char c, int base)
{
    static const char digits[] = "0123456789abcdef";
    const char lower = c >= 'A' && c <= 'F' ? (char)(c | 32) : c;
    const char *at = memchr(digits, lower, (size_t)base);
    return at ? (int)(at - digits) : -1;
}

// The code point of a reference without its & and ;: lt, #65, #x41.  0 when it is none.
static uint32_t reference(XmlSlice s)
{
    static const struct { const char *name; char c; } known[] = {{"lt", '<'}, {"gt", '>'}, {"amp", '&'},
                                                                 {"quot", '"'}, {"apos", '\''}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (same_slice(s, (XmlSlice){known[i].name, strlen(known[i].name)})) return (uint32_t)known[i].c;
    const bool hex = s.n > 1 && s.s[1] == 'x';
    if (s.n < (hex ? 3u : 2u) || s.s[0] != '#') return 0;
    uint32_t cp = 0;
    for (size_t i = hex ? 2 : 1; i < s.n; i++) {
        const int digit = digit_of(s.s[i], hex ? 16 : 10);
        if (digit < 0 || cp > 0x10FFFF) return 0;
        cp = cp * (hex ? 16 : 10) + (uint32_t)digit;
    }
    return is_character(cp) ? cp : 0;
}

static Status decode_reference(uint32_t *cp, const char **p, const char *to, XmlReader *r)
{
    const char *end = memchr(*p, ';', (size_t)(to - *p));
    const XmlSlice s = {*p + 1, end ? (size_t)(end - *p - 1) : (size_t)(to - *p - 1)};
    *cp = end ? reference(s) : 0;
    if (!*cp)
        return XML_ERROR(r, "want &lt; &gt; &amp; &quot; &apos; or a character such as &#65;, got '&%.*s'",
                         s.n > 20 ? 20 : (int)s.n, s.s);
    *p = end + 1;
    return OK;
}

// The characters between two places as UTF-8.  raw: without references (CDATA).  In an attribute each blank is a space.
static Status decode(const char **out, XmlReader *r, const char *from, const char *to, bool raw, bool attribute)
{
    unsigned char *text = arena_alloc(r->a, 2 * (size_t)(to - from) + 1), *put = text;
    for (const char *p = from; p < to; ) {
        uint32_t cp = (unsigned char)*p;
        if (*p == '&' && !raw) {
            TRY(decode_reference(&cp, &p, to, r));
            put += utf8_encode(put, cp);
            continue;
        }
        const bool line_end = *p == '\r' && (p++, true);    // CRLF and CR are LF
        if (line_end && p < to && *p == '\n') p++;
        if (line_end) cp = '\n';
        else p++;
        if (attribute && is_blank((char)cp)) cp = ' ';
        if (r->latin1) put += utf8_encode(put, cp);
        else *put++ = (unsigned char)cp;
    }
    *put = 0;
    *out = (const char *)text;
    return OK;
}

// ---- the document --------------------------------------------------------------------------------------------------

// The encoding that the declaration <?xml ..?> names; NULL when it names none.
static bool declared_encoding(const XmlReader *r, XmlSlice *encoding)
{
    const char *stop = starts_with(r, "<?xml") ? memmem(r->p, (size_t)(r->end - r->p), "?>", 2) : NULL;
    const char *word = stop ? memmem(r->p, (size_t)(stop - r->p), "encoding", 8) : NULL;
    if (!word) return false;
    word += 8;
    while (word < stop && (is_blank(*word) || *word == '=')) word++;
    if (word == stop || (*word != '"' && *word != '\'')) return false;
    const char *close = memchr(word + 1, *word, (size_t)(stop - word - 1));
    *encoding = (XmlSlice){word + 1, close ? (size_t)(close - word - 1) : 0};
    return close != NULL;
}

static Status find_encoding(XmlReader *r)
{
    if (r->end - r->p >= 2 && (!memcmp(r->p, "\xff\xfe", 2) || !memcmp(r->p, "\xfe\xff", 2)))
        return ERROR("%s: want XML in UTF-8 or ISO-8859-1, got UTF-16", r->file);
    XmlSlice e;
    if (!declared_encoding(r, &e)) return OK;
    static const struct { const char *name; bool latin1; } known[] = {
        {"UTF-8", false}, {"UTF8", false}, {"US-ASCII", false}, {"ASCII", false}, {"ISO-8859-1", true},
        {"ISO8859-1", true}, {"latin1", true}, {"latin-1", true}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (e.n == strlen(known[i].name) && !strncasecmp(e.s, known[i].name, e.n)) {
            r->latin1 = known[i].latin1;
            return OK;
        }
    return ERROR("%s: want XML in UTF-8 or ISO-8859-1, got the encoding '%.*s'", r->file, e.n > 20 ? 20 : (int)e.n,
                 e.s);
}

Status xml_begin(XmlReader *r, Arena *a, const char *bytes, size_t size, const char *file)
{
    *r = (XmlReader){.a = a, .file = file, .begin = bytes, .p = bytes, .counted = bytes, .end = bytes + size,
                     .line = 1};
    if (size > XML_MAX_BYTES) return ERROR("%s: want at most %d bytes of XML, got %zu", file, XML_MAX_BYTES, size);
    if (starts_with(r, "\xef\xbb\xbf")) r->p = r->begin += 3;
    TRY(find_encoding(r));
    return check_bytes(r);
}

static Status skip_doctype(XmlReader *r)
{
    char quote = 0;
    for (; r->p < r->end; r->p++) {
        if (quote) quote = *r->p == quote ? 0 : quote;
        else if (*r->p == '"' || *r->p == '\'') quote = *r->p;
        else if (*r->p == '[') return XML_ERROR(r, "want no declarations in the DOCTYPE, got '%c'", '[');
        else if (*r->p == '>') {
            r->p++;
            return OK;
        }
    }
    return XML_ERROR(r, "want '%c' at the end of the DOCTYPE, got the end of the file", '>');
}

// Comments, processing instructions, DOCTYPE.  *was: there was one.
static Status skip_markup(bool *was, XmlReader *r)
{
    *was = true;
    if (starts_with(r, "<!--")) {
        r->p += 4;
        return skip_behind(r, "-->", "a comment");
    }
    if (starts_with(r, "<?")) return skip_behind(r, "?>", "a processing instruction");
    if (starts_with(r, "<!DOCTYPE")) {
        if (r->had_root) return XML_ERROR(r, "want the %s before the root element", "DOCTYPE");
        return skip_doctype(r);
    }
    *was = false;
    return OK;
}

static Status read_attribute(XmlReader *r)
{
    if (r->n_attributes == XML_MAX_ATTRIBUTES)
        return XML_ERROR(r, "want at most %d attributes in an element", XML_MAX_ATTRIBUTES);
    XmlAttribute *attribute = &r->attribute[r->n_attributes];
    TRY(read_name(&attribute->name, r, "an attribute"));
    for (int i = 0; i < r->n_attributes; i++)
        if (same_slice(r->attribute[i].name, attribute->name))
            return XML_ERROR(r, "want each attribute once, got '%.*s' again", (int)attribute->name.n,
                             attribute->name.s);
    skip_blanks(r);
    const bool equals = r->p < r->end && *r->p == '=';
    if (equals) r->p++;
    skip_blanks(r);
    if (!equals || r->p == r->end || (*r->p != '"' && *r->p != '\''))
        return XML_ERROR(r, "want =\"a value in quotes\" after the attribute '%.*s'", (int)attribute->name.n,
                         attribute->name.s);
    const char *from = r->p + 1, *to = memchr(from, *r->p, (size_t)(r->end - from));
    if (!to || memchr(from, '<', (size_t)(to - from)))
        return XML_ERROR(r, "want a quote at the end of the attribute '%.*s'", (int)attribute->name.n,
                         attribute->name.s);
    TRY(decode(&attribute->value, r, from, to, false, true));
    r->n_attributes++;
    r->p = to + 1;
    return OK;
}

static Status read_open(XmlReader *r)
{
    r->p++;
    XmlSlice name;
    TRY(read_name(&name, r, "an element"));
    if (r->depth == XML_MAX_DEPTH) return XML_ERROR(r, "want elements nested at most %d deep", XML_MAX_DEPTH);
    if (!r->depth && r->had_root)
        return XML_ERROR(r, "want one root element, got '%.*s' after it", (int)name.n, name.s);
    r->had_root = true;
    for (r->n_attributes = 0; ; ) {
        const char *before = r->p;
        skip_blanks(r);
        if (r->p < r->end && *r->p == '>') break;
        if (starts_with(r, "/>")) {
            r->self_closed = true;
            r->p++;
            break;
        }
        if (r->p == r->end || r->p == before)
            return XML_ERROR(r, "want '>' or a blank in the element '%.*s'", (int)name.n, name.s);
        TRY(read_attribute(r));
    }
    r->p++;
    r->open[r->depth++] = name;
    take_name(r, name);
    return OK;
}

static Status read_close(XmlReader *r)
{
    r->p += 2;
    XmlSlice name;
    TRY(read_name(&name, r, "the element that ends"));
    skip_blanks(r);
    if (!r->depth) return XML_ERROR(r, "want the end of the document, got that of '%.*s'", (int)name.n, name.s);
    const XmlSlice last = r->open[r->depth - 1];
    if (!same_slice(name, last))
        return XML_ERROR(r, "want the end of '%.*s', got that of '%.*s'", (int)last.n, last.s, (int)name.n, name.s);
    if (r->p == r->end || *r->p != '>') return XML_ERROR(r, "want '>' after '</%.*s'", (int)name.n, name.s);
    r->p++;
    r->depth--;
    take_name(r, name);
    return OK;
}

// Text up to the next '<', or CDATA.  *some: it is not blank altogether.
static Status read_text(bool *some, XmlReader *r)
{
    const bool cdata = starts_with(r, "<![CDATA[");
    const char *from = cdata ? r->p + 9 : r->p, *to;
    if (cdata) {
        TRY(skip_behind(r, "]]>", "CDATA"));
        to = r->p - 3;
    } else {
        to = memchr(from, '<', (size_t)(r->end - from));
        if (!to) to = r->end;
        r->p = to;
    }
    *some = false;
    for (const char *p = from; p < to; p++) *some |= !is_blank(*p);
    if (!*some) return OK;
    if (!r->depth) return XML_ERROR(r, "want %s, got text outside", r->had_root ? "one root element" : "XML");
    return decode(&r->text, r, from, to, cdata, false);
}

Status xml_next(XmlEvent *event, XmlReader *r)
{
    *event = XML_END;
    if (r->self_closed) {
        r->self_closed = false;
        take_name(r, r->open[--r->depth]);
        *event = XML_CLOSE;
        return OK;
    }
    while (r->p < r->end) {
        bool was;
        TRY(skip_markup(&was, r));
        if (was) continue;
        if (starts_with(r, "</")) {
            *event = XML_CLOSE;
            return read_close(r);
        }
        if (*r->p == '<' && !starts_with(r, "<![CDATA[")) {
            *event = XML_OPEN;
            return read_open(r);
        }
        TRY(read_text(&was, r));
        if (!was) continue;
        *event = XML_TEXT;
        return OK;
    }
    if (r->depth)
        return XML_ERROR(r, "want the end of '%.*s', got the end of the file", (int)r->open[r->depth - 1].n,
                         r->open[r->depth - 1].s);
    return r->had_root ? OK : ERROR("%s: want a root element, got none", r->file);
}

// ---- conveniences --------------------------------------------------------------------------------------------------

const char *xml_attribute(const XmlReader *r, const char *name)
{
    const XmlSlice key = {name, strlen(name)};
    for (int i = 0; i < r->n_attributes; i++)
        if (same_slice(without_prefix(r->attribute[i].name), key)) return r->attribute[i].value;
    return NULL;
}

Status xml_content(const char **text, XmlReader *r)
{
    char *all = NULL;
    size_t n = 0, cap = 0;
    for (XmlEvent e; ; ) {
        TRY(xml_next(&e, r));
        if (e == XML_CLOSE) break;
        if (e == XML_OPEN)
            return XML_ERROR(r, "want text in '%.*s', got the element '%s'", (int)r->open[r->depth - 2].n,
                             r->open[r->depth - 2].s, r->name);
        const size_t more = strlen(r->text);
        if (n + more >= cap) {
            char *grown = arena_alloc(r->a, cap = 2 * (n + more) + 1);
            if (n) memcpy(grown, all, n);
            all = grown;
        }
        memcpy(all + n, r->text, more);
        n += more;
    }
    while (n && is_blank(all[n - 1])) n--;
    if (all) all[n] = 0;
    while (n && is_blank(*all)) all++, n--;
    *text = all ? all : "";
    return OK;
}

Status xml_skip(XmlReader *r)
{
    const int depth = r->depth - 1;
    for (XmlEvent e = XML_OPEN; r->depth > depth || e != XML_CLOSE; ) TRY(xml_next(&e, r));
    return OK;
}
