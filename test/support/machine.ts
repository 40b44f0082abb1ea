/** One host with a cluster's configuration on it, for tests of the scripts. Default ports are free there. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Test } from 'tap'
import { type ConfOptions, makeConf, SBIN } from './install.ts'
import { makeHosts, type TestHost } from './netns.ts'
import type { Ran, RunOptions } from './run.ts'

export const START = join(SBIN, 'start-tajo.sh')
export const STOP = join(SBIN, 'stop-tajo.sh')
export const DAEMON = join(SBIN, 'tajo-daemon.sh')

/** One host and a configuration on it. */
export interface Machine {
  readonly host: TestHost
  readonly dir: string
  readonly conf: string
  /** Runs one of the scripts with this configuration. */
  script(path: string, args?: readonly string[], options?: RunOptions): Promise<Ran>
  /** HTTP status of a path on a port; 0 for no answer. */
  status(port: number, path: string): Promise<number>
  kill(signal: string, pid: number): Promise<string>
}

/** Removed at the end of the test. */
export function newDir(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'tajo-scripts-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
  return dir
}

/** Needs the part `netns`. */
export async function machine(t: Test, options: ConfOptions): Promise<Machine> {
  const dir = newDir(t)
  const [host] = await makeHosts(t, ['alone'])
  const conf = makeConf(dir, options)
  return {
    host,
    dir,
    conf,
    script: (path, args = [], options = {}) => host.run([path, '--config', conf, ...args], options),
    status: async (port, path) => {
      const url = `http://localhost:${port}${path}`
      const script = `fetch('${url}').then((r) => console.log(r.status), () => console.log(0))`
      return Number(await host.mustRun([process.execPath, '-e', script]))
    },
    kill: (signal, pid) => host.mustRun(['kill', `-${signal}`, String(pid)]),
  }
}

/** Of the master, or of `master-27001`. */
export const pidFile = (dir: string, name = 'master'): string =>
  join(dir, 'alone/run', `tajo-test-${name}.pid`)
export const pidIn = (dir: string, name?: string): number =>
  Number(readFileSync(pidFile(dir, name), 'utf8').trim())
