// tests/layers.sh itself can fail: an upward include, an unknown module, an empty tree and an op's
// file of another family are all noticed.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/test.h"

static int layers(TestLog *log, const char *root)
{
    char cmd[4096];
    snprintf(cmd, sizeof cmd, "sh tests/layers.sh '%s' > '%s/layers.out' 2>&1", root, log->tmp);
    return system(cmd);
}

// A tree of one file src/<module>/x.c that holds `line`.
static int layers_of(TestLog *log, int id, const char *module, const char *line)
{
    char root[2048], path[4096];
    snprintf(root, sizeof root, "%s/layers%d", log->tmp, id);
    mkdir(root, 0777);
    snprintf(path, sizeof path, "%s/src", root);
    mkdir(path, 0777);
    if (module) {
        snprintf(path, sizeof path, "%s/src/%s", root, module);
        mkdir(path, 0777);
        snprintf(path, sizeof path, "%s/src/%s/x.c", root, module);
        FILE *f = fopen(path, "w");
        if (!f) return -1;
        fprintf(f, "%s\n", line);
        fclose(f);
    }
    return layers(log, root);
}

// A tree of one op, sum of the family loss, whose call, oracle and kernels stand in these files; NULL: nowhere.
static int family_of(TestLog *log, int id, const char *call, const char *oracle, const char *simd, const char *cuda)
{
    const struct { const char *folder, *file, *text; } part[] = {
        {"src/tensor", "ops.def", "OP(sum,             loss,        Y, Y, N, Y, N, 1,  1.0 * in_numel(c))"},
        {"src/autograd", call, "Tensor *tape_sum(Tape *t, Tensor *x)\n{"},
        {"src/check/oracle", oracle,
         "#include \"check/oracle.h\"\nvoid sum_oracle(const OpCall *c, long double *const *out)"},
        {"cpu_simd", simd, "KERNEL(sum, fwd) {}"},
        {"cuda", cuda, "CUDA_KERNEL(sum, fwd)"},
    };
    char root[2048];
    snprintf(root, sizeof root, "%s/families%d", log->tmp, id);
    for (size_t i = 0; i < sizeof part / sizeof *part; i++) {
        char path[4096];
        if (!part[i].file) continue;
        snprintf(path, sizeof path, "mkdir -p '%s/%s'", root, part[i].folder);
        if (system(path) != 0) return -1;
        snprintf(path, sizeof path, "%s/%s/%s", root, part[i].folder, part[i].file);
        FILE *f = fopen(path, "w");
        if (!f) return -1;
        fprintf(f, "%s\n", part[i].text);
        fclose(f);
    }
    return layers(log, root);
}

static void test_families(TestLog *log)
{
    TEST(log, family_of(log, 1, "loss.c", "loss.c", "loss.inl", "loss.cu") == 0, "a family in every folder is refused");
    TEST(log, family_of(log, 2, "loss.c", "loss.c", "loss_sums.inl", "loss_mma.cu") == 0, "<family>_*.* is refused");
    TEST(log, family_of(log, 3, "sums.c", "loss.c", "loss.inl", "loss.cu") != 0, "a call of another family passed");
    TEST(log, family_of(log, 4, "loss.c", "sums.c", "loss.inl", "loss.cu") != 0, "an oracle of another family passed");
    TEST(log, family_of(log, 5, "loss.c", "loss.c", "losses.inl", "loss.cu") != 0, "a kernel of another family passed");
    TEST(log, family_of(log, 6, "loss.c", "loss.c", "loss.inl", "sum.cu") != 0, "a CUDA kernel of another one passed");
    TEST(log, family_of(log, 7, "loss.c", "loss.c", NULL, "loss.cu") != 0, "a kernel that no file defines passed");
}

void test_layers(TestLog *log)
{
    TEST(log, layers(log, ".") == 0, "the tree has an include that points upwards: make layers");
    TEST(log, layers_of(log, 1, "nn", "#include \"tensor/tensor.h\"") == 0, "nn may include tensor");
    TEST(log, layers_of(log, 2, "tensor", "#include \"autograd/tape.h\"") != 0, "tensor -> autograd passed");
    TEST(log, layers_of(log, 3, "llm", "#include \"diffusion/unet.h\"") != 0, "llm -> diffusion passed");
    TEST(log, layers_of(log, 4, "lead", "  #  include <tests/test.h>") != 0, "lead -> tests passed");
    TEST(log, layers_of(log, 5, "traffic", "#include \"nn/params.h\"") != 0, "traffic -> nn passed");
    TEST(log, layers_of(log, 6, "news", "#include <stdio.h>") != 0, "an unknown module passed");
    TEST(log, layers_of(log, 7, "tensor", "#include \"../nn/params.h\"") != 0, "a relative path upwards passed");
    TEST(log, layers_of(log, 8, "tensor", "int x;") != 0, "zero includes passed");
    char line[128] = "#include <stdio.h>";
    memset(line + strlen(line), ' ', 120 - strlen(line));
    TEST(log, layers_of(log, 10, "tensor", line) == 0, "120 columns are refused");
    line[120] = ' ';
    TEST(log, layers_of(log, 11, "tensor", line) != 0, "121 columns passed");
    TEST(log, layers_of(log, 9, NULL, NULL) != 0, "an empty tree passed");
    test_families(log);
}
