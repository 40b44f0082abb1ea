#!/usr/bin/env bash
# The documented path of sbin/stop-tajo.sh.
exec "$(dirname -- "$(readlink -f -- "$0")")/../sbin/stop-tajo.sh" "$@"
