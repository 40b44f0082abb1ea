/** `tajo master`: a master in the foreground; it is ready when it takes part in the election. */
import { thisHost } from '../address.ts'
import type { Run } from '../arguments.ts'
import { installedVersion } from '../program.ts'
import { runDaemonCommand } from './daemon-command.ts'
import { MasterLife } from './master-life.ts'
import { planMaster } from './master-plan.ts'

export const run: Run = async (context) => {
  const plan = await planMaster(context, thisHost())
  const version = installedVersion(context.home)
  return runDaemonCommand(context, {
    plan,
    rootDirectory: plan.conf.get('tajo.rootdir'),
    base: { master: plan.addresses.umbilical },
    warnings: [...plan.conf.warnings, ...plan.masters.warnings],
    life: (log) => new MasterLife(plan, version, log),
  })
}
