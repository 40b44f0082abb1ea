/**
 * The file that says for ever that a term has served: made before the term answers anything, or the term is given up. A real
 * keeper on a real directory; its master is played by the test.
 */
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { decodeServed } from '../../../lib/ha/directory/decode.ts'
import { DiskError } from '../../../lib/ha/words/errors.ts'
import { HISTORY_DIR, servedCopy, servedFile } from '../../../lib/ha/words/layout.ts'
import type { ToKeeper } from '../../../lib/ha/words/messages.ts'
import type { Disk } from '../../../lib/ha/world/ports.ts'
import { playMaster } from '../../support/played-master.ts'
import { until } from '../../support/until.ts'

const opens = (term: number): ToKeeper => ({ type: 'opened', term, keeps: `of ${term}` })
const never = (): null => null

const recordIn = (path: string, term = 1) =>
  decodeServed(readFileSync(join(path, servedFile(term)), 'utf8'))

type Outcome = (make: () => Promise<unknown>) => Promise<unknown>

/** What becomes of each create for the record of a term, in turn; then they succeed. */
function marks(...outcomes: readonly Outcome[]) {
  const left = [...outcomes]
  const calls: string[] = []
  const disk = (plain: Disk): Disk => ({
    makeTermDir: (...words) => plain.makeTermDir(...words),
    makeDirs: (...words) => plain.makeDirs(...words),
    create: async (purpose, path, text) => {
      const make = () => plain.create(purpose, path, text)
      if (purpose !== 'mark') return make()
      calls.push('create')
      return (await (left.shift()?.(make) ?? make())) as 'created'
    },
    fill: (...words) => plain.fill(...words),
    occupy: (...words) => plain.occupy(...words),
    space: () => plain.space(),
    touch: (purpose, ...words) => {
      if (purpose === 'renew' && calls.at(-1) === 'create') calls.push('touch')
      return plain.touch(purpose, ...words)
    },
    glimpse: (...words) => plain.glimpse(...words),
    read: (...words) => plain.read(...words),
    list: (...words) => plain.list(...words),
    unlink: (...words) => plain.unlink(...words),
    replace: (...words) => plain.replace(...words),
    removeDir: (...words) => plain.removeDir(...words),
    syncDir: (...words) => plain.syncDir(...words),
  })
  return { disk, calls }
}

const failing =
  (errno: string): Outcome =>
  async () => {
    throw new DiskError(errno, 'served.json', `${errno}: for the test`)
  }

const serves = (told: readonly { readonly type: string }[]): boolean =>
  told.some(({ type }) => type === 'serve')

t.test('a term serves when its record is there, and a renewal has followed', async (t) => {
  const { disk, calls } = marks()
  const { path, told } = playMaster(t, { open: opens, disk })
  await until('it serves', () => serves(told))
  t.same(calls.slice(0, 2), ['create', 'touch'])
  t.match(recordIn(path), { term: 1, nonce: 'n', catalog: 'of 1', previousEnd: null })
  const text = readFileSync(join(path, servedFile(1)), 'utf8')
  const copy = join(path, servedCopy(1))
  await until('the copy', () => existsSync(copy) && readFileSync(copy, 'utf8') === text)
})

t.test('a create that was done and answered with an error counts', async (t) => {
  const lost: Outcome = async (make) => {
    await make()
    throw new DiskError('EIO', 'served.json', 'EIO: i/o error')
  }
  const { disk } = marks(lost)
  const { told, path } = playMaster(t, { open: opens, disk })
  await until('it serves', () => serves(told))
  t.match(recordIn(path), { term: 1, nonce: 'n' })
})

t.test('what was kept for it is given up where there is no room', async (t) => {
  const { disk, calls } = marks((make) => make(), failing('ENOSPC'))
  const { one, reserve, say, told } = playMaster(t, { open: opens, disk })
  await until('room is kept', () => reserve().includes('whole.json'))
  say({ type: 'give-up', term: 1, why: 'for the test' })
  await until('term 2 serves', () => told.some((said) => said.type === 'serve' && said.term === 2))
  t.equal(calls.filter((call) => call === 'create').length, 3, 'one of term 1, two of term 2')
  t.equal(calls.at(-1), 'touch')
  t.equal(one.state.failure, null)
})

async function givesUp(
  t: Test,
  disk: (plain: Disk) => Disk,
  before: (path: string) => void = () => {},
) {
  let path = ''
  const played = playMaster(t, {
    open: (term) => {
      before(path)
      return opens(term)
    },
    disk,
  })
  path = played.path
  const { one } = played
  await until('it is given up', () => one.state.failure !== null)
  const why = one.state.failure?.why ?? ''
  t.notOk(serves(played.told))
  await until('the master drops it', () => played.told.some(({ type }) => type === 'deactivate'))
  return why
}

t.test('a term without its record is given up, with the reason', async (t) => {
  for (const errno of ['EIO', 'ENOSPC']) {
    const why = await givesUp(t, marks(failing(errno)).disk)
    t.equal(why, `its served record can't be made: ${errno}: for the test`)
  }
})

t.test('so is one in whose place another file stands', async (t) => {
  const stranger = (path: string): void =>
    writeFileSync(join(path, servedFile(1)), '{"term":1,"nonce":"x","servedAt":"","phases":{}}\n')
  const why = await givesUp(t, marks().disk, stranger)
  t.equal(why, `its served record can't be made: ${servedFile(1)} is not of this master`)
})

t.test('a history that was removed is made again', async (t) => {
  const gone = (path: string): void => rmSync(join(path, HISTORY_DIR), { recursive: true })
  const { told, path } = playMaster(t, {
    open: (term) => {
      gone(path)
      return opens(term)
    },
  })
  await until('it serves', () => serves(told))
  t.match(recordIn(path), { term: 1 })
})

t.test('a keeper that is started anew puts the term on record, or finds that it is', async (t) => {
  for (const dies of ['before', 'after'] as const) {
    // Its answer never comes, and it is killed.
    const first = marks(async (make) => {
      if (dies === 'after') await make()
      return new Promise(() => {})
    })
    const one = playMaster(t, { open: opens, disk: first.disk })
    const { path } = one
    // Made, and filled.
    const isThere = (): boolean =>
      existsSync(join(path, servedFile(1))) &&
      readFileSync(join(path, servedFile(1)), 'utf8').endsWith('\n')
    await until('it was asked to', () => first.calls.length > 0 && (dies === 'before' || isThere()))
    one.kill()
    const told = one.told.find((message) => message.type === 'activate')
    if (told?.type !== 'activate') throw new Error('it was not told to open the catalog')
    const { term, untilMs } = told
    // As it comes over the channel.
    const takeOver = JSON.parse(JSON.stringify(told.takeOver))
    const before = isThere() ? readFileSync(join(path, servedFile(1)), 'utf8') : null
    t.equal(before !== null, dies === 'after')

    const resume = { term, untilMs, serving: false, takeOver }
    const next = playMaster(t, { open: never, path, resume })
    next.say(opens(term))
    await until('it serves', () => serves(next.told))
    t.match(recordIn(path), { term: 1, nonce: 'n', catalog: 'of 1' })
    const text = readFileSync(join(path, servedFile(1)), 'utf8')
    if (before !== null) t.equal(text, before)
    t.ok((recordIn(path)?.phases.openedMs ?? -1) >= 0)
    const copy = join(path, servedCopy(1))
    await until('the copy', () => existsSync(copy) && readFileSync(copy, 'utf8') === text)
  }
})
