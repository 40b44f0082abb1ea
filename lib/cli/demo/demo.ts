/**
 * `tajo demo`: the whole promise in a few seconds, with real processes. Two masters and a worker, a query that is being
 * read, kill -9 of the active master in the middle of it, the backup takes over; a change of data goes through, and the
 * query returns every row. Exits 0 only if all of that was seen to happen.
 *
 * What the demo prints at its end: the failover in figures, for people or as one JSON document.
 *
 * What the demo is about: kill -9 of the active master in the middle of a query, and what is seen of it.
 */
import { TajoClient } from '../../client/index.ts'
import type { HistoryEntry } from '../../ha/index.ts'
import { whyOf } from '../../web/term-words.ts'
import type { CommandContext, Run } from '../arguments.ts'
import { askDirectory } from '../daemon/directory.ts'
import { EXIT, failure } from '../exit.ts'
import { duration, json } from '../print.ts'
import { askMaster } from '../sight/look-around.ts'
import { DemoCluster, type DemoMaster, type DemoProcess, whyEnded } from './cluster.ts'
import { DEMO_ROWS, DemoQuery, until } from './query.ts'
import { type Answered, DemoStream } from './stream.ts'

/** Ends a demo that is broken; each step takes a second at most, and many times that on a machine with much else to do. */
const STEP_MS = 60_000

/** What was seen of the failover. */
interface Facts {
  readonly killedMs: number
  readonly last: Answered | null
  readonly taken: Answered
  readonly entry: HistoryEntry
  readonly insertMs: number
  readonly query: {
    readonly queryId: string
    readonly rows: number
    readonly rowsAtKill: number
    /** Its state in the new active's list. */
    readonly listed: string
  }
}

interface Stage {
  readonly client: TajoClient
  readonly stream: DemoStream
  readonly cluster: DemoCluster
  readonly active: DemoMaster
  readonly backup: DemoMaster
  readonly say: (text: string) => void
}

/** Rejects with a CliError for the first thing that does not happen as promised. */
async function failover(stage: Stage): Promise<Facts> {
  const { client, stream, cluster, active, backup, say } = stage
  const query = new DemoQuery(DEMO_ROWS)
  await query.start(client)
  await until(STEP_MS, 'a quarter of the rows', async () =>
    query.rows * 4 >= DEMO_ROWS ? true : null,
  )
  const rowsAtKill = query.rows
  const epoch = stream.answers.at(-1)?.epoch
  if (epoch === undefined) throw failure('the active master answers no status request')
  say(`SELECT id, square FROM numbers: ${rowsAtKill} rows have come from the worker so far`)

  active.process.kill('SIGKILL')
  const killedMs = performance.now()
  say(`kill -9 ${active.pid}`)
  await client.execute('INSERT INTO numbers SELECT -1 AS id, 1 AS square')
  const insertMs = performance.now() - killedMs
  const taken = await firstFrom(stream, backup, epoch)
  say(
    `${backup.address} serves: first answer ${duration(taken.atMs - killedMs)} after the kill, epoch ${taken.epoch}`,
  )
  say(`INSERT INTO numbers …, sent at the moment of the kill: done after ${duration(insertMs)}`)
  const listed = await until(STEP_MS, 'the query in the list of the new active', async () => {
    const all = await client.queries(20)
    return all.find(({ queryId }) => queryId === query.queryId) ?? null
  })
  say(`the query is in the new active's list: ${listed.state}, ${query.rows} rows have come`)
  query.readOn()
  await query.ended()
  say(`the query is complete: ${query.rows} rows, and their sums are right`)
  await checkTable(client)
  say(`SELECT count(*) FROM numbers: ${DEMO_ROWS + 1}, the INSERT is there once`)
  await stream.stop()
  const last = lastOfOld(stream.answers, active)
  const entry = await recorded(cluster, taken.epoch)
  const { queryId, rows } = query
  return {
    killedMs,
    last,
    taken,
    entry,
    insertMs,
    query: { queryId, rows, rowsAtKill, listed: listed.state },
  }
}

async function checkTable(client: TajoClient): Promise<void> {
  const result = await client.query('SELECT count(*), count(*) FILTER (WHERE id = -1) FROM numbers')
  for await (const [row] of result.rows()) {
    const [all, inserted] = (row ?? []).map(Number)
    if (all === DEMO_ROWS + 1 && inserted === 1) continue
    throw failure(`the table holds ${all} rows, the inserted one ${inserted} times`)
  }
}

const firstFrom = (stream: DemoStream, master: DemoMaster, above: number): Promise<Answered> =>
  until(STEP_MS, `an answer of ${master.address} as the active master`, async () => {
    const found = stream.answers.find(
      (one) => one.port === master.ports.client && one.epoch > above,
    )
    return found ?? null
  })

const lastOfOld = (answers: readonly Answered[], old: DemoMaster): Answered | null =>
  answers.filter((one) => one.port === old.ports.client).at(-1) ?? null

/** The history is written while the new active serves already. */
const recorded = (cluster: DemoCluster, epoch: number): Promise<HistoryEntry> =>
  until(STEP_MS, `term ${epoch} in the history`, async () => {
    const request = { op: 'history' as const, directory: cluster.haDirectory, limit: 5 }
    const entries = await askDirectory(request, STEP_MS)
    return entries.find((one) => one.term.term === epoch && one.served !== null) ?? null
  })

interface Outcome extends Facts {
  readonly answers: readonly Answered[]
  readonly active: DemoMaster
  readonly backup: DemoMaster
}

function report({ json: asJson, output }: CommandContext, outcome: Outcome): void {
  const { killedMs, last, taken, answers, entry, active, backup, insertMs, query } = outcome
  const phases = entry.served?.phases
  const repeated = answers.reduce((sum, one) => sum + one.repeats, 0)
  const gapMs = last === null ? null : taken.atMs - last.atMs
  if (asJson) {
    const facts = { from: active.address, to: backup.address, epoch: taken.epoch }
    const firstAnswerMs = taken.atMs - killedMs
    const requests = { answered: answers.length, sentAgain: repeated }
    output.out(
      json({
        ...facts,
        firstAnswerMs,
        gapMs,
        insertMs,
        phases,
        reason: entry.term.reason,
        query,
        requests,
      }),
    )
    return
  }
  const { noticedMs, totalMs: _, ...steps } = phases ?? { noticedMs: 0, totalMs: 0 }
  const named = Object.entries(steps).map(
    ([name, ms]) => `${name.replace(/Ms$/, '')} ${duration(ms)}`,
  )
  const gap = gapMs === null ? '' : `, ${duration(gapMs)} after the last answer before it`
  output.out(
    [
      '',
      `Failover from ${active.address} to ${backup.address}: ${duration(taken.atMs - killedMs)} from the kill to the first answer${gap}`,
      `Phases of term ${taken.epoch}, because ${whyOf(entry)}: noticed ${duration(noticedMs)} after the last heartbeat, then ${named.join(', ')}`,
      `Query: ${query.rows} rows, ${query.rows - query.rowsAtKill} of them read after the kill; a change of data sent at the kill: ${duration(insertMs)}`,
      `Status requests: ${answers.length} answered; sent again ${repeated} times while nobody was active`,
    ].join('\n'),
  )
}

const START_MS = 20_000
const ASK_MS = 500

export const run: Run = async (context) => {
  const cluster = new DemoCluster(context.home)
  const interrupted = signalled()
  try {
    return await Promise.race([play(context, cluster), interrupted.never])
  } finally {
    // A second Ctrl-C must not stop the cleaning up: the handlers stay.
    await cluster.end()
  }
}

/** Rejects when somebody wants the demo to end. */
function signalled(): { never: Promise<never> } {
  const never = new Promise<never>((_, reject) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
      process.on(signal, () => reject(failure(`demo ended by ${signal}; everything is cleaned up`)))
    }
  })
  // It may come while nothing is raced against it: during the cleaning up.
  never.catch(() => {})
  return { never }
}

async function play(context: CommandContext, cluster: DemoCluster): Promise<number> {
  const startMs = performance.now()
  const say = (text: string): void => {
    const at = duration(performance.now() - startMs).padStart(8)
    if (!context.json) context.output.out(`${at}  ${text}`)
  }
  const first = await cluster.start()
  const second = await cluster.start()
  const worker = await cluster.startWorker()
  say(`two masters and a worker (pid ${worker.pid}) start on ${cluster.haDirectory}`)
  const [active, backup] = await roles(first, second)
  say(
    `${active.address} (pid ${active.pid}) is active, ${backup.address} (pid ${backup.pid}) is backup`,
  )
  const client = new TajoClient({
    haDirectory: cluster.haDirectory,
    masters: [active, backup].map(({ ports }) => ({
      client: `localhost:${ports.client}`,
      catalog: `localhost:${ports.catalog}`,
    })),
  })
  const stream = new DemoStream([active.ports.client, backup.ports.client])
  try {
    await startsWell(worker, fill(client))
    say(`CREATE TABLE numbers AS SELECT …: ${DEMO_ROWS} rows`)
    stream.start()
    const outcome = await failover({ client, stream, cluster, active, backup, say })
    report(context, { ...outcome, answers: stream.answers, active, backup })
    return EXIT.done
  } finally {
    await stream.stop()
    await client.close()
  }
}

const fill = (client: TajoClient): Promise<unknown> =>
  client.execute(
    `CREATE TABLE numbers USING PARQUET AS SELECT range AS id, range * range AS square FROM range(${DEMO_ROWS})`,
  )

/** A statement waits for a worker; one that has failed to start is the better reason than a long silence. */
async function startsWell(worker: DemoProcess, statement: Promise<unknown>): Promise<void> {
  let settled = false
  const settle = (): void => {
    settled = true
  }
  statement.then(settle, settle)
  await until(START_MS, 'the first statement done', async () => {
    if (settled) return true
    const why = whyEnded(worker)
    if (why !== null) throw failure(`the worker did not start: ${why}`)
    return null
  })
  await statement
}

/** Waits until one is active and the other a backup. */
async function roles(a: DemoMaster, b: DemoMaster): Promise<[DemoMaster, DemoMaster]> {
  const state = async (master: DemoMaster): Promise<string | null> => {
    const why = whyEnded(master)
    if (why !== null) throw failure(`${master.address} did not start: ${why}`)
    const asked = await askMaster({ host: 'localhost', port: master.ports.umbilical }, ASK_MS)
    return asked.answered ? asked.answer.state : null
  }
  return until(START_MS, 'one master active, one backup', async () => {
    const [stateA, stateB] = await Promise.all([state(a), state(b)])
    if (stateA === 'active' && stateB === 'backup') return [a, b]
    if (stateB === 'active' && stateA === 'backup') return [b, a]
    return null
  })
}
