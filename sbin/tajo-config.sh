# shellcheck shell=bash
# Sourced by the scripts beside it: finds the install, takes `--config DIR` out of the arguments, reads conf/tajo-env.sh
# and sets every TAJO_ variable that is still empty. Leaves the other arguments in the array `tajo_args`.

tajo_script=${0##*/}

say() { printf '%s\n' "$*"; }
warn() { printf '%s: warning: %s\n' "$tajo_script" "$*" >&2; }
# fail CODE MESSAGE: ends the script. Codes: 1 failed, 2 wrong usage.
fail() {
  printf '%s: %s\n' "$tajo_script" "$2" >&2
  exit "$1"
}

# is_host NAME: whether it may be handed to ssh. Nothing that could be an option, a user or shell syntax passes.
is_host() {
  local name=$1
  [[ ${#name} -le 253 && $name =~ ^([A-Za-z0-9_][A-Za-z0-9._-]*|\[[0-9A-Fa-f:.]+\]|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$ ]]
}

# shell_word WORD: as lib/base/own-place.ts writes it into a command.
shell_word() {
  if [[ $1 =~ ^[A-Za-z0-9_@%+=:,./-]+$ ]]; then printf '%s' "$1"; else printf "'%s'" "${1//\'/\'\\\'\'}"; fi
}

# require_own WHAT PATH: ends the script where another user owns that directory or file, or group or others may write there:
# they could put commands, links and data of their own in place of the cluster's. WHAT is the setting that names it. Root
# may own anything. For what is needed before Node is known; lib/base/own-place.ts is the same for the rest.
require_own() {
  local what=$1 path=$2 follow
  for follow in '' -L; do
    # What a link leads to is looked at as well as the link.
    if [[ -n $follow && ! -L $path ]]; then break; fi
    judge_own "$what" "$path" $follow
  done
}

judge_own() {
  local what=$1 path=$2 follow=${3:-} uid bits mode has noun='a directory' mend=() text first=
  read -r uid bits < <(stat ${follow:+"$follow"} -c '%u %a' -- "$path") || fail 1 "$what $path can't be looked at"
  printf -v mode '%04d' "$bits"
  has="mode $mode, "
  [[ -d $path ]] || noun='a file'
  if [[ -z $follow && -L $path ]]; then
    ((uid != 0 && uid != EUID)) || return 0
    has='a symbolic link, ' noun='a directory' mend=("rm $(shell_word "$path")")
  elif (((8#$bits & 8#1002) == 8#1002)); then
    mend=("mkdir -m 700 $(shell_word "${path%/}/tajo-$EUID"), and name that in $what")
  else
    if ((uid != 0 && uid != EUID)); then
      mend=("chown $EUID $(shell_word "$path")")
      if [[ -d $path ]]; then first="run this as uid $uid, whose it is, or make it this user's: "; fi
    fi
    if ((8#$bits & 8#22)); then
      # Without its group's bit this user could not write into root's directory any more.
      if [[ -d $path ]] && ((uid == 0 && EUID != 0)); then mend=("chown $EUID $(shell_word "$path")"); fi
      mend+=("chmod go-w $(shell_word "$path")")
    fi
  fi
  ((${#mend[@]} > 0)) || return 0
  text=$first${mend[0]}
  if ((${#mend[@]} > 1)); then text+=" && ${mend[1]}"; fi
  fail 1 "$what $path is not this user's alone (${has}owner uid $uid; this runs as uid $EUID): whoever else may write there can put his own commands, links and data in place of the cluster's. Allowed is $noun of uid $EUID or root that nobody else may write. Mend it: $text"
}

tajo_take_arguments() {
  tajo_args=()
  local config=
  while (($# > 0)); do
    case $1 in
      --config | -config)
        config=${2:-}
        [[ -n $config ]] || fail 2 "--config needs the name of a directory"
        shift 2
        ;;
      --config=* | -config=*)
        config=${1#*=}
        [[ -n $config ]] || fail 2 "--config needs the name of a directory"
        shift
        ;;
      *)
        tajo_args+=("$1")
        shift
        ;;
    esac
  done
  if [[ -n $config ]]; then TAJO_CONF_DIR=$config; fi
}

tajo_find_install() {
  local here
  here=$(dirname -- "$(readlink -f -- "${BASH_SOURCE[0]}")")
  TAJO_HOME=${TAJO_HOME:-$(dirname -- "$here")}
  [[ -f $TAJO_HOME/package.json && -d $TAJO_HOME/sbin ]] ||
    fail 1 "TAJO_HOME is $TAJO_HOME, where this software is not installed: correct it, or unset it"
  TAJO_HOME=$(cd -- "$TAJO_HOME" && pwd -P)
  TAJO_CONF_DIR=${TAJO_CONF_DIR:-$TAJO_HOME/conf}
  [[ -d $TAJO_CONF_DIR ]] || fail 1 "there is no configuration directory $TAJO_CONF_DIR"
  TAJO_CONF_DIR=$(cd -- "$TAJO_CONF_DIR" && pwd)
}

tajo_read_environment() {
  local file=$TAJO_CONF_DIR/tajo-env.sh conf_dir=$TAJO_CONF_DIR problem
  [[ -e $file ]] || return 0
  # Blank lines and remarks alone, as shipped: nothing is executed.
  if [[ -r $file ]] && ! grep -qvE '^[[:space:]]*(#|$)' -- "$file"; then return 0; fi
  require_own TAJO_CONF_DIR "$TAJO_CONF_DIR"
  require_own tajo-env.sh "$file"
  problem=$(bash -n -- "$file" 2>&1) || fail 1 "$file can't be read by bash: ${problem//$'\n'/; }"
  # The file is the operator's: neither its exit code nor an unset variable in it is an error of ours.
  set +eu
  # shellcheck source=/dev/null
  . "$file"
  set -eu
  TAJO_CONF_DIR=$conf_dir
}

# seconds NAME: ends the script unless that variable is a whole number.
seconds() {
  local value=${!1}
  [[ $value =~ ^[0-9]{1,6}$ ]] || fail 1 "$1 is '$value': allowed is a whole number of seconds"
}

tajo_set_defaults() {
  TAJO_LOG_DIR=${TAJO_LOG_DIR:-$TAJO_HOME/logs}
  TAJO_PID_DIR=${TAJO_PID_DIR:-$TAJO_HOME/run}
  # The daemons run in TAJO_HOME, so a relative name must mean the same there.
  [[ $TAJO_LOG_DIR == /* ]] || TAJO_LOG_DIR=$TAJO_HOME/$TAJO_LOG_DIR
  [[ $TAJO_PID_DIR == /* ]] || TAJO_PID_DIR=$TAJO_HOME/$TAJO_PID_DIR
  TAJO_IDENT_STRING=${TAJO_IDENT_STRING:-$(id -un)}
  [[ $TAJO_IDENT_STRING =~ ^[A-Za-z0-9._-]+$ ]] ||
    fail 1 "TAJO_IDENT_STRING is '$TAJO_IDENT_STRING': allowed are letters, digits, '.', '_' and '-'"
  TAJO_NICENESS=${TAJO_NICENESS:-}
  [[ $TAJO_NICENESS =~ ^(-?[0-9]{1,2})?$ ]] ||
    fail 1 "TAJO_NICENESS is '$TAJO_NICENESS': allowed is a number from -20 to 19"
  TAJO_STOP_TIMEOUT=${TAJO_STOP_TIMEOUT:-5}
  TAJO_START_TIMEOUT=${TAJO_START_TIMEOUT:-60}
  seconds TAJO_STOP_TIMEOUT
  seconds TAJO_START_TIMEOUT
  TAJO_SSH_OPTS=${TAJO_SSH_OPTS:-}
  TAJO_MASTER_OPTS=${TAJO_MASTER_OPTS:-}
  TAJO_WORKER_OPTS=${TAJO_WORKER_OPTS:-}
  export TAJO_HOME TAJO_CONF_DIR TAJO_LOG_DIR TAJO_PID_DIR TAJO_IDENT_STRING TAJO_NICENESS TAJO_STOP_TIMEOUT \
    TAJO_START_TIMEOUT TAJO_SSH_OPTS TAJO_MASTER_OPTS TAJO_WORKER_OPTS
}

has_node() { [[ -x $(command -v node) ]]; }

# Node in PATH, and new enough.
need_node() {
  local version
  # A shell that ssh starts may know less than the one that start-tajo.sh was typed in.
  if ! has_node && [[ -n ${TAJO_STARTER_NODE:-} ]]; then PATH=$PATH:$TAJO_STARTER_NODE; fi
  has_node ||
    fail 1 "there is no 'node' in PATH ($PATH): install Node.js 20.19 or newer, or set PATH in $TAJO_CONF_DIR/tajo-env.sh"
  version=$(node --version) || fail 1 "'node --version' failed: $(command -v node)"
  [[ $version =~ ^v([0-9]+)\.([0-9]+)\. ]] || fail 1 "'node --version' says '$version', which is no version"
  ((BASH_REMATCH[1] > 20 || (BASH_REMATCH[1] == 20 && BASH_REMATCH[2] >= 19))) ||
    fail 1 "Node.js $version is too old: needed is 20.19 or newer"
}

# programs: where they lie, from TAJO_HOME on. What an earlier version has built runs until it is built anew.
programs() {
  if [[ ! -e $TAJO_HOME/build/programs/tajo.js && -e $TAJO_HOME/build/lib/cli/cluster-active.js ]]; then
    printf 'build/lib/cli'
  else
    printf 'build/programs'
  fi
}

is_built() { [[ -f $TAJO_HOME/$(programs)/tajo.js && -d $TAJO_HOME/node_modules ]]; }

# file_mark FILE: a short fingerprint, to tell whether two hosts have the same one.
file_mark() {
  local sum
  [[ -r $1 ]] || { printf -- '-' && return; }
  sum=$(sha256sum -- "$1")
  printf '%s' "${sum:0:16}"
}

own_version() { sed -n 's/^  "version": "\([^"]*\)".*/\1/p' "$TAJO_HOME/package.json"; }

tajo_take_arguments "$@"
tajo_find_install
tajo_read_environment
tajo_set_defaults
