// The test API.  A test file tests/test_<area>.c defines `void test_<area>(TestLog *log)`; the runner finds it by name.
// Zero checks run in an area is a failure of that area: a test must prove that it ran.
#ifndef LEAD_TESTS_TEST_H
#define LEAD_TESTS_TEST_H

#include <stdbool.h>

typedef struct TestLog {
    const char *area;     // name of the running area
    const char *tmp;      // a directory for scratch files, removed at the end
    const char *shared;   // path of ../shared, or NULL when it is missing
    const char *lead;     // path of the lead binary under test
    bool quick;           // sanitizer or mutant run: smallest sizes only
    long passed, failed, skipped;
} TestLog;

// Counts one check; on failure prints file:line, the condition and the message.
#define TEST(log, cond, ...) test_check((log), (cond), __FILE__, __LINE__, #cond, __VA_ARGS__)

bool test_check(TestLog *log, bool ok, const char *file, int line, const char *cond, const char *fmt, ...)
    __attribute__((format(printf, 6, 7)));
void test_skip(TestLog *log, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif
