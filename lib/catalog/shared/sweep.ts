/**
 * Removing what nobody needs of the shared catalog any more: what lies below a checkpoint, and a part that was never begun.
 * Nothing of anything higher is touched, so a sweep may come late, from a deposed master too.
 */
import { join } from 'node:path'
import { markFile, marksOf } from './begun.ts'
import type { Base } from './chain.ts'
import type { Files } from './files.ts'
import {
  checkpointsOf,
  journalFile,
  partsOf,
  segmentsOf,
  snapshotFile,
  termDir,
  termsOf,
} from './term-names.ts'

/** Removes what a checkpoint replaces: older ones of its own part, the parts below in its term, and all lower terms. */
export async function sweepBelow(
  files: Files,
  directory: string,
  { term, part, seq }: Pick<Base, 'term' | 'part' | 'seq'>,
): Promise<void> {
  const all = await namesIn(files, directory)
  const marks = marksOf(all)
  const names = await namesIn(files, join(directory, termDir(term)))
  const own = marks.filter((mark) => mark.term === term).map((mark) => mark.part)
  for (const old of new Set([...own, ...partsOf(names)])) {
    if (old < part) await removePart(files, directory, { term, part: old })
  }
  for (const old of checkpointsOf(names).filter((one) => one.part === part && one.seq < seq)) {
    await files.unlink(join(directory, termDir(term), old.name))
  }
  const lower = new Set([...termsOf(all), ...marks.map((mark) => mark.term)])
  for (const old of [...lower].filter((one) => one < term).sort((a, b) => a - b)) {
    const parts = marks.filter((mark) => mark.term === old).map((mark) => mark.part)
    await removeTerm(files, directory, { term: old, parts })
  }
}

/**
 * The mark goes first, then the journal: either without what it promises would look like damage. Without the journal's
 * first file nobody asks for its others; without the word that a checkpoint is whole nobody asks for that.
 */
export async function removePart(
  files: Files,
  directory: string,
  { term, part }: { readonly term: number; readonly part: number },
): Promise<void> {
  const at = join(directory, termDir(term))
  await files.unlink(join(directory, markFile(term, part)))
  await files.unlink(join(at, journalFile(part)))
  await files.unlink(join(at, snapshotFile(part)))
  const names = await namesIn(files, at)
  // `whole-…` before `checkpoint-…`.
  const checkpoints = checkpointsOf(names).sort((a, b) => (a.name < b.name ? 1 : -1))
  for (const one of [...segmentsOf(names), ...checkpoints]) {
    if (one.part === part) await files.unlink(join(at, one.name))
  }
}

/** `parts`: those that have marks. */
async function removeTerm(
  files: Files,
  directory: string,
  { term, parts }: { readonly term: number; readonly parts: readonly number[] },
): Promise<void> {
  for (const part of parts) await files.unlink(join(directory, markFile(term, part)))
  const at = join(directory, termDir(term))
  const names = await files.list(at)
  if (names === 'missing') return
  for (const part of partsOf(names)) await removePart(files, directory, { term, part })
  await files.removeDir(at)
}

async function namesIn(files: Files, directory: string): Promise<string[]> {
  const names = await files.list(directory)
  return names === 'missing' ? [] : names
}
