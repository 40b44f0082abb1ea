/**
 * `tajo master`: a master in the foreground, from its configuration to its end.
 *
 * In this order: configuration, log, pid file, signals, and then `MasterLife`. Whatever fails is one sentence on stderr
 * and an exit code, and leaves nothing behind. When the master takes part in the election it prints a line that begins
 * with `ready`: start scripts wait for it. This command never returns: it ends its process itself (daemon/leaving.ts
 * tells why).
 */
import { openDaemonLog, runDaemon, takePidFile } from '../../daemon/index.ts'
import type { Run } from '../command.ts'
import { describeError, oneLine } from '../exit.ts'
import { MasterLife } from '../master-life.ts'
import { planMaster } from '../master-plan.ts'
import { outliveReaders } from '../outlive-readers.ts'
import { thisHost } from '../this-host.ts'
import { installedVersion } from './version.ts'

export const run: Run = async (context) => {
  const plan = await planMaster(context, thisHost())
  const version = installedVersion(context.home)
  const log = openDaemonLog({
    ...plan.logLimits,
    file: plan.logFile,
    base: { pid: process.pid, master: plan.addresses.umbilical },
    terminal: process.stderr.isTTY ? process.stderr : null,
    onTrouble: (message) => context.output.err(`tajo: ${message}`),
  })
  const pidFile = await takePidFile(plan.pidFile)
  outliveReaders()

  const life = new MasterLife(plan, version, log)
  const daemon = runDaemon({
    log,
    stop: (why) => life.stop(why),
    reload: () => life.reload(),
    tidy: () => pidFile.remove(),
  })
  for (const warning of [...plan.conf.warnings, ...plan.masters.warnings]) log.log('warn', warning)
  try {
    await life.start((why, code) => daemon.end(why, code))
    if (!daemon.ending) context.output.out(`ready master ${life.address}, web page ${life.webPage}`)
  } catch (thrown) {
    if (!daemon.ending) {
      const { message, exitCode } = describeError(thrown)
      context.output.err(`tajo: ${oneLine(message)}`)
      log.log('error', message)
      daemon.end('the start failed', exitCode)
    }
  }
  return new Promise<never>(() => {})
}
