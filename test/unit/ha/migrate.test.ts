/**
 * A directory that the state before format 2 has left (test/fixtures/format-1: made by its commit d142f83, with the mtime
 * of its released heartbeat, which git does not keep, set here): migrated as a whole, or refused while one of its masters
 * lives.
 */
import {
  cpSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import { realClock } from '../../../lib/ha/clock.ts'
import { decodeClaim } from '../../../lib/ha/decode.ts'
import { openDisk } from '../../../lib/ha/disk.ts'
import { readHistory } from '../../../lib/ha/history.ts'
import {
  backupFile,
  claimFile,
  encode,
  heartbeatFile,
  RELEASED_MTIME_MS,
} from '../../../lib/ha/layout.ts'
import { Looker } from '../../../lib/ha/look.ts'
import { hostProcesses } from '../../../lib/ha/processes.ts'
import { joinDirectory } from '../../../lib/ha/setup.ts'
import { makeTiming } from '../../../lib/ha/timing.ts'

/** Beside its source; this file runs from build/. */
const FIXTURE = fileURLToPath(new URL('../../../../test/fixtures/format-1/', import.meta.url))
const ID = '0700c195-09cb-4c5c-adcb-e7c7b024b65d'
const SECRET = '0123456789abcdef'.repeat(4)
const processes = hostProcesses()

function oldDirectory(t: Test): string {
  const path = t.testdir({})
  cpSync(FIXTURE, path, { recursive: true })
  mkdirSync(`${path}/backup`)
  utimesSync(`${path}/${heartbeatFile(1)}`, RELEASED_MTIME_MS / 1000, RELEASED_MTIME_MS / 1000)
  return path
}

function join(path: string) {
  const disk = openDisk(path)
  const looker = new Looker(disk, processes, null)
  return joinDirectory(
    { disk, clock: realClock, processes, looker },
    {
      directory: path,
      catalog: { class: 'SharedStore', uri: '' },
      catalogTerm: 1,
      fresh: { clusterId: 'fresh', secret: 'f'.repeat(64) },
      createdAt: '',
      timing: makeTiming(500),
    },
  )
}

const fileOf = (path: string) => JSON.parse(readFileSync(`${path}/cluster.json`, 'utf8'))

t.test('an old directory keeps its id, its secret, its terms and its history', async (t) => {
  const path = oldDirectory(t)
  t.match(await join(path), { clusterId: ID, secret: SECRET, newest: 1 })
  t.match(fileOf(path), { format: 3, clusterId: ID, generation: 1 })
  t.notOk(readdirSync(path).includes('cluster.next.json'))
  const disk = openDisk(path)
  t.match(await readHistory(disk, 10), [{ term: { term: 1 }, served: { term: 1 } }])
  t.match(await new Looker(disk, processes, null).look(), { newest: 1, servedTerm: 1 })
  t.match(await join(path), { clusterId: ID, secret: SECRET }, 'and again')
})

t.test('of several masters that start at once one migrates', async (t) => {
  const path = oldDirectory(t)
  const all = await Promise.all([join(path), join(path), join(path)])
  for (const one of all) t.match(one, { clusterId: ID, secret: SECRET })
  t.match(fileOf(path), { format: 3, clusterId: ID })
})

t.test('a migration that was interrupted is gone on with', async (t) => {
  for (const left of ['both files', 'the new one']) {
    const path = oldDirectory(t)
    const next = encode({ ...fileOf(path), format: 3, generation: 1 })
    writeFileSync(`${path}/cluster.next.json`, next)
    if (left === 'the new one') rmSync(`${path}/cluster.json`)
    t.match(await join(path), { clusterId: ID }, left)
    t.equal(readFileSync(`${path}/cluster.json`, 'utf8'), next)
    t.notOk(readdirSync(path).includes('cluster.next.json'))
  }
})

t.test('a master of the older version that lives is named, and nothing is changed', async (t) => {
  const path = oldDirectory(t)
  const claim = decodeClaim(readFileSync(`${path}/${claimFile(1)}`, 'utf8'))
  if (claim?.state !== 'open') throw new Error('the fixture holds an open claim')
  const living = { ...claim.holder, address: 'old:26001', master: processes.self() }
  writeFileSync(`${path}/${backupFile('old:26001')}`, encode(living))
  await t.rejects(join(path), {
    code: 'BAD_DIRECTORY',
    message: /masters of an older version live .*\(format 1, this version writes 3\): old:26001/,
  })
  t.match(fileOf(path), { format: 1 })
  t.notOk(readdirSync(path).includes('cluster.next.json'))
})
