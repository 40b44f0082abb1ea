/**
 * A directory in memory for the shared catalog, with faults at any call: an errno, a write that lands in part, late or
 * after its failure was told, a call that never answers, a process that ends there.
 */
import { FileError, type Files, type NewFile } from '../../lib/catalog/shared/files.ts'

export interface MemDirectory {
  readonly files: Map<string, Buffer>
  readonly dirs: Set<string>
  /** Tells two files of one name apart; a test that replaces one gives it another number. */
  readonly ids: Map<string, number>
}
export const memDirectory = (): MemDirectory => ({
  files: new Map(),
  dirs: new Set(),
  ids: new Map(),
})

export type Call =
  | 'makeDirs'
  | 'list'
  | 'create'
  | 'read'
  | 'readWhole'
  | 'readAt'
  | 'lookAt'
  | 'unlink'
  | 'removeDir'
  | 'syncDir'
  | 'write'
  | 'cutTo'
  | 'sync'
  | 'close'

/**
 * `fail`: nothing happens and the errno is told. `torn`: a part of the write stands, the errno is told. `lands`: it is
 * done, and the errno is told all the same. `late`: the errno is told, it is done when `landLate` is called. `hang`: no
 * answer ever. `crash`: a part stands, and no call of this process does anything any more.
 */
export interface Fault {
  readonly how: 'fail' | 'torn' | 'lands' | 'late' | 'hang' | 'crash'
  readonly errno?: string
}

export interface MemFiles extends Files {
  readonly calls: string[]
  /** Writes that were told as failed reach the disk now. */
  landLate(): void
  /** Whether a `crash` was met. */
  crashed(): boolean
}

/** One process's view; `fault` is asked before each call, which has a number. */
export function memFiles(
  directory: MemDirectory,
  fault: (call: Call, path: string, number: number) => Fault | null = () => null,
): MemFiles {
  const { files, dirs, ids } = directory
  const calls: string[] = []
  const late: (() => void)[] = []
  let crashed = false
  const forever = <T>(): Promise<T> => new Promise<T>(() => {})

  async function run<T>(call: Call, path: string, work: (part?: boolean) => T): Promise<T> {
    await Promise.resolve()
    if (crashed) return forever()
    const met = fault(call, path, calls.length)
    calls.push(`${call} ${path}`)
    const told = new FileError(met?.errno ?? 'EIO', `can't ${call} ${path}: ${met?.errno ?? 'EIO'}`)
    switch (met?.how) {
      case undefined:
        return work()
      case 'fail':
        throw told
      case 'torn':
        work(true)
        throw told
      case 'lands':
        work()
        throw told
      case 'late':
        late.push(() => work())
        throw told
      case 'hang':
        return forever()
      case 'crash':
        crashed = true
        if (call === 'write') work(true)
        return forever()
    }
  }

  const newFile = (path: string, id: number): NewFile => {
    let end = 0
    let tail = Buffer.alloc(0)
    return {
      get written() {
        return { path, fileId: String(id), bytes: end, tail }
      },
      write: (bytes) =>
        run('write', path, (part = false) => {
          if (!part) tail = Buffer.from(bytes.subarray(-256))
          const old = files.get(path)
          // Unlinked or replaced meanwhile: it goes to a file without a name.
          if (old === undefined || ids.get(path) !== id) {
            if (!part) end += bytes.length
            return
          }
          const added = part ? bytes.subarray(0, Math.floor(bytes.length * 0.7)) : bytes
          const length = Math.max(old.length, end + added.length)
          const now = Buffer.alloc(length)
          old.copy(now)
          added.copy(now, end)
          files.set(path, now)
          if (!part) end += bytes.length
        }),
      cutTo: (bytes) =>
        run('cutTo', path, () => {
          const old = files.get(path)
          if (old !== undefined) files.set(path, old.subarray(0, bytes))
          end = bytes
        }),
      sync: () => run('sync', path, () => {}),
      close: () => run('close', path, () => {}),
    }
  }
  const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('/'))

  return {
    calls,
    crashed: () => crashed,
    landLate: () => {
      for (const land of late.splice(0)) land()
    },
    makeDirs: (path) =>
      run('makeDirs', path, () => {
        for (let at = path; at !== ''; at = parentOf(at)) dirs.add(at)
      }),
    list: (path) =>
      run('list', path, () => {
        if (!dirs.has(path)) return 'missing'
        const all = [...files.keys(), ...dirs].filter((one) => parentOf(one) === path)
        return all.map((one) => one.slice(path.length + 1))
      }),
    create: (path) =>
      run('create', path, () => {
        if (files.has(path)) return 'exists'
        if (!dirs.has(parentOf(path))) throw new FileError('ENOENT', `no directory for ${path}`)
        files.set(path, Buffer.alloc(0))
        const id = 1 + Math.max(0, ...ids.values())
        ids.set(path, id)
        return newFile(path, id)
      }),
    read: (path) => run('read', path, () => files.get(path) ?? ('missing' as const)),
    readWhole: (path, bytes) =>
      run('readWhole', path, () => {
        const found = files.get(path)
        if (found === undefined) return 'missing' as const
        return found.length < bytes ? ('short' as const) : found.subarray(0, bytes)
      }),
    readAt: (path, position, length) =>
      run('readAt', path, () => {
        const bytes = files.get(path)
        return bytes?.subarray(position, position + length) ?? ('missing' as const)
      }),
    lookAt: (path) =>
      run('lookAt', path, () => {
        const bytes = files.get(path)
        if (bytes === undefined) return 'missing' as const
        return { bytes: bytes.length, fileId: String(ids.get(path)) }
      }),
    unlink: (path) =>
      run('unlink', path, () =>
        files.delete(path) ? ('unlinked' as const) : ('missing' as const),
      ),
    removeDir: (path) =>
      run('removeDir', path, () => {
        if ([...files.keys()].some((one) => parentOf(one) === path)) return 'kept' as const
        return dirs.delete(path) ? ('removed' as const) : ('missing' as const)
      }),
    syncDir: (path) => run('syncDir', path, () => {}),
  }
}
