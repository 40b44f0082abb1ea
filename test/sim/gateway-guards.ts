/**
 * The rules of HDFS's NFS gateway (lib/ha/world/storage-profile.ts), each left out in turn: gateway.test.ts has to find every one.
 * Most are found by what they are for: that an active serves after all was healed, and whoever it deposed is a backup.
 */
import type { KeeperLink } from '../../lib/ha/words/messages.ts'
import type { Glimpse } from '../../lib/ha/world/ports.ts'
import { HDFS_GATEWAY, type StorageProfile } from '../../lib/ha/world/storage-profile.ts'
import type { Breaks } from './breaks.ts'
import type { Profile } from './profile.ts'

export interface GatewayGuard {
  /** What is left out. */
  readonly name: string
  readonly breaks: Breaks
  /** A seed that found it, where few do: it is tried first. */
  readonly seed?: number
  /** Whose violation has to be the first to be found, where another one would show nothing. */
  readonly rule?: string
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

/** … and one that shows listings and heartbeats of a while ago, so that living holders are taken for dead. */
export const staleGatewayWorld = (profile: Profile): Profile => ({
  ...gatewayWorld(profile),
  masters: 2,
  hosts: 2,
  priorities: [],
  timings: [profile.timing],
  hostileMs: Math.max(3800, 2 * profile.timing.monitorMs),
  auditReads: 'to the deadline',
  faults: ['hint', 'wall clock', 'cut network', 'take over'],
  faultEveryMs: profile.timing.monitorMs / 2,
  faultsForMs: 6 * profile.timing.monitorMs,
  triggers: 0,
  storage: { ...gatewayWorld(profile).storage, peakShare: 0 },
})

/** … and holders that cannot look either, until another has taken over: only their own deadline is left. */
const cutAway = (profile: Profile): Profile => ({
  ...staleGatewayWorld(profile),
  faults: ['cut storage of host'],
  shortestMs: 1.2 * profile.timing.monitorMs,
  longestMs: 2 * profile.timing.monitorMs,
})

/**
 * Looks go through a file that stays open: a name that is gone changes nothing there, and its link count is 1 as before. What
 * decides is the touch by path, which the gateway answers by the name.
 */
export const byOpenFiles: NonNullable<Breaks['disk']> = (disk, { notes }) => ({
  ...disk,
  glimpse: async (purpose, path) => {
    const seen = await disk.glimpse(purpose, path)
    if (seen === 'missing') return (notes.get(path) as Glimpse | undefined) ?? seen
    notes.set(path, seen)
    return seen
  },
})

/** … and so do renewals. */
const renewsOpenFiles: NonNullable<Breaks['disk']> = (disk, { notes }) => ({
  ...disk,
  touch: async (purpose, path, ...more) => {
    if ((await disk.glimpse(purpose, path)) === 'missing' && notes.has(path)) return 'touched'
    notes.set(path, true)
    return disk.touch(purpose, path, ...more)
  },
})

/** A suspension reaches the master at its deadline, whatever its keeper knows before. */
const suspendsAtTheDeadline: NonNullable<Breaks['keeperLink']> = (link, { clock }) => {
  let untilMs = Number.NEGATIVE_INFINITY
  return {
    send: (message) => {
      if (message.type === 'lease') untilMs = message.untilMs
      if (message.type !== 'suspend' || clock.nowMs() >= untilMs) link.send(message)
    },
    onMessage: (listener) => link.onMessage(listener),
    onClose: (listener) => link.onClose(listener),
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
  {
    name: 'renew through an open file, whose link count is 1 also when its name is gone',
    breaks: { disk: renewsOpenFiles },
    adjust: deposed,
  },
  {
    name: 'answer reads after the deadline, where nobody can look',
    seed: 123,
    breaks: { timing: (timing) => ({ ...timing, deadlineMs: 10 * timing.monitorMs }) },
    rule: 'one serves',
    adjust: cutAway,
  },
  {
    name: 'answer to the deadline under a term that another is seen to serve above',
    seed: 54,
    breaks: { keeperLink: suspendsAtTheDeadline },
    rule: 'one serves',
    adjust: staleGatewayWorld,
  },
]
