#!/bin/bash
# SPDX-License-Identifier: MIT
# What authors of plugins get: the headers compile on their own; the example's plugin, and one in C, build in a copy outside of the
# repository with find_package and with pkg-config; filterd takes them.
set -euo pipefail
. "$(dirname "$0")/../lab/common.sh"
. "$(dirname "$0")/lib.sh"

work=$BUILD/install/plugin stage=$BUILD/install/plugin/stage
prefix=$(sed -n 's/^CMAKE_INSTALL_PREFIX:PATH=//p' "$BUILD/CMakeCache.txt")
root=$stage$prefix
warnings=(-Wall -Wextra -Wpedantic -Werror)

fresh "$work"
quietly "$work/install.log" env "DESTDIR=$stage" cmake --install "$BUILD"
package=$(find "$root" -name filterd-pluginConfig.cmake)
package=${package%/*}
library=${package%/cmake/*}
installed 644 "$root"/include/filterd/plugin.{h,hpp} "$library/pkgconfig/filterd-plugin.pc" "$library/filterd/plugins/filterd-cbt-only.so" \
    "$package"/{filterd-add-plugin.cmake,plugin.map}
! grep -rF "$SRC" "$root/include/filterd" "$library/pkgconfig" "$package" || fail "installed files name the repository"

# exports_one_name PLUGIN
exports_one_name() {
    local names
    names=$(nm -D --defined-only "$1" | awk '{ print $3 }')
    [ "$names" = filterd_plugin_entry ] || fail "$1 exports $names"
}
exports_one_name "$library/filterd/plugins/filterd-cbt-only.so"
exports_one_name "$library/filterd/plugins/filterd-blksnap.so"
exports_one_name "$library/filterd/plugins/filterd-redirect.so"

# --- each header on its own ---

alone() { # HEADER COMPILER...
    echo "#include <filterd/$1>" | "${@:2}" "${warnings[@]}" -Wshadow -Wconversion "-I$root/include" -fsyntax-only -
}
alone plugin.h gcc -std=c11 -x c
alone plugin.h g++ -std=c++17 -x c++
for standard in c++20 c++23; do
    alone plugin.hpp g++ -std=$standard -Wold-style-cast -Wuseless-cast -x c++
done

# --- a plugin in C++ and one in C, with CMake and with pkg-config ---

cp -r "$SRC/examples/third-party/plugin" "$work/acme-cbt"
mkdir "$work/kept-1"
cp "$SRC/tests/plugins/kept/kept.c" "$work/kept-1/"
cat > "$work/kept-1/CMakeLists.txt" << 'END'
cmake_minimum_required(VERSION 3.25)
project(filterd-kept-1 LANGUAGES C)
find_package(filterd-plugin 1 REQUIRED)
filterd_add_plugin(kept-1 kept.c)
install(TARGETS filterd-plugin-kept-1 LIBRARY DESTINATION ${FILTERD_PLUGIN_FOLDER})
END

# by_cmake NAME: builds and installs it below $work/by-cmake.
by_cmake() {
    quietly "$work/$1.log" cmake -S "$work/$1" -B "$work/$1/build" "-DCMAKE_PREFIX_PATH=$root" "-DCMAKE_C_FLAGS=${warnings[*]}" \
        "-DCMAKE_CXX_FLAGS=${warnings[*]}"
    quietly "$work/$1-build.log" cmake --build "$work/$1/build"
    quietly "$work/$1-install.log" cmake --install "$work/$1/build"
    mv "$library/filterd/plugins/filterd-$1.so" "$work/by-cmake/"
}

# by_pkg_config NAME COMPILER... SOURCE
by_pkg_config() {
    local flags
    read -ra flags <<< "$(PKG_CONFIG_PATH=$library/pkgconfig PKG_CONFIG_SYSROOT_DIR=$stage pkg-config --cflags --libs filterd-plugin)"
    "${@:2}" "${warnings[@]}" "${flags[@]}" -o "$work/by-pkg-config/filterd-$1.so"
}

# taken FOLDER NAME WORDS: filterd says so, with these words.
taken() {
    local file=$work/$1/filterd-$2.so
    exports_one_name "$file"
    chmod 644 "$file"
    "$BUILD/bin/filterd" --check-plugin "$file" > "$work/check.txt" 2>&1 || fail "$file: $(cat "$work/check.txt")"
    grep -qF "good: $2 $3" "$work/check.txt" || fail "$file: $(cat "$work/check.txt")"
}

mkdir "$work/by-cmake" "$work/by-pkg-config"
by_cmake acme-cbt
by_cmake kept-1
by_pkg_config acme-cbt g++ -std=c++20 -O2 "$work/acme-cbt/acme_cbt.cpp"
by_pkg_config kept-1 gcc -std=c11 -O2 "$work/kept-1/kept.c"
plugindir=$(PKG_CONFIG_PATH=$library/pkgconfig pkg-config --variable=plugindir filterd-plugin)
[ "$plugindir" = "${library#"$stage"}/filterd/plugins" ] || fail "pkg-config says that plugins are in $plugindir"
[ "$(id -u)" = 0 ] || { echo "not root: filterd takes only root's plugins"; exit 77; }
mkdir "$work/kept"
cp "$SRC/tests/plugins/kept/filterd-kept-1.so" "$work/kept/"
taken kept kept-1 "1.0: Kept, to be loaded by every later filterd"
for folder in by-cmake by-pkg-config; do
    taken $folder acme-cbt "1.0: A third party's changed-block tracking"
    taken $folder kept-1 "1.0: Kept, to be loaded by every later filterd"
    "$BUILD/bin/filterd" --check --config "$SRC/examples/third-party/acme.yaml" --config-folder "$work/none" \
        --plugin-folder "$work/$folder" > "$work/check.txt" 2>&1 || fail "acme.yaml: $(cat "$work/check.txt")"
done
echo "installed below $root"
