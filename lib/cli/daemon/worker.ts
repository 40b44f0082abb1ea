/** `tajo worker`: a worker in the foreground; it is ready when its ports are open, and joins a cluster when there is one. */
import type { Run } from '../arguments.ts'
import { installedVersion } from '../program.ts'
import { runDaemonCommand } from './daemon-command.ts'
import { WorkerLife } from './worker-life.ts'
import { planWorker } from './worker-plan.ts'

export const run: Run = async (context) => {
  const plan = await planWorker(context)
  // What a worker makes by the engine is tables' files; all else it makes with a mode of its own.
  process.umask(Number.parseInt(plan.conf.get('tajo.warehouse.umask'), 8))
  const version = installedVersion(context.home)
  return runDaemonCommand(context, {
    plan,
    rootDirectory: plan.conf.get('tajo.rootdir'),
    base: { worker: plan.addresses.peer },
    warnings: plan.warnings,
    life: (log) => new WorkerLife(plan, version, log),
  })
}
