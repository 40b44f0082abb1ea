/**
 * A directory that the state before format 2 has left (test/fixtures/format-1: made by its commit d142f83, with the mtime
 * of its released heartbeat, which git does not keep, set here): migrated as a whole, or refused while one of its masters
 * lives.
 */
import { randomBytes, randomUUID } from 'node:crypto'
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { decodeClaim, decodeClusterLoosely } from '../../../lib/ha/directory/decode.ts'
import { readHistory } from '../../../lib/ha/directory/history.ts'
import { Looker } from '../../../lib/ha/directory/look.ts'
import { joinDirectory } from '../../../lib/ha/directory/setup.ts'
import { makeTiming } from '../../../lib/ha/rules/timing.ts'
import {
  backupFile,
  claimFile,
  encode,
  heartbeatFile,
  RELEASED_MTIME_MS,
} from '../../../lib/ha/words/layout.ts'
import { realClock } from '../../../lib/ha/world/clock.ts'
import { openDisk } from '../../../lib/ha/world/disk.ts'
import type { Clock, Disk } from '../../../lib/ha/world/ports.ts'
import { hostProcesses } from '../../../lib/ha/world/processes.ts'

/** Beside its source; this file runs from build/. */
const FIXTURE = fileURLToPath(new URL('../../../../test/fixtures/format-1/', import.meta.url))
const ID = '0700c195-09cb-4c5c-adcb-e7c7b024b65d'
const SECRET = '0123456789abcdef'.repeat(4)
const CATALOG = { class: 'SharedStore', uri: '' }
const processes = hostProcesses()
/** Nothing here beats: what is waited for is another's end. */
const hurried: Clock = {
  ...realClock,
  nowMs: () => HURRY * realClock.nowMs(),
  after: (delayMs, run) => realClock.after(delayMs / HURRY, run),
}
const HURRY = 50

function oldDirectory(t: Test): string {
  const path = t.testdir({})
  cpSync(FIXTURE, path, { recursive: true })
  mkdirSync(`${path}/backup`)
  utimesSync(`${path}/${heartbeatFile(1)}`, RELEASED_MTIME_MS / 1000, RELEASED_MTIME_MS / 1000)
  return path
}

function join(path: string, disk: Disk = openDisk(path)) {
  const looker = new Looker(disk, processes, null)
  return joinDirectory(
    { disk, clock: hurried, processes, looker },
    {
      directory: path,
      catalog: CATALOG,
      catalogTerm: 1,
      fresh: { clusterId: randomUUID(), secret: randomBytes(32).toString('hex') },
      createdAt: '',
      timing: makeTiming(500),
    },
  )
}

const textOf = (path: string) => readFileSync(`${path}/cluster.json`, 'utf8')
const fileOf = (path: string) => JSON.parse(textOf(path))
const leftIn = (path: string) =>
  readdirSync(path).filter(
    (name) => /^(cluster[.-].+|secret\..+)$/.test(name) && name !== 'cluster.json',
  )

/** It has a new one, and whoever has joined has that. */
function isRenewed(t: Test, path: string, joined: readonly { readonly secret: string }[]): void {
  const text = readFileSync(`${path}/secret`, 'utf8')
  t.match(text, /^[0-9a-f]{64}\n$/)
  t.not(text.trim(), SECRET, 'the secret went over the network, and is made anew')
  for (const { secret } of joined) t.equal(secret, text.trim(), 'all have the same one')
  t.equal(statSync(`${path}/secret`).mode & 0o777, 0o600)
}

t.test('an old directory keeps its id, its terms and its history', async (t) => {
  const path = oldDirectory(t)
  const joined = await join(path)
  t.match(joined, { clusterId: ID, newest: 1 })
  isRenewed(t, path, [joined])
  t.match(fileOf(path), { format: 4, clusterId: ID, generation: 1 })
  t.notOk(readdirSync(path).includes('cluster.next.json'))
  const disk = openDisk(path)
  t.match(await readHistory(disk, 10), [{ term: { term: 1 }, served: { term: 1 } }])
  t.match(await new Looker(disk, processes, null).look(), { newest: 1, servedTerm: 1 })
  isRenewed(t, path, [joined, await join(path)])
})

t.test('of several masters that start at once one migrates', async (t) => {
  const path = oldDirectory(t)
  const all = await Promise.all([join(path), join(path), join(path)])
  for (const one of all) t.equal(one.clusterId, ID)
  isRenewed(t, path, all)
  t.match(fileOf(path), { format: 4, clusterId: ID })
})

t.test('several that migrate at any moment of each other have one secret', async (t) => {
  for (const replaces of [true, false]) {
    for (let at = 0, isOver = false; !isOver; at += 1) {
      const path = oldDirectory(t)
      isOver = true
      let other: Promise<{ secret: string }> | null = null
      const beside = async (made: number): Promise<void> => {
        if (made !== at) return
        isOver = false
        other = join(
          path,
          stepwise(openDisk(path), async () => {}, replaces),
        )
        await other
      }
      const joined = await join(path, stepwise(openDisk(path), beside, replaces))
      isRenewed(t, path, other === null ? [joined] : [joined, await other])
      t.same(leftIn(path), [], `${at} calls: nothing is left aside`)
    }
  }
})

t.test('a migration that was interrupted is gone on with', async (t) => {
  for (const left of ['both files', 'the new one']) {
    const path = oldDirectory(t)
    const next = encode({ ...fileOf(path), format: 4, generation: 1 })
    writeFileSync(`${path}/cluster.next.json`, next)
    if (left === 'the new one') rmSync(`${path}/cluster.json`)
    t.match(await join(path), { clusterId: ID }, left)
    t.equal(readFileSync(`${path}/cluster.json`, 'utf8'), next)
    t.notOk(readdirSync(path).includes('cluster.next.json'))
  }
})

/** Stands for a crash: no call comes after it. */
class Crash extends Error {}

/** `beside` runs before each call and after the last one that it lets pass, and is told how many were made. */
function stepwise(disk: Disk, beside: (made: number) => Promise<void>, replaces = true): Disk {
  let made = 0
  return new Proxy(disk, {
    get: (plain, key: keyof Disk) => {
      const call = plain[key].bind(plain) as (...words: unknown[]) => Promise<unknown>
      return async (...words: unknown[]) => {
        await beside(made)
        made += 1
        return key === 'replace' && !replaces ? 'refused' : call(...words)
      }
    },
  })
}

/** As d142f83 joins: where there is no cluster.json it begins a new cluster. */
async function joinsAsFormat1(disk: Disk): Promise<string> {
  const ours = encode({ ...OTHERS, format: 1 })
  if ((await disk.create('setup', 'cluster.json', ours)) === 'created') return 'a new cluster'
  return judgedBy(1, await disk.read('setup', 'cluster.json'))
}

/** As b1ee3de joins a directory that has terms, and no format's mark. */
async function joinsAsFormat2(disk: Disk): Promise<string> {
  const names = await disk.list('setup', '.')
  if (!names.includes('cluster.json') && names.includes('cluster.next.json')) {
    const next = await disk.read('setup', 'cluster.next.json')
    const whole = decodeClusterLoosely(next)
    if (whole !== null) {
      await disk.create('setup', 'cluster.json', encode(whole))
      await disk.unlink('setup', 'cluster.next.json')
      return 'joined, and refused at each claim'
    }
  }
  if (!names.includes('cluster.json')) return 'refused: it is gone'
  return judgedBy(2, await disk.read('setup', 'cluster.json'))
}

function judgedBy(known: number, text: string): string {
  const file = decodeClusterLoosely(text)
  if (file === null) return 'refused: it is torn'
  if (file.format > known) return 'refused: it is newer'
  return file.clusterId === ID ? 'joined' : 'joined another cluster'
}

const OTHERS = { clusterId: 'of an older master', catalog: CATALOG, createdAt: '' }
/** A directory of format 2 differs in this file only, as far as it matters here. */
const raisedTo2 = (path: string): void =>
  writeFileSync(`${path}/cluster.json`, encode({ ...fileOf(path), format: 2, generation: 1 }))

t.test('an older master that starts at any moment takes it for no new cluster', async (t) => {
  for (let at = 0, isOver = false; !isOver; at += 1) {
    const path = oldDirectory(t)
    isOver = true
    const disk = stepwise(openDisk(path), async (made) => {
      if (made !== at) return
      isOver = false
      t.match(
        await joinsAsFormat1(openDisk(path)),
        /^(joined|refused: it is newer)$/,
        `${at} calls`,
      )
    })
    isRenewed(t, path, [await join(path, disk)])
    t.match(fileOf(path), { format: 4, clusterId: ID })
    t.same(leftIn(path), [], 'nothing is left aside')
  }
})

t.test('a migration that dies at any call is gone on with', async (t) => {
  for (const replaces of [true, false]) {
    for (let at = 0, isOver = false; !isOver; at += 1) {
      const path = oldDirectory(t)
      isOver = true
      const disk = stepwise(
        openDisk(path),
        async (made) => {
          if (made >= at) throw new Crash()
        },
        replaces,
      )
      await join(path, disk).catch((error) => {
        if (!(error instanceof Crash)) throw error
        isOver = false
      })
      if (replaces) t.ok(decodeClusterLoosely(textOf(path)), `${at} calls: it is there, and whole`)
      isRenewed(t, path, [await join(path), await join(path)])
      t.match(fileOf(path), { format: 4, clusterId: ID })
      t.same(leftIn(path), [], 'nothing is left aside')
    }
  }
})

t.test(
  'where no file is renamed over another an older master waits, helps or is refused',
  async (t) => {
    for (let at = 0, isOver = false; !isOver; at += 1) {
      const path = oldDirectory(t)
      raisedTo2(path)
      isOver = true
      const beside = async (made: number): Promise<void> => {
        if (made !== at) return
        isOver = false
        t.match(await joinsAsFormat2(openDisk(path)), /^(joined|joined, and refused.*|refused.*)$/)
      }
      const disk = stepwise(openDisk(path), beside, false)
      isRenewed(t, path, [await join(path, disk)])
      t.match(fileOf(path), { format: 4, clusterId: ID })
    }
  },
)

t.test('what an older master has made in between is replaced as well', async (t) => {
  let made = 0
  for (let at = 0, isOver = false; !isOver; at += 1) {
    const path = oldDirectory(t)
    isOver = true
    const beside = async (calls: number): Promise<void> => {
      if (calls !== at) return
      isOver = false
      if ((await joinsAsFormat1(openDisk(path))) === 'a new cluster') made += 1
    }
    t.match(await join(path, stepwise(openDisk(path), beside, false)), { clusterId: ID })
    t.match(fileOf(path), { format: 4, clusterId: ID }, `${at} calls`)
    t.same(leftIn(path), [], 'nothing is left aside')
  }
  t.ok(made > 0, 'there was such a moment')
})

t.test('a master of the older version that lives is named, and nothing is changed', async (t) => {
  const path = oldDirectory(t)
  const claim = decodeClaim(readFileSync(`${path}/${claimFile(1)}`, 'utf8'))
  if (claim?.state !== 'open') throw new Error('the fixture holds an open claim')
  const living = { ...claim.holder, address: 'old:26001', master: processes.self() }
  writeFileSync(`${path}/${backupFile('old:26001')}`, encode(living))
  await t.rejects(join(path), {
    code: 'BAD_DIRECTORY',
    message: /masters of an older version live .*\(format 1, this version writes 4\): old:26001/,
  })
  t.match(fileOf(path), { format: 1 })
  t.notOk(readdirSync(path).includes('cluster.next.json'))

  // All masters start at once: one of this version has registered while the other still looks.
  writeFileSync(`${path}/${backupFile('old:26001')}`, encode({ ...living, format: 4 }))
  isRenewed(t, path, [await join(path)])
  t.match(fileOf(path), { format: 4 })
})
