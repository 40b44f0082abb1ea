/** `tajo haadmin`: one verb a call; those that are more than a few lines have files of their own. */
import { isSecret, SECRET_FILE } from '../../ha/index.ts'
import { adminToken } from '../../web/callers.ts'
import type { CommandContext, Run } from '../arguments.ts'
import { loadCluster } from '../cluster.ts'
import { AUTHORITY_FILE, tlsDirectory } from '../daemon/cluster-certificate.ts'
import { askDirectory } from '../daemon/directory.ts'
import { EXIT, failure } from '../exit.ts'
import { json } from '../print.ts'
import { haadminCall } from './call.ts'

const DEADLINE_MS = 8000

/** What the web page asks for before it hands over. Whoever may read the HA directory can print it. */
async function token(context: CommandContext): Promise<number> {
  const { haDirectory: directory } = await loadCluster(context)
  const secret = await askDirectory({ op: 'secret', directory }, DEADLINE_MS)
  if (secret === null) {
    throw failure(`${directory} has no secret yet: start a master first`)
  }
  if (!isSecret(secret)) {
    throw failure(
      `${directory}/${SECRET_FILE} is torn or foreign (${secret.length} characters): an active master puts it back within tajo.master.ha.monitor.interval, so ask again`,
    )
  }
  const shown = adminToken(secret)
  context.output.out(context.json ? json({ token: shown }) : shown)
  return EXIT.done
}

/** What clients on other hosts may be given, so that they need not believe what a port shows. It is no secret. */
async function certificate(context: CommandContext): Promise<number> {
  const { haDirectory: directory } = await loadCluster(context)
  const authority = await askDirectory({ op: 'authority', directory }, DEADLINE_MS)
  if (authority === null) {
    throw failure(`${tlsDirectory(directory)} has no ${AUTHORITY_FILE} yet: start a master first`)
  }
  context.output.out(context.json ? json({ certificate: authority }) : authority.trimEnd())
  return EXIT.done
}

export const run: Run = async (context) => {
  const call = haadminCall(context.options)
  switch (call.verb) {
    case 'getState':
      return (await import('./state.ts')).getState(context, call.address)
    case 'transitionToActive':
      return (await import('./transition.ts')).transitionToActive(context, call)
    case 'transitionToBackup':
      return (await import('./transition.ts')).transitionToBackup(context, call)
    case 'status':
      return (await import('./status.ts')).status(context)
    case 'token':
      return token(context)
    case 'certificate':
      return certificate(context)
    case 'history':
      return (await import('./status.ts')).history(context, call.limit)
    case 'formatHA':
      return (await import('./format.ts')).formatHA(context, call.yes)
    case 'checkSharedDir':
      return (await import('./check.ts')).checkSharedDir(context, call.peer)
  }
}
