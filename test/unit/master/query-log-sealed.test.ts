/**
 * The query log where nobody may read a file that still grows: HDFS's NFS gateway gives a file that was read while it was
 * shorter only so far, until it is restarted. Each host has such a gateway here, over one real directory.
 */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { systemClock } from '../../../lib/base/time.ts'
import { FileError, openFiles } from '../../../lib/catalog/shared/files.ts'
import type { QueryHistory } from '../../../lib/master/queries/run/query-history.ts'
import { type LogLine, logName, QueryLog } from '../../../lib/master/queries/run/query-log.ts'
import { type Gateway, gatewayReads } from '../../support/gateway-files.ts'
import { longestTurn } from '../../support/longest-turn.ts'
import { ID, servicesOf, Terms } from '../../support/query-terms.ts'
import { until } from '../../support/until.ts'

const BEGAN_MS = Date.now()
const MINUTE_MS = 60_000

const lineOf = (n: number, epoch: number, state: LogLine['query']['state']): LogLine => ({
  query: {
    ...{ queryId: ID(n), attempt: 1, sql: `select ${n}`, user: 'me', database: 'default' },
    ...{ kind: 'select', state, submittedMs: BEGAN_MS + n, startedMs: null, finishedMs: null },
    ...{ progress: 0, rows: null, message: null, error: null, worker: null },
    ...{ master: 'm:1', epoch },
  },
  spot: null,
})

interface Host {
  readonly history: QueryHistory
  readonly gateway: Gateway
  /** Paths that were asked for. */
  readonly reads: string[]
  readonly said: string[]
}

function hostOf(terms: Terms): Host {
  const gateway: Gateway = new Map()
  const [reads, said]: [string[], string[]] = [[], []]
  const inner = openFiles(terms.options.logDirectory)
  const disk = gatewayReads(inner, gateway, (path) => reads.push(path))
  const log = (_level: string, text: string): void => void said.push(text)
  return { history: terms.history({ disk, log }), gateway, reads, said }
}

const logOf = (terms: Terms, { history }: Host, term: number, partBytes = 1e6): QueryLog =>
  new QueryLog({
    directory: terms.options.logDirectory,
    term,
    clock: systemClock,
    log: () => {},
    partBytes,
    listener: history,
    onPart: () => void history.removeSpent(term),
  })

const sqlOf = (records: readonly { sql: string }[]): string[] => records.map(({ sql }) => sql)
const numbersIn = (lines: ReadonlyMap<string, LogLine> | null): number[] =>
  [...(lines?.values() ?? [])].map(({ query }) => Number(query.sql.slice(7))).sort((a, b) => a - b)

t.test(
  'whoever looks beside the active reads nothing, and the next active reads all',
  async (t) => {
    const terms = new Terms(t)
    const [a, b] = [hostOf(terms), hostOf(terms)]
    const log = logOf(terms, a, 1)
    t.equal((await a.history.allLines())?.size, 0)
    for (let n = 1; n <= 5; n += 1) {
      log.add(lineOf(n, 1, 'running'))
      await log.flush()
      await terms.clock.advance(2000)
      t.same(await b.history.newest(10), [], 'a backup does not know')
      t.equal((await a.history.newest(10))[0]?.sql, `select ${n}`, 'the active does')
    }
    t.equal(b.history.isSealed, true)
    t.same([...a.reads, ...b.reads], [], 'nobody has read what still grows, nor has its writer')
    log.close()
    t.same(numbersIn(await b.history.allLines()), [1, 2, 3, 4, 5])
    const next = logOf(terms, b, 2)
    next.add(lineOf(6, 2, 'succeeded'))
    await next.flush()
    await b.history.removeBelow(2)
    await b.history.removeSpent(2)
    t.same(numbersIn(await b.history.allLines()), [1, 2, 3, 4, 5, 6])
    t.equal(b.reads.length, 1, 'once, and its own never')
    t.same(readdirSync(terms.options.logDirectory), [logName(2)])
    t.same([...a.said, ...b.said], [])
    next.close()
  },
)

t.test('read as on other storages, the same looks leave the next active without it', async (t) => {
  const terms = new Terms(t)
  const writer = hostOf(terms)
  const looker = hostOf(terms)
  const log = logOf(terms, writer, 1)
  const disk = openFiles(terms.options.logDirectory)
  const through = gatewayReads(disk, looker.gateway)
  for (let n = 1; n <= 2; n += 1) {
    log.add(lineOf(n, 1, 'succeeded'))
    await log.flush()
    await through.read(log.path).catch(() => undefined)
  }
  log.close()
  t.same(numbersIn(await looker.history.allLines()), [])
})

t.test(
  'a file that a gateway has spoilt is told with the cure, kept, and left alone',
  async (t) => {
    const terms = new Terms(t)
    const [writer, next, other] = [hostOf(terms), hostOf(terms), hostOf(terms)]
    const directory = terms.options.logDirectory
    mkdirSync(directory)
    const log = logOf(terms, writer, 2)
    log.add(lineOf(1, 2, 'succeeded'))
    await log.flush()
    // An earlier version's page, on the next active's host.
    await gatewayReads(openFiles(directory), next.gateway).read(log.path)
    log.add(lineOf(2, 2, 'succeeded'))
    await log.flush()
    log.close()
    const whole = `${JSON.stringify({ v: 1, ...lineOf(9, 1, 'failed') })}\n`
    writeFileSync(join(directory, logName(1)), whole)

    t.same(numbersIn(await next.history.allLines()), [9], 'the others are read all the same')
    t.match(next.said, [/queries are missing .*term-0000000002.*Restart the gateway/])
    const asked = next.reads.length
    for (let i = 0; i < 10; i += 1) {
      await terms.clock.advance(MINUTE_MS)
      await next.history.allLines()
    }
    t.equal(next.reads.length, asked, 'each try would begin the ten minutes of the gateway anew')
    t.equal(next.said.length, 1, 'told once')
    await next.history.removeBelow(3)
    t.same(readdirSync(directory), [logName(2)], 'nothing is removed that nobody has read')
    t.same(numbersIn(await other.history.allLines()), [1, 2], 'another host reads it')

    next.gateway.clear()
    await terms.clock.advance(2 * MINUTE_MS)
    t.same(
      numbersIn(await next.history.allLines()),
      [1, 2, 9],
      'and so does this one, after a while',
    )
    await next.history.removeBelow(3)
    t.same(readdirSync(directory), [])
  },
)

t.test('a gateway that is away is no spoilt file: it is asked again', async (t) => {
  const terms = new Terms(t)
  const log = logOf(terms, hostOf(terms), 1)
  log.add(lineOf(1, 1, 'succeeded'))
  await log.flush()
  log.close()
  let away = true
  const files = openFiles(terms.options.logDirectory)
  const eio = async (): Promise<never> => {
    throw new FileError('EIO', 'the gateway is away')
  }
  const disk = {
    ...files,
    growingFilesReadable: async () => false,
    read: (path: string) => (away ? eio() : files.read(path)),
    readAt: (path: string, at: number, length: number) =>
      away ? eio() : files.readAt(path, at, length),
  }
  const history = terms.history({ disk })
  t.equal(await history.allLines(), null)
  away = false
  t.same(numbersIn(await history.allLines()), [1])
})

t.test('started again and again in one term: a part is never gone on with', async (t) => {
  const terms = new Terms(t, { historyLimit: 50 })
  const { gateway } = hostOf(terms)
  const directory = terms.options.logDirectory
  let most = 0
  let n = 0
  for (let start = 0; start < 12; start += 1) {
    const disk = gatewayReads(openFiles(directory), gateway)
    const history = terms.history({ disk, log: (_level, text) => t.fail(text) })
    const host: Host = { history, gateway, reads: [], said: [] }
    const log = logOf(terms, host, 1, 4000)
    // As a term does: both at once.
    log.add(lineOf(++n, 1, 'running'))
    const known = await history.allLines()
    const before = numbersIn(known).filter((one) => one < n)
    t.ok(before.length >= Math.min(n - 1, 49), `${before.length} of ${n - 1} queries`)
    for (let i = 0; i < 20; i += 1) {
      log.add(lineOf(++n, 1, 'succeeded'))
      await log.flush()
    }
    await history.removeSpent(1)
    most = Math.max(most, readdirSync(directory).length)
    log.close()
  }
  t.ok(most <= 14, `never more than ${most} parts`)
})

t.test('the services of a backup name the active; those of the active answer', async (t) => {
  const terms = new Terms(t)
  const { gateway, reads } = hostOf(terms)
  const logDisk = gatewayReads(openFiles(terms.options.logDirectory), gateway, (path) =>
    reads.push(path),
  )
  const services = servicesOf(terms, { queries: { logDisk } })
  const earlier = hostOf(terms)
  const log = logOf(terms, earlier, 3)
  log.add(lineOf(1, 3, 'succeeded'))
  await log.flush()
  const refused = { code: 'NOT_ACTIVE', active: 'm2:26002', epoch: 3, message: /it is at m2:26002/ }
  await t.rejects(services.newest(10), refused)
  t.same(reads, [])
  log.close()
  const over = new AbortController()
  await services.activate(4, over.signal, { onTrouble: () => {}, renewed: async () => {} })
  const isThere = async (): Promise<boolean> => {
    await terms.clock.advance(2000)
    return (await services.newest(10)).length === 1
  }
  await until('it knows what the ended term has left', isThere)
  t.same(sqlOf(await services.newest(10)), ['select 1'])
  over.abort()
  await services.deactivate()
  await t.rejects(services.newest(10), { code: 'NOT_ACTIVE' })
})

t.test('a long log is read in slices, whether it may grow or not', async (t) => {
  const LINES = 20_000
  const terms = new Terms(t)
  const directory = terms.options.logDirectory
  mkdirSync(directory, { recursive: true })
  const text = Array.from({ length: LINES }, (_, n) => JSON.stringify(lineOf(n, 1, 'succeeded')))
  writeFileSync(join(directory, logName(1)), text.map((line) => `${line}\n`).join(''))
  for (const history of [terms.history(), hostOf(terms).history]) {
    const read = await longestTurn(() => history.allLines())
    t.equal((await history.newest(LINES)).length, terms.options.historyLimit)
    t.ok(2 * read.ms < read.totalMs, `the longest turn took ${read.ms} ms of ${read.totalMs} ms`)
  }
})
