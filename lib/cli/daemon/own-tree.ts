/**
 * Looks at all in a directory that has to be this user's alone, breadth first, so that what decides about the rest comes
 * first. A symbolic link is looked at as well as what it leads to, and what is below that: an operator may have moved a
 * part of a cluster elsewhere.
 *
 * A long history on a slow mount keeps nobody from starting: after some seconds the rest is left, and told.
 */
import type { Stats } from 'node:fs'
import { lstat, readdir, realpath, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Place, Trust } from '../../base/own-place.ts'
import { placeOf } from '../../base/own-place-look.ts'
import type { Clock } from '../../base/time.ts'
import { orNull, requireAsShown, type Shown } from './own-shown.ts'

const MOST_LOOKED_AT = 20_000
const AT_ONCE = 16
const PATIENCE_MS = 3000

export class OwnTree {
  readonly #what: string
  readonly #uid: number
  readonly #clock: Clock
  /** By device: each mount shows users its own way. */
  readonly #shown = new Map<number, Shown>()
  /** What links have led to. */
  readonly #followed = new Set<string>()
  #asked: Promise<unknown> = Promise.resolve()

  /** `what`: the setting that names the place. */
  constructor(what: string, uid: number, clock: Clock) {
    this.#what = what
    this.#uid = uid
    this.#clock = clock
  }

  /** With what is trusted what lies on that device. */
  trustOn(device: number): Trust {
    return { ...this.#shown.get(device), uid: this.#uid }
  }

  /** Gives what is to be told in the log. Rejects with OwnPlaceError, or the system's error. */
  async require(top: string, depth: number): Promise<string[]> {
    const endMs = this.#clock.nowMs() + PATIENCE_MS
    let level = [{ path: top, tree: top }]
    let looked = 0
    for (let deep = 0; level.length > 0 && deep <= depth; deep++) {
      const below: Entry[] = []
      for (let at = 0; at < level.length; at += AT_ONCE) {
        if (looked >= MOST_LOOKED_AT || this.#clock.nowMs() > endMs) return [cutShort(top, looked)]
        const some = level.slice(at, at + AT_ONCE)
        looked += some.length
        const inside = await Promise.all(some.map((entry) => this.#entry(entry, deep < depth)))
        below.push(...inside.flat())
      }
      level = below
    }
    return []
  }

  /** Gives what is in it, where that is asked for. */
  async #entry({ path, tree }: Entry, isListed: boolean): Promise<Entry[]> {
    const found = await orNull(lstat(path))
    if (found === null) return []
    const place = await this.#judge(path, found, tree)
    if (place.kind === 'directory') return isListed ? listed(path, tree) : []
    return place.kind === 'link' ? this.#target(path, isListed) : []
  }

  async #target(link: string, isListed: boolean): Promise<Entry[]> {
    const path = await orNull(realpath(link))
    const found = path === null ? null : await orNull(stat(path))
    if (path === null || found === null || this.#followed.has(path)) return []
    this.#followed.add(path)
    const place = await this.#judge(path, found, path)
    return place.kind === 'directory' && isListed ? listed(path, path) : []
  }

  /** One after the other, so that one file tells for all that looks wrong. */
  async #judge(path: string, found: Stats, tree: string): Promise<Place> {
    const place = placeOf(this.#what, path, found)
    const directory = place.kind === 'directory' ? path : dirname(path)
    const asked = this.#asked.then(async () => {
      const trust = { ...this.trustOn(found.dev), tree }
      const { also = [], writers = 0 } = await requireAsShown(place, trust, directory)
      this.#shown.set(found.dev, { also, writers })
    })
    this.#asked = asked
    await asked
    return place
  }
}

/** `tree`: the directory that is mended as a whole. */
interface Entry {
  readonly path: string
  readonly tree: string
}

async function listed(path: string, tree: string): Promise<Entry[]> {
  const names = (await orNull(readdir(path))) ?? []
  return names.map((name) => ({ path: join(path, name), tree }))
}

const cutShort = (top: string, looked: number): string =>
  `whether all below ${top} is this user's alone was not looked at to its end: after ${looked} files and directories the start goes on`
