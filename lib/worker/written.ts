/**
 * What a change has written, for its master: whole where a report has room for it, else in pages, since it may be millions of
 * files. It is cut into pages once, in slices, when the change is done; from then on a page costs what is in it, however
 * often a master asks, and however many masters do after each other. The files keep their order.
 */
import { inSlices } from '../base/slices.ts'
import type { Manifest, ManifestPage } from '../contract/index.ts'
import { QueryFault } from './query-error.ts'
import { MANIFEST_FILES } from './task-list.ts'

/** So many characters of JSON make a page full; one file more may be in it. */
const PAGE_CHARS = 512 * 1024
/** Of columns and of what was read; it goes with the first page. */
const MOST_HEAD_CHARS = 1024 * 1024

export class Written {
  /** Null: more files than any report has room for. */
  readonly manifest: Manifest | null
  readonly files: number
  /** As JSON, about. */
  readonly chars: number
  readonly #pages: readonly ManifestPage[]

  private constructor(manifest: Manifest, pages: readonly ManifestPage[], chars: number) {
    this.files = manifest.files.length
    this.manifest = this.files > MANIFEST_FILES ? null : manifest
    this.chars = chars
    this.#pages = pages
  }

  /** Rejects with QueryFault for one that can't be told. */
  static async of(manifest: Manifest): Promise<Written> {
    const { files, groups, ...head } = manifest
    const headChars = JSON.stringify(head).length
    if (headChars > MOST_HEAD_CHARS) {
      const text = `the names and types of its ${head.columns.length + head.partitionColumns.length} columns are ${headChars} characters long, and may be ${MOST_HEAD_CHARS}: nothing was changed`
      throw new QueryFault('user', text)
    }
    const pages = new PageMaker(head, groups !== undefined)
    await inSlices(files.entries(), ([at, file]) => pages.add(file, groups?.[at]))
    return new Written(manifest, pages.done(), pages.chars)
  }

  /** Null: it has no such page. */
  page(number: number): ManifestPage | null {
    return this.#pages[number] ?? null
  }
}

type Run = ManifestPage['files'][number]

class PageMaker {
  readonly #pages: ManifestPage[]
  readonly #hasGroups: boolean
  #page: ManifestPage
  #room = PAGE_CHARS
  /** The files that were added last, of one partition, and that one's values as text. */
  #run: Run | null = null
  #values = ''
  chars: number

  constructor(head: ManifestPage['head'], hasGroups: boolean) {
    this.#hasGroups = hasGroups
    this.#page = { head, ...this.#empty() }
    this.#pages = [this.#page]
    this.chars = JSON.stringify(head).length
  }

  add(
    { path, rows, bytes, partition }: Manifest['files'][number],
    group: number | undefined,
  ): void {
    if (this.#room <= 0) this.#turn()
    const values = JSON.stringify(partition)
    let chars = JSON.stringify([path, rows, bytes, group]).length
    if (this.#run === null || values !== this.#values) {
      this.#run = { partition, paths: [], rows: [], bytes: [] }
      this.#values = values
      this.#page.files.push(this.#run)
      chars += values.length + RUN_CHARS
    }
    this.#run.paths.push(path)
    this.#run.rows.push(rows)
    this.#run.bytes.push(bytes)
    if (group !== undefined) this.#page.groups?.push(group)
    this.#room -= chars
    this.chars += chars
  }

  done(): readonly ManifestPage[] {
    return this.#pages
  }

  #turn(): void {
    this.#page.next = this.#pages.length
    this.#page = this.#empty()
    this.#pages.push(this.#page)
    this.#room = PAGE_CHARS
    this.#run = null
  }

  #empty(): ManifestPage {
    return { files: [], ...(this.#hasGroups ? { groups: [] } : {}), next: null }
  }
}

/** The names of its fields. */
const RUN_CHARS = 48
