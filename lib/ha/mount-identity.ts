/**
 * On which mount a directory is found now: the device and the kernel's number of the mount. Both are another one when
 * somebody unmounts it, or mounts something over it, while its path stays the same.
 */
import { open, readFile } from 'node:fs/promises'

/** Rejects with the system's error where the directory can't be opened. */
export async function mountIdentity(directory: string): Promise<string> {
  const handle = await open(directory, 'r')
  try {
    const { dev } = await handle.stat()
    const info = await readFile(`/proc/self/fdinfo/${handle.fd}`, 'utf8')
    return `${dev} ${/^mnt_id:\s*(\d+)/m.exec(info)?.[1] ?? ''}`
  } finally {
    await handle.close()
  }
}
