/** Processes that do nothing but take processor time, as many others on a machine would. */
import { type ChildProcess, spawn } from 'node:child_process'
import { childEnv } from '../support/processes.ts'

/** Ends with its parent, however that ends. */
const LOOP = `while (process.ppid === ${process.pid});`

/** Starts so many; what is answered ends them. */
export function busyLoops(count: number): () => void {
  const loops = Array.from(
    { length: count },
    (): ChildProcess =>
      spawn(process.execPath, ['-e', LOOP], { env: childEnv(), stdio: 'ignore', detached: true }),
  )
  for (const loop of loops) {
    loop.on('error', (error) => console.error(`a busy loop could not be started: ${error.message}`))
    loop.unref()
  }
  return () => {
    for (const loop of loops) loop.kill('SIGKILL')
  }
}
