/**
 * Changes that meet: none of them gets lost, and each pair goes as the table in docs/sql.md says, which is what these
 * tests go by.
 */
import { readFileSync } from 'node:fs'
import t from 'tap'
import { administrator } from '../../../lib/access/index.ts'
import { fc } from '../../support/properties.ts'
import { type Begun, TableWorld } from '../../support/table-world.ts'

const PLAIN = 'create table t (a int4, b int4)'
const PARTED = 'create table t (a int4, b int4) partition by column (p text)'
const WAIT_MS = 30_000

async function withTables(world: TableWorld, create = PLAIN): Promise<void> {
  await world.begin('create table u (a int4, b int4)')
  await world.begin(create)
}

// ---- the table of the documentation ------------------------------------------------------------------------------

const LONG = ['INSERT', 'OVERWRITE', 'OVERWRITE that reads it', 'CTAS'] as const
const BRIEF = ['ALTER', 'TRUNCATE', 'DROP', 'ADD PARTITION', 'DROP PARTITION'] as const
const LAST_RUN = 'the same, in its third run'
type Long = (typeof LONG)[number]
type Kind = Long | (typeof BRIEF)[number]

const VERDICTS = ['both', '1st again', '1st refused', '2nd refused', '2nd waits'] as const
type Verdict = (typeof VERDICTS)[number]

function documented(): (underWay: string, meanwhile: Kind) => Verdict {
  const lines = readFileSync('docs/sql.md', 'utf8').split('\n')
  const from = lines.findIndex((line) => line.startsWith('| under way |'))
  const cellsOf = (line = ''): string[] =>
    line
      .split('|')
      .slice(1, -1)
      .map((cell) => cell.trim())
  const [, ...columns] = cellsOf(lines[from])
  const rows = new Map<string, string[]>()
  for (const line of lines.slice(from + 2)) {
    if (!line.startsWith('|')) break
    const [name = '', ...cells] = cellsOf(line)
    rows.set(name, cells)
  }
  return (underWay, meanwhile) => {
    // Whether the one that comes reads the table as well makes no difference to the other.
    const column = meanwhile === 'OVERWRITE that reads it' ? 'OVERWRITE' : meanwhile
    const cell = rows.get(underWay)?.[columns.indexOf(column)]
    const verdict = VERDICTS.find((one) => one === cell)
    if (verdict === undefined) throw new Error(`docs/sql.md: ${underWay}, ${meanwhile}: ${cell}`)
    return verdict
  }
}

const verdictOf = documented()

// ---- statements --------------------------------------------------------------------------------------------------

const isLong = (kind: Kind): kind is Long => (LONG as readonly string[]).includes(kind)

/** Those with a partition are for tables with partitions, but for CTAS, which makes one without. */
function sqlOf(kind: Kind, world: TableWorld, serial = 1): string {
  switch (kind) {
    case 'INSERT':
      return 'insert into t select 1 a, 2 b'
    case 'OVERWRITE':
      return 'insert overwrite into t select a, b from u'
    case 'OVERWRITE that reads it':
      return 'insert overwrite into t select a, b from t'
    case 'CTAS':
      return 'create table t as select a, b from u'
    case 'ALTER':
      return `alter table t add column c${serial} int4`
    case 'TRUNCATE':
      return 'truncate table t'
    case 'DROP':
      return 'drop table t'
    case 'ADD PARTITION':
      return `alter table t add partition (p = 'n${serial}') location '${world.place(`n${serial}`, `n${serial}`)}'`
    case 'DROP PARTITION':
      return "alter table t drop partition (p = 'a')"
  }
}

/** To its end, or as far as it comes. */
async function doneAtOnce(world: TableWorld, kind: Kind, serial = 1): Promise<Begun> {
  const begun = await world.begin(sqlOf(kind, world, serial))
  const { state } = await world.status(begun)
  if (isLong(kind) && (state === 'queued' || state === 'running')) await world.run(begun)
  return begun
}

// ---- tests -------------------------------------------------------------------------------------------------------

t.test('an INSERT that is done while an OVERWRITE of what it reads runs is not lost', async (t) => {
  const world = await TableWorld.begin(t)
  await withTables(world)
  const first = await world.begin('insert into t select 1, 2')
  await world.run(first)
  const overwrite = await world.begin('insert overwrite into t select a, b from t')
  world.read(overwrite)
  const insert = await world.begin('insert into t values (2, 3)')
  await world.run(insert)
  t.match(await world.status(insert), { state: 'succeeded' })
  await world.finish(overwrite)
  t.match(await world.status(overwrite), { state: 'running', attempt: 2 }, 'it runs again')
  await world.run(overwrite)
  t.match(await world.status(overwrite), { state: 'succeeded' })
  t.same(world.content('t'), [first.number, overwrite.number, insert.number])
})

for (const create of [PARTED, PLAIN]) {
  for (const underWay of [...LONG, LAST_RUN]) {
    for (const meanwhile of [...LONG, ...BRIEF]) {
      if (create === PLAIN && meanwhile.endsWith('PARTITION')) continue
      const name = `${create === PLAIN ? '' : 'with partitions: '}${underWay}, meanwhile ${meanwhile}`
      t.test(name, async (t) => pair(t, create, underWay, meanwhile))
    }
  }
}

async function pair(
  t: Parameters<typeof TableWorld.begin>[0],
  create: string,
  underWay: string,
  meanwhile: Kind,
): Promise<void> {
  const world = await TableWorld.begin(t)
  await withTables(world, underWay === 'CTAS' ? 'create table v (a int4, b int4)' : create)
  if (underWay !== 'CTAS') await doneAtOnce(world, 'INSERT')
  const kind = LONG.find((one) => one === underWay) ?? 'OVERWRITE that reads it'
  const first = await world.begin(sqlOf(kind, world))
  const attempt = underWay === LAST_RUN ? 3 : 1
  for (let run = 1; run < attempt; run++) {
    world.read(first)
    await doneAtOnce(world, 'INSERT')
    await world.finish(first)
  }
  world.read(first)
  const second = await doneAtOnce(world, meanwhile)
  const early = await world.status(second)
  await world.finish(first)
  const one = await world.status(first)
  const two = await world.status(second)
  t.equal(verdictOf(underWay, meanwhile), seen(one, early), `${one.error?.message}`)
  if (one.attempt > attempt) {
    t.equal(one.attempt, attempt + 1)
    await world.run(first)
    t.match(await world.status(first), { state: 'succeeded' })
  }
  if (early.state === 'running') {
    t.match(early.message, /^waits for query .* which replaces the table/)
    // With its turn it is judged as if it came now.
    if (meanwhile === 'OVERWRITE that reads it') {
      t.match(two, { state: 'running', attempt: 2 })
      await world.run(second)
    }
    t.match(await world.ended(second), { state: 'succeeded' })
  }

  function seen(one: { state: string; attempt: number }, early: { state: string }): Verdict {
    if (early.state === 'running') return '2nd waits'
    if (early.state === 'failed') return '2nd refused'
    if (one.state === 'failed') return '1st refused'
    return one.attempt > attempt ? '1st again' : 'both'
  }
}

t.test('a table that was dropped and made again is another one', async (t) => {
  const world = await TableWorld.begin(t)
  await withTables(world)
  await doneAtOnce(world, 'INSERT')
  const overwrite = await world.begin(sqlOf('OVERWRITE that reads it', world))
  world.read(overwrite)
  await doneAtOnce(world, 'DROP')
  await world.begin(PLAIN)
  const insert = await doneAtOnce(world, 'INSERT')
  await world.finish(overwrite)
  const { state, error } = await world.status(overwrite)
  t.match({ state, error }, { state: 'failed', error: { kind: 'user', message: /was dropped/ } })
  t.same(world.content('t'), [insert.number])
})

t.test('a database that was dropped and made again is another one', async (t) => {
  const again = ['drop database d', 'create database d']
  const cases = [
    { first: 'create table d.k as select 1 a', after: again },
    { first: 'create table if not exists d.k as select 1 a', after: again },
    { first: 'create table d.k as select 1 a', after: ['drop database d'] },
    {
      first: 'insert into d.t select 1, 2',
      before: PLAIN.replace('table t', 'table d.t'),
      after: ['drop table d.t', ...again, PLAIN.replace('table t', 'table d.t')],
    },
  ]
  for (const { first, before, after } of cases) {
    const world = await TableWorld.begin(t)
    await world.begin('create database d')
    if (before !== undefined) await world.begin(before)
    const begun = await world.begin(first)
    world.read(begun)
    // One that is made anew is told from the old one by its time, in ms.
    await new Promise((resolve) => setTimeout(resolve, 2))
    for (const sql of after) {
      const { state, error } = await world.status(await world.begin(sql))
      t.equal(state, 'succeeded', `${sql}: ${error?.message}`)
    }
    await world.finish(begun)
    const { state, error } = await world.status(begun)
    t.match({ state, error }, { state: 'failed', error: { kind: 'user', message: /was dropped/ } })
    t.equal(world.seat.catalog.state().find('d', 'k'), null, `${first}; ${after.join('; ')}`)
  }
})

t.test('RENAME TO disturbs nobody: what is under way follows the table', async (t) => {
  for (const kind of ['INSERT', 'OVERWRITE', 'OVERWRITE that reads it'] as const) {
    const world = await TableWorld.begin(t)
    await withTables(world)
    const before = await doneAtOnce(world, 'INSERT')
    const begun = await world.begin(sqlOf(kind, world))
    world.read(begun)
    await world.begin('alter table t rename to w')
    await world.finish(begun)
    t.match(await world.status(begun), { state: 'succeeded', attempt: 1 }, kind)
    const kept = kind === 'OVERWRITE' ? [] : [before.number]
    t.same(world.content('w'), [...kept, begun.number])
  }
})

t.test(
  'names mean what they meant at the submit, whatever is renamed before the worker reads',
  async (t) => {
    const swap = [
      ['alter table t rename to old', PLAIN],
      ['alter table t rename to old', 'alter table u rename to t'],
    ]
    for (const [away = '', back = ''] of swap) {
      const world = await TableWorld.begin(t)
      await withTables(world)
      const before = await doneAtOnce(world, 'INSERT')
      const other = await world.begin('insert into u select 1, 2')
      await world.run(other)
      const overwrite = await world.begin(sqlOf('OVERWRITE that reads it', world))
      const made = await world.begin('create table c as select a, b from t')
      const out = await world.begin('insert into u select a, b from t')
      for (const sql of [away, back]) await world.begin(sql)
      const insert = await doneAtOnce(world, 'INSERT')
      const target = world.seat.catalog.state().find('default', 'old')?.id
      for (const begun of [overwrite, made, out]) {
        world.read(begun)
        t.same(world.readBy(begun), [target], begun.sql)
        await world.finish(begun)
        t.match(await world.status(begun), { state: 'succeeded', attempt: 1 })
      }
      t.same(world.content('old'), [before.number, overwrite.number])
      const u = back === PLAIN ? 'u' : 't'
      const inserted = world.content('t')?.includes(insert.number)
      t.ok(inserted, 'and what is called t by now has what came after')
      t.same(
        world.content(u)?.filter((one) => one !== insert.number),
        [other.number, out.number],
      )
    }
  },
)

t.test('it runs again on the table that was renamed meanwhile', async (t) => {
  const world = await TableWorld.begin(t)
  await withTables(world)
  const before = await doneAtOnce(world, 'INSERT')
  const overwrite = await world.begin(sqlOf('OVERWRITE that reads it', world))
  world.read(overwrite)
  await world.begin('alter table t rename to w')
  await world.begin(PLAIN)
  const insert = await world.begin('insert into w select 1, 2')
  await world.run(insert)
  await world.finish(overwrite)
  t.match(await world.status(overwrite), { state: 'running', attempt: 2 })
  await world.run(overwrite)
  t.match(await world.status(overwrite), { state: 'succeeded' })
  t.same(world.content('w'), [before.number, overwrite.number, insert.number])
  t.same(world.content('t'), [])
})

t.test('a name that meant nothing at the submit is no table that was renamed to it', async (t) => {
  const world = await TableWorld.begin(t)
  await withTables(world)
  const begun = await world.begin('insert into t select a, b from v')
  await world.begin('alter table t rename to v')
  world.read(begun)
  t.same(world.readBy(begun), [])
  const fresh = await world.begin('insert into v select a, b from n')
  await world.begin('create table n (a int4, b int4)')
  world.read(fresh)
  t.same(world.readBy(fresh), [world.seat.catalog.state().find('default', 'n')?.id])
})

t.test('in its third run a RENAME waits for it', async (t) => {
  const world = await TableWorld.begin(t)
  await withTables(world)
  const holder = await inLastRun(world)
  const rename = await world.begin('alter table t rename to w')
  t.match(await world.status(rename), { state: 'running', message: /^waits for/ })
  await world.finish(holder)
  t.match(await world.status(rename), { state: 'succeeded' })
  t.ok(world.content('w')?.includes(holder.number))
})

t.test('two that replace each other’s tables: write skew, as the documentation says', async (t) => {
  const world = await TableWorld.begin(t)
  await withTables(world)
  const one = await world.begin('insert overwrite into t select a, b from u')
  const two = await world.begin('insert overwrite into u select a, b from t')
  for (const begun of [one, two]) world.read(begun)
  for (const begun of [one, two]) {
    await world.finish(begun)
    t.match(await world.status(begun), { state: 'succeeded', attempt: 1 })
  }
})

t.test('two that replace one table and read both: the later one runs again', async (t) => {
  const world = await TableWorld.begin(t)
  await withTables(world)
  const sql = 'insert overwrite into t select a, b from t union all select a, b from u'
  const [one, two] = [await world.begin(sql), await world.begin(sql)]
  for (const begun of [one, two]) world.read(begun)
  for (const begun of [one, two]) await world.finish(begun)
  t.match(await world.status(one), { state: 'succeeded', attempt: 1 })
  t.match(await world.status(two), { state: 'running', attempt: 2 })
  await world.run(two)
  t.same(world.content('t'), [one.number, two.number])
})

/** It was overtaken twice, and has read for its third run. */
async function inLastRun(world: TableWorld): Promise<Begun> {
  const begun = await world.begin(sqlOf('OVERWRITE that reads it', world))
  for (let run = 1; run <= 2; run++) {
    world.read(begun)
    await doneAtOnce(world, 'INSERT')
    await world.finish(begun)
  }
  world.read(begun)
  return begun
}

t.test('who waits for the third run is refused after the time that is configured', async (t) => {
  const world = await TableWorld.begin(t, { writeWaitMs: WAIT_MS })
  await withTables(world)
  const holder = await inLastRun(world)
  const insert = await doneAtOnce(world, 'INSERT')
  const drop = await doneAtOnce(world, 'DROP')
  await world.pass(WAIT_MS - 1)
  for (const one of [insert, drop]) t.match(await world.status(one), { state: 'running' })
  await world.pass(1)
  for (const one of [insert, drop]) {
    const { state, error } = await world.status(one)
    const message = new RegExp(`query ${holder.queryId} .* 30000 ms \\(tajo.table.write.wait\\)`)
    t.match({ state, error }, { state: 'failed', error: { kind: 'refused', message } })
  }
  await world.beat()
  await world.finish(holder)
  t.match(await world.status(holder), { state: 'succeeded', attempt: 3 })
  t.notOk(world.content('t')?.includes(insert.number))
})

t.test('while this master may not serve, nobody waits too long', async (t) => {
  const world = await TableWorld.begin(t, { writeWaitMs: WAIT_MS })
  await withTables(world)
  const holder = await inLastRun(world)
  const insert = await doneAtOnce(world, 'INSERT')
  await world.pass(1000)
  world.terms.mayServe = false
  await world.terms.clock.advance(2 * WAIT_MS)
  world.terms.mayServe = true
  await world.pass(WAIT_MS - 2000)
  t.match(await world.status(insert), { state: 'running', message: /^waits for/ })
  await world.finish(holder)
  t.match(await world.status(insert), { state: 'succeeded' })
})

t.test('those that wait take no slots from others', async (t) => {
  const world = await TableWorld.begin(t, {}, 3)
  await withTables(world)
  const holder = await inLastRun(world)
  const waiting = [await doneAtOnce(world, 'INSERT'), await doneAtOnce(world, 'INSERT')]
  for (const one of waiting) t.match(await world.status(one), { message: /^waits for/ })
  const others = [await world.begin('insert into u select 1'), await world.begin('select 1')]
  t.same(
    others.map((one) => world.has(one)),
    ['to read', 'to read'],
  )
  const queued = await world.begin('insert into u select 2')
  t.equal(world.has(queued), 'nothing', 'the holder has one as well')
  await world.finish(holder)
  t.equal(world.has(queued), 'to read')
  for (const one of waiting) t.match(await world.status(one), { state: 'succeeded' })
})

t.test('who waits can be killed, and so can the one that is waited for', async (t) => {
  const world = await TableWorld.begin(t)
  await withTables(world)
  const holder = await inLastRun(world)
  const [killed, insert] = [await doneAtOnce(world, 'INSERT'), await doneAtOnce(world, 'INSERT')]
  const kill = ({ queryId }: Begun) => world.seat.term.client.kill({ queryId }, administrator('me'))
  t.match(await kill(killed), { state: 'killed' })
  t.match(await world.status(insert), { state: 'running' })
  t.match(await kill(holder), { state: 'killed' })
  await world.beat()
  t.match(await world.status(insert), { state: 'succeeded' })
  t.notOk(world.content('t')?.includes(killed.number))
  t.notOk(world.content('t')?.includes(holder.number))
})

t.test(
  'of two that were overtaken twice one holds the table and the other has its turn',
  async (t) => {
    const world = await TableWorld.begin(t)
    await withTables(world)
    const two = await Promise.all(
      [1, 2].map(() => world.begin(sqlOf('OVERWRITE that reads it', world))),
    )
    for (let run = 1; run <= 2; run++) {
      for (const one of two) world.read(one)
      await doneAtOnce(world, 'INSERT')
      for (const one of two) await world.finish(one)
    }
    const [holder, other] = two as [Begun, Begun]
    t.match(await world.status(holder), { state: 'running', attempt: 3 })
    t.match(await world.status(other), { state: 'running', attempt: 2, message: /^waits for/ })
    await world.run(holder)
    t.match(await world.status(holder), { state: 'succeeded' })
    t.match(await world.status(other), { state: 'running', attempt: 3 })
    await world.run(other)
    t.match(await world.status(other), { state: 'succeeded' })
    t.ok([holder, other].every(({ number }) => world.content('t')?.includes(number)))
  },
)

t.test('kill -9 of the master at every point: nothing is lost, nothing done twice', async (t) => {
  for (const at of ['read', 'told', 'queued', 'again', 'last', 'waiting'] as const) {
    const world = await TableWorld.begin(t)
    await withTables(world)
    const rows = [(await doneAtOnce(world, 'INSERT')).number]
    const overwrite = await world.begin(sqlOf('OVERWRITE that reads it', world))
    world.read(overwrite)
    if (at === 'read') await world.failOver()
    rows.push((await doneAtOnce(world, 'INSERT')).number)
    if (at === 'told') await world.end()
    await world.finish(overwrite)
    if (at === 'told' || at === 'queued') await world.failOver()
    t.match(await world.status(overwrite), { state: 'running' }, at)
    world.read(overwrite)
    if (at === 'again') await world.failOver()
    if (at === 'last' || at === 'waiting') {
      rows.push((await doneAtOnce(world, 'INSERT')).number)
      await world.finish(overwrite)
      world.read(overwrite)
      if (at === 'last') await world.failOver()
      const insert = await doneAtOnce(world, 'INSERT')
      rows.push(insert.number)
      t.match(await world.status(insert), { state: 'running', message: /^waits for/ }, at)
      if (at === 'waiting') await world.failOver()
      t.match(await world.status(insert), { state: 'running', message: /^waits for/ }, at)
    }
    await world.finish(overwrite)
    t.match(await world.status(overwrite), { state: 'succeeded' }, at)
    await world.beat()
    t.same(
      world.content('t'),
      [...rows, overwrite.number].sort((a, b) => a - b),
      at,
    )
  }
})

// ---- at random ---------------------------------------------------------------------------------------------------

interface Step {
  readonly do: 'begin' | 'work' | 'brief' | 'create' | 'fail-over'
  readonly long: Long
  readonly brief: Kind
  readonly pick: number
}

const step: fc.Arbitrary<Step> = fc.record({
  do: fc.oneof(
    { weight: 6, arbitrary: fc.constant('begin' as const) },
    { weight: 12, arbitrary: fc.constant('work' as const) },
    { weight: 3, arbitrary: fc.constant('brief' as const) },
    { weight: 1, arbitrary: fc.constant('create' as const) },
    { weight: 1, arbitrary: fc.constant('fail-over' as const) },
  ),
  long: fc.oneof(
    { weight: 6, arbitrary: fc.constant('OVERWRITE that reads it' as const) },
    { weight: 6, arbitrary: fc.constant('INSERT' as const) },
    { weight: 1, arbitrary: fc.constantFrom('OVERWRITE' as const, 'CTAS' as const) },
  ),
  brief: fc.oneof(
    { weight: 6, arbitrary: fc.constantFrom(...BRIEF) },
    { weight: 1, arbitrary: fc.constant('DROP' as const) },
  ),
  pick: fc.nat(),
})

/** A statement as the auditor knows it. `log` is the one of the table that it was planned with. */
interface Known {
  readonly begun: Begun
  readonly kind: Kind | 'CREATE'
  readonly log: readonly Kind[]
  /** How long that log was when it was planned, and when the worker read; null: it has not read yet. */
  planned: number
  read: number | null
  attempt: number
  overtaken: number
  ended: boolean
}

/**
 * Follows the catalog outcome by outcome, in its order: each that is done must be allowed to be by the documentation,
 * for everything that was done since it was planned or has read; and the table holds what the statements make of it one
 * after the other.
 */
class Auditor {
  readonly known = new Map<string, Known>()
  #rows: { number: number; partition: string | null }[] | null
  #partitioned: boolean
  #log: Kind[] = []
  readonly #seen = new Set<string>()
  readonly counts = { again: 0, waited: 0, done: 0, refused: 0 }

  constructor(partitioned: boolean) {
    this.#partitioned = partitioned
    this.#rows = []
  }

  get isThere(): boolean {
    return this.#rows !== null
  }

  begins(begun: Begun, kind: Kind | 'CREATE'): void {
    const log = this.#log
    const fresh = { planned: log.length, read: null, attempt: 1, overtaken: 0, ended: false }
    this.known.set(begun.queryId, { begun, kind, log, ...fresh })
  }

  reads({ queryId }: Begun): void {
    const one = this.known.get(queryId)
    if (one !== undefined) one.read = one.log.length
  }

  /** The client asks for each again, after a failover too. */
  async follow(world: TableWorld): Promise<void> {
    for (const { queryId } of world.seat.catalog.state().toData().outcomes) {
      if (this.#seen.has(queryId)) continue
      this.#seen.add(queryId)
      const one = this.known.get(queryId)
      if (one !== undefined) this.#outcome(world, one)
    }
    let waiting = false
    for (const one of this.known.values()) {
      if (!one.ended && (await this.#status(world, one))) waiting = true
    }
    holds(!waiting || [...this.known.values()].some(isHolder), 'somebody is waited for')
    const want = this.#rows?.map(({ number }) => number).sort((a, b) => a - b) ?? null
    same(world.content('t'), want, 'the table holds what was acknowledged')
  }

  /** Whether it waits for another one. */
  async #status(world: TableWorld, one: Known): Promise<boolean> {
    const { state, attempt, message, error } = await world.status(one.begun)
    let waiting = false
    if (attempt > one.attempt) {
      same(attempt, one.attempt + 1, 'an attempt after the other')
      holds(this.#verdicts(one).includes('1st again'), `${one.kind} runs again for a reason`)
      this.counts.again += 1
      one.attempt = attempt
      one.overtaken += 1
      holds(one.overtaken <= 2, 'twice at most')
      one.planned = this.#log.length
      one.read = null
    }
    if (message?.startsWith('waits for') === true) {
      this.counts.waited += 1
      waiting = true
    }
    if (state !== 'failed') return waiting
    one.ended = true
    this.counts.refused += 1
    holds(this.#mayFail(one), `${one.kind} may not fail: ${error?.message}`)
    return false
  }

  #mayFail(one: Known): boolean {
    if (one.log !== this.#log || !this.isThere) return true
    if (one.kind === 'CTAS' || one.kind === 'CREATE' || one.kind.endsWith('PARTITION')) return true
    return this.#verdicts(one).includes('1st refused')
  }

  #outcome(world: TableWorld, one: Known): void {
    const { kind, begun } = one
    if (world.seat.catalog.state().outcome(begun.queryId)?.state !== 'done') return
    for (const other of this.known.values()) {
      const isHeld = other !== one && isHolder(other) && other.log === this.#log
      holds(!isHeld || other.read === null, `${kind} is done while another one holds the table`)
    }
    one.ended = true
    this.counts.done += 1
    if (kind !== 'CTAS') {
      const verdicts = this.#verdicts(one)
      holds(
        verdicts.every((verdict) => verdict === 'both'),
        `${kind} is done in spite of ${verdicts}`,
      )
    }
    this.#apply(kind, begun.number)
    if (kind !== 'CREATE') this.#log.push(kind)
  }

  /** What the documentation says of it and of all that was done meanwhile. */
  #verdicts(one: Known): Verdict[] {
    const { kind, log, planned } = one
    if (kind === 'CREATE' || !isLong(kind)) return []
    const from = Math.max(planned, one.read ?? planned)
    // Columns and identity are those of the plan, rows are those of the reading.
    return log.flatMap((change, at) =>
      at >= (change === 'ALTER' || change === 'DROP' ? planned : from)
        ? [verdictOf(kind, change)]
        : [],
    )
  }

  #apply(kind: Kind | 'CREATE', number: number): void {
    const rows = this.#rows ?? []
    const own = { number, partition: this.#partitioned ? 'a' : null }
    const others = rows.filter(({ partition }) => this.#partitioned && partition !== 'a')
    switch (kind) {
      case 'INSERT':
      case 'OVERWRITE that reads it':
        this.#rows = [...rows, own]
        break
      case 'OVERWRITE':
        this.#rows = [...others, own]
        break
      case 'DROP PARTITION':
        this.#rows = others
        break
      case 'ADD PARTITION':
        this.#rows = [...rows, { number: 0, partition: 'n' }]
        break
      case 'TRUNCATE':
        this.#rows = []
        break
      case 'DROP':
        this.#rows = null
        break
      case 'CTAS':
      case 'CREATE':
        this.#partitioned = false
        this.#rows = kind === 'CTAS' ? [{ number, partition: null }] : []
        this.#log = []
        break
      case 'ALTER':
        break
    }
  }
}

const isHolder = ({ overtaken, ended }: Known): boolean => overtaken >= 2 && !ended

function holds(condition: boolean, what: string): void {
  if (!condition) throw new Error(`not so: ${what}`)
}

const same = (found: unknown, wanted: unknown, what: string): void => {
  const [one, two] = [JSON.stringify(found), JSON.stringify(wanted)]
  if (one !== two) throw new Error(`${what}: ${one} instead of ${two}`)
}

t.test(
  'at random: each goes as the documentation says, and no row is lost or doubled',
  async (t) => {
    const counts = { again: 0, waited: 0, done: 0, refused: 0 }
    const steps = fc.array(step, { minLength: 20, maxLength: 60 })
    await fc.assert(
      fc.asyncProperty(fc.boolean(), steps, async (partitioned, steps) => {
        const world = await TableWorld.begin(t, { writeWaitMs: 1e9 })
        await withTables(world, partitioned ? PARTED : PLAIN)
        const auditor = new Auditor(partitioned)
        for (const one of steps) {
          await take(world, auditor, one)
          await auditor.follow(world)
        }
        // What is under way comes to its end.
        for (let turn = 0; [...auditor.known.values()].some(({ ended }) => !ended); turn++) {
          if (turn > 20)
            throw new Error(
              `never at an end: ${JSON.stringify([...auditor.known.values()].filter(({ ended }) => !ended))}`,
            )
          const open = [...auditor.known.values()].filter(({ ended }) => !ended)
          // What the worker is not needed for may still look at files.
          if (open.every(({ begun }) => world.has(begun) === 'nothing')) {
            for (const { begun } of open) await world.ended(begun)
          }
          for (const { begun } of [...auditor.known.values()].filter(({ ended }) => !ended)) {
            await work(world, auditor, begun)
            await auditor.follow(world)
          }
        }
        for (const name of Object.keys(counts) as (keyof typeof counts)[]) {
          counts[name] += auditor.counts[name]
        }
      }),
      { numRuns: 50, endOnFailure: true },
    )
    t.comment(JSON.stringify(counts))
    for (const [name, count] of Object.entries(counts)) t.ok(count > 0, `${name}: ${count}`)
  },
)

async function take(world: TableWorld, auditor: Auditor, one: Step): Promise<void> {
  const open = [...auditor.known.values()].filter(({ ended }) => !ended)
  switch (one.do) {
    case 'begin':
    case 'brief': {
      if (open.length > 6) return
      const kind = one.do === 'begin' ? one.long : one.brief
      const begun = await world.begin(sqlOf(kind, world, auditor.known.size))
      auditor.begins(begun, kind)
      return
    }
    case 'create':
      if (!auditor.isThere) auditor.begins(await world.begin(PLAIN), 'CREATE')
      return
    case 'work': {
      const { begun } = open[one.pick % Math.max(1, open.length)] ?? {}
      if (begun !== undefined) await work(world, auditor, begun)
      return
    }
    case 'fail-over':
      await world.failOver()
  }
}

/** Its worker goes on with it, if it has it. */
async function work(world: TableWorld, auditor: Auditor, begun: Begun): Promise<void> {
  const has = world.has(begun)
  if (has === 'to read') {
    world.read(begun)
    auditor.reads(begun)
  } else if (has === 'to finish') await world.finish(begun)
}

// ---- renames at random -------------------------------------------------------------------------------------------

interface NameStep {
  readonly do: 'overwrite' | 'insert' | 'swap' | 'rename' | 'work'
  readonly name: 't' | 'u'
  readonly pick: number
}

const nameStep: fc.Arbitrary<NameStep> = fc.record({
  do: fc.oneof(
    { weight: 4, arbitrary: fc.constantFrom('overwrite' as const, 'insert' as const) },
    { weight: 2, arbitrary: fc.constantFrom('swap' as const, 'rename' as const) },
    { weight: 6, arbitrary: fc.constant('work' as const) },
  ),
  name: fc.constantFrom('t' as const, 'u' as const),
  pick: fc.nat(),
})

t.test(
  'at random: tables are renamed and swapped, and each change goes to those it named',
  async (t) => {
    const counts = { again: 0, renamed: 0 }
    await fc.assert(
      fc.asyncProperty(fc.array(nameStep, { minLength: 20, maxLength: 50 }), async (steps) => {
        const world = await TableWorld.begin(t, { writeWaitMs: 1e9 })
        await withTables(world)
        // Each adds its own number to the table that it named, and nothing else is ever lost there.
        const targets = new Map<Begun, number>()
        const open = new Set<Begun>()
        for (const { do: what, name, pick } of steps) {
          if (what === 'work') await goOn([...open][pick % Math.max(1, open.size)])
          else if (what === 'swap') await renameAll([`t to x${pick}`, 'u to t', `x${pick} to u`])
          // Somebody is at work under the new name, too, before it has its old one again.
          else if (what === 'rename') await renameAll([`${name} to y`, `y to ${name}`])
          else if (open.size < 6) await submit(what, name)
        }
        while (open.size > 0) for (const begun of [...open]) await goOn(begun)
        const tables = [...(world.seat.catalog.state().tablesOf('default') ?? [])]
        for (const table of tables) {
          const named = [...targets].filter(([, id]) => id === table.id)
          const want = named.map(([{ number }]) => number).sort((a, b) => a - b)
          same(world.content(table.name), want, `table ${table.id}, called ${table.name} now`)
        }

        async function submit(what: 'overwrite' | 'insert', name: string): Promise<void> {
          const table = world.seat.catalog.state().find('default', name)
          if (table === null) return
          const other = name === 't' ? 'u' : 't'
          const begun = await world.begin(
            what === 'insert'
              ? `insert into ${name} select a, b from ${other}`
              : `insert overwrite into ${name} select a, b from ${name}`,
          )
          targets.set(begun, table.id)
          open.add(begun)
        }
        // One that would wait for a third run leaves the rest undone, as an operator would.
        async function renameAll(all: readonly string[]): Promise<void> {
          for (const one of all) {
            const begun = await world.begin(`alter table ${one.replace(' to', ' rename to')}`)
            for (let turn = 0; (await world.status(begun)).state === 'running'; turn++) {
              if (turn > 50) throw new Error(`${one} waits for ever`)
              for (const each of [...open]) await goOn(each)
            }
            if ((await world.status(begun)).state === 'failed') return
            counts.renamed += 1
          }
        }
        async function goOn(begun: Begun | undefined): Promise<void> {
          if (begun === undefined) return
          const has = world.has(begun)
          if (has === 'to read') world.read(begun)
          else if (has === 'to finish') await world.finish(begun)
          const { state, attempt, error } = await world.status(begun)
          if (state === 'failed') throw new Error(`${begun.sql}: ${error?.message}`)
          if (state !== 'succeeded') return
          open.delete(begun)
          if (attempt > 1) counts.again += 1
        }
      }),
      { numRuns: 50, endOnFailure: true },
    )
    t.comment(JSON.stringify(counts))
    for (const [name, count] of Object.entries(counts)) t.ok(count > 0, `${name}: ${count}`)
  },
)
