#!/bin/sh
# SPDX-License-Identifier: MIT
# Fuzz every reader with libFuzzer under ASan and UBSan: the stored findings first, then
# FUZZ_SECONDS (default 20; 300 with EV_RUN_ALL=1) each.  Needs clang with its fuzzer library.
#
#   sh tests/fuzz/run.sh [onnx image manifest checkpoint gan api graph options]
#
# FUZZ_SEED starts the draws (default 1: the gate repeats itself; with EV_RUN_ALL=1 a new one each
# time).  EV_BUILD names the build folder.  Findings stay in $EV_BUILD/fuzz; a file that failed once
# belongs into tests/fuzz/corpus/<target>/, where it is replayed for ever.
set -u
cd "$(dirname "$0")/../.." || exit 2
mkdir -p "${EV_BUILD:-$PWD/build}/fuzz/scratch" || exit 2
BUILD=$(cd "${EV_BUILD:-$PWD/build}/fuzz" && pwd)
JOBS=${EV_JOBS:-$(nproc 2>/dev/null || echo 2)}
DATA=${EV_TESTDATA:-}
if [ "${EV_RUN_ALL:-0}" = 1 ]; then SECONDS_EACH=${FUZZ_SECONDS:-300} SEED=${FUZZ_SEED:-0}
else SECONDS_EACH=${FUZZ_SECONDS:-20} SEED=${FUZZ_SEED:-1}; fi
[ $# -gt 0 ] || set -- onnx image manifest checkpoint gan api graph options

echo 'int LLVMFuzzerTestOneInput(const char *p, long n); int LLVMFuzzerTestOneInput(const char *p,
    long n) { return p == 0 && n != 0; }' >"$BUILD/probe.c"
if ! clang -fsanitize=fuzzer,address "$BUILD/probe.c" -o "$BUILD/probe" 2>"$BUILD/probe.log"; then
    echo "SKIPPED: no clang with libFuzzer (apt-get install clang libclang-rt-14-dev)"
    exit 77
fi

# ---- build: the library once, a program for each target ------------------------------------------
FLAGS="-std=c11 -D_DEFAULT_SOURCE -O1 -g -fno-omit-frame-pointer -ffp-contract=off
    -fno-sanitize-recover=all -DFUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION -Iinclude -Ilib
    -Itests/fuzz -Itests/api -I$BUILD"
python3 tests/api/generate.py "$BUILD/functions.inc" tests/api/arguments.txt \
    include/edgevision/*.h || exit 1
{
    echo "builddir = $BUILD" # where ninja keeps its log
    echo "flags = $(echo $FLAGS)"
    echo "libs = -lm -lpthread"
    echo "rule cc"
    echo "  command = clang \$flags -fsanitize=fuzzer-no-link,address,undefined -c \$in -o \$out"
    echo "rule ar"
    echo "  command = rm -f \$out && ar rcs \$out \$in"
    echo "rule fuzzer"
    echo "  command = clang \$flags -fsanitize=fuzzer,address,undefined \$in \$libs -o \$out"
    echo "rule seed"
    echo "  command = clang \$flags -DFUZZ_SEED -fsanitize=address,undefined \$in \$libs -o \$out"
    objects=
    for f in lib/*/*.c lib/*/*/*.c; do
        [ -f "$f" ] || continue
        o=$BUILD/$(echo "$f" | tr / _).o
        echo "build $o: cc $f"
        objects="$objects $o"
    done
    echo "build $BUILD/library.a: ar $objects"
    for t in "$@"; do
        more=
        case $t in api | graph | options)
            more="tests/fuzz/engine.c tests/api/table.c tests/api/world.c" ;;
        esac
        echo "build $BUILD/fuzz_$t: fuzzer tests/fuzz/fuzz_$t.c $more $BUILD/library.a"
    done
    for t in checkpoint gan; do
        case " $* " in *" $t "*)
            echo "build $BUILD/seed_$t: seed tests/fuzz/fuzz_$t.c $BUILD/library.a" ;;
        esac
    done
} >"$BUILD/build.ninja"
ninja --quiet -f "$BUILD/build.ninja" -j "$JOBS" || exit 1

# ---- seeds: small files of the test data, when there are any -----------------------------------
seeds() {
    case $1 in
    onnx) [ -n "$DATA" ] && find "$DATA/onnx-node" -name '*.onnx' -size -16k ;;
    image) [ -n "$DATA" ] && find "$DATA/images" -type f -size -8k ! -name '*.tsv' ;;
    manifest)
        printf 'path,label,group,x\na.png,cat,1,"a ""b"",\nc"\nb.png,dog,2,\n' >"$BUILD/one.csv"
        printf '\357\273\277path,label\r\n../a.png,cat\r\n' >"$BUILD/two.csv"
        echo "$BUILD/one.csv"
        echo "$BUILD/two.csv" ;;
    api | graph | options) # any bytes will do, if there are enough of them
        set -- "$BUILD/1.calls" "$BUILD/2.calls" "$BUILD/3.calls" "$BUILD/4.calls" \
            "$BUILD/5.calls" "$BUILD/6.calls" "$BUILD/7.calls" "$BUILD/8.calls"
        python3 tests/fuzz/seeds.py "$@" && echo "$@" ;;
    checkpoint | gan)
        "$BUILD/seed_$1" "$BUILD/$1.safetensors" && echo "$BUILD/$1.safetensors" ;;
    esac
}

failed=0
for t in "$@"; do
    work=$BUILD/corpus_$t
    if [ ! -d "$work" ]; then
        mkdir -p "$work"
        n=0
        for f in $(seeds "$t"); do
            n=$((n + 1))
            cp "$f" "$work/seed$n"
        done
    fi
    stored=
    [ -d "tests/fuzz/corpus/$t" ] && stored=$PWD/tests/fuzz/corpus/$t
    # sequences of calls write files where they run
    # shellcheck disable=SC2086
    if (cd "$BUILD/scratch" && exec "$BUILD/fuzz_$t" -max_total_time="$SECONDS_EACH" \
        -seed="$SEED" -timeout=10 -rss_limit_mb=2048 -max_len=65536 -print_final_stats=1 \
        -artifact_prefix="$BUILD/found_${t}_" "$work" $stored) >"$BUILD/$t.log" 2>&1; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$BUILD/$t.log")
        echo "$t: ${runs:-?} runs in $SECONDS_EACH s, nothing found"
    else
        failed=1
        echo "$t: FAILED"
        tail -n 60 "$BUILD/$t.log"
    fi
done
exit $failed
