/**
 * The page's files, from `lib/web/page` of the package, in a clone and in an installed one: read once, when the first
 * browser asks, and kept with a compressed copy and a digest. Only names that stood in the folder then are served, so no
 * request reaches the file system.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { extname, join } from 'node:path'
import { promisify } from 'node:util'
import { gzip } from 'node:zlib'
import { INSTALL } from '../base/install.ts'

interface PageFile {
  readonly type: string
  readonly etag: string
  readonly plain: Buffer
  readonly gzip: Buffer
}

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
}

const FOLDER = join(INSTALL, 'lib/web/page')

export class PageFiles {
  readonly #folder: string
  #files: Promise<ReadonlyMap<string, PageFile>> | null = null

  constructor(folder = FOLDER) {
    this.#folder = folder
  }

  /** Null: there is none of that name. Rejects when the folder can't be read; the next call tries again. */
  async find(name: string): Promise<PageFile | null> {
    this.#files ??= readAll(this.#folder).catch((error: unknown) => {
      this.#files = null
      throw error
    })
    return (await this.#files).get(name) ?? null
  }
}

async function readAll(folder: string): Promise<ReadonlyMap<string, PageFile>> {
  const entries = await readdir(folder, { withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile() && extname(entry.name) in TYPES)
  const read = files.map(async ({ name }): Promise<[string, PageFile]> => {
    const plain = await readFile(join(folder, name))
    const digest = createHash('sha256').update(plain).digest('base64url').slice(0, 22)
    const type = TYPES[extname(name)] ?? 'application/octet-stream'
    const packed = await promisify(gzip)(plain, { level: 9 })
    return [name, { type, etag: `"${digest}"`, plain, gzip: packed }]
  })
  return new Map(await Promise.all(read))
}

/** Whether a browser takes the compressed copy, by its `Accept-Encoding`: a weight of 0 says no. */
export function acceptsGzip(header: string | readonly string[] | undefined): boolean {
  const weights = new Map<string, number>()
  for (const one of String(header ?? '').split(',')) {
    const [name = '', weight = 'q=1'] = one.toLowerCase().split(';', 2)
    weights.set(name.trim(), Number(weight.trim().replace(/^q=/, '')))
  }
  return (weights.get('gzip') ?? weights.get('*') ?? 0) > 0
}
