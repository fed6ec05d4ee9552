#!/bin/sh
# Puts together below DIR what is installed, as it will lie below /: program, libraries, headers, pkg-config file,
# models, documents, man pages, completions.  Wants BUILD, PREFIX, LIBDIR, VERSION and STRIP in the environment.
#   packaging/stage.sh DIR
set -eu
umask 022
case $PREFIX in
/*) ;;
*) echo "install: PREFIX: want an absolute path, got '$PREFIX'" >&2; exit 2 ;;
esac
case $LIBDIR in
/* | *..*) echo "install: LIBDIR: want a path below PREFIX, such as lib64, got '$LIBDIR'" >&2; exit 2 ;;
esac
rm -rf "$1"
to=$1$PREFIX lib=$1$PREFIX/$LIBDIR
share=$to/share
doc=$share/doc/lead
mkdir -p "$to/bin" "$lib/pkgconfig" "$to/include/lead" "$share/lead" "$share/man/man1" "$doc/docs" "$doc/examples" \
    "$share/bash-completion/completions" "$share/zsh/site-functions" "$share/fish/vendor_completions.d"

$STRIP -o "$to/bin/lead" "$BUILD/lead"
$STRIP --strip-unneeded -o "$lib/liblead.so.$VERSION" "$BUILD/liblead.so.$VERSION"
$STRIP --strip-debug --enable-deterministic-archives -o "$lib/liblead.a" "$BUILD/liblead.a"
chmod 755 "$to/bin/lead"
chmod 644 "$lib/liblead.a" "$lib/liblead.so.$VERSION"
ln -s "liblead.so.$VERSION" "$lib/liblead.so"

# Headers say "tensor/tape.h", as in src.  Those of single modules stay out.
find src -name '*.h' ! -path 'src/cli/*' ! -name internal.h ! -name '*_parts.h' ! -path 'src/tensor/ref*' -o -name ops.def | sort |
while IFS= read -r h; do
    at=$to/include/lead/${h#src/}
    mkdir -p "${at%/*}"
    cp "$h" "$at"
done

cat > "$lib/pkgconfig/lead.pc" <<EOF
prefix=$PREFIX
libdir=\${prefix}/$LIBDIR
includedir=\${prefix}/include/lead

Name: lead
Description: traffic matrix forecasts: tensors, autograd, GPT-2, diffusion
Version: $VERSION
Cflags: -I\${includedir}
Libs: -L\${libdir} -llead
Libs.private: -fopenmp -lm
EOF

(cd data && find . -type f | sort) | while IFS= read -r f; do
    mkdir -p "$share/lead/$(dirname "$f")"
    cp "data/$f" "$share/lead/$f"
done
cp README.md LICENSE "$doc"
cp docs/*.md "$doc/docs"
cp packaging/nightly.sh "$doc/examples"
"$BUILD/pages" "$VERSION" man "$share/man/man1"
"$BUILD/pages" "$VERSION" bash "$share/bash-completion/completions/lead"
"$BUILD/pages" "$VERSION" zsh "$share/zsh/site-functions/_lead"
"$BUILD/pages" "$VERSION" fish "$share/fish/vendor_completions.d/lead.fish"
find "$1" -type f ! -path "*/bin/*" -exec chmod 644 {} +
