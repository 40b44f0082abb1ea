/**
 * One directory that is proven to workers, in one term: this master's own nonce in it is the proof, and is looked for at
 * each look. The rootdir is the cluster's by the election; a warehouse has to show that it is before a nonce is made there
 * (proof.ts says by what), since the first one on a wrong mount would make it the cluster's for everybody.
 *
 * Nonces are made where their mount can't be missing unseen: on the disk below it the call that makes them fails.
 */
import { realpath } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path/posix'
import { messageOf } from '../../../base/failures.ts'
import { Lane } from '../../../base/lane.ts'
import { whyNotThere } from '../../../base/there.ts'
import { ROOT_PROOF, WAREHOUSE_PROOF } from '../../../catalog/index.ts'
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
import type { KnownFile, ProofOptions, ProofPlace } from './proof.ts'

interface GroundFacts {
  readonly key: string
  readonly path: string
  /** Where the nonces' directory of this name lies. */
  readonly directory: string
  readonly name: string
}

/** Is it ours, though no nonce of this term is there? A sentence when it is not. */
type Verdict = string | null

/** This is one directory, in one term. */
export abstract class Ground {
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
    if (trouble === null)
      this.o.log('info', `${this.named} is there again`, { event: 'warehouse-proven' })
    else this.o.log('error', trouble, { event: 'warehouse-unproven' })
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
      this.o.log('debug', `the nonce ${nonce} can't be checked: ${messageOf(error)}`, {
        event: 'worker-proof-failed',
      })
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

export class RootGround extends Ground {
  protected override async judge(): Promise<null> {
    return null
  }

  protected override async through(): Promise<MadeThrough> {
    return throughSystem(this.o)
  }

  protected override async made(): Promise<void> {}
}

export class WarehouseGround extends Ground {
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
    const mode = this.o.warehouseMode
    if (!isInside(this.path, root)) return { path: this.path, below: '/', mode }
    const anchor = `${systemDirectory}/..`
    return (await realpath(anchor)) === (await realpath(root))
      ? { path: `${anchor}/${relative(root, this.path)}`, below: anchor, mode }
      : { path: this.path, below: root, mode }
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

/** Is one of them where it was written? */
export async function isSomeThere(
  files: readonly KnownFile[],
  lookFor: ProofOptions['lookFor'],
): Promise<boolean> {
  for (const { path, bytes } of files) if ((await lookFor(path, bytes)) === null) return true
  return false
}

const termName = (term: number): string => `term-${String(term).padStart(10, '0')}`
/** Of `warehouse-term-NNNNNNNNNN`. */
const LENGTH = `warehouse-${termName(0)}`.length

const WORDS: MountWords = {
  who: 'this term',
  meanwhile: 'no change is recorded there, and no worker can prove that it has it, meanwhile',
}
