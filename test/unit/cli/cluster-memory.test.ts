/** Which cluster a list of masters was: what is kept of it, for whom, and how much. */
import {
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { ClusterMemory, tsqlKnowledge } from '../../../lib/cli/tsql/known-cluster.ts'
import { testdirOf } from '../../support/testdir.ts'

const learnt = { clusterId: 'c-1', rootDirectory: '/r', since: '2026-11-28T00:00:00.000Z' }

t.test('kept by list, for its user only; what is torn is not nothing', async (t) => {
  const home = testdirOf(t)
  const memory = new ClusterMemory(home, ['b:2', 'a:1'])
  t.equal(await memory.recall(), null)
  await memory.remember(learnt)
  t.same(await new ClusterMemory(home, ['a:1', 'b:2']).recall(), learnt, 'in any order')
  t.equal(await new ClusterMemory(home, ['a:1']).recall(), null, 'another list')
  t.equal(statSync(memory.path).mode & 0o777, 0o600)
  t.equal(statSync(join(home, '.tajo', 'clusters')).mode & 0o777, 0o700)
  for (const torn of ['', '{', '[]', '{"clusterId":1}', 'null']) {
    writeFileSync(memory.path, torn)
    await t.rejects(memory.recall(), {
      message: new RegExp(`^${memory.path}, which tells which cluster .* can't be read: `),
    })
  }
  rmSync(memory.path)
  mkdirSync(memory.path)
  await t.rejects(memory.recall(), { message: /EISDIR/ })
  t.equal(await new ClusterMemory('/dev/null', ['a:1']).recall(), null, 'a home that is none')
})

t.test('the hundred newest', async (t) => {
  const home = testdirOf(t)
  const directory = join(home, '.tajo', 'clusters')
  mkdirSync(directory, { recursive: true })
  for (let i = 0; i < 120; i += 1) {
    const path = join(directory, `${i}.json`)
    writeFileSync(path, '{}')
    utimesSync(path, 1000 + i, 1000 + i)
  }
  await new ClusterMemory(home, ['a:1']).remember(learnt)
  const left = readdirSync(directory)
  t.equal(left.length, 100)
  t.notOk(left.includes('20.json'))
  t.ok(left.includes('119.json'))
})

t.test('the directory decides; memory only where that says nothing', async (t) => {
  const home = testdirOf(t)
  const memory = new ClusterMemory(home, ['a:1'])
  let directory: string | null = null
  let looks = 0
  const unwritten: unknown[] = []
  const lost: string[] = []
  const knowledge = (rootDirectory: string, at = memory) =>
    tsqlKnowledge({
      memory: at,
      rootDirectory,
      named: false,
      readDirectory: async () => {
        looks += 1
        return directory
      },
      onLost: (why) => void lost.push(why),
      onUnwritten: (error) => void unwritten.push(error),
      now: () => new Date(0),
    })
  t.equal(await knowledge('/r').expected(), null, 'nobody knows')
  directory = 'c-1'
  const first = knowledge('/r')
  t.equal(await first.expected(), 'c-1')
  await first.confirmed('c-1')
  looks = 0
  t.equal(await knowledge('/r').expected(), 'c-1')
  t.equal(looks, 0, 'what is remembered costs no look')
  directory = 'c-2'
  t.equal(await knowledge('/other').expected(), 'c-2', 'another tajo.rootdir')
  directory = null
  t.equal(await knowledge('/other').expected(), 'c-1', 'which says nothing')

  const renewed = knowledge('/r')
  await renewed.expected()
  await t.rejects(renewed.instead('c-9'), { message: `remove ${memory.path} and try again` })
  directory = 'c-3'
  await t.rejects(renewed.instead('c-9'), {
    message: /holds cluster c-3, and a master.*cluster c-9/,
  })
  directory = 'c-9'
  t.equal(await renewed.instead('c-9'), 'c-9', 'made anew')
  await renewed.confirmed('c-9')
  t.match(await memory.recall(), { clusterId: 'c-9' })

  for (const torn of ['', '{"torn', '{}']) {
    writeFileSync(memory.path, torn)
    directory = null
    await t.rejects(knowledge('/r').expected(), {
      kind: 'refused',
      message: new RegExp(`${memory.path}.* Nothing was sent.*remove ${memory.path} and try`),
    })
    t.equal(readFileSync(memory.path, 'utf8'), torn, 'and it is left alone')
    directory = 'c-9'
    const told = knowledge('/r')
    t.equal(await told.expected(), 'c-9', 'the directory tells')
    t.match(lost.pop(), /can't be read: it is torn or foreign. tajo.rootdir \/r holds cluster c-9/)
    await told.confirmed('c-9')
    t.match(await memory.recall(), { clusterId: 'c-9' })
  }
  t.same(lost, [])

  writeFileSync(join(home, 'file'), '')
  const blocked = new ClusterMemory(join(home, 'file'), ['a:1'])
  await knowledge('/r', blocked).confirmed('c-1')
  t.equal(unwritten.length, 1, 'a home that can not be written is told, and harms nobody')
})

t.test(
  'a master that was named: what is remembered of that address, whatever the directory',
  async (t) => {
    const memory = new ClusterMemory(testdirOf(t), ['a:1'])
    let directory: string | null = 'c-elsewhere'
    const named = () =>
      tsqlKnowledge({
        memory,
        rootDirectory: '/r',
        named: true,
        readDirectory: async () => directory,
        onLost: (why) => t.fail(why),
        onUnwritten: (error) => t.fail(String(error)),
        now: () => new Date(0),
      })
    const first = named()
    t.equal(await first.expected(), null, 'the address is meant')
    await first.confirmed('c-1')
    t.match(await memory.recall(), { clusterId: 'c-1', rootDirectory: '' })
    const next = named()
    t.equal(await next.expected(), 'c-1')
    await t.rejects(next.instead('c-2'), { message: `remove ${memory.path} and try again` })
    directory = 'c-2'
    t.equal(await next.instead('c-2'), 'c-2', 'made anew: its own directory says so')
    await next.confirmed('c-2')
    t.match(await memory.recall(), { clusterId: 'c-2' })
  },
)
