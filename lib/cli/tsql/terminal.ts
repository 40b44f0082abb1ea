/**
 * Where the shell writes. Writing waits until the reader has taken what came before, so that a long result through a
 * slow pipe costs no memory.
 */

export interface Terminal {
  /** Resolves when more may be written. */
  out(text: string): Promise<void>
  /** A line to stderr. */
  err(line: string): void
  /** Overwrites the last line of stderr that this wrote; an empty text takes it away. Null where nobody would see it. */
  readonly redraw: ((text: string) => void) | null
}

export interface Streams {
  readonly stdout: NodeJS.WriteStream
  readonly stderr: NodeJS.WriteStream
}

/** `drawing`: whether a progress bar is wanted, on a terminal that can show one. */
export function terminalOn({ stdout, stderr }: Streams, drawing: boolean): Terminal {
  const able = drawing && stderr.isTTY === true && process.env.TERM !== 'dumb'
  return {
    out: (text) =>
      text === '' || stdout.write(text)
        ? Promise.resolve()
        : new Promise((resolve) => stdout.once('drain', resolve)),
    err: (line) => {
      stderr.write(`${line}\n`)
    },
    redraw: able ? (text) => void stderr.write(`\r\u001b[K${text}`) : null,
  }
}
