/**
 * What two hosts show of a storage's habits (`storage-profile.ts`): what a create of a name says that another host made,
 * whether a file can be read again that has grown, and whether the utimes of a removed file is ever answered. Where the
 * profile has a rule for what is seen, that is no fault.
 */
import { execFile } from 'node:child_process'
import { open } from 'node:fs/promises'
import { join } from 'node:path'
import { DiskError } from '../words/errors.ts'
import { openPlainDisk } from '../world/disk.ts'
import { withFile } from '../world/file-handle.ts'
import type { StorageProfile } from '../world/storage-profile.ts'
import { FIRST_COUNTER_MS, type Finding, type Trial } from './kit.ts'
import type { PeerLink } from './link.ts'
import type { Space } from './storage-trials.ts'

interface HabitSpace extends Space {
  readonly link: PeerLink
  readonly profile: StorageProfile
}

export const habitTrials = (space: HabitSpace): Trial[] => [
  {
    name: 'create of a name made there',
    consequence: 'a claim that was lost is taken for a storage that fails, and nobody wins a term',
    run: () => createOfExisting(space, 10),
  },
  {
    name: 'read again after it grew',
    consequence: 'a backup can’t read what the active wrote, and nobody takes over',
    run: () => readAfterGrowth(space),
  },
  {
    name: 'utimes after an unlink there',
    consequence: 'a deposed master hangs for good, or goes on believing that it is active',
    run: () => touchAfterUnlink(space, 4),
  },
]

async function createOfExisting({ disk, path, link }: HabitSpace, rounds: number) {
  const plain = openPlainDisk(path)
  const said = new Set<string>()
  for (let round = 0; round < rounds; round += 1) {
    const name = `made-there-${round}`
    await link.ask('create', name, 'there')
    said.add(await errnoOr(plain.create('check', name, 'here')))
    const answer = await disk.create('check', name, 'here')
    if (answer !== 'exists') return { ok: false, detail: `${name} is there, and yet ${answer}` }
    if ((await disk.read('check', name)) !== 'there') {
      return { ok: false, detail: `${name} does not hold what the peer wrote` }
    }
  }
  const isPlain = said.size === 1 && said.has('exists')
  const detail = isPlain
    ? `it exists, in each of ${rounds} rounds`
    : `answered ${[...said].join(' and ')}, which a listing settles: it exists, in each of ${rounds} rounds`
  return { ok: true, detail }
}

const errnoOr = async (call: Promise<string>): Promise<string> => {
  try {
    return await call
  } catch (error) {
    if (error instanceof DiskError) return error.errno
    throw error
  }
}

const PART = 'x'.repeat(100)

async function readAfterGrowth({ path, link, profile }: HabitSpace): Promise<Finding> {
  const name = 'grown'
  const lengthThere = async (): Promise<number | string> => {
    try {
      return (await link.ask<string>('read', name)).value.length
    } catch (error) {
      if (error instanceof DiskError) return error.errno
      throw error
    }
  }
  const file = await open(join(path, name), 'wx')
  return withFile(file, async () => {
    const seen: (number | string)[] = []
    for (let parts = 1; parts <= 2; parts += 1) {
      await file.write(PART)
      await file.sync()
      seen.push(await lengthThere())
    }
    const [before, after] = seen
    if (before === PART.length && after === 2 * PART.length) {
      return { ok: true, detail: `${before} bytes, then ${after}: the peer read what was added` }
    }
    const detail = `of ${PART.length} bytes the peer read ${before}, and after ${PART.length} more ${after}`
    const isKnown = !profile.readsGrowingFiles && before === PART.length && after === 'EIO'
    return isKnown
      ? {
          ok: true,
          detail: `${detail}, until that gateway forgets it: no file is read while it grows`,
        }
      : { ok: false, detail }
  })
}

/** An answer takes milliseconds; a file server that is busy takes some more. */
const ANSWER_MS = 5000

async function touchAfterUnlink(space: HabitSpace, rounds: number): Promise<Finding> {
  const { disk, path, link, profile } = space
  const said = new Map<string, number>()
  for (let round = 0; round < rounds; round += 1) {
    const name = `removed-there-${round}`
    await disk.create('check', name, '')
    await disk.touch('check', name, FIRST_COUNTER_MS)
    await disk.glimpse('check', name)
    await link.ask('unlink', name)
    const answer = await touchApart(join(path, name))
    said.set(answer, (said.get(answer) ?? 0) + 1)
    if (answer === NEVER) break
  }
  const detail = [...said].map(([answer, times]) => `${answer} (${times})`).join(', ')
  const others = [...said.keys()].filter((answer) => answer !== 'ENOENT' && answer !== 'ESTALE')
  if (others.length === 0) return { ok: true, detail }
  const isKnown = profile.looksBeforeTouch && others.every((answer) => answer === NEVER)
  return isKnown
    ? { ok: true, detail: `${detail}: heartbeats are looked for before they are renewed` }
    : { ok: false, detail }
}

const NEVER = `no answer within ${ANSWER_MS} ms`

/** In a process of its own, since nobody can take a call back that is never answered. */
function touchApart(path: string): Promise<string> {
  const script = `
    try { require('node:fs').utimesSync(process.argv[1], 1, 1); console.log('touched') }
    catch (error) { console.log(error.code) }`
  const limits = { timeout: ANSWER_MS, killSignal: 'SIGKILL' } as const
  return new Promise((resolve, reject) => {
    execFile(process.execPath, ['-e', script, path], limits, (error, stdout) => {
      if (error === null) resolve(stdout.trim())
      else if (error.killed) resolve(NEVER)
      else reject(error)
    })
  })
}
