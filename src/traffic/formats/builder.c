#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "traffic/formats/internal.h"
#include "traffic/times.h"

typedef struct Pair { int from, to; double value; int64_t line; } Pair;
typedef struct Matrix {
    const char *path;
    Stamp time;
    int64_t order;
    int N;                       // the nodes known when it was read: 0 .. N-1
    float *x;                    // [N][N]
    const unsigned char *named;  // [N] whether its file names the node; NULL: all, or it does not matter
} Matrix;

struct TableBuilder {
    Arena *result, *store, *scratch;     // for what is handed out; for all files; for one file
    size_t scratch_mark;
    TableNotes *notes;
    bool keep_order;
    // nodes: names, and a hash table of indices (0: free, else index + 1)
    int n_nodes, buckets;
    const char **name;
    int64_t *last_named;                 // [n_nodes] number of the last matrix whose file names it
    int *bucket;
    const char *other;                   // format of the tables that another reader made
    bool other_absent;
    bool nameless;                       // matrices without names, of n_nodes nodes each
    // the file being read
    const char *path, *first_path;
    FileHead head, first;
    double scale;
    Pair *pair;
    int64_t n_pairs, cap_pairs;
    Stamp time;
    // what was read
    Matrix *matrix;
    int64_t n, cap, n_files, n_empty, n_partial;
    const char *first_empty, *first_partial;
};

// ---- life ----------------------------------------------------------------------------------------------------------

TableBuilder *builder_new(Arena *result, Arena *store, Arena *scratch, TableNotes *notes)
{
    TableBuilder *b = arena_zalloc(store, sizeof *b);
    b->result = result;
    b->store = store;
    b->scratch = scratch;
    b->scratch_mark = arena_mark(scratch);
    b->notes = notes;
    return b;
}

Arena *builder_scratch(TableBuilder *b) { return b->scratch; }

Arena *builder_store(TableBuilder *b) { return b->store; }

bool builder_empty(const TableBuilder *b) { return !b->n; }

int builder_nodes(const TableBuilder *b) { return b->n_nodes; }

void builder_keep_order(TableBuilder *b) { b->keep_order = true; }

void builder_note(TableBuilder *b, const char *format, ...)
{
    if (!b->notes || b->notes->n == TABLE_MAX_NOTES) return;
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    b->notes->line[b->notes->n++] = arena_printf(b->result, "%s", text);
}

// ---- files ---------------------------------------------------------------------------------------------------------

void builder_file(TableBuilder *b, const char *path)
{
    arena_rewind(b->scratch, b->scratch_mark);
    b->path = path;
    b->pair = NULL;
    b->cap_pairs = b->n_pairs = 0;
}

Status builder_head(TableBuilder *b, const FileHead *head)
{
    b->n_files++;
    b->scale = 1;
    b->head = *head;
    if (!b->first_path) {
        b->first_path = b->path;
        b->first = *head;
        if (head->unit) b->first.unit = arena_printf(b->result, "%s", head->unit);
        return OK;
    }
    FileHead *first = &b->first;
    if (head->format != first->format)
        return ERROR("%s: want %s as in %s, got %s", b->path, traffic_format_name(first->format), b->first_path,
                     traffic_format_name(head->format));
    if ((head->kbps > 0) != (first->kbps > 0))
        return ERROR("%s: want a unit in all files or in none, got '%s', and '%s' in %s", b->path,
                     head->unit ? head->unit : "none", first->unit ? first->unit : "none", b->first_path);
    if (head->kbps > 0) b->scale = head->kbps / first->kbps;
    if (!first->slot_seconds) first->slot_seconds = head->slot_seconds;
    if (head->slot_seconds && head->slot_seconds != first->slot_seconds)
        return ERROR("%s: want slots of %d s as in the files before, got %d s", b->path, first->slot_seconds,
                     head->slot_seconds);
    return OK;
}

static Matrix *new_matrix(TableBuilder *b, int N, Stamp time)
{
    if (b->n == b->cap) {
        Matrix *more = arena_alloc(b->store, (size_t)(b->cap = 2 * b->cap + 16) * sizeof *more);
        if (b->n) memcpy(more, b->matrix, (size_t)b->n * sizeof *more);
        b->matrix = more;
    }
    Matrix *m = &b->matrix[b->n];
    *m = (Matrix){.path = b->path, .order = b->n, .time = time, .N = N};
    m->x = arena_alloc(b->store, (size_t)N * (size_t)N * sizeof *m->x);
    b->n++;
    return m;
}

// ---- nodes ---------------------------------------------------------------------------------------------------------

static uint64_t hash_of(Slice s)       // FNV-1a
{
    uint64_t h = 14695981039346656037u;
    for (size_t i = 0; i < s.n; i++) h = (h ^ (unsigned char)s.s[i]) * 1099511628211u;
    return h ^ h >> 29;
}

// The bucket that holds the name, or the free one where it belongs.
static int *find_bucket(const TableBuilder *b, Slice s)
{
    uint64_t at = hash_of(s);
    for (;; at++) {
        int *slot = &b->bucket[at % (uint64_t)b->buckets];
        if (!*slot || slice_is(s, b->name[*slot - 1])) return slot;
    }
}

// Room for one more node: twice as much when the arrays are full.  Four buckets a name.
static void grow_nodes(TableBuilder *b)
{
    if (4 * b->n_nodes < b->buckets) return;
    const int room = b->buckets ? b->buckets / 2 : 16;
    const char **name = arena_alloc(b->store, (size_t)room * sizeof *name);
    int64_t *last_named = arena_alloc(b->store, (size_t)room * sizeof *last_named);
    if (b->n_nodes) memcpy(name, b->name, (size_t)b->n_nodes * sizeof *name);
    if (b->n_nodes) memcpy(last_named, b->last_named, (size_t)b->n_nodes * sizeof *last_named);
    b->name = name;
    b->last_named = last_named;
    b->buckets = 4 * room;
    b->bucket = arena_zalloc(b->store, (size_t)b->buckets * sizeof *b->bucket);
    for (int i = 0; i < b->n_nodes; i++) *find_bucket(b, slice_of(b->name[i])) = i + 1;
}

Status builder_node(int *index, TableBuilder *b, Slice name, int64_t line)
{
    if (!name.n || name.n > FORMATS_MAX_NAME)
        return ERROR("%s:%lld: want the name of a node, 1 .. %d bytes, got %zu", b->path, (long long)line,
                     FORMATS_MAX_NAME, name.n);
    grow_nodes(b);
    int *slot = find_bucket(b, name);
    if (!*slot) {
        if (b->n_nodes == FORMATS_MAX_NODES)
            return ERROR("%s:%lld: want at most %d nodes, got another, '%.*s'", b->path, (long long)line,
                         FORMATS_MAX_NODES, SLICE(name));
        b->name[b->n_nodes] = arena_printf(b->result, "%.*s", (int)name.n, name.s);
        *slot = ++b->n_nodes;
    }
    *index = *slot - 1;
    b->last_named[*index] = b->n;
    return OK;
}

int builder_find(const TableBuilder *b, Slice name)
{
    const int at = b->bucket ? *find_bucket(b, name) - 1 : -1;
    return at >= 0 && b->last_named[at] == b->n ? at : -1;
}

// ---- matrices that list pairs --------------------------------------------------------------------------------------

void builder_begin(TableBuilder *b, Stamp time)
{
    b->n_pairs = 0;
    b->time = time;
}

Status builder_pair(TableBuilder *b, int from, int to, double value, int64_t line)
{
    if (value < 0 || fabs(value) > 3e38)
        return ERROR("%s:%lld: want a value >= 0 from %s to %s, got %g", b->path, (long long)line, b->name[from],
                     b->name[to], value);
    if (b->n_pairs == b->cap_pairs) {
        Pair *more = arena_alloc(b->scratch, (size_t)(b->cap_pairs = 2 * b->cap_pairs + 64) * sizeof *more);
        if (b->n_pairs) memcpy(more, b->pair, (size_t)b->n_pairs * sizeof *more);
        b->pair = more;
    }
    b->pair[b->n_pairs++] = (Pair){from, to, value, line};
    return OK;
}

// Which of the nodes known so far this file names; NULL: all.
static const unsigned char *named_nodes(TableBuilder *b, int N)
{
    int missing = 0;
    for (int i = 0; i < N; i++) missing += b->last_named[i] != b->n;
    if (!missing) return NULL;
    unsigned char *named = arena_alloc(b->store, (size_t)N);
    for (int i = 0; i < N; i++) named[i] = b->last_named[i] == b->n;
    return named;
}

static Status put_pairs(TableBuilder *b, float *x, int N)
{
    const size_t mark = arena_mark(b->scratch), F = (size_t)N * (size_t)N;
    double *sum = arena_zalloc(b->scratch, F * sizeof *sum);
    unsigned char *seen = arena_zalloc(b->scratch, F);
    for (int64_t k = 0; k < b->n_pairs; k++) {
        const Pair *p = &b->pair[k];
        const size_t f = (size_t)p->from * (size_t)N + (size_t)p->to;
        if (seen[f] && !b->head.sums)
            return ERROR("%s:%lld: want each pair once, got %s to %s again", b->path, (long long)p->line,
                         b->name[p->from], b->name[p->to]);
        seen[f] = 1;
        sum[f] += p->value * b->scale;
    }
    for (size_t f = 0; f < F; f++) x[f] = (float)sum[f];
    arena_rewind(b->scratch, mark);
    return OK;
}

Status builder_end(TableBuilder *b)
{
    const int N = b->n_nodes;
    const unsigned char *named = b->head.lists_nodes && N ? named_nodes(b, N) : NULL;
    Matrix *m = new_matrix(b, N, b->time);
    m->named = named;
    if (b->n_pairs) return put_pairs(b, m->x, N);
    for (int64_t f = 0; f < (int64_t)N * N; f++) m->x[f] = NAN;
    if (!b->n_empty++) b->first_empty = b->path;
    m->N = 0;                    // nothing is known of any node
    return OK;
}

// ---- matrices without names, tables --------------------------------------------------------------------------------

Status builder_dense(float **x, TableBuilder *b, int N, Stamp time)
{
    if (N < 2 || N > FORMATS_MAX_NODES)
        return ERROR("%s: want 2 .. %d nodes, got %d", b->path, FORMATS_MAX_NODES, N);
    if (b->n && N != b->n_nodes)
        return ERROR("%s: want matrices of %d x %d as in %s, got %d x %d", b->path, b->n_nodes, b->n_nodes,
                     b->matrix[0].path, N, N);
    b->nameless = true;
    b->n_nodes = N;
    *x = new_matrix(b, N, time)->x;
    return OK;
}

void builder_scale(const TableBuilder *b, float *x, int64_t n)
{
    for (int64_t i = 0; b->scale != 1 && i < n; i++) x[i] = (float)(x[i] * b->scale);
}

// The nodes of a table: index[i] is what the builder calls its i-th.
static Status table_nodes(int *index, TableBuilder *b, const TrafficTable *t)
{
    const size_t mark = arena_mark(b->scratch);
    unsigned char *seen = arena_zalloc(b->scratch, FORMATS_MAX_NODES);
    for (int i = 0; i < t->N; i++) {
        TRY(builder_node(&index[i], b, slice_of(t->node[i]), 1));
        if (seen[index[i]]++) return ERROR("%s: want each node once, got '%s' again", b->path, t->node[i]);
    }
    arena_rewind(b->scratch, mark);
    return OK;
}

Status builder_table(TableBuilder *b, const TrafficTable *t)
{
    if (b->n && b->nameless != !t->node)
        return ERROR("%s: want names of nodes in all files or in none, got them %s", b->path,
                     t->node ? "here and not before" : "before and not here");
    if (b->other && strcmp(b->other, t->format))
        return ERROR("%s: want %s as in %s, got %s", b->path, b->other, b->first_path, t->format);
    if (!b->other) b->other = arena_printf(b->result, "%s", t->format);
    b->other_absent |= t->absent_is_zero;
    const int64_t F = (int64_t)t->N * t->N;
    int *index = arena_alloc(b->scratch, (size_t)t->N * sizeof *index);
    for (int i = 0; i < t->N; i++) index[i] = i;
    for (int64_t k = 0; k < t->T; k++) {
        const Stamp time = {.known = t->time != NULL, .zoned = true, .seconds = t->time ? t->time[k] : 0};
        float *x;
        if (t->node) {
            TRY(table_nodes(index, b, t));
            const unsigned char *named = named_nodes(b, b->n_nodes);
            Matrix *m = new_matrix(b, b->n_nodes, time);
            m->named = named;
            x = m->x;
        } else {
            TRY(builder_dense(&x, b, t->N, time));
        }
        for (int64_t f = 0; f < F; f++)
            x[(int64_t)index[f / t->N] * b->n_nodes + index[f % t->N]] = t->x[k * F + f] * (float)b->scale;
    }
    return OK;
}

// ---- the table -----------------------------------------------------------------------------------------------------

// Numbers by value, before names; names by their bytes.
static int compare_names(const void *p, const void *q)
{
    const char *a = *(const char *const *)p, *b = *(const char *const *)q;
    int64_t x, y;
    const bool a_number = slice_integer(&x, slice_of(a), INT64_MAX / 16);
    const bool b_number = slice_integer(&y, slice_of(b), INT64_MAX / 16);
    if (a_number && b_number && x != y) return x < y ? -1 : 1;
    if (a_number != b_number) return a_number ? -1 : 1;
    return strcmp(a, b);
}

// Names in their final order, and place[i], the one of the node that came i-th.
static const char *const *order_nodes(TableBuilder *b, int *place)
{
    const size_t N = (size_t)b->n_nodes;
    const char **name = arena_alloc(b->result, N * sizeof *name);
    memcpy(name, b->name, N * sizeof *name);
    if (!b->keep_order) qsort(name, N, sizeof *name, compare_names);
    for (size_t i = 0; i < N; i++) place[*find_bucket(b, slice_of(name[i])) - 1] = (int)i;
    return name;
}

static int compare_times(const void *p, const void *q)
{
    const Matrix *a = p, *b = q;
    if (a->time.seconds != b->time.seconds) return a->time.seconds < b->time.seconds ? -1 : 1;
    return a->order < b->order ? -1 : a->order > b->order;
}

// Writes a matrix in the final order of the nodes; true when some node is unknown to its file.
static bool lay_out(float *out, const Matrix *m, const int *place, int N, bool lists)
{
    const float unknown = lists || !m->N ? NAN : 0;
    bool partial = m->N && m->N < N && lists;
    for (int64_t f = 0; f < (int64_t)N * N; f++) out[f] = unknown;
    for (int i = 0; i < m->N; i++)
        for (int j = 0; j < m->N; j++) {
            const bool known = !m->named || (m->named[i] && m->named[j]);
            if (known) out[(int64_t)place[i] * N + place[j]] = m->x[(int64_t)i * m->N + j];
            partial |= !known;
        }
    return partial;
}

// Gives the memory of a matrix back, together with those that lie directly before it: most are smaller than a page.
static void matrix_unused(Slice *done, const Matrix *m)
{
    enum { PADDING = 64, PIECE = 1 << 16 };                // of the arena; what is given back at a time
    const char *x = (const char *)m->x, *end = x + (size_t)m->N * (size_t)m->N * sizeof *m->x;
    if (!done->s || x < done->s + done->n || x >= done->s + done->n + PADDING) *done = (Slice){x, 0};
    done->n = (size_t)(end - done->s);
    if (done->n < PIECE) return;
    memory_unused((void *)done->s, done->n);
    *done = (Slice){end, 0};
}

// The first node that a file does not list, for the note.
static const char *unlisted(const TableBuilder *b, const Matrix *m)
{
    for (int i = 0; m->named && i < m->N; i++)
        if (!m->named[i]) return b->name[i];
    return m->N < b->n_nodes ? b->name[m->N] : "";
}

static Status check_matrices(const TableBuilder *b)
{
    if (!b->n) return ERROR("%s: want traffic matrices, got none", b->first_path ? b->first_path : "no file");
    if (b->n_nodes < 2)
        return ERROR("%s: want at least 2 nodes, got %d", b->first_path, b->n_nodes);
    for (int64_t k = 1; k < b->n; k++) {
        if (b->matrix[k].time.known == b->matrix[0].time.known) continue;
        const bool first = b->matrix[0].time.known;
        return ERROR("%s: want a time in the file or its name, as in %s, got none", b->matrix[first ? k : 0].path,
                     b->matrix[first ? 0 : k].path);
    }
    return OK;
}

static bool same_values(const float *a, const float *b, int64_t n)
{
    for (int64_t i = 0; i < n; i++)
        if (!(a[i] == b[i]) && !(isnan(a[i]) && isnan(b[i]))) return false;
    return true;
}

// Lays out all matrices; of those of one time, which must be equal, the first.
static Status lay_out_all(TrafficTable *t, TableBuilder *b, const int *place)
{
    const int64_t F = (int64_t)t->N * t->N;
    const Matrix *kept = NULL;
    int64_t repeated = 0;
    Slice done = {NULL, 0};
    for (int64_t k = 0; k < b->n; k++) {
        const Matrix *m = &b->matrix[k];
        float *x = t->x + t->T * F;
        if (lay_out(x, m, place, t->N, b->first.lists_nodes) && !b->n_partial++) {
            b->first_partial = m->path;
            builder_note(b, "%s does not list the node %s, which other files list: missing there", m->path,
                         unlisted(b, m));
        }
        matrix_unused(&done, m);
        if (kept && m->time.known && m->time.seconds == kept->time.seconds) {
            if (!same_values(x, x - F, F))
                return ERROR("%s: want one matrix for %s, got other values in %s", m->path,
                             time_text(m->time.seconds).s, kept->path);
            if (!repeated++) builder_note(b, "%s repeats the matrix of %s in %s: left out", m->path,
                                          time_text(m->time.seconds).s, kept->path);
            continue;
        }
        if (t->time) t->time[t->T] = m->time.seconds;
        kept = m;
        t->T++;
    }
    if (repeated > 1) builder_note(b, "%lld matrices repeat others of the same times: left out", (long long)repeated);
    if (b->n_partial > 1) builder_note(b, "%lld matrices are of files that do not list every node: missing there",
                                       (long long)b->n_partial);
    return OK;
}

// Format, unit and times are in the table; who reports on it names them.
static void note_all(TableBuilder *b, const TrafficTable *t, const char *tz)
{
    bool plain = false;
    for (int64_t k = 0; k < b->n; k++) plain |= b->matrix[k].time.known && !b->matrix[k].time.zoned;
    builder_note(b, "%lld file%s, %lld matri%s", (long long)b->n_files, b->n_files == 1 ? "" : "s", (long long)t->T,
                 t->T == 1 ? "x" : "ces");
    if (!t->time && b->n_files > 1)
        builder_note(b, "no times: in the order of the files, first %s, last %s", b->matrix[0].path,
                     b->matrix[b->n - 1].path);
    if (plain && !tz) builder_note(b, "times without a zone are taken as UTC (--tz)");
    if (t->absent_is_zero) builder_note(b, "pairs that a file does not list are 0");
    if (b->n_empty)
        builder_note(b, "%lld file%s no demand at all, first %s: a missing matrix", (long long)b->n_empty,
                     b->n_empty == 1 ? " lists" : "s list", b->first_empty);
}

// Brings the matrices into the order of time.
static Status sort_times(TableBuilder *b, const char *tz)
{
    TimeZone zone;
    TRY(time_zone_open(&zone, tz));
    qsort(b->matrix, (size_t)b->n, sizeof *b->matrix, compare_times);
    for (int64_t k = 0; k < b->n; k++) {                  // in order, as the hour that comes twice wants it
        Matrix *m = &b->matrix[k];
        const Status s = m->time.zoned ? OK : time_zone_utc(&zone, m->time.seconds, &m->time.seconds);
        if (s.code) return ERROR("%s: %.300s", m->path, s.msg);
    }
    qsort(b->matrix, (size_t)b->n, sizeof *b->matrix, compare_times);
    return OK;
}

Status builder_finish(TrafficTable *out, TableBuilder *b, const char *tz)
{
    TRY(check_matrices(b));
    const size_t N = (size_t)b->n_nodes;
    *out = (TrafficTable){.format = b->other ? b->other : traffic_format_name(b->first.format), .N = b->n_nodes,
                          .slot_seconds = b->first.slot_seconds, .kbps = b->first.kbps, .unit = b->first.unit,
                          .absent_is_zero = b->other ? b->other_absent : !b->nameless};
    int *place = arena_alloc(b->store, N * sizeof *place);
    for (size_t i = 0; i < N; i++) place[i] = (int)i;
    if (!b->nameless) out->node = order_nodes(b, place);
    if (b->matrix[0].time.known) {
        out->time = arena_alloc(b->result, (size_t)b->n * sizeof *out->time);
        TRY(sort_times(b, tz));
    }
    out->x = arena_alloc(b->result, (size_t)b->n * N * N * sizeof *out->x);
    TRY(lay_out_all(out, b, place));
    note_all(b, out, tz);
    return OK;
}
