// TOTEM traffic matrices (http://totem.run.montefiore.ulg.ac.be, schema TrafficMatrix-v1_2.xsd): IntraTM, kbit/s unless
// <info> says otherwise; a <dst> that is not there is 0, a <src> may be empty.  The time is in <info> or in the name.
#include <stdio.h>
#include <string.h>

#include "io/xml.h"
#include "traffic/formats/internal.h"

typedef struct Totem {
    XmlReader r;
    TableBuilder *b;
    const FormatFile *f;
    FileHead head;
    Stamp time;
} Totem;

#define TOTEM_ERROR(t, format, ...) ERROR("%s:%d: " format, (t)->f->path, xml_line(&(t)->r), __VA_ARGS__)

static Status read_unit(Totem *t)
{
    const char *type = xml_attribute(&t->r, "type"), *value = xml_attribute(&t->r, "value");
    if (!type || strcmp(type, "bandwidth")) return OK;
    t->head.unit = value ? value : "";
    t->head.kbps = unit_read(t->head.unit);
    return t->head.kbps > 0 ? OK : TOTEM_ERROR(t, "want a unit such as kbps, got '%s'", t->head.unit);
}

static Status read_info(Totem *t)
{
    const int depth = t->r.depth - 1;
    const char *text;
    for (XmlEvent e = XML_OPEN; t->r.depth > depth; ) {
        TRY(xml_next(&e, &t->r));
        if (e != XML_OPEN) continue;
        if (!strcmp(t->r.name, "unit")) {
            TRY(read_unit(t));
        } else if (!strcmp(t->r.name, "date")) {
            TRY(xml_content(&text, &t->r));
            if (!time_read(&t->time, slice_of(text)))
                return TOTEM_ERROR(t, "want a date such as 2005-01-01T00:30:00, got '%s'", text);
        } else if (!strcmp(t->r.name, "duration")) {
            TRY(xml_content(&text, &t->r));
            t->head.slot_seconds = duration_read(slice_of(text));
            if (!t->head.slot_seconds) return TOTEM_ERROR(t, "want a duration in seconds, got '%s'", text);
        }
    }
    return OK;
}

static Status read_id(int *index, Totem *t)
{
    const char *id = xml_attribute(&t->r, "id");
    if (!id) return TOTEM_ERROR(t, "want <%s id=\"..\">, got no id", t->r.name);
    return builder_node(index, t->b, slice_trim(slice_of(id)), 0);
}

static Status read_source(Totem *t)
{
    int from, to;
    TRY(read_id(&from, t));
    for (XmlEvent e; ; ) {
        TRY(xml_next(&e, &t->r));
        if (e == XML_CLOSE) return OK;
        if (e == XML_TEXT || strcmp(t->r.name, "dst"))
            return TOTEM_ERROR(t, "want <dst> in <src>, got '%s'", e == XML_TEXT ? t->r.text : t->r.name);
        TRY(read_id(&to, t));
        const char *text;
        double v;
        TRY(xml_content(&text, &t->r));
        if (!slice_number(&v, slice_of(text))) return TOTEM_ERROR(t, "want a number in <dst>, got '%s'", text);
        TRY(builder_pair(t->b, from, to, v, xml_line(&t->r)));
    }
}

static Status read_intra(Totem *t)
{
    if (!t->time.known) time_in_name(&t->time, t->f->path);
    TRY(builder_head(t->b, &t->head));
    builder_begin(t->b, t->time);
    for (XmlEvent e; ; ) {
        TRY(xml_next(&e, &t->r));
        if (e == XML_CLOSE) return builder_end(t->b);
        if (e == XML_TEXT || strcmp(t->r.name, "src"))
            return TOTEM_ERROR(t, "want <src> in <IntraTM>, got '%s'", e == XML_TEXT ? t->r.text : t->r.name);
        TRY(read_source(t));
    }
}

Status read_totem(TableBuilder *b, const FormatFile *f)
{
    Totem t = {.b = b, .f = f, .head = {.format = FORMAT_TOTEM, .kbps = 1, .unit = "kbps", .lists_nodes = true}};
    TRY(xml_begin(&t.r, builder_scratch(b), f->bytes, f->size, f->path));
    int matrices = 0;
    for (XmlEvent e = XML_OPEN; e != XML_END; ) {
        TRY(xml_next(&e, &t.r));
        if (e != XML_OPEN || t.r.depth != 2) continue;
        if (!strcmp(t.r.name, "InterTM"))
            return TOTEM_ERROR(&t, "want IntraTM, traffic between nodes, got %s", "InterTM");
        if (!strcmp(t.r.name, "info") && !matrices) TRY(read_info(&t));
        if (strcmp(t.r.name, "IntraTM")) continue;
        if (matrices++) return TOTEM_ERROR(&t, "want one IntraTM in a file, got %d", matrices);
        TRY(read_intra(&t));
    }
    return matrices ? OK : ERROR("%s: want an IntraTM, got none", f->path);
}
