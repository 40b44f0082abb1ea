/**
 * What tsql knows of its cluster before it speaks with it: the id in the configuration's own directory where that can be
 * read, whatever the masters answer for; else what is remembered of this list of masters. The directory is asked in a
 * process of its own, which takes its time, so it is asked only where nothing is remembered under the same configuration,
 * or where the masters answer for another cluster.
 *
 * Whoever names a master himself (`-h`, `-p`) means that address, whichever directory the configuration has: only what is
 * remembered of it counts. When it has become another cluster's, the directory may still say that this is right.
 */
import { messageOf } from '../../base/message-of.ts'
import { type ClusterKnowledge, QueryError } from '../../client/index.ts'
import type { ClusterMemory, Remembered } from './cluster-memory.ts'

export interface KnownClusterOptions {
  readonly memory: ClusterMemory
  /** `tajo.rootdir`. */
  readonly rootDirectory: string
  /** The master was named, not taken from the configuration. */
  readonly named: boolean
  /** The id in the directory; null where it can't be read, or holds none. Never rejects. */
  readonly readDirectory: () => Promise<string | null>
  /** What was remembered is lost, and the directory has told the cluster instead. */
  readonly onLost: (why: string) => void
  /** What was learnt can't be written down. */
  readonly onUnwritten: (error: unknown) => void
  readonly now: () => Date
}

export function tsqlKnowledge(options: KnownClusterOptions): ClusterKnowledge {
  const { memory, rootDirectory, named, readDirectory, onLost, onUnwritten, now } = options
  let remembered: Remembered | null = null
  let inDirectory: string | null = null
  return {
    async expected() {
      try {
        remembered = await memory.recall()
      } catch (error) {
        inDirectory = await readDirectory()
        if (inDirectory === null) throw lost(messageOf(error), memory.path)
        onLost(
          `${messageOf(error)}. tajo.rootdir ${rootDirectory} holds cluster ${inDirectory}: that one is meant`,
        )
        return inDirectory
      }
      const sameConfiguration = named || remembered?.rootDirectory === rootDirectory
      if (remembered !== null && sameConfiguration) return remembered.clusterId
      if (named) return null
      inDirectory = await readDirectory()
      return inDirectory ?? remembered?.clusterId ?? null
    },
    async instead(answering) {
      inDirectory = await readDirectory()
      // Made anew since it was remembered: its own directory says so.
      if (inDirectory === answering) return answering
      if (inDirectory !== null && !named)
        throw otherDirectory(inDirectory, answering, rootDirectory)
      if (remembered === null) throw new QueryError('refused', `they are of cluster ${answering}`)
      throw wasAnother(remembered, answering, memory.path)
    },
    async confirmed(clusterId) {
      // What a named address has taught is no word about a directory, and the next one asks that.
      const root = named ? (remembered?.rootDirectory ?? '') : rootDirectory
      if (remembered?.clusterId === clusterId && remembered.rootDirectory === root) return
      const since = now().toISOString()
      await memory.remember({ clusterId, rootDirectory: root, since }).catch(onUnwritten)
    },
  }
}

const lost = (why: string, path: string): QueryError =>
  new QueryError(
    'refused',
    `${why}; and tajo.rootdir here does not tell it either. Nothing was sent. Mend the file's rights, or, if the list of masters is surely right, remove ${path} and try again`,
  )

const otherDirectory = (own: string, answering: string, rootDirectory: string): QueryError =>
  new QueryError(
    'refused',
    `tajo.rootdir here, ${rootDirectory}, holds cluster ${own}, and a master of conf/masters belongs to cluster ${answering}: take it out of conf/masters, or give it the same tajo.rootdir. Nothing was sent to it`,
  )

const wasAnother = (was: Remembered, answering: string, path: string): QueryError =>
  new QueryError(
    'refused',
    `until now these masters were cluster ${was.clusterId} (known since ${was.since}), and now one answers for cluster ${answering}. Nothing was sent to it. If the cluster was made anew, remove ${path} and try again; otherwise the list of masters names one of another cluster`,
  )
