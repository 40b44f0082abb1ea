/** What a run has found wrong: said with the time when it is found, and kept for the end. */
export const problems: string[] = []

export const say = (line: string): void => void process.stdout.write(`${line}\n`)

export const problem = (text: string): void => {
  problems.push(text)
  say(`PROBLEM: ${new Date().toISOString()} ${text}`)
}

/** Something that was thrown, with where. */
export const problemOf = (error: unknown): void =>
  problem(error instanceof Error ? (error.stack ?? error.message) : String(error))
