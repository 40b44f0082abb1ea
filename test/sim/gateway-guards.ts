/**
 * The rules of HDFS's NFS gateway (lib/ha/storage-profile.ts), each left out in turn: gateway.test.ts has to find every one.
 * Most are found by what they are for: that an active serves after all was healed, and whoever it deposed is a backup.
 */
import type { KeeperLink } from '../../lib/ha/messages.ts'
import { HDFS_GATEWAY, type StorageProfile } from '../../lib/ha/storage-profile.ts'
import type { Breaks } from './breaks.ts'
import type { Profile } from './profile.ts'

export interface GatewayGuard {
  /** What is left out. */
  readonly name: string
  readonly breaks: Breaks
  readonly adjust: (profile: Profile) => Profile
}

/** Three hosts with a gateway each, changes thick and fast, and nothing old to be seen. */
export const gatewayWorld = (profile: Profile): Profile => ({
  ...profile,
  masters: 3,
  hosts: 3,
  hostileMs: 0,
  auditReads: true,
  fencing: false,
  changeEveryMs: profile.timing.monitorMs / 30,
  storage: { ...profile.storage, hdfs: true, granularityMs: 1, delegations: false, absenceMs: 0 },
})

/** Holders stand still until another has taken over. */
const deposed = (profile: Profile): Profile => {
  const world = gatewayWorld(profile)
  return {
    ...world,
    timings: [profile.timing],
    faults: ['freeze host', 'stop keeper', 'cut storage of host'],
    faultEveryMs: profile.timing.monitorMs / 2,
    shortestMs: 1.2 * profile.timing.monitorMs,
    longestMs: 2 * profile.timing.monitorMs,
    faultsForMs: 12 * profile.timing.monitorMs,
    triggers: 0,
    // One, so that one call that is never answered is one too many.
    storage: { ...world.storage, fileThreads: 1 },
  }
}

/** … in a renewal, between its look and its touch: one after the other, and each touch is lost. */
const deposedInATouch = (profile: Profile): Profile => {
  const world = deposed(profile)
  return {
    ...world,
    masters: 2,
    hosts: 2,
    faults: ['wall clock'],
    faultsForMs: 24 * profile.timing.monitorMs,
    triggers: 60,
    aims: [['renew', 400]],
    strikes: ['freeze host'],
    storage: { ...world.storage, fileThreads: 2, lostShare: 1 },
  }
}

const without = (rule: Partial<StorageProfile>): Breaks => ({
  profile: { ...HDFS_GATEWAY, ...rule },
})

export const GATEWAY_GUARDS: readonly GatewayGuard[] = [
  {
    name: 'take an EIO at a create for a storage that fails',
    breaks: without({ eioMayMeanExists: false }),
    adjust: (profile) => ({
      ...gatewayWorld(profile),
      faults: ['kill master', 'freeze host', 'stop both'],
      triggers: 4,
    }),
  },
  {
    name: 'take an EIO at a look for a directory that can’t be read',
    breaks: without({ eioMayMeanGone: false }),
    adjust: (profile) => ({
      ...gatewayWorld(profile),
      faults: ['kill master', 'freeze host', 'stop both'],
      triggers: 4,
    }),
  },
  {
    name: 'read the journal while it grows',
    breaks: without({ readsGrowingFiles: true }),
    adjust: (profile) => ({
      ...gatewayWorld(profile),
      faults: ['dump catalog', 'dump catalog', 'power off', 'kill both'],
      triggers: 0,
    }),
  },
  {
    name: 'touch without a look before',
    breaks: without({ looksBeforeTouch: false }),
    adjust: deposed,
  },
  {
    name: 'keep a keeper whose touch is never answered',
    breaks: {
      keeperLink: (link): KeeperLink => ({
        send: (message) => {
          if (message.type !== 'lost-call') link.send(message)
        },
        onMessage: (listener) => link.onMessage(listener),
        onClose: (listener) => link.onClose(listener),
      }),
    },
    adjust: deposedInATouch,
  },
]
