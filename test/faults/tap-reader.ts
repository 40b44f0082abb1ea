/** Reads what `tap --reporter=tap` prints, line by line while it comes: which files ended how, and what failed in them. */

export interface Failure {
  /** Names of the file and of the tests around the assertion, then what it said. */
  readonly path: readonly string[]
  /** As tap prints them: difference, place, source. */
  readonly diagnostics: string
}

export interface FileEnd {
  readonly file: string
  readonly ok: boolean
  readonly ms: number
}

export interface TapListener {
  /** Of an assertion in a test file: a file that could not even be loaded has none. */
  onFailure(failure: Failure): void
  onFile(end: FileEnd): void
}

const INDENT = 4
const SUBTEST = /^( *)# Subtest: (.*)$/
const RESULT = /^( *)(not )?ok \d+(?: - (.*))?$/
const DIRECTIVE = / # (?:TODO|SKIP)\b/
const TIME = / # time=([\d.]+)ms$/

export class TapReader {
  readonly #listener: TapListener
  #rest = ''
  /** Of the tests that are open, outermost first. */
  #names: string[] = []
  #failed: readonly string[] | null = null
  /** The YAML block that is being read. */
  #block: { readonly end: string; readonly lines: string[] } | null = null

  constructor(listener: TapListener) {
    this.#listener = listener
  }

  push(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) this.#take(line)
  }

  /** What was being read when the program ended counts. */
  end(): void {
    this.#tellFailed()
  }

  #take(line: string): void {
    if (this.#block !== null) {
      if (line !== this.#block.end) this.#block.lines.push(line)
      else this.#tellFailed()
      return
    }
    if (/^ *---$/.test(line)) {
      this.#block = { end: line.replace('---', '...'), lines: [] }
      return
    }
    this.#tellFailed()
    const subtest = SUBTEST.exec(line)
    if (subtest !== null) this.#open(subtest)
    const result = RESULT.exec(line)
    if (result !== null) this.#result(result)
  }

  #open([, indent = '', name = '']: RegExpExecArray): void {
    this.#names.length = indent.length / INDENT
    this.#names.push(name)
  }

  #result([, indent = '', not, text = '']: RegExpExecArray): void {
    const depth = indent.length / INDENT
    const said = text.replace(TIME, '')
    const isOfTest = this.#names.length > depth
    this.#names.length = Math.min(this.#names.length, depth)
    if (depth === 0) {
      const ms = Number(TIME.exec(text)?.[1] ?? 0)
      this.#listener.onFile({ file: said, ok: not === undefined, ms })
    } else if (not !== undefined && !isOfTest && !DIRECTIVE.test(text)) {
      this.#failed = [...this.#names, said]
    }
  }

  #tellFailed(): void {
    const failed = this.#failed
    const diagnostics = this.#block?.lines.join('\n') ?? ''
    this.#failed = null
    this.#block = null
    if (failed !== null) this.#listener.onFailure({ path: failed, diagnostics })
  }
}
