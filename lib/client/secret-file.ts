/**
 * The cluster's secret and id, as its HA directory has them, and the authority beside it, for whoever may read it there.
 *
 * Another program reads the files, which is killed when it takes too long: a file call on a dead mount hangs for ever, and
 * a process with such a call can't exit. `grep` is on every system, and takes a hundredth of the time that Node needs to
 * start.
 */
import { join } from 'node:path'
import type { ClusterSecret } from './credentials.ts'

const LIMIT_MS = 4000
const LONGEST = 64 * 1024
const AUTHORITY = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/

/** Null where they can't be read, or not in time. Never rejects. */
export async function secretIn(haDirectory: string): Promise<ClusterSecret | null> {
  const names = ['secret', 'cluster.json', 'single-cluster', '../tls/authority.pem']
  const files = names.map((name) => join(haDirectory, name))
  const [secret = '', cluster = '', single = '', tls = ''] = await textsOf(files)
  const clusterId = clusterIn(cluster) ?? single.trim()
  const authority = AUTHORITY.exec(tls)?.[0] ?? null
  const isWhole = secret.trim() !== '' && clusterId !== ''
  return isWhole ? { clusterId, secret: secret.trim(), authority } : null
}

/** Empty for one that is not there. */
async function textsOf(files: readonly string[]): Promise<string[]> {
  const { execFile } = await import('node:child_process')
  const output = await new Promise<string>((resolve) => {
    const options = { timeout: LIMIT_MS, killSignal: 'SIGKILL', maxBuffer: LONGEST } as const
    // It fails where one of the files is missing, which is the usual case.
    const child = execFile('grep', ['-s', '', ...files], options, (_error, stdout) =>
      resolve(stdout),
    )
    child.unref()
  })
  const lines = output.split('\n')
  return files.map((file) =>
    lines
      .filter((line) => line.startsWith(`${file}:`))
      .map((line) => line.slice(file.length + 1))
      .join('\n'),
  )
}

function clusterIn(text: string): string | null {
  try {
    const { clusterId } = JSON.parse(text) as { clusterId?: unknown }
    return typeof clusterId === 'string' ? clusterId : null
  } catch {
    // None, or torn: then nobody is shown a token.
    return null
  }
}
