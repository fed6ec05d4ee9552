// lead gpt2 verify, lead gpt2 convert
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/gpt2.h"
#include "cli/verbs.h"
#include "io/file.h"
#include "llm/gpt2_directory.h"
#include "llm/gpt2_llmc.h"
#include "llm/gpt2_published.h"
#include "tensor/utf8.h"

// ---- verify

// Tensors of the published list that the file lacks are printed; their number.
static int print_missing(const SafeFile *f)
{
    int missing = 0;
    const char *name;
    char full[256];
    for (int i = 0; (name = gpt2_published_name(i)); i++) {
        snprintf(full, sizeof full, "transformer.%s", name);
        if (!strcmp(name, "lm_head.weight")) continue;      // the same values as wte.weight; files need not carry it
        if (safetensors_find(f, name) || safetensors_find(f, full)) continue;
        printf("%s\t-\t-\t-\tmissing\n", name);
        missing++;
    }
    return missing;
}

static Status verify_file(const SafeFile *f)
{
    static const char *const words[] = {"OpenAI's", "OpenAI's, transposed", "other values", "no tensor of 124M"};
    int count[4] = {0};
    printf("tensor\ttype\tvalues\tsha256\tis\n");
    for (int64_t i = 0; i < f->n_tensor; i++) {
        const SafeTensor *t = &f->tensor[i];
        Sha256Hex hash;
        char safe[512];
        text_clean(safe, sizeof safe, t->name, strlen(t->name));
        bool again = true;
        const Published p = gpt2_published(t, &hash, &again);
        printf("%s\t%s\t%lld\t%s\t%s%s\n", safe, safetensors_type_name(t->type), (long long)t->count, hash.s,
               words[p], p == PUBLISHED_SAME && !again ? " (by one source)" : "");
        count[p]++;
    }
    const int missing = print_missing(f);
    fprintf(stderr,
            "%d tensors are OpenAI's of GPT-2 124M, %d have other values, %d have no published hash, %d are missing\n",
            count[PUBLISHED_SAME] + count[PUBLISHED_TRANSPOSED], count[PUBLISHED_OTHER], count[PUBLISHED_UNKNOWN],
            missing);
    return count[PUBLISHED_OTHER] + count[PUBLISHED_UNKNOWN] + missing + count[PUBLISHED_TRANSPOSED] == 0
               ? OK
               : ERROR("%s: want all tensors of GPT-2 124M with OpenAI's values, got others", f->path);
}

static Status verify_run(Cli *cli, void *values)
{
    (void)values;
    const char *path = cli->positional;
    if (!path) return USAGE_ERROR("gpt2 verify: wants a directory, or a file of safetensors");
    struct stat st;
    if (!stat(path, &st) && S_ISDIR(st.st_mode)) path = arena_printf(cli->perm, "%s/model.safetensors", path);
    SafeFile f;
    TRY(safetensors_open(&f, cli->perm, path));
    const Status s = verify_file(&f);
    safetensors_close(&f);
    return s;
}

const Verb verb_gpt2_verify = {
    .name = "gpt2 verify", .summary = "Says which tensors are those of OpenAI's GPT-2 124M.", .positional = "DIR",
    .text = "stdout: TSV, one line per tensor with the SHA-256 of its values.  \"by one source\": no second copy has\n"
            "confirmed the published hash.  Exit 0 when every tensor of 124M is there and OpenAI's, else 1.",
    .size = 0, .run = verify_run,
};

// ---- convert

static Status refuse_same(const char *from, const char *to)
{
    struct stat a, b;
    bool there[2];
    TRY(file_exists(from, &there[0]));
    TRY(file_exists(to, &there[1]));
    if (!there[0] || !there[1]) return OK;
    if (stat(from, &a) || stat(to, &b)) return ERROR("%s, %s: cannot look: %s", from, to, strerror(errno));
    if (a.st_dev != b.st_dev || a.st_ino != b.st_ino) return OK;
    return ERROR("%s: want another place than the model's own, which would be overwritten", to);
}

Status gpt2_save_beside(Cli *cli, const Gpt2 *m, const char *from, const char *to, SafeType type)
{
    from = gpt2_directory(from, cli->perm);
    struct stat st;
    TRY(refuse_same(from, to));
    if (stat(from, &st) || !S_ISDIR(st.st_mode)) return gpt2_save_as(m, to, type, cli->scratch);
    TRY(directory_make(to));
    TRY(gpt2_side_files_copy(from, to, true, cli->scratch));
    return gpt2_save_weights(m, to, type, cli->scratch);
}

typedef struct ConvertValues { const char *type; } ConvertValues;

static const Option convert_table[] = {
    {"dtype", OPT_TEXT, offsetof(ConvertValues, type), "TYPE",
     "type of the values to write: f32, or bf16 (rounded to nearest even) [f32]", 0, 0},
};

static void convert_defaults(void *values) { *(ConvertValues *)values = (ConvertValues){.type = "f32"}; }

static Status convert_run(Cli *cli, void *values)
{
    const ConvertValues *v = values;
    const char *from = cli->positional, *to = cli->positional2;
    if (!from || !to) return USAGE_ERROR("gpt2 convert: wants FROM and TO");
    const bool bf16 = !strcmp(v->type, "bf16");
    if (!bf16 && strcmp(v->type, "f32")) return USAGE_ERROR("--dtype: want f32 or bf16, got '%s'", v->type);
    ParamSet ps;
    Gpt2 *m;
    paramset_init(&ps, cli->perm, &cli->device, 0, true);
    TRY(gpt2_load(&m, &ps, "", from, GPT2_FROZEN | GPT2_BLANK, cli->scratch));
    if (m->note) cli_say("note: %s", m->note);
    const size_t n = strlen(to);
    if (n <= 4 || strcmp(to + n - 4, ".bin"))
        return gpt2_save_beside(cli, m, from, to, bf16 ? SAFE_BF16 : SAFE_F32);
    TRY(refuse_same(from, to));
    TRY(gpt2_save_llmc(m, to, bf16, cli->scratch));
    if (gpt2_has_tokenizer(from, cli->scratch))
        cli_say("note: %s holds weights only: the tokeniser stays in %s", to, from);
    return OK;
}

const Verb verb_gpt2_convert = {
    .name = "gpt2 convert",
    .summary = "Converts GPT-2 between a directory (config.json, model.safetensors) and llm.c's FILE.bin.",
    .positional = "FROM", .positional2 = "TO",
    .text = "A name that ends in .bin is a checkpoint of llm.c, version 3 (f32) or 5 (bf16); any other name is a\n"
            "directory.  From one directory to another, config.json, the tokeniser and the card go along.\n"
            "Example: lead gpt2 convert gpt2_124M.bin gpt2",
    OPTIONS(convert_table), .size = sizeof(ConvertValues), .defaults = convert_defaults, .run = convert_run,
};
