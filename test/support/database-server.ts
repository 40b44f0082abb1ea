/**
 * A database server of a test's own: in a temporary directory, on the loopback, on a free port. The system's own servers
 * are neither used nor touched. It ends with the test, and with the test's process, however that ends.
 */
import { type ChildProcess, execFileSync } from 'node:child_process'
import { chownSync, mkdtempSync, readFileSync } from 'node:fs'
import { rm } from 'node:fs/promises'
import { connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { errnoOf } from '../../lib/ha/index.ts'
import { freePortRow } from './free-ports.ts'
import { findProgram } from './parts.ts'
import { ended, hasEnded, start } from './processes.ts'
import { mustRun } from './run.ts'
import { until } from './until.ts'

export interface DatabaseServer {
  readonly port: number
  readonly user: string
  readonly password: string
  /** `jdbc:…://127.0.0.1:PORT/` and what follows. */
  uri(databaseAndParameters: string, port?: number): string
  start(): Promise<void>
  /** In good order. */
  stop(): Promise<void>
  /** As a crash: SIGKILL. */
  kill(): Promise<void>
  /** SIGSTOP to it and to all processes that it has started, and the reverse. */
  freeze(): void
  thaw(): void
}

export interface DatabaseKind {
  readonly name: string
  readonly scheme: string
  /** The system's user who runs it when the tests run as root; null: root may. */
  readonly runAs: string | null
  readonly user: string
  readonly password: string
  readonly stopSignal: NodeJS.Signals
  /** Programs with their words; `directory` is empty at first. */
  initialise(directory: string): Promise<readonly string[]>
  serve(directory: string, port: number): readonly string[]
  /** Whether it lets a client in; without it accepting a connection is enough. */
  isReady?(port: number): Promise<boolean>
  /** Of a server that accepts connections: makes the user, where `initialise` does not. Run once. */
  prepare?(directory: string): Promise<void>
}

/** Makes the server's files and starts it; resolves when it accepts connections. */
export async function startDatabaseServer(t: Test, kind: DatabaseKind): Promise<DatabaseServer> {
  const directory = mkdtempSync(join(tmpdir(), `tajo-${kind.name}-`))
  const isRoot = process.getuid?.() === 0
  const runAs = isRoot ? kind.runAs : null
  if (runAs !== null) chownSync(directory, idOf('-u', runAs), idOf('-g', runAs))
  // PR_SET_PDEATHSIG: killed by the kernel when this process dies.
  const ids = runAs === null ? [] : [`--reuid=${runAs}`, `--regid=${runAs}`, '--clear-groups']
  const setpriv = [findProgram('setpriv') ?? 'setpriv', ...ids]

  const port = await freePortRow(1)
  let child: ChildProcess | null = null
  const end = async (signal: NodeJS.Signals) => {
    if (child === null) return
    const ending = ended(child)
    child.kill(signal)
    await ending
    child = null
  }
  const signalAll = (signal: NodeJS.Signals): void => {
    for (const pid of child?.pid === undefined ? [] : familyOf(child.pid)) {
      unlessGone(() => process.kill(pid, signal))
    }
  }
  const server: DatabaseServer = {
    port,
    user: kind.user,
    password: kind.password,
    uri: (rest, at = port) => `jdbc:${kind.scheme}://127.0.0.1:${at}/${rest}`,
    async start() {
      // What a crash has left (shared memory, locks) may take a moment to be seen as left.
      await until(
        `${kind.name} accepts connections`,
        async () => {
          if (child === null || hasEnded(child)) {
            const words = [...setpriv, '--pdeathsig', 'KILL', ...kind.serve(directory, port)]
            child = start(words, { cwd: directory })
          }
          return (await accepts(port)) && (await (kind.isReady?.(port) ?? true))
        },
        { everyMs: 50 },
      )
    },
    stop: () => end(kind.stopSignal),
    kill: () => end('SIGKILL'),
    freeze: () => signalAll('SIGSTOP'),
    thaw: () => signalAll('SIGCONT'),
  }
  t.teardown(async () => {
    server.thaw()
    await server.kill()
    await until(`${kind.name} is gone`, async () => !(await accepts(port)))
    await rm(directory, { recursive: true, force: true, maxRetries: 5 })
  })
  await mustRun([...setpriv, ...(await kind.initialise(directory))], { cwd: directory })
  await server.start()
  await kind.prepare?.(directory)
  return server
}

/** Itself first. */
function familyOf(pid: number): number[] {
  const text = unlessGone(() => readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')) ?? ''
  const children = text.split(' ').filter((one) => one !== '')
  return [pid, ...children.flatMap((one) => familyOf(Number(one)))]
}

/** A server's processes come and go: one of them may end between the look and the deed. */
function unlessGone<T>(deed: () => T): T | null {
  try {
    return deed()
  } catch (error) {
    if (['ENOENT', 'ESRCH'].includes(errnoOf(error))) return null
    throw error
  }
}

const idOf = (flag: '-u' | '-g', user: string): number =>
  Number(execFileSync('id', [flag, user], { encoding: 'utf8' }))

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const answer = (yes: boolean) => () => {
      socket.destroy()
      resolve(yes)
    }
    socket.once('connect', answer(true)).once('error', answer(false))
  })
}
