/**
 * Ports for what a test starts, out of blocks that this process holds: no other test can take them meanwhile. Any other
 * program can, so they are looked at when they are given out; what somebody holds is told and passed over.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { portHolder } from '../../lib/base/port-holder.ts'
import { BLOCK_PORTS, firstTaken, takePortBlock } from '../../lib/cli/demo/cluster.ts'

let block: Promise<number> | null = null
let used = 0

/** A comment of the test's output, which is TAP. */
const comment = (line: string): void => void process.stdout.write(`# ${line}\n`)

/** The first of `count` free ports in a row; none is given out twice. `say` gets a line for a row that is not free. */
export async function freePortRow(count: number, say = comment): Promise<number> {
  const first = await nextRow(count)
  return (await rowInstead(first, count, say)) ?? first
}

/** Null when all of the row is free now; else the first port of another row, told with who has a port of this one. */
async function rowInstead(first: number, count: number, say = comment): Promise<number | null> {
  const taken = await firstTaken(first, count)
  if (taken === null) return null
  const holder = portHolder(taken, '127.0.0.1') ?? 'somebody holds it'
  const other = await freePortRow(count, say)
  say(`port ${taken}: ${holder}; ${other + taken - first} instead`)
  return other
}

async function nextRow(count: number): Promise<number> {
  if (block === null || used + count > BLOCK_PORTS - 1) {
    block = takePortBlock(Math.random)
    used = 0
    // Another try may find one.
    block.catch(() => {
      block = null
    })
  }
  const from = used
  used += count
  return (await block) + from
}

/**
 * The row of a daemon, which its site file names. Between its hand-out and the daemon's first start somebody else may
 * take a port of it: then the daemon moves, unless others know of the row already.
 */
export class PortRow {
  #first: number
  readonly #count: number
  readonly #siteFile: string
  #isTold = false

  constructor(first: number, count: number, siteFile: string) {
    this.#first = first
    this.#count = count
    this.#siteFile = siteFile
  }

  /** Its first port, which stays from now on: whoever asks may write it down somewhere. */
  tell(): number {
    this.#isTold = true
    return this.#first
  }

  /** To be called before each start, which tells it. Moves it before, and in the site file, where that must and may be. */
  async settle(): Promise<void> {
    if (this.#isTold) return
    const other = await rowInstead(this.#first, this.#count)
    // Somebody may have asked meanwhile.
    if (other !== null && !this.#isTold) this.#moveTo(other)
    this.#isTold = true
  }

  #moveTo(other: number): void {
    const distance = other - this.#first
    const site = readFileSync(this.#siteFile, 'utf8').replace(/:(\d+)(?=<)/g, (written, port) => {
      const at = Number(port) - this.#first
      return at >= 0 && at < this.#count ? `:${Number(port) + distance}` : written
    })
    writeFileSync(this.#siteFile, site)
    this.#first = other
  }
}
