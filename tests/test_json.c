// JSON: what RFC 8259 accepts and refuses, exact values, positions in messages, writer and reader as inverses.
#include "io/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "tests/test.h"

// Texts with the message they must give; NULL = accepted.
static void accepted_and_refused(TestLog *log, Arena *a)
{
    static const struct { const char *text, *says; } cases[] = {
        {"null", NULL}, {" true\r\n\t", NULL}, {"false", NULL}, {"\"\"", NULL}, {"[]", NULL}, {"{}", NULL},
        {"[ ]", NULL}, {"{ }", NULL}, {"0", NULL}, {"-0", NULL}, {"-0.0e-0", NULL}, {"1E+2", NULL}, {"1e-999", NULL},
        {"[1,[2,{\"a\":[]}],\"x\"]", NULL}, {"\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u0041\"", NULL},
        {"{\"\":0}", NULL}, {"\"\x7F\"", NULL}, {"\"\xF4\x8F\xBF\xBF\"", NULL},
        {"", "t:1:1: want a value, got the end of the text"}, {" \n ", "t:2:2: want a value, got the end"},
        {"nul", "t:1:1: want a value, got 'n'"}, {"True", "want a value, got 'T'"}, {"NaN", "want a value, got 'N'"},
        {"nullx", "t:1:5: want nothing after the value, got 'x'"}, {"1 2", "t:1:3: want nothing after"},
        {"[1,]", "t:1:4: want a value, got ']'"}, {"[,1]", "t:1:2: want a value"},
        {"[1 2]", "want ',' or ']', got '2'"},
        {"[1", "t:1:3: want ',' or ']', got the end"}, {"[", "want a value, got the end"}, {"]", "want a value"},
        {"{\"a\" 1}", "want ':' after a key, got '1'"}, {"{\"a\":1,}", "t:1:8: want a string, got '}'"},
        {"{a:1}", "t:1:2: want a string, got 'a'"}, {"{\"a\":1", "want ',' or '}', got the end"},
        {"{\"a\":1]", "want ',' or '}', got ']'"}, {"{1:1}", "want a string, got '1'"},
        {"{", "want a string, got the end"},
        {"{\n \"b\": 1,\n \"a\": 2,\n \"b\": 3}", "t:4:8: the object that ends here has the key \"b\" twice"},
        {"{\"a\":0,\"\\u0061\":0}", "key \"a\" twice"},
        {"01", "no digit after a leading zero"}, {"-", "want a digit, got the end"}, {"+1", "want a value, got '+'"},
        {".5", "want a value, got '.'"}, {"1.", "want a digit after the decimal point"},
        {"1.e1", "decimal point, got 'e'"},
        {"1e", "want a digit in the exponent"}, {"1e+", "exponent, got the end"}, {"0x10", "nothing after the value"},
        {"1e999", "t:1:1: this number is too large"}, {"-1e999", "too large for a double"},
        {"\"abc", "t:1:1: this string has no end"}, {"\"\\", "after a backslash, got the end"},
        {"\"\\x\"", "after a backslash, got 'x'"}, {"'a'", "want a value, got '''"}, {"\"a\nb\"", "control character"},
        {"\"\\u12\"", "four hex digits"}, {"\"\\u12G4\"", "four hex digits"}, {"\"\\u", "four hex digits"},
        {"\"\\uD800\"", "t:1:2: a high surrogate"}, {"\"\\uDC00\"", "a low surrogate"},
        {"\"\\uD800\\u0041\"", "a high surrogate"}, {"\"\\uD800\\n\"", "a high surrogate"},
        {"\"\xFF\"", "t:1:2: want valid UTF-8, got byte 0xFF"}, {"\"\xC0\x80\"", "valid UTF-8"},
        {"\"\xED\xA0\x80\"", "valid UTF-8"}, {"\"\xE0\x80\x80\"", "valid UTF-8"},
        {"\"\xF4\x90\x80\x80\"", "valid UTF-8"},
        {"\"\xE2\x82\"", "valid UTF-8"}, {"\"\xE2\x82", "valid UTF-8"},
        {"\xEF\xBB\xBF{}", "want a value, got byte 0xEF"},
        {"[1] // x", "nothing after the value, got '/'"}, {"\f1", "want a value, got byte 0x0C"}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const Json *v;
        Status s = json_parse(&v, a, cases[i].text, strlen(cases[i].text), "t");
        TEST(log, cases[i].says ? s.code && strstr(s.msg, cases[i].says) : !s.code, "%s: want \"%s\", got \"%s\"",
             cases[i].text, cases[i].says ? cases[i].says : "no error", s.code ? s.msg : "no error");
    }
    const Json *v;
    Status s = json_parse(&v, a, "1\0", 2, "t");
    TEST(log, s.code && strstr(s.msg, "got byte 0x00"), "%s", s.msg);
}

static void depth(TestLog *log, Arena *a)
{
    enum { DEEP = 1000000 };
    size_t mark = arena_mark(a);
    char *deep = arena_alloc(a, DEEP);
    const Json *v;
    for (int object = 0; object < 2; object++) {
        for (int i = 0; i < DEEP; i++) deep[i] = object ? "{\"\":"[i % 4] : '[';
        Status s = json_parse(&v, a, deep, DEEP, "t");
        TEST(log, s.code && strstr(s.msg, "128 levels"), "%s", s.msg);
    }
    for (int i = 0; i < JSON_MAX_DEPTH; i++) deep[i] = '[', deep[2 * JSON_MAX_DEPTH - 1 - i] = ']';
    Status s = json_parse(&v, a, deep, 2 * JSON_MAX_DEPTH, "t");
    TEST(log, !s.code, "%s", s.msg);
    arena_rewind(a, mark);
}

static void values(TestLog *log, Arena *a)
{
    static const char text[] =
        "{\"max\": 9223372036854775807, \"min\": -9223372036854775808, \"over\": 9223372036854775808,"
        " \"under\": -9223372036854775809, \"frac\": 1.0, \"exp\": 1e2, \"pi\": 3.141592653589793, \"neg0\": -0,"
        " \"s\": \"\\uD83D\\uDE00 \\u00e9\\u20AC\\u0000z\", \"t\": true, \"f\": false, \"n\": null,"
        " \"list\": [1, \"two\", [3]], \"a\\u0000b\": 5, \"relu\": \"relu\"}";
    const Json *r, *v;
    Status s = json_parse(&r, a, text, sizeof text - 1, "t");
    if (!TEST(log, !s.code, "%s", s.msg)) return;
    int64_t n;
    double x;
    const char *str;
    bool b;
    TEST(log, r->n == 15, "%" PRId64 " members", r->n);
    s = json_get_int(&n, r, "max", INT64_MIN, INT64_MAX, "t");
    TEST(log, !s.code && n == INT64_MAX, "max %s", s.msg);
    s = json_get_int(&n, r, "min", INT64_MIN, INT64_MAX, "t");
    TEST(log, !s.code && n == INT64_MIN, "min %s", s.msg);
    for (const char *const *k = (const char *const[]){"over", "under", "frac", "exp", NULL}; *k; k++)
        TEST(log, !json_find(r, *k)->is_int, "%s is an int", *k);
    s = json_get_number(&x, r, "over", "t");
    TEST(log, !s.code && x == 0x1p63, "over %g", x);
    s = json_get_number(&x, r, "pi", "t");
    TEST(log, !s.code && x == 3.141592653589793, "pi %.17g", x);
    v = json_find(r, "neg0");
    TEST(log, v->is_int && v->n == 0 && signbit(v->number), "-0: %g", v->number);
    v = json_find(r, "s");
    TEST(log, v->n == 12 && memcmp(v->string, "\xF0\x9F\x98\x80 \xC3\xA9\xE2\x82\xAC\0z", 13) == 0, "s: %s", v->string);
    s = json_get_bool(&b, r, "t", "t");
    TEST(log, !s.code && b, "t: %s", s.msg);
    v = json_find(r, "list");
    TEST(log, v->n == 3 && v->child->n == 1 && strcmp(v->child->next->string, "two") == 0
         && v->child->next->next->child->n == 3 && !v->child->next->next->next, "list");
    TEST(log, !json_find(r, "a") && !json_find(v, "a") && !json_find(NULL, "a"), "a member that is not there");
    s = json_get_string(&str, r, "relu", "t");
    TEST(log, !s.code && strcmp(str, "relu") == 0, "%s", s.msg);

    s = json_get_int(&n, r, "relu", 1, 100, "config.json");
    TEST(log, strcmp(s.msg, "config.json: relu: want an integer in 1..100, got \"relu\"") == 0, "%s", s.msg);
    s = json_get_int(&n, r, "max", 1, 100, "t");
    TEST(log, strstr(s.msg, "got 9223372036854775807"), "%s", s.msg);
    s = json_get_int(&n, r, "frac", 1, 100, "t");
    TEST(log, s.code, "1.0 as an integer");
    s = json_get_int(&n, r, "missing", 1, 100, "t");
    TEST(log, strstr(s.msg, "got nothing"), "%s", s.msg);
    s = json_get_string(&str, r, "s", "t");
    TEST(log, strstr(s.msg, "want a string without NUL"), "%s", s.msg);
    s = json_get_number(&x, r, "list", "t");
    TEST(log, strstr(s.msg, "got an array of 3"), "%s", s.msg);
    s = json_get_bool(&b, r, "n", "t");
    TEST(log, strstr(s.msg, "want true or false, got null"), "%s", s.msg);
    s = json_read(&r, a, arena_printf(a, "%s/none.json", log->tmp), 1000);
    TEST(log, s.code && strstr(s.msg, "none.json: cannot open"), "%s", s.msg);
}

static void writer(TestLog *log, Arena *a)
{
    JsonWriter w = json_writer(a, 0);
    json_object(&w, NULL);
    json_string(&w, "a\"\\/\n\x01\x7F", "\xC3\xA9\b\f\r\t\xFF\xE2\x82z");
    json_array(&w, "list");
    json_int(&w, NULL, INT64_MIN);
    json_double(&w, NULL, 0.1);
    json_double(&w, NULL, (double)NAN);
    json_bool(&w, NULL, true);
    json_null(&w, NULL);
    json_object(&w, NULL);
    json_end(&w);
    json_end(&w);
    json_string_n(&w, "n", "x\0y", 3);
    json_end(&w);
    size_t len;
    const char *text = json_text(&w, &len);
    static const char want[] =
        "{\"a\\\"\\\\/\\n\\u0001\x7F\":\"\xC3\xA9\\b\\f\\r\\t\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDz\","
        "\"list\":[-9223372036854775808,0.1,null,true,null,{}],\"n\":\"x\\u0000y\"}\n";
    TEST(log, len == sizeof want - 1 && strcmp(text, want) == 0, "%s", text);
    json_reset(&w);
    json_int(&w, NULL, 7);
    TEST(log, strcmp(json_text(&w, &len), "7\n") == 0 && len == 2, "%s", w.text);

    w = json_writer(a, 2);
    json_object(&w, NULL);
    json_int(&w, "a", 1);
    json_array(&w, "b");
    json_int(&w, NULL, 2);
    json_end(&w);
    json_object(&w, "c");
    json_end(&w);
    json_end(&w);
    text = json_text(&w, &len);
    TEST(log, strcmp(text, "{\n  \"a\": 1,\n  \"b\": [\n    2\n  ],\n  \"c\": {}\n}\n") == 0, "%s", text);
}

// Doubles of random bits must come back bit for bit; a long text crosses several buffer sizes.
static void round_trip(TestLog *log, Arena *a)
{
    enum { N = 5000 };
    double *x = arena_alloc(a, N * sizeof *x);
    uint64_t state = 1;
    for (int i = 0; i < N; i++)
        do {
            state = state * 6364136223846793005u + 1442695040888963407u;
            uint64_t bits = state ^ state >> 29;
            memcpy(&x[i], &bits, sizeof bits);
        } while (!isfinite(x[i]));
    x[0] = 0x1.fffffffffffffp1023;
    x[1] = 0x1p-1074;
    JsonWriter w = json_writer(a, 1);
    json_array(&w, NULL);
    for (int i = 0; i < N; i++) json_double(&w, NULL, x[i]);
    json_end(&w);
    size_t len;
    const char *text = json_text(&w, &len);
    const Json *r;
    Status s = json_parse(&r, a, text, len, "t");
    if (!TEST(log, !s.code && r->n == N, "%s", s.msg)) return;
    int wrong = 0, i = 0;
    for (const Json *v = r->child; v; v = v->next, i++) wrong += memcmp(&v->number, &x[i], sizeof *x) != 0;
    TEST(log, wrong == 0, "%d of %d doubles differ", wrong, N);
}

static void utf8(TestLog *log)
{
    int wrong = 0;
    for (uint32_t cp = 0; cp <= 0x10FFFF; cp++) {
        if (cp == 0xD800) cp = 0xE000;
        unsigned char p[4];
        uint32_t back = 0;
        int n = utf8_encode(p, cp);
        wrong += utf8_decode(p, (size_t)n, &back) != n || back != cp || utf8_decode(p, (size_t)n - 1, &back) != 0;
    }
    TEST(log, wrong == 0, "%d code points differ", wrong);
}

void test_json(TestLog *log)
{
    Arena *a = arena_new("test_json", (size_t)256 << 20, NULL);
    CHECK(a, "no memory");
    accepted_and_refused(log, a);
    depth(log, a);
    values(log, a);
    writer(log, a);
    round_trip(log, a);
    utf8(log);
    arena_delete(a);
}
