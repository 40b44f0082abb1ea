/**
 * For the end of sbin/start-tajo.sh: how many workers have registered with the active master. They look for it by
 * themselves, so the script only waits until as many as it started are there.
 */
import { pause, waitingClock } from '../../base/time.ts'
import type { HostPort } from '../../conf/index.ts'
import { exchange, NoAnswer } from '../sight/http.ts'

const ANSWER_MS = 2000
const PAUSE_MS = 100

/**
 * The number of living workers that the master at `info` knows, once it is `wanted` or at `endMs` (of
 * performance.now()). Null when that master never told: another one may be active meanwhile, which is no failure of the
 * start.
 */
export async function waitForWorkers(
  info: HostPort,
  wanted: number,
  endMs: number,
): Promise<number | null> {
  let known: number | null = null
  for (;;) {
    known = (await countWorkers(info)) ?? known
    const enough = known !== null && known >= wanted
    if (enough || wanted === 0 || performance.now() >= endMs) return known
    await pause(waitingClock, PAUSE_MS)
  }
}

async function countWorkers(info: HostPort): Promise<number | null> {
  try {
    const options = { method: 'GET', deadlineMs: ANSWER_MS } as const
    const { status, body } = await exchange(info, '/api/v1/cluster', options)
    if (status !== 200) return null
    const { workers } = body as { readonly workers: readonly { readonly state?: string }[] }
    return workers.filter(({ state }) => state !== 'lost').length
  } catch (error) {
    if (error instanceof NoAnswer) return null
    throw error
  }
}
