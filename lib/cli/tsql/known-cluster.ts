/**
 * What tsql knows of its cluster before it speaks with it: the id in the cluster's directory where that can be read, else
 * what is remembered of this list of masters. The directory is asked in a process of its own, which takes its time, so it
 * is asked only where nothing is remembered under the same configuration, or where the masters answer for another cluster.
 */
import { type ClusterKnowledge, QueryError } from '../../client/index.ts'
import type { ClusterMemory, Remembered } from './cluster-memory.ts'

export interface KnownClusterOptions {
  readonly memory: ClusterMemory
  /** `tajo.rootdir`. */
  readonly rootDirectory: string
  /** The id in the directory; null where it can't be read, or is not these masters'. Never rejects. */
  readonly readDirectory: () => Promise<string | null>
  /** What was learnt can't be written down. */
  readonly onUnwritten: (error: unknown) => void
  readonly now: () => Date
}

export function tsqlKnowledge(options: KnownClusterOptions): ClusterKnowledge {
  const { memory, rootDirectory, readDirectory, onUnwritten, now } = options
  let remembered: Remembered | null = null
  let inDirectory: string | null = null
  return {
    async expected() {
      remembered = await memory.recall()
      if (remembered?.rootDirectory === rootDirectory) return remembered.clusterId
      inDirectory = await readDirectory()
      return inDirectory ?? remembered?.clusterId ?? null
    },
    async instead(answering) {
      inDirectory = await readDirectory()
      // Made anew since it was remembered: its own directory says so.
      if (inDirectory === answering) return answering
      if (inDirectory !== null) throw otherDirectory(inDirectory, answering, rootDirectory)
      if (remembered === null) throw new QueryError('refused', `they are of cluster ${answering}`)
      throw wasAnother(remembered, answering, memory.path)
    },
    async confirmed(clusterId) {
      const same = remembered?.clusterId === clusterId && remembered.rootDirectory === rootDirectory
      if (same) return
      const since = now().toISOString()
      await memory.remember({ clusterId, rootDirectory, since }).catch(onUnwritten)
    },
  }
}

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
