/**
 * A password from the keyboard, of which the screen shows nothing, or one line of the standard input where that is no
 * terminal. It asks the terminal itself, so that a script may come through the standard input meanwhile.
 */
import { openSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { ReadStream } from 'node:tty'
import { failure } from './exit.ts'

/** Null where nobody sits there. */
export function terminal(): ReadStream | null {
  try {
    return new ReadStream(openSync('/dev/tty', 'r+'))
  } catch {
    // No terminal belongs to this process: cron, a service, a pipe of ssh.
    return null
  }
}

const ENTER = new Set(['\r', '\n', '\u0004'])
const BACK = new Set(['\u007f', '\b'])
const INTERRUPT = '\u0003'

/** Rejects with a CliError when it is broken off. Closes the terminal. */
export async function askHidden(input: ReadStream, question: string): Promise<string> {
  // Before the question: who answers at once is not shown either.
  input.setRawMode(true)
  input.setEncoding('utf8')
  process.stderr.write(question)
  try {
    return await typedLine(input)
  } finally {
    input.setRawMode(false)
    input.destroy()
    process.stderr.write('\n')
  }
}

function typedLine(input: ReadStream): Promise<string> {
  let text = ''
  return new Promise((resolve, reject) => {
    input.once('end', () => reject(failure('no password was typed')))
    input.on('data', (chunk: string) => {
      for (const sign of chunk) {
        if (ENTER.has(sign)) return resolve(text)
        if (sign === INTERRUPT) return reject(failure('no password was typed'))
        text = BACK.has(sign) ? [...text].slice(0, -1).join('') : text + sign
      }
    })
  })
}

/** The first line of the standard input; empty where there is none. */
export async function lineOfInput(): Promise<string> {
  const lines = createInterface({ input: process.stdin, crlfDelay: Number.POSITIVE_INFINITY })
  for await (const line of lines) return line
  return ''
}
