/** The protocol's words for people; why a term began is told in words with it. */

/** How the term before ended, in its holder's own words. @type {Record<string, string>} */
export const ENDS = {
  stopped: 'stopped in good order',
  'handed-over': 'handed over',
  'master-died': 'its keeper saw the master die',
  'master-hung': 'its keeper saw the master hang',
  'gave-up': 'gave up the lease',
}

/** What happens between two active masters, in order. @type {readonly [keyof import('./types.d.ts').Phases, string, string][]} */
export const PHASES = [
  ['noticedMs', 'Noticed', 'from its last heartbeat until the silence or the end was seen'],
  ['decidedMs', 'Proven or expired', 'until its death was proven or its lease had run out'],
  ['claimedMs', 'Claimed', 'until the new term was taken in the shared directory'],
  ['endedMs', 'Old terms ended', 'until no older term can be renewed any more'],
  ['settledMs', 'Settled', 'until writes under way could not arrive any more'],
  ['openedMs', 'Catalog open, serving', 'until the catalog was open and the new master served'],
]
