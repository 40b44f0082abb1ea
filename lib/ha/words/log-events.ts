/**
 * The events that the HA library logs, by names that stay as they are while their sentences may change: whoever counts or
 * alerts goes by these. The list is closed: `Log` takes no other one, docs/log-events.md is made from it, and a test
 * refuses what nothing logs.
 */

/** What each event means. */
export const HA_EVENTS = {
  // The role.
  'candidacy-regained': 'This master may become active again: a later term has served.',
  'claim-began': 'This master claims a term. `reason` and `orderedBy` tell why.',
  'claim-lost': 'Another master has that term.',
  'claim-failed': 'A term could not be claimed. It is tried again.',
  'claim-abandoned': 'The claim is given up, since the holder of an earlier term lives.',
  'ending-waits': 'A claim waits for something before it ends the terms below its own.',
  'ending-failed': 'The terms below could not be ended. It is tried again.',
  'fencing-began': 'A fencing method is tried on a silent master.',
  'fencing-succeeded': 'That method has made sure that the master is dead.',
  'fencing-failed': 'That method has not.',
  'term-fenced': 'The holder of a term is known to be dead: a method has succeeded.',
  'term-unfenced': 'No method has succeeded. A person has to make sure.',
  'role-taken':
    'This master is active. `tookMs` counts from the moment when it noticed that it may be.',
  'activation-failed': 'This master has a term and could not begin to serve in it.',
  'renewal-failed': 'The lease of a term could not be renewed. It is tried again.',
  'renewal-succeeded': 'It was renewed again, and the term goes on.',
  'term-suspended': 'The holder of a term acknowledges nothing until its lease is renewed.',
  'term-given-up': 'This master gives its term up, since it can not serve in it.',
  'drain-failed': 'The master could not end its work before a hand-over.',
  'term-released': 'A term was ended by its holder or by the keeper of it.',
  'release-failed': 'A term could not be released. Others wait until it is silent for long enough.',
  'deactivation-failed': 'What ends the service of a term failed.',
  'end-unrecorded': "The reason of a term's end could not be written down.",
  'end-unreadable': "How an earlier term has ended can't be read.",
  'heartbeat-left': 'The heartbeat of a term that was not begun could not be removed.',
  'master-deposed': 'Another master has ended the term of this one.',
  'role-offered': 'The active offers the role to a master that is better heard over the network.',
  'offer-failed': 'A master that was offered the role does not get it now.',
  'role-handed-over': 'The active hands the role to the master that it was offered to.',
  'split-brain-found': 'A higher term serves while the one of this master was never ended.',

  // One and the same directory.
  'directories-differ': 'Another master works on another directory.',
  'directories-agree': "That master works on this one's directory now.",
  'stand-back-began': 'Two masters are active in two directories, and this one stands back.',
  'stand-back-ended': 'The reason to stand back is gone.',
  'contest-call-failed': 'A file call of the proof that two masters have one directory failed.',
  'cluster-unproven': "Whose directory it is can't be read, and a term is claimed all the same.",

  // The shared directory.
  'directory-unreadable': "The shared directory can't be read.",
  'directory-readable': 'It can be read again.',
  'directory-file-put-back':
    'Something had removed or replaced a file of the cluster, and it was put back.',
  'directory-file-lost': 'Such a file is gone and could not be put back.',
  'directory-file-blocked': 'A directory stands where a file of the cluster has to be.',
  'directory-files-unproven': "Whether all files of the cluster are there can't be told.",
  'directory-order-found': 'A command has left an order for this master in the directory.',
  'directory-order-unanswered': 'The answer to such an order could not be left.',
  'registration-failed': 'The file by which a backup is known could not be made or removed.',
  'refusal-unrecorded': 'This master may not join, and could leave no word of it for the others.',
  'publication-failed': 'Which masters this one hears could not be published.',
  'publication-left': 'What it had published could not be removed at its end.',
  'history-incomplete':
    'The record of a term could not be copied or old ones not be removed. It is tried again.',
  'terms-swept': 'Files of terms long past were removed.',
  'terms-voided': 'Terms that nobody had opened were made void.',
  'voiding-failed': 'Such terms could not be made void. It is tried again.',
  'reserve-failed': 'The room for the next term could not be kept or given back.',
  'reserve-gone': 'The room that was kept for the next term was removed by somebody.',
  'reserve-given-up': 'The storage is full, and the room that was kept for a term is used for it.',

  // The mount.
  'storage-profile-chosen': 'The kind of storage needs rules of its own, and they are followed.',
  'storage-alert-raised': 'Something is doubtful or wrong with the storage or its mount.',
  'storage-alert-over': 'That is so no more.',
  'mount-changed':
    "The directory was mounted anew, or its path leads elsewhere, and it is the cluster's.",
  'mount-unjudged': "The mount can't be judged now.",
  'watch-failed': "File events can't be had here, so some things are noticed a little later.",

  // The keeper and its master.
  'keeper-gone': 'The keeper of this master is gone. Another one is started.',
  'keeper-broken': 'A mistake in the software ends the keeper.',
  'keeper-process-failed': 'The process of a keeper could not be started or not be told something.',
  'keeper-message-unknown': 'The keeper said something that this version does not know.',
  'member-failed': "This master can't take part any more.",
  'master-gone': 'The process of the master has ended, says its keeper.',
  'master-killed': 'The keeper has killed its master.',
} as const

/** The name of an event that the library logs; docs/log-events.md says what each one means. */
export type HaEvent = keyof typeof HA_EVENTS
