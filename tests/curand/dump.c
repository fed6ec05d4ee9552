// dump FILE: writes seed, count (uint64 each) and `count` raw 32-bit draws of cuRAND's host generator (no GPU is needed).
#include <curand.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

enum { COUNT = 1 << 22 };

int main(int argc, char **argv)
{
    const uint64_t header[2] = {0x1234567890abcdefu, COUNT};
    curandGenerator_t g;
    unsigned int *draw = malloc(sizeof *draw * COUNT);
    FILE *f = argc == 2 ? fopen(argv[1], "wb") : NULL;
    if (!draw || !f) return 1;
    if (curandCreateGeneratorHost(&g, CURAND_RNG_PSEUDO_PHILOX4_32_10) != CURAND_STATUS_SUCCESS ||
        curandSetPseudoRandomGeneratorSeed(g, header[0]) != CURAND_STATUS_SUCCESS ||
        curandSetGeneratorOrdering(g, CURAND_ORDERING_PSEUDO_LEGACY) != CURAND_STATUS_SUCCESS ||
        curandGenerate(g, draw, COUNT) != CURAND_STATUS_SUCCESS) {
        fprintf(stderr, "cuRAND refused\n");
        return 1;
    }
    fwrite(header, sizeof header, 1, f);
    fwrite(draw, sizeof *draw, COUNT, f);
    return fclose(f) != 0;
}
