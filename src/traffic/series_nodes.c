// Names of nodes: order, flows, text.
#include <stdlib.h>
#include <string.h>

#include "traffic/series.h"

const char *traffic_nodes_text(const TrafficSeries *s, Arena *a)
{
    size_t size = 1;
    for (int i = 0; s->node && i < s->N; i++) size += strlen(s->node[i]) + 1;
    char *text = arena_alloc(a, size), *p = text;
    for (int i = 0; s->node && i < s->N; i++) {
        if (i) *p++ = '\n';
        p = stpcpy(p, s->node[i]);
    }
    *p = 0;
    return text;
}

static int find_node(const TrafficSeries *s, const char *name, size_t n)
{
    for (int i = 0; s->node && i < s->N; i++)
        if (strlen(s->node[i]) == n && !memcmp(s->node[i], name, n)) return i;
    return -1;
}

static void move_nodes(TrafficSeries *s, Arena *a, const int *from)
{
    const int N = s->N;
    const size_t mark = arena_mark(a), F = (size_t)N * (size_t)N;
    float *x = arena_alloc(a, F * sizeof *x);
    uint8_t *seen = arena_alloc(a, F);
    for (int64_t t = 0; t < s->T; t++) {
        float *row = s->x + t * N * N;
        uint8_t *mask = s->seen ? s->seen + t * N * N : NULL;
        memcpy(x, row, F * sizeof *x);
        if (mask) memcpy(seen, mask, F);
        for (int i = 0; i < N; i++)
            for (int j = 0; j < N; j++) {
                row[i * N + j] = x[from[i] * N + from[j]];
                if (mask) mask[i * N + j] = seen[from[i] * N + from[j]];
            }
    }
    arena_rewind(a, mark);
}

// Up to a few of the lines of `names` that are not in `known`, for a message.
static const char *list_absent(Arena *a, const char *names, const TrafficSeries *s)
{
    enum { SHOWN = 4 };
    const char *list = "";
    int n = 0;
    for (const char *p = names, *end; *p; p = *end ? end + 1 : end) {
        end = p + strcspn(p, "\n");
        if (find_node(s, p, (size_t)(end - p)) >= 0) continue;
        const int shown = end - p > 30 ? 30 : (int)(end - p);
        if (++n <= SHOWN) list = arena_printf(a, "%s%s%.*s", list, n > 1 ? ", " : "", shown, p);
    }
    return n > SHOWN ? arena_printf(a, "%s and %d more", list, n - SHOWN) : n ? list : "none";
}

Status traffic_nodes_match(TrafficSeries *s, Arena *a, const char *names, bool *moved)
{
    *moved = false;
    if (!s->node || !*names) return OK;
    int *from = arena_alloc(a, (size_t)s->N * sizeof *from), n = 0, found = 0;
    const char **node = arena_alloc(a, (size_t)s->N * sizeof *node);
    for (const char *p = names, *end; *p; p = *end ? end + 1 : end, n++) {
        end = p + strcspn(p, "\n");
        const int i = find_node(s, p, (size_t)(end - p));
        found += i >= 0;
        if (n >= s->N || i < 0) continue;
        *moved |= i != n;
        from[n] = i;
        node[n] = s->node[i];
    }
    if (n != s->N || found != n) {
        TrafficSeries run = {.N = n};
        const char **known = arena_alloc(a, (size_t)(n + 1) * sizeof *known);
        for (const char *p = names; run.N && *p; run.N--) {
            const size_t m = strcspn(p, "\n");
            known[n - run.N] = arena_printf(a, "%.*s", (int)m, p);
            p += p[m] ? m + 1 : m;
        }
        run = (TrafficSeries){.N = n, .node = known};
        return ERROR("want the %d nodes that the run was trained on, got %d: missing %s; new %s", n, s->N,
                     list_absent(a, names, s), list_absent(a, traffic_nodes_text(s, a), &run));
    }
    if (!*moved) return OK;
    move_nodes(s, a, from);
    s->node = node;
    return OK;
}

static Status flow_node(int *node, const TrafficSeries *s, const char *name, size_t n)
{
    char *end, text[24] = "";
    *node = find_node(s, name, n);
    if (*node >= 0) return OK;
    if (n && n < sizeof text) memcpy(text, name, n);
    const long v = strtol(text, &end, 10);
    if (end == text || *end || v < 0 || v >= s->N)
        return USAGE_ERROR("want a node's %s0 .. %d, got '%.*s'", s->node ? "name or its number " : "number ", s->N - 1,
                           (int)(n > 40 ? 40 : n), name);
    *node = (int)v;
    return OK;
}

Status traffic_flow_find(int *flow, const TrafficSeries *s, const char *text, size_t n)
{
    int from, to;
    // A name may hold a colon: each is tried.
    for (const char *colon = text; (colon = memchr(colon, ':', n - (size_t)(colon - text))) != NULL; colon++) {
        const size_t m = (size_t)(colon - text);
        if (flow_node(&from, s, text, m).code || flow_node(&to, s, colon + 1, n - m - 1).code) continue;
        *flow = from * s->N + to;
        return OK;
    }
    const char *colon = memchr(text, ':', n);
    if (!colon) return USAGE_ERROR("want a flow SOURCE:DESTINATION, got '%.*s'", (int)(n > 60 ? 60 : n), text);
    TRY(flow_node(&from, s, text, (size_t)(colon - text)));
    return flow_node(&to, s, colon + 1, n - (size_t)(colon - text) - 1);
}

// Inside quotes of CSV.
void traffic_quoted_put(FILE *out, const char *text)
{
    for (const char *p = text; *p; p++) fprintf(out, *p == '"' ? "\"\"" : "%c", *p);
}

void traffic_node_put(FILE *out, const TrafficSeries *s, int64_t i)
{
    if (!s->node) fprintf(out, "%lld", (long long)i);
    else if (*s->node[i] && !strpbrk(s->node[i], ",;\"'#\t\n") && *s->node[i] != ' ') fputs(s->node[i], out);
    else {
        fputc('"', out);
        traffic_quoted_put(out, s->node[i]);
        fputc('"', out);
    }
}
