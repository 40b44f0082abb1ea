/** What the demo is about: kill -9 of the active master in the middle of a query, and what is seen of it. */
import type { TajoClient } from '../../client/index.ts'
import type { HistoryEntry } from '../../ha/index.ts'
import { askDirectory } from '../daemon/directory.ts'
import { failure } from '../exit.ts'
import { duration } from '../print.ts'
import type { DemoCluster, DemoMaster } from './cluster.ts'
import { DEMO_ROWS, DemoQuery, until } from './query.ts'
import type { Answered, DemoStream } from './stream.ts'

/** Ends a demo that is broken; each step takes a second at most, and many times that on a machine with much else to do. */
const STEP_MS = 60_000

/** What was seen of the failover. */
export interface Facts {
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

export interface Stage {
  readonly client: TajoClient
  readonly stream: DemoStream
  readonly cluster: DemoCluster
  readonly active: DemoMaster
  readonly backup: DemoMaster
  readonly say: (text: string) => void
}

/** Rejects with a CliError for the first thing that does not happen as promised. */
export async function failover(stage: Stage): Promise<Facts> {
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
