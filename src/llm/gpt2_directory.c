#include "llm/gpt2_directory.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "io/file.h"

const char *gpt2_directory(const char *dir, Arena *a)
{
    if (strcmp(dir, GPT2_BUNDLED)) return dir;
    const char *config = file_bundled(GPT2_BUNDLED "/config.json", a);
    return arena_printf(a, "%.*s", (int)(strrchr(config, '/') - config), config);
}

static const char *const tokenizer_files[] = {"tokenizer.json", "vocab.json", "encoder.json", "merges.txt",
                                              "vocab.bpe"};

bool gpt2_has_tokenizer(const char *dir, Arena *scratch)
{
    for (size_t i = 0; i < sizeof tokenizer_files / sizeof *tokenizer_files; i++)
        if (!file_absent(arena_printf(scratch, "%s/%s", dir, tokenizer_files[i]))) return true;
    return false;
}

static Status copy_file(const char *from, const char *to, Arena *scratch)
{
    enum { MAX_BYTES = 1 << 30 };
    const size_t mark = arena_mark(scratch);
    char *text;
    size_t n;
    TRY(file_read(&text, &n, scratch, from, MAX_BYTES));
    TRY(file_write(to, text, n));
    arena_rewind(scratch, mark);
    return OK;
}

static Status copy(const char *from, const char *to, const char *name, Arena *scratch)
{
    const char *path = arena_printf(scratch, "%s/%s", from, name);
    struct stat st;
    const char *target = arena_printf(scratch, "%s/%s", to, name);
    if (file_absent(path)) {
        if (!file_absent(target))
            return ERROR("%s: belongs to another model: %s has no such file; want an empty directory", target, from);
        return OK;
    }
    if (!stat(path, &st) && S_ISREG(st.st_mode) && st.st_size == 0) return OK;
    return copy_file(path, target, scratch);
}

Status gpt2_side_files_copy(const char *from, const char *to, bool all, Arena *scratch)
{
    static const char *const with_tokenizer[] = {"added_tokens.json", "special_tokens_map.json",
                                                 "tokenizer_config.json", "chat_template.jinja"},
                      *const of_model[] = {"config.json", "generation_config.json", "README.md", "LICENSE"};
    struct stat a, b;
    if (stat(from, &a)) return ERROR("%s: cannot stat: %s", from, strerror(errno));
    if (S_ISREG(a.st_mode)) return copy_file(from, arena_printf(scratch, "%s/tokenizer.json", to), scratch);
    if (!stat(to, &b) && a.st_dev == b.st_dev && a.st_ino == b.st_ino) return OK;
    for (size_t i = 0; i < sizeof tokenizer_files / sizeof *tokenizer_files; i++)
        TRY(copy(from, to, tokenizer_files[i], scratch));
    for (size_t i = 0; i < sizeof with_tokenizer / sizeof *with_tokenizer; i++)
        TRY(copy(from, to, with_tokenizer[i], scratch));
    for (size_t i = 0; all && i < sizeof of_model / sizeof *of_model; i++) TRY(copy(from, to, of_model[i], scratch));
    return OK;
}
