/**
 * `haadmin -checkSharedDir [--peer HOST]`: can the protocol rest on this mount? Prints each property with its measured
 * latency and what would go wrong without it, a line each; exits 1 on a mount that can't be trusted, or that is too slow
 * for the configured monitor interval.
 */
import { dirname, join } from 'node:path'
import { isAnyElsewhere, thisHost } from '../address.ts'
import type { CommandContext } from '../arguments.ts'
import { loadCluster } from '../cluster.ts'
import { askDirectory } from '../daemon/directory.ts'
import type { StorageReport } from '../daemon/directory-child.ts'
import { EXIT } from '../exit.ts'
import { duration, json, plain } from '../print.ts'
import { sshArguments } from '../start/ssh.ts'

/** Every check has a limit of its own below this; freshness alone is watched for a minute. */
const DEADLINE_MS = 15 * 60_000

export async function checkSharedDir(
  context: CommandContext,
  peer: string | null,
): Promise<number> {
  const { haDirectory: directory, hosts, timing } = await loadCluster(context)
  const request = {
    op: 'check' as const,
    directory,
    peer: peerCommand(context, peer, directory),
    severalHosts: await isAnyElsewhere(hosts, thisHost()),
    monitorMs: timing.monitorMs,
  }
  const report = await askDirectory(request, DEADLINE_MS)
  context.output.out(
    context.json ? json({ directory, peer, ...report }) : checkText(report, directory, peer),
  )
  return report.ok && report.unmarked === null ? EXIT.done : EXIT.failed
}

function peerCommand(
  { home, env }: CommandContext,
  host: string | null,
  directory: string,
): string[] | null {
  if (host === null) return null
  const program = join(home, 'build', 'lib', 'ha', 'check-peer.js')
  const command = {
    host,
    sshOptions: env.TAJO_SSH_OPTS ?? '',
    env: {},
    pathDir: dirname(process.execPath),
    words: ['node', program, directory],
  }
  return ['ssh', ...sshArguments(command)]
}

function checkText(report: StorageReport, directory: string, peer: string | null): string {
  const lines = report.checks.map((check) => {
    const time =
      check.medianMs === null
        ? ''
        : ` (median ${duration(check.medianMs)}, p95 ${duration(check.p95Ms ?? check.medianMs)})`
    const verdict = check.ok ? 'without it' : check.tried ? 'so' : 'not tried; without it'
    const meaning = `${verdict}: ${check.consequence}`
    return plain(
      `${check.ok ? 'ok    ' : 'FAILED'}  ${check.name}: ${check.detail}${time}; ${meaning}`,
    )
  })
  const { type, source } = report.fileSystem
  const smallest =
    !report.ok || report.smallestMonitorMs === null
      ? []
      : [
          `The smallest tajo.master.ha.monitor.interval for its latency is ${report.smallestMonitorMs} ms.`,
        ]
  const head = plain(`${directory} is on ${type} (${source})`)
  return [head, ...lines, ...smallest, verdictOf(report, directory, peer)].join('\n')
}

/** One host alone never vouches for a kind of mount that only two can prove. */
function verdictOf(report: StorageReport, directory: string, peer: string | null): string {
  const { ok, reach, unmarked, takenBack, fileSystem } = report
  if (!ok) {
    const back =
      takenBack.length === 0
        ? ''
        : ` What an earlier check has proven for ${takenBack.join(' and ')} holds no more.`
    return plain(
      `${directory} can't be trusted: mend what FAILED before a master is started on it.${back}`,
    )
  }
  if (unmarked !== null) return plain(`All of it passed, and yet it proves nothing: ${unmarked}.`)
  if (fileSystem.sharing === 'refused') {
    return `${directory} can carry the masters of this host, and of no other: what several hosts see of ${fileSystem.type} is told above.`
  }
  if (reach === 'this host') {
    return `What one host can tell of ${directory} is in order; whether several hosts share it, on ${fileSystem.type} only --peer HOST can tell.`
  }
  const alone =
    peer === null ? ', as far as one host can tell: use --peer HOST to try it from two' : ''
  return `${directory} can carry the election${alone}.`
}
