/**
 * Run by sbin/watch-worker when the worker that it had started was ended by a signal: tells the active master, in the
 * environment that the worker had. The arguments are the exit code as the shell has it, and what the kernel had counted
 * as out-of-memory kills at the worker's start. Gives up after a while, and then the worker counts as one that died alone.
 */
import { join, resolve } from 'node:path'
import { messageOf } from '../../base/failures.ts'
import { oomKills } from '../../base/oom-kills.ts'
import { systemClock } from '../../base/time.ts'
import { readMembers } from '../../ha/index.ts'
import { Masters, tellEnd } from '../../worker/index.ts'
import { withEnvFile } from '../env-file.ts'
import { EXIT, failure, usageError } from '../exit.ts'
import { standardOutput } from '../print.ts'
import { runProgram } from '../program.ts'
import { membershipOf } from './cluster-identity.ts'
import { planWorker } from './worker-plan.ts'

/** A master decides by then at the latest. */
const PATIENCE_MS = 15_000

async function main([code = '', before = '']: readonly string[]): Promise<number> {
  // First of all, so that few can be killed in between.
  const kills = oomKills()
  if (!/^\d{1,3}$/.test(code)) throw usageError(`'${code}' is no exit code`)
  const home = resolve(process.env.TAJO_HOME || '.')
  const confDir = resolve(process.env.TAJO_CONF_DIR || join(home, 'conf'))
  const env = withEnvFile(confDir, process.env, true)
  const output = standardOutput
  const plan = await planWorker({ args: [], options: {}, json: false, confDir, home, env, output })
  if (plan.watchedAs === null)
    throw usageError('TAJO_WORKER_START does not say which worker it was')
  const membership = await membershipOf(plan.haDirectory)
  if (membership === null) throw failure(`no cluster was ever formed in ${plan.haDirectory}`)
  const masters = new Masters({
    addresses: plan.trackers,
    readAddresses: plan.readTrackers,
    readMembers: async () =>
      (await readMembers(plan.haDirectory)).map(({ resourceTracker: tracker, catalog }) => ({
        tracker,
        catalog,
      })),
    clusterId: () => membership.clusterId,
    secret: () => membership.secret,
    onForeign: () => {},
    term: () => 0,
    // It tells one master one thing, and goes.
    doubt: async () => null,
    onDoubted: () => {},
    clock: systemClock,
    log: () => {},
  })
  const ended = {
    workerId: plan.addresses.peer,
    incarnation: plan.watchedAs,
    code: Number(code),
    oomKills: kills,
    oomKillsBefore: /^\d+$/.test(before) ? Number(before) : null,
  }
  await tellEnd(masters, ended, {
    clock: systemClock,
    signal: AbortSignal.timeout(PATIENCE_MS),
  }).catch((error: unknown) => {
    throw failure(`no master could be told that this worker has ended: ${messageOf(error)}`, error)
  })
  return EXIT.done
}

// A file call on a dead mount never ends, and would keep this process with it.
systemClock.after(2 * PATIENCE_MS, () => process.kill(process.pid, 'SIGKILL'))
await runProgram({ name: 'tajo worker', main })
