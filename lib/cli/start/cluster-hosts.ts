/**
 * For sbin/tajo-hosts.sh: which masters and workers there are and how to get to them, one fact a line, its parts
 * separated by tabs.
 *
 *     master      NAME  HOST      HOST is what to give to ssh, or `-` for this host
 *     worker      NAME  HOST
 *     ssh-option  WORD            one of TAJO_SSH_OPTS, in their order
 *     rootdir     PATH            tajo.rootdir: whose daemons these are
 *
 * Warnings and errors go to stderr; exit code 1 when the configuration can't be used, or names other hosts in files that
 * another user may write.
 */
import { requireOwnConf } from '../daemon/own-conf.ts'
import { splitShellWords } from '../env-file.ts'
import { describeError } from '../exit.ts'
import { planCluster } from './cluster-plan.ts'

/** Throws where it holds what separates parts and lines. */
function requireOneLine(rootDirectory: string): string {
  if (!/[\t\r\n]/.test(rootDirectory)) return rootDirectory
  throw new Error(`tajo.rootdir is ${JSON.stringify(rootDirectory)}: a path in one line is allowed`)
}

/** Throws where a word holds what separates parts and lines: the script could not tell the two apart. */
function sshOptions(env: NodeJS.ProcessEnv): string[] {
  const words = splitShellWords(env.TAJO_SSH_OPTS ?? '', 'TAJO_SSH_OPTS')
  const odd = words.find((word) => word === '' || /[\t\r\n]/.test(word))
  if (odd === undefined) return words
  throw new Error(`TAJO_SSH_OPTS holds ${JSON.stringify(odd)}, an option that can't be passed on`)
}

try {
  const confDir = process.env.TAJO_CONF_DIR ?? 'conf'
  const plan = await planCluster(confDir, process.env)
  // Whoever may write these names the hosts that this user logs in to, and what he runs there.
  if ([...plan.masters, ...plan.workers].some(({ sshHost }) => sshHost !== null)) {
    requireOwnConf(confDir, ['masters', 'workers'])
  }
  for (const warning of plan.warnings) process.stderr.write(`warning: ${warning}\n`)
  const lines = [
    ...plan.masters.map(({ name, sshHost }) => ['master', name, sshHost ?? '-']),
    ...plan.workers.map(({ name, sshHost }) => ['worker', name, sshHost ?? '-']),
    ...sshOptions(process.env).map((word) => ['ssh-option', word]),
    ['rootdir', requireOneLine(plan.rootDirectory)],
  ]
  process.stdout.write(lines.map((parts) => `${parts.join('\t')}\n`).join(''))
} catch (thrown) {
  process.stderr.write(`${describeError(thrown).message}\n`)
  process.exitCode = 1
}
