#!/bin/sh
# Makes a Debian package of what lies below STAGE (stage.sh with PREFIX=/usr): $BUILD/lead_VERSION_ARCH.deb.
# DEBFULLNAME and DEBEMAIL say who maintains it; SOURCE_DATE_EPOCH, else the commit's date, is that of its files.
#   packaging/deb.sh STAGE
set -eu
umask 022
stage=$1 work=$BUILD/debian
arch=$(dpkg --print-architecture)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git log -1 --format=%ct 2> /dev/null || echo 1)}
export SOURCE_DATE_EPOCH
rm -rf "$work"
mkdir -p "$work/debian"
printf 'Source: lead\nPackage: lead\nArchitecture: any\n' > "$work/debian/control"
abs=$(realpath "$stage")
if command -v dpkg-shlibdeps > /dev/null; then
    depends=$(cd "$work" && dpkg-shlibdeps -O "$abs/usr/bin/lead" "$abs/usr/$LIBDIR/liblead.so.$VERSION" 2> log |
        sed -n 's/^shlibs:Depends=//p')
    [ -n "$depends" ] || { cat "$work/log" >&2; exit 1; }
else
    depends="libc6, libgomp1"
    echo "deb: no dpkg-shlibdeps (package dpkg-dev): depends on $depends of any version"
fi

doc=$stage/usr/share/doc/lead
mv "$doc/LICENSE" "$doc/copyright"
printf 'lead (%s) unstable; urgency=low\n\n  * %s\n\n -- %s <%s>  %s\n' "$VERSION" \
    "This version; git log has the changes." "${DEBFULLNAME:-lead}" "${DEBEMAIL:-lead@localhost}" \
    "$(date -u -R -d "@$SOURCE_DATE_EPOCH")" | gzip -9n > "$doc/changelog.gz"
gzip -9n "$stage"/usr/share/man/man1/*.1
zsh=$stage/usr/share/zsh                     # Debian's place for those of packages
mv "$zsh/site-functions" "$zsh/vendor-completions"

mkdir "$stage/DEBIAN"
(cd "$stage" && find usr -type f | sort | xargs md5sum) > "$stage/DEBIAN/md5sums"
printf 'activate-noawait ldconfig\n' > "$stage/DEBIAN/triggers"
printf 'liblead %s lead (= %s)\n' "$VERSION" "$VERSION" > "$stage/DEBIAN/shlibs"
cat > "$stage/DEBIAN/control" <<EOF
Package: lead
Version: $VERSION
Architecture: $arch
Maintainer: ${DEBFULLNAME:-lead} <${DEBEMAIL:-lead@localhost}>
Installed-Size: $(du -sk --apparent-size "$stage/usr" | cut -f 1)
Depends: $depends
Section: net
Priority: optional
Description: forecasts of network traffic matrices, with their uncertainty
 A traffic matrix says how much each node of a network sends to each other.
 lead learns from past ones and draws sample paths of the next, from which it
 computes quantiles, link loads, the effect of failures, and alarms.
 .
 The package holds the program, its library with headers, and models that
 need no training.
EOF
find "$stage" -exec touch -h -d "@$SOURCE_DATE_EPOCH" {} +
deb=$BUILD/lead_${VERSION}_$arch.deb
dpkg-deb --root-owner-group -Zgzip --build "$stage" "$deb" > /dev/null
echo "$deb"
