#!/bin/sh
# SPDX-License-Identifier: MIT
# The one command: build and test everything.
#
#   sh tests/run.sh                    the gate (at most 15 minutes on 2 cores)
#   sh tests/run.sh --all              also what is long, before a release
#   sh tests/run.sh release asan       these stages only
#   sh tests/run.sh --list             the stages
#
# On Debian it installs what is missing when it may (root, or sudo without a password); else it says
# what to install and skips what cannot run.  EV_BUILD names the build folder (default: build),
# EV_TESTDATA the test data that are not part of the repository (default: ../shared/testdata when
# there), EV_NO_INSTALL=1 forbids installing, EV_JOBS the number of jobs.
set -u
cd "$(dirname "$0")/.." || exit 2
ROOT=$PWD
BUILD=${EV_BUILD:-$ROOT/build}
JOBS=${EV_JOBS:-$(nproc 2>/dev/null || echo 2)}
if [ -z "${EV_TESTDATA:-}" ] && [ -d "$ROOT/../shared/testdata" ]; then
    EV_TESTDATA=$(cd "$ROOT/../shared/testdata" && pwd)
fi
EV_TESTDATA=${EV_TESTDATA:-}
EV_RUN_ALL=0
export EV_TESTDATA EV_RUN_ALL
LC_ALL=C.UTF-8
export LC_ALL

GATE="style release install bare options qemu aarch64 abi asan tsan fuzz"
LONG="long clang m32 valgrind demo"

PASSED=0 FAILED=0 SKIPPED=0
REASON=
LOG=

have() { command -v "$1" >/dev/null 2>&1; }

# ---- what is needed ----------------------------------------------------------------------------

# The stage's packages beside the common ones.
packages() {
    case $1 in
    style) echo g++ ;;
    release) echo g++ locales ;;
    install) echo g++ ;;
    options) echo libjpeg62-turbo-dev ;;
    qemu) echo qemu-user ;;
    aarch64) echo qemu-user gcc-aarch64-linux-gnu libc6-dev-arm64-cross ;;
    abi) echo abigail-tools ;;
    fuzz | clang) echo clang libclang-rt-14-dev ;;
    m32) echo libc6-dev-i386 lib32gcc-12-dev ;; # gcc-multilib would remove the cross compilers
    valgrind) echo valgrind ;;
    demo) echo gnuplot-nox ;;
    esac
}

install_packages() {
    have dpkg-query || return 0
    missing=
    for p in gcc libc6-dev check meson ninja-build pkg-config libstb-dev python3 binutils \
        $(for s in "$@"; do packages "$s"; done); do
        state=$(dpkg-query -W -f='${Status}' "$p" 2>/dev/null)
        case $state in
        "install ok installed") ;;
        *) case " $missing " in *" $p "*) ;; *) missing="$missing $p" ;; esac ;;
        esac
    done
    [ -n "$missing" ] || return 0
    as=
    if [ "$(id -u)" != 0 ]; then
        if have sudo && sudo -n true 2>/dev/null; then as="sudo -n"; else as=no; fi
    fi
    if [ "$as" = no ] || [ -n "${EV_NO_INSTALL:-}" ]; then
        echo "missing packages; to install them: apt-get install$missing"
        return 0
    fi
    echo "installing:$missing"
    LOG=$BUILD/logs/apt.log
    {
        $as apt-get -q update
        # One after the other when all together fail: one unknown name must not stop the rest.
        $as env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
            install $missing || for p in $missing; do
            $as env DEBIAN_FRONTEND=noninteractive apt-get -q -y --no-install-recommends \
                install "$p"
        done
    } >"$LOG" 2>&1 || echo "not everything could be installed: see $LOG"
}

# need COMMAND...: false, with the reason, when one is missing
need() {
    for c in "$@"; do
        if ! have "$c"; then
            REASON="$c is not installed"
            return 1
        fi
    done
}

# ---- helpers -----------------------------------------------------------------------------------

# configure NAME OPTIONS...: a build folder, made or brought up to date
configure() {
    dir=$BUILD/$1
    shift
    if [ -f "$dir/build.ninja" ]; then
        meson configure "$dir" "$@" && return 0
        rm -rf "$dir"
    fi
    rm -rf "$dir"
    meson setup "$dir" "$ROOT" "$@"
}

# meson_test NAME ARGUMENTS...: run and count
meson_test() {
    dir=$BUILD/$1
    shift
    meson test -C "$dir" --no-rebuild --print-errorlogs --num-processes "$JOBS" "$@" \
        >"$LOG.tests" 2>&1
    code=$?
    cat "$LOG.tests"
    if grep -q 'No suitable tests defined' "$LOG.tests"; then
        REASON="no such tests"
        return 77
    fi
    ok=$(count Ok) bad=$(($(count Fail) + $(count Timeout) + $(count 'Unexpected Pass')))
    skip=$(count Skipped)
    PASSED=$((PASSED + ok)) FAILED=$((FAILED + bad)) SKIPPED=$((SKIPPED + skip))
    DETAIL="$ok passed, $bad failed, $skip skipped"
    return $code
}

count() {
    n=$(sed -n "s/^$1: *\([0-9]*\) *\$/\1/p" "$LOG.tests" | tail -1)
    echo "${n:-0}"
}

skip() {
    REASON=$1
    return 77
}

# ---- stages: 0 passed, 77 skipped with $REASON, else failed --------------------------------------

stage_style() {
    python3 tests/style/check.py && CC=${CC:-cc} python3 tests/abi/abi.py headers
}

stage_release() {
    configure release --werror && ninja --quiet -C "$BUILD/release" -j "$JOBS" || return 1
    meson_test release --suite gate --no-suite style --timeout-multiplier 2
    code=$?
    CC=${CC:-cc}
    [ $code = 0 ] && python3 tests/abi/abi.py symbols "$BUILD/release/lib/libedgevision.so"
}

# The library as a stranger sees it: installed, found by pkg-config, in C and C++.
stage_install() {
    need pkg-config || return 77
    configure install --prefix "$BUILD/installed" --libdir lib -Dtests=disabled \
        -Dexamples=disabled -Dbench=disabled &&
        meson install -C "$BUILD/install" --quiet || return 1
    work=$BUILD/outside
    rm -rf "$work" && mkdir -p "$work" && cp tests/abi/consumer.c "$work" || return 1
    cp tests/abi/consumer.c "$work/consumer.cpp"
    (
        cd "$work" || exit 1
        PKG_CONFIG_PATH=$BUILD/installed/lib/pkgconfig
        export PKG_CONFIG_PATH
        flags=$(pkg-config --cflags --libs edgevision) || exit 1
        static=$(pkg-config --static --cflags --libs edgevision) || exit 1
        # shellcheck disable=SC2086
        set -ex
        cc -Wall -Werror consumer.c $flags -o c_shared
        # With both kinds installed the linker prefers the shared one: hide it.
        mkdir -p only && cp "$BUILD/installed/lib/libedgevision.a" only
        cc -Wall -Werror consumer.c -Lonly $static -o c_static
        cc -Wall -Werror -static consumer.c $static -o c_all_static
        LD_LIBRARY_PATH=$BUILD/installed/lib ./c_shared
        ./c_static
        ./c_all_static
        ldd ./c_static | grep edgevision && exit 1
        if command -v c++ >/dev/null; then
            c++ -Wall -Werror consumer.cpp $flags -o cpp_shared
            c++ -Wall -Werror consumer.cpp -Lonly $static -o cpp_static
            LD_LIBRARY_PATH=$BUILD/installed/lib ./cpp_shared
            ./cpp_static
        fi
        ls -l "$BUILD/installed/lib" "$BUILD/installed/include/edgevision"
    )
}

# bare_build COMPILER OUT FLAGS...: each file of lib by itself, without its meson.build
bare_build() {
    compiler=$1 out=$2
    shift 2
    mkdir -p "$out" && rm -f "$out"/*.o || return 1
    {
        echo "builddir = $out" # where ninja keeps its log
        echo "rule cc"
        echo "  command = $compiler -Iinclude -Ilib $* -c \$in -o \$out"
        for f in lib/*/*.c lib/*/*/*.c; do
            [ -f "$f" ] && echo "build $out/$(echo "$f" | tr / _).o: cc $f"
        done
    } >"$out/build.ninja"
    ninja --quiet -f "$out/build.ninja" -j "$JOBS"
}

stage_bare() {
    bare_build "${CC:-cc}" "$BUILD/bare" -O1 -Wall -Werror &&
        ${CC:-cc} -Iinclude tests/abi/consumer.c "$BUILD"/bare/*.o -lm -lpthread \
            -o "$BUILD/bare/consumer" && "$BUILD/bare/consumer"
}

# Other choices of the build options: they compile without a warning and pass the basic tests.
stage_options() {
    configure small --werror -Dthreading=none -Dcodecs=none -Dtraining=false \
        -Dexamples=disabled -Dbench=disabled -Doptimization=s -Dc_args=-funsigned-char &&
        ninja --quiet -C "$BUILD/small" -j "$JOBS" &&
        meson_test small --suite gate --timeout-multiplier 2 || return 1
    if ${CC:-cc} -fopenmp -E -x c /dev/null >/dev/null 2>&1; then
        configure openmp -Dthreading=openmp -Dtests=disabled -Dexamples=disabled -Dbench=disabled &&
            ninja --quiet -C "$BUILD/openmp" -j "$JOBS" || return 1
    fi
    if pkg-config --exists libjpeg; then
        configure system --werror -Dcodecs=system -Dtests=disabled -Dexamples=disabled \
            -Dbench=disabled && ninja --quiet -C "$BUILD/system" -j "$JOBS" || return 1
    fi
}

# No wide instruction may reach an old processor.
stage_qemu() {
    need qemu-x86_64 || return 77
    [ "$(uname -m)" = x86_64 ] || skip "not an x86-64 machine" || return 77
    evcheck=$BUILD/release/tests/kernels/evcheck
    [ -x "$evcheck" ] || skip "build the stage release first" || return 77
    # The features taken away are those that qemu warns about and nobody uses.
    old_processor Nehalem ref &
    first=$!
    old_processor Haswell,-hle,-rtm,-invpcid,-pcid,-x2apic,-tsc-deadline avx2
    second=$?
    wait $first && [ $second = 0 ]
}

old_processor() {
    echo "== $1"
    timeout 800 qemu-x86_64 -cpu "$1" "$evcheck" --cpu "$2" &&
        timeout 300 qemu-x86_64 -cpu "$1" "$BUILD/release/tests/tensor/test_tensor"
}

stage_aarch64() {
    need qemu-aarch64 aarch64-linux-gnu-gcc || return 77
    set -- tests/kernels/*.c
    [ -f "$1" ] || skip "no tests/kernels" || return 77
    bare_build aarch64-linux-gnu-gcc "$BUILD/aarch64" -O2 -D_DEFAULT_SOURCE -ffp-contract=off \
        -DEVI_CODECS_NONE &&
        aarch64-linux-gnu-gcc -O2 -static -Iinclude -Ilib -Itests -D_DEFAULT_SOURCE "$@" \
            "$BUILD"/aarch64/*.o -lm -lpthread -o "$BUILD/aarch64/evcheck" &&
        aarch64-linux-gnu-gcc -static -Iinclude tests/abi/consumer.c "$BUILD"/aarch64/*.o -lm \
            -lpthread -o "$BUILD/aarch64/consumer" || return 1
    timeout 600 qemu-aarch64 "$BUILD/aarch64/evcheck" --cpu neon &&
        qemu-aarch64 "$BUILD/aarch64/consumer"
}

stage_abi() {
    need abidw abidiff || return 77
    [ -f tests/abi/edgevision.abi ] || skip "no tests/abi/edgevision.abi yet" || return 77
    [ "$(uname -m)" = x86_64 ] || skip "the stored dump is for x86-64" || return 77
    configure abi -Dbuildtype=debugoptimized -Dtests=disabled -Dexamples=disabled \
        -Dbench=disabled &&
        ninja --quiet -C "$BUILD/abi" -j "$JOBS" &&
        sh tests/abi/dump.sh "$BUILD/abi/lib/libedgevision.so" "$BUILD/abi/now.abi" || return 1
    # New functions are fine.  Anything else needs eyes: a field at the end of an options struct may
    # be added (then store the new dump), a removed or changed function may not.
    abidiff --no-added-syms tests/abi/edgevision.abi "$BUILD/abi/now.abi" && return 0
    echo "allowed by docs/api-stability.md? then: sh tests/abi/update-abi.sh" \
        "$BUILD/abi/lib/libedgevision.so"
    return 1
}

stage_asan() {
    configure asan -Db_sanitize=address,undefined -Dbuildtype=debugoptimized -Doptimization=1 \
        -Dexamples=disabled -Dbench=disabled &&
        ninja --quiet -C "$BUILD/asan" -j "$JOBS" || return 1
    UBSAN_OPTIONS=halt_on_error=1:print_stacktrace=1 \
        meson_test asan --suite gate --no-suite style --no-suite slow --timeout-multiplier 6
}

stage_tsan() {
    configure tsan -Db_sanitize=thread -Dbuildtype=debugoptimized -Doptimization=1 \
        -Dexamples=disabled -Dbench=disabled &&
        ninja --quiet -C "$BUILD/tsan" -j "$JOBS" || return 1
    TSAN_OPTIONS=halt_on_error=1 meson_test tsan --suite threads --timeout-multiplier 10
}

stage_fuzz() {
    [ -f tests/fuzz/run.sh ] || skip "no tests/fuzz/run.sh" || return 77
    EV_BUILD=$BUILD sh tests/fuzz/run.sh
}

stage_long() {
    [ -f "$BUILD/release/build.ninja" ] || skip "build the stage release first" || return 77
    meson_test release --suite long --timeout-multiplier 10
}

stage_clang() {
    need clang || return 77
    CC=clang CXX=clang++ configure clang --werror &&
        ninja --quiet -C "$BUILD/clang" -j "$JOBS" || return 1
    meson_test clang --suite gate --no-suite style --timeout-multiplier 2
}

# 32 bits: every kernel, and random calls.
stage_m32() {
    echo '#include <errno.h>
int main(void) { return errno; }' >"$BUILD/m32.c"
    # asm/ is that of the 64-bit headers, which gcc-multilib would link to
    asm="-idirafter /usr/include/x86_64-linux-gnu"
    # shellcheck disable=SC2086
    gcc -m32 $asm "$BUILD/m32.c" -o "$BUILD/m32.out" || skip "gcc -m32 does not work" || return 77
    flags="-m32 -msse2 -mfpmath=sse -O2 -Wno-psabi -D_DEFAULT_SOURCE -ffp-contract=off"
    flags="$flags -DEVI_CODECS_NONE $asm"
    # shellcheck disable=SC2086
    bare_build gcc "$BUILD/m32" $flags -Wall -Werror &&
        python3 tests/api/generate.py "$BUILD/m32/functions.inc" tests/api/arguments.txt \
            include/edgevision/*.h &&
        gcc $flags -Iinclude -Ilib -Itests tests/kernels/*.c "$BUILD"/m32/*.o -lm -lpthread \
            -o "$BUILD/m32/evcheck" &&
        gcc $flags -Iinclude -Itests/api -Itests/fuzz -I"$BUILD/m32" tests/api/table.c \
            tests/api/world.c tests/fuzz/engine.c tests/fuzz/driver.c tests/fuzz/fuzz_graph.c \
            "$BUILD"/m32/*.o -lm -lpthread -o "$BUILD/m32/fuzz_graph" || return 1
    python3 tests/fuzz/seeds.py "$BUILD/m32/seed"
    timeout 600 "$BUILD/m32/evcheck" --cpu ref &&
        "$BUILD/m32/fuzz_graph" --seconds 10 "$BUILD/m32/seed"
}

stage_valgrind() {
    need valgrind || return 77
    [ -f "$BUILD/release/build.ninja" ] || skip "build the stage release first" || return 77
    CK_FORK=no meson_test release --suite valgrind --timeout-multiplier 20 \
        --wrapper 'valgrind -q --error-exitcode=9 --leak-check=full'
}

stage_demo() {
    [ -f examples/demo.sh ] || skip "no examples/demo.sh" || return 77
    sh examples/demo.sh --quick
}

# ---- the run -----------------------------------------------------------------------------------

run_stage() {
    name=$1
    LOG=$BUILD/logs/$name.log
    REASON='' DETAIL=''
    before=$FAILED
    start=$(date +%s)
    "stage_$name" >"$LOG" 2>&1
    code=$?
    seconds=$(($(date +%s) - start))
    case $code in
    0)
        [ -n "$DETAIL" ] || PASSED=$((PASSED + 1))
        printf '%-9s PASSED  %4d s  %s\n' "$name" $seconds "$DETAIL"
        ;;
    77)
        SKIPPED=$((SKIPPED + 1))
        printf '%-9s SKIPPED %4d s  %s\n' "$name" $seconds "$REASON"
        ;;
    *)
        [ "$FAILED" -gt "$before" ] || FAILED=$((FAILED + 1))
        printf '%-9s FAILED  %4d s  %s (log: %s)\n' "$name" $seconds "$DETAIL" "$LOG"
        tail -n 40 "$LOG" | sed 's/^/    | /'
        ;;
    esac
}

stages=
for arg in "$@"; do
    case $arg in
    --all) EV_RUN_ALL=1 stages="$stages $GATE $LONG" ;;
    --list)
        echo "gate: $GATE"
        echo "--all: $LONG"
        exit 0
        ;;
    -h | --help)
        sed -n '3,14s/^# \{0,1\}//p' tests/run.sh
        exit 0
        ;;
    *)
        case " $GATE $LONG " in
        *" $arg "*) stages="$stages $arg" ;;
        *)
            echo "unknown stage: $arg (sh tests/run.sh --list)" >&2
            exit 2
            ;;
        esac
        ;;
    esac
done
[ -n "$stages" ] || stages=$GATE

mkdir -p "$BUILD/logs" || exit 2
# shellcheck disable=SC2086
install_packages $stages
for tool in cc meson ninja python3; do
    if ! have $tool; then
        echo "$tool is missing: nothing can be tested without it" >&2
        echo "0 passed, 1 failed, 0 skipped"
        exit 1
    fi
done
for s in $stages; do
    run_stage "$s"
done
echo "$PASSED passed, $FAILED failed, $SKIPPED skipped"
[ $FAILED = 0 ]
