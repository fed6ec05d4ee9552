// REPETITA (https://github.com/svissicchio/Repetita/wiki/Adding-Problem-Instances): `DEMANDS n`, a line for human
// readers, `label src dest bw` a demand.  src and dest count the nodes of the .graph from 0; bw in kbit/s.  A pair may
// have several demands, whose bandwidths add up.
#include <stdio.h>
#include <string.h>

#include "traffic/formats/internal.h"

enum { MAX_LINES = 1 << 24 };

// The first line, `word n`, and the line for human readers after it.
static Status read_first(int64_t *n, Lines *lines, const char *path, const char *word, const char *labels)
{
    Slice line, field, count;
    if (!lines_next_data(&line, lines)) return ERROR("%s: want '%s n', got the end of the file", path, word);
    field_next(&field, &line);
    field_next(&count, &line);
    if (!slice_is(field, word) || !slice_integer(n, count, MAX_LINES) || field_next(&field, &line))
        return ERROR("%s:%lld: want '%s n', got '%.*s'", path, (long long)lines->line, word, SLICE(field));
    if (!lines_next_data(&line, lines) || !field_next(&field, &line) || !slice_is(field, "label"))
        return ERROR("%s:%lld: want '%s', got '%.*s'", path, (long long)lines->line, labels, SLICE(field));
    return OK;
}

Status read_graph(NodeNames *graph, Arena *a, const FormatFile *f)
{
    Lines lines = lines_of(f->bytes, f->size);
    int64_t n;
    TRY(read_first(&n, &lines, f->path, "NODES", "label x y"));
    if (n < 2 || n > FORMATS_MAX_NODES)
        return ERROR("%s: want 2 .. %d nodes, got %lld", f->path, FORMATS_MAX_NODES, (long long)n);
    *graph = (NodeNames){.n = (int)n, .name = arena_alloc(a, (size_t)n * sizeof *graph->name), .path = f->path};
    for (int64_t i = 0; i < n; i++) {
        Slice line, label = {0}, x = {0}, y = {0};
        if (lines_next_data(&line, &lines)) field_next(&label, &line), field_next(&x, &line), field_next(&y, &line);
        if (!y.n || slice_is(label, "EDGES"))
            return ERROR("%s:%lld: want 'label x y' of node %lld of %lld", f->path, (long long)lines.line, (long long)i,
                         (long long)n);
        graph->name[i] = slice_of(arena_printf(a, "%.*s", (int)label.n, label.s));
    }
    return OK;
}

// Index of node number i: its name in the graph, else the number itself.
static Status number_node(int *index, TableBuilder *b, const FormatFile *f, const NodeNames *graph, Slice number,
                          int64_t line)
{
    int64_t i;
    if (!slice_integer(&i, number, graph ? graph->n - 1 : FORMATS_MAX_NODES - 1))
        return ERROR("%s:%lld: want the number of a node, 0 .. %d, got '%.*s'", f->path, (long long)line,
                     graph ? graph->n - 1 : FORMATS_MAX_NODES - 1, SLICE(number));
    char plain[16];
    snprintf(plain, sizeof plain, "%d", (int)i);         // 007 is 7
    return builder_node(index, b, graph ? graph->name[i] : slice_of(plain), line);
}

static Status list_graph(TableBuilder *b, const NodeNames *graph)
{
    for (int i = 0, index; i < graph->n; i++) {
        if (builder_find(b, graph->name[i]) >= 0)
            return ERROR("%s: want nodes of different names, got '%.*s' twice", graph->path, SLICE(graph->name[i]));
        TRY(builder_node(&index, b, graph->name[i], 0));
    }
    return OK;
}

Status read_repetita(TableBuilder *b, const FormatFile *f, const NodeNames *graph)
{
    const FileHead head = {.format = FORMAT_REPETITA, .kbps = 1, .unit = "kbit/s", .lists_nodes = graph != NULL,
                           .sums = true};
    Lines lines = lines_of(f->bytes, f->size);
    int64_t n, got = 0;
    Stamp time;
    TRY(read_first(&n, &lines, f->path, "DEMANDS", "label src dest bw"));
    TRY(builder_head(b, &head));
    time_in_name(&time, f->path);
    builder_begin(b, time);
    if (graph) {
        builder_keep_order(b);
        TRY(list_graph(b, graph));
    }
    for (Slice line; lines_next_data(&line, &lines); got++) {
        Slice label, from, to, bw, more;
        int i, j;
        double v;
        field_next(&label, &line), field_next(&from, &line), field_next(&to, &line);
        if (!field_next(&bw, &line) || field_next(&more, &line))
            return ERROR("%s:%lld: want 'label src dest bw'", f->path, (long long)lines.line);
        TRY(number_node(&i, b, f, graph, from, lines.line));
        TRY(number_node(&j, b, f, graph, to, lines.line));
        if (!slice_number(&v, bw))
            return ERROR("%s:%lld: want a bandwidth, got '%.*s'", f->path, (long long)lines.line, SLICE(bw));
        TRY(builder_pair(b, i, j, v, lines.line));
    }
    if (got != n)
        return ERROR("%s: want %lld demands as its first line says, got %lld", f->path, (long long)n, (long long)got);
    return builder_end(b);
}
