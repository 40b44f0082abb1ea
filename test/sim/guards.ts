/**
 * The guards of the protocol, each broken in turn, with a world in which that matters. The auditor has to find every one
 * of them. How they are broken: see breaks.ts.
 */

import { type Periods, periodsOf } from '../../lib/ha/rules/periods.ts'
import { makeTiming } from '../../lib/ha/rules/timing.ts'
import { DiskError } from '../../lib/ha/words/errors.ts'
import {
  ACTIVE_DIR,
  BACKUP_DIR,
  CLUSTER_FILE,
  claimFile,
  HISTORY_DIR,
  openedFile,
  termOf,
} from '../../lib/ha/words/layout.ts'
import type { ToMaster } from '../../lib/ha/words/messages.ts'
import type { Clock, Disk } from '../../lib/ha/world/ports.ts'
import type { Change } from './auditor.ts'
import type { Breaks, Inside } from './breaks.ts'
import type { Profile } from './profile.ts'
import { split } from './world/server.ts'

export interface Guard {
  /** What is broken. */
  readonly name: string
  /** A seed that found it, where few do: it is tried first. */
  readonly seed?: number
  readonly breaks: Breaks
  /** Nobody is in danger, but after the healing nobody could work: that bound is what finds it. */
  readonly stopsAll?: boolean
  /** The world in which it shows. */
  readonly adjust?: (profile: Profile) => Profile
  /** Where the break is part of the world itself: that world without it. */
  readonly control?: (profile: Profile) => Profile
}

const wall = (clock: Clock): Clock => ({ ...clock, nowMs: () => clock.wallMs() })

/** Disk calls replaced one by one; all others as they were. */
const withDisk = (disk: Disk, changed: Partial<Disk>): Disk => ({
  makeTermDir: (...args) => disk.makeTermDir(...args),
  makeDirs: (...args) => disk.makeDirs(...args),
  create: (...args) => disk.create(...args),
  fill: (...args) => disk.fill(...args),
  occupy: (...args) => disk.occupy(...args),
  space: () => disk.space(),
  touch: (...args) => disk.touch(...args),
  glimpse: (...args) => disk.glimpse(...args),
  read: (...args) => disk.read(...args),
  list: (...args) => disk.list(...args),
  unlink: (...args) => disk.unlink(...args),
  replace: (...args) => disk.replace(...args),
  removeDir: (...args) => disk.removeDir(...args),
  syncDir: (...args) => disk.syncDir(...args),
  ...changed,
})

/** A registration among the backups keeps the name of the first one of that life. */
export const registersUnderOneName = (disk: Disk): Disk => {
  const first = (path: string): string =>
    path.startsWith(`${BACKUP_DIR}/`) ? path.replace(/-\d+\.json$/, '-1.json') : path
  let own = ''
  return withDisk(disk, {
    create: (purpose, path, text) => {
      if (first(path) !== path) own = path
      return disk.create(purpose, first(path), text)
    },
    fill: (purpose, path, text) => disk.fill(purpose, first(path), text),
    touch: (purpose, path, ...more) => disk.touch(purpose, first(path), ...more),
    glimpse: (purpose, path) => disk.glimpse(purpose, first(path)),
    read: (purpose, path) => disk.read(purpose, first(path)),
    unlink: (purpose, path) => disk.unlink(purpose, first(path)),
    // Its keeper looks there for the name that it has asked for.
    list: async (purpose, path) => {
      const names = await disk.list(purpose, path)
      if (names === 'missing' || path !== BACKUP_DIR) return names
      return names.map((name) => (`${path}/${name}` === first(own) ? split(own)[1] : name))
    },
  })
}

/** For what is left out there is nothing to see, and nothing to remove. */
const blind = (
  disk: Disk,
  isLeftOut: (purpose: string, path: string) => boolean,
): Partial<Disk> => ({
  glimpse: async (purpose, path) =>
    isLeftOut(purpose, path) ? 'missing' : disk.glimpse(purpose, path),
  list: async (purpose, path) => (isLeftOut(purpose, path) ? 'missing' : disk.list(purpose, path)),
  unlink: async (purpose, path) =>
    isLeftOut(purpose, path) ? 'missing' : disk.unlink(purpose, path),
})

/** The term of a file in its directory, or of that directory itself. */
const termIn = (path: string): number => {
  const [directory, name] = split(path)
  return termOf(name) ?? termOf(split(directory)[1]) ?? 0
}

/** Claims come thick and fast, and are stopped in the middle. */
const contended = (profile: Profile): Profile => ({
  ...profile,
  hostileMs: 0,
  auditReads: true,
  masters: 3,
  hosts: 3,
  faults: ['stop keeper', 'stop both', 'freeze host', 'kill master'],
  faultEveryMs: profile.timing.monitorMs / 4,
  longestMs: 2 * profile.timing.monitorMs,
  faultsForMs: 4 * profile.timing.monitorMs,
  triggers: 6,
  changeEveryMs: profile.timing.monitorMs / 30,
})

/** Claimants stand still in the middle of their claim, and go on about when the next one has overtaken them. */
const overtaken = (profile: Profile): Profile => ({
  ...contended(profile),
  faults: ['kill master', 'freeze host'],
  faultEveryMs: profile.timing.monitorMs / 2,
  aims: [['claim', 5]],
  strikes: ['freeze host', 'stop both'],
  shortestMs: 0.6 * profile.timing.monitorMs,
  longestMs: 1.2 * profile.timing.monitorMs,
  triggers: 10,
})

/** Changes are on their way to the journal when everything stands still until the next term has read it. */
const appending = (profile: Profile): Profile => ({
  ...overtaken(profile),
  aims: [['catalog', 60]],
  strikes: ['freeze host', 'stop both', 'cut storage of host'],
  shortestMs: 0.9 * profile.timing.monitorMs,
  longestMs: 2 * profile.timing.monitorMs,
  changeEveryMs: profile.timing.monitorMs / 60,
})

const cutOff = (profile: Profile): Profile => ({
  ...profile,
  hostileMs: 0,
  auditReads: true,
  faults: ['cut storage of host', 'freeze host', 'stop both', 'wall clock'],
  longestMs: 3 * profile.timing.monitorMs,
  changeEveryMs: profile.timing.monitorMs / 30,
})

/** Whoever holds the lease stands still about as long as others are patient, again and again. */
const stallingTwice = (profile: Profile): Profile => ({
  ...cutOff(profile),
  faults: ['freeze host', 'stop both'],
  faultEveryMs: profile.timing.monitorMs / 4,
  shortestMs: 0.45 * profile.timing.monitorMs,
  longestMs: 0.75 * profile.timing.monitorMs,
  triggers: 0,
  faultsForMs: 5 * profile.timing.monitorMs,
  storage: { ...profile.storage, latencyMs: profile.timing.monitorMs / 220 },
})

/** Living holders are taken for dead all the time, and nothing else is wrong. */
const suspicious = (profile: Profile): Profile => ({
  ...profile,
  masters: 3,
  hosts: 3,
  hostileMs: 10 * profile.timing.monitorMs,
  auditReads: true,
  faults: ['wall clock'],
  triggers: 0,
  fencing: false,
  faultsForMs: 4 * profile.timing.monitorMs,
  storage: { ...profile.storage, peakShare: 0, delegations: false },
})

/** The same, and one of those who claim stands still in the middle. */
const suspiciousAndOvertaken = (profile: Profile): Profile => {
  const { aims, strikes, shortestMs, longestMs, triggers } = overtaken(profile)
  return { ...suspicious(profile), aims, strikes, shortestMs, longestMs, triggers }
}

/** Heartbeats are open somewhere when they are unlinked; `linksIgnored`: then a renewal still succeeds. */
const heldOpen = (profile: Profile, linksIgnored: boolean): Profile => ({
  ...suspicious(profile),
  faults: ['hold open'],
  faultEveryMs: profile.timing.monitorMs / 6,
  longestMs: 3 * profile.timing.monitorMs,
  storage: { ...profile.storage, peakShare: 0, delegations: false, linksIgnored },
})

/** A slow interval and a fast one, which don't change. */
const mixed = (profile: Profile): Profile => {
  const [timing, fast] = [makeTiming(5000), makeTiming(1000)]
  return { ...profile, timing, timings: [timing, fast], masters: 2, hosts: 2, priorities: [] }
}

/** Whoever holds a term slowly is cut off from the storage, and others are fast. */
const cutOffMixed = (profile: Profile): Profile => ({
  ...cutOff(mixed(profile)),
  faults: ['cut storage of host'],
  faultEveryMs: 2500,
  faultsForMs: 30_000,
  triggers: 0,
})

/** Living slow holders are taken for dead by fast ones. */
const suspiciousMixed = (profile: Profile): Profile => ({
  ...suspicious(mixed(profile)),
  faultsForMs: 30_000,
})

/** Those on file, as the reader's own would be, or none. */
const rewritten = (
  disk: Disk,
  { timing }: Inside,
  change: (theirs: Periods, own: Periods) => Partial<Periods> | null,
): Disk => {
  const within = (file: { periods?: Periods }): object => {
    const { periods, ...rest } = file
    const changed = periods === undefined ? null : change(periods, periodsOf(timing))
    return changed === null ? rest : { ...rest, periods: { ...periods, ...changed } }
  }
  return withDisk(disk, {
    read: async (purpose, path) => {
      const text = await disk.read(purpose, path)
      if (text === 'missing' || text === '' || !/claim\.json$|^history\//.test(path)) return text
      const file = JSON.parse(text) as { holder?: object; periods?: Periods }
      const holder = file.holder === undefined ? {} : { holder: within(file.holder) }
      return JSON.stringify({ ...within(file), ...holder })
    },
  })
}

/** A term is closed by its claim.json alone: what the history says of it is neither written nor read. */
const closedOnce = (disk: Disk): Disk =>
  withDisk(disk, {
    create: async (purpose, path, text) =>
      purpose === 'end-below' && path.startsWith(HISTORY_DIR)
        ? 'created'
        : disk.create(purpose, path, text),
    list: async (purpose, path) => {
      const names = await disk.list(purpose, path)
      if (purpose !== 'end-below' || path !== HISTORY_DIR || names === 'missing') return names
      return names.filter((name) => !name.endsWith('.opened.json'))
    },
  })

/** A term that could be closed in both places has no holder, as if nothing else told of one. */
const closedIsUnheld = (disk: Disk): Disk => {
  const made = new Set<string>()
  const isLeftOut = (purpose: string, path: string): boolean =>
    purpose === 'end-below' &&
    path.startsWith(ACTIVE_DIR) &&
    [claimFile, openedFile].every((file) => made.has(file(termIn(path))))
  return withDisk(disk, {
    create: async (purpose, path, text) => {
      const outcome = await disk.create(purpose, path, text)
      if (purpose === 'end-below' && outcome === 'created') made.add(path)
      return outcome
    },
    ...blind(disk, isLeftOut),
  })
}

const endOnlyPrevious = (disk: Disk): Disk => {
  let newest = 0
  const isLeftOut = (purpose: string, path: string): boolean =>
    purpose === 'end-below' && path !== HISTORY_DIR && termIn(path) < newest - 1
  return withDisk(disk, {
    makeTermDir: (purpose, path) => {
      newest = termIn(path)
      return disk.makeTermDir(purpose, path)
    },
    create: async (purpose, path, text) =>
      isLeftOut(purpose, path) ? 'created' : disk.create(purpose, path, text),
    ...blind(disk, isLeftOut),
  })
}

/** What claim.json says informs only; that it exists decides. */
const heartbeatLast = (disk: Disk): Disk => {
  let decided: 'created' | 'exists' | 'missing' = 'missing'
  return withDisk(disk, {
    create: async (purpose, path, text) => {
      if (purpose === 'claim' && path.endsWith('claim.json')) return decided
      if (purpose === 'claim' && path.endsWith('heartbeat')) {
        decided = await disk.create(purpose, claimFile(termIn(path)), '{}')
      }
      return disk.create(purpose, path, text)
    },
  })
}

/** Old terms go at once and their numbers are not taken for ever. */
const sweepEarly = (disk: Disk): Disk =>
  withDisk(disk, {
    create: async (purpose, path, text) => {
      if (purpose === 'claim' && path.startsWith('history/')) return 'created'
      const served = /^history\/(\d+)\.served\.json$/.exec(path)
      if (purpose === 'mark' && served !== null) {
        const before = `active/epoch-${String(Number(served[1]) - 1).padStart(10, '0')}`
        const names = await disk.list('sweep', before)
        for (const name of names === 'missing' ? [] : names) {
          await disk.unlink('sweep', `${before}/${name}`)
        }
        await disk.removeDir('sweep', before)
      }
      return disk.create(purpose, path, text)
    },
  })

/**
 * The first create of each heartbeat is answered with an error and done by the server later; the error passes for a
 * definite no, on which the claim goes on with its number and makes the heartbeat again. Where the mount keeps inodes, the
 * holder tells the second from its own: not here.
 */
const heartbeatTwice = (disk: Disk, { clock, timing, notes }: Inside): Disk =>
  withDisk(disk, {
    touch: (purpose, path, mtimeMs) => disk.touch(purpose, path, mtimeMs),
    create: async (purpose, path, text) => {
      if (purpose !== 'claim' || !path.endsWith('heartbeat') || notes.has(path)) {
        return disk.create(purpose, path, text)
      }
      notes.set(path, true)
      const lands = (): void => void disk.create(purpose, path, text).catch(() => undefined)
      clock.after(2.5 * timing.monitorMs, lands)
      throw new DiskError('ENOSPC', path, `ENOSPC: create ${path}`)
    },
  })

const readFirst = (disk: Disk, inside: Inside): Disk =>
  withDisk(disk, {
    read: async (purpose, path) => {
      const text = await disk.read(purpose, path)
      if (purpose === 'claim' && path === CLUSTER_FILE) {
        const early = inside.catalog.read(100, new AbortController().signal)
        inside.notes.set('catalog', await early)
      }
      return text
    },
  })

/** Only its keeper believes the term to be on record. */
const unrecorded = (disk: Disk): Disk =>
  withDisk(disk, {
    create: async (purpose, path, text) =>
      purpose === 'mark' ? 'created' : disk.create(purpose, path, text),
  })

/** The first renewal that begins when the term is on record is only believed to be one. */
const unrenewed = (disk: Disk, { notes }: Inside): Disk =>
  withDisk(disk, {
    create: async (purpose, path, text) => {
      const made = await disk.create(purpose, path, text)
      if (purpose === 'mark') notes.set('on record', true)
      return made
    },
    touch: async (purpose, ...more) =>
      purpose === 'renew' && notes.delete('on record') ? 'touched' : disk.touch(purpose, ...more),
  })

/** The master goes on when it is told to stop, as if its lease were renewed. */
const deafToSuspension = (message: ToMaster, inside: Inside): ToMaster =>
  message.type === 'suspend'
    ? {
        type: 'lease',
        term: message.term,
        untilMs: inside.clock.nowMs() + 10 * inside.timing.monitorMs,
        tookMs: 0,
      }
    : message

/** A term whose directory is gone passes for one that was swept, long after its end. */
const vanishedIsSwept = (disk: Disk): Disk =>
  withDisk(disk, {
    read: async (purpose, path) => {
      const text = await disk.read(purpose, path)
      if (purpose !== 'end-below' || text === 'missing' || !/^history\/\d+\.json$/.test(path)) {
        return text
      }
      return text === '' ? text : JSON.stringify({ ...JSON.parse(text), reason: 'swept' })
    },
  })

/** The newest number that is known to be taken passes for one whose term has begun. */
const numberIsTerm = (message: ToMaster): ToMaster =>
  message.type === 'picture'
    ? { ...message, picture: { ...message.picture, begunTerm: message.picture.newestTerm } }
    : message

/** Every message of its keeper is changed on its way to the master. */
const tells = (change: (message: ToMaster, inside: Inside) => ToMaster): Breaks => ({
  masterLink: (link, inside) => ({
    send: (message) => link.send(message),
    onMessage: (listener) => link.onMessage((message) => listener(change(message, inside))),
    onClose: (listener) => link.onClose(listener),
  }),
})

export const GUARDS: readonly Guard[] = [
  {
    name: 'skip the settling',
    breaks: { timing: (timing) => ({ ...timing, settleMs: 0 }) },
    adjust: suspicious,
  },
  {
    name: 'settle for less than a renewal period',
    breaks: { timing: (timing) => ({ ...timing, settleMs: 0.6 * timing.renewMs }) },
    adjust: suspicious,
  },
  {
    name: 'use the wall clock for the lease',
    breaks: { keeperClock: wall, masterClock: wall },
    adjust: (profile) => ({ ...cutOff(profile), faultEveryMs: profile.timing.monitorMs / 5 }),
  },
  {
    name: 'act after the deadline',
    breaks: { timing: (timing) => ({ ...timing, deadlineMs: 10 * timing.monitorMs }) },
    adjust: cutOff,
  },
  {
    name: 'be more impatient than the deadline',
    breaks: { timing: (timing) => ({ ...timing, patienceMs: timing.monitorMs / 4, settleMs: 1 }) },
    adjust: cutOff,
  },
  {
    name: 'resume after a suspension without a renewal',
    breaks: tells(deafToSuspension),
    adjust: cutOff,
  },
  {
    name: 'acknowledge before the renewal',
    breaks: { ackFirst: true },
    adjust: appending,
  },
  {
    name: 'sweep too early, without taking the number for ever',
    seed: 37,
    breaks: { disk: sweepEarly },
    adjust: overtaken,
  },
  {
    name: 'end only the previous term',
    breaks: { disk: (disk) => endOnlyPrevious(closedOnce(disk)) },
    adjust: suspiciousAndOvertaken,
  },
  {
    name: "don't let claim.json decide",
    seed: 127,
    breaks: {
      disk: (disk) =>
        withDisk(closedOnce(disk), {
          create: async (purpose, path, text) => {
            const made = await closedOnce(disk).create(purpose, path, text)
            return purpose === 'claim' && path.endsWith('claim.json') ? 'created' : made
          },
        }),
    },
    adjust: overtaken,
  },
  {
    name: 'claim.json before the heartbeat',
    seed: 79,
    breaks: { disk: (disk) => heartbeatLast(closedOnce(disk)) },
    adjust: overtaken,
  },
  {
    name: 'go on with the number of a claim whose heartbeat may still be made',
    seed: 18,
    breaks: { disk: heartbeatTwice },
    adjust: (profile) => ({
      ...cutOff(profile),
      faultEveryMs: profile.timing.monitorMs / 3,
      faultsForMs: 8 * profile.timing.monitorMs,
    }),
  },
  {
    name: 'read the catalog before the lower terms are ended',
    breaks: {
      disk: readFirst,
      readEarly: (inside) => {
        const early = inside.notes.get('catalog') as Change[] | undefined
        return early === undefined ? null : Promise.resolve(early)
      },
    },
    adjust: contended,
  },
  {
    name: 'serve before the term is on record',
    breaks: { disk: unrecorded },
  },
  {
    name: 'serve without a renewal since the term is on record',
    breaks: { disk: unrenewed },
  },
  {
    name: 'ignore .nfs* names after the unlink',
    seed: 32,
    breaks: {
      disk: (disk) =>
        withDisk(disk, {
          list: async (purpose, path) => {
            const names = await disk.list(purpose, path)
            if (purpose !== 'end-below' || names === 'missing') return names
            return names.filter((name) => !name.startsWith('.nfs'))
          },
        }),
    },
    adjust: (profile) => ({
      ...cutOff(profile),
      masters: 3,
      hosts: 3,
      faults: ['cut storage of host', 'freeze host', 'hold open', 'hold open'],
      faultEveryMs: profile.timing.monitorMs / 6,
    }),
  },
  {
    name: 'go on when the heartbeat is gone',
    breaks: {
      disk: (disk) =>
        withDisk(disk, {
          touch: async (purpose, path, mtimeMs) => {
            const outcome = await disk.touch(purpose, path, mtimeMs)
            return purpose === 'renew' ? 'touched' : outcome
          },
        }),
    },
    adjust: cutOff,
  },
  {
    name: 'renew without a look at the link count',
    breaks: {},
    adjust: (profile) => heldOpen(profile, true),
    control: (profile) => heldOpen(profile, false),
  },
  {
    name: 'creates that are not exclusive (fuse-dfs)',
    breaks: {
      disk: (disk) =>
        withDisk(disk, {
          makeTermDir: async (purpose, path) => {
            await disk.makeTermDir(purpose, path)
            return 'made'
          },
          create: async (purpose, path, text) => {
            const made = await disk.create(purpose, path, text)
            return purpose === 'claim' && made === 'exists' ? 'created' : made
          },
        }),
    },
    adjust: contended,
  },
  {
    name: 'take a term whose claim.json was removed for one that nobody held',
    seed: 250,
    breaks: { disk: closedOnce },
    // A claimant whose call is under way for longer than a take-over, and its term's claim.json is removed meanwhile.
    adjust: (profile) => ({
      ...cutOff(profile),
      faults: ['remove claim'],
      faultEveryMs: profile.timing.monitorMs / 3,
      triggers: 4,
      aims: [['claim', 6]],
      strikes: ['cut storage of host', 'freeze host'],
    }),
  },
  {
    name: 'take a term of which both opening files were removed for one that nobody held',
    breaks: { disk: closedIsUnheld },
    adjust: (profile) => ({
      ...cutOff(profile),
      faults: ['remove decision', 'remove decision', 'freeze host', 'stop both'],
      faultEveryMs: profile.timing.monitorMs / 6,
    }),
  },
  {
    name: 'end a holder that came back meanwhile',
    seed: 339,
    breaks: {
      disk: (disk) =>
        withDisk(disk, {
          glimpse: async (purpose, path) => {
            const seen = await disk.glimpse(purpose, path)
            return purpose === 'end-below' ? 'missing' : seen
          },
        }),
    },
    adjust: stallingTwice,
  },
  {
    name: "judge a holder by one's own patience",
    breaks: {
      disk: (disk, inside) =>
        rewritten(disk, inside, (theirs, own) => ({
          patienceMs: own.patienceMs,
          // Else it is no longer than D, and would be taken for foreign.
          deadlineMs: Math.min(theirs.deadlineMs, own.deadlineMs),
          renewMs: Math.min(theirs.renewMs, own.renewMs),
        })),
    },
    adjust: cutOffMixed,
  },
  {
    name: "settle for one's own S",
    breaks: {
      disk: (disk, inside) =>
        rewritten(disk, inside, (_theirs, own) => ({ settleMs: own.settleMs })),
    },
    adjust: suspiciousMixed,
  },
  {
    name: "judge everybody by one's own periods",
    breaks: { disk: (disk, inside) => rewritten(disk, inside, () => null) },
    adjust: cutOffMixed,
  },
  {
    name: 'a keeper made anew goes on by other periods than those of its term',
    breaks: { resumedTiming: ({ monitorMs }) => makeTiming(2 * monitorMs) },
    adjust: (profile) => ({
      ...cutOff(profile),
      faults: ['kill keeper', 'cut storage of host'],
      faultEveryMs: profile.timing.monitorMs / 3,
      triggers: 0,
      faultsForMs: 6 * profile.timing.monitorMs,
    }),
  },
  {
    name: 'take a term whose directory was removed for one that was swept',
    breaks: { disk: vanishedIsSwept },
    // Right before its successor ends it.
    adjust: (profile) => ({
      ...suspicious(profile),
      triggers: 8,
      aims: [['claim', 12]],
      strikes: ['remove directory of term'],
    }),
  },
  {
    name: 'tell a term that has not begun',
    breaks: tells(numberIsTerm),
    stopsAll: true,
    adjust: stallingTwice,
  },
  {
    name: 'take silence for proof of death',
    breaks: {
      processes: (processes) => ({
        self: () => processes.self(),
        verdict: (identity) => {
          const verdict = processes.verdict(identity)
          return verdict === 'unknown' ? 'dead' : verdict
        },
      }),
    },
  },
]
