/**
 * What only two hosts can show of a shared directory: who wins a race, whether an unlink here ends renewals there, and
 * how old the other's picture may be. The peer's half is `check-peer.ts`.
 */
import { realClock } from '../world/clock.ts'
import { mountWarnings, refusedBecause } from '../world/mount-kinds.ts'
import type { Glimpse } from '../world/ports.ts'
import { FIRST_COUNTER_MS, type Finding, holdOpen, pause, percentile, type Trial } from './kit.ts'
import type { PeerLink } from './link.ts'
import { isSamePlace, type MountFacts } from './mount-facts.ts'
import { counterOf, type Space } from './storage-trials.ts'

interface PeerSpace extends Space {
  /** Name of the scratch directory in the shared one. */
  readonly scratch: string
  readonly link: PeerLink
  /** Of this side. */
  readonly mount: MountFacts
}

/** A look that is later than this after the touch ended is stale. Every period of the protocol is longer. */
const FRESH_MS = 250
/** How long a fact is waited for that proves nothing either way. */
const WATCH_MS = 2000

/** What the others see to be wrong takes the marks of both hosts back: it can't be told whose mount it is. */
export const peerTrials = (space: PeerSpace): Trial[] => {
  const peer: Trial = {
    name: 'peer',
    consequence: 'a check from one host says nothing about two',
    run: () => peerIsAnotherHost(space),
  }
  const trials: Trial[] = [
    {
      name: 'same directory',
      essential: true,
      consequence: 'each host elects an active of its own',
      run: () => sameDirectory(space),
    },
    {
      name: 'exclusive create, raced',
      consequence: 'two masters both win a term',
      run: () => racedCreate(space, 60),
    },
    {
      name: 'make directory, raced',
      consequence: 'terms are told apart by their exclusive creates alone, which is enough',
      run: () => racedDirectory(space, 40),
    },
    {
      name: 'unlink here ends renewals there',
      consequence: 'a deposed master goes on believing that it is active',
      run: () => unlinkEndsThere(space, 20),
    },
    {
      name: 'unlink there ends renewals here',
      consequence: 'a deposed master goes on believing that it is active',
      run: () => unlinkEndsHere(space, 20),
    },
    {
      name: 'renewal here seen there',
      consequence: 'backups see an old heartbeat and take over from a living active',
      run: () => seenThere(space, 30),
    },
    {
      name: 'renewal there seen here',
      consequence: 'backups see an old heartbeat and take over from a living active',
      run: () => seenHere(space, 30),
    },
    {
      name: 'new name listed there',
      consequence: 'new terms are not seen',
      run: () => listedThere(space, 20),
    },
    {
      name: 'absence remembered there',
      consequence: 'none: names are never asked for, directories are listed',
      run: () => absence(space),
    },
    {
      name: 'unlink while the peer has it open',
      consequence: 'a deposed master goes on while some backup reads its heartbeat',
      run: () => heldThere(space),
    },
    {
      name: 'unlink while it is open here',
      consequence:
        'renewals of a deposed master go on, unseen, while a process here holds its heartbeat open',
      run: () => heldHere(space),
    },
  ]
  return [peer, ...trials.map((trial) => ({ ...trial, refutes: 'both' as const }))]
}

/** Who the peer is, and what its directory is on. */
export async function peerFacts(link: PeerLink): Promise<MountFacts> {
  return (await link.ask<MountFacts>('identify')).value
}

/** Why a check with it says nothing of the mount here, to follow its name and a colon; null where it does. */
export function unfitPeer(here: MountFacts, there: MountFacts): string | null {
  const { fileSystem, network, place } = there
  const { mountPoint, sharing } = fileSystem
  if (network === here.network) return 'it runs on this very host, name another one'
  const why = refusedBecause(fileSystem)
  if (why !== null) return `${mountPoint} there is ${why}`
  const [weak] = mountWarnings(fileSystem)
  if (weak !== undefined) return `there ${weak}`
  const isLocal = sharing === 'local' && !isSamePlace(place, here.place)
  return isLocal ? `${mountPoint} there is a local file system` : null
}

async function peerIsAnotherHost({ link, mount }: PeerSpace): Promise<Finding> {
  const there = await peerFacts(link)
  const { host, fileSystem, place } = there
  const detail = `${host.hostname}, ${fileSystem.type} ${fileSystem.source}`
  const unfit = unfitPeer(mount, there)
  if (unfit !== null) return { ok: false, detail: `${detail}: ${unfit}` }
  if (isSamePlace(place, mount.place)) {
    return { ok: true, detail: `${detail}: one kernel, and the same directory in it` }
  }
  const isOneKernel = place?.bootId === mount.place?.bootId
  return { ok: true, detail: isOneKernel ? `${detail}: one kernel, a mount of its own` : detail }
}

async function sameDirectory({ disk, scratch, link }: PeerSpace): Promise<Finding> {
  await disk.create('check', 'marker', scratch)
  await link.ask('enter', scratch)
  const { value } = await link.ask<string>('read', 'marker')
  if (value === scratch) return { ok: true, detail: 'the peer sees what is written here' }
  const seen = value === 'missing' ? 'does not find a file' : 'reads something else in a file'
  const detail = `the peer ${seen} that was just made here: it has another directory at this path, or one of the two mounts is a cache that has not sent it or not asked for it`
  return { ok: false, detail }
}

/** Makes the same call on both hosts at once. Our own start moves through the time the request takes to get there. */
async function race<T>(space: PeerSpace, rounds: number, call: RacedCall<T>): Promise<[T, T][]> {
  const rttMs = await roundTrip(space.link)
  const results: [T, T][] = []
  for (let round = 0; round < rounds; round += 1) {
    const there = space.link.ask<T>(...call.there(round))
    // Both answers are awaited below; a rejection meanwhile is not unheard.
    there.catch(() => undefined)
    await spin((rttMs * (round % 12)) / 10)
    results.push([await call.here(round), (await there).value])
  }
  return results
}
interface RacedCall<T> {
  readonly here: (round: number) => Promise<T>
  readonly there: (round: number) => [string, ...unknown[]]
}

async function roundTrip(link: PeerLink): Promise<number> {
  const samples: number[] = []
  for (let round = 0; round < 9; round += 1) {
    const start = realClock.nowMs()
    await link.ask('ping')
    samples.push(realClock.nowMs() - start)
  }
  return percentile(samples, 0.5) ?? 1
}

/** Waits to a fraction of a millisecond, which a timer can't. */
async function spin(delayMs: number): Promise<void> {
  const end = realClock.nowMs() + delayMs
  while (realClock.nowMs() < end) await new Promise((resolve) => setImmediate(resolve))
}

async function racedCreate(space: PeerSpace, rounds: number): Promise<Finding> {
  const results = await race<string>(space, rounds, {
    here: (round) => space.disk.create('check', `race-${round}`, 'here'),
    there: (round) => ['create', `race-${round}`, 'there'],
  })
  const won = { here: 0, there: 0 }
  for (const [round, answers] of results.entries()) {
    const winner = answers[0] === 'created' ? 'here' : 'there'
    const both = answers.toSorted().join(' and ')
    const text = await space.disk.read('check', `race-${round}`)
    if (both !== 'created and exists' || text !== winner) {
      const detail = `one create was answered ${both}, and the file holds "${text}": exactly one may win`
      return { ok: false, detail }
    }
    won[winner] += 1
  }
  const detail = `one winner in each of ${rounds} rounds (${won.here} here, ${won.there} there)`
  return { ok: true, detail }
}

async function racedDirectory(space: PeerSpace, rounds: number): Promise<Finding> {
  const results = await race<string>(space, rounds, {
    here: (round) => space.disk.makeTermDir('check', `race-directory-${round}`),
    there: (round) => ['makeTermDir', `race-directory-${round}`],
  })
  const winners = results.map((answers) => answers.filter((answer) => answer === 'made').length)
  if (winners.includes(0)) return { ok: false, detail: 'a directory was made by nobody' }
  const both = winners.filter((count) => count === 2).length
  const here = results.filter(([first]) => first === 'made').length
  const detail =
    both === 0
      ? `one winner in each of ${rounds} rounds (${here} here, ${rounds - here} there)`
      : `both won ${both} of ${rounds} rounds, as on HDFS`
  return { ok: true, detail }
}

async function unlinkEndsThere({ disk, link }: PeerSpace, rounds: number): Promise<Finding> {
  for (let round = 0; round < rounds; round += 1) {
    const path = `ends-there-${round}`
    await link.ask('create', path, '')
    await link.ask('touch', path, FIRST_COUNTER_MS)
    await link.ask('glimpse', path)
    await disk.unlink('check', path)
    const { value } = await link.ask<string>('touch', path, FIRST_COUNTER_MS + 2000)
    if (value !== 'missing') return { ok: false, detail: `the renewal there was answered ${value}` }
  }
  return { ok: true, detail: `the next renewal failed in each of ${rounds} rounds` }
}

async function unlinkEndsHere({ disk, link }: PeerSpace, rounds: number): Promise<Finding> {
  for (let round = 0; round < rounds; round += 1) {
    const path = `ends-here-${round}`
    await disk.create('check', path, '')
    await disk.touch('check', path, FIRST_COUNTER_MS)
    await disk.glimpse('check', path)
    await link.ask('unlink', path)
    const answer = await disk.touch('check', path, FIRST_COUNTER_MS + 2000)
    if (answer !== 'missing')
      return { ok: false, detail: `the renewal here was answered ${answer}` }
  }
  return { ok: true, detail: `the next renewal failed in each of ${rounds} rounds` }
}

async function seenThere({ disk, link, measured }: PeerSpace, rounds: number): Promise<Finding> {
  const path = 'seen-there'
  await disk.create('check', path, '')
  const samples: number[] = []
  const finding = await freshness(rounds, {
    touch: (counter) => disk.touch('check', path, counter),
    look: async () => {
      const { value, tookMs } = await link.ask<Glimpse | 'missing'>('glimpse', path)
      samples.push(tookMs)
      return value
    },
  })
  measured.p95Ms.push(percentile(samples, 0.95) ?? 0)
  return { ...finding, samples }
}

async function seenHere({ disk, link, measured }: PeerSpace, rounds: number): Promise<Finding> {
  const path = 'seen-here'
  await disk.create('check', path, '')
  const samples: number[] = []
  const finding = await freshness(rounds, {
    touch: async (counter) => {
      samples.push((await link.ask('touch', path, counter)).tookMs)
    },
    look: () => disk.glimpse('check', path),
  })
  measured.p95Ms.push(percentile(samples, 0.95) ?? 0)
  return { ...finding, samples }
}

/**
 * Touches on one side, looks on the other, and measures how late a value is seen that the first look missed. The first
 * that is too late ends it: on a mount that remembers attributes each of them would be.
 */
async function freshness(
  rounds: number,
  sides: {
    readonly touch: (counter: number) => Promise<unknown>
    readonly look: () => Promise<Glimpse | 'missing'>
  },
): Promise<Finding> {
  let stale = 0
  let latestMs = 0
  for (let round = 0; round < rounds; round += 1) {
    const counter = FIRST_COUNTER_MS + round * 2000
    await sides.touch(counter)
    const start = realClock.nowMs()
    if (counterOf(await sides.look()) === counter) continue
    stale += 1
    let lateMs: number
    do {
      await pause(10)
      lateMs = realClock.nowMs() - start
      if (lateMs > WATCH_MS) return tooLate(`not within ${WATCH_MS} ms`)
    } while (counterOf(await sides.look()) !== counter)
    lateMs = realClock.nowMs() - start
    if (lateMs > FRESH_MS) return tooLate(`${Math.round(lateMs)} ms later`)
    latestMs = Math.max(latestMs, lateMs)
  }
  if (stale === 0) return { ok: true, detail: `the next look saw each of ${rounds} renewals` }
  const detail = `${stale} of ${rounds} renewals were seen late, the latest after ${Math.round(latestMs)} ms`
  return { ok: true, detail }
}

const tooLate = (when: string): Finding => ({
  ok: false,
  detail: `a renewal was missed by the look after it and seen ${when}, and it has to be seen within ${FRESH_MS} ms: the mount remembers attributes for too long`,
})

async function listedThere({ disk, link }: PeerSpace, rounds: number): Promise<Finding> {
  const samples: number[] = []
  for (let round = 0; round < rounds; round += 1) {
    const path = `listed-there-${round}`
    await link.ask('list', '.')
    await disk.create('check', path, '')
    const { value, tookMs } = await link.ask<string[]>('list', '.')
    samples.push(tookMs)
    if (!value.includes(path)) return { ok: false, detail: 'a new name is not listed at once' }
  }
  return { ok: true, detail: `each of ${rounds} new names was listed at once`, samples }
}

/** A fact, not a demand: how long the peer goes on to deny a name that it has asked for before. */
async function absence({ disk, link }: PeerSpace): Promise<Finding> {
  const path = 'absent'
  await link.ask('glimpse', path)
  await disk.create('check', path, '')
  const start = realClock.nowMs()
  for (;;) {
    const { value } = await link.ask<Glimpse | 'missing'>('glimpse', path)
    const sinceMs = Math.round(realClock.nowMs() - start)
    if (value !== 'missing') {
      return {
        ok: true,
        detail: `a name that was asked for too early was found after ${sinceMs} ms`,
      }
    }
    if (sinceMs > WATCH_MS) {
      return {
        ok: true,
        detail: `a name that was asked for too early is still denied after ${sinceMs} ms`,
      }
    }
    await pause(100)
  }
}

async function heldThere({ disk, link }: PeerSpace): Promise<Finding> {
  const path = 'held-there'
  await disk.create('check', path, '')
  await link.ask('hold', path)
  await disk.unlink('check', path)
  const here = await disk.touch('check', path, FIRST_COUNTER_MS)
  const { value: there } = await link.ask<string>('touch', path, FIRST_COUNTER_MS)
  await link.ask('letGo')
  const ok = here === 'missing' && there === 'missing'
  return { ok, detail: `the next renewal: ${here} here, ${there} there` }
}

/** On NFS the peer's renewals go on then. That is no fault as long as the one who unlinked can see it. */
async function heldHere({ disk, path, link }: PeerSpace): Promise<Finding> {
  const name = 'held-here'
  await link.ask('create', name, '')
  await link.ask('touch', name, FIRST_COUNTER_MS)
  const close = await holdOpen(`${path}/${name}`)
  try {
    await disk.unlink('check', name)
    const names = await disk.list('check', '.')
    const seen = names !== 'missing' && names.some((other) => other.startsWith('.nfs'))
    const { value } = await link.ask<string>('touch', name, FIRST_COUNTER_MS + 2000)
    const left = seen ? 'the listing shows .nfs…' : 'no .nfs… is listed'
    return { ok: value === 'missing' || seen, detail: `${left}; the renewal there: ${value}` }
  } finally {
    await close()
  }
}
