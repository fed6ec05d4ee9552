// Names of pairs in the header of a CSV file.
#include <math.h>
#include <string.h>

#include "traffic/csv.h"

static bool same(TextField a, TextField b) { return a.n == b.n && !memcmp(a.p, b.p, a.n); }

static bool starts(TextField a, TextField b) { return a.n >= b.n && !memcmp(a.p, b.p, b.n); }

// Of "X-X" the name X; the separator is left in *between.  False when the halves differ.
static bool halves(TextField name, size_t separator, TextField *node, TextField *between)
{
    if (name.n <= separator || (name.n - separator) % 2) return false;
    const size_t n = (name.n - separator) / 2;
    *node = (TextField){name.p, n};
    *between = (TextField){name.p + n, separator};
    return same(*node, (TextField){name.p + n + separator, n});
}

// Origin-major with a diagonal: column i*N+i is "X-X", from which all other names follow.
static bool square_names(CsvLayout *l, Arena *a, const TextField *name, int64_t n)
{
    const int64_t N = llround(sqrt((double)n));
    if (N * N != n) return false;
    TextField *node = arena_alloc(a, (size_t)N * sizeof *node), between = {0};
    for (size_t separator = 1; separator <= 4; separator++) {
        bool ok = true;
        for (int64_t i = 0; i < N && ok; i++) ok = halves(name[i * N + i], separator, &node[i], &between);
        for (int64_t k = 0; k < n && ok; k++) {
            const TextField from = node[k / N], to = node[k % N];
            const TextField rest = {name[k].p + from.n, name[k].n - from.n};
            ok = starts(name[k], from) && starts(rest, between) &&
                 same((TextField){rest.p + separator, rest.n - separator}, to);
        }
        for (int64_t i = 0; i < N && ok; i++)
            for (int64_t j = 0; j < i && ok; j++) ok = !same(node[i], node[j]);
        if (!ok) continue;
        const char **names = arena_alloc(a, (size_t)N * sizeof *names);
        for (int64_t i = 0; i < N; i++) names[i] = text_copy(a, text_name(a, node[i]));
        l->N = (int)N;
        l->node = names;
        return true;
    }
    return false;
}

// The name cut at `between`, which must occur once.
static bool cut(TextField name, const char *between, TextField *from, TextField *to)
{
    const size_t m = strlen(between);
    const char *at = name.n > m ? memmem(name.p, name.n, between, m) : NULL;
    if (!at || at == name.p || at + m == name.p + name.n) return false;
    *from = (TextField){name.p, (size_t)(at - name.p)};
    *to = (TextField){at + m, name.n - from->n - m};
    return !memmem(to->p, to->n, between, m);
}

static int64_t node_index(TextField *node, int64_t *N, TextField name)
{
    for (int64_t i = 0; i < *N; i++)
        if (same(node[i], name)) return i;
    node[*N] = name;
    return ++*N - 1;
}

// Any order, with or without a diagonal, cut at a separator that each name holds once.
static bool cut_names(CsvLayout *l, Arena *a, const TextField *name, int64_t n, const char *between)
{
    TextField *node = arena_alloc(a, (size_t)(2 * n) * sizeof *node), from, to;
    bool *is_target = arena_zalloc(a, (size_t)(2 * n));
    int64_t N = 0, both = 0;
    for (int64_t k = 0; k < n; k++) {
        if (!cut(name[k], between, &from, &to)) return false;
        node_index(node, &N, from);
        if (N > 4096) return false;
    }
    const int64_t sources = N;
    for (int64_t k = 0; k < n; k++) {
        cut(name[k], between, &from, &to);
        is_target[node_index(node, &N, to)] = true;
    }
    for (int64_t i = 0; i < sources; i++) both += is_target[i];      // "flow 0-1": the sides have other names
    if (N < 2 || N > 4096 || n > N * N || n < N || 2 * both < N) return false;
    int64_t *cell = arena_alloc(a, (size_t)n * sizeof *cell);
    bool *used = arena_zalloc(a, (size_t)(N * N));
    for (int64_t k = 0; k < n; k++) {
        cut(name[k], between, &from, &to);
        cell[k] = node_index(node, &N, from) * N + node_index(node, &N, to);
        if (used[cell[k]]) return false;
        used[cell[k]] = true;
    }
    const char **names = arena_alloc(a, (size_t)N * sizeof *names);
    for (int64_t i = 0; i < N; i++) names[i] = text_copy(a, text_name(a, node[i]));
    l->N = (int)N;
    l->node = names;
    l->cell = cell;
    return true;
}

bool csv_pair_names(CsvLayout *l, Arena *a, const TextField *name, int64_t n)
{
    static const char *const between[] = {"->", "→", "=>", " to ", "_to_", "__", ">", "|", "/", ":", ";", ",",
                                          "-", "_", "~", " ", "."};
    l->cell = NULL;
    l->node = NULL;
    if (square_names(l, a, name, n)) return true;
    for (size_t i = 0; i < sizeof between / sizeof *between; i++)
        if (cut_names(l, a, name, n, between[i])) return true;
    return false;
}
