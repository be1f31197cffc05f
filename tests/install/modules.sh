#!/bin/bash
# SPDX-License-Identifier: MIT
# modules.sh SERIES: "make install" into a staging root; a filter of somebody else builds against only what is there, its symbol
# versions are the core's; the headers compile as C and C++; dkms.conf says what is true.
set -euo pipefail
. "$(dirname "$0")/../lab/common.sh"
. "$(dirname "$0")/lib.sh"

series=$1
[ -e "$BUILD/lab/headers-$series.env" ] || { echo "the headers of $series are not prepared: run tests/lab/kernels.sh"; exit 77; }
# shellcheck source=/dev/null
. "$BUILD/lab/headers-$series.env"
work=$BUILD/install/$series stage=$BUILD/install/$series/stage
devel=$stage/usr/src/blkfilter updates=$stage/lib/modules/$RELEASE/updates/blkfilter
symvers=$devel/$RELEASE/Module.symvers

fresh "$stage"
kernel_sources "$work/kernel"
quietly "$work/install.log" make -C "$work/kernel" "-j$JOBS" "KDIR=$KDIR" "DESTDIR=$stage" install

# --- what is there, and what is not ---

modules=()
for name in blkfilter blkfilter-cbt blkfilter-redirect blksnap; do
    module=$(find "$updates" -name "$name.ko*")
    [ "$(wc -l <<< "$module")" = 1 ] || fail "$name.ko is there more than once or not at all: $module"
    modules+=("$module")
done
installed 644 "${modules[@]}" "$symvers" "$stage"/usr/include/linux/{blk-filter,blkfilter-control,blkfilter-cbt,blkfilter-redirect,blksnap}.h \
    "$devel"/include/linux/blk-filter.h "$devel"/include/uapi/linux/{blk-filter,blkfilter-control,blkfilter-cbt,blkfilter-redirect,blksnap}.h
only_these "$stage" "${modules[@]#"$stage/"}" "lib/modules/$RELEASE/modules.*" "usr/src/blkfilter/$RELEASE/Module.symvers" \
    'usr/src/blkfilter/include/linux/*.h' 'usr/src/blkfilter/include/uapi/linux/*.h' 'usr/include/linux/blk*.h'
for module in "${modules[@]}"; do
    for field in license description version; do
        modinfo -F "$field" "$module" | grep -q . || fail "$module has no $field"
    done
    modinfo -F vermagic "$module" | grep -q "^$RELEASE " || fail "$module is not for $RELEASE"
done
modinfo -F parm "${modules[0]}" | grep -q ioctl_hook || fail "the core has no parameter ioctl_hook"
for symbol in blkfilter_{register,unregister,take,resume,end,submit_below,submit_other,changed,event,point,points,device_get,device_put,stacked_on,start}; do
    grep -qP "\t$symbol\t.*\tEXPORT_SYMBOL_GPL" "$symvers" || fail "$symbol is not exported, or not to GPL modules only"
done

# --- a filter of somebody else: the tests' one, and the example in the documentation ---

fresh "$work/third-party"
cp "$SRC/tests/vm/module/blkfilter-test.c" "$work/third-party/"
# shellcheck disable=SC2016 # backquotes of Markdown
sed -n '/^## The smallest filter/,$ { /^```c$/,/^```$/ { /^```/d; p }; /^```$/q }' "$SRC/docs/filters.md" > "$work/third-party/my-filter.c"
grep -q module_init "$work/third-party/my-filter.c" || fail "docs/filters.md has no example of a whole filter"
cat > "$work/third-party/Kbuild" << END
obj-m := blkfilter-test.o my-filter.o
ccflags-y += -I$devel/include -I$devel/include/uapi -Wall -Werror
END
quietly "$work/third-party.log" make -C "$KDIR" "M=$work/third-party" "-j$JOBS" "KBUILD_EXTRA_SYMBOLS=$symvers" modules
# The tutorial's, as it says.
fresh "$work/acme"
cp -r "$SRC/examples/third-party/module/." "$work/acme"
quietly "$work/acme.log" make -C "$work/acme" "RELEASE=$RELEASE" "KDIR=$KDIR" "DEVEL=$devel"
if grep -E 'WARNING|undefined' "$work/third-party.log" "$work/acme.log"; then
    fail "a third party's filter does not find everything"
fi
for name in third-party/blkfilter-test third-party/my-filter acme/acme-cbt; do
    filter=$work/$name.ko
    modinfo -F depends "$filter" | grep -qw blkfilter || fail "$name does not depend on blkfilter"
    # Nothing but the installed headers was read.
    if grep -rlF -e "$SRC/kernel" -e "$work/kernel" "${filter%/*}" --include='.*.cmd' | grep .; then
        fail "$name was built with headers that are not installed"
    fi
    modprobe --dump-modversions "$filter" | while read -r version symbol; do
        wanted=$(awk -v symbol="$symbol" '$2 == symbol { print $1 }' "$symvers")
        [ -z "$wanted" ] || [ $((version)) = $((wanted)) ] || fail "$name: version of $symbol is $version, not $wanted"
    done
    [ "$(modprobe --dump-modversions "$filter" | grep -c blkfilter_)" -ge 2 ] || fail "$name has no symbol versions of the core"
done

# --- the headers for programs, each on its own ---

for header in blk-filter blkfilter-control blkfilter-cbt blkfilter-redirect blksnap; do
    printf '#include <linux/%s.h>\nint main(void) { return 0; }\n' $header > "$work/program.c"
    for compiler in 'gcc -std=c11' 'g++ -x c++ -std=c++17'; do
        # shellcheck disable=SC2086 # several words
        $compiler -Wall -Wextra -Wpedantic -Werror "-I$stage/usr/include" "$work/program.c" -o "$work/program"
        "$work/program"
    done
done

# --- dkms.conf: what dkms would do with it ---

# shellcheck disable=SC2034 # dkms.conf uses them
dkms_build() (
    kernelver=$RELEASE kernel_source_dir=$KDIR arch=x86_64
    # shellcheck source=/dev/null
    . "$SRC/kernel/dkms.conf"
    version=$(sed -n 's/^set(LIBBLKFILTER_VERSION \(.*\))/\1/p' "$SRC/userspace/libblkfilter/CMakeLists.txt")
    [ "$PACKAGE_NAME" = blkfilter ] || fail "PACKAGE_NAME is $PACKAGE_NAME"
    [ "$PACKAGE_VERSION" = "$version" ] || fail "PACKAGE_VERSION is $PACKAGE_VERSION, the library's $version"
    [[ ${DEST_MODULE_LOCATION[0]} = /* ]] || fail "DEST_MODULE_LOCATION does not begin with a slash"
    [ "$AUTOINSTALL" = yes ] || fail "AUTOINSTALL is not yes"
    built=${BUILT_MODULE_LOCATION[0]}/${BUILT_MODULE_NAME[0]}.ko
    cd "$work/kernel"
    eval "$CLEAN"
    [ ! -e "$built" ] || fail "CLEAN does not clean"
    eval "${MAKE[0]}"
    [ -e "$built" ] || fail "MAKE does not make $built"
)
bash -n "$SRC/kernel/dkms.conf"
quietly "$work/dkms.log" dkms_build
echo "installed below $stage for $RELEASE"
