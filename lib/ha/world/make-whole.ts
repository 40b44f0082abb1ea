/**
 * Making a file that can be made in one call and filled in a later one: on a full disk the create succeeds and the text
 * finds no room. The file is ours then, and nobody else fills it, so the next try writes the same text from its start.
 */
import { DiskError } from '../words/errors.ts'
import type { Disk, Purpose } from './ports.ts'

export interface Wanted {
  readonly purpose: Purpose
  readonly path: string
  readonly text: string
}

/** `torn`: the paths that this process made and could not fill; kept up to date here. Rejects with DiskError. */
export async function makeWhole(
  disk: Disk,
  torn: Set<string>,
  { purpose, path, text }: Wanted,
): Promise<'created' | 'exists' | 'missing'> {
  if (torn.has(path)) {
    const filled = await disk.fill(purpose, path, text)
    torn.delete(path)
    return filled === 'missing' ? 'missing' : 'created'
  }
  try {
    return await disk.create(purpose, path, text)
  } catch (error) {
    if (error instanceof DiskError && error.made) torn.add(path)
    throw error
  }
}
