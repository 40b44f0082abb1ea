/** What `--help` prints, as plain text, so that it needs no argument parser to be loaded. */

const COMMON = `  --config DIR   the configuration directory (else TAJO_CONF_DIR, else conf/ of this install)
  --json         one JSON document on stdout, where the command answers something

Long options may be written with one dash or with two.
Exit codes: 0 done, 1 failed, 2 wrong usage, 3 the named master is unknown, 4 refused because it would be unsafe.`

const TAJO = `Usage: tajo COMMAND [options]

  master         run a master in the foreground
  worker         run a worker in the foreground
  haadmin        see, move and check who is the active master; 'tajo haadmin --help' tells all verbs
  catalog        dump the catalog into a file, load it, bring back what is whole of it; 'tajo catalog --help' tells more
  user           users of the cluster: add one, change a password, drop one, list them
  getconf KEY    print the value of a configuration key
  demo           two masters and a worker in a directory of their own: kill the active one in the middle of a query
  version        print the version

${COMMON}`

const HAADMIN = `Usage: tajo haadmin VERB [options]          ADDR is a master's umbilical address, such as host2:26001

  -getState ADDR               is that master active or backup? Asks it; judges from the shared directory when it is silent
  -status                      all masters, the last transitions, and why none is active where none is
  -history [--limit N]         term by term: who, from whom, why, by whom, how long each phase took (default: the last 50)

  -certificate                 the certificate of the cluster's authority (PEM), by which clients know the cluster
  -token                       the token for admin orders over HTTP, where tajo.master.info-http.admin allows them

  -transitionToActive ADDR [--force]
                               makes that master the active one: a planned hand-over when an active lives, a take-over
                               when none does. Returns when it serves. --force fences the present active first
  -transitionToBackup ADDR [--force]
                               makes that master a backup: hands over to the best backup. Refused when there is none,
                               unless --force
  -formatHA [--yes]            clears the HA directory, never lowering the epoch. Refused while any master lives.
                               Asks on a terminal; elsewhere --yes says that you mean it

  -checkSharedDir [--peer HOST]
                               proves that the shared directory does what the protocol needs; with a peer from two hosts

${COMMON}
Changing commands are done on the master's own host: here, or over ssh (TAJO_SSH_OPTS) for another host.`

const CATALOG = `Usage: tajo catalog dump [FILE]
       tajo catalog load FILE [--force]
       tajo catalog restore [--term N]

  dump [FILE]    the whole catalog as one JSON document into FILE, or to stdout; may run beside an active master
  load FILE      into the store that is configured, for a restore or a move to another store. Refused while a master lives,
                 and for a catalog that holds tables or is damaged, unless --force says that it may be replaced. The
                 tables' data files are not part of it: they stay where they are
  restore        where files of a SharedStore were removed or damaged, and its masters are refused by it: lists what is
                 whole, by term, and brings back the newest, or that of term N. Masters may wait meanwhile; refused beside
                 an active one. Nothing is removed by it

${COMMON}`

const USER = `Usage: tajo user add|passwd|drop NAME
       tajo user list

  add NAME       a new user; GRANT tells what he may do
  passwd NAME    gives him another password, and ends what he is logged in to
  drop NAME      there is no such user any more; his tables become the administrator's
  list           all users

For the administrator: whoever can read the cluster's secret (system/ha in tajo.rootdir). The password is asked for on the
terminal, or is the first line of the standard input; only a verifier of it leaves this host.

${COMMON}`

const GETCONF = `Usage: tajo getconf KEY [--show-secrets]

Prints the value in force of a configuration key: from tajo-site.xml or catalog-site.xml, else its default.

  --show-secrets               passwords as they are; they are hidden otherwise

${COMMON}`

const DEMO = `Usage: tajo demo

In a directory of its own and on free ports: starts two masters and a worker, makes a table, reads it with a query, kills
the active master with -9 in the middle of that, and shows how the backup takes over, a change of data goes through, and
the query returns every row. Cleans up. Exits 0 only if all of that happened.

${COMMON}`

const MASTER = `Usage: tajo master

Runs a master in the foreground. sbin/start-tajo.sh starts all masters of conf/masters in the background.

${COMMON}`

const WORKER = `Usage: tajo worker

Runs a worker in the foreground. sbin/start-tajo.sh starts all workers of conf/workers in the background.

${COMMON}`

const VERSION = `Usage: tajo version

${COMMON}`

const TEXTS: Readonly<Record<string, string>> = {
  haadmin: HAADMIN,
  catalog: CATALOG,
  user: USER,
  getconf: GETCONF,
  demo: DEMO,
  master: MASTER,
  worker: WORKER,
  version: VERSION,
}

/** This is the help of a command; the overview for none and for an unknown one. */
export const helpText = (command: string | null): string => TEXTS[command ?? ''] ?? TAJO
