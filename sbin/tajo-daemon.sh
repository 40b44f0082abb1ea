#!/usr/bin/env bash
# Starts, stops, restarts one daemon of this host, or tells whether it runs.
#
#     tajo-daemon.sh [--config DIR] start|stop|restart|status master|worker
#
# A second master on this host is named by TAJO_MASTER_NAME=host:port, as conf/masters lists it, a second worker by
# TAJO_WORKER_NAME. `start` returns when the daemon has opened its ports, or has failed: then it tells the reason and
# exits with 1. `stop` sends TERM, after TAJO_STOP_TIMEOUT seconds KILL. Exit codes of `status`: 0 runs, 1 dead though
# its pid file exists, 3 does not run.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=tajo-config.sh
. "$(dirname -- "$(readlink -f -- "$0")")/tajo-config.sh"

# A daemon whose line gives no other port has files that are named for its role alone.
declare -rA DEFAULT_PORT=([master]=26001 [worker]=28091)
readonly KEPT_OUT_FILES=5

usage() { fail 2 "${1:+$1; }usage: tajo-daemon.sh [--config DIR] start|stop|restart|status master|worker"; }

# Sets `daemon` to the name in pid and log files: master, worker, master-27001 or worker-29091.
name_daemon() {
  daemon=$role
  local variable=TAJO_${role^^}_NAME
  local name=${!variable:-} host port=${DEFAULT_PORT[$role]}
  [[ -n $name ]] || return 0
  host=$name
  if [[ $name =~ ^(.*[^:]):([0-9]{1,5})$ && ( $name == \[* || ${BASH_REMATCH[1]} != *:* ) ]]; then
    host=${BASH_REMATCH[1]} port=$((10#${BASH_REMATCH[2]}))
  fi
  if ! is_host "$host" || ((port < 1 || port > 65535)); then
    fail 2 "$variable is '$name': allowed is a line of conf/${role}s, host or host:port"
  fi
  if ((port != DEFAULT_PORT[$role])); then daemon=$role-$port; fi
}

# uid_of PID: whose process it is; nothing where there is none.
uid_of() {
  local name uid
  while read -r name uid _; do
    if [[ $name == Uid: ]]; then printf '%s' "$uid"; fi
  done 2>/dev/null <"/proc/$1/status" || true
}

# is_own PID: whether it is a process of this user's. One of another user's is never taken for the daemon: whoever planted
# a pid file would have it stopped.
is_own() { [[ $(uid_of "$1") == "$UID" ]]; }

# is_of_another PID: whether the pid file is about a living daemon of another user, in a directory of his own. In this
# user's or root's he has planted it.
is_of_another() {
  local uid
  [[ $1 =~ ^[1-9][0-9]*$ ]] || return 1
  uid=$(uid_of "$1")
  [[ -n $uid && $uid != "$UID" && $(stat -L -c %u -- "$TAJO_PID_DIR" 2>/dev/null) == "$uid" ]] && holds_pid_file "$1"
}

# user_of PID: his name, and his number.
user_of() {
  local uid
  uid=$(uid_of "$1")
  printf '%s (uid %s)' "$(id -nu -- "$uid" 2>/dev/null || printf '%s' "$uid")" "$uid"
}

# is_daemon PID: whether that process is the one that the pid file is about, and no later one with its number: a daemon
# keeps its pid file open as long as it lives. What one of this user's has open may not be seen: it counts as one.
is_daemon() {
  local pid=$1
  [[ $pid =~ ^[1-9][0-9]*$ && -d /proc/$pid ]] || return 1
  is_own "$pid" && holds_pid_file "$pid"
}

# holds_pid_file PID: whether it has the pid file open, or that may not be seen.
holds_pid_file() {
  local pid=$1 file
  [[ -r /proc/$pid/fd ]] || return 0
  file=$(readlink -f -- "$TAJO_PID_FILE")
  # Files are closed meanwhile, so readlink may fail for one; `grep -q` would end it early and fail the pipe.
  { readlink -- "/proc/$pid/fd"/* 2>/dev/null || true; } | grep -xF -e "$file" -e "$file (deleted)" >/dev/null
}

# Prints the process whose pid file, of that name, somebody has removed: it still has it open. Nothing where there is none.
holder_of_removed() {
  local file place target
  file=$(readlink -f -- "$TAJO_PID_FILE") || return 0
  { find /proc/[0-9]*/fd -maxdepth 1 -type l -printf '%p %l\n' 2>/dev/null || true; } |
    while read -r place target; do
      place=${place#/proc/}
      place=${place%%/*}
      if [[ $target == "$file (deleted)" ]] && is_own "$place"; then
        printf '%s' "$place"
        # The rest is read, so that the pipe does not break.
        cat >/dev/null
      fi
    done
}

# Prints when process PID was started, in ticks since boot; nothing when it has ended.
start_of() {
  local stat
  local -a fields
  { stat=$(<"/proc/$1/stat"); } 2>/dev/null || return 0
  # The second field, the program's name, may itself hold blanks and brackets.
  read -r -a fields <<<"${stat##*) }"
  if [[ ${fields[0]} != [ZX] ]]; then printf '%s' "${fields[19]}"; fi
}

# Sets `pid` to the first word of the pid file, or to nothing.
read_pid() {
  pid=
  if [[ -r $TAJO_PID_FILE ]]; then read -r pid _ <"$TAJO_PID_FILE" || true; fi
}

# The same, and where somebody has removed the file, to the daemon that it was about, with a word of it in `removed`.
find_daemon() {
  removed=
  read_pid
  [[ -z $pid && ! -e $TAJO_PID_FILE ]] || return 0
  pid=$(holder_of_removed)
  if [[ -n $pid ]]; then removed=" (its pid file $TAJO_PID_FILE was removed; it makes it again by itself)"; fi
}

# Removes the pid file if it still is about process $1.
remove_pid_file() {
  local gone=$1
  read_pid
  if [[ $pid == "$gone" ]]; then rm -f -- "$TAJO_PID_FILE" "$rootdir_file"; fi
}

# Whoever stops a whole cluster stops daemons of his own tajo.rootdir only: a wrong line in conf/masters leads to another
# one's. A daemon of an older state has not left word of it, and is stopped.
require_ours() {
  local theirs
  [[ -n ${TAJO_STARTER_ROOTDIR:-} && -r $rootdir_file ]] || return 0
  theirs=$(<"$rootdir_file")
  [[ $theirs == "$TAJO_STARTER_ROOTDIR" ]] ||
    fail 1 "$daemon, process $1, is of another cluster and goes on: its tajo.rootdir is $theirs, and here it is $TAJO_STARTER_ROOTDIR. Take it out of conf/${role}s, or stop it by 'tajo-daemon.sh stop $role'"
}

# make_directory SETTING DIRECTORY: for this user alone, whatever the umask.
make_directory() {
  local problem
  problem=$(umask 077 && mkdir -p -- "$2" 2>&1) || fail 1 "$1 is $2, which can't be made: $problem"
  require_own "$1" "$2"
  [[ -w $2 && -x $2 ]] || fail 1 "$1 is $2, where $(id -un) may not write"
}

rotate_out_file() {
  local n
  for ((n = KEPT_OUT_FILES - 1; n >= 1; n--)); do
    if [[ -e $out_file.$n ]]; then mv -f -- "$out_file.$n" "$out_file.$((n + 1))"; fi
  done
  if [[ -e $out_file ]]; then mv -f -- "$out_file" "$out_file.1"; fi
}

# start-tajo.sh tells what it has; what this host has otherwise is named.
compare_with_starter() {
  local here there file number=0
  local -a marks=()
  [[ -n ${TAJO_STARTER:-} ]] || return 0
  here=$(own_version) there=${TAJO_STARTER_VERSION:-}
  [[ $here == "$there" ]] || warn "version differs: $here here, $there on $TAJO_STARTER"
  read -r -a marks <<<"${TAJO_STARTER_FILES:-}"
  for file in tajo-site.xml catalog-site.xml masters workers; do
    [[ $(file_mark "$TAJO_CONF_DIR/$file") == "${marks[number]:-}" ]] ||
      warn "configuration differs: $TAJO_CONF_DIR/$file is not the same as on $TAJO_STARTER"
    number=$((number + 1))
  done
}

launch() {
  local -a options=() watch=()
  local opts=$TAJO_MASTER_OPTS
  if [[ $role == worker ]]; then
    opts=$TAJO_WORKER_OPTS
    watch=("$BASH" "$TAJO_HOME/sbin/watch-worker")
    # A file call on a disk that hangs keeps one of Node's file threads, whose number is fixed before Node reads our code.
    export UV_THREADPOOL_SIZE=${UV_THREADPOOL_SIZE:-64}
  else
    # A large catalog lies in huge pages then, where the kernel gives them to whoever asks: a master that is killed is gone
    # when the kernel has its memory back, and the backup sees it that much sooner.
    export GLIBC_TUNABLES=${GLIBC_TUNABLES-glibc.malloc.hugetlb=1}
  fi
  read -r -a options <<<"$opts"
  rotate_out_file
  # Made anew, and through no link.
  (umask 027 && set -C && : >"$out_file") || fail 1 "can't write $out_file"
  # What this daemon says is read through here: a start with the same log directory may rename the file meanwhile.
  exec 4<"$out_file"
  # It tells through a pipe that it is ready, since a full log directory takes no line. Both ends are here: a daemon that
  # is ready after this script has given up waiting still has a reader.
  exec 5<> <(:)
  export TAJO_READY_FD=5
  cd -- "$TAJO_HOME" || fail 1 "can't enter $TAJO_HOME"
  # In a session of its own, so that it outlives this shell; Node itself becomes the process that is signalled, or, a
  # worker's, the one child of the shell that watches it.
  setsid nohup nice -n "${TAJO_NICENESS:-0}" ${watch[@]+"${watch[@]}"} node ${options[@]+"${options[@]}"} "$(programs)/tajo.js" "$role" \
    </dev/null >>"$out_file" 2>&1 4<&- &
  pid=$!
}

start() {
  find_daemon
  if is_daemon "$pid"; then
    say "$daemon runs already as process $pid$removed"
    return 0
  fi
  refuse_of_another start
  need_node
  is_built || fail 1 "not built yet: run 'npm ci' in $TAJO_HOME"
  make_directory TAJO_LOG_DIR "$TAJO_LOG_DIR"
  make_directory TAJO_PID_DIR "$TAJO_PID_DIR"
  compare_with_starter
  launch
  local code=0 said='' deadline=$((SECONDS + TAJO_START_TIMEOUT))
  # The time may be over in the middle of what it says, or right behind it: what came until then is its word as well.
  until read -r -t 0.05 -u 5 said || [[ -n $said ]]; do
    if ! kill -0 "$pid" 2>/dev/null; then
      wait "$pid" || code=$?
      show_end "$code"
    fi
    if ((SECONDS >= deadline)); then
      fail 1 "$daemon (process $pid) is not ready after $TAJO_START_TIMEOUT s and goes on trying: see $log_file"
    fi
  done
  read_pid
  if grep -q '^ready ' "/proc/$$/fd/4"; then
    say "$daemon started as process $pid, log $log_file"
    return 0
  fi
  say "$daemon started as process $pid, log lost"
  local problem
  problem=$({ printf '\n' >>"$out_file"; } 2>&1) || true
  warn "$daemon serves, but nothing that it logs is kept: $TAJO_LOG_DIR (TAJO_LOG_DIR) can't be written (${problem##*: })"
}

# What the daemon said before it ended; the last line on stderr is the reason.
show_end() {
  local lines more=$log_file
  [[ -s $more ]] || more=$out_file
  lines=$(grep -v '^[[:space:]]*$' "/proc/$$/fd/4" | tail -n 10 || true)
  if [[ $lines == *$'\n'* ]]; then printf '%s\n' "${lines%$'\n'*}" >&2; fi
  fail 1 "$daemon failed to start (exit code $1): ${lines##*$'\n'}${lines:+ }(more in $more)"
}

# refuse_of_another VERB: ends the script where the daemon is another user's.
refuse_of_another() {
  if is_of_another "$pid"; then fail 1 "$daemon, process $pid, is of user $(user_of "$pid"): $1 it as that user"; fi
}

# What lies in a directory of another user's may not be seen: nobody can say then that nothing runs.
require_sight() {
  if [[ -d $TAJO_PID_DIR && ! -x $TAJO_PID_DIR ]]; then
    fail 1 "whether $daemon runs can't be seen: TAJO_PID_DIR $TAJO_PID_DIR is closed to $(id -un) (uid $UID); ask as user $(stat -L -c '%U (uid %u)' -- "$TAJO_PID_DIR")"
  fi
}

stop() {
  require_sight
  find_daemon
  refuse_of_another stop
  if ! is_daemon "$pid"; then
    if [[ -n $pid ]]; then rm -f -- "$TAJO_PID_FILE" "$rootdir_file"; fi
    say "no $daemon to stop${pid:+: process $pid of the pid file is gone}"
    return 0
  fi
  local process=$pid started
  require_ours "$process"
  started=$(start_of "$process")
  kill -TERM "$process" || fail 1 "can't stop $daemon, process $process: whose is it?"
  if ends_within "$process" "$started" "$TAJO_STOP_TIMEOUT"; then
    say "$daemon stopped (process $process)"
  else
    kill -KILL "$process" 2>/dev/null || true
    ends_within "$process" "$started" 10 || fail 1 "$daemon, process $process, does not even end by SIGKILL"
    say "$daemon killed: process $process did not stop within $TAJO_STOP_TIMEOUT s"
  fi
  remove_pid_file "$process"
}

# ends_within PID START SECONDS: whether the process that was started then ends in that time.
ends_within() {
  local deadline=$((SECONDS + $3 + 1))
  while [[ $(start_of "$1") == "$2" ]]; do
    if ((SECONDS >= deadline)); then return 1; fi
    sleep 0.05
  done
}

status() {
  require_sight
  find_daemon
  if is_daemon "$pid"; then
    say "$daemon runs as process $pid$removed"
  elif is_of_another "$pid"; then
    say "$daemon runs as process $pid of user $(user_of "$pid")"
  elif [[ -e $TAJO_PID_FILE ]]; then
    say "$daemon is dead, though its pid file exists: $TAJO_PID_FILE"
    return 1
  else
    say "$daemon does not run"
    return 3
  fi
}

((${#tajo_args[@]} == 2)) || usage
verb=${tajo_args[0]} role=${tajo_args[1]}
case $role in master | worker) ;; *) usage "unknown daemon '$role'" ;; esac
name_daemon
TAJO_PID_FILE=$TAJO_PID_DIR/tajo-$TAJO_IDENT_STRING-$daemon.pid
rootdir_file=${TAJO_PID_FILE%.pid}.rootdir
log_file=$TAJO_LOG_DIR/tajo-$TAJO_IDENT_STRING-$daemon-$HOSTNAME.log
out_file=${log_file%.log}.out
export TAJO_PID_FILE TAJO_LOG_FILE=$log_file

case $verb in
  start) start ;;
  stop) stop ;;
  restart) stop && start ;;
  status) status ;;
  *) usage "unknown action '$verb'" ;;
esac
