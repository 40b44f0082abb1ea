/** `haadmin -token`: what the web page asks for before it hands over. Whoever may read the HA directory can print it. */
import { isSecret, SECRET_FILE } from '../../ha/index.ts'
import { adminToken } from '../../web/admin-token.ts'
import { loadCluster } from '../cluster.ts'
import type { CommandContext } from '../command.ts'
import { askDirectory } from '../daemon/directory.ts'
import { EXIT, failure } from '../exit.ts'
import { json } from '../print.ts'

const DEADLINE_MS = 8000

export async function token(context: CommandContext): Promise<number> {
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
