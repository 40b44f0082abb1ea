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
 * this host alone while others are to share it. One that is not gets no
 * nonce: that master can prove no worker by it, and records no change there, until it is mounted.
 *
 * Nothing waits for it but the workers: a take-over goes on meanwhile. A call that hangs or fails is *unknown*, which bars
 * no worker and is told.
 */
import { realpath } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path/posix'
import { messageOf, whyNotThere } from '../../../base/failures.ts'
import { Lane } from '../../../base/lane.ts'
import type { Log } from '../../../base/log.ts'
import type { Clock } from '../../../base/time.ts'
import type { Table } from '../../../catalog/model.ts'
import { ROOT_PROOF, WAREHOUSE_PROOF } from '../../../catalog/own-prefix.ts'
import { absolutePath, type CatalogState } from '../../../catalog/state.ts'
import {
  type MadeThrough,
  MountWatch,
  type MountWords,
  type NonceCheck,
  NonceFiles,
  placeOf,
} from '../../../ha/index.ts'
import { knownNonces, recordOf } from '../../warehouse-records.ts'
import { isInside } from '../statements/paths.ts'

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

interface GroundFacts {
  readonly key: string
  readonly path: string
  /** Where the nonces' directory of this name lies. */
  readonly directory: string
  readonly name: string
}

/** Is it ours, though no nonce of this term is there? A sentence when it is not. */
type Verdict = string | null

/** One directory, in one term. */
abstract class Ground {
  readonly key: string
  readonly path: string
  protected readonly o: ProofOptions
  protected readonly facts: GroundFacts
  /** Made anew with the place: how files are opened depends on the mount. */
  protected files: NonceFiles
  readonly #lane: Lane
  /** All that were made in this term: a worker may still have found the one before. */
  readonly #made: string[] = []
  #watch: MountWatch | null = null
  #nonce: string | null = null
  #trouble: string | null = null
  #next: Promise<string | null> | null = null

  constructor(options: ProofOptions, facts: GroundFacts) {
    this.o = options
    this.facts = facts
    this.key = facts.key
    this.path = facts.path
    this.files = new NonceFiles(facts.directory, facts.name)
    this.#lane = new Lane(options.clock, options.limitMs)
  }

  get trouble(): string | null {
    return this.#trouble
  }

  /** Never rejects. */
  async look(): Promise<void> {
    let trouble: string | null
    try {
      trouble = await this.whyNotOurs()
    } catch (error) {
      trouble = `${this.named} can't be used on ${this.o.host}, so no worker can prove that it has it: ${messageOf(error)}`
    }
    if (trouble === this.#trouble) return
    this.#trouble = trouble
    if (trouble === null) this.o.log('info', `${this.named} is there again`)
    else this.o.log('error', trouble)
  }

  async told(): Promise<ProofPlace> {
    await this.look()
    const { key, facts } = this
    const why = this.#trouble
    const path = join(facts.directory, facts.name)
    return { key, path, nonce: why === null ? this.#nonce : null, why }
  }

  /** Those who ask before a look has begun share it. Rejects where nobody can tell. */
  whyNotOurs(): Promise<string | null> {
    if (this.#next !== null) return this.#next
    const begun = (): void => {
      if (this.#next === next) this.#next = null
    }
    const next: Promise<string | null> = this.#lane
      .run(() => {
        begun()
        return this.#look()
      })
      .finally(begun)
    this.#next = next
    return next
  }

  isProven(nonces: readonly string[]): boolean {
    return this.#trouble !== null || this.#made.some((one) => nonces.includes(one))
  }

  async check(nonce: string, text: string): Promise<NonceCheck> {
    if (this.#trouble !== null) return 'unknown'
    try {
      return await this.#lane.run(() => this.files.check(nonce, text))
    } catch (error) {
      this.o.log('debug', `the nonce ${nonce} can't be checked: ${messageOf(error)}`)
      return 'unknown'
    }
  }

  protected get named(): string {
    return `${this.path} (${this.key})`
  }

  /** Before this term's first nonce is made there. */
  protected abstract judge(): Promise<Verdict>

  /** How the nonces' directory is made. */
  protected abstract through(): Promise<MadeThrough>

  /** When it has been made: what else tells of it. */
  protected abstract made(nonce: string): Promise<void>

  async #look(): Promise<string | null> {
    const nonce = this.#nonce
    const lost =
      (await this.#watch?.trouble(async () => nonce !== null && this.files.has(nonce))) ?? null
    if (lost !== null) return `on ${this.o.host}: ${lost}`
    if (nonce !== null && (await this.files.has(nonce))) return null
    // Removed, in a directory that is the same: with another name, since hosts remember that this one was gone.
    if (this.#watch !== null) return this.#make()
    this.files = new NonceFiles(this.facts.directory, this.facts.name)
    const verdict = await this.judge()
    if (verdict !== null) return verdict
    await this.#make()
    this.#watch = new MountWatch(await placeOf(this.facts.directory), this.o.log, WORDS)
    return null
  }

  async #make(): Promise<null> {
    const { term, nonce: fresh, systemDirectory } = this.o
    // Its mount may have been taken away since the term was opened: then nothing is made on the disk below it.
    if ((await whyNotThere(systemDirectory, null)) !== null) {
      throw new Error(`${systemDirectory} is not there: is it mounted?`)
    }
    const nonce = `${termName(term)}-${fresh()}`
    await this.files.make(nonce, '', await this.through())
    this.#made.push(nonce)
    this.#nonce = nonce
    await this.made(nonce)
    await this.#sweep(nonce)
    return null
  }

  /** Of the terms before, of this one's names that are gone, and what workers have left. */
  async #sweep(own: string): Promise<void> {
    const name = termName(this.o.term)
    for (const other of (await this.files.list()) ?? []) {
      const isOver = other.startsWith('term-')
        ? other.slice(0, name.length) <= name
        : other.startsWith('worker-')
      if (isOver && other !== own) await this.files.remove(other)
    }
  }
}

class RootGround extends Ground {
  protected override async judge(): Promise<null> {
    return null
  }

  protected override async through(): Promise<MadeThrough> {
    return throughSystem(this.o)
  }

  protected override async made(): Promise<void> {}
}

class WarehouseGround extends Ground {
  #root = new NonceFiles(this.o.systemDirectory, ROOT_PROOF)

  protected override async judge(): Promise<Verdict> {
    const { host, sample, lookFor } = this.o
    this.#root = new NonceFiles(this.o.systemDirectory, ROOT_PROOF)
    const known = await knownNonces(this.#root, this.path)
    const here = (await this.files.list()) ?? []
    if (known.some((nonce) => here.includes(nonce))) return null
    const files = sample()
    if (await isSomeThere(files, lookFor)) return null
    if (files.length > 0) {
      return `${this.named} on ${host} is not the cluster's: none of the tables' files are there (such as ${files[0]?.path}): is it mounted on ${host}? No change is recorded there until it is. Where they are lost for good, drop those tables`
    }
    if (known.length === 0) return this.#whyNotTheFirst()
    return `${this.named} on ${host} is not the cluster's: what the masters before have left there, ${join(this.path, WAREHOUSE_PROOF, known[0] ?? '')}, is not there: is it mounted on ${host}? No change is recorded there until it is. If that directory is new on purpose: rm -r ${join(this.o.systemDirectory, ROOT_PROOF)}`
  }

  /** Nobody has used it before, so nothing but where it lies can tell that its mount is missing. */
  async #whyNotTheFirst(): Promise<Verdict> {
    const { host, aloneOn, isShared } = this.o
    const on = isShared?.() === true ? ((await aloneOn?.(this.path)) ?? null) : null
    if (on === null) return null
    return `${this.named} is on ${on} of ${host}, which other hosts of this cluster can't see, and no master has used it before: is it mounted on ${host}? No change is recorded there until it is`
  }

  /**
   * One in the rootdir is made by way of `system`: where the mount is gone that name is missing, and the very call that
   * would have made it on the disk below fails. Not where `system` is a link to elsewhere.
   */
  protected override async through(): Promise<MadeThrough> {
    const { systemDirectory } = this.o
    const root = dirname(systemDirectory)
    if (!isInside(this.path, root)) return { path: this.path, below: '/' }
    const anchor = `${systemDirectory}/..`
    return (await realpath(anchor)) === (await realpath(root))
      ? { path: `${anchor}/${relative(root, this.path)}`, below: anchor }
      : { path: this.path, below: root }
  }

  protected override async made(nonce: string): Promise<void> {
    const record = recordOf(nonce)
    await this.#root.make(record, this.path, throughSystem(this.o))
    for (const other of (await this.#root.list()) ?? []) {
      const isOver =
        other.startsWith('warehouse-') && other.slice(0, LENGTH) <= record.slice(0, LENGTH)
      if (isOver && other !== record) await this.#root.remove(other)
    }
  }
}

/** `system` itself is never made: where it is missing the mount is gone. */
const throughSystem = ({ systemDirectory }: ProofOptions): MadeThrough => ({
  path: systemDirectory,
  below: systemDirectory,
})

async function isSomeThere(
  files: readonly KnownFile[],
  lookFor: ProofOptions['lookFor'],
): Promise<boolean> {
  for (const { path, bytes } of files) if ((await lookFor(path, bytes)) === null) return true
  return false
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

const termName = (term: number): string => `term-${String(term).padStart(10, '0')}`
/** Of `warehouse-term-NNNNNNNNNN`. */
const LENGTH = `warehouse-${termName(0)}`.length

const WORDS: MountWords = {
  who: 'this term',
  meanwhile: 'no change is recorded there, and no worker can prove that it has it, meanwhile',
}
