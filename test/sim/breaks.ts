/**
 * Guards broken on purpose, to show that the auditor has teeth. Production code has no switch for it: each break lies
 * to it through a port (the disk, the clock, the channel, the periods) or sits in the test's own catalog.
 */

import type { Target } from '../../lib/ha/member/network-ear.ts'
import type { Timing } from '../../lib/ha/rules/timing.ts'
import type { KeeperLink, MasterLink } from '../../lib/ha/words/messages.ts'
import type { Clock, Disk, Processes } from '../../lib/ha/world/ports.ts'
import type { StorageProfile } from '../../lib/ha/world/storage-profile.ts'
import type { Change } from './auditor.ts'
import type { Catalog } from './catalog.ts'
import type { Ask } from './ears.ts'

/** What a break may reach of the master it sits in. */
export interface Inside {
  readonly clock: Clock
  readonly timing: Timing
  readonly catalog: Catalog
  /** Kept by a break for itself, one for each life of a master. */
  readonly notes: Map<string, unknown>
}

export interface Breaks {
  readonly timing?: (timing: Timing) => Timing
  /** Those of a keeper that goes on with the term of one before it. */
  readonly resumedTiming?: (timing: Timing) => Timing
  readonly keeperClock?: (clock: Clock) => Clock
  readonly masterClock?: (clock: Clock) => Clock
  readonly disk?: (disk: Disk, inside: Inside) => Disk
  readonly keeperLink?: (link: KeeperLink, inside: Inside) => KeeperLink
  readonly masterLink?: (link: MasterLink, inside: Inside) => MasterLink
  readonly processes?: (processes: Processes) => Processes
  readonly ackFirst?: boolean
  /** How a master asks over the network; `receives`: the target's messages come through. */
  readonly ask?: (ask: Ask, receives: (target: Target) => boolean) => Ask
  /** The network that a master believes to be on. */
  readonly ownNetwork?: string
  /** An active forgets a worker as soon as it has lost it. */
  readonly forgetsLost?: boolean
  /** What a keeper says of its files when it is offered the role. */
  /** By whose rules it takes its storage, in place of its own. */
  readonly profile?: StorageProfile
  readonly proveClaim?: () => Promise<string | null>
  /** What a keeper takes for the name of the mount, whatever is mounted. */
  readonly mountName?: string
  readonly readEarly?: (inside: Inside, term: number) => Promise<Change[]> | null
}
