#!/bin/sh
# Removes the files that RECORD lists, and the directories that the installation made and that are empty now.
#   packaging/uninstall.sh DESTDIR RECORD
set -eu
dest=${1%/} record=$2
[ -f "$dest$record" ] || { echo "uninstall: no installation there: $dest$record is missing" >&2; exit 1; }
list=$(mktemp)
trap 'rm -f "$list"' EXIT
cp "$dest$record" "$list"
sed -n 's/^f //p' "$list" | while IFS= read -r f; do
    [ "$f" = "$record" ] || rm -f "$dest$f"
done
rm -f "$dest$record"
sed -n 's/^d //p' "$list" | sort -r | while IFS= read -r d; do
    rmdir "$dest$d" 2> /dev/null || true     # others have put something there
done
[ -n "$dest" ] || [ "$(id -u)" != 0 ] || ! command -v ldconfig > /dev/null || ldconfig
echo "removed $(grep -c '^f ' "$list") files"
