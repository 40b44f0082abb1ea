/**
 * A daemon of a test: this build's `tajo master` or `tajo worker`, or that of the install that TAJO_HOME names, with the conf,
 * logs and run folders of its own directory.
 */
import type { ChildProcessWithoutNullStreams } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { END_WITH_PARENT, start } from './processes.ts'

const HOME = fileURLToPath(new URL('../../..', import.meta.url))

/**
 * Starts it and returns at once; `onSaid` gets what it prints. `watched`: as sbin/tajo-daemon.sh starts a worker, by a
 * shell that sees how it ends; the process that is answered is that shell.
 */
export function startDaemon(
  role: 'master' | 'worker',
  options: {
    readonly dir: string
    readonly env?: Readonly<Record<string, string>>
    readonly onSaid: (text: string) => void
    readonly watched?: boolean
    /** Words that become the daemon in the end, such as those for mounts of its own. */
    readonly before?: readonly string[]
    /** Not the bundle: for whoever reaches into its modules. */
    readonly fileByFile?: boolean
  },
): ChildProcessWithoutNullStreams {
  const { dir, env = {}, onSaid, watched = false, before = [], fileByFile = false } = options
  const home = env.TAJO_HOME ?? HOME
  const watch = ['bash', join(home, 'sbin/watch-worker'), ...END_WITH_PARENT]
  const bundle = join(home, 'build/programs/tajo.js')
  // An install of an earlier version has no bundle.
  const isBundled = !fileByFile && existsSync(bundle)
  const program = isBundled ? bundle : join(home, 'build/lib/cli/tajo.js')
  const daemon = [process.execPath, program, role]
  const child = start([...before, ...(watched ? watch : []), ...daemon], {
    cwd: home,
    logDir: join(dir, 'logs'),
    env: {
      TAJO_HOME: home,
      TAJO_CONF_DIR: join(dir, 'conf'),
      TAJO_LOG_DIR: join(dir, 'logs'),
      TAJO_PID_DIR: join(dir, 'run'),
      TAJO_IDENT_STRING: 'test',
      // As sbin/tajo-daemon.sh starts a master.
      ...(role === 'master' ? { GLIBC_TUNABLES: 'glibc.malloc.hugetlb=1' } : {}),
      TAJO_PID_FILE: undefined,
      TAJO_LOG_FILE: undefined,
      TAJO_MASTER_NAME: undefined,
      TAJO_WORKER_NAME: undefined,
      ...env,
    },
  })
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', onSaid)
  return child
}

/** The text of a tajo-site.xml with these properties. */
export function siteXml(site: Readonly<Record<string, string>>): string {
  const properties = Object.entries(site).map(
    ([name, value]) => `<property><name>${name}</name><value>${value}</value></property>`,
  )
  return `<configuration>${properties.join('\n')}</configuration>\n`
}

/** Whether a daemon that said this has its ports open; one that is refused may say "already". */
export const saysReady = (said: string): boolean => /^ready /m.test(said)
