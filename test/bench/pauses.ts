/**
 * For how long the active's event loop pauses with a large catalog: `npm run bench -- pauses --tables 100000`.
 *
 * A real master holds the catalog and is asked for `--rate` changes a second (columns added, tables made and dropped);
 * every few seconds somebody lists all tables as well, each in its own way, and something is left for the sweeper. `/health/live`
 * is asked each 10 ms meanwhile, by a thread of its own. Prints the longest pause that the master itself has measured, by
 * phase, and how long the answers took.
 */

import { setTimeout as sleep } from 'node:timers/promises'
import { Worker } from 'node:worker_threads'
import { ask } from '../support/test-masters.ts'
import { clientOf } from '../support/test-worker.ts'
import { changesOf } from './changes.ts'
import { benchCluster, quantile } from './cluster.ts'
import { optionsOf } from './options.ts'

const options = optionsOf({
  tables: 100_000,
  columns: 10,
  files: 10,
  partitions: 10,
  'rest-seconds': 120,
  rate: 100,
  seconds: 30,
})
const say = (line: string): void => void process.stdout.write(`${line}\n`)
const figure = (value: number): string => value.toFixed(1).padStart(9)

const { tables, columns, files, partitions } = options
say(
  `bench: ${tables} tables of ${columns} columns, ${options.rate} changes a second, ${process.version}`,
)
const cluster = await benchCluster({
  workers: 0,
  size: { tables, columns, files, partitions },
})
const { master } = cluster
const client = clientOf([master])
const asker = new Worker(new URL('./pauses-asker.js', import.meta.url), {
  workerData: { port: master.ports.info },
})

function askedTimes(): Promise<number[]> {
  return new Promise((resolve) => {
    asker.once('message', resolve)
    asker.postMessage('how long did it take?')
  })
}

/** Of the last one to two minutes: so what was before a phase is told by the phase before. */
async function longestPauseMs(): Promise<number> {
  const { text } = await ask(master.ports.info, '/metrics')
  const found = /^tajo_master_event_loop_pause_seconds\{quantile="1"\} (\S+)$/m.exec(text)
  return Number(found?.[1]) * 1000
}

/** Each lists the whole catalog, as people and programs do. */
const LISTS: Readonly<Record<string, () => Promise<unknown>>> = {
  'SHOW TABLES': () => client.execute('show tables'),
  'tables of the client (\\d)': () => client.tables(),
  'one table (\\d NAME)': () => client.describe('largest'),
  '/api/v1/catalog/default': () =>
    ask(master.ports.info, '/api/v1/catalog/default', {
      timeoutMs: 60_000,
      headers: master.administrator,
    }),
  'a table that does not exist': () => client.execute('drop table largets').catch(() => undefined),
  'an external table': () =>
    client
      .execute(`create external table e (a int4) using text location '${cluster.root}/warehouse'`)
      .catch(() => undefined),
  '/metrics': () => ask(master.ports.info, '/metrics'),
}

function tell(what: string, healthMs: readonly number[], pauseMs: number): void {
  const health = [0.5, 0.99, 1].map((q) => figure(quantile(healthMs, q)))
  say(`${what.padEnd(32)} ${health.join('')} ${figure(pauseMs)}`)
}

try {
  say(`${''.padEnd(32)}    /health/live, ms             longest pause so far, ms`)
  say(`${''.padEnd(32)}    median      p99      max`)
  await sleep(2000)
  tell('at rest, opening before', await askedTimes(), await longestPauseMs())
  // The opening's pauses leave the window meanwhile.
  await sleep(options['rest-seconds'] * 1000)
  tell('at rest', await askedTimes(), await longestPauseMs())
  const changes = changesOf(client, { rate: options.rate, tables })
  await sleep(options.seconds * 1000)
  tell('changes', await askedTimes(), await longestPauseMs())
  for (const [name, list] of Object.entries(LISTS)) {
    const beganMs = performance.now()
    await list()
    const tookMs = performance.now() - beganMs
    await sleep(1000)
    tell(`${name}, ${Math.round(tookMs)} ms`, await askedTimes(), await longestPauseMs())
  }
  await sleep(options.seconds * 1000)
  tell('changes, with what they left', await askedTimes(), await longestPauseMs())
  await changes.stop()
  const took = [0.5, 0.99, 1].map((q) => figure(quantile(changes.tookMs, q)))
  say(`${`${changes.tookMs.length} changes, ms`.padEnd(32)} ${took.join('')}`)
  if (changes.refused.length > 0)
    say(`${changes.refused.length} were refused, such as: ${changes.refused[0]}`)
} finally {
  await asker.terminate()
  await client.close()
  await cluster.end()
}
