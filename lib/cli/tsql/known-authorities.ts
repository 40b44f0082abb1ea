/**
 * The authorities of the clusters that this user has spoken with, in `~/.tajo/known_clusters`: a line for each cluster, with
 * its id and the authority's certificate. They are what tells a cluster from somebody who answers in its place.
 *
 * On a host that can read the cluster's directory the authority lies there, and that one counts: nothing is believed then.
 * The directory is asked in a process of its own, which takes its time: so only where nothing is written, or where a port
 * shows something else.
 * A line that can't be read is no reason to believe anybody: it is told, and nothing is sent.
 */
import { X509Certificate } from 'node:crypto'
import { appendFile, mkdir, readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { messageOf } from '../../base/failures.ts'
import type { KnownAuthorities } from '../../client/index.ts'
import { fingerprintOf, isClusterId } from '../../rpc/index.ts'

interface Options {
  readonly home: string
  /** What the cluster's own directory says; null where it can't be read, or holds none. Never rejects. */
  readonly inDirectory: () => Promise<string | null>
  /** Told of an authority that is believed from now on. */
  readonly onLearnt: (text: string) => void
  /** What was learnt can't be written down. */
  readonly onUnwritten: (error: unknown) => void
}

export class AuthoritiesOfUser implements KnownAuthorities {
  readonly path: string
  readonly #options: Options
  readonly #found = new Map<string, string>()
  /** All masters are looked at together, and the directory is asked once. */
  #directory: Promise<string | null> | null = null

  constructor(options: Options) {
    this.#options = options
    this.path = join(options.home, '.tajo', 'known_clusters')
  }

  /** Asks the directory beforehand where nothing is written at all. Never rejects: whoever asks then is told. */
  async prepare(): Promise<void> {
    const isWritten = await this.#text().then(
      (text) => text !== '',
      () => true,
    )
    if (isWritten) return
    this.#directory ??= this.#options.inDirectory()
    await this.#directory
  }

  async authorityOf(clusterId: string): Promise<string | null> {
    const found =
      this.#found.get(clusterId) ??
      (await this.#written(clusterId)) ??
      (await this.#inDirectory(clusterId))
    if (found !== null) this.#found.set(clusterId, found)
    return found
  }

  async learn(clusterId: string, authority: string): Promise<void> {
    this.#options.onLearnt(
      `cluster ${clusterId} is known by its authority from now on: ${fingerprintOf(authority)}`,
    )
    await this.#write(clusterId, authority)
  }

  async isNow(clusterId: string, authority: string): Promise<boolean> {
    this.#directory = null
    const now = await this.#inDirectory(clusterId)
    return now !== null && fingerprintOf(now) === fingerprintOf(authority)
  }

  /** It is appended in one piece: two shells that learn at once leave a line each. */
  async #write(clusterId: string, authority: string): Promise<void> {
    if (!isClusterId(clusterId)) throw new Error(`'${clusterId}' is no cluster's id`)
    this.#found.set(clusterId, authority)
    try {
      await mkdir(dirname(this.path), { recursive: true, mode: 0o700 })
      const line = `${clusterId} ${new X509Certificate(authority).raw.toString('base64')}\n`
      await appendFile(this.path, line, { mode: 0o600 })
    } catch (error) {
      this.#options.onUnwritten(error)
    }
  }

  /** Another cluster's directory says nothing of this one. */
  async #inDirectory(clusterId: string): Promise<string | null> {
    this.#directory ??= this.#options.inDirectory()
    const authority = await this.#directory
    if (authority === null) return null
    if (!new X509Certificate(authority).subject.endsWith(` ${clusterId}`)) return null
    const written = await this.#written(clusterId).catch(() => null)
    const isNew = written === null || fingerprintOf(written) !== fingerprintOf(authority)
    if (isNew) await this.#write(clusterId, authority)
    return authority
  }

  async #written(clusterId: string): Promise<string | null> {
    const lines = (await this.#text()).split('\n').map((line) => line.trim())
    let known: string | null = null
    for (const [at, line] of lines.entries()) {
      const [id = '', der = '', ...more] = line.split(/\s+/)
      // A bad line is one of its own cluster alone.
      if (id !== clusterId) continue
      // The newest counts: a line is added only for what nothing was known of, or what the directory has told.
      known = this.#authorityIn(more.length === 0 ? der : '', at + 1)
    }
    return known
  }

  #authorityIn(der: string, line: number): string {
    try {
      return new X509Certificate(Buffer.from(der, 'base64')).toString()
    } catch (error) {
      throw new Error(
        `${this.path}, line ${line}: not 'CLUSTER-ID CERTIFICATE'; mend the line or remove it. Nothing was sent`,
        { cause: error },
      )
    }
  }

  async #text(): Promise<string> {
    try {
      return await readFile(this.path, 'utf8')
    } catch (error) {
      // A home that is none (/dev/null of a service's user) remembers nothing.
      if (['ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) return ''
      throw new Error(`${this.path} can't be read: ${messageOf(error)}. Nothing was sent`, {
        cause: error,
      })
    }
  }
}
