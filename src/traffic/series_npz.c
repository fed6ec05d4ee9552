// Series as .npz; the arrays are described in series_file.h.
#include <math.h>
#include <string.h>

#include "io/json.h"
#include "io/npz.h"
#include "traffic/series_file.h"

// ---- reading -------------------------------------------------------------------------------------------------------

// Element i of an array of text, as UTF-8.
static const char *text_at(Arena *a, const NpyView *v, int64_t i)
{
    const unsigned char *p = v->data + i * v->width;
    if (v->kind == 'S') return arena_printf(a, "%.*s", v->width, (const char *)p);
    unsigned char *text = arena_alloc(a, (size_t)v->width + 1);
    int n = 0;
    for (int k = 0; k < v->width; k += 4) {
        uint32_t cp = 0;
        for (int b = 0; b < 4; b++) cp |= (uint32_t)p[k + b] << 8 * (v->big_endian ? 3 - b : b);
        if (!cp) break;
        n += utf8_encode(text + n, cp < 0x110000 && (cp < 0xD800 || cp > 0xDFFF) ? cp : 0xFFFD);
    }
    text[n] = 0;
    return (char *)text;
}

static bool is_text(const NpyView *v) { return v->kind == 'U' || v->kind == 'S'; }

static Status read_names(TrafficTable *t, Arena *a, const NpzFile *f)
{
    NpyView v;
    const NpzMember *m = npz_find(f, "nodes");
    if (!m) return OK;
    TRY(npz_read(&v, a, f, m));
    if (!is_text(&v) || v.n_dims != 1 || v.count != t->N)
        return ERROR("%s: nodes: want %d names, got %lld of kind '%c'", f->path, t->N, (long long)v.count, v.kind);
    const char **node = arena_alloc(a, (size_t)t->N * sizeof *node);
    for (int i = 0; i < t->N; i++) {
        node[i] = text_at(a, &v, i);
        for (int j = 0; j < i; j++)
            if (!strcmp(node[i], node[j])) return ERROR("%s: nodes: '%.40s' comes twice", f->path, node[i]);
    }
    t->node = node;
    return OK;
}

// An array of one text, if there is one.
static Status read_word(const char **word, Arena *a, const NpzFile *f, const char *name, const char *such_as)
{
    NpyView v;
    const NpzMember *m = npz_find(f, name);
    if (!m) return OK;
    TRY(npz_read(&v, a, f, m));
    if (!is_text(&v) || v.count != 1) return ERROR("%s: %s: want a text such as %s", f->path, name, such_as);
    *word = text_at(a, &v, 0);
    return OK;
}

static Status read_slot_and_unit(TrafficTable *t, Arena *a, const NpzFile *f)
{
    NpyView v;
    int64_t slot = 0;
    const NpzMember *m = npz_find(f, "slot_seconds");
    if (m) {
        TRY(npz_read(&v, a, f, m));
        if (is_text(&v) || v.count != 1 || !npy_integer(&slot, &v, 0) || slot < 1 || slot > 86400)
            return ERROR("%s: slot_seconds: want a whole number of 1 .. 86400", f->path);
        t->slot_seconds = (int)slot;
    }
    TRY(read_word(&t->unit, a, f, "unit", "kbit/s"));
    return read_word(&t->zone, a, f, "zone", "Europe/Berlin");
}

static Status read_seen(TrafficTable *t, Arena *a, const NpzFile *f)
{
    NpyView v;
    const NpzMember *m = npz_find(f, "seen");
    if (!m) return OK;
    const size_t mark = arena_mark(a);
    TRY(npz_read(&v, a, f, m));
    const int64_t cells = t->T * t->N * t->N;
    if (v.width != 1 || is_text(&v) || v.fortran || v.count != cells)
        return ERROR("%s: seen: want a byte for each of %lld values, got %lld of %d bytes", f->path, (long long)cells,
                     (long long)v.count, v.width);
    for (int64_t k = 0; k < cells; k++)
        if (!v.data[k]) t->x[k] = NAN;
    arena_rewind(a, mark);
    return OK;
}

Status traffic_npz_read(TrafficTable *t, Arena *a, const void *bytes, size_t size, const char *path,
                        TrafficNotes *notes)
{
    NpzFile f;
    NpyView v;
    *t = (TrafficTable){.format = "NumPy archive"};
    TRY(npz_open(&f, a, bytes, size, path));
    const NpzMember *m = npz_find(&f, "values");
    if (!m && f.n == 1) {
        m = &f.member[0];
        traffic_note(notes, a, "the array '%s' is taken as the traffic", m->name);
    }
    if (!m) return ERROR("%s: want an array 'values', found '%.40s' and %d more", path, f.member[0].name, f.n - 1);
    TRY(npz_read(&v, a, &f, m));
    TRY(traffic_matrices_of(t, a, &v, m->deflated, path));
    m = npz_find(&f, "times");
    if (m) {
        TRY(npz_read(&v, a, &f, m));
        TRY(traffic_times_of(&t->time, a, &v, t->T, path));
    }
    TRY(read_names(t, a, &f));
    TRY(read_slot_and_unit(t, a, &f));
    if (npz_find(&f, "imputed")) traffic_note(notes, a, "values that lead impute filled count as measured");
    return read_seen(t, a, &f);
}

// ---- writing -------------------------------------------------------------------------------------------------------

// Texts as NumPy's UTF-32; *type is "<U12".
static uint32_t *wide_text(Arena *a, const char *const *text, int64_t n, char type[24], size_t *bytes)
{
    int64_t most = 1;
    for (int64_t i = 0; i < n; i++) most = (int64_t)strlen(text[i]) > most ? (int64_t)strlen(text[i]) : most;
    uint32_t *out = arena_zalloc(a, (size_t)(n * most) * sizeof *out);
    for (int64_t i = 0; i < n; i++) {
        const unsigned char *p = (const unsigned char *)text[i];
        for (int64_t k = 0, left = (int64_t)strlen(text[i]); left > 0; k++) {
            const int used = utf8_decode(p, (size_t)left, &out[i * most + k]);
            if (!used) out[i * most + k] = 0xFFFD;
            p += used ? used : 1;
            left -= used ? used : 1;
        }
    }
    snprintf(type, 24, "<U%lld", (long long)most);
    *bytes = (size_t)(n * most) * sizeof *out;
    return out;
}

void traffic_npz_put(NpzWriter *w, const TrafficSeries *s, Arena *a)
{
    const size_t cells = (size_t)s->T * (size_t)s->N * (size_t)s->N;
    const int64_t dims[3] = {s->T, s->N, s->N}, slot = s->slot_seconds;
    const char *const unit = "kbit/s";
    char type[24];
    size_t bytes;
    npz_put(w, "values", "<f4", dims, 3, s->x, cells * sizeof *s->x);
    if (s->time) npz_put(w, "times", "<i8", dims, 1, s->time, (size_t)s->T * sizeof *s->time);
    if (s->node) {
        const uint32_t *names = wide_text(a, s->node, s->N, type, &bytes);
        npz_put(w, "nodes", type, &dims[1], 1, names, bytes);
    }
    npz_put(w, "slot_seconds", "<i8", NULL, 0, &slot, sizeof slot);
    const uint32_t *unit_text = wide_text(a, &unit, 1, type, &bytes);
    npz_put(w, "unit", type, NULL, 0, unit_text, bytes);
    if (s->zone) {
        const uint32_t *zone = wide_text(a, &s->zone, 1, type, &bytes);
        npz_put(w, "zone", type, NULL, 0, zone, bytes);
    }
    if (s->seen) npz_put(w, "seen", "|u1", dims, 3, s->seen, cells);
}

Status traffic_npz_write(const TrafficSeries *s, Arena *a, const char *path)
{
    NpzWriter *w = arena_alloc(a, sizeof *w);
    TRY(npz_begin(w, a, path));
    traffic_npz_put(w, s, a);
    return npz_end(w);
}
