/**
 * Is what was written still what its name leads to? Writes through an open file go on succeeding after somebody has
 * removed its name (a cleaner of old files, a typing error of an operator), and nobody would ever read them. So after each
 * durable write, and before anything is acknowledged, the file is looked for by its name.
 */
import { type Files, isNoFile, type Written } from './files.ts'

/** Null when it is there as a whole; else what is wrong, as a sentence. Rejects with FileError where nobody can tell. */
export async function whyGone(files: Files, written: Written): Promise<string | null> {
  const { path, bytes } = written
  try {
    const seen = await files.lookAt(path)
    if (seen === 'missing') return `${path} is gone: somebody has removed it`
    if (seen.bytes < bytes) {
      return `${path} has ${seen.bytes} bytes, ${bytes} were written: somebody has cut it off or replaced it`
    }
    // Some mounts number their files anew now and then: there what stands in it decides.
    if (seen.fileId === written.fileId || (await endsAlike(files, written))) return null
    return `${path} is another file than the one that was written: somebody has replaced it`
  } catch (error) {
    if (!isNoFile(error)) throw error
    return `${path} is no file any more (${error.errno}): somebody has replaced it`
  }
}

async function endsAlike(files: Files, { path, bytes, tail }: Written): Promise<boolean> {
  const found = await files.readAt(path, bytes - tail.length, tail.length)
  return found !== 'missing' && found.equals(tail)
}
