#!/bin/sh
# SPDX-License-Identifier: MIT
# The renderer's clips as real video files, one a clip: raw frames piped into the ffmpeg program.
#
#   sh render_video.sh RENDERER OUT [-f FPS] [-s WxH] [-n CLIPS] [-- renderer options]
#
# for example
#
#   sh render_video.sh build/examples/underpass/ev-underpass-render videos -n 5 -- --domain night
#
# Exit code: 0 good, 2 usage, 6 reading or writing failed.
set -eu
export LC_ALL=C

usage()
{
    sed -n '3,11s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

[ $# -ge 2 ] || usage
render=$1 out=$2
shift 2
fps=10 size=1920x1080 clips=0
while getopts f:s:n:h option; do
    case $option in
    f) fps=$OPTARG ;;
    s) size=$OPTARG ;;
    n) clips=$OPTARG ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))
command -v ffmpeg >/dev/null || {
    echo "render_video.sh: ffmpeg is missing (Debian: apt-get install ffmpeg)" >&2
    exit 2
}

mkdir -p "$out" || exit 6
all=$("$render" --quiet --list "$@" | sed 1d | wc -l)
[ "$clips" -gt 0 ] && [ "$clips" -lt "$all" ] || clips=$all
clip=1
while [ "$clip" -le "$clips" ]; do
    file=$(printf '%s/c%04d.mp4' "$out" "$clip")
    "$render" --quiet --raw --clip "$clip" --fps "$fps" --size "$size" "$@" |
        ffmpeg -v error -y -f rawvideo -pix_fmt rgb24 -s "$size" -r "$fps" -i - \
            -c:v libx264 -crf 20 -pix_fmt yuv420p "$file" || exit 6
    echo "$file" >&2
    clip=$((clip + 1))
done
