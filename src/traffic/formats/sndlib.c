// SNDlib demand matrices (http://sndlib.zib.de/html/docu/io-formats): network files, XML or native, with META data.
// The value of a demand is its number of routing units times the unit.  Zero demands are left out of the files.
#include <string.h>

#include "io/xml.h"
#include "traffic/formats/internal.h"

typedef struct Meta { Slice granularity, time, unit; } Meta;

// Begins the matrix with what META says; the time may be in the name of the file.
static Status begin_matrix(TableBuilder *b, const FormatFile *f, TrafficFormat format, const Meta *m)
{
    FileHead head = {.format = format, .lists_nodes = true, .sums = true};
    if (m->unit.n) {
        head.unit = arena_printf(builder_scratch(b), "%.*s", SLICE(m->unit));
        head.kbps = unit_read(head.unit);
        if (!(head.kbps > 0))
            return ERROR("%s: want a unit such as MBITPERSEC, got '%.*s'", f->path, SLICE(m->unit));
    }
    head.slot_seconds = duration_read(m->granularity);
    Stamp time;
    if (!m->time.n) time_in_name(&time, f->path);
    else if (!time_read(&time, m->time))
        return ERROR("%s: want a time such as 20040301-0005, got '%.*s'", f->path, SLICE(m->time));
    TRY(builder_head(b, &head));
    builder_begin(b, time);
    return OK;
}

// ---- XML -----------------------------------------------------------------------------------------------------------

typedef struct SndlibXml {
    XmlReader r;
    TableBuilder *b;
    const FormatFile *f;
    Meta meta;
    bool begun;                  // the matrix: nodes have come
} SndlibXml;

static Status read_meta(SndlibXml *s)
{
    for (XmlEvent e = XML_OPEN; ; ) {
        TRY(xml_next(&e, &s->r));
        if (e == XML_CLOSE) return OK;
        if (e != XML_OPEN) continue;
        Slice *to = !strcmp(s->r.name, "granularity") ? &s->meta.granularity
                  : !strcmp(s->r.name, "time")        ? &s->meta.time
                  : !strcmp(s->r.name, "unit")        ? &s->meta.unit
                                                      : NULL;
        if (!to) {
            TRY(xml_skip(&s->r));
            continue;
        }
        const char *text;
        TRY(xml_content(&text, &s->r));
        *to = slice_of(text);
    }
}

// The nodes of a file: each once.
static Status list_node(TableBuilder *b, const FormatFile *f, Slice id, int64_t line)
{
    int index;
    if (builder_find(b, id) >= 0)
        return ERROR("%s:%lld: want each node once, got '%.*s' again", f->path, (long long)line, SLICE(id));
    return builder_node(&index, b, id, line);
}

// The node that a demand names: one that the file lists.
static Status find_node(int *index, TableBuilder *b, const FormatFile *f, Slice name, int64_t line)
{
    *index = builder_find(b, name);
    if (*index >= 0) return OK;
    return ERROR("%s:%lld: want a node that the file lists, got '%.*s'", f->path, (long long)line, SLICE(name));
}

static Status add_demand(TableBuilder *b, const FormatFile *f, Slice from, Slice to, Slice unit, Slice value,
                         int64_t line)
{
    int i, j;
    double routing_unit = 1, v;
    TRY(find_node(&i, b, f, from, line));
    TRY(find_node(&j, b, f, to, line));
    if (unit.n && !slice_number(&routing_unit, unit))
        return ERROR("%s:%lld: want a routing unit, got '%.*s'", f->path, (long long)line, SLICE(unit));
    if (!slice_number(&v, value))
        return ERROR("%s:%lld: want the value of a demand, got '%.*s'", f->path, (long long)line, SLICE(value));
    return builder_pair(b, i, j, routing_unit * v, line);
}

static Status read_xml_node(SndlibXml *s)
{
    const char *id = xml_attribute(&s->r, "id");
    if (!id) return ERROR("%s:%d: want a node with an id, got none", s->f->path, xml_line(&s->r));
    if (!s->begun) TRY(begin_matrix(s->b, s->f, FORMAT_SNDLIB_XML, &s->meta));
    s->begun = true;
    TRY(list_node(s->b, s->f, slice_trim(slice_of(id)), 0));
    return xml_skip(&s->r);
}

static Status read_xml_demand(SndlibXml *s)
{
    Slice source = {0}, target = {0}, value = {0}, unit = {0};
    for (XmlEvent e; ; ) {
        TRY(xml_next(&e, &s->r));
        if (e == XML_CLOSE) break;
        if (e != XML_OPEN) continue;
        Slice *to = !strcmp(s->r.name, "source")      ? &source
                  : !strcmp(s->r.name, "target")      ? &target
                  : !strcmp(s->r.name, "demandValue") ? &value
                  : !strcmp(s->r.name, "routingUnit") ? &unit
                                                      : NULL;
        const char *text;
        if (!to) {
            TRY(xml_skip(&s->r));
            continue;
        }
        TRY(xml_content(&text, &s->r));
        *to = slice_of(text);
    }
    if (source.n && target.n && value.n) return add_demand(s->b, s->f, source, target, unit, value, xml_line(&s->r));
    return ERROR("%s:%d: want source, target and demandValue in a demand, got no %s", s->f->path, xml_line(&s->r),
                 !source.n ? "source" : !target.n ? "target" : "demandValue");
}

Status read_sndlib_xml(TableBuilder *b, const FormatFile *f)
{
    SndlibXml s = {.b = b, .f = f};
    TRY(xml_begin(&s.r, builder_scratch(b), f->bytes, f->size, f->path));
    bool nodes = false, demands = false;
    for (XmlEvent e = XML_OPEN; e != XML_END; ) {
        TRY(xml_next(&e, &s.r));
        if (e != XML_OPEN) continue;
        if (!strcmp(s.r.name, "meta")) TRY(read_meta(&s));
        else if (!strcmp(s.r.name, "node")) TRY(read_xml_node(&s));
        else if (!strcmp(s.r.name, "demand")) TRY(read_xml_demand(&s));
        else if (!strcmp(s.r.name, "links")) TRY(xml_skip(&s.r));
        nodes |= !strcmp(s.r.name, "nodes");
        demands |= !strcmp(s.r.name, "demands");
    }
    if (!nodes || !demands || !s.begun)
        return ERROR("%s: want an SNDlib network with nodes and demands, got no %s", f->path,
                     s.begun ? "demands" : "nodes");
    return builder_end(b);
}

// ---- native --------------------------------------------------------------------------------------------------------

// A section is `NAME ( items )`; brackets are tokens of their own, '#' begins a comment.  In META an item is the rest
// of its line.
typedef struct Native {
    TableBuilder *b;
    const FormatFile *f;
    Lines lines;
    Slice rest;                  // of the line being read
} Native;

static bool next_token(Slice *t, Native *n)
{
    for (;;) {
        n->rest = slice_trim(n->rest);
        if (n->rest.n && *n->rest.s != '#') break;
        if (!lines_next(&n->rest, &n->lines)) return false;
    }
    *t = (Slice){n->rest.s, 1};
    if (*t->s != '(' && *t->s != ')')
        while (t->n < n->rest.n && !strchr(" \t()#", t->s[t->n])) t->n++;
    n->rest = (Slice){t->s + t->n, n->rest.n - t->n};
    return true;
}

static Status token_error(const Native *n, const char *want, Slice got)
{
    return ERROR("%s:%lld: want %s, got '%.*s'", n->f->path, (long long)n->lines.line, want, SLICE(got));
}

static Status want_token(Slice *t, Native *n, const char *what)
{
    if (next_token(t, n)) return OK;
    return ERROR("%s: want %s, got the end of the file", n->f->path, what);
}

static Status want_bracket(Native *n, const char *bracket)
{
    Slice t;
    TRY(want_token(&t, n, bracket));
    return slice_is(t, bracket) ? OK : token_error(n, bracket, t);
}

// Goes behind the bracket that closes the one just opened.
static Status skip_brackets(Native *n)
{
    Slice t;
    for (int depth = 1; depth; ) {
        TRY(want_token(&t, n, ")"));
        depth += slice_is(t, "(") ? 1 : slice_is(t, ")") ? -1 : 0;
    }
    return OK;
}

static Status read_native_meta(Meta *m, Native *n)
{
    for (Slice line; lines_next_data(&line, &n->lines); ) {
        const char *remark = memchr(line.s, '#', line.n);
        if (remark) line = slice_trim((Slice){line.s, (size_t)(remark - line.s)});
        if (slice_is(line, ")")) return OK;
        const char *equals = memchr(line.s, '=', line.n);
        if (!equals) return token_error(n, "key = value in META", line);
        const Slice key = slice_trim((Slice){line.s, (size_t)(equals - line.s)});
        const Slice value = slice_trim((Slice){equals + 1, line.n - (size_t)(equals + 1 - line.s)});
        if (slice_is(key, "granularity")) m->granularity = value;
        if (slice_is(key, "time")) m->time = value;
        if (slice_is(key, "unit")) m->unit = value;
    }
    return ERROR("%s: want ) at the end of META, got the end of the file", n->f->path);
}

static Status read_native_nodes(Native *n)
{
    for (Slice t; ; ) {
        TRY(want_token(&t, n, "a node"));
        if (slice_is(t, ")")) return OK;
        if (slice_is(t, "(")) TRY(skip_brackets(n));     // coordinates and options of the node before
        else TRY(list_node(n->b, n->f, t, n->lines.line));
    }
}

static Status read_native_demands(Native *n)
{
    for (Slice id, from, to, unit, value, hops; ; ) {
        TRY(want_token(&id, n, "a demand"));
        if (slice_is(id, ")")) return OK;
        if (slice_is(id, "(")) return token_error(n, "the name of a demand", id);
        TRY(want_bracket(n, "("));
        TRY(want_token(&from, n, "a node"));
        TRY(want_token(&to, n, "a node"));
        TRY(want_bracket(n, ")"));
        TRY(want_token(&unit, n, "a routing unit"));
        TRY(want_token(&value, n, "a value"));
        TRY(want_token(&hops, n, "a longest path or UNLIMITED"));
        TRY(add_demand(n->b, n->f, from, to, unit, value, n->lines.line));
    }
}

Status read_sndlib_native(TableBuilder *b, const FormatFile *f)
{
    Native n = {.b = b, .f = f, .lines = lines_of(f->bytes, f->size)};
    Slice header, t;
    Meta meta = {0};
    bool nodes = false, demands = false;
    if (!lines_next_data(&header, &n.lines)) header = slice_of("");
    const char *type = memmem(header.s, header.n, "type:", 5);
    if (!type || !memmem(type, header.n - (size_t)(type - header.s), "network", 7))
        return token_error(&n, "the type network", header);
    while (next_token(&t, &n)) {
        TRY(want_bracket(&n, "("));
        if (slice_is(t, "META")) {
            TRY(read_native_meta(&meta, &n));
        } else if (slice_is(t, "NODES") && !nodes) {
            TRY(begin_matrix(b, f, FORMAT_SNDLIB_NATIVE, &meta));
            TRY(read_native_nodes(&n));
            nodes = true;
        } else if (slice_is(t, "DEMANDS") && nodes) {
            TRY(read_native_demands(&n));
            demands = true;
        } else if (slice_is(t, "NODES") || slice_is(t, "DEMANDS")) {
            return token_error(&n, "one section NODES, before DEMANDS", t);
        } else {
            TRY(skip_brackets(&n));
        }
    }
    if (!nodes || !demands)
        return ERROR("%s: want the sections NODES and DEMANDS, got no %s", f->path, nodes ? "DEMANDS" : "NODES");
    return builder_end(b);
}
