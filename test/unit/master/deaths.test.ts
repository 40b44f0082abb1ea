/**
 * A worker dies under a change: whether that runs again on another one rests on what the death is explained by, and
 * however often it is begun, it is done once.
 */

import { mkdirSync, readdirSync } from 'node:fs'
import { basename } from 'node:path'
import t, { type Test } from 'tap'
import { administrator } from '../../../lib/access/index.ts'
import type { QueryStatus, Task, WorkerInfo } from '../../../lib/contract/index.ts'
import { deathOf, type Evidence, type Sign } from '../../../lib/master/queries/run/deaths.ts'
import { signOf } from '../../../lib/master/queries/run/worker-calls.ts'
import { givenUpOf, successOf } from '../../../lib/master/queries/run/write-end.ts'
import { RpcError } from '../../../lib/rpc/index.ts'
import { settle } from '../../support/hand-clock.ts'
import { ID, manifestOf, reportOf, type Seat, Terms, workerAt } from '../../support/query-terms.ts'
import { until } from '../../support/until.ts'

const session = { database: 'default', user: 'me', variables: {} }
let lastId = 0
const submit = ({ term }: Seat, sql: string, queryId = ID(++lastId)): Promise<QueryStatus> =>
  term.client.submit({ queryId, attempt: 1, sql, session }, administrator('me'))
const ask = ({ term }: Seat, { queryId }: { queryId: string }) =>
  term.client.wait(
    { queryId, state: 'running', attempt: 1, worker: null, waitMs: 0 },
    administrator('me'),
  )
const register = (
  { term }: Seat,
  worker: WorkerInfo,
  tasks: { task: Task; report: ReturnType<typeof reportOf> }[] = [],
  oomKills = 0,
) => term.tracker.register({ worker, tasks, oomKills })
const beat = (
  { term }: Seat,
  { workerId, incarnation }: WorkerInfo,
  reports: ReturnType<typeof reportOf>[] = [],
  more: { storage?: string; oomKills?: number } = {},
) => term.tracker.heartbeat({ workerId, incarnation, freeSlots: 2, reports, ...more })
const ran = ({ calls }: Seat, queryId: string): string[] =>
  calls.ran
    .filter(({ task }) => task.queryId === queryId)
    .map(({ workerId, task }) => `${task.attempt} ${workerId}`)
const taskOf = ({ calls }: Seat, queryId: string): Task => {
  const found = calls.ran.findLast(({ task }) => task.queryId === queryId)
  if (found === undefined) throw new Error(`${queryId} was never run`)
  return found.task
}
const lost = { state: 'failed', error: { kind: 'lost' } } as const
const ALONE = /^worker w1:28091 died alone under this query \(.+\), so no other one is given it/

/** It runs on w1, and w2 comes after it was given. */
async function begun(
  t: Test,
  { sql = 'insert into t select 1', worker = workerAt(1), litterGraceMs = 1e9 } = {},
): Promise<{ terms: Terms; seat: Seat; write: QueryStatus; task: Task }> {
  const terms = new Terms(t, { litterGraceMs })
  const seat = await terms.begin()
  await submit(seat, 'create table t (a int4)')
  register(seat, worker)
  const write = await submit(seat, sql)
  t.equal(write.state, 'running')
  register(seat, workerAt(2))
  return { terms, seat, write, task: taskOf(seat, write.queryId) }
}

/** w1 is silent for so long that it is lost; w2 reports all the time. */
async function loseFirst(terms: Terms, seat: Seat): Promise<void> {
  for (let i = 0; i < 8; i += 1) {
    await terms.clock.advance(1000)
    beat(
      seat,
      workerAt(2),
      [...seat.term.list.onWorker('w2:28091')].flatMap(({ task }) =>
        task === null ? [] : [reportOf(task, 'running')],
      ),
    )
  }
}

/** Its worker has written everything; tells what may be forgotten. */
async function finish(seat: Seat, worker: WorkerInfo, task: Task): Promise<readonly string[]> {
  const { forget } = beat(seat, worker, [reportOf(task, 'succeeded')])
  await settle()
  return forget
}

const filesOf = ({ catalog }: Seat, table = 't'): number | undefined =>
  catalog.state().find('default', table)?.files.length

t.test('what a death is explained by', async (t) => {
  const nothing: Evidence = {
    sign: { is: 'refused' },
    worker: { storage: null, oomKills: 4 },
    network: 'boot-1',
    ended: null,
    beside: { all: 0, silent: 0 },
  }
  const cases: [string, Partial<Evidence>, boolean, RegExp][] = [
    ['its process is gone and its host lives', {}, false, /^died alone/],
    ['its host gives no answer', { sign: { is: 'unreachable' } }, true, /host does not answer/],
    ['it hangs', { sign: { is: 'mute' } }, false, /^hangs alone/],
    ['it lives', { sign: { is: 'lives' } }, true, /reports do not arrive/],
    ['started anew', { sign: { is: 'anew', network: 'boot-1' } }, false, /^died alone/],
    ['with its host', { sign: { is: 'anew', network: 'boot-2' } }, true, /host was started anew/],
    [
      'started anew, of an older state',
      { sign: { is: 'anew', network: undefined } },
      false,
      /alone/,
    ],
    ['its mount', { worker: { storage: '/d hangs', oomKills: 4 } }, true, /mount was: \/d hangs/],
    ['all of its host', { beside: { all: 2, silent: 2 } }, true, /with all 3 workers of its host/],
    ['some of its host', { beside: { all: 2, silent: 1 } }, false, /alone/],
    ['killed', { ended: { code: 137, oomKills: 4 } }, true, /^was killed \(SIGKILL\)$/],
    [
      'out of memory',
      { ended: { code: 137, oomKills: 5 } },
      false,
      /kernel, which was out of memory/,
    ],
    ['nobody counts', { ended: { code: 137, oomKills: null } }, false, /is not known/],
    [
      'killed, and what was counted before is not known',
      { ended: { code: 137, oomKills: 4 }, worker: null },
      false,
      /is not known/,
    ],
    [
      'killed, and nobody was for want of memory since its start',
      { ended: { code: 137, oomKills: 4, oomKillsBefore: 4 }, worker: null },
      true,
      /SIGKILL/,
    ],
    ['stopped by force', { ended: { code: 143, oomKills: 4 } }, true, /^was ended by SIGTERM$/],
    ['a crash', { ended: { code: 139, oomKills: 4 } }, false, /\(of SIGSEGV\)/],
    ['an abort', { ended: { code: 134, oomKills: 4 } }, false, /\(of SIGABRT\)/],
    ['an error', { ended: { code: 1, oomKills: 4 } }, false, /\(exit code 1\)/],
    [
      'a crash beside others',
      { ended: { code: 139, oomKills: 4 }, beside: { all: 1, silent: 1 } },
      false,
      /SIGSEGV/,
    ],
  ]
  for (const [name, evidence, explained, why] of cases) {
    t.match(deathOf({ ...nothing, ...evidence }), { explained, why }, name)
  }
})

t.test('what an address says that does not answer', async (t) => {
  const unavailable = (code: string): Sign =>
    signOf(new RpcError('UNAVAILABLE', 'x', { cause: { code } }))
  t.same(unavailable('ECONNREFUSED'), { is: 'refused' })
  for (const code of ['EHOSTUNREACH', 'ENETUNREACH', 'UND_ERR_CONNECT_TIMEOUT', 'EHOSTDOWN']) {
    t.same(unavailable(code), { is: 'unreachable' }, code)
  }
  t.same(unavailable('ECONNRESET'), { is: 'refused' }, 'a host that lives says so')
  t.same(signOf(new RpcError('TIMEOUT', 'x')), { is: 'mute' })
  t.same(signOf(new RpcError('OTHER_CLUSTER', 'x')), { is: 'refused' })
})

t.test(
  'its host died: the change runs again on another worker, once, and is done once',
  async (t) => {
    const { terms, seat, write, task } = await begun(t)
    seat.calls.signOf = () => ({ is: 'unreachable' })
    await loseFirst(terms, seat)
    t.same(ran(seat, write.queryId), ['1 w1:28091', '2 w2:28091'])
    const why = 'worker w1:28091 is lost: its host does not answer'
    t.match(await ask(seat, write), {
      state: 'running',
      attempt: 2,
      message: `${why}: it runs again on another one`,
    })
    t.ok(
      seat.catalog
        .state()
        .litter()
        .some(({ path }) => path === task.write?.directory),
    )
    t.same(
      register(seat, workerAt(1), [{ task, report: reportOf(task, 'succeeded') }]).forget,
      [write.queryId],
      'the first one lives after all, and comes too late',
    )
    t.equal(filesOf(seat), 0)
    const second = taskOf(seat, write.queryId)
    t.not(second.write?.directory, task.write?.directory)
    await finish(seat, workerAt(2), second)
    t.match(await ask(seat, write), { state: 'succeeded', message: 'INSERT 3', attempt: 2 })
    t.equal(filesOf(seat), 1)
    const record = seat.term.records().find(({ queryId }) => queryId === write.queryId)
    t.match(record, { attempt: 2, failures: [{ attempt: 1, worker: 'w1:28091', why }] })
  },
)

t.test('the second death ends it, whatever explains that', async (t) => {
  const { terms, seat, write } = await begun(t)
  seat.calls.signOf = () => ({ is: 'unreachable' })
  await loseFirst(terms, seat)
  t.match(await ask(seat, write), { state: 'running', attempt: 2 })
  register(seat, workerAt(3))
  await terms.clock.advance(7000)
  t.same(ran(seat, write.queryId), ['1 w1:28091', '2 w2:28091'], 'no third worker')
  t.match(await ask(seat, write), {
    ...lost,
    error: {
      message:
        /^worker w2:28091 .+, as did that of attempt 1; nothing was changed; submit it again$/,
    },
  })
})

t.test('a worker that died alone under it ends it with that word', async (t) => {
  const { terms, seat, write, task } = await begun(t)
  await loseFirst(terms, seat)
  t.same(ran(seat, write.queryId), ['1 w1:28091'], 'nobody else is given it')
  t.match(await ask(seat, write), { ...lost, error: { message: ALONE } })
  t.match(seat.catalog.state().outcome(write.queryId), { state: 'failed', kind: 'lost' })
  const late = register(seat, workerAt(1), [{ task, report: reportOf(task, 'succeeded') }])
  t.same(late.forget, [write.queryId])
  t.equal(filesOf(seat), 0)
})

t.test('a kill is told by whoever had started the worker: at once, and only that', async (t) => {
  const watched = { ...workerAt(1), watched: true }
  const end = (seat: Seat, code: number, oomKills: number | null = 0) =>
    seat.term.tracker.ended({ workerId: 'w1:28091', incarnation: 'a', code, oomKills })

  await t.test('before the silence of its worker was long enough', async (t) => {
    const { seat, write } = await begun(t, { worker: watched })
    end(seat, 137)
    await settle()
    t.same(ran(seat, write.queryId), ['1 w1:28091', '2 w2:28091'])
    t.match(await ask(seat, write), { message: /^worker w1:28091 was killed \(SIGKILL\): / })
  })
  await t.test('after it: nothing is decided before', async (t) => {
    const { terms, seat, write } = await begun(t, { worker: watched })
    await loseFirst(terms, seat)
    t.match(await ask(seat, write), { state: 'running', attempt: 1 })
    end(seat, 137)
    await settle()
    t.same(ran(seat, write.queryId), ['1 w1:28091', '2 w2:28091'])
  })
  await t.test('nobody tells in time', async (t) => {
    const { terms, seat, write } = await begun(t, { worker: watched })
    await loseFirst(terms, seat)
    await loseFirst(terms, seat)
    t.match(await ask(seat, write), { ...lost, error: { message: ALONE } })
  })
  await t.test('the kernel was out of memory', async (t) => {
    const { seat, write, task } = await begun(t, { worker: watched })
    beat(seat, watched, [reportOf(task, 'running')], { oomKills: 7 })
    end(seat, 137, 8)
    await settle()
    t.match(await ask(seat, write), { ...lost, error: { message: /out of memory/ } })
    t.same(ran(seat, write.queryId), ['1 w1:28091'])
  })
  await t.test('a crash', async (t) => {
    const { seat, write } = await begun(t, { worker: watched })
    end(seat, 134)
    await settle()
    t.match(await ask(seat, write), { ...lost, error: { message: /\(of SIGABRT\)/ } })
    t.same(ran(seat, write.queryId), ['1 w1:28091'])
  })
  await t.test('the next one under its name has registered before', async (t) => {
    const { seat, write } = await begun(t, { worker: watched })
    register(seat, { ...workerAt(1, 2, 'b'), watched: true })
    await settle()
    t.match(await ask(seat, write), { state: 'running', attempt: 1 })
    end(seat, 137)
    await settle()
    t.match(await ask(seat, write), { state: 'running', attempt: 2 })
  })
})

t.test('its mount was away, or its worker was stopped, or its host started anew', async (t) => {
  await t.test('the mount', async (t) => {
    const { terms, seat, write, task } = await begun(t)
    beat(seat, workerAt(1), [reportOf(task, 'running')], { storage: '/d has not answered' })
    await loseFirst(terms, seat)
    t.match(await ask(seat, write), { attempt: 2, message: /mount was: \/d has not answered/ })
  })
  await t.test('stopped', async (t) => {
    const { seat, write, task } = await begun(t)
    const error = {
      kind: 'lost',
      message: 'the worker that ran it was stopped',
      place: null,
    } as const
    t.same(beat(seat, workerAt(1), [reportOf(task, 'failed', { error, stopped: true })]).forget, [])
    await settle()
    t.same(ran(seat, write.queryId).length, 2)
    t.match(await ask(seat, write), { attempt: 2, message: /^worker w1:28091 was stopped: / })
    const second = taskOf(seat, write.queryId)
    const [place] = ran(seat, write.queryId).slice(-1)
    const by = workerAt(place?.endsWith('w2:28091') ? 2 : 1)
    beat(seat, by, [reportOf(second, 'failed', { error, stopped: true })])
    await settle()
    t.match(await ask(seat, write), lost, 'once')
  })
  await t.test('the host', async (t) => {
    const { seat, write } = await begun(t, { worker: { ...workerAt(1), network: 'boot-1' } })
    register(seat, { ...workerAt(1, 2, 'b'), network: 'boot-2' })
    await settle()
    t.match(await ask(seat, write), { attempt: 2, message: /its host was started anew/ })
  })
  await t.test('the process alone', async (t) => {
    const { seat, write } = await begun(t, { worker: { ...workerAt(1), network: 'boot-1' } })
    register(seat, { ...workerAt(1, 2, 'b'), network: 'boot-1' })
    await settle()
    t.match(await ask(seat, write), { ...lost, error: { message: ALONE } })
  })
})

t.test(
  'all workers of a host whose streams break in one moment died of something else',
  async (t) => {
    const beside = { ...workerAt(3), host: 'w1' }
    const later = async (pauseMs: number): Promise<{ seat: Seat; write: QueryStatus }> => {
      const { terms, seat, write } = await begun(t)
      register(seat, beside)
      const open = (worker: WorkerInfo) => {
        let close = (): void => {}
        const writer = { send() {}, end() {}, onClose: (done: () => void) => (close = done) }
        seat.term.tracker.follow(worker, writer as never)
        return () => close()
      }
      const [first, second] = [open(workerAt(1)), open(beside)]
      first()
      await terms.clock.advance(pauseMs)
      second()
      await terms.clock.advance(5000)
      return { seat, write }
    }
    const together = await later(0)
    t.match(await ask(together.seat, together.write), { attempt: 2, message: /all 2 workers/ })
    const apart = await later(1500)
    t.match(await ask(apart.seat, apart.write), { ...lost, error: { message: ALONE } })
  },
)

t.test('a worker that is back before that is decided goes on', async (t) => {
  const { terms, seat, write, task } = await begun(t)
  let say = (_sign: Sign): void => {}
  seat.calls.signOf = () =>
    new Promise<Sign>((resolve) => {
      say = resolve
    })
  await loseFirst(terms, seat)
  register(seat, workerAt(1), [{ task, report: reportOf(task, 'running') }])
  say({ is: 'unreachable' })
  await settle()
  t.match(await ask(seat, write), { state: 'running', attempt: 1 })
  await finish(seat, workerAt(1), task)
  t.match(await ask(seat, write), { state: 'succeeded', attempt: 1 })
  t.equal(filesOf(seat), 1)
})

t.test('CREATE TABLE AS moves too, and keeps its table’s directory', async (t) => {
  const sql = 'create table c as select 1 a'
  const { terms, seat, write, task } = await begun(t, { sql, litterGraceMs: 0 })
  seat.calls.signOf = () => ({ is: 'unreachable' })
  await loseFirst(terms, seat)
  const second = taskOf(seat, write.queryId)
  t.equal(second.write?.base, task.write?.base)
  for (const one of [task, second]) mkdirSync(one.write?.directory ?? '', { recursive: true })
  await finish(seat, workerAt(2), second)
  t.match(await ask(seat, write), { state: 'succeeded', message: 'CREATE TABLE 3' })
  await new Promise((resolve) => setTimeout(resolve, 5))
  await seat.term.sweeper.sweep()
  t.same(readdirSync(second.write?.base ?? ''), [basename(second.write?.directory ?? '')])
})

t.test('one that another one has made meanwhile is there already', async (t) => {
  const { terms, seat, write } = await begun(t, {
    sql: 'create table if not exists c as select 1 a',
  })
  await submit(seat, 'create table c (a int4)')
  seat.calls.signOf = () => ({ is: 'unreachable' })
  await loseFirst(terms, seat)
  t.match(await ask(seat, write), {
    state: 'succeeded',
    message: 'CREATE TABLE: it exists already',
  })
})

t.test('the next master knows which attempt was given up', async (t) => {
  const { terms, seat, write, task } = await begun(t)
  seat.calls.signOf = () => ({ is: 'unreachable' })
  await loseFirst(terms, seat)
  await seat.end()
  const fresh = await terms.begin()
  const done = reportOf(task, 'succeeded')
  t.same(
    register(fresh, workerAt(1), [{ task, report: done }]).forget,
    [write.queryId],
    'the first worker comes with it before anybody else',
  )
  await settle()
  t.equal(filesOf(fresh), 0)
  const again = await submit(fresh, 'insert into t select 1', write.queryId)
  t.match(again, { state: 'running', attempt: 2 }, 'its client submits what nobody has heard of')
  t.match(fresh.term.records().at(-1), { failures: [{ attempt: 1, why: /w1:28091 is lost/ }] })
  fresh.calls.signOf = () => ({ is: 'unreachable' })
  await terms.clock.advance(20_000)
  t.match(await ask(fresh, write), { ...lost, error: { message: /as did that of attempt 1/ } })
})

t.test('a second attempt that outlives its master is adopted, and not begun again', async (t) => {
  const { terms, seat, write } = await begun(t)
  seat.calls.signOf = () => ({ is: 'unreachable' })
  await loseFirst(terms, seat)
  const second = taskOf(seat, write.queryId)
  await seat.end()
  const fresh = await terms.begin()
  register(fresh, workerAt(2), [{ task: second, report: reportOf(second, 'succeeded') }])
  await settle()
  t.match(await ask(fresh, write), { state: 'succeeded' })
  t.equal(filesOf(fresh), 1)
})

t.test('master and worker die with their host: the client submits it again', async (t) => {
  const { terms, seat, write, task } = await begun(t)
  await until('the log is written', async () => (await terms.history().newest(10)).length >= 2)
  await seat.end()
  const fresh = await terms.begin()
  fresh.calls.signOf = () => ({ is: 'unreachable' })
  register(fresh, workerAt(2))
  await until('it is known', () => fresh.term.list.get(write.queryId) !== null)
  for (let i = 0; i < 12; i += 1) {
    await terms.clock.advance(1000)
    beat(fresh, workerAt(2))
  }
  t.equal(
    await ask(fresh, write),
    null,
    'unknown: its client has the statement, this master has not',
  )
  const again = await submit(fresh, 'insert into t select 1', write.queryId)
  t.match(again, { state: 'running', attempt: 2 })
  const back = register(fresh, workerAt(1), [{ task, report: reportOf(task, 'succeeded') }])
  t.same(back.forget, [write.queryId])
  await finish(fresh, workerAt(2), taskOf(fresh, write.queryId))
  t.match(await ask(fresh, write), { state: 'succeeded' })
  t.equal(filesOf(fresh), 1)
})

/** A read whose workers die one after the other, each as `end` says; a client asks again and again. */
async function readOf(
  t: Test,
  { watched = true, workers = 3 } = {},
): Promise<{
  seat: Seat
  terms: Terms
  attempt: (n: number) => Promise<QueryStatus>
  end: (n: number, code: number, oomKills?: number) => Promise<void>
  task: () => Task
}> {
  const terms = new Terms(t)
  const seat = await terms.begin()
  const read = ID(++lastId)
  const ended = new Set<string>()
  seat.calls.signOf = ({ incarnation }) => ({ is: ended.has(incarnation) ? 'refused' : 'lives' })
  for (let n = 1; n <= workers; n += 1) register(seat, { ...workerAt(n, 2, `i${n}`), watched })
  const attempt = (attempt: number): Promise<QueryStatus> =>
    seat.term.client.submit(
      { queryId: read, attempt, sql: 'select 1', session },
      administrator('me'),
    )
  return {
    seat,
    terms,
    attempt,
    end: async (n, code, oomKills = 0) => {
      ended.add(`i${n}`)
      const told = { workerId: `w${n}:28091`, incarnation: `i${n}`, code, oomKills }
      seat.term.tracker.ended(told)
      await settle()
    },
    task: () => taskOf(seat, read),
  }
}
const CRASHED =
  'worker w1:28091 died alone under this query (of SIGSEGV), so no other one is given it by itself'

t.test('a read that ends its worker is given to no other one', async (t) => {
  const { seat, attempt, end } = await readOf(t)
  const first = await attempt(1)
  t.match(first, { state: 'running', attempt: 1 })
  await end(1, 139)
  t.match(await ask(seat, first), lost, 'its client may ask for the next')
  const second = await attempt(2)
  const refused = { kind: 'refused', message: CRASHED } as const
  t.match(second, { state: 'failed', kind: 'select', error: refused })
  t.same(ran(seat, first.queryId), ['1 w1:28091'])
  t.match(await attempt(3), { error: refused }, 'and stays so')
})

t.test('its client knows of the death before its master does', async (t) => {
  const { seat, terms, attempt, end } = await readOf(t)
  const first = await attempt(1)
  seat.calls.signOf = () => ({ is: 'refused' })
  const second = attempt(2)
  await settle()
  t.same(ran(seat, first.queryId), ['1 w1:28091'], 'nothing is decided yet')
  await end(1, 139)
  await terms.clock.advance(100)
  t.match(await second, { error: { kind: 'refused', message: CRASHED } })
})

t.test('a read goes on where something else ended its worker', async (t) => {
  await t.test('kills, one after the other', async (t) => {
    const { seat, attempt, end } = await readOf(t)
    const { queryId } = await attempt(1)
    await end(1, 137)
    t.match(await attempt(2), { state: 'running', attempt: 2 })
    await end(2, 137)
    t.match(await attempt(3), { state: 'running', attempt: 3 })
    t.same(ran(seat, queryId), ['1 w1:28091', '2 w2:28091', '3 w3:28091'])
  })
  await t.test('it lives, and its client has lost it', async (t) => {
    const { attempt } = await readOf(t)
    await attempt(1)
    t.match(await attempt(2), { state: 'running', attempt: 2 })
  })
  await t.test('it was stopped in order', async (t) => {
    const { seat, attempt, end, task } = await readOf(t)
    await attempt(1)
    const message = 'the worker that ran it was stopped'
    const error = { kind: 'lost', message, place: null } as const
    beat(seat, workerAt(1, 2, 'i1'), [reportOf(task(), 'failed', { error, stopped: true })])
    await end(1, 0)
    t.match(await attempt(2), { state: 'running', attempt: 2 })
  })
})

t.test('of a worker whose end nobody saw a read is given to one more', async (t) => {
  const { seat, terms, attempt } = await readOf(t, { watched: false })
  const { queryId } = await attempt(1)
  const die = async (n: number): Promise<void> => {
    seat.calls.signOf = () => ({ is: 'refused' })
    for (let i = 0; i < 8; i += 1) {
      await terms.clock.advance(1000)
      for (let other = n + 1; other <= 3; other += 1) beat(seat, workerAt(other, 2, `i${other}`))
    }
  }
  await die(1)
  t.match(await attempt(2), { state: 'running', attempt: 2 })
  await die(2)
  t.match(await attempt(3), {
    error: {
      kind: 'refused',
      message: /^worker w2.+ died alone .+, as did worker w1:28091 before$/,
    },
  })
  t.same(ran(seat, queryId), ['1 w1:28091', '2 w2:28091'])
})

t.test('a change whose client is gone does not run again', async (t) => {
  const { terms, seat, write } = await begun(t)
  seat.calls.signOf = () => ({ is: 'unreachable' })
  for (let i = 0; i < 8; i += 1) {
    await terms.clock.advance(1000)
    const running = i < 6 ? [workerAt(1), workerAt(2)] : [workerAt(2)]
    for (const one of running) {
      beat(
        seat,
        one,
        one.workerId === 'w1:28091' ? [reportOf(taskOf(seat, write.queryId), 'running')] : [],
      )
    }
  }
  await loseFirst(terms, seat)
  t.same(ran(seat, write.queryId), ['1 w1:28091'])
  t.match(await ask(seat, write), {
    ...lost,
    error: {
      message:
        /host does not answer, and its client is gone, so no other one is given it; nothing was changed/,
    },
  })
})

t.test('a kill is told after a failover: it is not waited for any longer', async (t) => {
  const { terms, seat, write } = await begun(t)
  await until('the log is written', async () => (await terms.history().newest(10)).length >= 2)
  await seat.end()
  const fresh = await terms.begin()
  await until('it is known', () => fresh.term.list.get(write.queryId) !== null)
  const end = { workerId: 'w1:28091', incarnation: 'a', code: 137, oomKills: 3 }
  fresh.term.tracker.ended({ ...end, oomKillsBefore: 3 })
  await settle()
  await terms.clock.advance(2100)
  t.equal(await ask(fresh, write), null)
  t.match(await submit(fresh, 'insert into t select 1', write.queryId), { attempt: 2 })
})

t.test('no transaction applies an attempt that was given up', async (t) => {
  const { seat, task } = await begun(t)
  const { queryId, attempt } = task
  const by = { by: 'm', atMs: 1 }
  await seat.catalog.transact((state) =>
    givenUpOf(state, { queryId, attempt, message: 'why', task }, by),
  )
  const state = seat.catalog.state()
  t.throws(() => successOf(state, task, manifestOf(task), by), { code: 'CONFLICT' })
  const next = { ...task, attempt: attempt + 1 }
  t.ok(successOf(state, next, manifestOf(next), by).outcome)
})

t.test('what runs on a worker whose mount hangs goes to another one, once', async (t) => {
  const { terms, seat, write, task } = await begun(t)
  const other = workerAt(2)
  beat(seat, other, [], { storage: 'hangs' })
  const read = await submit(seat, 'select 1')
  t.same(ran(seat, read.queryId), ['1 w1:28091'])
  const running = [task, taskOf(seat, read.queryId)].map((one) => reportOf(one, 'running'))
  const pass = async (ms: number, others: { storage?: string }) => {
    for (let at = 0; at < ms; at += 1000) {
      await terms.clock.advance(1000)
      beat(seat, workerAt(1), running, { storage: 'its mount hangs' })
      beat(seat, other, [], others)
    }
    await settle()
  }
  await pass(30_000, { storage: 'hangs' })
  t.match(await ask(seat, write), { state: 'running', attempt: 1 }, 'no other one could go on')
  await pass(9000, {})
  t.match(await ask(seat, write), { state: 'running', attempt: 1 }, 'it may be back soon as well')
  await pass(3000, {})
  t.match(await ask(seat, read), lost)
  t.same(ran(seat, write.queryId), ['1 w1:28091', '2 w2:28091'])
  t.same([...seat.calls.killed].sort(), [write.queryId, read.queryId].sort())
  const second = taskOf(seat, write.queryId)
  beat(seat, workerAt(1), [reportOf(task, 'succeeded')])
  await settle()
  t.match(await ask(seat, write), { state: 'running', attempt: 2 }, 'too late')
  beat(seat, other, [reportOf(second, 'succeeded')])
  await settle()
  await terms.clock.advance(0)
  t.match(await ask(seat, write), { state: 'succeeded', attempt: 2 })
  const files = seat.catalog.state().find('default', 't')?.files ?? []
  t.same(
    files.map(({ path }) => path),
    manifestOf(second).files.map(({ path }) => path),
  )
})
