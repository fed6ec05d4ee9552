// make install, make uninstall, make deb: what is installed works from any place, and goes without a trace; man pages
// and completions say what --help says; a program is built against the installed library.  Beside them: builds by
// another compiler, with other flags, in another directory.
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "run_lead.h"
#include "tensor/status.h"

typedef struct World {
    TestLog *log;
    Arena *a;
    const char *build, *root;    // where the program under test was built; what is installed lies in root/opt/lead
} World;

// The command must end with 0 and say `want` (NULL: anything); returns what it said.
static const char *works(const World *w, const char *want, const char *command)
{
    const Ran r = shell_run(w->log, w->a, "%s", command);
    TEST(w->log, r.code == 0 && (!want || strstr(r.out, want)), "%s: exit %d, want '%s': %s", command, r.code,
         want ? want : "", r.out);
    return r.out;
}

static void fails(const World *w, const char *want, const char *command)
{
    const Ran r = shell_run(w->log, w->a, "%s", command);
    TEST(w->log, r.code != 0 && strstr(r.out, want), "%s: exit %d, want '%s': %s", command, r.code, want, r.out);
}

static bool has(const World *w, const char *program)
{
    return shell_run(w->log, w->a, "command -v %s", program).code == 0;
}

#define TEXT(...) arena_printf(w->a, __VA_ARGS__)

static const char *install(const World *w, const char *target, const char *more)
{
    return TEXT(MAKE " -s %s BUILD='%s' DESTDIR='%s' PREFIX=/opt/lead %s", target, w->build, w->root, more);
}

// ---- what is installed

static void check_tree(const World *w)
{
    works(w, "installed ", install(w, "install", ""));
    const char *at = TEXT("%s/opt/lead", w->root);
    static const char *const files[] = {"bin/lead", "lib/liblead.a", "lib/liblead.so", "lib/pkgconfig/lead.pc",
                                        "include/lead/tensor/tensor.h", "include/lead/tensor/ops.def",
                                        "share/lead/gpt2-small/model.safetensors",
                                        "share/lead/pretrained/model.safetensors",
                                        "share/lead/pretrained/teacher.safetensors", "share/man/man1/lead.1",
                                        "share/doc/lead/README.md", "share/doc/lead/docs/operations.md",
                                        "share/doc/lead/examples/nightly.sh"};
    for (size_t i = 0; i < sizeof files / sizeof *files; i++)
        TEST(w->log, access(TEXT("%s/%s", at, files[i]), R_OK) == 0, "%s is not installed", files[i]);
    TEST(w->log, access(TEXT("%s/include/lead/cli", at), F_OK) != 0, "headers of the command line are installed");
    works(w, NULL, TEXT("find '%s' -type f ! -perm -444 | (! grep .)", w->root));
    // from elsewhere, where no data/ lies: bundled models, through a symbolic link too
    works(w, NULL, TEXT("mkdir '%s/else' && ln -s '%s/bin/lead' '%s/else/l'", w->log->tmp, at, w->log->tmp));
    const char *go = TEXT("cd '%s/else' &&", w->log->tmp);
    works(w, "lead 0", TEXT("%s '%s/bin/lead' --version", go, at));
    works(w, "position", TEXT("%s '%s/bin/lead' gpt2 logits --text hi", go, at));
    works(w, "position", TEXT("%s ./l gpt2 logits --text hi", go));
    works(w, NULL, TEXT("%s ./l data synth --nodes 3 --days 15 --slot-seconds 3600 --out x.npy", go));
    works(w, "weights that suit any network", TEXT("%s ./l forecast --data x.npy --samples 2 --out f.csv", go));
    works(w, "position", TEXT("cp -r '%s' '%s/moved' && cd / && '%s/moved/bin/lead' gpt2 logits --text hi", at,
                              w->log->tmp, w->log->tmp));
    fails(w, "neither in this directory nor beside the program",
          TEXT("rm -r '%s/moved/share/lead' && cd / && '%s/moved/bin/lead' gpt2 logits --text hi", w->log->tmp,
               w->log->tmp));
    fails(w, "want an absolute path", TEXT(MAKE " -s install BUILD='%s' PREFIX=out DESTDIR='%s/no'", w->build,
                                           w->log->tmp));
    fails(w, "want a path below PREFIX", install(w, "install", "LIBDIR=../lib"));
}

// ---- pages and completions

// Every verb has a page, and it names every option that --help lists.
static void check_man(const World *w)
{
    const char *man = TEXT("%s/opt/lead/share/man/man1", w->root);
    const char *verbs = works(w, "train", TEXT("'%s' --help | sed -n 's/^  \\([a-z][a-z0-9 -]*[a-z0-9]\\)   *[A-Z].*/"
                                               "\\1/p'", w->log->lead));
    int n = 0;
    char *copy = TEXT("%s", verbs), *save;
    for (char *v = strtok_r(copy, "\n", &save); v; v = strtok_r(NULL, "\n", &save), n++) {
        works(w, NULL, TEXT("p='%s'/lead-$(echo '%s' | tr ' ' -).1; '%s' %s --help | "
                            "sed -n 's/^  --\\([a-z0-9-]*\\).*/\\1/p' | while read -r o; do "
                            "tr -d '\\\\' < $p | grep -q -e \"^fB--${o}fR\" || { echo $p lacks $o; exit 1; }; done",
                            man, v, w->log->lead, v));
        works(w, NULL, TEXT("tr -d '\\\\' < '%s/lead.1' | grep -q '%s'", man, v));
    }
    TEST(w->log, n >= 25, "%d verbs were read from lead --help", n);
    works(w, NULL, TEXT("test $(ls '%s' | wc -l) = %d", man, n + 1));
    if (has(w, "groff"))
        works(w, NULL, TEXT("for p in '%s'/*.1; do groff -ww -man -Tutf8 $p 2>&1 > /dev/null | (! grep .) || exit 1; "
                            "done", man));
    else test_skip(w->log, "skipped: no groff to read the man pages");
}

static const char *bash_completes(const World *w, const char *words, int at)
{
    return TEXT("bash -c \". '%s/opt/lead/share/bash-completion/completions/lead'; COMP_WORDS=(%s); COMP_CWORD=%d; "
                "_lead; echo \\\"=\\${COMPREPLY[*]}=\\\"\"", w->root, words, at);
}

static void check_completions(const World *w)
{
    static const struct { const char *words; int at; const char *want; } bash[] = {
        {"lead tra", 1, "=train="},
        {"lead gpt2 me", 2, "=merge="},
        {"lead data", 1, "=data="},
        {"lead train --checkp", 2, "=--checkpoint-seconds="},
        {"lead data info --slot-s", 3, "=--slot-seconds="},
        {"lead train --config sm", 3, "=small="},
        {"lead train --sampler ''", 3, "dpm++2m"},
        {"lead train --config = ti", 4, "=tiny="},
        {"lead train --out ''", 3, "=="},
        {"lead nothing --x", 2, "=="},
    };
    if (!has(w, "bash")) test_skip(w->log, "skipped: no bash");
    else
        for (size_t i = 0; i < sizeof bash / sizeof *bash; i++)
            works(w, bash[i].want, bash_completes(w, bash[i].words, bash[i].at));
    const char *share = TEXT("%s/opt/lead/share", w->root);
    if (!has(w, "fish")) test_skip(w->log, "skipped: no fish");
    else {
        const char *source = TEXT("HOME='%s' fish -c \"source '%s/fish/vendor_completions.d/lead.fish'; complete -C",
                                  w->log->tmp, share);
        works(w, "train", TEXT("%s 'lead tra'\"", source));
        works(w, "--checkpoint-seconds", TEXT("%s 'lead train --checkp'\"", source));
        works(w, "merge", TEXT("%s 'lead gpt2 me'\"", source));
        works(w, "small", TEXT("%s 'lead train --config sm'\"", source));
    }
    if (has(w, "zsh")) works(w, NULL, TEXT("zsh -n '%s/zsh/site-functions/_lead'", share));
    else test_skip(w->log, "skipped: no zsh");
}

// ---- the library

// The first chapter of the tour, built against what is installed, prints what it prints in the tree; every header can
// be included first.
static void check_library(const World *w)
{
    if (!has(w, "pkg-config")) {
        test_skip(w->log, "skipped: no pkg-config");
        return;
    }
    const char *lib = TEXT("%s/opt/lead/lib", w->root), *tmp = w->log->tmp;
    const char *pkg = TEXT("PKG_CONFIG_SYSROOT_DIR='%s' PKG_CONFIG_PATH='%s/pkgconfig' pkg-config", w->root, lib);
    const char *cc = getenv("CC") ? getenv("CC") : "cc", *chapter = "docs/tour/1_tape.c";
    works(w, "0.", TEXT("%s --modversion lead", pkg));
    works(w, NULL, TEXT("%s -std=c11 -o '%s/shared' %s $(%s --cflags --libs lead)", cc, tmp, chapter, pkg));
    works(w, NULL, TEXT("%s -std=c11 -o '%s/static' %s $(%s --cflags lead) '%s/liblead.a' "
                        "$(%s --static --libs-only-other lead) -lm", cc, tmp, chapter, pkg, lib, pkg));
    works(w, NULL, TEXT("'%s/tour/1_tape' > '%s/tree.txt' && cd / && LD_LIBRARY_PATH='%s' '%s/shared' > '%s/s.txt' && "
                        "'%s/static' > '%s/a.txt' && cmp '%s/tree.txt' '%s/s.txt' && cmp '%s/tree.txt' '%s/a.txt' && "
                        "test -s '%s/a.txt'", w->build, tmp, lib, tmp, tmp, tmp, tmp, tmp, tmp, tmp, tmp, tmp));
    works(w, TEXT("liblead.so.%s", works(w, NULL, "sed -n 's/^VERSION := //p' Makefile | tr -d '\\n'")),
          TEXT("ldd '%s/shared' 2>&1; true", tmp));
    works(w, NULL, TEXT("cd '%s/opt/lead/include/lead' && for h in $(find . -name '*.h'); do "
                        "echo \"#include \\\"$h\\\"\" | %s -std=c11 -D_GNU_SOURCE -I. -fsyntax-only -x c - || "
                        "{ echo $h; exit 1; }; done", w->root, cc));
}

// ---- taking it back

static void check_uninstall(const World *w)
{
    // an older version had a file that this one has not
    works(w, NULL, TEXT("cd '%s' && touch opt/lead/bin/lead-old && echo 'f /opt/lead/bin/lead-old' >> "
                        "opt/lead/share/lead/installed.txt", w->root));
    works(w, "installed ", install(w, "install", ""));
    TEST(w->log, access(TEXT("%s/opt/lead/bin/lead-old", w->root), F_OK) != 0, "a file of an older version is left");
    works(w, "removed ", install(w, "uninstall", ""));
    TEST(w->log, access(w->root, F_OK) != 0, "left over: %s", shell_run(w->log, w->a, "find '%s'", w->root).out);
    fails(w, "no installation there", install(w, "uninstall", ""));
    // what is of others stays, and the directory that they made
    works(w, NULL, TEXT("mkdir -p '%s/opt/lead/bin' '%s/opt/lead/share/empty'", w->root, w->root));
    works(w, "installed ", install(w, "install", ""));
    works(w, NULL, TEXT("touch '%s/opt/lead/share/man/man1/other.1'", w->root));
    works(w, "removed ", install(w, "uninstall", ""));
    works(w, "/opt/lead/share/man/man1/other.1\n",
          TEXT("cd '%s' && test $(find . -type f | wc -l) = 1 && test -d opt/lead/bin && "
               "test -d opt/lead/share/empty && ! test -e opt/lead/lib && find . -type f | sed 's/^.//'", w->root));
    works(w, NULL, TEXT("rm -r '%s'", w->root));
}

static void check_deb(const World *w)
{
    if (!has(w, "dpkg-deb") || !has(w, "dpkg")) {
        test_skip(w->log, "skipped: no dpkg-deb");
        return;
    }
    const char *tmp = w->log->tmp;
    const char *deb = works(w, ".deb", TEXT(MAKE " -s deb BUILD='%s' | tail -n 1 | tr -d '\\n'", w->build));
    const char *control = works(w, "Package: lead\n", TEXT("dpkg-deb -f '%s'", deb));
    static const char *const fields[] = {"Version: 0", "Architecture: ", "Maintainer: ", "Installed-Size: ", "libc6",
                                         "libgomp1", "Description: "};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        TEST(w->log, strstr(control, fields[i]), "%s: no %s in %s", deb, fields[i], control);
    works(w, NULL, TEXT("dpkg-deb -x '%s' '%s/deb' && test $(dpkg-deb -f '%s' Installed-Size) = "
                        "$(du -sk --apparent-size '%s/deb/usr' | cut -f 1)", deb, tmp, deb, tmp));
    works(w, "position", TEXT("cd / && '%s/deb/usr/bin/lead' gpt2 logits --text hi", tmp));
    works(w, NULL, TEXT("dpkg-deb -e '%s' '%s/DEBIAN' && cd '%s/deb' && md5sum --quiet -c ../DEBIAN/md5sums", deb, tmp,
                        tmp));
    if (geteuid()) test_skip(w->log, "skipped: dpkg -i wants root");
    else
        works(w, "ok installed",
              TEXT("r='%s/r'; mkdir -p $r/var/lib/dpkg/updates $r/var/lib/dpkg/info && touch $r/var/lib/dpkg/status && "
                   "dpkg --root=$r --force-depends --force-script-chrootless -i '%s' > /dev/null 2>&1; "
                   "dpkg --root=$r -s lead && test -x $r/usr/bin/lead && dpkg --root=$r -r lead > /dev/null 2>&1; "
                   "! test -e $r/usr/bin/lead", tmp, deb));
    works(w, NULL, TEXT("cp '%s' '%s/1.deb' && " MAKE " -s deb BUILD='%s' && cmp '%s' '%s/1.deb'", deb, tmp, w->build,
                        deb, tmp));
}

// ---- builds

// A few files stand for all.

static void check_builds(const World *w)
{
    const char *plain = shell_run(w->log, w->a, MAKE " -n -B build/src/nn/optim.o").out,
               *strict = shell_run(w->log, w->a, MAKE " -n -B WERROR=1 build/src/nn/optim.o").out;
    TEST(w->log, strstr(plain, "-Wall") && !strstr(plain, "-Werror") && strstr(strict, "-Werror"),
         "WERROR=1: %s and %s", plain, strict);
    TEST(w->log, system("grep -q 'WERROR=1 test' .ci/run && grep -q 'WERROR=1 asan' .ci/run") == 0,
         "warnings are no errors in .ci/run");
    const char *tmp = w->log->tmp;
    // the same bytes from two directories
    static const char *const place[] = {"here", "there/too"};
    for (int i = 0; i < 2; i++)
        works(w, NULL, TEXT("mkdir -p '%s/%s' && cp -r Makefile src cuda cpu_simd tests docs packaging bench "
                            "'%s/%s' && cd '%s/%s' && " MAKE " -s BUILD=b b/src/cli/support.o "
                            "b/src/tensor/ref/add.f32.o b/src/nn/optim.o && "
                            "ar qcsD b/x.a b/src/*/*.o b/src/tensor/ref/*.o", tmp, place[i], tmp, place[i], tmp,
                            place[i]));
    works(w, NULL, TEXT("cmp '%s/here/b/x.a' '%s/there/too/b/x.a'", tmp, tmp));
    static const char *const other[] = {"CC=clang", "CFLAGS=-O3", "CC=clang CFLAGS=-O3"};
    for (size_t i = 0; i < sizeof other / sizeof *other; i++) {
        if (strstr(other[i], "clang") && !has(w, "clang")) {
            test_skip(w->log, "skipped: no clang");
            continue;
        }
        works(w, NULL, TEXT(MAKE " -s %s BUILD='%s/b%zu' '%s/b%zu/src/cli/options.o' "
                            "'%s/b%zu/src/tensor/ref/add.f32.o' '%s/b%zu/src/traffic/times.o'", other[i], tmp, i, tmp,
                            i, tmp, i, tmp, i));
    }
}

// ---- a night's work (docs/operations.md)

// Nights of four nodes, half-hour slots, a file a day; the program comes first in PATH.
static const char *night(const World *w, const char *more)
{
    return TEXT("PATH='%s/nights/bin':\"$PATH\" TRAIN='--config tiny --minutes 0 --steps 4 --warmup 1' ROWS=4 %s "
                "sh packaging/nightly.sh '%s/nights/d'", w->log->tmp, more, w->log->tmp);
}

static void check_night(const World *w)
{
    const char *at = TEXT("%s/nights", w->log->tmp), *lead = w->log->lead;
    if (!has(w, "flock")) {
        test_skip(w->log, "skipped: no flock");
        return;
    }
    works(w, NULL, TEXT("mkdir -p '%s/d/flows' '%s/bin' '%s/later' && ln -s \"$(realpath '%s')\" '%s/bin/lead' && "
                        "'%s' data synth --nodes 4 --days 18 --slot-seconds 1800 --out '%s/x.npy' && "
                        "'%s' data export '%s/x.npy' --format long --out '%s/x.csv' && "
                        "sed -n '/^    source,destination/,/^$/s/^    //p' docs/links.md > '%s/d/net.csv'", at, at, at,
                        lead, at, lead, at, lead, at, at, at));
    works(w, NULL, TEXT("awk -F, -v at='%s/d/flows/' 'NR == 1 { head = $0; next } { f = at substr($1, 1, 10) \".csv\"; "
                        "if (!(f in seen)) { print head > f; seen[f] = 1 } print > f }' '%s/x.csv' && "
                        "cd '%s' && mv d/flows/2024-01-1[678].csv later", at, at, at));
    const char *first = works(w, "nightly: done", night(w, ""));
    TEST(w->log, strstr(first, "first training") && !strstr(first, "nightly: alarm"), "the first night: %s", first);
    works(w, NULL, TEXT("cd '%s/d' && test -s forecast.csv && test -s loads.tsv && test -s paths.npy && ! test -e "
                        "run.previous && ! test -e run.next", at));
    // the second night: an update, and alarms by the run of before
    works(w, NULL, TEXT("cd '%s' && mv later/2024-01-16.csv d/flows && cp d/loads.tsv first.tsv", at));
    const char *second = works(w, "nightly: done", TEXT("{ %s || test $? = 3; }", night(w, "")));
    TEST(w->log, strstr(second, "update of run, ") && strstr(second, "nightly: alarm") && !strstr(second, "anew"),
         "the second night: %s", second);
    works(w, NULL, TEXT("cd '%s/d' && test -s run.previous/best.safetensors && ! cmp -s loads.tsv ../first.tsv", at));
    // a collector that was down for a day, then a node more
    works(w, NULL, TEXT("mv '%s/later/2024-01-18.csv' '%s/d/flows'", at, at));
    works(w, "2 runs", TEXT("{ %s || test $? = 3; }", night(w, "")));
    works(w, NULL, TEXT("cd '%s/d/flows' && { cat 2024-01-18.csv && sed -n 's/,3,0,/,4,0,/p' 2024-01-18.csv; } > x && "
                        "mv x 2024-01-18.csv && printf '3,4,600,10,\\n4,3,600,10,\\n' >> ../net.csv", at));
    works(w, "training anew",
          TEXT("awk 'FNR > 1 || NR == 1' '%s'/d/flows/*.csv > '%s/d/all.csv' && { %s || test $? = 3; }", at, at,
               night(w, "FLOWS=all.csv IMPORT='--absent zero'")));
    works(w, "5 x 5", TEXT("'%s' info '%s/d/run'", lead, at));
    // what stands in the way: another one at work, files that cannot be read
    const Ran locked = shell_run(w->log, w->a, "cd '%s/d' && flock nightly.lock sh '%s/packaging/nightly.sh' .", at,
                                 works(w, NULL, "pwd | tr -d '\\n'"));
    TEST(w->log, locked.code == 75, "a second one at work: exit %d", locked.code);
    works(w, NULL, TEXT("cd '%s/d' && cp loads.tsv ../before.tsv && echo no,traffic > flows/2024-01-19.csv", at));
    const Ran bad = shell_run(w->log, w->a, "%s", night(w, ""));
    TEST(w->log, bad.code == 1 && strstr(bad.out, "lead: ") && strstr(bad.out, "lead data import failed"),
         "a bad file: exit %d: %s", bad.code, bad.out);
    works(w, NULL, TEXT("cd '%s/d' && cmp loads.tsv ../before.tsv", at));
}

void test_install(TestLog *log)
{
    World world = {.log = log, .a = arena_new("install", (size_t)1 << 30, NULL), .root = NULL};
    CHECK(world.a, "no address space");
    const World *w = &world;
    char *build = arena_printf(world.a, "%s", log->lead);
    *strrchr(build, '/') = 0;
    world.build = build;
    world.root = TEXT("%s/root", log->tmp);
    if (log->quick) test_skip(log, "skipped: builds and installation are tried without sanitizers, in the full suite");
    else {
        check_builds(w);
        check_night(w);
        check_tree(w);
        check_man(w);
        check_completions(w);
        check_library(w);
        check_uninstall(w);
        check_deb(w);
    }
    arena_delete(world.a);
}
