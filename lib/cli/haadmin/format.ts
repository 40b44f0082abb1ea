/**
 * `haadmin -formatHA`: clears the HA directory. Refused while any master lives, by its heartbeat or by its own answer:
 * one that is cut off from the directory still answers its port.
 */
import { once } from 'node:events'
import { createInterface } from 'node:readline/promises'
import { UNBOUND } from '../../catalog/index.ts'
import { loadConfiguration, surroundingsOf } from '../../conf/index.ts'
import type { CommandContext } from '../arguments.ts'
import { logTo } from '../catalog/catalog.ts'
import { type Cluster, loadCluster } from '../cluster.ts'
import { configuredStore, NO_ORIGIN, originOf } from '../daemon/configured-store.ts'
import { askDirectory } from '../daemon/directory.ts'
import { CliError, EXIT, usageError } from '../exit.ts'
import { json } from '../print.ts'
import { orderedBy } from '../sight/admin.ts'
import { lookAround } from '../sight/look-around.ts'

export async function formatHA(context: CommandContext, yes: boolean): Promise<number> {
  const cluster = await loadCluster(context)
  const directory = cluster.haDirectory
  if (!yes && !process.stdin.isTTY) {
    throw usageError(`-formatHA clears ${directory}: without a terminal to ask on it needs --yes`)
  }
  await refuseAnswering(cluster)
  if (!yes && !(await confirmed(directory))) {
    context.output.err('nothing was changed')
    return EXIT.failed
  }
  const { timing } = cluster
  const of = await catalogOf(context)
  const request = { op: 'format' as const, directory, timing, by: orderedBy(), ...of }
  const { epoch } = await askDirectory(request, timing.patienceMs + FORMAT_EXTRA_MS)
  context.output.out(
    context.json
      ? json({ directory, epoch })
      : `The HA directory ${directory} is cleared; the next master starts with epoch ${epoch + 1}.`,
  )
  return EXIT.done
}

/** Ending terms and removing files, on a file server that is slow. */
const FORMAT_EXTRA_MS = 60_000

/**
 * The term goes above the catalog's, and an id that is left nowhere else is there. What may lie in the shared directory is
 * looked at by a process that may hang.
 */
async function catalogOf({ confDir, env, output }: CommandContext) {
  const conf = await loadConfiguration(confDir, surroundingsOf(env))
  const name = conf.get('tajo.catalog.store.class')
  if (name === 'DerbyStore') return { origin: NO_ORIGIN, derbyUri: conf.get('tajo.catalog.uri') }
  if (name === 'SharedStore') return { origin: NO_ORIGIN, derbyUri: null }
  const store = await configuredStore(conf, { binding: UNBOUND, log: logTo(output) })
  return { origin: await originOf(store), derbyUri: null }
}

async function refuseAnswering(cluster: Cluster): Promise<void> {
  // Heartbeats are watched by the formatting itself.
  const sight = await lookAround(cluster, () => true)
  const alive = sight.masters.filter((m) => m.asked.answered || m.inspected?.pulse === 'live')
  if (alive.length === 0) return
  const names = alive.map((master) => master.address).join(', ')
  throw new CliError(
    EXIT.unsafe,
    `masters are alive: ${names}; stop them first (sbin/stop-tajo.sh), then format`,
  )
}

async function confirmed(directory: string): Promise<boolean> {
  const asking = createInterface({ input: process.stdin, output: process.stderr })
  // A terminal that goes away closes without an answer, Ctrl-D and Ctrl-C abort the question: that is no.
  const closed = once(asking, 'close').then(() => '')
  const question = `Clear all HA information in ${directory}? (yes or no) `
  const answered = asking.question(question).catch((error: Error) => {
    if (error.name === 'AbortError') return ''
    throw error
  })
  const answer = await Promise.race([answered, closed])
  asking.close()
  return /^y(es)?$/i.test(answer.trim())
}
