// The kinds of calls that tests/inject/inject.c counts and lets fail.
#ifndef LEAD_TESTS_INJECT_KINDS_H
#define LEAD_TESTS_INJECT_KINDS_H

enum {
    FAULT_ALLOC, FAULT_OPEN, FAULT_READ, FAULT_SHORT, FAULT_WRITE, FAULT_FSYNC, FAULT_RENAME, FAULT_CLOSE, FAULT_STAT,
    FAULT_MAP, FAULT_NAME, FAULT_THREAD, FAULT_KINDS
};
#define FAULT_NAMES {"alloc", "open", "read", "short", "write", "fsync", "rename", "close", "stat", "map", "name", \
                     "thread"}
enum { FAULT_IMPOSSIBLE = 77 };   // exit status: no seccomp here

#endif
