# shellcheck shell=bash
# Sourced by start-tajo.sh and stop-tajo.sh, after tajo-config.sh: the masters of conf/masters and the workers of
# conf/workers, and running tajo-daemon.sh for each of them, here or over ssh. Every line that it prints gets the
# daemon's name in front. A daemon is known by its number: an index of `roles`, `names` and `places`.

roles=()
names=()
places=()
failed=()
exit_code=0
rootdir=
node_dir=$(dirname -- "$(command -v node || true)")
work=$(mktemp -d "${TMPDIR:-/tmp}/tajo-hosts.XXXXXX")

# ssh in the background hears no Ctrl-C by itself. Daemons that start meanwhile are left alone.
clean_up() {
  local file
  for file in "$work"/*.ssh; do
    if [[ -s $file ]]; then kill -- "$(<"$file")" 2>/dev/null || true; fi
  done
  rm -rf -- "$work"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# Fills `roles` (master or worker), `names` (their lines), `places` ("-" for this host, else what to give to ssh),
# `ssh_options` and `rootdir`. False, with the reason on stderr, when the configuration can't be read.
read_daemons() {
  local kind first second
  ssh_options=(-o BatchMode=yes)
  node "$TAJO_HOME/$(programs)/cluster-hosts.js" >"$work/hosts" || return 1
  while IFS=$'\t' read -r kind first second; do
    case $kind in
      master | worker)
        [[ $second == - ]] || is_host "$second" || fail 1 "'$second' is no host name"
        roles+=("$kind")
        names+=("$first")
        places+=("$second")
        ;;
      ssh-option) ssh_options+=("$first") ;;
      rootdir) rootdir=$first ;;
    esac
  done <"$work/hosts"
  # ssh keeps the first value of an option, so TAJO_SSH_OPTS can change all of these but BatchMode.
  ssh_options+=(-o ConnectTimeout=10 -o ServerAliveInterval=5 -o ServerAliveCountMax=3)
}

# quoted WORD...: for any POSIX shell on the other side; bash's own %q writes $'…', which not every one knows.
quoted() {
  local word
  for word in "$@"; do printf "'%s' " "${word//\'/\'\\\'\'}"; done
}

prefixed() {
  local line
  while IFS= read -r line || [[ -n $line ]]; do printf '%s: %s\n' "$1" "$line"; done
}

# prefixed_errors NUMBER NAME: the same for what that daemon complains of; the last line of one that failed is left to
# name_failures.
prefixed_errors() {
  local line held=() code
  while IFS= read -r line || [[ -n $line ]]; do
    if ((${#held[@]} > 0)); then printf '%s: %s\n' "$2" "${held[0]}"; fi
    held=("$line")
  done
  code=$(cat -- "$work/$1.code" 2>/dev/null || true)
  if ((${#held[@]} > 0)) && [[ $code == 0 ]]; then printf '%s: %s\n' "$2" "${held[0]}"; fi
}

# daemon_command NUMBER ACTION: what starts or stops that daemon.
daemon_command() {
  local role=${roles[$1]} place=${places[$1]}
  local named="TAJO_${role^^}_NAME=${names[$1]}"
  local -a command=("$TAJO_HOME/sbin/tajo-daemon.sh" --config "$TAJO_CONF_DIR" "$2" "$role")
  if [[ $place == - ]]; then
    env "$named" "TAJO_STARTER_ROOTDIR=$rootdir" "${command[@]}" </dev/null
  else
    command=(env "$named" "TAJO_STARTER=${TAJO_STARTER:-}" "TAJO_STARTER_VERSION=${TAJO_STARTER_VERSION:-}"
      "TAJO_STARTER_ROOTDIR=$rootdir" "TAJO_STARTER_FILES=${TAJO_STARTER_FILES:-}" "TAJO_STARTER_NODE=$node_dir" "${command[@]}")
    ssh -n -T "${ssh_options[@]}" -- "$place" "$(quoted "${command[@]}")" &
    printf '%s' "$!" >"$work/$1.ssh"
    local code=0
    wait "$!" || code=$?
    rm -f -- "$work/$1.ssh"
    return "$code"
  fi
}

# run_daemon NUMBER ACTION: leaves stderr and the exit code in $work for collect_failures.
run_daemon() {
  local code=0 number=$1 name=${names[$1]}
  {
    {
      daemon_command "$number" "$2" 3>&- || code=$?
      printf '%s' "$code" >"$work/$number.code"
    } 2>&1 >&3 | tee -- "$work/$number.err" | prefixed_errors "$number" "$name" >&2
  } 3>&1 | prefixed "$name"
}

collect_failures() {
  local number
  failed=()
  for number in "${!names[@]}"; do
    if [[ $(cat -- "$work/$number.code" 2>/dev/null) != 0 ]]; then failed+=("$number"); fi
  done
  if ((${#failed[@]} > 0)); then exit_code=1; fi
}

# well ROLE: how many of that role did not fail.
well() {
  local number count=0
  for number in "${!names[@]}"; do
    if [[ ${roles[number]} == "$1" && " ${failed[*]-} " != *" $number "* ]]; then count=$((count + 1)); fi
  done
  printf '%s' "$count"
}

# name_failures WHAT: one line for each, with the last thing it said.
name_failures() {
  local number reason who
  for number in ${failed[@]+"${failed[@]}"}; do
    reason=$(tr -d '\r' <"$work/$number.err" | grep -v '^[[:space:]]*$' | tail -n 1 || true)
    who=${names[number]}
    if [[ ${roles[number]} == worker ]]; then who="worker $who"; fi
    printf '%s: %s was not %s: %s\n' "$tajo_script" "$who" "$1" "${reason:-no reason given}" >&2
  done
}
