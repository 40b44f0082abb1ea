/**
 * What a worker's look at the cluster's directory proves: the mount answers, and it is the cluster's directory that is
 * mounted there. Both kinds of master make the directory; its files differ, and the active master puts back one that was
 * removed, so a missing or torn file is the answer of a storage that lives. Where the directory itself is not there, or
 * holds another cluster, something else is mounted, or nothing: what is read and written there would be lost.
 */
import { readdir } from 'node:fs/promises'
import { HaError, isDirectory } from '../../ha/index.ts'
import { clusterIdOf } from './cluster-identity.ts'

/** `clusterId` is the worker's. Rejects with the file system's error, or an Error that says what is there instead. */
export async function lookAtDirectory(haDirectory: string, clusterId: string): Promise<void> {
  const found = await idOf(haDirectory)
  if (found === null) await requireThere(haDirectory)
  else if (found !== clusterId) {
    throw new Error(
      `${haDirectory} holds cluster ${found}, and this worker is one of cluster ${clusterId}: is the shared directory mounted there?`,
    )
  }
}

async function idOf(haDirectory: string): Promise<string | null> {
  try {
    return await clusterIdOf(haDirectory)
  } catch (error) {
    // Its text is wrong, or a directory is in its place: it was read.
    if (error instanceof HaError || isDirectory(error)) return null
    throw error
  }
}

async function requireThere(haDirectory: string): Promise<void> {
  try {
    await readdir(haDirectory)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
    throw new Error(`${haDirectory} is not there: is the shared directory mounted?`, {
      cause: error,
    })
  }
}
