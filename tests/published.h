// The greedy continuations of tiny-random-gpt2 that were published (../shared/gpt2/tiny-random-gpt2/golden.json), asked
// of a program.
#ifndef LEAD_TESTS_PUBLISHED_H
#define LEAD_TESTS_PUBLISHED_H

#include "io/json.h"
#include "tests/run_lead.h"

// program: whose `lead` is run; options: more of its options.
static inline void published_greedy(TestLog *log, TestLog *program, Arena *a, const char *options)
{
    if (!log->shared) {
        test_skip(log, "skipped: no ../shared/gpt2/tiny-random-gpt2");
        return;
    }
    const Json *root;
    const char *dir = arena_printf(a, "%s/gpt2/tiny-random-gpt2", log->shared);
    const Status s = json_read(&root, a, arena_printf(a, "%s/golden.json", dir), 1 << 24);
    if (!TEST(log, !s.code, "%s", s.msg)) return;
    const Json *published = json_find(root, "published"), *in = json_find(published, "input_ids");
    const Json *out = json_find(published, "greedy_output_ids");
    if (!TEST(log, in && out && in->n > 0 && in->n == out->n, "golden.json holds no published ids")) return;
    for (const Json *x = in->child, *y = out->child; x && y; x = x->next, y = y->next) {
        char tokens[400] = "", want[400] = "";
        for (const Json *t = x->child; t; t = t->next)
            snprintf(tokens + strlen(tokens), 20, "%s%d", *tokens ? "," : "", (int)t->n);
        int at = 0;
        for (const Json *t = y->child; t; t = t->next)
            if (at++ >= x->n) snprintf(want + strlen(want), 20, "%d ", (int)t->n);
        const Ran r = lead_run(program, a, "gpt2 generate --llm %s --tokens %s --n %d %s", dir, tokens,
                               (int)(y->n - x->n), options);
        TEST(log, r.code == 0 && strncmp(r.out, want, strlen(want)) == 0 && strlen(r.out) == strlen(want) + 1,
             "%s %s: published %s, got %s%s", tokens, options, want, r.out, r.err);
    }
}

#endif
