/**
 * Two hosts, `ma` and `mb`, with one configuration and one path for the shared directory: what is mounted there on each is
 * the test's to say. Each has its own network, mounts and processes (`netns.ts`).
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import { HOME, makeConf, SBIN, siteXml } from './install.ts'
import { makeHosts, type TestHost } from './netns.ts'
import { ended, start } from './processes.ts'
import type { Ran } from './run.ts'
import { makeSshKeys, startSshServer } from './sshd.ts'

const CLEAN = ['/usr/bin/env', '-u', 'NODE_OPTIONS']
const TAJO = [...CLEAN, process.execPath, join(HOME, 'bin', 'tajo')]
const TSQL = [...CLEAN, process.execPath, join(HOME, 'bin', 'tsql')]

export interface Site {
  readonly dir: string
  readonly root: string
  readonly conf: string
  readonly ma: TestHost
  readonly mb: TestHost
  /** These properties beside the site's own, in place of those of the time before. */
  set(properties: Readonly<Record<string, string>>): void
  daemon(host: TestHost, action: string): Promise<Ran>
  haadmin(host: TestHost, ...words: string[]): Promise<Ran>
  sql(host: TestHost, text: string): Promise<Ran>
}

export interface SiteOptions {
  readonly monitorMs: number
  /** With SSH servers, by which commands reach the other host; needs the part `sshd`. */
  readonly ssh?: boolean
}

/** Needs the part `netns`. */
export async function makeSite(
  t: Pick<Test, 'teardown'>,
  { monitorMs, ssh = false }: SiteOptions,
): Promise<Site> {
  const dir = mkdtempSync(join(tmpdir(), 'tajo-mounts-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true, maxRetries: 5 }))
  mkdirSync(join(dir, 'backing'))
  const root = join(dir, 'root')
  const keys = ssh ? await makeSshKeys(join(dir, 'keys')) : null
  const site = {
    'tajo.rootdir': `file://${root}`,
    'tajo.master.ha.enable': 'true',
    'tajo.master.ha.monitor.interval': String(monitorMs),
    'tajo.worker.tmpdir.locations': join(dir, 'spill'),
  }
  const sshOptions = keys === null ? '' : `TAJO_SSH_OPTS="${keys.options}"`
  const env = `export ${sshOptions} TAJO_STOP_TIMEOUT=5`
  const conf = makeConf(dir, { masters: 'ma\nmb\n', site, env })
  const set = (more: Readonly<Record<string, string>>): void =>
    writeFileSync(join(conf, 'tajo-site.xml'), siteXml({ ...site, ...more }))
  set({})
  const [ma, mb] = await makeHosts(t, ['ma', 'mb'] as const)
  if (keys !== null) {
    await Promise.all([ma, mb].map((host) => startSshServer(t, { keys, host })))
  }
  return {
    ...{ dir, root, conf, ma, mb, set },
    daemon: (host, action) =>
      host.run([join(SBIN, 'tajo-daemon.sh'), '--config', conf, action, 'master'], {
        env: { TAJO_MASTER_NAME: host.name },
      }),
    haadmin: (host, ...words) => host.run([...TAJO, 'haadmin', '--config', conf, ...words]),
    sql: (host, text) =>
      host.run([...TSQL, '--config', conf, '-h', host.name, '-p', '26002', '-c', text]),
  }
}

/** rclone at the site's path on that host: it keeps writes, names and absences. Needs the part `rclone`. */
export async function mountRclone({ dir, root }: Site, host: TestHost): Promise<void> {
  const words = ['rclone', 'mount', join(dir, 'backing'), root, '--vfs-cache-mode', 'writes']
  const cache = ['--cache-dir', join(dir, `cache-${host.name}`), '--config', '/dev/null']
  await host.mustRun([...words, ...cache, '--daemon'])
}

export interface Cluster {
  readonly clusterId: string
  readonly problem: string | null
  readonly active: string | null
  readonly storage: string
  readonly alerts: readonly { level: string; kind: string; text: string }[]
}

/** What that host's info port says under this path; empty where nobody answers. */
export async function pageOf(
  host: TestHost,
  path: string,
  { authorization = '' }: { readonly authorization?: string } = {},
): Promise<string> {
  const header = ['-H', `authorization: ${authorization}`]
  const words = ['curl', '-s', '-m', '5', ...header, `http://127.0.0.1:26080${path}`]
  return (await host.run(words)).stdout
}

export async function clusterOf(host: TestHost): Promise<Cluster | null> {
  const text = await pageOf(host, '/api/v1/cluster')
  return text === '' ? null : (JSON.parse(text) as Cluster)
}

/** Texts of the critical alerts, of one kind or of all. */
export const criticalOf = (cluster: Cluster | null, kind?: string): string =>
  (cluster?.alerts ?? [])
    .filter((alert) => alert.level === 'critical' && (kind === undefined || alert.kind === kind))
    .map(({ text }) => text)
    .join('\n')

/** One answer of `/health/active` by both hosts. */
export interface Actives {
  /** Wall clock, ms. */
  readonly atMs: number
  readonly ma: boolean
  readonly mb: boolean
}

const ASK = `
  const [everyMs, ...names] = process.argv.slice(1)
  const ask = (name) =>
    fetch('http://' + name + ':26080/health/active', { signal: AbortSignal.timeout(2000) })
      .then((answer) => answer.status === 200, () => false)
  for (;;) {
    const atMs = Date.now()
    const [ma, mb] = await Promise.all(names.map(ask))
    console.log(JSON.stringify({ atMs, ma, mb }))
    await new Promise((done) => setTimeout(done, atMs + Number(everyMs) - Date.now()))
  }`

/** Both are asked again and again, from `ma`; `end` answers all that they have said. */
export function watchActives(
  { ma }: Site,
  everyMs = 200,
): { readonly seen: readonly Actives[]; end(): Promise<readonly Actives[]> } {
  const seen: Actives[] = []
  const words = ['--input-type=module', '-e', ASK, String(everyMs), 'ma', 'mb']
  const child = start(ma.command([process.execPath, ...words]))
  createInterface({ input: child.stdout }).on('line', (line) => {
    seen.push(JSON.parse(line) as Actives)
  })
  return {
    seen,
    end: async () => {
      child.kill('SIGTERM')
      await ended(child)
      return seen
    },
  }
}
