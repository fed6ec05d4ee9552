// SNDlib XML (<network>) and TOTEM XML (<domain>) topologies; see topology.h.
#ifndef LEAD_LINKS_TOPOLOGY_XML_H
#define LEAD_LINKS_TOPOLOGY_XML_H

#include <stddef.h>

#include "links/topology.h"

Status topology_parse_xml(Topology *t, Arena *a, const char *text, size_t size, double unit_kbps);

#endif
