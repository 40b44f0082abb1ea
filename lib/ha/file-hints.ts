/**
 * Hints from the kernel's file events, on a local disk: a new term, a touch of the newest heartbeat.
 *
 * Node's own watch, two directories at a time. chokidar looks the whole tree over at every heartbeat: that cost more
 * than half of a keeper's processor time and some 15 ms of each failover.
 */
import { type FSWatcher, readdirSync, watch } from 'node:fs'
import { join } from 'node:path'
import { messageOf } from './errors.ts'
import { termOf } from './layout.ts'

export interface FileHints {
  /** The directory of the terms. */
  readonly activeDir: string
  readonly onEvent: () => void
  /** Hints are missing from here on; the polls go on. */
  readonly onTrouble: (why: string) => void
}

/** Watches until the answer is called. */
export function watchTerms({ activeDir, onEvent, onTrouble }: FileHints): () => void {
  let newest = 0
  let heartbeat: FSWatcher | null = null

  const open = (path: string, listener: (name: string | null) => void): FSWatcher | null => {
    try {
      const watcher = watch(path, (_event, name) => listener(name))
      watcher.on('error', (error) => onTrouble(messageOf(error)))
      return watcher
    } catch (error) {
      onTrouble(messageOf(error))
      return null
    }
  }
  const follow = (name: string | null): void => {
    const term = name === null ? null : termOf(name)
    if (name === null || term === null || term <= newest) return
    newest = term
    heartbeat?.close()
    heartbeat = open(join(activeDir, name), onEvent)
  }

  const terms = open(activeDir, (name) => {
    follow(name)
    onEvent()
  })
  for (const name of readdirSync(activeDir)) follow(name)
  return () => {
    terms?.close()
    heartbeat?.close()
  }
}
