/** A process with engines that are all at work, each in another way, until somebody kills it. It prints the ids of them. */
import { randomUUID } from 'node:crypto'
import { systemClock } from '../../lib/base/time.ts'
import { Engines } from '../../lib/worker/engines.ts'
import { NOTHING } from '../../lib/worker/reach.ts'
import { enginePids } from './engine-processes.ts'

const [spillDirectory = ''] = process.argv.slice(2)
const engines = await Engines.open({
  ...{ threads: 2, memoryBytes: 4096 * 1024 * 1024, slots: 3, niceness: 5, spillDirectory },
  spillBytes: 1024 ** 4,
  ...{ secretName: randomUUID, clock: systemClock, log: () => {} },
})
const taken = [await engines.take(), await engines.take()]
for (const engine of taken) engine.open(NOTHING)
const [running, folding] = taken
void running?.run('SELECT count(*) FROM range(100000000000) r(i) WHERE hash(i) = 1')
// A constant that takes the engine long to fold, whoever wants to stop it.
void folding?.run('SELECT list_sum(list_transform(range(20000000), x -> x % 7))')
setTimeout(() => process.stdout.write(`${JSON.stringify(enginePids())}\n`), 1000)
