#!/bin/sh
# SPDX-License-Identifier: MIT
# From video files to pictures, one a second, and a manifest: steps A and B of the paper on real
# video.  Needs the ffmpeg program.
#
#   sh video_frames.sh [-r RATE] [-s WxH] [-l LABEL] OUT VIDEO...
#
#   OUT/frames/<clip>_<number>.jpg   the pictures; number 1 is the first
#   OUT/manifest.csv                 path,label,clip
#
# Each video is a clip with an id of its own (its file name without the ending), so that a split
# can keep whole clips together.  A video in a folder named after one of the classes gets that
# label; -l sets it for all; else the label is "unlabelled", for labelling by hand.
#
# Exit code: 0 good, 2 usage, 3 no frame could be read from a video, 6 reading or writing failed.
set -eu
export LC_ALL=C

usage()
{
    sed -n '3,15s/^# \{0,1\}//p' "$0" >&2
    exit 2
}

rate=1 size= label=
while getopts r:s:l:h option; do
    case $option in
    r) rate=$OPTARG ;;
    s) size=$OPTARG ;;
    l) label=$OPTARG ;;
    *) usage ;;
    esac
done
shift $((OPTIND - 1))
[ $# -ge 2 ] || usage
command -v ffmpeg >/dev/null || {
    echo "video_frames.sh: ffmpeg is missing (Debian: apt-get install ffmpeg)" >&2
    exit 2
}

out=$1
shift
mkdir -p "$out/frames" || exit 6
manifest=$out/manifest.csv
echo "path,label,clip" >"$manifest.part" || exit 6

filter=fps=$rate
[ -z "$size" ] || filter=$filter,scale=$(echo "$size" | tr x :):flags=area

seen=' '
for video; do
    [ -r "$video" ] || {
        echo "video_frames.sh: $video: cannot be read" >&2
        exit 6
    }
    # Letters that mean something to ffmpeg's patterns or to CSV become "_".
    clip=$(basename "$video" | sed 's/\.[^.]*$//; s/[^A-Za-z0-9._-]/_/g')
    while case $seen in *" $clip "*) true ;; *) false ;; esac; do
        clip=${clip}_
    done
    seen="$seen$clip "
    here=$label
    if [ -z "$here" ]; then
        here=$(basename "$(cd "$(dirname "$video")" && pwd)")
        case $here in
        empty | pedestrian | dog_walker | bicyclist | other) ;;
        *) here=unlabelled ;;
        esac
    fi
    rm -f "$out/frames/${clip}_"[0-9][0-9][0-9][0-9][0-9].jpg
    # stdin is closed to ffmpeg: it would take commands from it
    ffmpeg -nostdin -v error -y -i "$video" -vf "$filter" -q:v 2 \
        "$out/frames/${clip}_%05d.jpg" </dev/null || exit 3
    n=0
    for frame in "$out/frames/${clip}_"[0-9][0-9][0-9][0-9][0-9].jpg; do
        [ -e "$frame" ] || continue
        echo "frames/${frame##*/},$here,$clip" >>"$manifest.part"
        n=$((n + 1))
    done
    echo "$video: $n frames, $here" >&2
    [ $n -gt 0 ] || exit 3
done
mv "$manifest.part" "$manifest" || exit 6
