#include <arpa/inet.h>
#include <string.h>

#include "io/file.h"
#include "traffic/long.h"

typedef struct MapEntry {
    TextField key, node;
    int family, bits;            // of a prefix; 0: a name
    unsigned char address[16];
} MapEntry;

struct NodeMap { MapEntry *entry; int64_t n; };

// Reads an address, or with `prefix` one with /bits; false: it is a name.
static bool address_parse(TextField text, bool prefix, MapEntry *e)
{
    char copy[64];
    if (text.n >= sizeof copy) return false;
    memcpy(copy, text.p, text.n);
    copy[text.n] = 0;
    char *slash = prefix ? strchr(copy, '/') : NULL;
    if (slash) *slash = 0;
    e->family = AF_INET;
    if (inet_pton(AF_INET, copy, e->address) != 1) {
        e->family = AF_INET6;
        if (inet_pton(AF_INET6, copy, e->address) != 1) return false;
    }
    const int all = e->family == AF_INET ? 32 : 128;
    e->bits = all;
    for (const char *p = slash ? slash + 1 : ""; *p; p++) {
        if (p == slash + 1) e->bits = 0;
        if (*p < '0' || *p > '9' || (e->bits = 10 * e->bits + *p - '0') > all) return false;
    }
    return !slash || slash[1];
}

static bool covers(const MapEntry *prefix, const MapEntry *address)
{
    if (prefix->family != address->family) return false;
    const int whole = prefix->bits / 8, rest = prefix->bits % 8;
    if (memcmp(prefix->address, address->address, (size_t)whole)) return false;
    return !rest || (prefix->address[whole] ^ address->address[whole]) >> (8 - rest) == 0;
}

Status node_map_read(NodeMap **map, Arena *a, const char *path)
{
    char *bytes;
    size_t size;
    TRY(file_read(&bytes, &size, a, path, (size_t)1 << 30));
    return node_map_parse(map, a, &(TextSource){.path = path, .bytes = bytes, .size = size});
}

Status node_map_parse(NodeMap **map, Arena *a, const TextSource *source)
{
    const char *path = source->path;
    int64_t lines;
    TRY(text_source_check(source, &lines));
    NodeMap *m = arena_alloc(a, sizeof *m);
    *m = (NodeMap){.entry = arena_zalloc(a, (size_t)lines * sizeof *m->entry)};
    TextLines l = text_lines(source);
    for (TextLine line; text_next(&l, &line);) {
        TextField f[3];
        const size_t n = (size_t)(line.end - line.p);
        const char separator = memchr(line.p, ',', n) ? ',' : memchr(line.p, ';', n) ? ';' : ' ';
        if (text_split(&line, separator, f, 3) != 2 || !f[0].n || !f[1].n)
            return ERROR("%s:%lld: want a router or prefix and its node, got '%.*s'", path, (long long)line.number,
                         (int)(n > 40 ? 40 : n), line.p);
        MapEntry *e = &m->entry[m->n++];
        *e = (MapEntry){.key = f[0], .node = f[1]};
        if (!address_parse(f[0], true, e)) e->family = 0;
    }
    if (!m->n) return ERROR("%s: want lines of a router or prefix and its node, got none", path);
    *map = m;
    return OK;
}

TextField node_map_find(const NodeMap *map, TextField name)
{
    const MapEntry *best = NULL;
    MapEntry address = {.family = 0};
    if (!address_parse(name, false, &address)) address.family = 0;
    for (int64_t i = 0; i < map->n; i++) {
        const MapEntry *e = &map->entry[i];
        if (e->key.n == name.n && !memcmp(e->key.p, name.p, name.n)) return e->node;
        if (e->family && address.family && covers(e, &address) && (!best || e->bits > best->bits)) best = e;
    }
    return best ? best->node : (TextField){0};
}
