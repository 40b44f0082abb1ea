/** `tajo worker`: workers run queries, and this release has none yet. */
import type { Run } from '../command.ts'
import { failure } from '../exit.ts'

export const run: Run = async () => {
  throw failure(
    'this release has the masters and their failover only; workers come with the release that brings the queries',
  )
}
