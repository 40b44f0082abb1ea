/**
 * What a worker has written, where its report has no room for it: fetched from the worker page by page, in slices, since it may
 * be millions of files; from then on it is a list like a table's (lib/catalog, file-list.ts).
 *
 * For one attempt there is one fetch at a time, though each report tells its end. It changes nothing here but at its
 * end, when somebody still waits for that attempt; until then the query runs, to everybody. When a page can't be had, nothing
 * has happened: the worker keeps the manifest until its end is in the catalog, and the next report begins anew, with this
 * master or with the next active. Should there be no next report, the worker is gone, and that is known by other signs.
 */
import { Slices } from '../../../base/slices.ts'
import type { DataFile, SomeFiles } from '../../../catalog/index.ts'
import { FileList } from '../../../catalog/index.ts'
import type { Manifest, ManifestPage, TaskReport, WorkerInfo } from '../../../contract/index.ts'
import type { Query } from './query.ts'
import type { WorkerCalls } from './worker-calls.ts'

/** A manifest that may have more files than a message. */
export interface WholeManifest extends Omit<Manifest, 'files'> {
  readonly files: SomeFiles
}

interface ManifestsOptions {
  readonly calls: Pick<WorkerCalls, 'manifest'>
  /** Aborts with the term. */
  readonly signal: AbortSignal
  /** Called while the query is still in that attempt, and its end not known otherwise. */
  readonly onWhole: (query: Query, manifest: WholeManifest) => void
  /** The worker tells what can't be true, and will not tell anything else. */
  readonly onStrange: (query: Query, why: string) => void
}

export class Manifests {
  readonly #options: ManifestsOptions
  /** Queries, and which attempt of each. */
  readonly #underWay = new Map<Query, number>()

  constructor(options: ManifestsOptions) {
    this.#options = options
  }

  /** `paged`: how many files the report has told of. Does nothing while the same is under way. */
  fetch(query: Query, info: WorkerInfo, paged: number): void {
    const { attempt } = query
    if (this.#underWay.get(query) === attempt || !isWanted(query, attempt)) return
    this.#underWay.set(query, attempt)
    void this.#fetch(query, info, paged).finally(() => {
      if (this.#underWay.get(query) === attempt) this.#underWay.delete(query)
    })
  }

  async #fetch(query: Query, info: WorkerInfo, paged: number): Promise<void> {
    const { calls, signal, onWhole, onStrange } = this.#options
    const { queryId, attempt } = query
    const parts = new Parts()
    const slices = new Slices()
    for (let page: number | null = 0; page !== null; ) {
      const said = await calls.manifest(info, { queryId, attempt, page })
      if (signal.aborted || !isWanted(query, attempt)) return
      if (said.is === 'missing') return
      if (said.is === 'strange') return onStrange(query, said.why)
      for (const _ of parts.steps(said.page)) if (slices.isOver) await slices.turn()
      page = said.page.next
      if (parts.count > paged) break
    }
    if (signal.aborted || !isWanted(query, attempt)) return
    const whole = parts.whole()
    if (whole !== null && parts.count === paged) onWhole(query, whole)
    else onStrange(query, `told of ${paged} files, and then of ${parts.count}`)
  }
}

/** Nobody has told its end yet. */
const isWanted = ({ stage, attempt }: Query, wanted: TaskReport['attempt']): boolean =>
  attempt === wanted && (stage === 'running' || stage === 'expected' || stage === 'dispatching')

/** What has come of a manifest. */
class Parts {
  count = 0
  #head: ManifestPage['head'] = null
  #list = FileList.EMPTY
  /** Of a joining, whose files have a number each that says which group became it: these are never very many. */
  readonly #files: DataFile[] = []
  readonly #groups: number[] = []

  /** Null where the first page was none. */
  whole(): WholeManifest | null {
    const head = this.#head ?? null
    if (head === null) return null
    const isJoined = this.#files.length > 0
    return isJoined
      ? { ...head, files: this.#files, groups: this.#groups }
      : { ...head, files: this.#list }
  }

  /** Takes a page, a step for each run of its files. */
  *steps({ head, files, groups }: ManifestPage): Generator<void> {
    this.#head ??= head
    for (const packed of files) {
      this.count += packed.paths.length
      if (groups === undefined) this.#list = this.#list.appendPacked(packed)
      else for (const file of FileList.EMPTY.appendPacked(packed)) this.#files.push(file)
      yield
    }
    for (const group of groups ?? []) this.#groups.push(group)
  }
}
