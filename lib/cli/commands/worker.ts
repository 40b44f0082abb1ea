/**
 * `tajo worker`: a worker in the foreground, from its configuration to its end.
 *
 * In this order: configuration, log, pid file, signals, and then `WorkerLife`. Whatever fails is one sentence on stderr
 * and an exit code, and leaves nothing behind. When its ports are open it prints a line that begins with `ready`: start
 * scripts wait for it. It joins the cluster behind that, whenever there is one. This command never returns: it ends its
 * process itself (daemon/leaving.ts tells why).
 */
import { openDaemonLog, runDaemon, takePidFile } from '../../daemon/index.ts'
import type { Run } from '../command.ts'
import { describeError, oneLine } from '../exit.ts'
import { outliveReaders } from '../outlive-readers.ts'
import { WorkerLife } from '../worker-life.ts'
import { planWorker } from '../worker-plan.ts'
import { installedVersion } from './version.ts'

export const run: Run = async (context) => {
  const plan = await planWorker(context)
  const version = installedVersion(context.home)
  const log = openDaemonLog({
    ...plan.logLimits,
    file: plan.logFile,
    base: { pid: process.pid, worker: plan.addresses.peer },
    terminal: process.stderr.isTTY ? process.stderr : null,
    onTrouble: (message) => context.output.err(`tajo: ${message}`),
  })
  const pidFile = await takePidFile(plan.pidFile)
  outliveReaders()

  const life = new WorkerLife(plan, version, log)
  const daemon = runDaemon({
    log,
    stop: (why) => life.stop(why),
    reload: () => undefined,
    tidy: () => pidFile.remove(),
  })
  for (const warning of plan.warnings) log.log('warn', warning)
  try {
    await life.start()
    if (!daemon.ending) context.output.out(`ready worker ${life.address}`)
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
