#include <dirent.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file.h"
#include "io/gzip.h"
#include "traffic/formats/internal.h"

enum { MAX_DIRECTORIES = 8 };                             // nested
static const size_t MAX_BYTES = (size_t)1 << 32;          // of a file, decompressed
static const size_t ADDRESS_SPACE = (size_t)1 << 40;      // reserved, not used: pages come when touched

// ---- paths ---------------------------------------------------------------------------------------------------------

typedef struct Path { const char *path; bool named; } Path;      // named by the caller, not found in a directory
typedef struct Paths { Arena *a; Path *path; int64_t n, cap; } Paths;

// A manifest (what `lead` writes beside its results) is no traffic, so none is taken that was merely found.
static void add_path(Paths *p, const char *path, bool named)
{
    static const char manifest[] = ".manifest.json";
    const size_t n = strlen(path), m = strlen(manifest);
    if (!named && n >= m && !strcmp(path + n - m, manifest)) return;
    if (p->n == p->cap) {
        Path *more = arena_alloc(p->a, (size_t)(p->cap = 2 * p->cap + 16) * sizeof *more);
        if (p->n) memcpy(more, p->path, (size_t)p->n * sizeof *more);
        p->path = more;
    }
    p->path[p->n++] = (Path){arena_printf(p->a, "%s", path), named};
}

static bool is_digit(char c) { return c >= '0' && c <= '9'; }

// Runs of digits by their value, the rest by its bytes: X2 before X10.
static int compare_natural(const char *a, const char *b)
{
    for (; *a && *b; ) {
        if (is_digit(*a) && is_digit(*b)) {
            while (*a == '0' && is_digit(a[1])) a++;
            while (*b == '0' && is_digit(b[1])) b++;
            const size_t n = strspn(a, "0123456789"), m = strspn(b, "0123456789");
            const int c = n != m ? (n < m ? -1 : 1) : memcmp(a, b, n);
            if (c) return c;
            a += n, b += m;
        } else {
            if (*a != *b) return (unsigned char)*a < (unsigned char)*b ? -1 : 1;
            a++, b++;
        }
    }
    return *a ? 1 : *b ? -1 : 0;
}

static int compare_paths(const void *p, const void *q)
{
    const Path *a = p, *b = q;
    const int c = compare_natural(a->path, b->path);
    return c ? c : strcmp(a->path, b->path);
}

static bool is_directory(const char *path)
{
    struct stat st;
    return !stat(path, &st) && S_ISDIR(st.st_mode);
}

static Status add_directory(Paths *p, const char *path, int level)
{
    DIR *d = opendir(path);
    if (!d) return ERROR("%s: cannot read the directory", path);
    Status s = OK;
    for (struct dirent *e; !s.code && (e = readdir(d)); ) {
        if (*e->d_name == '.') continue;
        const char *inside = arena_printf(p->a, "%s%s%s", path, path[strlen(path) - 1] == '/' ? "" : "/", e->d_name);
        if (!is_directory(inside)) add_path(p, inside, false);
        else if (level < MAX_DIRECTORIES) s = add_directory(p, inside, level + 1);
        else s = ERROR("%s: want directories nested at most %d deep", path, MAX_DIRECTORIES);
    }
    closedir(d);
    return s;
}

static Status add_pattern(Paths *p, const char *pattern)
{
    glob_t g;
    const int result = glob(pattern, GLOB_NOSORT, NULL, &g);
    Status s = result == 0 ? OK : ERROR("%s: want a file, a directory or a pattern, found nothing", pattern);
    for (size_t i = 0; !s.code && i < g.gl_pathc; i++) {
        if (is_directory(g.gl_pathv[i])) s = add_directory(p, g.gl_pathv[i], 1);
        else add_path(p, g.gl_pathv[i], false);
    }
    if (result == 0) globfree(&g);
    return s;
}

static Status expand(Paths *p, const char *const *paths, int n)
{
    for (int i = 0; i < n; i++) {
        const int64_t from = p->n;
        if (!*paths[i]) return ERROR("want the path of a file, got an empty one");
        if (is_directory(paths[i])) TRY(add_directory(p, paths[i], 1));
        else if (access(paths[i], F_OK) && strpbrk(paths[i], "*?[")) TRY(add_pattern(p, paths[i]));
        else add_path(p, paths[i], true);
        if (p->n == from) return ERROR("%s: want files in the directory, got none", paths[i]);
        qsort(p->path + from, (size_t)(p->n - from), sizeof *p->path, compare_paths);
    }
    return p->n ? OK : ERROR("want files of traffic matrices, got none");
}

// ---- one file ------------------------------------------------------------------------------------------------------

// What must be unpacked first.
static Status refuse_archive(const char *path, const char *bytes, size_t size)
{
    static const struct { const char *magic; size_t at, n; const char *what; } known[] = {
        {"ustar", 257, 5, "a tar archive"}, {"BZh", 0, 3, "compressed by bzip2"},
        {"\xfd" "7zXZ", 0, 5, "compressed by xz"}, {"\x28\xb5\x2f\xfd", 0, 4, "compressed by zstd"}, 
        {"7z\xbc\xaf", 0, 4, "a 7z archive"}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (size >= known[i].at + known[i].n && !memcmp(bytes + known[i].at, known[i].magic, known[i].n))
            return ERROR("%s: is %s: unpack it and name the file or the directory", path, known[i].what);
    return OK;
}

static Status load(FormatFile *f, Arena *a, const char *path)
{
    char *bytes;
    size_t size;
    TRY(file_read(&bytes, &size, a, path, MAX_BYTES));
    if (gzip_is(bytes, size)) {
        char *packed = bytes;
        const size_t packed_size = size;
        TRY(gzip_inflate(&bytes, &size, a, packed, packed_size, MAX_BYTES, path));
        memory_unused(packed, packed_size);
    }
    *f = (FormatFile){.path = path, .bytes = bytes, .size = size};
    return refuse_archive(path, bytes, size);
}

// Maps what is large and plain, so that it never lies in memory as a whole.  *is false: load it.
static Status map_large(bool *is, FormatFile *f, FileMap *map, const char *path)
{
    enum { LARGE = 1 << 20 };
    struct stat sb;
    file_unmap(map);
    *is = !stat(path, &sb) && S_ISREG(sb.st_mode) && sb.st_size >= LARGE &&
          sb.st_size % sysconf(_SC_PAGESIZE) != 0;        // bytes[size] is NUL
    if (!*is) return OK;
    TRY(file_map(map, path));
    *f = (FormatFile){.path = path, .bytes = (char *)map->data, .size = map->size, .mapped = true};
    *is = !gzip_is(f->bytes, f->size);
    if (!*is) file_unmap(map);
    return *is ? refuse_archive(path, f->bytes, f->size) : OK;
}

typedef struct Reading {
    FileMap map;                 // of the file that is being read, when it is large
    TableBuilder *b;
    const TableReadOptions *o;
    Arena *result;
    Paths paths;
    TrafficFormat *format;       // [paths.n]
    NodeNames *graph;            // of REPETITA demands
    ParagonDemands *demands;     // of Paragon loads
} Reading;

// For as long as the next file is not asked for.
static Status load_next(Reading *r, FormatFile *f, const char *path)
{
    bool is;
    TRY(map_large(&is, f, &r->map, path));
    return is ? OK : load(f, builder_scratch(r->b), path);
}

static FormatReader *const reader_of[FORMAT_COUNT] = {
    [FORMAT_SNDLIB_XML] = read_sndlib_xml, [FORMAT_SNDLIB_NATIVE] = read_sndlib_native, [FORMAT_TOTEM] = read_totem,
    [FORMAT_X] = read_x, [FORMAT_TEXT] = read_matrix_text, [FORMAT_ROUGHAN] = read_roughan,
    [FORMAT_PARAGON_DEMAND] = read_paragon_demands};

static Status no_matrix(const FormatFile *f, TrafficFormat format)
{
    if (format == FORMAT_UNKNOWN_XML)
        return ERROR("%s: want XML of SNDlib (<network>) or TOTEM (<TrafficMatrixFile>), got another root element",
                     f->path);
    return ERROR("%s: want traffic matrices, got %s", f->path, traffic_format_name(format));
}

static Status read_other(Reading *r, const FormatFile *f)
{
    if (!r->o || !r->o->other)
        return ERROR("%s: want a format of traffic matrices that is known, got another", f->path);
    TrafficTable t;
    TRY(r->o->other(&t, builder_scratch(r->b), f->path, (char *)f->bytes, f->size, r->o->other_arg));
    const FileHead head = {.format = FORMAT_OTHER, .kbps = t.kbps, .unit = t.unit, .slot_seconds = t.slot_seconds,
                           .lists_nodes = t.node != NULL};
    TRY(builder_head(r->b, &head));
    return builder_table(r->b, &t);
}

// ---- files that belong together ------------------------------------------------------------------------------------

static bool drop_suffix(char *path, const char *suffix)
{
    const size_t n = strlen(path), m = strlen(suffix);
    if (n <= m || strcasecmp(path + n - m, suffix)) return false;
    path[n - m] = 0;
    return true;
}

// Net.0003.demands: Net.0003.graph or Net.graph; NULL when neither is there.
static const char *graph_beside(Arena *a, const char *demands)
{
    char *stem = arena_printf(a, "%s", demands);
    drop_suffix(stem, ".gz");
    drop_suffix(stem, ".demands");
    for (char *dot; ; *dot = 0) {
        const char *graph = arena_printf(a, "%s.graph", stem);
        if (!access(graph, F_OK)) return graph;
        dot = strrchr(stem, '.');
        if (!dot || strchr(dot, '/') || dot[strspn(dot + 1, "0123456789") + 1]) return NULL;
    }
}

// trafficload.x: demand.x; NULL when it is not there.
static const char *demands_beside(Arena *a, const char *load_path)
{
    static const char word[] = "trafficload";
    const char *at = strstr(base_name(load_path), word);
    if (!at) return NULL;
    const char *path = arena_printf(a, "%.*sdemand%s", (int)(at - load_path), load_path, at + strlen(word));
    return access(path, F_OK) ? NULL : path;
}

static Status take_graph(Reading *r, const char *path)
{
    FormatFile f;
    Arena *store = builder_store(r->b);
    if (r->graph)
        return ERROR("%s: want one .graph, got %s as well: name the demands of one network", path, r->graph->path);
    TRY(load(&f, store, path));
    r->graph = arena_alloc(store, sizeof *r->graph);
    return read_graph(r->graph, store, &f);
}

static Status take_demands(Reading *r, const char *path)
{
    FormatFile f;
    Arena *store = builder_store(r->b);
    if (r->demands)
        return ERROR("%s: want one demand file beside a trafficload, got %s as well", path, r->demands->path);
    TRY(load(&f, store, path));
    r->demands = arena_alloc(store, sizeof *r->demands);
    return parse_paragon_demands(r->demands, store, &f);
}

static Status read_with_graph(Reading *r, const FormatFile *f)
{
    const char *beside = r->graph || f->alone ? NULL : graph_beside(builder_store(r->b), f->path);
    if (beside) {
        TRY(take_graph(r, beside));
        builder_note(r->b, "%s: names of nodes from %s", f->path, beside);
    }
    return read_repetita(r->b, f, r->graph);
}

static Status read_with_demands(Reading *r, const FormatFile *f)
{
    const char *beside = r->demands || f->alone ? NULL : demands_beside(builder_store(r->b), f->path);
    if (beside) {
        TRY(take_demands(r, beside));
        builder_note(r->b, "%s: demands from %s", f->path, beside);
    }
    if (!r->demands)
        return ERROR("%s: want the demand file as well, which says between which nodes each demand runs", f->path);
    return read_paragon_load(r->b, f, r->demands);
}

static Status read_file(Reading *r, const FormatFile *f, TrafficFormat format)
{
    if (format == FORMAT_OTHER) return read_other(r, f);
    if (format == FORMAT_REPETITA) return read_with_graph(r, f);
    if (format == FORMAT_PARAGON_LOAD) return read_with_demands(r, f);
    return reader_of[format] ? reader_of[format](r->b, f) : no_matrix(f, format);
}

// ---- all files -----------------------------------------------------------------------------------------------------

static bool waits(TrafficFormat f)     // for other files of the set
{
    return f == FORMAT_OTHER || f == FORMAT_REPETITA || f == FORMAT_PARAGON_LOAD || f == FORMAT_PARAGON_DEMAND;
}

static int64_t count_format(const Reading *r, TrafficFormat format)
{
    int64_t n = 0;
    for (int64_t k = 0; k < r->paths.n; k++) n += r->format[k] == format;
    return n;
}

// The first pass reads what stands for itself.
static Status first_pass(Reading *r)
{
    for (int64_t k = 0; k < r->paths.n; k++) {
        const Path *p = &r->paths.path[k];
        FormatFile f;
        builder_file(r->b, p->path);
        TRY(load_next(r, &f, p->path));
        r->format[k] = traffic_format_detect(f.bytes, f.size);
        const bool skipped = r->format[k] == FORMAT_TOPOLOGY && !p->named;
        if (r->format[k] == FORMAT_GRAPH) TRY(take_graph(r, p->path));
        else if (skipped) builder_note(r->b, "%s is a topology: left out", p->path);
        else if (!waits(r->format[k])) TRY(read_file(r, &f, r->format[k]));
    }
    return OK;
}

// The second: lists that take names from other files; tables, unless they only lie in the directory of something else.
static Status second_pass(Reading *r)
{
    const int64_t loads = count_format(r, FORMAT_PARAGON_LOAD);
    const int64_t others = count_format(r, FORMAT_OTHER) + count_format(r, FORMAT_GRAPH) +
                           count_format(r, FORMAT_TOPOLOGY);
    for (int64_t k = 0; loads && k < r->paths.n; k++)
        if (r->format[k] == FORMAT_PARAGON_DEMAND) TRY(take_demands(r, r->paths.path[k].path));
    for (int64_t k = 0; k < r->paths.n; k++) {
        const Path *p = &r->paths.path[k];
        if (!waits(r->format[k]) || (loads && r->format[k] == FORMAT_PARAGON_DEMAND)) continue;
        if (r->format[k] == FORMAT_OTHER && !p->named && others < r->paths.n) {
            builder_note(r->b, "%s is of no format of matrices: left out", p->path);
            continue;
        }
        FormatFile f;
        builder_file(r->b, p->path);
        TRY(load_next(r, &f, p->path));
        TRY(read_file(r, &f, r->format[k]));
    }
    if (builder_empty(r->b) && r->graph)
        return ERROR("%s: want demands beside the graph, got none", r->graph->path);
    return OK;
}

// A single table needs no joining.
static Status read_single_table(TrafficTable *out, Reading *r)
{
    FormatFile f;
    builder_file(r->b, r->paths.path[0].path);
    TRY(load(&f, builder_scratch(r->b), r->paths.path[0].path));
    return r->o->other(out, r->result, f.path, (char *)f.bytes, f.size, r->o->other_arg);
}

static Status read_all(TrafficTable *out, Reading *r, const char *const *paths, int n_paths)
{
    r->paths.a = builder_store(r->b);
    TRY(expand(&r->paths, paths, n_paths));
    r->format = arena_zalloc(builder_store(r->b), (size_t)r->paths.n * sizeof *r->format);
    TRY(first_pass(r));
    if (r->paths.n == 1 && r->format[0] == FORMAT_OTHER && r->o && r->o->other) return read_single_table(out, r);
    TRY(second_pass(r));
    return builder_finish(out, r->b, r->o ? r->o->tz : NULL);
}

Status traffic_table_read(TrafficTable *out, TableNotes *notes, Arena *a, const char *const *paths, int n_paths,
                          const TableReadOptions *o)
{
    if (notes) notes->n = 0;
    Arena *store = arena_new("matrices being read", ADDRESS_SPACE, NULL);
    Arena *scratch = arena_new("file being read", ADDRESS_SPACE, NULL);
    CHECK(store && scratch, "no address space");
    Reading r = {.b = builder_new(a, store, scratch, notes), .o = o, .result = a};
    const Status s = read_all(out, &r, paths, n_paths);
    file_unmap(&r.map);
    arena_delete(store);
    arena_delete(scratch);
    return s;
}

static Status parse_one(TrafficTable *out, Reading *r, const FormatFile *f)
{
    builder_file(r->b, f->path);
    TRY(read_file(r, f, traffic_format_detect(f->bytes, f->size)));
    return builder_finish(out, r->b, NULL);
}

Status traffic_table_parse(TrafficTable *out, TableNotes *notes, Arena *a, Arena *scratch, const char *name,
                           const char *bytes, size_t size)
{
    if (notes) notes->n = 0;
    const size_t mark = arena_mark(scratch);
    Reading r = {.b = builder_new(a, a, scratch, notes), .result = a};
    const FormatFile f = {.path = name, .bytes = bytes, .size = size, .alone = true};
    const Status s = parse_one(out, &r, &f);
    arena_rewind(scratch, mark);
    return s;
}
