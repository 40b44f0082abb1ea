/**
 * Which files of a table are joined into one: small ones of one partition and one kind that follow each other there, so
 * that the rows come in the order in which they came before. Pure, and in steps, since a partition may have millions of files.
 *
 * By itself it writes little anew: a file that is longer than a quarter of the whole is left out, and parts what is before
 * it from what is after. So a row is written again only into a file of four times the length of its last one at least,
 * about log4(target / row) times in its life, and what is left of a partition are a few files of each length, not one a
 * write. Only below `cheapBytes` all files count as equally long: to write so little anew costs no more than to open
 * another file at each read.
 */
import { isAbsolute } from 'node:path/posix'
import type { DataFile, FilePartition } from '../../../catalog/index.ts'
import { extensionOf, OWN_PREFIX } from '../../../catalog/index.ts'

export interface JoinRules {
  /**
   * A partition with fewer files to join is left as it is, unless those of all such partitions are as many together, and half of
   * their table's files at least: what reads all of it opens them all.
   */
  readonly minFiles: number
  /** Files below this length are small. */
  readonly smallBytes: number
  /** A group is full at this length. */
  readonly targetBytes: number
  /** Leave out what is long beside the rest; without it all small files are joined. */
  readonly sparing: boolean
  /** What is shorter counts as so long, in the rule that spares. */
  readonly cheapBytes: number
  /** So many files at most, and bytes, in all groups together; one group there may be always. */
  readonly mostFiles: number
  readonly mostBytes: number
}

export interface JoinPlan {
  readonly groups: readonly (readonly DataFile[])[]
  /** Files that would have been joined but for `mostFiles` and `mostBytes`. */
  readonly left: number
}

/** A joined file is at least so many times as long as the longest that goes into it. */
const GROWTH = 4
/** One statement of the engine names them all. */
const MOST_IN_A_GROUP = 1000
/** Between two places where whoever takes the groups may pause. */
const STEP = 4096

/** Whether this software wrote it for the table; what a user brought by ADD PARTITION … LOCATION is his. */
const isOwn = ({ path }: DataFile): boolean => !isAbsolute(path) && path.startsWith(OWN_PREFIX)

type Steps = Generator<readonly DataFile[] | null>

/** The groups of one partition; null where whoever takes them may pause. */
export function* groupsOf(partition: FilePartition, rules: JoinRules): Steps {
  const runs: DataFile[][] = []
  /** What the last run's files are; null where the next file begins another one. */
  let kind: string | null = null
  for (const piece of partition.pieces()) {
    yield null
    for (const one of piece) {
      const isSmall = isOwn(one) && one.bytes < rules.smallBytes
      if (!isSmall) kind = null
      else {
        const own = extensionOf(one.path)
        if (kind === own) runs.at(-1)?.push(one)
        else runs.push([one])
        kind = own
      }
    }
  }
  for (const run of runs) yield* rules.sparing ? sparing(run, rules) : cut(run, rules)
}

function* sparing(run: readonly DataFile[], rules: JoinRules): Steps {
  const stack = [{ from: 0, to: run.length }]
  for (let part = stack.pop(); part !== undefined; part = stack.pop()) {
    const { from, to } = part
    if (to - from < 2) continue
    let [sum, longest, at] = [0, -1, from]
    for (let i = from; i < to; i += 1) {
      const bytes = Math.max(rules.cheapBytes, run[i]?.bytes ?? 0)
      sum += bytes
      if (bytes > longest) [longest, at] = [bytes, i]
      if (i % STEP === 0) yield null
    }
    if (longest * GROWTH <= sum) yield* cut(run.slice(from, to), rules)
    // The first of them is the next to be taken.
    else stack.push({ from: at + 1, to }, { from, to: at })
  }
}

function* cut(run: readonly DataFile[], { targetBytes }: JoinRules): Steps {
  let group: DataFile[] = []
  let bytes = 0
  for (const [i, file] of run.entries()) {
    group.push(file)
    bytes += file.bytes
    if (bytes >= targetBytes || group.length === MOST_IN_A_GROUP) {
      if (group.length > 1) yield group
      group = []
      bytes = 0
    }
    if (i % STEP === 0) yield null
  }
  if (group.length > 1) yield group
}

type Groups = readonly (readonly DataFile[])[]

const filesIn = (groups: Groups): number => groups.reduce((sum, { length }) => sum + length, 0)

/** What of the groups one task takes. */
export class JoinTask implements JoinPlan {
  readonly groups: (readonly DataFile[])[] = []
  left = 0
  #files = 0
  #bytes = 0
  readonly #rules: JoinRules
  /** Of partitions with less to join than `minFiles`: as many of their groups as a task may have, and all of their files. */
  readonly #few: (readonly DataFile[])[] = []
  #fewFiles = 0

  constructor(rules: JoinRules) {
    this.#rules = rules
  }

  /** Takes all groups of one partition. */
  take(groups: Groups): void {
    const files = filesIn(groups)
    if (files >= this.#rules.minFiles) {
      for (const group of groups) this.#take(group)
      return
    }
    if (this.#fewFiles <= this.#rules.mostFiles) this.#few.push(...groups)
    this.#fewFiles += files
  }

  /** It is called after the last one of a table with so many files. */
  end(tableFiles: number): void {
    const others = tableFiles - this.#files - this.left
    if (this.#fewFiles < this.#rules.minFiles || 2 * this.#fewFiles < others) return
    const unseen = this.#fewFiles - filesIn(this.#few)
    for (const group of this.#few) this.#take(group)
    this.left += unseen
  }

  #take(group: readonly DataFile[]): void {
    const { mostFiles, mostBytes } = this.#rules
    const bytes = group.reduce((sum, file) => sum + file.bytes, 0)
    const fits = this.#files + group.length <= mostFiles && this.#bytes + bytes <= mostBytes
    if (this.left > 0 || (!fits && this.groups.length > 0)) {
      this.left += group.length
      return
    }
    this.groups.push(group)
    this.#files += group.length
    this.#bytes += bytes
  }
}
