#!/bin/sh
# SPDX-License-Identifier: MIT
# Experiment B's questions on real pictures: a classifier leaves its domain; what brings it back?
#
#   sh bench/domain_gap.sh DATA OUT [pets|daynight]
#
# DATA is a folder with petslight/, fixedcam/ and daynight/ and their manifests; nothing of it is
# copied into the tree.  OUT/summary.md has all tables; killed, the same command goes on.
#
# pets      Who is in a window of a car park's camera: nobody, or somebody on foot?  Trained in the
#           sun, tested under clouds.  The labelled windows (96x96 of 320x240, three places) come
#           from fixedcam/pets2001, the CycleGAN's from the unlabelled frames of petslight: the same
#           three windows, because a frame carried over at 64x64 would leave a walker four pixels.
#           Riders never come by in the sun: no class can be learnt of them, they are left out.
#           By blocks of 25 frames: 3 of 5 train, 1 validation, 1 test; windows of the test blocks
#           are kept from the CycleGAN, too.  It sees clouds up to frame 919 only: test pictures
#           before that are "seen", later ones are "new".
# daynight  Which of 12 fixed webcams is it?  Trained by day, tested at night.  Of each camera's day
#           pictures 3 of 5 train, 1 validation, 1 test; of its night pictures every other one is
#           for the CycleGAN ("seen"), the rest nobody sees before the test ("new").
#
# Environment: BUILD (build), THREADS (2), SIZE (64x64), WIDTH (32), BLOCKS (6), EPOCHS (pets: 8,
# daynight: 40), SEEDS ("1"), GAN (more options of gan train), CLASS_EPOCHS (40), CLASS_LOSS (1: the
# classifier watches the CycleGAN's training)
set -u
export LC_ALL=C
data=${1:?usage: domain_gap.sh DATA OUT [pets|daynight]} out=${2:?OUT is missing}
only=${3:-pets daynight}
here=$(cd "$(dirname "$0")" && pwd)
build=${BUILD:-$here/../build} threads=${THREADS:-2} size=${SIZE:-64x64} width=${WIDTH:-32}
blocks=${BLOCKS:-6} seeds=${SEEDS:-1} gan=${GAN:-}
class_epochs=${CLASS_EPOCHS:-40}
class_loss=${CLASS_LOSS:-0}
tool=$build/examples/edgevision/edgevision
judge=$build/examples/underpass/ev-underpass-judge
for program in "$tool" "$judge" "$build/bench/windows"; do
    [ -x "$program" ] || { echo "$program is not there: build with -Dbench=enabled" >&2; exit 2; }
done
mkdir -p "$out" || exit 6
data=$(cd "$data" && pwd) && out=$(cd "$out" && pwd) || exit 2

must() {
    echo "\$ $*" >&2
    "$@" >/dev/null
    code=$?
    [ $code -eq 0 ] || exit $code
}

table() { # file, command...: its stdout becomes the file, whole or not at all
    file=$1
    shift
    [ -f "$file" ] && return
    echo "\$ $* > $file" >&2
    "$@" >"$file.part" || exit 1
    mv "$file.part" "$file"
}

# ---- who is in which set: train, valid, test; seen, new; a (for the CycleGAN), b ---------------

pets_sets() { # folder
    head=path,label,group
    for part in train valid test seen new a b; do echo $head >"$1/$part.csv"; done
    awk -F, -v d="$data/fixedcam" -v out="$1" '
        $3 != "pets2001" || ($2 != "empty" && $2 != "pedestrian") { next }
        { block = int($5 / 25); row = d "/" $1 "," $2 ",block" block }
        $7 == "sun" { k = block % 5; part = k == 4 ? "test" : k == 2 ? "valid" : "train" }
        $7 == "cloud" { part = $5 < 920 ? "seen" : "new" }
        $7 == "sun" || $7 == "cloud" { print row >> (out "/" part ".csv") }' \
        "$data/fixedcam/manifest.csv"
    mkdir -p "$1/windows"
    awk -F, -v d="$data/petslight" 'NR > 1 && ($2 == "sun" ? int($3 / 25) % 5 != 4 : $3 < 920) {
        print d "/" $1 }' "$data/petslight/manifest.csv" |
        "$build/bench/windows" "$1/windows" 320x240 32,144,96,96 128,144,96,96 224,140,96,96 ||
        exit 1
    for picture in "$1"/windows/*.png; do
        number=$(basename "$picture" | sed 's/^f0*\([0-9]\)/\1/;s/_.*//')
        if [ "$number" -lt 800 ]; then to=b; else to=a; fi
        echo "$picture,picture," >>"$1/$to.csv"
    done
}

daynight_sets() { # folder
    for part in train valid test seen new; do echo path,label,group >"$1/$part.csv"; done
    awk -F, -v d="$data/daynight" -v out="$1" 'NR > 1 {
        k = n[$2, $3]++
        part = $2 == "night" ? (k % 2 ? "new" : "seen") : k % 5 == 4 ? "test" : \
            k % 5 == 2 ? "valid" : "train"
        print d "/" $1 "," $3 "," >> (out "/" part ".csv") }' "$data/daynight/manifest.csv"
    cp "$1/seen.csv" "$1/a.csv" && cp "$1/train.csv" "$1/b.csv"
}

# ---- one data set, one seed --------------------------------------------------------------------

state() {
    sed -n 's/^ *"state": "\([a-z]*\)".*/\1/p' "$1/run.json" 2>/dev/null | head -n 1
}

classify() { # folder, training set, validation set
    case $(state "$1") in
    done) return ;;
    '') rm -rf "$1" ;;
    *) must "$tool" train --resume "$1" --threads "$threads" && return ;;
    esac
    must "$tool" train "$2" --valid "$3" --test "$sets/test.csv" -o "$1" --arch "$arch" \
        --size "$size" --epochs "$class_epochs" --patience 12 --batch 16 --augment light \
        --seed "$seed" --threads "$threads"
}

one_seed() { # folder
    mkdir -p "$1" || exit 6
    classify "$1/classifier" "$sets/train.csv" "$sets/valid.csv"
    net=$1/classifier/model.onnx
    if [ "$(state "$1/gan")" != "done" ]; then
        watch=''
        [ "$class_loss" = 0 ] || watch="--classifier $net"
        # shellcheck disable=SC2086
        must "$tool" gan train "$sets/a.csv" "$sets/b.csv" -o "$1/gan" --size "$size" \
            --width "$width" --d-width "$width" --blocks "$blocks" --epochs "$epochs" --no-flip \
            --keep 0 --seed "$seed" --threads "$threads" \
            $watch $gan
    fi
    g=$1/gan/G_A.onnx back=$1/gan/G_B.onnx
    tests="day=$sets/test.csv seen=$sets/seen.csv new=$sets/new.csv"
    # shellcheck disable=SC2086
    table "$1/answers.csv" "$judge" answers --classifier "$net" --generator "$g" --tag "$seed" \
        --out "$1/inventions.csv" $tests
    table "$1/gap.csv" "$judge" gap --classifier "$net" --inside "$sets/valid.csv" \
        --generator "$g" --back "$back" --tag "$seed" "seen=$sets/seen.csv" "new=$sets/new.csv"
    for score in features energy statistics; do
        # shellcheck disable=SC2086
        table "$1/roads-$score.csv" "$judge" roads --classifier "$net" --generator "$g" \
            --score $score --tag "$seed" --inside "$sets/valid.csv" \
            --calibrate "$sets/seen.csv" $tests
    done
    [ -f "$1/sheet.png" ] || must "$judge" grid --generator "$g" --back "$back" \
        --out "$1/sheet.png" "set=$sets/new.csv"
    for part in train valid; do
        [ -f "$1/both-$part.csv" ] && continue
        must "$judge" carry --generator "$back" --out "$1/carried-$part" "all=$sets/$part.csv"
        {
            cat "$sets/$part.csv"
            sed "1d;s,^,$1/carried-$part/," "$1/carried-$part/truth.csv"
        } >"$1/both-$part.part" && mv "$1/both-$part.part" "$1/both-$part.csv" || exit 6
    done
    classify "$1/classifier-a" "$1/both-train.csv" "$1/both-valid.csv"
    # shellcheck disable=SC2086
    table "$1/roads-a.csv" "$judge" roads --classifier "$1/classifier-a/model.onnx" \
        --inside "$sets/valid.csv" --tag "$seed" $tests
}

# ---- tables -------------------------------------------------------------------------------------

percent_rows() { # of all seeds of one data set: road by set, in % (all pictures; those trusted)
    for seed in $seeds; do
        sed 1d "$out/$name/seed$seed/roads-features.csv"
        for score in energy statistics; do
            sed -n "s/,routed,/,$score,/p" "$out/$name/seed$seed/roads-$score.csv"
        done
        sed '1d;s/,direct,/,retrained,/' "$out/$name/seed$seed/roads-a.csv"
    done | awk -F, '
        { n[$2, $3] += $4; ok[$2, $3] += $5; ab[$2, $3] += $8; tr[$2, $3] += $9; ms[$2] += $11 * $4
          all[$2] += $4; par[$2] = $12 }
        function cell(road, set,    k, right) {
            k = n[road, set] - ab[road, set]
            right = sprintf("%.1f", 100 * ok[road, set] / n[road, set])
            return road !~ /^(routed|energy|statistics)$/ ? right : \
                sprintf("%s (%.1f of the %.0f %% trusted)", right, \
                    k ? 100 * tr[road, set] / k : 0, 100 * k / n[road, set]) }
        function line(title, road) {
            printf "| %s | %s | %s | %s | %.2f | %d |\n", title, cell(road, "day"), \
                cell(road, "seen"), cell(road, "new"), ms[road] / all[road], par[road] }
        END {
            printf "| road | inside (%d) | outside, seen (%d) | outside, new (%d) | ms | ", \
                n["direct", "day"], n["direct", "seen"], n["direct", "new"]
            print "parameters |\n|---|---|---|---|---|---|"
            line("classifier alone", "direct"); line("translate always", "translated")
            line("(a) trained with made pictures", "retrained")
            line("(b) routed by features", "routed"); line("(b) routed by energy", "energy")
            line("(b) routed by statistics", "statistics") }'
}

as_markdown() {
    awk -F, '{ line = "|"; for (i = 1; i <= NF; i++) line = line " " $i " |"; print line
               if (NR == 1) { line = "|"; for (i = 1; i <= NF; i++) line = line "---|"
                              print line } }' "$1"
}

for name in $only; do
    case $name in
    pets) arch=Arch3 epochs=${EPOCHS:-8} ;;
    daynight) arch=Arch3 epochs=${EPOCHS:-40} ;;
    *) echo "$name: must be pets or daynight" >&2 && exit 2 ;;
    esac
    sets=$out/$name/sets
    if [ ! -f "$sets/done" ]; then
        rm -rf "$sets" && mkdir -p "$sets" && "${name}_sets" "$sets" && : >"$sets/done" || exit 6
    fi
    for seed in $seeds; do
        one_seed "$out/$name/seed$seed"
    done
done

summarise() {
    echo "# A real gap"
    for name in pets daynight; do
        [ -f "$out/$name/seed${seeds%% *}/roads-a.csv" ] || continue
        echo
        echo "## $name: $size, width $width, $blocks blocks, seeds $seeds; right answers in %," \
            "pictures in brackets over all seeds, ms on one thread"
        echo
        percent_rows
        for seed in $seeds; do
            folder=$out/$name/seed$seed
            echo
            if [ "$name" = pets ]; then # 12 classes would fill the page
                echo "Seed $seed, how often each class is taken for which:"
                echo
                as_markdown "$folder/answers.csv"
                echo
            fi
            echo "Seed $seed, without labels:"
            echo
            as_markdown "$folder/gap.csv"
            echo
            echo "![real, transformed, reconstructed]($name/seed$seed/sheet.png)"
        done
    done
}
summarise >"$out/summary.part" && mv "$out/summary.part" "$out/summary.md" && echo "$out/summary.md"
