// A tokeniser in files: vocab.json and merges.txt, or tokenizer.json, and the files that list added tokens.
// Contract: bpe.h.
#include "llm/bpe_parts.h"

#include <string.h>
#include <sys/stat.h>

#include "io/file.h"

enum { MAX_FILE = 1 << 30, MAX_ADDED = 1 << 15 };    // bytes of a file; tokens

// ---- added tokens ---------------------------------------------------------------------------------------------------

typedef struct AddedList {
    Arena *a;
    BpeAdded *x;
    int64_t n, cap;
    const char *unplaced;        // special tokens without an id, for a note; NULL = none
} AddedList;

static const BpeAdded *find_added(const AddedList *l, const char *text, size_t len)
{
    for (int64_t i = 0; i < l->n; i++)
        if (l->x[i].len == len && !memcmp(l->x[i].text, text, len)) return &l->x[i];
    return NULL;
}

static void append(AddedList *l, BpeAdded t)
{
    if (l->n == l->cap) {
        BpeAdded *more = arena_alloc(l->a, (size_t)(2 * l->cap + 16) * sizeof *more);
        if (l->n) memcpy(more, l->x, (size_t)l->n * sizeof *more);
        l->x = more;
        l->cap = 2 * l->cap + 16;
    }
    l->x[l->n++] = t;
}

// One token with its id; where several files list it, they must agree.
static Status add(AddedList *l, const char *text, int64_t len, int64_t id, const Json *flags, const char *path)
{
    if (len < 1) return ERROR("%s: added token %lld: want a text, got none", path, (long long)id);
    if (id < 0 || id >= INT32_MAX)
        return ERROR("%s: added token \"%.100s\": want an id in 0..%d, got %lld", path, text, INT32_MAX - 1,
                     (long long)id);
    const BpeAdded *old = find_added(l, text, (size_t)len);
    if (old && old->id != id)
        return ERROR("%s: added token \"%.100s\": want the id %d that another place gives it, got %lld", path, text,
                     old->id, (long long)id);
    BpeAdded t = {.text = text, .len = (uint32_t)len, .id = (int32_t)id};
    bool alone = false;
    if (json_find(flags, "single_word")) TRY(json_get_bool(&alone, flags, "single_word", path));
    if (json_find(flags, "lstrip")) TRY(json_get_bool(&t.left, flags, "lstrip", path));
    if (json_find(flags, "rstrip")) TRY(json_get_bool(&t.right, flags, "rstrip", path));
    if (l->n == MAX_ADDED) return ERROR("%s: want at most %d added tokens, got more", path, MAX_ADDED);
    if (alone) return ERROR("%s: added token \"%.100s\": single_word: want false, got true", path, text);
    if (!old) append(l, t);
    return OK;
}

// {"id": 7, "content": "<x>", ..}; id: NULL to take the member
static Status add_object(AddedList *l, const Json *v, const Json *id, const char *path)
{
    const Json *text = json_find(v, "content");
    if (!id) id = json_find(v, "id");
    if (!text || text->type != JSON_STRING || !id || id->type != JSON_NUMBER || !id->is_int)
        return ERROR("%s: added token: want {\"id\": number, \"content\": text, ..}, got %s", path,
                     json_describe(v).s);
    return add(l, text->string, text->n, id->n, v, path);
}

static Status add_array(AddedList *l, const Json *list, const char *path)
{
    if (!list || list->type == JSON_NULL) return OK;
    if (list->type != JSON_ARRAY)
        return ERROR("%s: added_tokens: want a list, got %s", path, json_describe(list).s);
    for (const Json *v = list->child; v; v = v->next) TRY(add_object(l, v, NULL, path));
    return OK;
}

// added_tokens.json: {"<x>": 7, ..}
static Status add_map(AddedList *l, const Json *map, const char *path)
{
    if (map->type != JSON_OBJECT) return ERROR("%s: want {\"token\": id, ..}, got %s", path, json_describe(map).s);
    for (const Json *v = map->child; v; v = v->next) {
        if (v->type != JSON_NUMBER || !v->is_int)
            return ERROR("%s: \"%.100s\": want an id, got %s", path, v->key, json_describe(v).s);
        TRY(add(l, v->key, (int64_t)v->key_len, v->n, NULL, path));
    }
    return OK;
}

// tokenizer_config.json: added_tokens_decoder {"7": {"content": "<x>", ..}, ..}
static Status add_decoder(AddedList *l, const Json *map, Arena *a, const char *path)
{
    if (!map || map->type == JSON_NULL) return OK;
    for (const Json *v = map->child; v && map->type == JSON_OBJECT; v = v->next) {
        const Json *id;
        TRY(json_parse(&id, a, v->key, v->key_len, path));
        TRY(add_object(l, v, id, path));
    }
    return map->type == JSON_OBJECT ? OK : ERROR("%s: added_tokens_decoder: want an object, got %s", path,
                                                 json_describe(map).s);
}

// A special token by its text alone: the vocabulary or another file must know its id.
static Status add_special(AddedList *l, const Json *v, const Json *vocab, const char *path)
{
    const Json *text = v->type == JSON_OBJECT ? json_find(v, "content") : v;
    if (v->type == JSON_NULL || (text && text->type == JSON_STRING && text->n == 0)) return OK;
    if (!text || text->type != JSON_STRING)
        return ERROR("%s: special token: want its text, got %s", path, json_describe(v).s);
    const Json *id = json_find(vocab, text->string);
    if (find_added(l, text->string, (size_t)text->n)) return OK;
    if (id && id->type == JSON_NUMBER && id->is_int)
        return add(l, text->string, text->n, id->n, v->type == JSON_OBJECT ? v : NULL, path);
    l->unplaced = l->unplaced ? arena_printf(l->a, "%.200s, %.40s", l->unplaced, text->string)
                              : arena_printf(l->a, "%.40s", text->string);
    return OK;
}

// special_tokens_map.json, and the same members of tokenizer_config.json
static Status add_specials(AddedList *l, const Json *map, const Json *vocab, const char *path)
{
    static const char *const single[] = {"bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token",
                                         "mask_token"},
                      *const several[] = {"additional_special_tokens", "extra_special_tokens"};
    if (map->type != JSON_OBJECT) return ERROR("%s: want an object, got %s", path, json_describe(map).s);
    for (size_t i = 0; i < sizeof single / sizeof *single; i++) {
        const Json *v = json_find(map, single[i]);
        if (v) TRY(add_special(l, v, vocab, path));
    }
    for (size_t i = 0; i < sizeof several / sizeof *several; i++) {
        const Json *list = json_find(map, several[i]);
        if (!list || (list->type != JSON_ARRAY && list->type != JSON_OBJECT)) continue;
        for (const Json *v = list->child; v; v = v->next) TRY(add_special(l, v, vocab, path));
    }
    return OK;
}

// ---- files beside the vocabulary ------------------------------------------------------------------------------------

// *root = NULL: no such file.
static Status read_beside(const Json **root, Arena *scratch, const char *dir, const char *name, const char **path)
{
    *root = NULL;
    *path = arena_printf(scratch, "%s/%s", dir, name);
    return file_absent(*path) ? OK : json_read(root, scratch, *path, MAX_FILE);
}

static Status add_from_directory(Bpe *b, AddedList *l, const Json *vocab, const char *dir, Arena *scratch)
{
    const Json *root;
    const char *path;
    TRY(read_beside(&root, scratch, dir, "added_tokens.json", &path));
    if (root) TRY(add_map(l, root, path));
    TRY(read_beside(&root, scratch, dir, "tokenizer_config.json", &path));
    if (root && root->type != JSON_OBJECT) return ERROR("%s: want an object, got %s", path, json_describe(root).s);
    if (root) {
        TRY(add_decoder(l, json_find(root, "added_tokens_decoder"), scratch, path));
        TRY(add_specials(l, root, vocab, path));
        const Json *space = json_find(root, "add_prefix_space");
        if (space && space->type == JSON_BOOL) b->prefix_space = space->boolean;
    }
    TRY(read_beside(&root, scratch, dir, "special_tokens_map.json", &path));
    return root ? add_specials(l, root, vocab, path) : OK;
}

// ---- tokenizer.json -------------------------------------------------------------------------------------------------

static const char gpt2_pattern[] =
    "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

static bool is_text(const Json *v, const char *text) { return v && v->type == JSON_STRING && !strcmp(v->string, text); }
static bool is_null(const Json *v) { return !v || v->type == JSON_NULL; }
static const Json *type_of(const Json *v) { return json_find(v, "type"); }

// Split by GPT-2's own expression, as some converters write it.
static bool is_gpt2_split(const Json *v)
{
    const Json *pattern = json_find(v, "pattern"), *invert = json_find(v, "invert");
    return is_text(type_of(v), "Split") && is_text(json_find(pattern, "Regex"), gpt2_pattern) &&
           (is_text(json_find(v, "behavior"), "Isolated") ||
            (is_text(json_find(v, "behavior"), "Removed") && invert && invert->type == JSON_BOOL && invert->boolean));
}

static bool read_flag(const Json *v, const char *key, bool absent)
{
    const Json *f = json_find(v, key);
    return f && f->type == JSON_BOOL ? f->boolean : absent;
}

// ByteLevel with its expression; or GPT-2's Split and then ByteLevel without.
static Status check_pre_tokenizer(Bpe *b, const Json *v, const char *path)
{
    const Json *list = json_find(v, "pretokenizers");
    if (is_text(type_of(v), "Sequence") && list && list->type == JSON_ARRAY) v = list->child;
    else list = NULL;
    const bool split = list && v && is_gpt2_split(v);
    if (split) v = v->next;
    const Json *extra = v && is_text(type_of(v), "ByteLevel") ? v->next : v;
    if (!v || (extra && list) || (!list && extra == v))
        return ERROR("%s: pre_tokenizer: want ByteLevel alone, GPT-2's, got %s", path,
                     json_describe(extra && type_of(extra) ? type_of(extra) : extra).s);
    if (read_flag(v, "use_regex", true) == split)
        return ERROR("%s: pre_tokenizer: want GPT-2's expression once, got ByteLevel with use_regex %s", path,
                     split ? "true behind it" : "false");
    b->prefix_space = read_flag(v, "add_prefix_space", true);
    return OK;
}

static Status check_model(const Json *model, const char *path)
{
    static const char *const empty[] = {"continuing_subword_prefix", "end_of_word_suffix"};
    if (!model || model->type != JSON_OBJECT) return ERROR("%s: model: want an object, got %s", path,
                                                           json_describe(model).s);
    if (type_of(model) && !is_text(type_of(model), "BPE"))
        return ERROR("%s: model: want \"BPE\", got %s", path, json_describe(type_of(model)).s);
    for (int i = 0; i < 2; i++) {
        const Json *v = json_find(model, empty[i]);
        if (!is_null(v) && !is_text(v, ""))
            return ERROR("%s: model.%s: want none, got %s", path, empty[i], json_describe(v).s);
    }
    const Json *drop = json_find(model, "dropout");
    if (!is_null(drop) && !(drop->type == JSON_NUMBER && drop->number == 0))
        return ERROR("%s: model.dropout: want none, got %s", path, json_describe(drop).s);
    if (read_flag(model, "ignore_merges", false)) return ERROR("%s: model.ignore_merges: want false, got true", path);
    return OK;
}

static Status check_parts(Bpe *b, const Json *root, Arena *a, const char *path)
{
    const Json *normalizer = json_find(root, "normalizer"), *decoder = json_find(root, "decoder"),
               *post = json_find(root, "post_processor");
    if (!is_null(normalizer))
        return ERROR("%s: normalizer: want none, got %s", path, json_describe(type_of(normalizer)).s);
    if (!is_null(decoder) && !is_text(type_of(decoder), "ByteLevel"))
        return ERROR("%s: decoder: want ByteLevel, got %s", path, json_describe(type_of(decoder)).s);
    if (!is_null(post) && !is_text(type_of(post), "ByteLevel"))
        b->note = arena_printf(a, "%s: post_processor %s: tokens that it puts around a text are left out", path,
                               json_describe(type_of(post)).s);
    return check_pre_tokenizer(b, json_find(root, "pre_tokenizer"), path);
}

// Both forms, "a b" and ["a", "b"], as the text of a merges.txt: line i + 1 is number i of the list.
static Status merges_text(BpeText *out, const Json *list, Arena *scratch, const char *path)
{
    if (!list || list->type != JSON_ARRAY)
        return ERROR("%s: model.merges: want a list, got %s", path, json_describe(list).s);
    size_t size = 0;
    for (const Json *v = list->child; v; v = v->next) {
        const Json *l = v->type == JSON_ARRAY && v->n == 2 ? v->child : NULL, *r = l ? l->next : NULL;
        const bool pair = l && l->type == JSON_STRING && r->type == JSON_STRING;
        if (!pair && v->type != JSON_STRING)
            return ERROR("%s: model.merges: want \"left right\" or [\"left\", \"right\"], got %s", path,
                         json_describe(v).s);
        if ((pair ? memchr(l->string, '\n', (size_t)l->n) || memchr(r->string, '\n', (size_t)r->n)
                  : memchr(v->string, '\n', (size_t)v->n) != NULL))
            return ERROR("%s: model.merges: want tokens of printable characters, got %s", path, json_describe(v).s);
        size += (size_t)(pair ? l->n + r->n + 2 : v->n + 1);
    }
    char *text = arena_alloc(scratch, size + 1), *at = text;
    for (const Json *v = list->child; v; v = v->next) {
        const Json *l = v->type == JSON_ARRAY ? v->child : v, *r = v->type == JSON_ARRAY ? l->next : NULL;
        memcpy(at, l->string, (size_t)l->n);
        at += l->n;
        if (r) {
            *at++ = ' ';
            memcpy(at, r->string, (size_t)r->n);
            at += r->n;
        }
        *at++ = '\n';
    }
    *out = (BpeText){text, size, arena_printf(scratch, "%s: model.merges", path)};
    return OK;
}

static Status from_tokenizer(Bpe *b, Arena *a, Arena *scratch, BpeText file, const char *dir)
{
    const Json *root;
    TRY(json_parse(&root, scratch, file.text, file.size, file.name));
    const Json *model = json_find(root, "model");
    TRY(check_model(model, file.name));
    TRY(check_parts(b, root, a, file.name));
    const Json *vocab = json_find(model, "vocab");
    if (!vocab || vocab->type != JSON_OBJECT)
        return ERROR("%s: model.vocab: want an object {\"token\": id, ..}, got %s", file.name, json_describe(vocab).s);
    AddedList l = {.a = scratch};
    TRY(add_array(&l, json_find(root, "added_tokens"), file.name));
    if (dir) TRY(add_from_directory(b, &l, vocab, dir, scratch));
    TRY(bpe_load_tokens(b, a, scratch, vocab, l.x, l.n, file.name));
    BpeText merges;
    TRY(merges_text(&merges, json_find(model, "merges"), scratch, file.name));
    if (l.unplaced) b->note = arena_printf(a, "special tokens without an id are read as text: %s", l.unplaced);
    return bpe_parse_merges(b, a, scratch, merges);
}

Status bpe_parse_tokenizer(Bpe *b, Arena *a, Arena *scratch, BpeText file)
{
    CHECK(a != scratch, "bpe_parse_tokenizer: want two arenas");
    const size_t mark = arena_mark(scratch);
    *b = (Bpe){0};
    const Status s = from_tokenizer(b, a, scratch, file, NULL);
    arena_rewind(scratch, mark);
    return s;
}

// ---- directories ----------------------------------------------------------------------------------------------------

static Status from_pair(Bpe *b, Arena *a, Arena *scratch, const char *dir, const char *vocab_path,
                        const char *merges_path)
{
    const Json *vocab;
    AddedList l = {.a = scratch};
    BpeText merges = {.name = merges_path};
    char *text;
    TRY(json_read(&vocab, scratch, vocab_path, MAX_FILE));
    TRY(file_read(&text, &merges.size, scratch, merges_path, MAX_FILE));
    merges.text = text;
    if (dir) TRY(add_from_directory(b, &l, vocab, dir, scratch));
    TRY(bpe_load_tokens(b, a, scratch, vocab, l.x, l.n, vocab_path));
    if (l.unplaced) b->note = arena_printf(a, "special tokens without an id are read as text: %s", l.unplaced);
    return bpe_parse_merges(b, a, scratch, merges);
}

Status bpe_load(Bpe *b, Arena *a, Arena *scratch, const char *vocab_path, const char *merges_path)
{
    CHECK(a != scratch, "bpe_load: want two arenas");
    const size_t mark = arena_mark(scratch);
    *b = (Bpe){0};
    const Status s = from_pair(b, a, scratch, NULL, vocab_path, merges_path);
    arena_rewind(scratch, mark);
    return s;
}

static Status from_tokenizer_file(Bpe *b, Arena *a, Arena *scratch, const char *path, const char *dir)
{
    BpeText file = {.name = path};
    char *text;
    TRY(file_read(&text, &file.size, scratch, path, MAX_FILE));
    file.text = text;
    return from_tokenizer(b, a, scratch, file, dir);
}

static Status load_directory(Bpe *b, Arena *a, Arena *scratch, const char *dir)
{
    struct stat st;
    if (!stat(dir, &st) && S_ISREG(st.st_mode)) return from_tokenizer_file(b, a, scratch, dir, NULL);
    const char *whole = arena_printf(scratch, "%s/tokenizer.json", dir);
    if (!file_absent(whole)) return from_tokenizer_file(b, a, scratch, whole, dir);
    const char *vocab = arena_printf(scratch, "%s/encoder.json", dir),
               *merges = arena_printf(scratch, "%s/vocab.bpe", dir);
    if (file_absent(vocab)) vocab = arena_printf(scratch, "%s/vocab.json", dir);
    if (file_absent(merges)) merges = arena_printf(scratch, "%s/merges.txt", dir);
    const bool first = !file_absent(vocab), second = !file_absent(merges);
    if (!first || !second)
        return ERROR("%s: want tokenizer.json, or encoder.json (or vocab.json) and vocab.bpe (or merges.txt) there, "
                     "found %s", dir, first ? "only the vocabulary" : second ? "only the merges" : "none of them");
    return from_pair(b, a, scratch, dir, vocab, merges);
}

Status bpe_load_dir(Bpe *b, Arena *a, Arena *scratch, const char *dir)
{
    CHECK(a != scratch, "bpe_load_dir: want two arenas");
    const size_t mark = arena_mark(scratch);
    *b = (Bpe){0};
    const Status s = load_directory(b, a, scratch, dir);
    arena_rewind(scratch, mark);
    return s;
}
