#!/bin/sh
# SPDX-License-Identifier: MIT
# Experiment B of the paper (section 3.3), by one command: can a CycleGAN carry pictures back?
#
#   sh examples/underpass/experiment_b.sh --out DIR
#
# Draws the pictures, trains the paper's M5 (Arch5) on day only, trains a CycleGAN on 1,128 frames
# without labels (half day, half night), picks its best epoch on a small labelled night set of its
# own, and judges: by day, by night, and at night after translation (night2day).  Beside it the two
# other roads: night pictures made of the training pictures (a), routing by a score (b).
#
# DIR then holds summary.md, figure8.csv and .svg, figure9_direct.csv, figure9_translated.csv,
# roads.csv, inventions.csv, answers.csv, gap.csv and, for each seed, sheets of pictures (real,
# transformed, reconstructed: figures 4 and 10), both generators and the losses.
#
# Killed, or stopped with Ctrl-C, the same command goes on where it was.  Started several times, the
# processes share DIR, a seed each.
#
#   --out DIR          where everything goes (default: runs/experiment_b)
#   --domain NAME      what comes from outside: night or spray (default night)
#   --size WxH         of the pictures, divisible by 4 (default 128x128)
#   --width N          filters of the generators' first convolution (default 32)
#   --d-width N        the same of the discriminators (default: as --width)
#   --blocks N         residual blocks (default 6)
#   --epochs N         of the CycleGAN (default 20)
#   --keep N           every so many epochs may be chosen (default: a fifth of --epochs)
#   --seeds LIST       runs: classifier and CycleGAN of each (default 1,2,3)
#   --frames N         for the CycleGAN, half of each domain; test sets shrink with fewer than 1128
#   --gan "OPTIONS"    further options of edgevision gan train (default "--no-flip": the camera
#                      is fixed, nothing is ever seen mirrored)
#   --class-loss       the classifier watches the CycleGAN's training (no labels are needed)
#   --labelled N       labelled day pictures of a campaign, in the paper's proportions (2241)
#   --campaigns N      that many times, each with other people (default 3)
#   --arch NAME        classifier (default Arch5, the paper's M5)
#   --class-epochs N   its training: at most so many (default 20), patience 5
#   --classifier MODEL an ONNX file instead; road (a) is trained all the same
#   --no-roads         tables and figures of the CycleGAN only
#   --threads N        of each process (default 0: all cores)
#   --build DIR        build folder with the programs (default: build)
#   --quick            all of it tiny, in a minute: to see that it works
set -u
LC_ALL=C
export LC_ALL

die() {
    code=$1
    shift
    echo "experiment_b: $*" >&2
    exit "$code"
}

root=$(cd "$(dirname "$0")/../.." && pwd) || exit 6
out=runs/experiment_b domain=night size=128x128 width=32 d_width='' blocks=6 epochs=20 keep=''
seeds=1,2,3 frames=1128 gan_options=--no-flip class_loss=0 labelled=2241 campaigns=3 arch=Arch5
class_epochs=20 classifier='' roads=1 threads=0 build=${EV_BUILD:-$root/build}
while [ $# -gt 0 ]; do
    case $1 in
    -h | --help)
        sed -n '3,/^set/s/^# \{0,1\}//p' "$0"
        exit 0
        ;;
    --class-loss) class_loss=1 && shift && continue ;;
    --no-roads) roads=0 && shift && continue ;;
    --quick)
        size=32x32 width=8 blocks=1 epochs=2 keep=1 seeds=1 frames=96 labelled=160 campaigns=1
        arch=Arch2 class_epochs=8
        shift
        continue
        ;;
    --*) [ $# -ge 2 ] || die 2 "$1 needs a value" ;;
    esac
    case $1 in
    --out) out=$2 ;;
    --domain) domain=$2 ;;
    --size) size=$2 ;;
    --width) width=$2 ;;
    --d-width) d_width=$2 ;;
    --blocks) blocks=$2 ;;
    --epochs) epochs=$2 ;;
    --keep) keep=$2 ;;
    --seeds) seeds=$2 ;;
    --frames) frames=$2 ;;
    --gan) gan_options=$2 ;;
    --labelled) labelled=$2 ;;
    --campaigns) campaigns=$2 ;;
    --arch) arch=$2 ;;
    --class-epochs) class_epochs=$2 ;;
    --classifier) classifier=$2 ;;
    --threads) threads=$2 ;;
    --build) build=$2 ;;
    *) die 2 "there is no option $1; --help lists them" ;;
    esac
    shift 2
done
for number in "$width" "$blocks" "$epochs" "$frames" "$labelled" "$campaigns" "$class_epochs" \
    "${keep:-1}" "${d_width:-1}"; do
    case $number in '' | 0 | *[!0-9]*) die 2 "$number: must be a number above 0" ;; esac
done
case $domain in night | spray) ;; *) die 2 "--domain $domain: must be night or spray" ;; esac
case $seeds in '' | *[!0-9,]*) die 2 "--seeds $seeds: numbers with commas" ;; esac
[ "$frames" -ge 64 ] || die 2 "--frames $frames: at least 64"
[ "$labelled" -ge 80 ] || die 2 "--labelled $labelled: at least 80"
[ -z "$classifier" ] || [ -f "$classifier" ] || die 2 "--classifier $classifier: no such file"
d_width=${d_width:-$width}
workers=$threads # the judge wants a number
[ "$threads" != 0 ] || workers=$(getconf _NPROCESSORS_ONLN 2>/dev/null) || workers=1
keep=${keep:-$(((epochs + 4) / 5))}
tool=$build/examples/edgevision/edgevision
render=$build/examples/underpass/ev-underpass-render
judge=$build/examples/underpass/ev-underpass-judge
for program in "$tool" "$render" "$judge"; do
    [ -x "$program" ] || die 2 "$program is not there: meson setup build && ninja -C build" \
        "(pictures need stb_image_write.h), or --build DIR"
done
mkdir -p "$out" || exit 6
out=$(cd "$out" && pwd) || exit 6

# One folder, one set of options: results of different ones are never mixed.
options="--domain $domain --size $size --width $width --d-width $d_width --blocks $blocks \
--epochs $epochs --keep $keep --frames $frames --gan '$gan_options' --labelled $labelled \
--campaigns $campaigns --arch $arch --class-epochs $class_epochs --classifier '$classifier' \
class-loss $class_loss"
if [ -f "$out/options.txt" ]; then
    [ "$options" = "$(cat "$out/options.txt")" ] || die 2 "$out was made with other options:
$(cat "$out/options.txt")
choose another --out, or the same options"
else
    echo "$options" >"$out/.options.$$" && mv "$out/.options.$$" "$out/options.txt" || exit 6
fi

must() { # say the command, then do it (the lock knows by whom); its table is not wanted here
    echo "\$ $*" >&2
    # shellcheck disable=SC2016
    sh -c 'echo "$0 $$" >"$1"; shift; exec "$@"' "$here" "$held/worker" "$@" >/dev/null
    code=$?
    [ $code -eq 0 ] || exit $code
}

table() { # file, command...: its stdout becomes the file, whole or not at all
    file=$1
    shift
    [ -f "$file" ] && return
    echo "\$ $* > $file" >&2
    "$@" >"$file.$$"
    code=$?
    [ $code -eq 0 ] || exit $code
    mv "$file.$$" "$file" || exit 6
}

# ---- locks: a folder that names its owner; owners that were killed lose it -----------------------

here=$(hostname)
held=''
unlock() {
    [ -z "$held" ] || rm -rf "$held"
    held=''
}
claim() { # false: somebody else is at it
    lock=$out/.lock-$1
    if ! mkdir "$lock" 2>/dev/null; then
        owner=$(cat "$lock/owner" 2>/dev/null) || owner=''
        case $owner in
        "$here "*) ;;
        '') [ -n "$(find "$lock" -maxdepth 0 -mmin +1 2>/dev/null)" ] || return 1 ;;
        *) return 1 ;; # of another machine: only its user can tell
        esac
        worker=$(cat "$lock/worker" 2>/dev/null) || worker='' # outlives an owner that was killed
        for process in "${owner##* }" "${worker##* }"; do
            [ -z "$process" ] || ! kill -0 "$process" 2>/dev/null || return 1
        done
        rm -rf "$lock"
        mkdir "$lock" 2>/dev/null || return 1
    fi
    held=$lock
    echo "$here $$" >"$lock/owner"
}
trap unlock EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# ---- pictures -----------------------------------------------------------------------------------

pictures=$out/pictures

draw() { # folder, domain, seed, counts
    [ -f "$pictures/$1/truth.csv" ] && return
    rm -rf "$pictures/$1.aside"
    must "$render" --quiet --out "$pictures/$1.aside" --size "$size" --domain "$2" --seed "$3" \
        --counts "$4" --exact --threads 2
    mv -T "$pictures/$1.aside" "$pictures/$1" || exit 6
}

list() { # folder...: path,label,group of campaigns, as seen from $pictures
    echo path,label,group
    for folder in "$@"; do
        awk -F, -v f="$folder" 'NR > 1 { print f "/" $1 "," $2 "," f "-" $3 }' \
            "$pictures/$folder/truth.csv" || exit 6
    done
}

shares() { # n: as many of each class as the paper had, of 2,241
    awk -v n="$1" 'BEGIN { d = int(n * 180 / 2241 + 0.5); b = int(n * 253 / 2241 + 0.5)
        p = int((n - d - b) / 2)
        printf "dog=%d,pedestrian=%d,bicyclist=%d,empty=%d", d, p, b, n - d - b - p }'
}

scaled() { # of the paper's table 2, for fewer frames
    awk -v n="$1" -v f="$frames" 'BEGIN { n = f < 1128 ? int(n * f / 1128 + 0.5) : n
        print n < 2 ? 2 : n }'
}

half=$((frames / 2))
day_counts="pedestrian=$(scaled 180),bicyclist=$(scaled 50),empty=$(scaled 180)"
out_counts="pedestrian=$(scaled 106),bicyclist=$(scaled 60),empty=$(scaled 106)"
valid_counts="pedestrian=$(scaled 40),bicyclist=$(scaled 20),empty=$(scaled 40)"

# The dome is sprayed once: all sprayed pictures are of one campaign, each clip in one part only.
# A clip goes to the part that lacks most of what is in it.
divide() { # manifest, then NAME=FILE=COUNTS...
    from=$1
    shift
    awk -F, -v parts="$*" '
        function start(   w, x, y, z, i, k) {
            n = split(parts, w, " ")
            for (p = 1; p <= n; p++) {
                split(w[p], x, "@")
                file[p] = x[1]
                k = split(x[2], y, ",")
                for (i = 1; i <= k; i++) {
                    split(y[i], z, "=")
                    sub(/^dog$/, "dog_walker", z[1])
                    need[p, z[1]] = all[p, z[1]] = z[2]
                }
                print "path,label,group" > file[p]
            }
        }
        function give(   p, best, most, gain, i) {
            best = 0; most = 0
            for (p = 1; p <= n; p++) {
                gain = 0
                for (i = 1; i <= m; i++)
                    if (need[p, label[i]] > 0) gain += need[p, label[i]] / all[p, label[i]]
                if (gain > most) { most = gain; best = p }
            }
            for (i = 1; best && i <= m; i++)
                if (need[best, label[i]]-- > 0) print line[i] > file[best]
            m = 0
        }
        NR == 1 { start() }
        NR > 1 { if ($3 != group) give(); group = $3; line[++m] = $0; label[m] = $2 }
        END {
            give()
            for (key in need) if (need[key] > 0) {
                split(key, which, SUBSEP)
                print "experiment_b: " need[key] " " which[2] " are missing in " \
                    file[which[1]] > "/dev/stderr"
                missing = 1
            }
            exit missing
        }' "$from"
}

set_of() { # manifest, class, number: so many, evenly spread
    awk -F, -v class="$2" -v want="$3" 'FNR == 1 { if (NR == 1) print; pass++ }
        FNR > 1 && $2 == class { if (pass == 1) { have++; next }
            k++; if (int(k * want / have) > int((k - 1) * want / have)) print }' "$1" "$1"
}

draw_all() {
    mkdir -p "$pictures" || exit 6
    names='' i=1
    while [ $i -le "$campaigns" ]; do
        draw labelled$i day $i "$(shares "$labelled")"
        names="$names labelled$i"
        i=$((i + 1))
    done
    draw gan-day day 101 "$(shares $half)"
    draw fresh-day day 102 "$day_counts"
    # shellcheck disable=SC2086
    list $names >"$pictures/labelled.csv"
    awk -F, -v t="$pictures/train.csv" -v v="$pictures/valid.csv" '
        NR == 1 { print > t; print > v; next }
        $3 != group { group = $3; n++ }
        { print > (n % 5 == 3 ? v : t) }' "$pictures/labelled.csv" || exit 6
    list gan-day >"$pictures/gan-day.csv"
    list fresh-day >"$pictures/fresh-day.csv"
    if [ "$domain" = spray ]; then
        draw spray spray 201 "$(shares $((half * 4 > 500 ? half * 4 : 500)))" # enough clips
        list spray >"$pictures/spray.csv"
        divide "$pictures/spray.csv" "$pictures/gan-out.csv@$(shares $half)" \
            "$pictures/fresh-out.csv@$out_counts" "$pictures/valid-out.csv@$valid_counts" || exit 6
    else
        draw gan-night night 201 "$(shares $half)"
        draw fresh-night night 202 "$out_counts"
        draw valid-night night 203 "$valid_counts"
        for part in gan fresh valid; do list $part-night >"$pictures/$part-out.csv"; done
    fi
    for pair in PedSet:pedestrian:180:106 BikeSet:bicyclist:50:60 EmpSet:empty:180:106; do
        name=${pair%%:*} rest=${pair#*:}
        class=${rest%%:*} rest=${rest#*:}
        for kind in gan fresh; do
            set_of "$pictures/$kind-day.csv" "$class" "$(scaled "${rest%:*}")" \
                >"$pictures/$kind-day-$name.csv"
            set_of "$pictures/$kind-out.csv" "$class" "$(scaled "${rest#*:}")" \
                >"$pictures/$kind-out-$name.csv"
        done
    done
    : >"$pictures/done"
}

if [ ! -f "$pictures/done" ]; then
    until claim pictures; do sleep 2; done
    [ -f "$pictures/done" ] || draw_all
    unlock
fi

# ---- one seed -----------------------------------------------------------------------------------

state() { # of a run's folder
    sed -n 's/^ *"state": "\([a-z]*\)".*/\1/p' "$1/run.json" 2>/dev/null | head -n 1
}

classify() { # folder, training set, validation set, seed
    case $(state "$1") in
    done) return ;;
    '') rm -rf "$1" ;;
    *) must "$tool" train --resume "$1" --threads "$threads" && return ;;
    esac
    must "$tool" train "$2" --valid "$3" --test "$pictures/fresh-day.csv" -o "$1" --arch "$arch" \
        --size "$size" --epochs "$class_epochs" --patience 5 --seed "$4" --threads "$threads"
}

chosen_epoch() { # folder of the CycleGAN's run, classifier, where the two generators go
    [ -f "$3/G_B.onnx" ] && return
    echo "\$ $tool gan select $1 --by $2 --data $pictures/valid-out.csv --json" >&2
    "$tool" gan select "$1" --by "$2" --data "$pictures/valid-out.csv" --json \
        --threads "$threads" >"$3/select.json"
    code=$?
    [ $code -le 1 ] || exit $code # 1: no epoch helps; that is a result, too
    epoch=$(sed -n 's/.*"best": {"epoch": \([0-9]*\).*/\1/p' "$3/select.json")
    [ -n "$epoch" ] || die 70 "$3/select.json names no epoch"
    name=$(printf %03d "$epoch")
    cp "$1/epochs/G_A-$name.onnx" "$3/G_A.onnx" && cp "$1/epochs/G_B-$name.onnx" "$3/.G_B.onnx" &&
        mv "$3/.G_B.onnx" "$3/G_B.onnx" || exit 6
}

answers_of() { # folder, classifier, prefix of files, generator or nothing
    # shellcheck disable=SC2086
    table "$1/$3answers-day.csv" "$judge" answers --classifier "$2" --tag "$tag" $each_day
    for kind in gan fresh; do
        rows=''
        for name in PedSet BikeSet EmpSet; do
            rows="$rows $kind-out-$name=$pictures/$kind-out-$name.csv"
        done
        # shellcheck disable=SC2086
        table "$1/$3answers-$kind.csv" "$judge" answers --classifier "$2" --tag "$tag" \
            ${4:+--generator "$4"} ${4:+--out "$1/$3inventions-$kind.csv"} $rows
    done
}

other_roads() { # folder, classifier
    for score in features energy statistics; do
        table "$1/roads-$score.csv" "$judge" roads --classifier "$2" --generator "$1/G_A.onnx" \
            --inside "$pictures/valid.csv" --calibrate "$pictures/valid-out.csv" --tag "$tag" \
            --score $score "day=$pictures/fresh-day.csv" "out=$pictures/fresh-out.csv"
    done
    for part in train valid; do
        [ -f "$1/carried-$part/done" ] && continue
        must "$judge" carry --generator "$1/G_B.onnx" --out "$1/carried-$part" \
            --threads "$workers" "all=$pictures/$part.csv"
        { # beside what they were made of
            echo path,label,group
            sed "1d;s,^,$pictures/," "$pictures/$part.csv"
            sed "1d;s,^,$1/carried-$part/," "$1/carried-$part/truth.csv"
        } >"$1/both-$part.csv" || exit 6
        : >"$1/carried-$part/done"
    done
    classify "$1/classifier-a" "$1/both-train.csv" "$1/both-valid.csv" "$tag"
    answers_of "$1" "$1/classifier-a/model.onnx" a- ''
    table "$1/roads-a.csv" "$judge" roads --classifier "$1/classifier-a/model.onnx" \
        --inside "$pictures/valid.csv" --tag "$tag" \
        "day=$pictures/fresh-day.csv" "out=$pictures/fresh-out.csv"
}

one_seed() {
    tag=$1
    folder=$out/seed$1
    mkdir -p "$folder" || exit 6
    net=$classifier
    if [ -z "$net" ]; then
        classify "$folder/classifier" "$pictures/train.csv" "$pictures/valid.csv" "$1"
        net=$folder/classifier/model.onnx
    fi
    watch=''
    [ $class_loss = 0 ] || watch="--classifier $net"
    if [ "$(state "$folder/gan")" != "done" ]; then
        # shellcheck disable=SC2086
        must "$tool" gan train "$pictures/gan-out.csv" "$pictures/gan-day.csv" -o "$folder/gan" \
            --size "$size" --width "$width" --d-width "$d_width" --blocks "$blocks" \
            --epochs "$epochs" --keep "$keep" --seed "$1" --threads "$threads" \
            $watch $gan_options
    fi
    chosen_epoch "$folder/gan" "$net" "$folder"
    each_day=''
    for kind in gan fresh; do
        for name in PedSet BikeSet EmpSet; do
            each_day="$each_day $kind-day-$name=$pictures/$kind-day-$name.csv"
        done
    done
    answers_of "$folder" "$net" '' "$folder/G_A.onnx"
    table "$folder/gap.csv" "$judge" gap --classifier "$net" --inside "$pictures/valid.csv" \
        --generator "$folder/G_A.onnx" --back "$folder/G_B.onnx" --tag "$1" \
        "fresh-out=$pictures/fresh-out.csv" "gan-out=$pictures/gan-out.csv"
    for kind in gan fresh; do
        [ -f "$folder/sheet-$kind.png" ] || must "$judge" grid --generator "$folder/G_A.onnx" \
            --back "$folder/G_B.onnx" --out "$folder/sheet-$kind.png" \
            "set=$pictures/$kind-out.csv"
    done
    [ $roads = 0 ] || other_roads "$folder" "$net"
    : >"$folder/done"
}

finished() { # with what is asked for
    [ -f "$out/seed$1/done" ] && { [ $roads = 0 ] || [ -f "$out/seed$1/roads-a.csv" ]; }
}

while :; do
    waiting=0
    for seed in $(echo "$seeds" | tr ',' ' '); do
        finished "$seed" && continue
        if claim "seed$seed"; then
            finished "$seed" || one_seed "$seed"
            unlock
        else
            waiting=1
        fi
    done
    [ $waiting = 1 ] || break
    sleep 2
done

# ---- tables and figures over the seeds ----------------------------------------------------------

until claim summary; do sleep 1; done
rows() { # name of a file in each seed's folder: all of them, one header
    # shellcheck disable=SC2046
    awk 'FNR > 1 || NR == 1' $(for seed in $(echo "$seeds" | tr ',' ' '); do
        echo "$out/seed$seed/$1"
    done)
}

{
    rows answers-day.csv
    rows answers-gan.csv | sed 1d
    rows answers-fresh.csv | sed 1d
} >"$out/answers.csv"
{
    rows inventions-gan.csv | sed '1s/^/pictures,/;2,$s/^/gan,/'
    rows inventions-fresh.csv | sed '1d;s/^/fresh,/'
} >"$out/inventions.csv"
rows gap.csv >"$out/gap.csv"

# set, pictures, then for day, direct, translated: mean, least, most, the paper's
awk -F, -v domain="$domain" '
    function note(kind, name, where, right, all) {
        good[kind, name, where, $1] += right; of[kind, name, where, $1] += all
        good[kind, "all", where, $1] += right; of[kind, "all", where, $1] += all
        seeds[$1] = 1
    }
    function one(kind, name, where, column,    s, x, n, sum, low, high) {
        low = 2; high = -1; n = 0; sum = 0
        for (s in seeds) if (of[kind, name, where, s]) {
            x = good[kind, name, where, s] / of[kind, name, where, s]; n++; sum += x
            low = x < low ? x : low; high = x > high ? x : high; count = of[kind, name, where, s] }
        printf ",%d,%.1f,%.1f,%.1f,%s", count, n ? 100 * sum / n : -1, 100 * low, 100 * high, \
            domain == "night" ? paper[name, column] : ""
    }
    BEGIN {
        paper["PedSet", 1] = 90; paper["PedSet", 2] = 80; paper["PedSet", 3] = 65
        paper["BikeSet", 1] = 60; paper["BikeSet", 2] = 35; paper["BikeSet", 3] = 75
        paper["EmpSet", 1] = 100; paper["EmpSet", 2] = 0; paper["EmpSet", 3] = 100
        printf "pictures,set"
        split("day," domain "," domain "2day", head, ",")
        for (i = 1; i <= 3; i++)
            printf ",%s_n,%s_mean,%s_least,%s_most,%s_paper", head[i], head[i], head[i], head[i], \
                head[i]
        print ""
    }
    NR == 1 { for (i = 6; i <= NF; i++) column[$i] = i; next }
    { split($2, x, "-"); note(x[1], x[3], x[2] == "day" ? "day" : $3, $column[$4], $5) }
    END {
        split("gan,fresh", kinds, ","); split("PedSet,BikeSet,EmpSet,all", names, ",")
        for (k = 1; k <= 2; k++) for (i = 1; i <= 4; i++) {
            printf "%s,%s", kinds[k], names[i]
            one(kinds[k], names[i], "day", 1); one(kinds[k], names[i], "direct", 2)
            one(kinds[k], names[i], "translated", 3); print "" } }' "$out/answers.csv" \
    >"$out/figure8.csv" || exit 6

for how in direct translated; do # rows what is said, columns what is there, % of it, all seeds
    awk -F, -v how=$how '
        NR == 1 { for (i = 6; i <= NF; i++) said[i] = $i; fields = NF; next }
        $2 ~ /^fresh-out/ && $3 == how { all[$4] += $5
            for (i = 6; i <= fields; i++) n[$4, i] += $i }
        END { split("empty,pedestrian,bicyclist", truth, ","); printf "said"
            for (t = 1; t <= 3; t++) printf ",%s", truth[t]
            print ""
            for (i = 6; i <= fields; i++) { printf "%s", said[i]
                for (t = 1; t <= 3; t++) printf ",%.1f", 100 * n[truth[t], i] / all[truth[t]]
                print "" } }' "$out/answers.csv" >"$out/figure9_$how.csv" || exit 6
done

# road: accuracy by day and outside over the pictures that the CycleGAN never saw
road_rows() {
    {
        rows roads-features.csv
        for score in energy statistics; do
            rows roads-$score.csv | sed -n "s/,routed,/,$score,/p"
        done
        rows roads-a.csv | sed '1d;s/,direct,/,retrained,/'
    } | awk -F, '
        NR == 1 { next }
        { good[$2, $3] += $5; all[$2, $3] += $4; in_[$2, $3] += $6; tr[$2, $3] += $7
          ab[$2, $3] += $8; ok[$2, $3] += $9; ms[$2, $3] += $11 * $4; par[$2] = $12 }
        function pc(x, n) { return n ? sprintf("%.1f", 100 * x / n) : "-" }
        function line(name, day, out, params) {
            printf "%s,%s,%s,%s,%s,%s,%s,%s,%.2f,%.2f,%d\n", name, pc(good[day, "day"], \
                all[day, "day"]), pc(good[out, "out"], all[out, "out"]), \
                pc(ab[day, "day"], all[day, "day"]), pc(ab[out, "out"], all[out, "out"]), \
                pc(ok[day, "day"], all[day, "day"] - ab[day, "day"]), \
                pc(ok[out, "out"], all[out, "out"] - ab[out, "out"]), \
                pc(tr[out, "out"], all[out, "out"]), ms[day, "day"] / all[day, "day"], \
                ms[out, "out"] / all[out, "out"], params }
        END {
            print "road,day,outside,day_abstained,outside_abstained,day_of_trusted," \
                "outside_of_trusted,outside_translated,day_ms,outside_ms,parameters"
            line("classifier alone", "direct", "direct", par["direct"])
            line("translate outside (told when)", "direct", "translated", par["translated"])
            line("translate always", "translated", "translated", par["translated"])
            line("(a) trained with made pictures", "retrained", "retrained", par["retrained"])
            line("(b) routed by features", "routed", "routed", par["routed"])
            line("(b) routed by energy", "energy", "energy", par["energy"])
            line("(b) routed by statistics", "statistics", "statistics", par["statistics"]) }'
}
[ $roads = 0 ] || road_rows >"$out/roads.csv" || exit 6

if command -v gnuplot >/dev/null; then
    grep '^fresh' "$out/figure8.csv" >"$out/.bars.$$"
    gnuplot - <<END || echo "experiment_b: gnuplot failed: no figure8.svg" >&2
set terminal svg size 640,400 background "white"
set output "$out/figure8.svg"
set datafile separator ","
set style data histograms
set style histogram clustered gap 1
set style fill solid 0.8 border -1
set yrange [0:109]
set ylabel "accuracy in %, mean over seeds"
set key top right horizontal
set title "Figure 8, rendered pictures that the CycleGAN never saw"
plot "$out/.bars.$$" using 4:xtic(2) title "day", "" using 9 title "$domain", \
     "" using 14 title "${domain}2day"
END
    rm -f "$out/.bars.$$"
fi

as_markdown() { # CSV without quoted commas
    awk -F, '{ line = "|"; for (i = 1; i <= NF; i++) line = line " " $i " |"; print line
               if (NR == 1) { line = "|"; for (i = 1; i <= NF; i++) line = line "---|"
                              print line } }' "$1"
}

figure8_markdown() { # gan or fresh
    echo "| set | day | $domain | ${domain}2day |"
    echo "|---|---|---|---|"
    awk -F, -v kind="$1" 'function cell(at) {
            return sprintf("%.1f (%.1f..%.1f)%s", $(at + 1), $(at + 2), $(at + 3), \
                $(at + 4) == "" ? "" : ", paper " $(at + 4)) }
        $1 == kind { printf "| %s (%d, %d) | %s | %s | %s |\n", $2, $3, $8, cell(3), cell(8), \
            cell(13) }' "$out/figure8.csv"
}

summarise() {
    echo "# Experiment B: $domain to day"
    echo
    echo "Options: --seeds $seeds $options"
    echo
    echo "How it differs from the paper's: rendered pictures of $size; generators of width $width" \
        "(the paper: 64) with $blocks blocks; $epochs epochs (the paper: 100); $frames frames" \
        "(the paper: 1,128); the epoch is chosen on $valid_counts labelled pictures of their own."
    echo
    echo "## Figure 8: accuracy in %, mean over seeds (least..most)"
    echo
    echo "Pictures that neither classifier nor CycleGAN ever saw (in brackets how many by day," \
        "and outside):"
    echo
    figure8_markdown fresh
    echo
    echo "Pictures of the CycleGAN's own training set (the paper's night pictures were such):"
    echo
    figure8_markdown gan
    echo
    echo "## Figure 9: rows what is said, columns what is there, in %, unseen pictures, all seeds"
    echo
    echo "As they are:"
    echo
    as_markdown "$out/figure9_direct.csv"
    echo
    echo "Translated:"
    echo
    as_markdown "$out/figure9_translated.csv"
    echo
    echo "## What the translation makes up and loses"
    echo
    as_markdown "$out/inventions.csv"
    echo
    echo "## Without labels: distance of the classifier's features, error of the cycle"
    echo
    as_markdown "$out/gap.csv"
    echo
    if [ $roads = 1 ]; then
        echo "## Three roads, unseen pictures, mean over seeds (%, ms on one thread)"
        echo
        as_markdown "$out/roads.csv"
        echo
    fi
    echo "## Pictures"
    echo
    echo "Rows: real, transformed, reconstructed (figures 4 and 10)."
    for seed in $(echo "$seeds" | tr ',' ' '); do
        echo
        echo "![seed $seed, unseen](seed$seed/sheet-fresh.png)"
    done
}

summarise >"$out/.summary.$$" && mv "$out/.summary.$$" "$out/summary.md" || exit 6
unlock
echo "$out/summary.md"
