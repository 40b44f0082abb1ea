#!/usr/bin/env bash
# Stops the cluster of conf/masters and conf/workers: first the workers, then the backup masters, then the active one, so
# that no backup takes over on the way.
#
#     stop-tajo.sh [--config DIR]
#
# Each gets TAJO_STOP_TIMEOUT seconds to end in good order. A host that could not be reached is named on stderr with the
# reason, and the exit code is 1. Where the configuration can't be read any more, all that runs on this host is stopped,
# and the exit code is 1 as well.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=tajo-config.sh
. "$(dirname -- "$(readlink -f -- "$0")")/tajo-config.sh"
# shellcheck source-path=SCRIPTDIR source=tajo-hosts.sh
. "$TAJO_HOME/sbin/tajo-hosts.sh"

((${#tajo_args[@]} == 0)) || fail 2 "unknown argument '${tajo_args[0]}'; usage: stop-tajo.sh [--config DIR]"
need_node
is_built || fail 1 "not built yet, so nothing was started from here: $TAJO_HOME"
# Nobody knows the other hosts then, but what was started here has its pid file.
find_own_daemons() {
  local role file port
  for role in worker master; do
    for file in "$TAJO_PID_DIR/tajo-$TAJO_IDENT_STRING-$role"{,-*}.pid; do
      [[ -e $file ]] || continue
      port=${file##*/"tajo-$TAJO_IDENT_STRING-$role"}
      port=${port%.pid}
      roles+=("$role")
      names+=("localhost${port/#-/:}")
      places+=(-)
    done
  done
}

if ! read_daemons; then
  warn "so only what runs on this host is stopped (pid files in $TAJO_PID_DIR); on other hosts do it by 'sbin/tajo-daemon.sh stop worker' and '… stop master'"
  exit_code=1
  find_own_daemons
fi

# Where nobody is active the order does not matter.
active=$(node "$TAJO_HOME/$(programs)/cluster-active.js" name) || active=
last=
backups=()
for number in "${!names[@]}"; do
  if [[ ${roles[number]} == worker ]]; then
    run_daemon "$number" stop &
  elif [[ ${names[number]} == "$active" ]]; then
    last=$number
  else
    backups+=("$number")
  fi
done
wait
for number in ${backups[@]+"${backups[@]}"}; do run_daemon "$number" stop & done
wait
if [[ -n $last ]]; then run_daemon "$last" stop; fi
collect_failures
name_failures stopped
exit "$exit_code"
