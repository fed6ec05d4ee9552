// What stb_image_write.h makes, in memory of an arena: where that is full the arena says so, and the program does not
// abort.
#ifndef LEAD_IO_STB_H
#define LEAD_IO_STB_H

#include <stddef.h>
#include <stdint.h>

#include "tensor/arena.h"

// data[0..n), n below 2^30, as a zlib stream of *size bytes.
const unsigned char *stb_zlib(const void *data, size_t n, size_t *size, Arena *a);
// rgb [h,w,3] as the *size bytes of a PNG file.
const unsigned char *stb_png(const uint8_t *rgb, int w, int h, size_t *size, Arena *a);

#endif
