// What emulate.cc, which runs the threads, offers to the emulation of asynchronous hardware (hopper.cc).
#ifndef LEAD_TESTS_EMULATE_SCHEDULER_H
#define LEAD_TESTS_EMULATE_SCHEDULER_H

#include "cuda_emulate.h"

// Says op, block and thread, then aborts.
__attribute__((noreturn, format(printf, 1, 2))) void emulate_fail(const char *fmt, ...);

int emulate_self();     // index of the running thread
int emulate_order();    // 1, 2, ..: the order in which threads and blocks run

// The running thread waits until ready(arg); `what` is said when that never comes.
void emulate_wait_until(bool (*ready)(void *arg), void *arg, const char *what, const char *file, int line);

// Shared memory of the block: its first byte, and whether bytes at..at+bytes belong to one variable.
unsigned char *emulate_shared_memory();
bool emulate_shared_holds(size_t at, size_t bytes);

// Called when a block starts, each time all of its threads have had their turn (idle: none can go on, not at a barrier
// either; true: something has moved), and when it ends.
void hopper_begin(int threads);
bool hopper_turn(bool idle);
void hopper_end();

#endif
