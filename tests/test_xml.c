// XML: what is read of a document, every refusal.  gzip: members, checksums, limits.
#include "io/xml.h"

#include <stdio.h>
#include <string.h>

#include "io/file.h"
#include "io/gzip.h"
#include "tests/test.h"
#include "tests/texts.h"

// ---- XML -----------------------------------------------------------------------------------------------------------

// The events as text: (name attr=value ..), "text", ) and . at the end; or the message of the error.
static const char *events(Arena *a, const char *bytes, size_t size)
{
    XmlReader r;
    char *out = arena_printf(a, "%s", "");
    Status s = xml_begin(&r, a, bytes, size, "t.xml");
    for (XmlEvent e = XML_OPEN; !s.code && e != XML_END; ) {
        s = xml_next(&e, &r);
        if (s.code) break;
        if (e == XML_OPEN) out = arena_printf(a, "%s(%s", out, r.name);
        for (int i = 0; e == XML_OPEN && i < r.n_attributes; i++)
            out = arena_printf(a, "%s %.*s=%s", out, (int)r.attribute[i].name.n, r.attribute[i].name.s,
                               r.attribute[i].value);
        if (e == XML_TEXT) out = arena_printf(a, "%s\"%s\"", out, r.text);
        if (e == XML_CLOSE) out = arena_printf(a, "%s)", out);
        if (e == XML_END) out = arena_printf(a, "%s.", out);
    }
    return s.code ? arena_printf(a, "%s", s.msg) : out;
}

static void xml_accepted(TestLog *log, Arena *a)
{
    static const struct { const char *text, *want; } good[] = {
        {"<a/>", "(a)."},
        {"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- c --><a><b x='1' y=\"2\"/>t</a>\n<!-- d -->\n",
         "(a(b x=1 y=2)\"t\")."},
        {"<p:a xmlns:p='u' p:id='k'></p:a >", "(a xmlns:p=u p:id=k)."},
        {"<a>&lt;&amp;&gt;&quot;&apos;&#65;&#x42;&#xe9;</a>", "(a\"<&>\"'AB\xc3\xa9\")."},
        {"<a b='&lt;&#10;'/>", "(a b=<\n)."},
        {"<a b='1\n2\t3'/>", "(a b=1 2 3)."},
        {"<a>1\r\n2\r3</a>", "(a\"1\n2\n3\")."},
        {"<a>1<![CDATA[<&amp;]]>2</a>", "(a\"1\"\"<&amp;\"\"2\")."},
        {"<a>  \n <b> x </b> </a>", "(a(b\" x \"))."},
        {"<?xml version='1.0' encoding='ISO-8859-1'?><a b='\xe9'>\xfc</a>", "(a b=\xc3\xa9\"\xc3\xbc\")."},
        {"<!DOCTYPE network SYSTEM \"net[>work.dtd\"><network/>", "(network)."},
        {"<a><?php echo '<'; ?></a>", "(a)."},
        {"<a-1._b>\xc3\xa9</a-1._b>", "(a-1._b\"\xc3\xa9\")."}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        const char *got = events(a, good[i].text, strlen(good[i].text));
        TEST(log, !strcmp(got, good[i].want), "'%s': want %s, got %s", good[i].text, good[i].want, got);
    }
}

static void xml_refused(TestLog *log, Arena *a)
{
    static const struct { const char *text, *want; } bad[] = {
        {"", "want a root element"}, {"  \n", "want a root element"}, {"text", "text outside"},
        {"<a>", "want the end of 'a', got the end of the file"}, {"<a></b>", "want the end of 'a', got that of 'b'"},
        {"<a></a></a>", "want the end of the document, got that of 'a'"}, {"<a/><b/>", "want one root element"},
        {"<a/>x", "want one root element"}, {"<a b=1/>", "quotes"}, {"<a b/>", "quotes"}, {"<a b='1/>", "want a quote"},
        {"<a b='<'/>", "want a quote"}, {"<a b='1'c='2'/>", "want '>' or a blank"}, 
        {"<a b='1' b='2'/>", "got 'b' again"},
        {"<a", "want '>'"}, {"<a b='1'", "want '>'"}, {"<", "name of an element"}, {"<1/>", "name of an element"},
        {"<a>&x;</a>", "got '&x'"}, {"<a>&lt</a>", "got '&lt'"}, {"<a>&#0;</a>", "got '&#0'"}, 
        {"<a>&#xd800;</a>", "&#xd800"},
        {"<a>&#x110000;</a>", "&#x110000"}, {"<a>&#99999999999;</a>", "&#9999"}, {"<a>&;</a>", "got '&'"},
        {"<a>&#;</a>", "got '&#'"}, {"<a>&#x;</a>", "got '&#x'"}, {"<a><!-- ", "a comment"}, {"<a><![CDATA[ ", "CDATA"},
        {"<?xml ", "a processing instruction"}, {"<!DOCTYPE a", "DOCTYPE"}, {"<a/><!DOCTYPE a>", "before the root"},
        {"<!DOCTYPE a [<!ENTITY x 'y'>]><a>&x;</a>", "declarations"}, {"<a>\xff</a>", "want UTF-8"},
        {"<a>\xc3</a>", "want UTF-8"}, {"<a>\x01</a>", "0x01"}, {"<\xe9/>", "want UTF-8"},
        {"<?xml version='1.0' encoding='UTF-16'?><a/>", "encoding 'UTF-16'"}, {"\xff\xfe<", "UTF-16"},
        {"<a>\n\n<b></c></a>", "t.xml:3:"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        const char *got = events(a, bad[i].text, strlen(bad[i].text));
        TEST(log, strstr(got, bad[i].want) && strstr(got, "t.xml"), "'%s': want '%s', got %s", bad[i].text, bad[i].want,
             got);
    }
    const char *got = events(a, "<a>\0</a>", 8);
    TEST(log, strstr(got, "0x00"), "%s", got);
}

static void xml_limits(TestLog *log, Arena *a)
{
    const char *got = events(a, repeated(a, "", "<a>", XML_MAX_DEPTH + 1, ""), 3 * (XML_MAX_DEPTH + 1));
    TEST(log, strstr(got, "nested at most 64"), "%s", got);
    got = events(a, repeated(a, "", "<a>", XML_MAX_DEPTH, ""), 3 * XML_MAX_DEPTH);
    TEST(log, strstr(got, "the end of the file"), "%s", got);
    char *attributes = arena_printf(a, "<a");
    for (int i = 0; i <= XML_MAX_ATTRIBUTES; i++) attributes = arena_printf(a, "%s a%d=''", attributes, i);
    got = events(a, arena_printf(a, "%s/>", attributes), strlen(attributes) + 2);
    TEST(log, strstr(got, "at most 32 attributes"), "%s", got);
    const char *name = repeated(a, "<", "a", XML_MAX_NAME + 1, "/>");
    got = events(a, name, strlen(name));
    TEST(log, strstr(got, "a name of at most 127"), "%s", got);
    XmlReader r;
    Status s = xml_begin(&r, a, "<a/>", (size_t)XML_MAX_BYTES + 1, "big.xml");     // refused before a byte is read
    TEST(log, s.code && strstr(s.msg, "big.xml: want at most"), "%s", s.msg);
}

static void xml_conveniences(TestLog *log, Arena *a)
{
    const char *text = "<r><x>\n 1<!-- c -->2<![CDATA[3]]> \n</x><y><z>4</z><z/></y><v p:k='5'/><w>6<z/></w></r>", *got;
    XmlReader r;
    XmlEvent e;
    Status s = xml_begin(&r, a, text, strlen(text), "t.xml");
    for (int i = 0; i < 2 && !s.code; i++) s = xml_next(&e, &r);
    if (!s.code) s = xml_content(&got, &r);
    TEST(log, !s.code && !strcmp(got, "123") && r.depth == 1, "%s", s.code ? s.msg : got);
    s = xml_next(&e, &r);
    if (!s.code) s = xml_skip(&r);
    TEST(log, !s.code && r.depth == 1 && !strcmp(r.name, "y"), "%s %s", s.msg, r.name);
    s = xml_next(&e, &r);
    TEST(log, !s.code && xml_attribute(&r, "k") && !strcmp(xml_attribute(&r, "k"), "5") && !xml_attribute(&r, "p"),
         "attribute of %s", r.name);
    s = xml_skip(&r);
    TEST(log, !s.code && r.depth == 1, "an empty element: %s", s.msg);
    s = xml_next(&e, &r);
    s = xml_content(&got, &r);
    TEST(log, s.code && strstr(s.msg, "want text in 'w', got the element 'z'"), "%s", s.msg);
}

// ---- gzip ----------------------------------------------------------------------------------------------------------

// "alpha beta gamma alpha beta gamma delta " three times and "end\n", as Python's gzip.compress writes it.
static const unsigned char greek[] = {
    0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x02, 0x03, 0x4b, 0xcc, 0x29, 0xc8, 0x48, 0x54, 0x48, 0x4a,
    0x2d, 0x49, 0x54, 0x48, 0x4f, 0xcc, 0xcd, 0x4d, 0x54, 0x48, 0x44, 0x17, 0x48, 0x49, 0xcd, 0x29, 0xc1, 0x22,
    0x4c, 0xa1, 0xba, 0xd4, 0xbc, 0x14, 0x2e, 0x00, 0x25, 0x9f, 0x08, 0x7f, 0x7c, 0x00, 0x00, 0x00};
static const char greek_text[] =
    "alpha beta gamma alpha beta gamma delta alpha beta gamma alpha beta gamma delta alpha beta gamma alpha beta "
    "gamma delta end\n";

// A member with one stored block and, by flag, the optional parts of the header.
static size_t stored_member(unsigned char *out, const char *text, unsigned char flags)
{
    const size_t n = strlen(text);
    size_t k = 10;
    memcpy(out, "\x1f\x8b\x08\0\0\0\0\0\0\xff", 10);
    out[3] = flags;
    if (flags & 4) memcpy(out + k, "\3\0abc", 5), k += 5;
    if (flags & 8) memcpy(out + k, "name", 5), k += 5;
    if (flags & 16) memcpy(out + k, "remark", 7), k += 7;
    if (flags & 2) {
        const uint32_t crc = crc32_of(out, k);
        out[k++] = (unsigned char)crc, out[k++] = (unsigned char)(crc >> 8);
    }
    out[k++] = 1;
    for (int i = 0; i < 2; i++) out[k++] = (unsigned char)(n >> 8 * i);
    for (int i = 0; i < 2; i++) out[k++] = (unsigned char)(~n >> 8 * i);
    memcpy(out + k, text, n), k += n;
    const uint32_t crc = crc32_of(text, n);
    for (int i = 0; i < 4; i++) out[k++] = (unsigned char)(crc >> 8 * i);
    for (int i = 0; i < 4; i++) out[k++] = (unsigned char)(n >> 8 * i);
    return k;
}

static const char *inflated(Arena *a, const unsigned char *bytes, size_t n, size_t max)
{
    char *out;
    size_t size;
    unsigned char *exact = arena_alloc(a, n);      // the address sanitizer sees the next byte read
    memcpy(exact, bytes, n);
    const Status s = gzip_inflate(&out, &size, a, exact, n, max, "t.gz");
    if (s.code) return arena_printf(a, "%s", s.msg);
    return strlen(out) == size ? out : "a length that does not match";
}

static void gzip_accepted(TestLog *log, Arena *a)
{
    TEST(log, crc32_of("123456789", 9) == 0xCBF43926, "%08x", crc32_of("123456789", 9));    // the published check value
    const char *got = inflated(a, greek, sizeof greek, 1000);
    TEST(log, !strcmp(got, greek_text), "%s", got);
    unsigned char all[1000];
    for (int flags = 0; flags < 32; flags++) {
        size_t n = stored_member(all, "hello", (unsigned char)flags);
        TEST(log, !strcmp(inflated(a, all, n, 100), "hello"), "flags %d: %s", flags, inflated(a, all, n, 100));
    }
    size_t n = stored_member(all, "one ", 0);
    memcpy(all + n, greek, sizeof greek), n += sizeof greek;
    n += stored_member(all + n, " two", 8);
    memset(all + n, 0, 50);
    const char *want = arena_printf(a, "one %s two", greek_text);
    TEST(log, !strcmp(inflated(a, all, n, 1000), want), "members: %s", inflated(a, all, n, 1000));
    TEST(log, !strcmp(inflated(a, all, n + 50, 1000), want), "padding: %s", inflated(a, all, n + 50, 1000));
}

static void gzip_refused(TestLog *log, Arena *a)
{
    unsigned char all[1000];
    for (size_t n = 0; n < sizeof greek; n++) {
        const char *got = inflated(a, greek, n, 1000);
        TEST(log, strstr(got, "t.gz: "), "cut at %zu: %s", n, got);
    }
    static const struct { size_t at; unsigned char value; const char *want; } bad[] = {
        {0, 0, "want a gzip header"}, {2, 7, "want a gzip header"}, {3, 0x20, "known flags"}, {12, 0x55, "t.gz: "},
        {44, 0, "CRC-32"}, {48, 0, "want 0 bytes"}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        memcpy(all, greek, sizeof greek);
        all[bad[i].at] = bad[i].value;
        const char *got = inflated(a, all, sizeof greek, 1000);
        TEST(log, strstr(got, bad[i].want), "byte %zu: want %s, got %s", bad[i].at, bad[i].want, got);
    }
    size_t n = stored_member(all, "hello", 2);
    all[10] ^= 1;
    TEST(log, strstr(inflated(a, all, n, 100), "checksum"), "%s", inflated(a, all, n, 100));
    n = stored_member(all, "hello", 0);
    all[n] = 'x';
    TEST(log, strstr(inflated(a, all, n + 1, 100), "gzip header"), "bytes after: %s", inflated(a, all, n + 1, 100));
    TEST(log, !strcmp(inflated(a, all, n, 5), "hello"), "%s", inflated(a, all, n, 5));
    TEST(log, strstr(inflated(a, all, n, 4), "at most 4 bytes"), "%s", inflated(a, all, n, 4));
    memset(all + n - 4, 0xFF, 4);                     // a length that would be 4 GiB
    TEST(log, strstr(inflated(a, all, n, 1000), "want 4294967295 bytes"), "%s", inflated(a, all, n, 1000));
}

static void gzip_real(TestLog *log, Arena *a)
{
    if (!log->shared) {
        test_skip(log, "skipped: no ../shared/data/formats");
        return;
    }
    char *packed, *plain, *out;
    size_t n_packed, n_plain, n;
    const char *dir = arena_printf(a, "%s/data/formats/x_file", log->shared);
    Status s = file_read(&packed, &n_packed, a, arena_printf(a, "%s/X01-36lines.gz", dir), 1 << 20);
    if (!s.code) s = file_read(&plain, &n_plain, a, arena_printf(a, "%s/X01-12lines", dir), 1 << 20);
    if (!s.code) s = gzip_inflate(&out, &n, a, packed, n_packed, 1 << 22, "X01");
    TEST(log, !s.code && n > 2 * n_plain && !memcmp(out, plain, n_plain), "%s: %zu bytes", s.msg, n);
}

void test_xml(TestLog *log)
{
    Arena *a = arena_new("test xml", (size_t)1 << 32, NULL);
    xml_accepted(log, a);
    xml_refused(log, a);
    xml_limits(log, a);
    xml_conveniences(log, a);
    gzip_accepted(log, a);
    gzip_refused(log, a);
    gzip_real(log, a);
    arena_delete(a);
}
