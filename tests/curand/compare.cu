// compare: src/tensor/philox.h, compiled as the kernels compile it, against cuRAND on the host (no GPU is needed).
// Prints a line for each comparison; exit 1 when one draw differs.
//   device API   curand_init(seed, subsequence, offset), then curand() and curand4(): our philox_u32(seed, subsequence,
//                offset), one 32-bit draw a step.  curand_kernel.h is compiled for the host.
//   host API     CURAND_RNG_PSEUDO_PHILOX4_32_10: draw i of the stream, counted from curandSetGeneratorOffset, is word
//                i % 4 of quad q = i / 4; quads are dealt to 65,536 subsequences in turn: subsequence q % 65536, its
//                  quad
//                q / 65536.  The orderings default, best and legacy give the same bits.
#include <cstdint>
#include <cstdio>
#include <vector>

#define QUALIFIERS static __host__ __device__ inline
#include <curand.h>
#include <curand_kernel.h>

#include "tensor/philox.h"

struct Count { unsigned long long equal, all; };

static const uint64_t seeds[] = {0, 1, 0x1234567890abcdefu, 0xFFFFFFFFu, 0x8000000000000000u, UINT64_MAX};

static int told(const char *what, Count n)
{
    printf("  cuRAND %s: %llu of %llu draws equal\n", what, n.equal, n.all);
    return n.all > 0 && n.equal == n.all;
}

static Count device_api()
{
    static const uint64_t subsequences[] = {0, 1, 65535, philox_subsequence(SITE_NOISE, 7),
                                            philox_subsequence(SITE_TOKEN, UINT32_MAX)};
    static const uint64_t offsets[] = {0, 1, 2, 3, 4, 1023, UINT64_C(0x3FFFFFFFE), UINT64_C(1) << 40};
    Count n = {0, 0};
    for (uint64_t seed : seeds)
        for (uint64_t sub : subsequences)
            for (uint64_t offset : offsets) {
                curandStatePhilox4_32_10_t one, four;
                curand_init(seed, sub, offset, &one);
                curand_init(seed, sub, offset, &four);
                for (uint64_t i = 0; i < 64; i++, n.all++) n.equal += curand(&one) == philox_u32(seed, sub, offset + i);
                for (uint64_t i = 0; i < 64; i += 4, n.all += 4) {
                    const uint4 d = curand4(&four);
                    const uint32_t got[4] = {d.x, d.y, d.z, d.w};
                    for (uint64_t j = 0; j < 4; j++) n.equal += got[j] == philox_u32(seed, sub, offset + i + j);
                }
            }
    return n;
}

// count draws of every seed and offset in one ordering; a refusal leaves n.all = 0.
static Count host_api(curandOrdering_t ordering, size_t count)
{
    static const uint64_t offsets[] = {0, 4, 65536 * 4 - 8, 65536 * 4 * 3, UINT64_C(1) << 33, 5};
    std::vector<unsigned> draw(count);
    Count n = {0, 0};
    for (uint64_t seed : seeds)
        for (uint64_t offset : offsets) {
            curandGenerator_t g;
            if (curandCreateGeneratorHost(&g, CURAND_RNG_PSEUDO_PHILOX4_32_10) != CURAND_STATUS_SUCCESS ||
                curandSetPseudoRandomGeneratorSeed(g, seed) != CURAND_STATUS_SUCCESS ||
                curandSetGeneratorOrdering(g, ordering) != CURAND_STATUS_SUCCESS ||
                curandSetGeneratorOffset(g, offset) != CURAND_STATUS_SUCCESS ||
                curandGenerate(g, draw.data(), count) != CURAND_STATUS_SUCCESS) {
                printf("  cuRAND refuses ordering %d, offset %llu\n", (int)ordering, (unsigned long long)offset);
                return Count{0, 0};
            }
            curandDestroyGenerator(g);
            for (size_t i = 0; i < count; i++, n.all++) {
                const uint64_t at = offset + i, quad = at / 4;
                n.equal += draw[i] == philox_u32(seed, quad % 65536, quad / 65536 * 4 + at % 4);
            }
        }
    return n;
}

int main()
{
    int good = told("curand_init, curand, curand4", device_api());
    good &= told("host generator, legacy order", host_api(CURAND_ORDERING_PSEUDO_LEGACY, 65536 * 4 * 4 + 40));
    good &= told("host generator, default order", host_api(CURAND_ORDERING_PSEUDO_DEFAULT, 65536 * 4 + 40));
    good &= told("host generator, best order", host_api(CURAND_ORDERING_PSEUDO_BEST, 65536 * 4 + 40));
    return !good;
}
