# shellcheck shell=bash
# The environment of every daemon and command, read by the scripts in sbin and by bin/tajo. What is commented out shows
# the default; a value set here wins over the caller's environment. Every host reads its own copy of this file.

# Where Node.js is, when shells that ssh starts don't find it. For the scripts in sbin only: bin/tajo and bin/tsql are
# programs of Node.js, so typing them needs it in PATH already.
# export PATH=/opt/node/bin:$PATH

# Logs: tajo-$TAJO_IDENT_STRING-master-$HOSTNAME.log (JSON lines) and .out (what the process printed).
# A second master on this host with a configuration directory of its own needs its own directory here, too.
# export TAJO_LOG_DIR=$TAJO_HOME/logs

# Pid files and the sockets that haadmin talks to. A second master on this host with a configuration directory of its
# own needs its own directory here.
# export TAJO_PID_DIR=$TAJO_HOME/run

# Part of the names of pid and log files, so that several clusters' daemons can be told apart.
# export TAJO_IDENT_STRING=$USER

# Scheduling priority of the daemons, from -20 (first) to 19 (last). Where nothing is set here, a worker has 0, and a
# master and its keeper have -5 if their user may do that (root, or LimitNICE= of systemd), so that a busy host doesn't
# cost them their term.
# export TAJO_NICENESS=0

# How much lower the priority of the processes that run a worker's queries is than the worker's, from 0 to 19.
# export TAJO_ENGINE_NICENESS=5

# Options of ssh, for start-tajo.sh, stop-tajo.sh and haadmin. Quotes are understood, nothing is expanded.
# export TAJO_SSH_OPTS="-i /home/tajo/.ssh/cluster -o ConnectTimeout=5"

# Seconds that a daemon gets to end in good order before it is killed.
# export TAJO_STOP_TIMEOUT=5

# Seconds that a daemon gets to open its ports, and the cluster to have an active master.
# export TAJO_START_TIMEOUT=60

# Options of Node.js for the daemons.
# export TAJO_MASTER_OPTS="--max-old-space-size=1024"
# export TAJO_WORKER_OPTS=
