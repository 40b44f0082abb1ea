/** Changes of a bench's catalog (make-catalog.ts) at a steady rate: columns added, tables made and dropped. */
import type { TajoClient } from '../../lib/client/index.ts'

export interface Changes {
  readonly tookMs: number[]
  /** Why, of those that were not done. */
  readonly refused: readonly string[]
  stop(): Promise<void>
}

/** So many a second, whether earlier ones are answered or not. */
export function changesOf(
  client: TajoClient,
  { rate, tables }: { readonly rate: number; readonly tables: number },
): Changes {
  const tookMs: number[] = []
  const refused: string[] = []
  const under = new Set<Promise<void>>()
  const beganMs = performance.now()
  let begun = 0
  const one = async (at: number): Promise<void> => {
    const sinceMs = performance.now()
    const name = `made_${at % 2 === 0 ? at : at - 1}`
    const table = `t${(at * 7919) % (tables - 1)}`
    if (at % 10 < 8) await client.execute(`alter table ${table} add column n${at} int4`)
    else if (at % 2 === 0) await client.execute(`create table ${name} (a int4)`)
    else await client.execute(`drop table if exists ${name}`)
    tookMs.push(performance.now() - sinceMs)
  }
  const timer = setInterval(() => {
    const due = ((performance.now() - beganMs) / 1000) * rate
    for (; begun < due; begun += 1) {
      const running: Promise<void> = one(begun)
        .catch((error: Error) => void refused.push(error.message))
        .finally(() => under.delete(running))
      under.add(running)
    }
  }, 10)
  return {
    tookMs,
    refused,
    stop: async () => {
      clearInterval(timer)
      await Promise.all(under)
    },
  }
}
