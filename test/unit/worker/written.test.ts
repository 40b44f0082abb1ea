/** What a worker tells of a change: whole where there is room, else in pages; and that no message of its tasks is too long. */
import t from 'tap'
import { systemClock } from '../../../lib/base/time.ts'
import type { Manifest, Task, TaskReport } from '../../../lib/contract/index.ts'
import type { RunningQuery } from '../../../lib/worker/running-query.ts'
import {
  cutError,
  MANIFEST_FILES,
  MessageRoom,
  TASK_CHARS,
  TaskList,
} from '../../../lib/worker/task-list.ts'
import { Written } from '../../../lib/worker/written.ts'
import { longestTurn } from '../../support/longest-turn.ts'

const manifest = (count: number, more: Partial<Manifest> = {}, perPartition = 3): Manifest => ({
  reads: [{ tableId: 1, contentVersion: 2 }],
  columns: [{ name: 'a', type: 'INT4' }],
  partitionColumns: [{ name: 'p', type: 'TEXT' }],
  files: Array.from({ length: count }, (_, at) => ({
    path: `data-q/p=${at}/${'x'.repeat(60)}`,
    rows: at % 2 === 0 ? at : null,
    bytes: at,
    partition: [`${Math.floor(at / perPartition) % 1000}`],
  })),
  rows: 5,
  bytes: 6,
  ...more,
})

/** As a master reads them. */
function read(written: Written) {
  const pages = []
  for (let next: number | null = 0; next !== null; ) {
    const page = written.page(next)
    if (page === null) throw new Error(`no page ${next}`)
    pages.push(page)
    next = page.next
  }
  const files = pages
    .flatMap((page) => page.files)
    .flatMap(({ partition, paths, rows, bytes }) =>
      paths.map((path, i) => ({ path, rows: rows[i], bytes: bytes[i], partition })),
    )
  return { pages, files, groups: pages.flatMap(({ groups = [] }) => groups) }
}

t.test('the pages are the manifest, in its order, and none is long', async (t) => {
  for (const [count, perPartition] of [
    [0, 1],
    [1, 1],
    [MANIFEST_FILES, 1],
    [20_000, 1],
    [20_000, 9000],
  ] as const) {
    const groups = Array.from({ length: count }, (_, at) => at)
    const whole = manifest(count, { groups }, perPartition)
    const written = await Written.of(whole)
    const { pages, files, groups: read1 } = read(written)
    t.same(files, whole.files)
    t.same(read1, groups)
    const { files: _, groups: _groups, ...head } = whole
    t.same(pages[0]?.head, head)
    t.ok(pages.slice(1).every((page) => page.head === undefined))
    const sizes = pages.map((page) => JSON.stringify(page).length)
    t.ok(Math.max(...sizes) < 600_000, `${count} files: ${sizes}`)
    t.ok(count < 20_000 || pages.length > 3, `${pages.length} pages`)
    const chars = JSON.stringify(pages).length
    t.ok(written.chars > 0.9 * chars - 100, `${written.chars} of ${chars} are counted`)
    t.equal(written.page(pages.length), null)
    t.same(written.manifest, count > MANIFEST_FILES ? null : whole)
  }
  const { pages } = read(await Written.of(manifest(3000, {}, 3)))
  t.ok(pages.flatMap((page) => page.files).length <= 1000 + pages.length, 'values are said once')
  t.ok(pages.every((page) => page.groups === undefined))
})

t.test('many files are cut in slices', async (t) => {
  const whole = manifest(200_000)
  const cut = await longestTurn(() => Written.of(whole))
  t.ok(cut.turns > 5, `${cut.turns} turns, the longest of ${cut.ms} ms`)
})

t.test('what would be too long for the first page is the end of the query', async (t) => {
  const columns = Array.from({ length: 60_000 }, (_, at) => ({
    name: `column_${at}`,
    type: 'INT4',
  }))
  await t.rejects(Written.of(manifest(1, { columns })), {
    code: 'user',
    message: /of its 60001 columns are \d+ characters long.*nothing was changed/,
  })
})

t.test('an error that is too long is cut', async (t) => {
  t.equal(cutError('short'), 'short')
  t.equal(cutError('x'.repeat(1e6)).length, 4001)
})

t.test('all manifests of a message share its room', async (t) => {
  const room = new MessageRoom()
  t.ok(room.take({ files: 600, chars: 10 }))
  t.notOk(room.take({ files: 600, chars: 10 }), 'too many files')
  t.ok(room.take({ files: 400, chars: 10 }))
  t.notOk(new MessageRoom().take({ files: 1, chars: 1e6 }), 'too long')
})

// ---- the list ----------------------------------------------------------------------------------------------------------

function listOf() {
  const rooms: MessageRoom[] = []
  const ends: (() => void)[] = []
  const start = ((task: Task) => {
    const query = {
      task,
      ...{ running: true, holdsSlot: true },
      report: (room: MessageRoom) => {
        rooms.push(room)
        return { queryId: task.queryId, attempt: task.attempt, state: 'succeeded' } as TaskReport
      },
      ended: new Promise<void>((resolve) => {
        ends.push(() => {
          query.running = false
          query.holdsSlot = false
          resolve()
        })
      }),
    }
    return query
  }) as unknown as (task: Task) => RunningQuery
  const list = new TaskList({
    ...{ slots: 100, maxRunMs: 0, clock: systemClock },
    ...{ start, onChange: () => {} },
  })
  return { list, rooms, ends }
}
const task = (queryId: string, chars: number): Task =>
  ({ queryId, attempt: 1, sql: 'x'.repeat(chars) }) as Task

t.test('the reports of one message have one room, and each message its own', async (t) => {
  const { list, rooms } = listOf()
  list.run(task('a', 1))
  list.run(task('b', 1))
  list.reports()
  list.tasks()
  t.equal(rooms.length, 4)
  t.equal(rooms[0], rooms[1])
  t.equal(rooms[2], rooms[3])
  t.not(rooms[0], rooms[2])
})

t.test('tasks that a registration has no room for are not taken', async (t) => {
  const { list, ends } = listOf()
  const third = Math.floor(TASK_CHARS / 3)
  t.throws(() => list.run(task('huge', TASK_CHARS)), { code: 'BAD_REQUEST' }, 'by no worker')
  t.equal(list.run(task('a', third)).accepted, true)
  t.equal(list.run(task('b', third)).accepted, true)
  t.match(list.run(task('c', third + 1000)), { accepted: false, why: /fills a message/ })
  t.equal(list.run(task('small', 1)).accepted, true)
  ends[0]?.()
  await new Promise((resolve) => setImmediate(resolve))
  t.equal(list.run(task('c', third + 1000)).accepted, false, 'its end is still to be told')
  list.forget(['a'], list.reports())
  t.equal(list.run(task('c', third + 1000)).accepted, true)
  t.ok(JSON.stringify(list.tasks()).length <= TASK_CHARS + 1000)
})
