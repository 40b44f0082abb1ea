/**
 * `tajo demo`: the whole promise in a few seconds, with real processes. Two masters and a worker, a query that is being
 * read, kill -9 of the active master in the middle of it, the backup takes over; a change of data goes through, and the
 * query returns every row. Exits 0 only if all of that was seen to happen.
 *
 * What the demo prints at its end: the failover in figures, for people or as one JSON document.
 */
import { TajoClient } from '../../client/index.ts'
import { whyOf } from '../../web/term-words.ts'
import type { CommandContext, Run } from '../arguments.ts'
import { EXIT, failure } from '../exit.ts'
import { duration, json } from '../print.ts'
import { askMaster } from '../sight/look-around.ts'
import { DemoCluster, type DemoMaster, type DemoProcess, whyEnded } from './cluster.ts'
import { type Facts, failover } from './failover.ts'
import { DEMO_ROWS, until } from './query.ts'
import { type Answered, DemoStream } from './stream.ts'

export interface Outcome extends Facts {
  readonly answers: readonly Answered[]
  readonly active: DemoMaster
  readonly backup: DemoMaster
}

export function report({ json: asJson, output }: CommandContext, outcome: Outcome): void {
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
