/**
 * Files that vanish from the HA directory, or are replaced: who makes which of them again, what a starting master says,
 * and what tells a format from damage. On a real disk, with time played by hand where nobody has to be waited for.
 */
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import t, { type Test } from 'tap'
import { claimTerm, newAttempt } from '../../../lib/ha/directory/claim.ts'
import { whoseIsIt } from '../../../lib/ha/directory/cluster-file.ts'
import { endBelow } from '../../../lib/ha/directory/end-below.ts'
import { formatDirectory } from '../../../lib/ha/directory/format.ts'
import { Heartbeat } from '../../../lib/ha/directory/heartbeat.ts'
import { inspectDirectory, requireNew } from '../../../lib/ha/directory/inspect.ts'
import { Looker } from '../../../lib/ha/directory/look.ts'
import { readPast } from '../../../lib/ha/directory/past.ts'
import { joinDirectory, type Setup } from '../../../lib/ha/directory/setup.ts'
import { Upkeep } from '../../../lib/ha/keeper/upkeep.ts'
import { periodsOf } from '../../../lib/ha/rules/periods.ts'
import { makeTiming } from '../../../lib/ha/rules/timing.ts'
import {
  type ClusterFile,
  claimFile,
  encode,
  FORMAT_VERSION,
  type Holder,
  heartbeatFile,
  historyFile,
  openedFile,
  RELEASED_MTIME_MS,
  servedFile,
  type TermRecord,
  termDir,
} from '../../../lib/ha/words/layout.ts'
import { realClock } from '../../../lib/ha/world/clock.ts'
import { openDisk } from '../../../lib/ha/world/disk.ts'
import type { Disk } from '../../../lib/ha/world/ports.ts'
import { hostProcesses } from '../../../lib/ha/world/processes.ts'
import { HandClock } from '../../support/hand-clock.ts'
import { until } from '../../support/until.ts'

const processes = hostProcesses()
const timing = makeTiming(500)

const holder: Holder = {
  address: 'a:26001',
  addresses: {
    umbilical: 'a:26001',
    clientRpc: '',
    resourceTracker: '',
    catalog: '',
    infoHttp: '',
  },
  nonce: 'a',
  hostname: 'h',
  master: { ...processes.self(), bootId: 'of another host' },
  startedAt: '2026-01-01T00:00:00.000Z',
  version: '1',
  priority: 100,
  adminSocket: '',
}

const recordOf = (term: number, more: Partial<TermRecord> = {}): TermRecord => ({
  term,
  address: 'a:26001',
  hostname: 'h',
  nonce: `n${term}`,
  reason: 'expired',
  evidence: 'test',
  previousTerm: term - 1,
  previousAddress: null,
  at: '2026-01-01T00:00:00.000Z',
  ...more,
})

const claim = (disk: Disk, term: number, more: Partial<TermRecord> = {}) =>
  claimTerm(disk, {
    holder,
    attempt: newAttempt(recordOf(term, more)),
    onHeartbeat: () => {},
    makeRoom: async () => false,
  })

/** Always another id and another secret, as every master that starts has them. */
let starts = 0
function join(path: string, more: Partial<Setup> = {}) {
  starts += 1
  const disk = openDisk(path)
  const setup: Setup = {
    directory: path,
    catalog: { class: 'SharedStore', uri: '' },
    catalogTerm: 0,
    fresh: { clusterId: `id ${starts}`, secret: String(starts).padStart(64, 's') },
    createdAt: '',
    timing,
    ...more,
  }
  const looker = new Looker(disk, processes, periodsOf(timing))
  return joinDirectory({ disk, clock: realClock, processes, looker }, setup)
}

/** A directory whose master holds term 1. */
async function held(t: Test) {
  const path = t.testdir({})
  const disk = openDisk(path)
  const joined = await join(path)
  await claim(disk, 1)
  const storage = { granularityMs: 1, slowestRenewalMs: 1, network: false, warnings: [] }
  return { path, disk, joined: { ...joined, storage } }
}

/** The upkeep of whoever holds term 1; `look` is one period. */
function upkeepOf({ path, disk, joined }: Awaited<ReturnType<typeof held>>, holds = () => true) {
  const hand = new HandClock()
  const told: string[] = []
  const upkeep = new Upkeep({
    clock: { ...hand, wallMs: () => 1_700_000_000_000 },
    disk,
    log: (_level, message) => told.push(message),
    directory: path,
    periodMs: timing.monitorMs,
    held: () => (holds() ? { term: 1, files: new Map() } : null),
  })
  upkeep.start(joined)
  return { upkeep, told, hand }
}

const text = (path: string, name: string): string => readFileSync(`${path}/${name}`, 'utf8')

t.test('a directory that was removed as a whole is told, from the first term on', async (t) => {
  const path = t.testdir({})
  const ours = { catalogTerm: 1, catalogCluster: 'id of old' }
  await t.rejects(
    join(path, ours),
    {
      code: 'BAD_DIRECTORY',
      message:
        /served by cluster id of old in term 1, .*nothing is left of any term.*uri.*formatHA/,
    },
    'one term is enough',
  )
  t.same(readdirSync(path), [], 'and nothing was made')
  const options = { timing, by: 'test', log: () => {}, ...ours, catalogTerm: 5 }
  t.match(await formatDirectory(path, options), { epoch: 6 })
  const joined = await join(path, { ...ours, catalogTerm: 5 })
  t.match(joined, { clusterId: 'id of old', newest: 6 }, 'the id is kept')
  await t.rejects(join(path, { catalogTerm: 9, catalogCluster: 'id of b' }), {
    code: 'CATALOG_DIFFERS',
    message: /belongs to cluster id of b, and this is cluster id of old.*tajo\.catalog\.uri/,
  })
  const single = { fresh: { clusterId: 'id of one', secret: 's'.padStart(64, 's') } }
  const alone = await join(t.testdir({ new: {} }).concat('/new'), {
    ...single,
    catalogTerm: 1,
    catalogCluster: 'id of one',
  })
  t.equal(alone.clusterId, 'id of one', 'what a single master served is gone on with')
})

t.test('a cluster.json with another id than the terms have is damage', async (t) => {
  const path = t.testdir({})
  const disk = openDisk(path)
  const { clusterId } = await join(path)
  await claim(disk, 1, { clusterId, generation: 1 })
  await disk.touch('release', heartbeatFile(1), RELEASED_MTIME_MS)
  const file = text(path, 'cluster.json')
  t.equal((await join(path)).clusterId, clusterId)
  writeFileSync(`${path}/cluster.json`, file.replace(clusterId, 'id of another'))
  await t.rejects(join(path), {
    code: 'BAD_DIRECTORY',
    message: new RegExp(`names cluster id of another, .*those of cluster ${clusterId}.*formatHA`),
  })
  await formatDirectory(path, { timing, by: 'test', log: () => {} })
  t.equal((await join(path)).clusterId, clusterId, 'a format keeps the id of the terms')
})

t.test('a starting master makes no cluster.json and no secret where terms have been', async (t) => {
  for (const name of ['cluster.json', 'secret']) {
    const { path, disk } = await held(t)
    await disk.touch('release', heartbeatFile(1), RELEASED_MTIME_MS)
    rmSync(`${path}/${name}`)
    await t.rejects(join(path), {
      code: 'BAD_DIRECTORY',
      message: new RegExp(
        `has terms \\(the newest is 1, by a:26001\\), but its ${name} is gone.*formatHA`,
      ),
    })
    t.notOk(readdirSync(path).includes(name), 'nobody has made it')
    rmSync(`${path}/active/`, { recursive: true })
    await t.rejects(join(path), { message: /has terms/ }, 'the history alone says so')
    rmSync(`${path}/history/`, { recursive: true })
    await t.rejects(join(path, { catalogTerm: 4 }), { message: /catalog .* served in term 4/ })
  }
})

t.test('a starting master waits for the holder to put it back', async (t) => {
  const { path, disk, joined } = await held(t)
  for (const name of ['cluster.json', 'secret']) {
    const before = text(path, name)
    rmSync(`${path}/${name}`)
    let beats = 0
    const timer = setInterval(() => {
      beats += 1
      void disk.touch('renew', heartbeatFile(1), 5e12 + beats)
      if (beats === 20) writeFileSync(`${path}/${name}`, before)
    }, 25)
    try {
      const known = { clusterId: joined.clusterId, secret: joined.secret }
      t.match(await join(path, { timing: makeTiming(20_000) }), known)
    } finally {
      clearInterval(timer)
    }
    t.ok(beats >= 20, 'it has waited')
  }
})

t.test('the holder puts back what it can make again, and tells it for an hour', async (t) => {
  const own = [claimFile(1), historyFile(1), openedFile(1), servedFile(1)]
  const one = await held(t)
  const { path } = one
  writeFileSync(`${path}/${servedFile(1)}`, encode({ term: 1, servedAt: '', phases: {} }))
  let holds = true
  const { upkeep, hand } = upkeepOf(one, () => holds)
  await upkeep.look()
  t.same(upkeep.warnings, [], 'all is there')
  const files = ['cluster.json', 'secret', ...own]
  const before = files.map((name) => text(path, name))
  for (const name of files) {
    rmSync(`${path}/${name}`)
    await upkeep.look()
    t.match(upkeep.warnings.at(-1), new RegExp(`${name}.*put back.*something removes`))
  }
  t.same(
    files.map((name) => text(path, name)),
    before,
    'as they were',
  )
  t.equal(upkeep.warnings.length, files.length)
  rmSync(`${path}/backup`, { recursive: true })
  rmSync(`${path}/history`, { recursive: true })
  await upkeep.look()
  t.same(readdirSync(`${path}/history`).sort(), [
    '0000000001.json',
    '0000000001.opened.json',
    '0000000001.served.json',
  ])
  t.ok(readdirSync(path).includes('backup'))
  rmSync(`${path}/active`, { recursive: true })
  await upkeep.look()
  t.notOk(readdirSync(path).includes('active'), 'its heartbeat is gone, so that is not its to mend')
  await upkeep.remakeActive()
  t.same(readdirSync(`${path}/active`), [])
  // A look that the clock begins would go on putting files back after the end of the test.
  holds = false
  await hand.advance(61 * 60_000)
  t.same(upkeep.warnings, [])
})

t.test('the holder replaces a torn or foreign cluster.json and another secret', async (t) => {
  const one = await held(t)
  const { path, joined } = one
  const { upkeep } = upkeepOf(one)
  const right = text(path, 'cluster.json')
  for (const wrong of ['', 'hello', encode({ ...joined.cluster, clusterId: 'another' })]) {
    writeFileSync(`${path}/cluster.json`, wrong)
    await upkeep.look()
    t.equal(text(path, 'cluster.json'), right)
  }
  writeFileSync(`${path}/secret`, 'short\n')
  await upkeep.look()
  t.equal(text(path, 'secret').trim(), joined.secret)
  t.equal(upkeep.warnings.length, 4)
})

t.test(
  'a directory in the place of a file: an empty one is replaced, another one is told',
  async (t) => {
    for (const name of ['cluster.json', 'secret', claimFile(1), historyFile(1)]) {
      const one = await held(t)
      const { path } = one
      let holds = true
      const { upkeep, told } = upkeepOf(one, () => holds)
      await upkeep.look()
      const before = text(path, name)
      rmSync(`${path}/${name}`)
      mkdirSync(`${path}/${name}`)
      await upkeep.look()
      t.equal(text(path, name), before)
      t.match(upkeep.warnings, [new RegExp(`${name}.*put back`)])

      rmSync(`${path}/${name}`)
      mkdirSync(`${path}/${name}/inside`, { recursive: true })
      const count = told.length
      await upkeep.look()
      await upkeep.look()
      t.match(upkeep.warnings[0], `${path}/${name} is a directory, with something in it`)
      t.match(upkeep.warnings[0], /move it away, and this master puts the file back/)
      t.equal(told.length, count + 1, 'logged once')
      holds = false
      await upkeep.look()
      t.equal(upkeep.warnings.length, 1, 'whoever holds the role tells it')
      holds = true
      rmSync(`${path}/${name}`, { recursive: true })
      await upkeep.look()
      t.equal(text(path, name), before)
      t.equal(upkeep.warnings.length, 2)
    }
  },
)

/** By another file of that name: both are there for a moment, so it has another inode. */
function replaceHeartbeat(path: string): void {
  writeFileSync(`${path}/another`, '')
  renameSync(`${path}/another`, `${path}/${heartbeatFile(1)}`)
}

t.test('a heartbeat of its name that is another file is not renewed', async (t) => {
  const { disk, path } = await held(t)
  const beat = new Heartbeat(disk, { term: 1, nonce: holder.nonce })
  await beat.noteMade()
  await beat.noteClaimed()
  t.equal(await beat.renew(5e12), 'touched')
  replaceHeartbeat(path)
  t.equal(await beat.renew(5e12), 'replaced')
  t.equal(await beat.renew(5e12), 'replaced', 'for good')
  await disk.unlink('end-below', heartbeatFile(1))
  t.equal(await beat.renew(5e12), 'missing')
})

t.test('where a mount numbers its files anew claim.json says whose the heartbeat is', async (t) => {
  const { disk } = await held(t)
  const seen = { shift: '' }
  const anew: Disk = {
    ...disk,
    glimpse: async (purpose, path) => {
      const glimpse = await disk.glimpse(purpose, path)
      return glimpse === 'missing'
        ? glimpse
        : { ...glimpse, fileId: `${glimpse.fileId}${seen.shift}` }
    },
    touch: (purpose, path, mtimeMs, sameAs) => {
      if (sameAs === undefined) return disk.touch(purpose, path, mtimeMs)
      const { shift } = seen
      if (!sameAs.endsWith(shift)) return disk.touch(purpose, path, mtimeMs, 'another')
      return disk.touch(purpose, path, mtimeMs, sameAs.slice(0, sameAs.length - shift.length))
    },
  }
  for (const [nonce, outcome] of [
    [holder.nonce, 'touched'],
    ['somebody else', 'replaced'],
  ] as const) {
    seen.shift = ''
    const beat = new Heartbeat(anew, { term: 1, nonce })
    await beat.noteMade()
    await beat.noteClaimed()
    t.equal(await beat.renew(5e12), 'touched')
    seen.shift = ' anew'
    t.equal(await beat.renew(5e12), outcome)
    t.equal(await beat.renew(5e12), outcome)
  }
})

t.test('a keeper that goes on with a term learns which files are its own', async (t) => {
  const { disk, path } = await held(t)
  const beat = new Heartbeat(disk, { term: 1, nonce: holder.nonce })
  t.equal(await beat.renew(5e12), 'touched')
  await until('it has learnt it', async () => {
    replaceHeartbeat(path)
    return (await beat.renew(5e12)) === 'replaced'
  })
})

t.test('nobody but the holder puts anything back, and nothing where all is gone', async (t) => {
  const one = await held(t)
  const { path } = one
  let holds = false
  const { upkeep } = upkeepOf(one, () => holds)
  rmSync(`${path}/cluster.json`)
  await upkeep.look()
  t.notOk(readdirSync(path).includes('cluster.json'))
  holds = true
  for (const name of readdirSync(path)) rmSync(`${path}/${name}`, { recursive: true })
  await upkeep.look()
  await upkeep.remakeActive()
  t.same(readdirSync(path), [], 'it may be a mount point without its mount')
})

t.test('a format keeps the id, counts the generation and leaves its mark', async (t) => {
  const { path, disk, joined } = await held(t)
  await disk.touch('release', heartbeatFile(1), RELEASED_MTIME_MS)
  const options = { timing, by: 'test', log: () => {} }
  await formatDirectory(path, options)
  t.match((await readPast(disk, 'setup')).mark, { clusterId: joined.clusterId, generation: 2 })
  const again = await join(path)
  t.equal(again.clusterId, joined.clusterId)
  t.equal(again.cluster.generation, 2)
  t.not(again.secret, joined.secret, 'the secret is a new one')
  // What an ended holder has put back in the middle of a format is of the generation before.
  await formatDirectory(path, options)
  writeFileSync(`${path}/cluster.json`, encode(again.cluster))
  t.match((await join(path)).cluster, { clusterId: joined.clusterId, generation: 3 })
  // Without cluster.json the history knows the id.
  await claim(disk, 4, { clusterId: joined.clusterId, generation: 3 })
  await disk.touch('release', heartbeatFile(4), RELEASED_MTIME_MS)
  rmSync(`${path}/cluster.json`)
  t.match(await inspectDirectory(path, { watchMs: 1 }), { problem: /has lost its cluster.json/ })
  await formatDirectory(path, options)
  t.match((await join(path)).cluster, { clusterId: joined.clusterId, generation: 4 })
})

t.test('a format of a directory that was removed goes on above the catalog', async (t) => {
  const path = t.testdir({})
  const options = { timing, by: 'test', log: () => {}, catalogTerm: 7 }
  t.match(await formatDirectory(path, options), { epoch: 8 })
  t.match(await join(path, { catalogTerm: 7 }), { newest: 8 })
})

t.test('another id is a format only with its mark above the known terms', async (t) => {
  const { path, disk, joined } = await held(t)
  const whose = (knownTerm: number) =>
    whoseIsIt(disk, 'claim', { directory: path, cluster: joined.cluster, knownTerm })
  t.match(await whose(1), { is: 'ours' })
  const other: ClusterFile = { ...joined.cluster, clusterId: 'another' }
  writeFileSync(`${path}/cluster.json`, encode(other))
  t.match(await whose(1), { is: 'foreign', why: /names cluster another.*joined cluster id/ })
  rmSync(`${path}/cluster.json`)
  t.match(await whose(1), { is: 'lost', why: /is gone, and no format/ })
  const by = { orderedBy: 'ann@h1', clusterId: joined.clusterId, generation: 2 }
  await claim(disk, 2, { reason: 'format', ...by })
  await claim(disk, 3)
  t.match(await whose(1), { is: 'formatted', why: /formatted in term 2 \(by ann@h1\)/ })
  t.match(await whose(2), { is: 'lost' }, 'a master that joined after it is not concerned')
  rmSync(`${path}/${openedFile(2)}`)
  t.match(await whose(1), { is: 'lost' }, 'a format that did not win its term')
  writeFileSync(`${path}/cluster.json`, encode({ ...joined.cluster, format: FORMAT_VERSION + 1 }))
  await t.rejects(whose(1), { code: 'BAD_DIRECTORY', message: /upgrade this host/ })
})

t.test('a number stays taken though its directory or its record was removed', async (t) => {
  for (const gone of ['active', 'history']) {
    const { path, disk } = await held(t)
    await claim(disk, 2)
    const looker = new Looker(disk, processes, periodsOf(timing))
    t.match(await looker.look(), { newest: 2 })
    for (const name of readdirSync(`${path}/${gone}`)) {
      rmSync(`${path}/${gone}/${name}`, { recursive: true })
    }
    t.match(await looker.look(), { newest: 2 })
    t.match(
      await new Looker(disk, processes, periodsOf(timing)).look(),
      { newest: 2 },
      'to whoever comes anew',
    )
    for (const name of readdirSync(`${path}/active`)) {
      rmSync(`${path}/active/${name}`, { recursive: true })
    }
    t.match(await looker.look(), { newest: 2, pulses: [{ term: 2, mtimeMs: null }] })
    t.match(await new Looker(disk, processes, null, 5).look(), { newest: 5 }, 'told by its master')
  }
})

t.test('a removed claim.json or directory proves nothing of its holder', async (t) => {
  const pause = async (): Promise<void> => {}
  const ending = { nonce: 'x', provenTerm: null, basis: [], settleMs: 1, pause }
  const { path, disk } = await held(t)
  rmSync(`${path}/${claimFile(1)}`)
  t.match(await endBelow(disk, { ...ending, term: 2 }), { proven: false })
  t.equal(await disk.touch('renew', heartbeatFile(1), 5e12), 'missing', 'its holder is ended')

  await claim(disk, 2)
  rmSync(`${path}/${termDir(2)}`, { recursive: true })
  writeFileSync(`${path}/${servedFile(1)}`, '')
  t.match(await endBelow(disk, { ...ending, term: 3 }), { proven: false }, 'its holder may read')

  await claim(disk, 3)
  rmSync(`${path}/history`, { recursive: true })
  t.match(await endBelow(disk, { ...ending, term: 4 }), { proven: false })
  t.equal(await disk.touch('renew', heartbeatFile(3), 5e12), 'missing')
  rmSync(`${path}/history`, { recursive: true })
  t.match(await claim(disk, 4), { won: true }, 'the history is made again')
})

t.test('a holder of which both files were removed is ended all the same', async (t) => {
  const pause = async (): Promise<void> => {}
  for (const known of ['seen to beat', 'served']) {
    const { path, disk } = await held(t)
    for (const file of [claimFile(1), openedFile(1)]) rmSync(`${path}/${file}`)
    if (known === 'served') writeFileSync(`${path}/${servedFile(1)}`, '')
    else rmSync(`${path}/${servedFile(1)}`, { force: true })
    const { mtimeMs } = (await disk.glimpse('check', heartbeatFile(1))) as { mtimeMs: number }
    const basis = known === 'served' ? [] : [{ term: 1, mtimeMs }]
    const request = { term: 2, nonce: 'x', provenTerm: null, basis, settleMs: 1, pause }
    t.match(await endBelow(disk, request), { proven: false, alive: null }, known)
    t.equal(await disk.touch('renew', heartbeatFile(1), 5e12), 'missing', known)
  }
})

t.test(
  'a term is closed in two places, so that one that is removed does not open it',
  async (t) => {
    const { path, disk } = await held(t)
    mkdirSync(`${path}/${termDir(2)}`)
    const pause = async (): Promise<void> => {}
    await endBelow(disk, { term: 3, nonce: 'x', provenTerm: null, basis: [], settleMs: 1, pause })
    rmSync(`${path}/${termDir(2)}`, { recursive: true })
    t.match(await claim(disk, 2, { nonce: 'slow' }), { won: false }, 'a claimant that was paused')
    t.notOk(readdirSync(`${path}/${termDir(2)}`).includes('heartbeat'))
  },
)

t.test('a master without high availability makes none of them either', async (t) => {
  const { path, disk, joined } = await held(t)
  await t.rejects(requireNew(path, 'secret'), {
    code: 'BAD_DIRECTORY',
    message: /has terms of masters with high availability .*its secret is gone/,
  })
  await disk.touch('release', heartbeatFile(1), RELEASED_MTIME_MS)
  await formatDirectory(path, { timing, by: 'test', log: () => {} })
  t.equal(await requireNew(path, 'cluster.json'), joined.clusterId, 'a format keeps the id')
  t.equal(await requireNew(t.testdir({}), 'cluster.json'), null, 'a new directory')
})
