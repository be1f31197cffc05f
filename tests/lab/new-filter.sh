#!/bin/bash
# SPDX-License-Identifier: MIT
# A filter to begin with, made from templates/filter/:  new-filter.sh NAME [--dir FOLDER]
# FOLDER (./NAME without it) must not exist. What it gets needs nothing but what blkfilter installs.
set -euo pipefail
. "$(dirname "$0")/common.sh"
# [a-z] must not take others for letters.
export LC_ALL=C

name='' folder=''
while [ $# -gt 0 ]; do
    case $1 in
    --dir) folder=${2:?--dir needs a folder}; shift ;;
    *) [ -z "$name" ] || die "one name only: what is '$1'?"; name=$1 ;;
    esac
    shift
done
[[ $name =~ ^[a-z][a-z0-9-]{0,30}$ ]] ||
    die "'$name' is no name for a filter: at most 31 lower case letters, digits and '-', the first one a letter"
folder=${folder:-$name}
[ ! -e "$folder" ] || die "$folder is there already"

mkdir -p "$(dirname "$folder")"
cp -r "$SRC/templates/filter" "$folder"
find "$folder" -name 'NAME.*' | while read -r file; do
    mv "$file" "${file%/*}/$name.${file##*.}"
done
find "$folder" -type f -exec sed -i "s/@NAME@/$name/g" {} +
cat << END
$folder: a filter that counts writes, to be made into yours
  module/$name.c      the kernel module
  plugin/$name.cpp    its plugin for filterd
  $name.yaml          declares it on a disk
  test.sh             builds both, tries the filter on a disk in memory
Next: cd $folder && make check. What is what: $SRC/docs/writing-a-filter.md
END
