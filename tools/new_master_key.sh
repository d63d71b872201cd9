#!/bin/sh
# Makes a master key: 32 random bytes that only the server's user can read.
# Usage: tools/new_master_key.sh /run/likeness/master.key [UID]
#
# On a tmpfs such as /run the key is gone when the machine restarts, and everything that was
# encrypted with it is unreadable from then on. An existing key is never overwritten.
set -eu
umask 077
target=${1:?Usage: tools/new_master_key.sh FILE [UID]}
owner=${2:-10001}
if [ -e "$target" ]; then
    echo "$target exists already; nothing was changed." >&2
    exit 1
fi
mkdir -p "$(dirname "$target")"
head -c 32 /dev/urandom >"$target.part"
chmod 0400 "$target.part"
if [ "$(id -u)" = 0 ]; then chown "$owner:$owner" "$target.part"; fi
mv "$target.part" "$target"
echo "A new master key is in $target."
