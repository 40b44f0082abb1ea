/**
 * INSERT OVERWRITE INTO LOCATION is decided and can't be carried out yet: whoever would change a table whose files are
 * there waits, and nothing is acknowledged that is moved away afterwards.
 */

import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { administrator } from '../../../lib/access/index.ts'
import type { Publication } from '../../../lib/catalog/model.ts'
import { absolutePath } from '../../../lib/catalog/state.ts'
import type { Task } from '../../../lib/contract/index.ts'
import { settle } from '../../support/hand-clock.ts'
import { ID, reportOf, type Seat, Terms, workerAt } from '../../support/query-terms.ts'

const SESSION = { database: 'default', user: 'me', variables: {} }
const WAIT_MS = 30_000

/** A master, a worker that the test plays, and the directory `out`, for which a result is decided. */
class Stage {
  readonly terms: Terms
  readonly around: string
  readonly out: string
  seat: Seat
  readonly #worker = workerAt(1, 10)
  #last = 0
  /** What happens after a file was looked for, and before anybody knows how that went. */
  afterLook: (() => Promise<void>) | null = null
  /** While it is there nothing can be moved aside. */
  #block = ''

  private constructor(terms: Terms, seat: Seat) {
    this.terms = terms
    this.seat = seat
    this.around = join(terms.directory, 'allowed', 'around')
    this.out = join(this.around, 'out')
  }

  static async begin(t: Test): Promise<Stage> {
    let stage: Stage | null = null
    const lookFor = async (path: string): Promise<string | null> => {
      const isThere = existsSync(path)
      await stage?.afterLook?.()
      return isThere ? null : `${path} is gone`
    }
    const terms = new Terms(t, { lookFor, writeWaitMs: WAIT_MS })
    mkdirSync(join(terms.directory, 'warehouse'))
    stage = new Stage(terms, await terms.begin())
    mkdirSync(join(stage.out, 'sub'), { recursive: true })
    for (const path of ['part', 'sub/part']) writeFileSync(join(stage.out, path), 'old')
    stage.seat.term.tracker.register({ worker: stage.#worker, tasks: [] })
    return stage
  }

  /** Its id. The answer of one that waits comes only after a while. */
  async begin(sql: string): Promise<string> {
    const { client, list } = this.seat.term
    this.#last += 1
    const queryId = ID(this.#last)
    client
      .submit({ queryId, attempt: 1, sql, session: SESSION }, administrator('me'))
      .catch(() => undefined)
    while (list.get(queryId) === null) await settle()
    await this.#goOn()
    return queryId
  }

  taskOf(queryId: string): Task {
    const found = this.seat.calls.ran.find(({ task }) => task.queryId === queryId)
    if (found === undefined) throw new Error(`the worker has not got ${queryId}`)
    return found.task
  }

  write(queryId: string): void {
    const directory = this.taskOf(queryId).write?.directory ?? ''
    mkdirSync(directory, { recursive: true })
    writeFileSync(join(directory, 'part-0'), '0123456789')
  }

  async tell(queryId: string): Promise<void> {
    this.seat.term.tracker.heartbeat({
      workerId: this.#worker.workerId,
      incarnation: this.#worker.incarnation,
      freeSlots: 10,
      reports: [reportOf(this.taskOf(queryId), 'succeeded')],
    })
    await this.#goOn()
  }

  async run(sql: string): Promise<string> {
    const queryId = await this.begin(sql)
    this.write(queryId)
    await this.tell(queryId)
    return queryId
  }

  /** The decision is in the catalog, and the file system refuses to carry it out. */
  async decide(): Promise<string> {
    const queryId = await this.begin(`insert overwrite into location '${this.out}' select 1`)
    this.#block = join(this.around, `.out-${queryId}-old`)
    writeFileSync(this.#block, '')
    this.write(queryId)
    await this.tell(queryId)
    await this.until(() => this.pending().length === 1)
    return queryId
  }

  async carryOut(): Promise<void> {
    rmSync(this.#block)
    await this.terms.clock.advance(1000)
    await this.until(() => this.pending().length === 0)
    await this.#goOn()
  }

  pending(): Publication[] {
    return this.seat.catalog.state().publications()
  }

  status(queryId: string) {
    const seen = { queryId, state: 'queued', attempt: 99, worker: null, waitMs: 0 } as const
    return this.seat.term.client.wait(seen, administrator('me'))
  }

  /** Files are really looked at. */
  async until(isSo: () => boolean | Promise<boolean>): Promise<void> {
    while (!(await isSo())) {
      await settle()
      await this.terms.clock.advance(0)
    }
  }

  async ended(queryId: string) {
    const state = async (): Promise<string> => (await this.status(queryId))?.state ?? ''
    await this.until(async () => !['queued', 'running'].includes(await state()))
    return this.status(queryId)
  }

  async #goOn(): Promise<void> {
    for (let turn = 0; turn < 20; turn++) {
      await settle()
      await this.terms.clock.advance(0)
    }
  }

  /** Of tables the files that they name and that are not there. */
  missing(): string[] {
    const tables = this.seat.catalog.state().tablesOf('default') ?? []
    return tables
      .flatMap((table) => table.files.map(({ path }) => absolutePath(table, path)))
      .filter((path) => !existsSync(path))
  }
}

t.test('an INSERT into an external table at, above or below the place waits', async (t) => {
  for (const [at, end] of [
    ['out', 'failed'],
    ['out/sub', 'failed'],
    ['.', 'succeeded'],
  ] as const) {
    const stage = await Stage.begin(t)
    await stage.begin(`create external table ext (a text) location '${join(stage.around, at)}'`)
    const holder = await stage.decide()
    const insert = await stage.run('insert into ext select 2')
    const told = new RegExp(`^waits for query ${holder}, which puts its result in the place of`)
    t.match(await stage.status(insert), { state: 'running', message: told }, at)
    await stage.carryOut()
    const { state, error } = (await stage.ended(insert)) ?? {}
    t.equal(state, end, at)
    // Its file was below the place, and has been moved away with it.
    if (end === 'failed') t.match(error?.message, /gone; nothing was changed/, at)
    t.same(stage.missing(), [], at)
  }
})

t.test(
  'ADD PARTITION and CREATE EXTERNAL there wait, and see what stands there then',
  async (t) => {
    const stage = await Stage.begin(t)
    await stage.begin('create table p (a text) partition by column (d text)')
    await stage.decide()
    const sql = [
      `alter table p add partition (d = 'x') location '${stage.out}'`,
      `alter table p add partition (d = 'y') location '${join(stage.out, 'sub')}'`,
      `create external table ext (a text) location '${stage.out}'`,
    ]
    const begun = []
    for (const one of sql) begun.push(await stage.begin(one))
    for (const one of begun) {
      t.match(await stage.status(one), { state: 'running', message: /^waits for query/ })
    }
    await stage.carryOut()
    const [added, gone, made] = await Promise.all(begun.map((one) => stage.ended(one)))
    t.match(gone, { state: 'failed', error: { message: /does not exist/ } })
    t.match([added, made], [{ state: 'succeeded' }, { state: 'succeeded' }])
    t.same(stage.missing(), [])
  },
)

t.test('a result for a directory around it or inside waits', async (t) => {
  for (const at of ['.', 'out/sub']) {
    const stage = await Stage.begin(t)
    await stage.decide()
    const other = await stage.run(
      `insert overwrite into location '${join(stage.around, at)}' select 2`,
    )
    t.match(await stage.status(other), { state: 'running', message: /^waits for query/ }, at)
    await stage.carryOut()
    // What is written inside has been moved away with what stood there.
    const end = at === '.' ? 'succeeded' : 'failed'
    t.equal((await stage.ended(other))?.state, end, at)
    t.same(stage.pending(), [], at)
  }
})

t.test('one that is carried out between the look at files and their acknowledgement', async (t) => {
  const stage = await Stage.begin(t)
  await stage.begin(`create external table ext (a text) location '${stage.out}'`)
  const insert = await stage.begin('insert into ext select 2')
  stage.write(insert)
  let meanwhile: Promise<unknown> | null = null
  stage.afterLook = async () => {
    stage.afterLook = null
    meanwhile = stage.run(`insert overwrite into location '${stage.out}' select 1`)
    await stage.ended(await (meanwhile as Promise<string>))
  }
  await stage.tell(insert)
  t.match(await stage.ended(insert), { state: 'failed', error: { message: /gone/ } })
  t.ok(meanwhile)
  t.same(stage.missing(), [])
})

t.test('who waits too long for it is refused', async (t) => {
  const stage = await Stage.begin(t)
  await stage.begin(`create external table ext (a text) location '${stage.out}'`)
  await stage.decide()
  const drop = await stage.begin('drop table ext')
  t.match(await stage.status(drop), { state: 'running' })
  for (let ms = 0; ms < WAIT_MS; ms += 500) await stage.terms.clock.advance(500)
  t.match(await stage.ended(drop), { state: 'failed', error: { kind: 'refused' } })
  t.match((await stage.ended(drop))?.error?.message, /tajo.table.write.wait/)
})
