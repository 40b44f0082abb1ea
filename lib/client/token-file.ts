/**
 * It keeps an administrator's token between the runs of a short program, in a small file for each cluster, which its user
 * alone may read. It spares each run a look at the cluster's directory, and while that directory's mount hangs it is all that there is.
 */
import { mkdir, open, readFile, rename, stat } from 'node:fs/promises'
import { join } from 'node:path'

export interface HeldToken {
  readonly text: string
  /** By this host's clock, ms since 1970: a new one is made after that, where it can be. */
  readonly renewMs: number
  readonly endMs: number
  /** Of the cluster whose it is, PEM: nobody else is shown it. */
  readonly authority: string
}

const OTHERS = 0o077

export class TokenFile {
  readonly #directory: string

  constructor(directory: string) {
    this.#directory = directory
  }

  /** Null where none is kept, or others could read or write it. Never rejects. */
  async recall(clusterId: string): Promise<HeldToken | null> {
    try {
      const path = this.#pathOf(clusterId)
      const { mode, uid } = await stat(path)
      if ((mode & OTHERS) !== 0 || uid !== process.getuid?.()) return null
      const { text, authority, renewMs, endMs } = JSON.parse(await readFile(path, 'utf8'))
      const isOne = [text, authority].every((one) => typeof one === 'string')
      const isTimed = [renewMs, endMs].every(Number.isFinite)
      return isOne && isTimed ? { text, authority, renewMs, endMs } : null
    } catch {
      // Missing, torn, or in a home that is none: then a new one is made.
      return null
    }
  }

  /** It is written whole beside it first. Never rejects: whoever can't keep one makes one each time. */
  async remember(clusterId: string, token: HeldToken): Promise<void> {
    const path = this.#pathOf(clusterId)
    const draft = `${path}.${process.pid}`
    try {
      await mkdir(this.#directory, { recursive: true, mode: 0o700 })
      const file = await open(draft, 'wx', 0o600)
      await file.writeFile(`${JSON.stringify(token)}\n`).finally(() => file.close())
      await rename(draft, path)
    } catch {
      // As above.
    }
  }

  #pathOf(clusterId: string): string {
    return join(this.#directory, `${clusterId.replaceAll(/[^\w-]/g, '_')}.json`)
  }
}
