/**
 * The certificate that all masters and workers of a cluster show to people's programs, in `system/tls` of `tajo.rootdir`:
 * `authority.pem`, made once, and `certificate.pem`, made anew by the first daemon that finds a name of its host missing
 * in it. Both hold their private key, so they are the cluster's OS user's alone, as everything below `system` is.
 *
 * One certificate for all: whoever trusts what one master has shown must not be asked again when another one takes over.
 * The authority is never replaced: where its file was removed and cluster members go on, clients refuse whatever a new one
 * has signed until they are told to forget the old one.
 */
import { X509Certificate } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { isIP } from 'node:net'
import { join } from 'node:path'
import { messageOf } from '../../base/failures.ts'
import { nameOfCluster } from '../../rpc/index.ts'
import type { KeyAndCertificate } from './make-certificate.ts'
import { writeOnce, writeOver } from './write-once.ts'

/** Beside the HA directory, which -formatHA clears. */
export const tlsDirectory = (haDirectory: string): string => join(haDirectory, '..', 'tls')

export const AUTHORITY_FILE = 'authority.pem'
const CERTIFICATE_FILE = 'certificate.pem'

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
  const { directory, clusterId } = wanted
  await mkdir(directory, { recursive: true, mode: 0o700 })
  const authority =
    (await readPair(directory, AUTHORITY_FILE)) ?? (await makeAuthority(directory, wanted))
  const shown = await readPair(directory, CERTIFICATE_FILE)
  const isGood = shown !== null && fits(shown, authority, wanted)
  const own = isGood ? shown : await makeAnew(directory, { authority, shown, wanted })
  const chain = `${new X509Certificate(own.certificate)}${authority.certificate}`
  requireOf(authority, clusterId, join(directory, AUTHORITY_FILE))
  return { key: own.key, chain, authority: authority.certificate }
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

async function makeAuthority(directory: string, wanted: Wanted): Promise<KeyAndCertificate> {
  const { makeAuthority: make } = await import('./make-certificate.ts')
  const made = await make(wanted.clusterId, wanted.nowMs)
  await writeOnce(directory, AUTHORITY_FILE, textOf(made))
  // Another daemon may have been faster.
  const found = await readPair(directory, AUTHORITY_FILE)
  if (found === null) throw new Error(`${join(directory, AUTHORITY_FILE)} vanished`)
  return found
}

/** Names of other hosts stay in it: so it is made anew once for each host, and not by each in turn. */
async function makeAnew(
  directory: string,
  what: { authority: KeyAndCertificate; shown: KeyAndCertificate | null; wanted: Wanted },
): Promise<KeyAndCertificate> {
  const { authority, shown, wanted } = what
  const { makeCertificate } = await import('./make-certificate.ts')
  const kept = shown === null ? [] : hostNamesIn(new X509Certificate(shown.certificate), wanted)
  const names = [...new Set([...kept, ...wanted.names])].slice(-MOST_NAMES)
  const made = await makeCertificate(authority, { ...wanted, names })
  await writeOver(directory, CERTIFICATE_FILE, textOf(made))
  return made
}

/** More than that no handshake should carry; the ones that came first go first. */
const MOST_NAMES = 200

function hostNamesIn({ subjectAltName = '' }: X509Certificate, { clusterId }: Wanted): string[] {
  const names = subjectAltName.split(', ').map((one) => one.replace(/^(DNS|IP Address):/, ''))
  return names.filter((one) => one !== '' && one !== nameOfCluster(clusterId))
}

function fits(shown: KeyAndCertificate, authority: KeyAndCertificate, wanted: Wanted): boolean {
  const certificate = new X509Certificate(shown.certificate)
  const issuer = new X509Certificate(authority.certificate)
  const names = [nameOfCluster(wanted.clusterId), ...wanted.names]
  return (
    certificate.verify(issuer.publicKey) &&
    Date.parse(certificate.validTo) > wanted.nowMs &&
    names.every((name) => isGoodFor(certificate, name))
  )
}

const isGoodFor = (certificate: X509Certificate, name: string): boolean =>
  (isIP(name) === 0 ? certificate.checkHost(name) : certificate.checkIP(name)) !== undefined

function requireOf({ certificate }: KeyAndCertificate, clusterId: string, path: string): void {
  const { subject } = new X509Certificate(certificate)
  if (subject.endsWith(` ${clusterId}`)) return
  throw new Error(
    `${path} is another cluster's (${subject}), and this is cluster ${clusterId}: it was copied here. Move it away, and one of this cluster's own is made`,
  )
}

const textOf = ({ key, certificate }: KeyAndCertificate): string => `${key}\n${certificate}`

/** Null where it isn't there. */
async function readPair(directory: string, name: string): Promise<KeyAndCertificate | null> {
  const path = join(directory, name)
  try {
    const text = await readFile(path, 'utf8')
    const [key, certificate] = ['PRIVATE KEY', 'CERTIFICATE'].map((label) => blockOf(text, label))
    if (key === undefined || certificate === undefined) throw new Error('it is torn or foreign')
    return { key, certificate: new X509Certificate(certificate).toString() }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    const advice =
      'restore it from a backup, or move it away: a new one is made, which clients refuse until they forget the old one'
    throw new Error(`${path} can't be used: ${messageOf(error)}; ${advice}`, { cause: error })
  }
}

const blockOf = (text: string, label: string): string | undefined =>
  text.match(new RegExp(`-----BEGIN ${label}-----[^-]+-----END ${label}-----`))?.[0]
