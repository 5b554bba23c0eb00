# SPDX-License-Identifier: MIT
# What the tests of the command-line tool share; they source it and set: tool, failed.
# shellcheck shell=sh

check() { # what, command...
    what=$1
    shift
    if "$@"; then echo "ok   $what"; else
        echo "FAIL $what"
        sed 's/^/     | /' err 2>/dev/null | tail -n 5
        failed=1
    fi
}

exits() { # code, arguments...: with this code, and a message when it is not 0
    want=$1
    shift
    "$tool" "$@" >out 2>err
    code=$?
    [ $code -eq "$want" ] && { [ "$want" -eq 0 ] || [ -s err ]; }
}

says() { grep -q -e "$1" "${2:-err}"; }

json() { # the file is a JSON text (when python3 is there to tell)
    command -v python3 >/dev/null || return 0
    python3 -c 'import json, sys; json.load(open(sys.argv[1]))' "$1"
}

until_there() { # a file of a child ($child) that lives
    while [ ! -s "$1" ] && kill -0 "$child" 2>/dev/null; do sleep 0.02; done
}
