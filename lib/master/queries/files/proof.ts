/**
 * The active's part in the proof that its workers have its directories, each by itself: tajo.rootdir and
 * tajo.warehouse.directory, which may be another mount.
 *
 *     ROOT/system/proof/term-0000000042-NONCE        of this term: workers look for it before they are given queries, and
 *     WAREHOUSE/.proof/term-0000000042-NONCE         before they report what they have written
 *     …/worker-NONCE                                 a worker's, for a moment: the master tries to create that very name
 *     ROOT/system/proof/warehouse-0000000042-NONCE   which warehouse the term's nonce was made in, by its path
 *
 * That its own rootdir is the cluster's, the election has proven. Its warehouse is the cluster's when it has a nonce that
 * the rootdir tells of, or files that the catalog names, or when nobody has written there yet and it is not on a disk of
 * this host alone while others are to share it (ground.ts). One that is not gets no nonce: that master can prove no worker
 * by it, and records no change there, until it is mounted.
 *
 * Nothing waits for it but the workers: a take-over goes on meanwhile. A call that hangs or fails is *unknown*, which bars
 * no worker and is told.
 */
import { dirname } from 'node:path/posix'
import type { Log } from '../../../base/log.ts'
import type { Clock } from '../../../base/time.ts'
import type { CatalogState, Table } from '../../../catalog/index.ts'
import { absolutePath, ROOT_PROOF, WAREHOUSE_PROOF } from '../../../catalog/index.ts'
import type { NonceCheck } from '../../../ha/index.ts'
import { isInside } from '../statements/paths.ts'
import { type Ground, isSomeThere, RootGround, WarehouseGround } from './ground.ts'

const ROOT_KEY = 'tajo.rootdir'
const WAREHOUSE_KEY = 'tajo.warehouse.directory'

/** That the catalog names: its absolute path, and its length. */
export interface KnownFile {
  readonly path: string
  readonly bytes: number
}

export interface ProofOptions {
  readonly term: number
  readonly host: string
  /** Both absolute: `<rootdir>/system`, and the tables' directory. */
  readonly systemDirectory: string
  readonly warehouse: string
  /** The tables' directory is made with it; left out, nobody else may enter it. */
  readonly warehouseMode?: number
  /** Some files that the catalog names in the warehouse, if any: absolute, with their lengths. */
  readonly sample: () => readonly KnownFile[]
  readonly lookFor: (path: string, bytes: number) => Promise<string | null>
  /** What a path is on, where that is this host's alone and the rootdir is not; null otherwise. Left out: nobody knows. */
  readonly aloneOn?: (path: string) => Promise<string | null>
  /** Do masters or workers of other hosts need what is in these directories? */
  readonly isShared?: () => boolean
  readonly everyMs: number
  /** A file call that takes longer is unknown. */
  readonly limitMs: number
  /** Unique for ever. */
  readonly nonce: () => string
  readonly clock: Clock
  readonly log: Log
}

/** What a worker is told of one directory. `why`: nobody can prove it now. */
export interface ProofPlace {
  readonly key: string
  /** Where the nonces lie, as this master has it. */
  readonly path: string
  readonly nonce: string | null
  readonly why: string | null
}

export class Proof {
  readonly #options: ProofOptions
  readonly #grounds: readonly Ground[]
  #cancel = (): void => {}
  #stopped = false

  constructor(options: ProofOptions) {
    const { systemDirectory, warehouse } = options
    this.#options = options
    const root = new RootGround(options, {
      key: ROOT_KEY,
      path: dirname(systemDirectory),
      directory: systemDirectory,
      name: ROOT_PROOF,
    })
    const tables = {
      key: WAREHOUSE_KEY,
      path: warehouse,
      directory: warehouse,
      name: WAREHOUSE_PROOF,
    }
    this.#grounds = [root, new WarehouseGround(options, tables)]
  }

  get host(): string {
    return this.#options.host
  }

  start(): void {
    this.#look()
  }

  stop(): void {
    this.#stopped = true
    this.#cancel()
  }

  /** What is wrong, by the directory's key: a sentence that names it and the host. */
  get troubles(): ReadonlyMap<string, string> {
    return new Map(
      this.#grounds.flatMap(({ key, trouble }): [string, string][] =>
        trouble === null ? [] : [[key, trouble]],
      ),
    )
  }

  /** As they are when what is under way has been found out, which takes `limitMs` at most. */
  async places(): Promise<ProofPlace[]> {
    return Promise.all(this.#grounds.map((ground) => ground.told()))
  }

  /** What the exclusive create of a worker's nonce finds. Never rejects. */
  async check(key: string, nonce: string, text: string): Promise<NonceCheck> {
    const ground = this.#grounds.find((one) => one.key === key)
    return (await ground?.check(nonce, text)) ?? 'unknown'
  }

  /** Did a worker find this term's nonces, all of those that it could be told of? */
  isProven(nonces: readonly string[]): boolean {
    return this.#grounds.every((ground) => ground.isProven(nonces))
  }

  /**
   * Why what is at this path is none of the cluster's, as this master sees it now; null when it is, or nothing tells.
   * Outside of both directories only the files tell that are known to lie there. Rejects where nobody can tell now.
   */
  async whyNotOurs(
    path: string,
    known: () => readonly KnownFile[] = () => [],
  ): Promise<string | null> {
    const inside = this.#grounds.filter((one) => isInside(path, one.path))
    // A warehouse below the rootdir is the nearer one.
    const ground = inside.sort((a, b) => b.path.length - a.path.length)[0]
    return ground === undefined ? this.#whyElsewhere(path, known()) : ground.whyNotOurs()
  }

  async #whyElsewhere(path: string, files: readonly KnownFile[]): Promise<string | null> {
    const { host, lookFor } = this.#options
    const [first] = files
    if (first === undefined || (await isSomeThere(files, lookFor))) return null
    return `${path} on ${host} holds none of the table's files (such as ${first.path}): is it mounted on ${host}? No change is recorded there until it is. Where they are lost for good, drop the table and create it again`
  }

  #look(): void {
    if (this.#stopped) return
    void Promise.all(this.#grounds.map((ground) => ground.look())).then(() => {
      if (!this.#stopped)
        this.#cancel = this.#options.clock.after(this.#options.everyMs, () => this.#look())
    })
  }
}

/** So many of the tables' files are looked for: some may have been removed. */
const MOST_FILES = 20

/** The last ones of a table. */
export const filesOf = (table: Table): KnownFile[] =>
  table.files
    .last(MOST_FILES)
    .map(({ path, bytes }) => ({ path: absolutePath(table, path), bytes }))

/** The last ones of some tables that have theirs in the warehouse. */
export function someFiles(state: CatalogState, warehouse: string): KnownFile[] {
  const found: KnownFile[] = []
  state.findTable((table) => {
    const file = table.files.last(1)[0]
    const path = file === undefined ? '' : absolutePath(table, file.path)
    if (file !== undefined && isInside(path, warehouse)) found.push({ path, bytes: file.bytes })
    return found.length === MOST_FILES
  })
  return found
}
