/**
 * The clients' network: which end reaches which. Ends are hosts by name, and places of their own for a worker or a witness.
 * The shared directory does not need it: it has a network of its own.
 */
export class Links {
  readonly #cut = new Set<string>()

  reaches(from: string, to: string): boolean {
    return from === to || !this.#cut.has(`${from} ${to}`)
  }

  /** An answered request needs both directions. */
  both(a: string, b: string): boolean {
    return this.reaches(a, b) && this.reaches(b, a)
  }

  cut(from: string, to: string): void {
    this.#cut.add(`${from} ${to}`)
  }

  mend(): void {
    this.#cut.clear()
  }

  /** For people. */
  describe(): string {
    return this.#cut.size === 0 ? 'no link is cut' : [...this.#cut].map(arrow).join(', ')
  }
}

const arrow = (pair: string): string => pair.replace(' ', ' -/-> ')
