#!/bin/sh
# deploy/space/make.sh FOLDER: what a Docker Space needs, to be pushed to its repository.
set -eu
folder=${1:?"usage: deploy/space/make.sh FOLDER"}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$folder"
git -C "$here/../.." archive HEAD | tar -x -C "$folder"
cp "$here/README.md" "$folder/README.md"
cat "$here/demonstration.dockerfile" >> "$folder/Dockerfile"
echo "Now: cd $folder, then commit and push it to the Space."
