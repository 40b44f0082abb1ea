/** haadmin on another host: where a master lives, and running this same command there. */
import { dirname, join } from 'node:path'
import { parseAddress } from '../address.ts'
import type { CommandContext } from '../command.ts'
import type { KnownMaster } from '../sight/sight.ts'
import { runOverSsh } from '../start/ssh.ts'
import { type HostFacts, sameMachine } from '../this-host.ts'

/** The host to run the command on, or null for this one. */
export async function whereToGo(master: KnownMaster, facts: HostFacts): Promise<string | null> {
  const { host } = parseAddress(master.address, 'master')
  const told = master.asked.answered ? master.asked.answer.hostname : null
  const hostname = told ?? master.inspected?.hostname ?? null
  if (await sameMachine(host, hostname, facts)) return null
  // `localhost` of another machine can only be reached by that machine's own name.
  const onlyLocal = await sameMachine(host, null, facts)
  return onlyLocal && hostname !== null ? hostname : host
}

/** Runs `tajo haadmin` with these words there: same install path, same configuration directory, same exit code. */
export const runThere = (
  { home, confDir, env, json }: CommandContext,
  host: string,
  words: readonly string[],
  deadlineMs: number,
): Promise<number> =>
  runOverSsh(
    {
      host,
      sshOptions: env.TAJO_SSH_OPTS ?? '',
      env: { TAJO_HOME: home, TAJO_CONF_DIR: confDir },
      pathDir: dirname(process.execPath),
      words: [join(home, 'bin', 'tajo'), 'haadmin', ...words, ...(json ? ['--json'] : [])],
    },
    deadlineMs,
  )
