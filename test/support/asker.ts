/**
 * Asks masters the same question over and over, from a process inside a host, and keeps every answer with its time on
 * the monotonic clock, which all processes of this machine share: what a test says about "after" needs no slack.
 */
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import { HOME } from './install.ts'
import type { TestHost } from './netns.ts'
import { pacedMs } from './pace.ts'
import { start } from './processes.ts'
import { until } from './until.ts'

/** One request. Times are milliseconds of `nowMs()`. */
export interface Asked {
  readonly host: string
  readonly sentMs: number
  readonly answeredMs: number
  /** 200 from the one that serves; 0 when there was no answer. */
  readonly status: number
  readonly epoch: number | null
}

export interface Asker {
  readonly all: readonly Asked[]
  /** Resolves to the first request, sent at or after `sinceMs`, that was served by one of these hosts. */
  served(hosts: readonly string[], sinceMs: number, productMs?: number): Promise<Asked>
}

/** A frozen or hanging master answers never. */
const ANSWER_MS = pacedMs(1000)

/** The clock that `Asked` uses. */
export const nowMs = (): number => Number(process.hrtime.bigint()) / 1e6

/** Starts asking each of `hosts` at its client port; ends with the test. */
export async function startAsker(
  t: Test,
  from: TestHost,
  hosts: readonly string[],
): Promise<Asker> {
  const program = join(HOME, 'build/test/support/asker-process.js')
  const child = start(from.command([process.execPath, program, String(ANSWER_MS), ...hosts]))
  t.teardown(() => void child.stdin.end())
  const all: Asked[] = []
  createInterface({ input: child.stdout }).on('line', (line) => {
    all.push(JSON.parse(line) as Asked)
  })
  return {
    all,
    served: (among, sinceMs, productMs = 0) =>
      until(
        `one of ${among.join(', ')} serves`,
        () => all.find((a) => a.status === 200 && a.sentMs >= sinceMs && among.includes(a.host)),
        { productMs, needs: [child] },
      ),
  }
}
