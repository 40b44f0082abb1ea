#!/usr/bin/env bash
# The documented path of sbin/start-tajo.sh.
exec "$(dirname -- "$(readlink -f -- "$0")")/../sbin/start-tajo.sh" "$@"
