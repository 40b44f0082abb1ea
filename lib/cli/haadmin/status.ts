/** `haadmin -status` and `-history`: the cluster as it is and as it came to be. Both work when every master is down. */
import { loadCluster } from '../cluster.ts'
import type { CommandContext } from '../command.ts'
import { askDirectory } from '../daemon/directory.ts'
import { EXIT, failure } from '../exit.ts'
import { json } from '../print.ts'
import { allAnswer, lookAround } from '../sight/look-around.ts'
import { foreignMasters } from '../sight/sight.ts'
import { historyTable } from './history-table.ts'
import { statusReport, statusText } from './status-report.ts'

const TRANSITIONS_SHOWN = 5
const HISTORY_DEADLINE_MS = 8000

export async function status(context: CommandContext): Promise<number> {
  const cluster = await loadCluster(context)
  const directory = cluster.haDirectory
  const [sight, transitions] = await Promise.all([
    lookAround(cluster, allAnswer),
    askDirectory(
      { op: 'history', directory, limit: TRANSITIONS_SHOWN },
      HISTORY_DEADLINE_MS,
      // lookAround tells of the same directory why it can't be read.
    ).catch(() => []),
  ])
  const report = statusReport(sight, transitions)
  context.output.out(context.json ? json(report) : statusText(report))
  if (sight.picture === null && report.masters.every((master) => !master.answers)) {
    throw failure(`no master answers, and the directory can't be read: ${sight.directoryError}`)
  }
  const foreign = foreignMasters(sight)
  if (foreign.length > 0) throw failure(foreign.join('; '))
  return EXIT.done
}

export async function history(context: CommandContext, limit: number): Promise<number> {
  const { haDirectory: directory } = await loadCluster(context)
  const deadlineMs = HISTORY_DEADLINE_MS + limit * MS_PER_TERM
  const entries = await askDirectory({ op: 'history', directory, limit }, deadlineMs)
  if (context.json) context.output.out(json({ directory, terms: entries }))
  else if (entries.length > 0) context.output.out(historyTable(entries))
  else context.output.out(`no master has ever been active in ${directory}`)
  return EXIT.done
}

/** Two small files a term, on a file server that is slow. */
const MS_PER_TERM = 40
