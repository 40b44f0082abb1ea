/**
 * The process of an engine, which its worker starts (`engine-link.ts`). As little as may be is loaded here, so that it is
 * there soon.
 *
 * It ends with its worker, however that ends, and whatever the engine does at the moment: the engine works on threads of its
 * own, and this one hears that the channel is gone. Signals that a terminal or a supervisor sends to all at once are the
 * worker's business, which ends its queries in good order.
 */
import { systemClock } from '../base/time.ts'
import { engineError } from './duckdb-errors.ts'
import { EngineHost } from './engine-host.ts'
import type { Call, CallName, EngineCalls, FromEngine, ToEngine } from './engine-words.ts'

/** How often it tells how far a statement has come. */
const PROGRESS_MS = 250

const host = new EngineHost()
/** What is asked is done in this order, so that its worker need not wait for one answer to ask the next. */
let last: Promise<void> = Promise.resolve()
let calls = 0
let told = 0

/** Not by `exit`, which would wait for the engine's threads. */
const vanish = (): void => void process.kill(process.pid, 'SIGKILL')

function say(message: FromEngine): void {
  // Nobody hears it where the worker is gone, and this process is then, too.
  process.send?.(message, () => {})
}

function take(call: Call): void {
  calls += 1
  if (calls === 1) systemClock.after(PROGRESS_MS, tellProgress)
  last = last.then(() => answer(call))
}

async function answer({ id, ...call }: Call): Promise<void> {
  try {
    say({ id, answer: await asked(call.do, call.with as never) })
  } catch (error) {
    const { code, message, position } = engineError(error)
    say({ id, error: { code, message, position } })
  } finally {
    calls -= 1
  }
}

async function asked<Name extends CallName>(
  name: Name,
  input: EngineCalls[Name]['with'],
): Promise<EngineCalls[Name]['answer']> {
  const serve = host[name] as unknown as (
    of: EngineCalls[Name]['with'],
  ) => Promise<EngineCalls[Name]['answer']>
  return serve.call(host, input)
}

function tellProgress(): void {
  if (calls === 0) return
  const progress = host.progress()
  if (progress !== told) say({ progress })
  told = progress
  systemClock.after(PROGRESS_MS, tellProgress)
}

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => {})
process.on('disconnect', vanish)
process.on('message', (message: ToEngine) => {
  if (message.do === 'interrupt') host.interrupt()
  else take(message)
})
if (!process.connected) vanish()
