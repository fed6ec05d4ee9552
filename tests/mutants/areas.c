// Areas that the runner must judge rightly (harness.sh).
#include <stdlib.h>

#include "tests/test.h"

void test_passes(TestLog *log)
{
    TEST(log, true, "fine");
    test_skip(log, "skipped: for the count");
}

void test_empty(TestLog *log) { (void)log; }
void test_fails(TestLog *log) { TEST(log, false, "as it should"); }

void test_crashes(TestLog *log)
{
    TEST(log, true, "fine so far");
    abort();
}

void test_leaves(TestLog *log)
{
    TEST(log, true, "fine so far");
    exit(0);
}
