/**
 * The events that the daemons log besides those of `ha/words/log-events.ts`, by names that stay as they are while their
 * sentences may change. The list is closed: `Log` takes no other one, docs/log-events.md is made from it, and a test
 * refuses what nothing logs.
 */

/** What each event means. */
export const DAEMON_EVENTS = {
  // A daemon's life.
  'start-failed': 'The daemon could not start.',
  'stop-failed': 'The end in good order failed.',
  'daemon-ended': 'The daemon has ended in good order.',
  'daemon-cut-short': 'A second signal ends the daemon at once.',
  'daemon-crashed': 'A mistake in the software ends the daemon.',
  'daemon-file-put-back': 'Its pid file or socket was removed by something, and made again.',
  'daemon-file-lost': "Such a file was removed and can't be made again.",
  'log-reopened': 'SIGHUP: the log is opened anew.',
  'log-lines-lost': 'Lines of the log could not be written, and are lost.',
  'audit-unwritten': 'The audit log can not be written: entries are lost.',
  'request-failed': 'A mistake in the software has failed a request.',
  'connections-refused': 'An address has as many connections to a port as one may.',
  'message-refused': 'A message of another daemon was refused. `from` names the sender.',

  // The configuration.
  'conf-doubtful': 'Something in the configuration is doubtful.',
  'conf-changed': 'A key has another value from now on.',
  'conf-change-waits': 'A key has another value in the file, which counts after a restart.',
  'conf-confirmed': 'The files say what is in force.',
  'conf-refused': 'The changed configuration is wrong, and not taken over.',
  'conf-watch-failed': 'Changes of the files are noticed at SIGHUP only.',
  'masters-file-changed': 'Masters were added to `masters` or removed from it.',
  'rootdir-mode':
    'What was found of modes and owners in `tajo.rootdir`, and what was done about it.',
  'rootdir-doubtful': '`tajo.rootdir` lies where others may replace it, or where it may not last.',

  // A master and the other ones.
  'state-changed': "The master's state, its term, or what it knows of the active has changed.",
  'master-stopping': 'The master ends in good order.',
  'election-unleft': 'The master ends, and its keeper has not let go in time.',
  'activation-slow': 'To begin a term took longer than its periods are made for.',
  'services-unloaded': 'The code of the query services could not be loaded.',
  'order-received': 'A command has given this master an order.',
  'order-refused': 'It was refused.',
  'peer-connected': 'Another master answers.',
  'peer-disconnected': 'It answers no more.',
  'peer-untold': 'A master was not told of a new term.',
  'peer-silent': 'A master does not tell how it stands.',
  'contest-failed': 'No proof of one and the same directory could be had of another master.',
  'foreign-master-found': 'A master in `conf/masters` is one of another cluster.',
  'foreign-master-gone': 'It answers for another cluster no more.',
  'split-brain-heard': 'Another master says that it is active, while this one is.',

  // Files that have to stay.
  'directory-silent': 'A directory that is needed does not answer.',
  'directory-answers': 'It answers again.',
  'standing-files-unproven': "Whether files that have to stay are there can't be told.",
  'single-file-put-back': 'A file of a master without high availability was removed, and put back.',
  'single-files-unproven': "Whether such files are there can't be told.",
  'cluster-file-foreign':
    "A cluster's file has come where a master without high availability works.",

  // The catalog.
  'catalog-begun': 'The catalog begins empty.',
  'catalog-opening': 'The opening takes long. The sentence tells how far it is.',
  'catalog-opened': 'The catalog is open under a term.',
  'catalog-followed': 'A backup knows the catalog: a take-over reads only what is new.',
  'catalog-unfollowed': "A backup can't follow the catalog: a take-over reads more.",
  'catalog-unavailable': 'The store does not answer. It is tried again.',
  'catalog-append-failed': 'The store did not take a change. It is opened again.',
  'catalog-taken': 'A higher term has the store.',
  'catalog-broken': 'The catalog can take no more changes.',
  'catalog-owner-unknown': "Whose the catalog is can't be told yet.",
  'catalog-files-gone':
    'Files of the catalog were removed or spoilt. Nothing is acknowledged any more.',
  'catalog-files-unproven': "Whether the catalog's files are there can't be told.",
  'catalog-rewritten': 'The catalog was written anew from memory.',
  'catalog-rewrite-failed': 'It could not be written anew. It is tried again.',
  'catalog-sign-put-back': 'A small file beside the catalog was removed, and made again.',
  'catalog-sign-omitted': 'There is no room for such a file. It is made later.',
  'catalog-sweep-failed': 'Old files of the catalog could not be removed.',
  'checkpoint-failed': 'No checkpoint of the catalog could be made.',
  'rehearsal-ended': 'A take-over was rehearsed.',
  'rehearsal-failed': 'It could not be rehearsed, so the first one takes a little longer.',

  // Workers, as the master sees them.
  'worker-registered': 'A worker is there.',
  'worker-unlisted': 'A worker that is not in `workers` has registered, and gets queries.',
  'worker-refused':
    'A worker may not register: it is not in `workers`, or has another one’s address.',
  'workers-list-kept': 'The file `workers` can’t be read, and the list stays as it was.',
  'worker-ended': 'The process of a worker has ended.',
  'worker-lost': 'A worker was not heard of for too long.',
  'worker-storage-lost': 'A worker gets no queries: it has no storage, or another one.',
  'worker-storage-back': 'Its storage answers again.',
  'worker-untold': 'A worker was not told that a query is to end.',
  'worker-silent': 'A worker did not tell what it has written.',
  'worker-proof-failed': "A worker's proof that it has the directory could not be checked.",
  'warehouse-unproven':
    "The active can't use the warehouse, so no worker can prove that it has it.",
  'warehouse-proven': 'It is there again.',

  // Queries.
  'query-end-unrecorded': 'The end of a query could not be recorded. It is tried again.',
  'result-unpublished': 'The result of INSERT INTO LOCATION is not in its place yet.',
  'written-files-unproven': "Whether the active sees what a worker has written can't be told.",
  'query-log-behind': 'Lines of the query log are dropped, since it is too slow.',
  'query-log-failed': "The query log can't be written.",
  'query-log-gone': 'The query log was removed by something, and begun again.',
  'query-log-unreadable': "The query log can't be read.",
  'query-log-sweep-failed': 'Old query logs could not be removed.',
  'query-history-incomplete': 'Queries are missing in the history.',
  'compaction-failed': 'Small files are not joined.',
  'litter-removed': 'Files that no table names were removed.',
  'litter-left': 'Such a path is left where it is.',
  'sweep-failed': 'The look for such files broke off.',

  // The pages.
  'page-kill-received': 'Somebody wants a query to end, by a page.',
  'page-order-received': 'Somebody gave an order, by a page.',
  'page-order-refused': 'An order of a page was refused: its token is missing or wrong.',
  'page-statement-failed': 'A mistake in the software has failed a statement of a page.',
  'page-untold': 'Pages that are open were not told of a change.',
  'authentication-off': 'Clients have to prove nothing (tajo.security.authentication is none).',

  // A worker.
  'cluster-found': 'The cluster is there, and the active is looked for.',
  'cluster-missing': 'The directory holds no cluster yet.',
  'cluster-unreadable': "The cluster's id and secret can't be read.",
  'cluster-replaced': 'The directory holds another cluster now.',
  'master-followed': 'The worker is registered with the active.',
  'term-unshown': "A term was heard of that the cluster's directory does not show.",
  'term-unread': "A term was heard of, and the cluster's directory can't be asked for it.",
  'worker-unwanted': 'The active does not admit this worker, or gives it no queries, and says why.',
  'master-left': 'The worker looks for another active.',
  'master-stream-ended': 'The connection to the active has ended.',
  'master-untold': 'A master was not told something.',
  'master-learnt': 'The worker knows one more master.',
  'foreign-master-refused':
    'A master of another cluster has that address. The worker does not register.',
  'masters-list-kept': 'The list of masters could not be read, so it stays as it was.',
  'masters-unread': 'The shared directory tells no masters.',
  'worker-place-unproven':
    "The worker can make no file there, so the active's file alone is its proof.",
  'proof-file-left': 'A file of such a proof could not be removed.',
  'query-attempt-began': 'The worker runs a query.',
  'query-attempt-ended': 'It runs it no more.',
  'query-broken': 'A mistake in the software has failed a query.',
  'query-end-unheard': 'The active did not hear how a query ended.',
  'engine-ended':
    'The process of an engine has ended by itself, and the query that ran in it has failed.',
  'spill-put-back': 'The directory for what does not fit into memory was removed, and made again.',
  'spill-lost': "That directory is gone and can't be made again.",
  'worker-stopping': 'The worker ends in good order.',
} as const

export type DaemonEvent = keyof typeof DAEMON_EVENTS
