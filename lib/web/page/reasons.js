/** The protocol's words for people. */

/** Why a term began. @type {Record<string, string>} */
const REASONS = {
  'first-start': 'first start',
  released: 'its term was released',
  'handed-over': 'handed over as planned',
  'process-dead': 'its process was proven dead',
  expired: 'its lease expired (host lost or hanging)',
  command: 'an operator’s command',
  format: 'the HA directory was formatted',
  swept: 'an unfinished claim was cleared away',
}

/** Why a keeper released its term: that is what people want to know. @type {Record<string, string>} */
const RELEASES = {
  stopped: 'stopped in good order',
  'master-died': 'its process died',
  'master-hung': 'its process hung',
  'gave-up': 'it gave up its lease',
}

/** @param {import('./types.d.ts').Term} entry */
export function reasonOf({ term, served }) {
  const release =
    term.reason === 'released' ? RELEASES[served?.previousEnd?.reason ?? ''] : undefined
  return release ?? REASONS[term.reason] ?? term.reason
}

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
