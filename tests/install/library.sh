#!/bin/bash
# SPDX-License-Identifier: MIT
# "cmake --install" of the build folder into a staging root; a program builds against it with pkg-config and with find_package,
# knowing nothing of the repository, and runs; so does the installed tool.
set -euo pipefail
. "$(dirname "$0")/../lab/common.sh"
. "$(dirname "$0")/lib.sh"

here=$(cd "$(dirname "$0")" && pwd)
work=$BUILD/install/library stage=$BUILD/install/library/stage
prefix=$(sed -n 's/^CMAKE_INSTALL_PREFIX:PATH=//p' "$BUILD/CMakeCache.txt")
root=$stage$prefix

fresh "$work"
quietly "$work/install.log" env "DESTDIR=$stage" cmake --install "$BUILD"
tool=$root/sbin/blkfilter-tool
library=$(find "$root" -name libblkfilter.so)
folder=${library%/*}
[ "$library" ] || fail "no libblkfilter.so"
installed 755 "$tool"
installed 644 "$folder/libblkfilter.so" "$folder/pkgconfig/libblkfilter.pc" "$folder/cmake/blkfilter/blkfilterConfig.cmake" \
    "$root/include/blkfilter/control.hpp"
only_these "$root" 'sbin/blkfilter-tool' 'sbin/filterd' 'sbin/filterctl' 'share/filterd/*' 'share/man/man[58]/filter*' \
    'share/bash-completion/completions/filterctl' 'lib/systemd/system/filterd.service' 'lib/udev/rules.d/*blk*.rules' \
    'lib/*libblkfilter.so*' 'lib/*libblkfilter.pc' 'lib/*blkfilter*.cmake' 'include/blkfilter/*.hpp' \
    'lib/*filterd-plugin.pc' 'lib/*/filterd-plugin/*' 'lib/*filterd/plugins/filterd-cbt-only.so' 'lib/*filterd/plugins/filterd-blksnap.so' 'lib/*filterd/plugins/filterd-redirect.so' 'include/filterd/plugin.h*'
for file in "$tool" "$library"; do
    if readelf -d "$file" | grep -E 'R(UN)?PATH.*(/job|build|'"$BUILD"')'; then
        fail "$file looks for libraries in the build folder"
    fi
done
soname=$(readelf -d "$library" | sed -n 's/.*SONAME.*\[\(.*\)\]/\1/p')
[ -e "$folder/$soname" ] || fail "no $soname"
! grep -rF "$SRC" "$root/include" "$folder/pkgconfig" "$folder/cmake" || fail "installed files name the repository"

export LD_LIBRARY_PATH=$folder
"$tool" --help > /dev/null

# The program answers without a kernel module too: 4 where there is no /dev/blkfilter.
works() { # PROGRAM
    local status=0
    readelf -d "$1" | grep -q "NEEDED.*$soname" || fail "$1 is not linked with $soname"
    "$1" > "$work/output" || status=$?
    grep -qE '^(interface [0-9]+|no core: .+)$' "$work/output" || fail "$1 says: $(cat "$work/output")"
    [ $status = 0 ] || [ $status = 4 ] || fail "$1 ended with $status"
}

# pkg-config, each public header on its own as well.
export PKG_CONFIG_PATH=$folder/pkgconfig PKG_CONFIG_SYSROOT_DIR=$stage
read -ra flags <<< "$(pkg-config --cflags libblkfilter)"
read -ra libraries <<< "$(pkg-config --libs libblkfilter)"
cp "$here/program.cpp" "$work/"
cd "$work"
g++ -Wall -Wextra -Wpedantic -Werror program.cpp "${flags[@]}" "${libraries[@]}" -o by-pkg-config
works ./by-pkg-config
for header in "$root"/include/blkfilter/*.hpp; do
    echo "#include <blkfilter/${header##*/}>" | g++ -Wall -Wextra -Wpedantic -Werror "${flags[@]}" -fsyntax-only -x c++ -
done
version=$(sed -n 's/^set(LIBBLKFILTER_VERSION \(.*\))/\1/p' "$SRC/userspace/libblkfilter/CMakeLists.txt")
[ "$(pkg-config --modversion libblkfilter)" = "$version" ] || fail "pkg-config has another version"

# find_package.
mkdir project
cp program.cpp project/
cat > project/CMakeLists.txt << END
cmake_minimum_required(VERSION 3.25)
project(consumer LANGUAGES CXX)
find_package(blkfilter ${version%.*} REQUIRED)
add_executable(by-cmake program.cpp)
target_link_libraries(by-cmake PRIVATE blkfilter::blkfilter)
END
quietly "$work/project.log" cmake -S project -B project/build "-DCMAKE_PREFIX_PATH=$root"
quietly "$work/project-build.log" cmake --build project/build
works project/build/by-cmake

# The example of a backup program.
cp -r "$SRC/examples/backup" example
quietly "$work/example.log" cmake -S example -B example/build "-DCMAKE_PREFIX_PATH=$root"
quietly "$work/example-build.log" cmake --build example/build
example/build/backup 2> "$work/output" && fail "the example does something without being told what"
grep -q '^backup full DEVICE' "$work/output" || fail "the example says: $(cat "$work/output")"
echo "installed below $root"
