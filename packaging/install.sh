#!/bin/sh
# Copies what lies below STAGE to below DESTDIR (empty: to /), each file whole or not at all, and writes to RECORD (a
# path below DESTDIR) the files and the directories that it made, a line each: "f /usr/local/bin/lead", "d ..".
# What an earlier installation there had and this one has not goes.
#   packaging/install.sh STAGE DESTDIR RECORD
set -eu
umask 022
stage=$1 dest=${2%/} record=$3
new=$(mktemp) old=$(mktemp)
trap 'rm -f "$new" "$old"' EXIT
[ ! -f "$dest$record" ] || cp "$dest$record" "$old"

if [ -n "$dest" ] && [ ! -d "$dest" ]; then mkdir -p "$dest" && echo "d " >> "$new"
elif grep -q '^d $' "$old"; then echo "d " >> "$new"
fi
(cd "$stage" && find . -mindepth 1 -type d | sort | sed 's/^\.//') | while IFS= read -r d; do
    if [ ! -d "$dest$d" ]; then mkdir "$dest$d" && echo "d $d" >> "$new"
    elif grep -qxF "d $d" "$old"; then echo "d $d" >> "$new"
    fi
done
# The list first: an installation that is cut off can be taken back.
(cd "$stage" && find . ! -type d | sort | sed 's/^\./f /') >> "$new"
echo "f $record" >> "$new"
cat "$new" "$old" | sort -u > "$dest$record.new" && mv -f "$dest$record.new" "$dest$record"
sed -n 's/^f //p' "$new" | while IFS= read -r f; do
    [ "$f" != "$record" ] || continue
    cp -P "$stage$f" "$dest$f.new"
    [ -L "$stage$f" ] || if [ -x "$stage$f" ]; then chmod 755 "$dest$f.new"; else chmod 644 "$dest$f.new"; fi
    mv -f "$dest$f.new" "$dest$f"
done
sed -n 's/^f //p' "$old" | while IFS= read -r f; do
    grep -qxF "f $f" "$new" || rm -f "$dest$f"
done
cat "$new" > "$dest$record.new" && mv -f "$dest$record.new" "$dest$record"
# So that programs find the shared library.
[ -n "$dest" ] || [ "$(id -u)" != 0 ] || ! command -v ldconfig > /dev/null || ldconfig
echo "installed $(grep -c '^f ' "$new") files below $dest${record%/share/lead/*}"
