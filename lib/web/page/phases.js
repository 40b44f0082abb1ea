/** What happens between two active masters, in order. @type {readonly [keyof import('./types.d.ts').Phases, string, string][]} */
export const PHASES = [
  ['noticedMs', 'Noticed', 'from its last heartbeat until the silence or the end was seen'],
  ['decidedMs', 'Proven or expired', 'until its death was proven or its lease had run out'],
  ['claimedMs', 'Claimed', 'until the new term was taken in the shared directory'],
  ['endedMs', 'Old terms ended', 'until no older term can be renewed any more'],
  ['settledMs', 'Settled', 'until writes under way could not arrive any more'],
  ['openedMs', 'Catalog open, serving', 'until the catalog was open and the new master served'],
]
