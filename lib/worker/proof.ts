/**
 * A worker proves that its directories are the cluster's, each by itself: tajo.rootdir and tajo.warehouse.directory, which
 * may be another mount. One that is not mounted here, a local disk, a copy would take in what it writes, and nobody else
 * would ever see it.
 *
 * After it has registered it asks the active which file of its term lies in each (lib/master/queries/files/proof.ts), looks for
 * it, and makes one of its own there, whose name the master tries to create: "exists" is the proof, "created" is two
 * directories, or a cache. An error there is unknown, and the master's file alone has to do. From then on it looks for
 * that file once a period and before it reports what it has written, and whether the mount is still the same one.
 */
import { randomUUID } from 'node:crypto'
import { join } from 'node:path'
import { messageOf } from '../base/failures.ts'
import type { Log } from '../base/log.ts'
import { StorageLook } from '../base/storage-look.ts'
import type { Clock } from '../base/time.ts'
import type { AnswerOf, Services } from '../contract/index.ts'
import { MountWatch, type MountWords, NonceFiles, placeOf } from '../ha/index.ts'
import { RpcError } from '../rpc/index.ts'
import type { ActiveMaster } from './masters.ts'
import type { Way } from './staging.ts'

/** A directory to prove. */
export interface ProofDirectory {
  readonly key: string
  /** Absolute, as it is told. */
  readonly path: string
  /** Where its nonces lie: in which directory, under which name. */
  readonly nonces: { readonly directory: string; readonly name: string }
  /** What can be seen of it without a master: rejects with what is wrong. */
  readonly look?: (clusterId: string) => Promise<void>
}

interface ProofOptions {
  readonly directories: readonly ProofDirectory[]
  readonly workerId: string
  readonly incarnation: string
  readonly clusterId: () => string
  readonly everyMs: number
  /** A look that takes longer hangs. */
  readonly limitMs: number
  /** What is wrong, or proven, has changed. */
  readonly onChange: () => void
  readonly clock: Clock
  readonly log: Log
}

type Answer = AnswerOf<Services['tracker']['prove']>
type Place = Answer['places'][number]

const CALL_MS = 10_000
/** After a call that came to nothing. */
const AGAIN_MS = 200

export class Proof {
  readonly #options: ProofOptions
  readonly #all: readonly Directory[]
  #cancel = (): void => {}
  #session: Session | null = null

  constructor(options: ProofOptions) {
    this.#options = options
    this.#all = options.directories.map(
      (directory) => new Directory(directory, { ...options, session: () => this.#session }),
    )
  }

  /** A sentence that names the directory; null while nothing is known to be wrong. */
  get trouble(): string | null {
    const found = this.#all.flatMap(({ trouble }) => (trouble === null ? [] : [trouble]))
    return found.length === 0 ? null : found.join('; ')
  }

  /** The active's nonces that were found; null: the active is of a version that has none. */
  proven(): string[] | null {
    if (this.#session?.isOlder === true) return null
    return this.#all.flatMap(({ found }) => (found === null ? [] : [found]))
  }

  start(): void {
    for (const one of this.#all) one.start()
  }

  stop(): void {
    this.#cancel()
    for (const one of this.#all) one.stop()
  }

  /** Another active: its nonces have other names. */
  follow(active: ActiveMaster): void {
    const { workerId, incarnation, clock } = this.#options
    const again = (): void => {
      this.#cancel = clock.after(AGAIN_MS, () => this.#soon())
    }
    this.#session = new Session({ active, workerId, incarnation, again })
    this.#soon()
  }

  /**
   * What is written below `path` is in the cluster's directory, as far as can be told now; then by which way directories are
   * made there, null where there is none but their own path. Rejects with why not.
   */
  async require(path: string): Promise<Way | null> {
    const isIts = ({ path: root }: Directory): boolean =>
      path === root || path.startsWith(`${root}/`)
    // A warehouse below the rootdir is the nearer one.
    const nearest = this.#all.filter(isIts).sort((a, b) => b.path.length - a.path.length)[0]
    return (await nearest?.require()) ?? null
  }

  #soon(): void {
    for (const one of this.#all) one.soon()
  }
}

interface SessionOptions {
  readonly active: ActiveMaster
  readonly workerId: string
  readonly incarnation: string
  /** A call came to nothing: look again soon. */
  readonly again: () => void
}

/** With one active, as long as this worker is on its list. */
class Session {
  readonly #o: SessionOptions
  #told: Promise<Answer | null> | null = null
  #isOlder = false

  constructor(options: SessionOptions) {
    this.#o = options
  }

  get isOlder(): boolean {
    return this.#isOlder
  }

  get master(): string {
    return this.#o.active.addresses.tracker
  }

  /** Null: nobody can tell now, or it proves nothing. `anew`: as it is at this moment. */
  async place(key: string, anew = false): Promise<(Place & { readonly host: string }) | null> {
    if (anew) this.#told = null
    this.#told ??= this.#call([])
    const told = this.#told
    const answer = await told
    const place = answer?.places.find((one) => one.key === key)
    if (answer !== null && place !== undefined && place.nonce !== null)
      return { ...place, host: answer.host }
    // To be asked anew the next time, by whoever comes first.
    if (this.#told === told) this.#told = null
    return null
  }

  /** Tells what the master's exclusive create of this worker's nonce found. */
  async check(key: string, nonce: string): Promise<'exists' | 'created' | 'unknown'> {
    const answer = await this.#call([{ key, nonce }])
    const check = answer?.found.find((one) => one.nonce === nonce)?.check
    return check === 'exists' || check === 'created' ? check : 'unknown'
  }

  async #call(made: { key: string; nonce: string }[]): Promise<Answer | null> {
    const { active, workerId, incarnation, again } = this.#o
    try {
      const request = { workerId, incarnation, made }
      return await active.tracker.call('prove', request, { deadlineMs: CALL_MS })
    } catch (error) {
      if (RpcError.is(error, 'NOT_FOUND')) this.#isOlder = true
      else again()
      return null
    }
  }
}

/** Proven: the active's nonce was found at this place. */
interface Found {
  readonly nonce: string
  readonly files: NonceFiles
  readonly watch: MountWatch
}

class Directory {
  readonly #o: ProofDirectory & ProofOptions & { readonly session: () => Session | null }
  readonly #look: StorageLook
  #found: Found | null = null

  constructor(
    directory: ProofDirectory,
    options: ProofOptions & { readonly session: () => Session | null },
  ) {
    this.#o = { ...options, ...directory }
    this.#look = new StorageLook({
      ...options,
      directory: directory.path,
      means: 'no more queries are taken',
      look: async () => {
        await directory.look?.(options.clusterId())
        await this.#prove()
      },
    })
  }

  get path(): string {
    return this.#o.path
  }

  get trouble(): string | null {
    return this.#look.trouble
  }

  get found(): string | null {
    return this.#found?.nonce ?? null
  }

  start(): void {
    this.#look.start()
  }

  soon(): void {
    this.#look.soon()
  }

  stop(): void {
    this.#look.stop()
  }

  /** Rejects with why what was written is not in the cluster's directory. */
  async require(): Promise<Way | null> {
    try {
      await this.#prove()
    } catch (error) {
      this.#look.soon()
      throw error
    }
    const { path, nonces } = this.#o
    if (this.#found === null || nonces.directory !== path) return null
    // The nonces' directory is missing where the mount is gone, and so is every name by way of it.
    return { root: path, by: `${path}/${nonces.name}/..` }
  }

  async #prove(): Promise<void> {
    const { key, session: current } = this.#o
    const session = current()
    const found = this.#found
    const lost = (await found?.watch.trouble(() => found.files.has(found.nonce))) ?? null
    const place = (await session?.place(key)) ?? null
    if (lost === null) {
      if (session === null || place === null) return
      if (found?.nonce === place.nonce && (await found.files.has(found.nonce))) return
    }
    try {
      // The active makes one of another name where its own was removed.
      const isNew = found?.nonce !== place?.nonce
      const now = isNew ? place : ((await session?.place(key, true)) ?? null)
      if (session !== null && now !== null) await this.#find(session, now)
      else if (lost !== null) throw new Error(lost)
    } catch (error) {
      throw lost === null ? error : new Error(lost)
    }
  }

  async #find(
    session: Session,
    { nonce, host, path: there }: Place & { readonly host: string },
  ): Promise<void> {
    const { key, path, nonces, log, onChange } = this.#o
    if (nonce === null) return
    const files = new NonceFiles(nonces.directory, nonces.name)
    const at = await placeIn(nonces.directory)
    const whose = `the active master ${session.master} on ${host} has made ${join(there, nonce)}`
    if (at === null || !(await files.has(nonce))) {
      const what = at === null ? 'is not here' : `has no such file here, and is on ${mountText(at)}`
      throw new Error(
        `${path} (${key}) is not the cluster's directory: ${whose}; it ${what}. Is it mounted on this host?`,
      )
    }
    if ((await this.#contest(session, files)) === 'created') {
      throw new Error(
        `${path} (${key}) is not the cluster's directory, or a cache of it: ${whose}, and it is here too; what this worker makes here is not there. It may be a copy`,
      )
    }
    this.#found = { nonce, files, watch: new MountWatch(at, log, WORDS) }
    onChange()
  }

  async #contest(session: Session, files: NonceFiles): Promise<'exists' | 'created' | 'unknown'> {
    const { key, incarnation, log } = this.#o
    const own = `worker-${randomUUID()}`
    try {
      if (!(await files.add(own, incarnation))) return 'unknown'
      const check = await session.check(key, own)
      // Somebody may have removed it meanwhile.
      if (check === 'created' && !((await files.list())?.includes(own) ?? false)) return 'unknown'
      return check
    } catch (error) {
      // Such as a mount that is read-only here, or full.
      log('info', `${this.path} is proven by the active's file alone: ${messageOf(error)}`, {
        event: 'worker-place-unproven',
      })
      return 'unknown'
    } finally {
      await files.remove(own).catch((error: unknown) => {
        log('debug', `${own} stays until the next term: ${messageOf(error)}`, {
          event: 'proof-file-left',
        })
      })
    }
  }
}

type MountPlace = Awaited<ReturnType<typeof placeOf>>

/** Null: it is not there. */
async function placeIn(directory: string): Promise<MountPlace | null> {
  try {
    return await placeOf(directory)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}

const mountText = ({ mount }: MountPlace): string =>
  mount === null ? 'no mount' : `${mount.source} (${mount.type}, mounted at ${mount.mountPoint})`

const WORDS: MountWords = {
  who: 'this worker',
  meanwhile: 'no more queries are taken',
}
