/** Asks all masters for `/health/active` every 200 ms, whether or not they have answered the question before. */
import type { Answer, Look } from './roles.ts'

const EVERY_MS = 200
/** Whoever takes longer to say that it is active serves nobody. */
const LIMIT_MS = 2000
const PAGE = 26080

export class RoleWatch {
  readonly #hosts: readonly string[]
  readonly #asked: Promise<Look>[] = []
  readonly #timer: NodeJS.Timeout

  constructor(hosts: readonly string[]) {
    this.#hosts = hosts
    this.#look()
    this.#timer = setInterval(() => this.#look(), EVERY_MS)
  }

  #look(): void {
    this.#asked.push(Promise.all(this.#hosts.map((host) => ask(host))))
  }

  /** All looks since it was made, and the end of the watch. */
  async stop(): Promise<Look[]> {
    clearInterval(this.#timer)
    return Promise.all(this.#asked)
  }
}

async function ask(host: string): Promise<Answer> {
  const askedMs = Date.now()
  const isActive = await answersOk(`http://${host}:${PAGE}/health/active`)
  return { host, askedMs, saidMs: Date.now(), isActive }
}

const answersOk = (url: string): Promise<boolean> =>
  fetch(url, { signal: AbortSignal.timeout(LIMIT_MS) }).then(
    async (response) => {
      await response.arrayBuffer()
      return response.status === 200
    },
    // Nobody there, or nobody who answers.
    () => false,
  )

interface ClusterDocument {
  readonly active: string | null
  readonly masters: readonly { readonly address: string; readonly state: string }[]
}

/** The one that is active, once it says so and that all others of `hosts` are backups; null before. */
export async function activeOfWhole(hosts: readonly string[]): Promise<string | null> {
  const healthy = await Promise.all(
    hosts.map(async (host) => ({
      host,
      active: await answersOk(`http://${host}:${PAGE}/health/active`),
      backup: await answersOk(`http://${host}:${PAGE}/health/backup`),
    })),
  )
  const actives = healthy.filter(({ active }) => active)
  const [only] = actives
  if (only === undefined || actives.length > 1) return null
  if (healthy.filter(({ backup }) => backup).length !== hosts.length - 1) return null
  const signal = AbortSignal.timeout(LIMIT_MS)
  const response = await fetch(`http://${only.host}:${PAGE}/api/v1/cluster`, { signal })
  const { masters } = (await response.json()) as ClusterDocument
  const backups = masters.filter(({ state }) => state === 'backup').length
  return backups === hosts.length - 1 ? only.host : null
}
