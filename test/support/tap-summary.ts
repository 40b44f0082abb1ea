/** Picks out of tap's output, line by line, what its end is to tell once more. */

const SLOWEST = 10

interface Count {
  readonly total: number
  readonly pass: number
  readonly skip: number
  readonly todo: number
}

export class TapSummary {
  readonly #files: { file: string; ms: number; ok: boolean }[] = []
  readonly #seeds: string[] = []
  #count: Count | null = null

  hear(line: string): void {
    const file = /^(not )?ok \d+ - (\S+\.test\.js) # time=([\d.]+)ms/.exec(line)
    if (file !== null) {
      this.#files.push({ file: file[2] ?? '', ms: Number(file[3]), ok: file[1] === undefined })
    }
    const seeds = /^\s*# seeds: (.+)$/.exec(line)?.[1]
    if (seeds !== undefined) this.#seeds.push(seeds)
    const count = /^# \{ (total: .*) \}$/.exec(line)?.[1]
    if (count !== undefined) this.#count = countOf(count)
  }

  /** `sourceOf` names a file for a reader. */
  lines(sourceOf: (file: string) => string): string[] {
    const slowest = this.#files.toSorted((a, b) => b.ms - a.ms).slice(0, SLOWEST)
    const failed = this.#files.filter(({ ok }) => !ok)
    return [
      `# the slowest of ${this.#files.length} files:`,
      ...slowest.map(
        ({ file, ms }) => `# ${(ms / 1000).toFixed(1).padStart(9)} s  ${sourceOf(file)}`,
      ),
      ...this.#seeds.map((seeds) => `# seeds: ${seeds}`),
      ...failed.map(({ file }) => `# FAILED: ${sourceOf(file)}`),
    ]
  }

  /** Without tap's own count, because it was ended, nothing is known to have passed. */
  count(): string {
    if (this.#count === null) return '0 passed, 1 failed'
    const { total, pass, skip, todo } = this.#count
    return `${pass} passed, ${total - pass - skip - todo} failed, ${skip + todo} skipped`
  }
}

function countOf(text: string): Count {
  const of = (name: string): number => Number(new RegExp(`\\b${name}: (\\d+)`).exec(text)?.[1] ?? 0)
  return { total: of('total'), pass: of('pass'), skip: of('skip'), todo: of('todo') }
}
