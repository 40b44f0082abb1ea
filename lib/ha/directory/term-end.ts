/** A term's last word, as far as it left one: `end.json`, found by listing so that no absence gets cached on NFS. */
import { decodeEnd } from '../words/decode.ts'
import { type End, endFile, termDir } from '../words/layout.ts'
import type { Disk } from '../world/ports.ts'

/** Null where the term has no end on file, or a torn one. */
export async function readEnd(disk: Disk, term: number): Promise<End | null> {
  if (term === 0) return null
  const names = await disk.list('observe', termDir(term))
  if (names === 'missing' || !names.includes('end.json')) return null
  const text = await disk.read('observe', endFile(term))
  return text === 'missing' ? null : decodeEnd(text)
}
