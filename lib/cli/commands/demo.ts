/**
 * `tajo demo`: the whole promise in a few seconds, with real processes. Two masters, a client that never stops asking,
 * kill -9 of the active one, the backup takes over. Exits 0 only if every step was seen to happen.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { HistoryEntry } from '../../ha/index.ts'
import type { CommandContext, Run } from '../command.ts'
import { DemoCluster, type DemoMaster, whyEnded } from '../demo-cluster.ts'
import { type Answered, DemoStream } from '../demo-stream.ts'
import { askDirectory } from '../directory.ts'
import { EXIT, failure } from '../exit.ts'
import { whyOf } from '../history-table.ts'
import { askMaster } from '../look-around.ts'
import { duration, json } from '../print.ts'

const START_MS = 20_000
const TAKE_OVER_MS = 15_000
const HISTORY_MS = 10_000
const STEADY_MS = 1000
const ASK_MS = 500
const POLL_MS = 10

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
  say(`two masters start on ${cluster.haDirectory}`)
  const [active, backup] = await roles(first, second)
  say(
    `${active.address} (pid ${active.pid}) is active, ${backup.address} (pid ${backup.pid}) is backup`,
  )

  const stream = new DemoStream([active.ports.client, backup.ports.client])
  stream.start()
  await sleep(STEADY_MS)
  const before = stream.answers.at(-1)
  if (before === undefined) throw failure('the active master answers no status request')
  say(
    `${stream.answers.length} status requests answered (they stand in for a query until the release with queries)`,
  )

  active.process.kill('SIGKILL')
  const killedMs = performance.now()
  say(`kill -9 ${active.pid}`)
  const taken = await firstFrom(stream, backup, before.epoch)
  say(
    `${backup.address} serves: first answer ${duration(taken.atMs - killedMs)} after the kill, epoch ${taken.epoch}`,
  )
  await sleep(STEADY_MS / 2)
  await stream.stop()
  const last = lastOfOld(stream.answers, active)
  const entry = await recorded(cluster, taken.epoch)
  report(context, { killedMs, last, taken, answers: stream.answers, entry, active, backup })
  return EXIT.done
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

const firstFrom = (stream: DemoStream, master: DemoMaster, above: number): Promise<Answered> =>
  until(TAKE_OVER_MS, `an answer of ${master.address} as the active master`, async () => {
    const found = stream.answers.find(
      (one) => one.port === master.ports.client && one.epoch > above,
    )
    return found ?? null
  })

const lastOfOld = (answers: readonly Answered[], old: DemoMaster): Answered | null =>
  answers.filter((one) => one.port === old.ports.client).at(-1) ?? null

/** The history is written while the new active serves already. */
const recorded = (cluster: DemoCluster, epoch: number): Promise<HistoryEntry> =>
  until(HISTORY_MS, `term ${epoch} in the history`, async () => {
    const request = { op: 'history' as const, directory: cluster.haDirectory, limit: 5 }
    const entries = await askDirectory(request, HISTORY_MS)
    return entries.find((one) => one.term.term === epoch && one.served !== null) ?? null
  })

async function until<T>(limitMs: number, what: string, look: () => Promise<T | null>): Promise<T> {
  const endMs = performance.now() + limitMs
  for (;;) {
    const found = await look()
    if (found !== null) return found
    if (performance.now() > endMs) throw failure(`not seen within ${limitMs} ms: ${what}`)
    await sleep(POLL_MS)
  }
}

interface Outcome {
  readonly killedMs: number
  readonly last: Answered | null
  readonly taken: Answered
  readonly answers: readonly Answered[]
  readonly entry: HistoryEntry
  readonly active: DemoMaster
  readonly backup: DemoMaster
}

function report({ json: asJson, output }: CommandContext, outcome: Outcome): void {
  const { killedMs, last, taken, answers, entry, active, backup } = outcome
  const phases = entry.served?.phases
  const repeated = answers.reduce((sum, one) => sum + one.repeats, 0)
  const gapMs = last === null ? null : taken.atMs - last.atMs
  if (asJson) {
    const facts = { from: active.address, to: backup.address, epoch: taken.epoch }
    const firstAnswerMs = taken.atMs - killedMs
    const requests = { answered: answers.length, sentAgain: repeated }
    output.out(
      json({ ...facts, firstAnswerMs, gapMs, phases, reason: entry.term.reason, requests }),
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
      `Status requests: ${answers.length} answered; sent again ${repeated} times while nobody was active`,
    ].join('\n'),
  )
}
