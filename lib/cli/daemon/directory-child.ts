/**
 * The process that touches the shared directory for haadmin and tsql, so that they themselves never do: a file call on a dead
 * mount hangs for ever, and a Node process with such a call can't exit. This one is simply killed.
 *
 * One request as JSON in argv; on stdout a line when it begins, and one line of JSON as the answer. The parent is
 * `directory.ts`.
 */
import { spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { forPeople, type Log } from '../../base/log.ts'
import { ownUid } from '../../base/own-place-look.ts'
import type { Origin } from '../../catalog/index.ts'
import {
  type Addresses,
  checkStorage,
  type DirectoryPicture,
  formatDirectory,
  giveDirectoryOrder,
  HaError,
  type HistoryEntry,
  inspectDirectory,
  makeDirs,
  readDirectoryHistory,
  readMembers,
  readSecret,
  type Timing,
} from '../../ha/index.ts'
import { BEGUN } from './directory.ts'
import { strangeOwnerOf } from './own-shown.ts'

export type StorageReport = Awaited<ReturnType<typeof checkStorage>>
type Peer = NonNullable<Parameters<typeof checkStorage>[0]['peer']>

/** What can be asked of the directory, each with its answer. */
export interface DirectoryAnswers {
  inspect: DirectoryPicture
  history: HistoryEntry[]
  format: { epoch: number }
  /** Null: no master has made it yet. */
  secret: string | null
  /** Null: no master has formed one. */
  cluster: string | null
  /** PEM; null: no daemon has made it yet. */
  authority: string | null
  members: readonly Addresses[]
  /** Carried out, or rejected as that master has refused it. */
  order: null
  check: StorageReport
}
export type DirectoryRequest =
  | { readonly op: 'inspect'; readonly directory: string; readonly watchMs: number }
  | { readonly op: 'history'; readonly directory: string; readonly limit: number }
  | { readonly op: 'secret'; readonly directory: string }
  | { readonly op: 'cluster'; readonly directory: string }
  | { readonly op: 'authority'; readonly directory: string }
  | { readonly op: 'members'; readonly directory: string }
  | {
      readonly op: 'format'
      readonly directory: string
      readonly timing: Timing
      readonly by: string
      /** Of a catalog that is kept elsewhere. */
      readonly origin: Origin
      /** Of a catalog that may lie in the shared directory as well: `tajo.catalog.uri` of DerbyStore, or null. */
      readonly derbyUri: string | null
    }
  | {
      readonly op: 'order'
      readonly directory: string
      readonly order: Parameters<typeof giveDirectoryOrder>[1]
      readonly timing: Timing
      readonly limitMs: number
    }
  | {
      readonly op: 'check'
      readonly directory: string
      /** The command that starts the check's other end, such as ssh with its arguments; null for this host alone. */
      readonly peer: readonly string[] | null
      /** conf/masters names other hosts, too. */
      readonly severalHosts: boolean
      /** The configured one. */
      readonly monitorMs: number
    }

export type DirectoryReply =
  | { readonly ok: true; readonly answer: unknown }
  | { readonly ok: false; readonly code: string | null; readonly message: string }

function answer(request: DirectoryRequest): Promise<unknown> {
  const { directory } = request
  switch (request.op) {
    case 'inspect':
      return inspectDirectory(directory, { watchMs: request.watchMs })
    case 'history':
      return readDirectoryHistory(directory, request.limit)
    case 'secret':
      return readSecret(directory)
    case 'cluster':
      return clusterOf(directory)
    case 'authority':
      return authorityOf(directory)
    case 'members':
      return readMembers(directory)
    case 'format':
      return format(request)
    case 'order':
      return giveDirectoryOrder(directory, request.order, request).then(() => null)
    case 'check': {
      const { peer, severalHosts, monitorMs } = request
      const options = { directory, severalHosts, monitorMs }
      return checkStorage(peer === null ? options : { ...options, peer: startPeer(peer) })
    }
  }
}

async function clusterOf(directory: string): Promise<string | null> {
  const { clusterIdOf } = await import('./cluster-identity.ts')
  return clusterIdOf(directory)
}

async function authorityOf(directory: string): Promise<string | null> {
  const { authorityIn, tlsDirectory } = await import('./cluster-certificate.ts')
  return authorityIn(tlsDirectory(directory))
}

async function format(request: DirectoryRequest & { op: 'format' }): Promise<{ epoch: number }> {
  const { directory, timing, by } = request
  const rootDirectory = join(directory, '../..')
  // Above them anything may be root's.
  await requireOwnerOf(existsSync(directory) ? directory : dirname(directory))
  const log: Log = (level, message, facts) => {
    if (level === 'warn' || level === 'error') {
      process.stderr.write(`${forPeople(message, facts)}\n`)
    }
  }
  const { term: catalogTerm, clusterId: catalogCluster } = await originFor(request, log)
  // Making it would hide that the share is not mounted; where a catalog stands beside it, it is, and was removed alone.
  if (!existsSync(directory)) {
    if (catalogTerm === 0) {
      throw new Error(`${directory} does not exist: is the shared directory mounted here?`)
    }
    await makeDirs(directory, 0o700)
  }
  const { requireNobodyAlone } = await import('./rootdir-use.ts')
  await requireNobodyAlone(directory, rootDirectory).catch((error: Error) => {
    throw new HaError('UNSAFE', error.message, { cause: error })
  })
  return formatDirectory(directory, {
    timing,
    by,
    catalogTerm,
    catalogCluster,
    log,
  })
}

/** Files that are made anew are closed to all but their maker: the daemons would not start any more. */
async function requireOwnerOf(directory: string): Promise<void> {
  const uid = await strangeOwnerOf(directory)
  if (uid === null) return
  throw new HaError(
    'UNSAFE',
    `${directory} belongs to uid ${uid}, who could not read what uid ${ownUid()} makes there: run this as that user`,
  )
}

/** Of the catalog that is configured, and of one that is still in the shared directory. */
async function originFor(
  { directory, origin, derbyUri }: DirectoryRequest & { op: 'format' },
  log: Log,
): Promise<Origin> {
  const { embeddedStore, sharedStore } = await import('../../catalog/index.ts')
  const { newerOrigin, originOf } = await import('./configured-store.ts')
  const shared = await originOf(sharedStore(join(directory, '../..'), log))
  if (derbyUri === null) return newerOrigin(origin, shared)
  return newerOrigin(await originOf(await embeddedStore({ uri: derbyUri })), shared)
}

/** What the other end complains about reaches the person who asked: ssh says best why a host can't be reached. */
function startPeer([program = '', ...args]: readonly string[]): Peer {
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  child.on('error', (error) => process.stderr.write(`can't start ${program}: ${error.message}\n`))
  // An end that is gone is told by its lines' end.
  child.stdin.on('error', () => {})
  return {
    send: (line) => {
      child.stdin.write(`${line}\n`)
    },
    lines: createInterface({ input: child.stdout }),
  }
}

async function reply(): Promise<DirectoryReply> {
  try {
    const request = JSON.parse(process.argv[2] ?? '') as DirectoryRequest
    return { ok: true, answer: await answer(request) }
  } catch (thrown) {
    const error = thrown instanceof Error ? thrown : new Error(String(thrown))
    const code = 'code' in error && typeof error.code === 'string' ? error.code : null
    return { ok: false, code, message: error.message }
  }
}

process.stdout.write(BEGUN)
process.stdout.write(`${JSON.stringify(await reply())}\n`)
