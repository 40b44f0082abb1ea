/**
 * What is slow when it is used for the first time is used once before anybody waits for it: a backup that becomes the
 * active is asked for statements within milliseconds, and by workers and clients at once.
 */
import { inSlices } from '../../base/slices.ts'
import { services } from '../../rpc/contract.ts'
import { prepared } from '../../rpc/prepare.ts'
import { parseStatement } from '../../sql/index.ts'

export async function warmUp(): Promise<void> {
  await inSlices(STATEMENTS, parseStatement)
  for (const name of SERVICES) await inSlices(prepared(services[name]))
}

/** Of an active master: what it is asked, and what it asks workers. */
const SERVICES = ['client', 'tracker', 'catalog', 'worker'] as const

/** The grammar is built for the first one; each branch of it is learnt once. */
const STATEMENTS = ['INSERT INTO t (a) VALUES (1)', "SELECT a FROM t WHERE b = 'c'"]
