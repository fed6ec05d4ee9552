#include "links/topology_xml.h"

#include <stdlib.h>
#include <string.h>

#include "io/xml.h"

// The element <link> that is being read.  capacity: what is installed; module: the largest that could be.
typedef struct Open { bool is, module; const char *id, *from, *to; double capacity, largest, weight; } Open;

typedef struct Parser {
    Topology *t;
    Arena *a;
    XmlReader x;
    bool sndlib, igp, has_weight;
    double unit_kbps, said;      // asked for; what the file says, 0: nothing
    const char **id;             // [t->L] of TOTEM's links, which its metrics refer to
    Open open;
} Parser;

static int count(const char *text, const char *word)
{
    int n = 0;
    for (const char *p = text; (p = strstr(p, word)); p++) n++;
    return n;
}

static Status number(double *v, Parser *p, const char *text, const char *what)
{
    char *end;
    *v = text ? strtod(text, &end) : 0;
    if (!text || end == text || *end)
        return ERROR("%s:%d: want a number as %s, got '%.40s'", p->t->path, xml_line(&p->x), what, text ? text : "");
    return OK;
}

// The text of the element just opened, as a number.
static Status content(double *v, Parser *p, const char *what)
{
    const char *text;
    TRY(xml_content(&text, &p->x));
    return number(v, p, text, what);
}

static Status find_end(Parser *p, const char *name, int *node)
{
    *node = name ? topology_node(p->t, name) : -1;
    return *node >= 0 ? OK
                      : ERROR("%s:%d: link %s: want a node of the network at each end, got '%s'", p->t->path,
                              xml_line(&p->x), p->open.id ? p->open.id : "", name ? name : "");
}

static double unit_of(const Parser *p)
{
    return p->unit_kbps > 0 ? p->unit_kbps : p->said > 0 ? p->said : p->sndlib ? 1e3 : 1;
}

static Status close_link(Parser *p)
{
    const Open *o = &p->open;
    TopologyLink link = {.weight = o->weight > 0 ? o->weight : 1,
                         .capacity_kbps = (o->capacity > 0 ? o->capacity : o->largest) * unit_of(p)};
    if (p->igp) {
        for (int l = 0; l < p->t->L && o->weight > 0 && o->id; l++)
            if (p->id[l] && !strcmp(p->id[l], o->id)) p->t->link[l].weight = o->weight;
        return OK;
    }
    TRY(find_end(p, o->from, &link.from));
    TRY(find_end(p, o->to, &link.to));
    p->id[p->t->L] = o->id;
    return topology_add_link(p->t, p->a, link, p->sndlib, xml_line(&p->x));
}

// An element inside of <link>.
static Status link_part(Parser *p)
{
    Open *o = &p->open;
    const char *name = p->x.name, *value;
    double v;
    if (!strcmp(name, "source")) return xml_content(&o->from, &p->x);
    if (!strcmp(name, "target")) return xml_content(&o->to, &p->x);
    if (!strcmp(name, "from")) o->from = xml_attribute(&p->x, "node");
    else if (!strcmp(name, "to")) o->to = xml_attribute(&p->x, "node");
    else if (!strcmp(name, "addModule")) o->module = true;
    else if (!strcmp(name, "bw")) return content(&o->capacity, p, "bw");
    else if (!strcmp(name, "capacity")) {
        value = xml_attribute(&p->x, "value");
        TRY(value ? number(&v, p, value, "capacity") : content(&v, p, "capacity"));
        if (!o->module) o->capacity = v;
        else if (v > o->largest) o->largest = v;
    } else if (!strcmp(name, "metric") || !strcmp(name, "routingCost")) {
        TRY(content(&o->weight, p, name));
        p->has_weight |= o->weight > 0;
    }
    return OK;
}

static Status read_unit(Parser *p)
{
    const char *type = xml_attribute(&p->x, "type"), *value = xml_attribute(&p->x, "value");
    if (p->sndlib) TRY(xml_content(&value, &p->x));
    else if (!type || strcmp(type, "bandwidth")) return OK;
    p->said = value ? topology_unit_kbps(value) : 0;
    return p->said > 0 || p->unit_kbps > 0
               ? OK
               : ERROR("%s:%d: want a unit such as kbps or MBITPERSEC, or --capacity-unit; got '%s'", p->t->path,
                       xml_line(&p->x), value ? value : "");
}

static Status open_element(Parser *p)
{
    const char *name = p->x.name;
    if (p->x.depth == 1) {
        p->sndlib = !strcmp(name, "network");
        p->t->format = p->sndlib ? "SNDlib XML" : "TOTEM XML";
        return p->sndlib || !strcmp(name, "domain")
                   ? OK
                   : ERROR("%s: want <network> (SNDlib) or <domain> (TOTEM), got <%s>", p->t->path, name);
    }
    if (p->open.is) return link_part(p);
    if (!strcmp(name, "igp")) p->igp = true;
    else if (!strcmp(name, "demands")) return xml_skip(&p->x);
    else if (!strcmp(name, "unit")) return read_unit(p);
    else if (!strcmp(name, "link"))
        p->open = (Open){.is = true, .id = xml_attribute(&p->x, "id")};
    else if (!strcmp(name, "node")) {
        const char *id = xml_attribute(&p->x, "id");
        return topology_add_node(p->t, p->a, id ? id : "", xml_line(&p->x));
    }
    return OK;
}

static Status close_element(Parser *p)
{
    if (!strcmp(p->x.name, "igp")) p->igp = false;
    else if (!strcmp(p->x.name, "addModule")) p->open.module = false;
    else if (!strcmp(p->x.name, "link") && p->open.is) {
        TRY(close_link(p));
        p->open = (Open){0};
    }
    return OK;
}

Status topology_parse_xml(Topology *t, Arena *a, const char *text, size_t size, double unit_kbps)
{
    const int links = count(text, "<link") + count(text, ":link");
    *t = topology_new(a, t->path, "XML", count(text, "node"), 2 * links);
    Parser p = {.t = t, .a = a, .unit_kbps = unit_kbps,
                .id = arena_zalloc(a, (2 * (size_t)links + 1) * sizeof(char *))};
    TRY(xml_begin(&p.x, a, text, size, t->path));
    for (XmlEvent e = XML_OPEN; e != XML_END;) {
        TRY(xml_next(&e, &p.x));
        if (e == XML_OPEN) TRY(open_element(&p));
        else if (e == XML_CLOSE) TRY(close_element(&p));
    }
    if (!(p.said > 0) && !(unit_kbps > 0))
        topology_say(t, a, p.sndlib ? "no unit given: capacities are taken as Mbit/s"
                                    : "no unit given: capacities are taken as kbit/s");
    if (!p.has_weight) topology_say(t, a, p.sndlib ? "no routing costs: every link has weight 1"
                                                   : "no metrics: every link has weight 1");
    return OK;
}
