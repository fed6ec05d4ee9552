// The checks of one or more ops, as a program:
//   build/tests/checker [--isa scalar|avx2|avx512] [--quick] op...
//   build/tests/checker --cuda [--math tf32|bf16] [--quick] op...   the CUDA kernels (emulated) against f64 and plain C
//   build/tests/checker --kernels FILE.so op     `make mutants`: the op's f64 kernels come from FILE.so (a mutated
//                                                source compiled alone); f64 checks only, and out at the first failure
//   build/tests/checker --isa avx2|avx512 --simd --kernels FILE.so op   the same for its kernels of that
//                                                instruction set
//   build/tests/checker --cuda --kernels FILE.so op   the same for its CUDA kernels; --math tf32|bf16: for those of the
//                                                tensor cores
// Exit 0: every check passed; 1: one failed; 2: usage.
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "check/check.h"
#include "tests/emulate/emulated.h"

static void say(void *ctx, const char *message)
{
    (void)ctx;
    printf("%s\n", message);
}

static void say_and_exit(void *ctx, const char *message)
{
    say(ctx, message);
    exit(1);
}

static Kernel *kernel_of(void *library, const char *op, const char *direction, const char *kind)
{
    char name[64];
    Kernel *k = NULL;
    snprintf(name, sizeof name, "%s_%s_%s", op, direction, kind);
    void *symbol = dlsym(library, name);
    memcpy(&k, &symbol, sizeof k);   // ISO C has no cast from void * to a function
    return k;
}

// Puts the kernels of file, of kind f64, cuda, avx2 or avx512, into the device; a direction that it lacks stays.
static bool plant(Device *dev, const char *kind, const char *file, const char *op)
{
    void *library = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        fprintf(stderr, "%s\n", dlerror());
        return false;
    }
    for (int i = 0; i < OP_COUNT; i++) {
        if (strcmp(op_info((OpId)i)->name, op) != 0) continue;
        Kernel *fwd = kernel_of(library, op, "fwd", kind), *bwd = kernel_of(library, op, "bwd", kind);
        if (fwd) dev->fwd[i] = fwd;
        if (bwd) dev->bwd[i] = bwd;
        return fwd || bwd;
    }
    return false;
}

int main(int argc, char **argv)
{
    Isa cap = ISA_AVX512;
    Devices devices;
    CheckOptions o;
    CheckReport report;
    int first = 1, failures = 0;
    bool quick = false, cuda = false, simd = false;
    Math math = MATH_FP32;
    const char *kernels = NULL;
    for (; first < argc && argv[first][0] == '-'; first++) {
        if (strcmp(argv[first], "--quick") == 0) quick = true;
        else if (strcmp(argv[first], "--cuda") == 0) cuda = true;
        else if (strcmp(argv[first], "--simd") == 0) simd = true;
        else if (strcmp(argv[first], "--kernels") == 0 && first + 1 < argc) kernels = argv[++first];
        else if (strcmp(argv[first], "--math") == 0 && first + 1 < argc && !math_parse(argv[first + 1], &math).code)
            first++;
        else if (strcmp(argv[first], "--isa") != 0 || ++first == argc || isa_parse(argv[first], &cap).code)
            first = argc;
    }
    if (first >= argc) {
        fprintf(stderr,
                "want [--isa scalar|avx2|avx512] [--cuda|--simd] [--math fp32|tf32|bf16] [--quick] [--kernels FILE.so] "
                "op...\n");
        return 2;
    }
    check_devices(&devices, &o, cuda ? ISA_SCALAR : cap);
    Device emulated = device_emulated();
    emulated.math = math;
    if (cuda) {
        o.f32[o.n_f32++] = &emulated;
        o.variants_only = true;
    }
    o.quick = quick;
    o.say = kernels ? say_and_exit : say;
    if (simd) {
        o.f32[1] = &devices.f32[cap];
        o.n_f32 = 2;
        o.variants_only = true;
    }
    if (kernels && !cuda && !simd) o.n_f32 = 0;
    Device *planted = cuda ? &emulated : simd ? &devices.f32[cap] : &devices.f64;
    if (kernels && !plant(planted, cuda ? "cuda" : simd ? isa_name(cap) : "f64", kernels, argv[first])) return 2;
    for (int i = first; i < argc; i++) {
        check_run(&report, &o, argv[i]);
        check_print(stdout, &report);
        failures += report.failures;
    }
    return failures != 0;
}
