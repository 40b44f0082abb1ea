/**
 * The certificates that masters and workers of a cluster show to people's programs, in `system/tls` of `tajo.rootdir`:
 * `authority.pem`, made once, and one for each set of names that a daemon's host has. All hold their private key, so they
 * are the cluster's OS user's alone, as everything below `system` is.
 *
 * One authority for all: whoever trusts what one master has shown must not be asked again when another one takes over. It
 * is never replaced: where its file was removed, clients refuse whatever a new one has signed until they are told to forget
 * the old one. Nothing else is replaced either, since some shared directories can't do that at once.
 */
import { createHash, X509Certificate } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { messageOf } from '../../base/failures.ts'
import { pause, waitingClock } from '../../base/time.ts'
import type { KeyAndCertificate } from './make-certificate.ts'
import { writeOnce } from './write-once.ts'

/** Beside the HA directory, which -formatHA clears. */
export const tlsDirectory = (haDirectory: string): string => join(haDirectory, '..', 'tls')

export const AUTHORITY_FILE = 'authority.pem'

/** What a TLS server needs, all PEM. */
export interface ServerCertificate {
  readonly key: string
  /** With the authority's behind it. */
  readonly chain: string
  readonly authority: string
}

interface Wanted {
  /** `system/tls`. */
  readonly directory: string
  readonly clusterId: string
  /** Host names and IP addresses under which this host's ports are called. */
  readonly names: readonly string[]
  /** Since 1970. */
  readonly nowMs: number
}

/** Reads what is there, and makes what is missing. Rejects with an Error for people that names the file. */
export async function certificateOf(wanted: Wanted): Promise<ServerCertificate> {
  const { directory, clusterId, nowMs } = wanted
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const authority = await readOrMake(directory, AUTHORITY_FILE, async () => {
    const { makeAuthority } = await import('./make-certificate.ts')
    return makeAuthority(clusterId, nowMs)
  })
  requireOf(authority, clusterId, join(directory, AUTHORITY_FILE))
  const name = certificateFile(authority, wanted.names)
  const own = await readOrMake(directory, name, async () => {
    const { makeCertificate } = await import('./make-certificate.ts')
    return makeCertificate(authority, wanted)
  })
  requireGood(own, authority, { path: join(directory, name), nowMs })
  const chain = `${new X509Certificate(own.certificate)}${authority.certificate}`
  return { key: own.key, chain, authority: authority.certificate }
}

const certificateFile = ({ certificate }: KeyAndCertificate, names: readonly string[]): string => {
  const signed = [new X509Certificate(certificate).fingerprint256, ...[...names].sort()].join('\n')
  return `certificate-${createHash('sha256').update(signed).digest('hex').slice(0, 16)}.pem`
}

const LOOPBACK = ['localhost', '127.0.0.1', '::1']

/** Of a daemon whose host has these names. Rejects as `certificateOf` does. */
export const daemonCertificate = (
  haDirectory: string,
  clusterId: string,
  names: readonly string[],
): Promise<ServerCertificate> =>
  certificateOf({
    directory: tlsDirectory(haDirectory),
    clusterId,
    names: [...new Set([...names, ...LOOPBACK])],
    nowMs: Date.now(),
  })

/** The authority's certificate alone, PEM; null where there is none. Rejects likewise. */
export async function authorityIn(directory: string): Promise<string | null> {
  return (await readPair(directory, AUTHORITY_FILE))?.certificate ?? null
}

async function readOrMake(
  directory: string,
  name: string,
  make: () => Promise<KeyAndCertificate>,
): Promise<KeyAndCertificate> {
  const there = await readPair(directory, name)
  if (there !== null) return there
  await writeOnce(directory, name, textOf(await make()))
  // Another daemon may have been faster.
  const found = await readPair(directory, name)
  if (found === null) throw new Error(`${join(directory, name)} vanished`)
  return found
}

function requireGood(
  own: KeyAndCertificate,
  authority: KeyAndCertificate,
  { path, nowMs }: { path: string; nowMs: number },
): void {
  const certificate = new X509Certificate(own.certificate)
  const isSigned = certificate.verify(new X509Certificate(authority.certificate).publicKey)
  const isOver = Date.parse(certificate.validTo) <= nowMs
  if (!isSigned || isOver)
    throw new Error(
      `${path} ${isOver ? 'is over' : 'is foreign'}: remove it, and a new one is made`,
    )
}

function requireOf({ certificate }: KeyAndCertificate, clusterId: string, path: string): void {
  const { subject } = new X509Certificate(certificate)
  if (subject.endsWith(` ${clusterId}`)) return
  throw new Error(
    `${path} is another cluster's (${subject}), and this is cluster ${clusterId}: it was copied here. Move it away, and one of this cluster's own is made`,
  )
}

const textOf = ({ key, certificate }: KeyAndCertificate): string => `${key}\n${certificate}`

/** Another daemon may write it at this moment. */
const TRIES = 20
const TRY_AGAIN_MS = 100

/** Null where it isn't there. */
async function readPair(directory: string, name: string): Promise<KeyAndCertificate | null> {
  const path = join(directory, name)
  for (let left = TRIES; ; left -= 1) {
    try {
      return pairIn(await readFile(path, 'utf8'))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
      if (left <= 1) throw unusable(path, error)
      await pause(waitingClock, TRY_AGAIN_MS)
    }
  }
}

function pairIn(text: string): KeyAndCertificate {
  const [key, certificate] = ['PRIVATE KEY', 'CERTIFICATE'].map((label) => blockOf(text, label))
  if (key === undefined || certificate === undefined) throw new Error('it is torn or foreign')
  return { key, certificate: new X509Certificate(certificate).toString() }
}

const unusable = (path: string, error: unknown): Error =>
  new Error(
    `${path} can't be used: ${messageOf(error)}; restore it from a backup, or move it away: a new one is made. Of ${AUTHORITY_FILE} clients refuse a new one until they forget the old one`,
    { cause: error },
  )

const blockOf = (text: string, label: string): string | undefined =>
  text.match(new RegExp(`-----BEGIN ${label}-----[^-]+-----END ${label}-----`))?.[0]
