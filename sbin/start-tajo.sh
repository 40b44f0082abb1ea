#!/usr/bin/env bash
# Starts every master of conf/masters and every worker of conf/workers, on this host directly and on others over ssh,
# all at once, and waits until one master is active and the workers have found it.
#
#     start-tajo.sh [--config DIR]
#
# The first start in a fresh clone installs and builds. A host that fails is named on stderr with the reason while the
# rest still starts; then the exit code is 1.
set -euo pipefail

# shellcheck source-path=SCRIPTDIR source=tajo-config.sh
. "$(dirname -- "$(readlink -f -- "$0")")/tajo-config.sh"
# shellcheck source-path=SCRIPTDIR source=tajo-hosts.sh
. "$TAJO_HOME/sbin/tajo-hosts.sh"

# npm answers with many lines; they matter only when it fails.
install_and_build() {
  [[ -f $TAJO_HOME/package-lock.json ]] ||
    fail 1 "$TAJO_HOME is neither a clone nor a whole tarball (no build, no package-lock.json): unpack it again"
  command -v npm >/dev/null || fail 1 "there is no 'npm' in PATH ($PATH), which the first start of a clone needs"
  say "first start in this clone: installing and building (npm ci), this takes a minute"
  (cd -- "$TAJO_HOME" && npm ci --include=dev --no-audit --no-fund </dev/null) >"$work/npm" 2>&1 || {
    cat -- "$work/npm" >&2
    fail 1 "'npm ci' in $TAJO_HOME failed, see above"
  }
}

((${#tajo_args[@]} == 0)) || fail 2 "unknown argument '${tajo_args[0]}'; usage: start-tajo.sh [--config DIR]"
need_node
is_built || install_and_build
read_daemons || exit 1

TAJO_STARTER=$HOSTNAME
TAJO_STARTER_VERSION=$(own_version)
TAJO_STARTER_FILES=
for file in tajo-site.xml catalog-site.xml masters workers; do
  TAJO_STARTER_FILES+="$(file_mark "$TAJO_CONF_DIR/$file") "
done

for number in "${!names[@]}"; do run_daemon "$number" start & done
wait
collect_failures

if (($(well master) > 0)); then
  node "$TAJO_HOME/$(programs)/cluster-active.js" wait "$(well worker)" || exit_code=1
fi
name_failures started
exit "$exit_code"
