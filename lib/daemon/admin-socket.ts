/**
 * The Unix socket that takes a daemon's changing orders: on its own host only, for its own OS user only. The kernel's
 * file permissions are the whole protection, so the socket never exists with a wider mode, not even for a moment.
 */
import { createHash } from 'node:crypto'
import { chmodSync, lstatSync, unlinkSync } from 'node:fs'
import { connect, type Server } from 'node:net'
import { dirname, join } from 'node:path'
import { OwnPlaceError } from '../base/own-place.ts'
import { waitingClock, within } from '../base/time.ts'
import { makeOwnDirectory } from './own-directory.ts'

/** sockaddr_un has 108 bytes on Linux, less elsewhere. */
const LONGEST_PATH_BYTES = 100
/** A live daemon accepts at once; the kernel does it for a frozen one, too. */
const PROBE_MS = 1000

/**
 * Where the socket of `name` (such as `tajo-hadoop-master`) is: in the pid directory, or, if that path is too long for
 * a socket, under a digest of it in a directory of this user's own in /tmp.
 */
export function adminSocketPath(pidDir: string, name: string, uid: number): string {
  const wanted = join(pidDir, `${name}.sock`)
  if (Buffer.byteLength(wanted) <= LONGEST_PATH_BYTES) return wanted
  const digest = createHash('sha256').update(wanted).digest('hex').slice(0, 32)
  return join('/tmp', `tajo-${uid}`, `${digest}.sock`)
}

/**
 * Listens on `path` with mode 0600. A socket file that a dead process left is replaced. Rejects with an Error when a
 * living process listens there, with OwnPlaceError when its directory is not this user's alone.
 */
export async function listenOnSocket(server: Server, path: string): Promise<void> {
  try {
    makeOwnDirectory('TAJO_PID_DIR', dirname(path))
    await removeStale(path)
    await listenPrivately(server, path)
  } catch (error) {
    if (error instanceof OwnPlaceError) throw error
    throw new Error(`can't open the admin socket ${path}: ${(error as Error).message}`, {
      cause: error,
    })
  }
}

async function removeStale(path: string): Promise<void> {
  const found = lstatSync(path, { throwIfNoEntry: false })
  if (found === undefined) return
  if (!found.isSocket()) throw new Error('there is a file of that name that is no socket')
  if (await answers(path)) throw new Error('a living process listens there')
  unlinkSync(path)
}

function answers(path: string): Promise<boolean> {
  const probe = connect(path)
  const answer = new Promise<boolean>((resolve) => {
    probe.once('connect', () => resolve(true))
    probe.once('error', (error: NodeJS.ErrnoException) =>
      resolve(error.code !== 'ECONNREFUSED' && error.code !== 'ENOENT'),
    )
  })
  // A full queue of a process that accepts nothing any more: somebody holds it all the same.
  return within(waitingClock, PROBE_MS, answer, () => true).finally(() => probe.destroy())
}

function listenPrivately(server: Server, path: string): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.once('listening', () => {
      server.off('error', reject)
      chmodSync(path, 0o600)
      resolve()
    })
    // bind() happens before listen() returns, and takes its mode from the umask: no moment with a wider one.
    const umask = process.umask(0o177)
    try {
      server.listen(path)
    } finally {
      process.umask(umask)
    }
  })
}
