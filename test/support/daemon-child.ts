/**
 * A daemon for tests of `lib/daemon`: `node daemon-child.js PIDFILE LOGFILE MODE`. Prints `up` when it runs.
 * Modes: `plain`; `hang` (a file call of its never returns); `slow` (its end in good order never comes); `crash`.
 */
import { open } from 'node:fs/promises'
import { openDaemonLog, runDaemon, takePidFile } from '../../lib/daemon/index.ts'

const [pidPath = '', logPath = '', mode = 'plain', fifo = ''] = process.argv.slice(2)
const log = openDaemonLog({
  file: logPath,
  level: 'info',
  maxBytes: 1_000_000,
  keep: 1,
  base: {},
  terminal: null,
  onTrouble: (message) => process.stderr.write(`${message}\n`),
})
try {
  const pidFile = await takePidFile(pidPath, '/root')
  runDaemon({
    log,
    stop: async (why) => {
      log.log('info', why, { event: 'master-stopping' })
      if (mode === 'slow') await new Promise<never>(() => {})
    },
    reload: () => process.stdout.write('reloaded\n'),
    tidy: () => pidFile.remove(),
  })
  // Opening a pipe that nobody writes to occupies a file thread, as a call on a dead mount does.
  if (mode === 'hang') void open(fifo, 'r')
  if (mode === 'crash') setTimeout(() => Promise.reject(new Error('a mistake')), 10)
  setInterval(() => {}, 60_000)
  process.stdout.write('up\n')
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`)
  process.exitCode = 1
}
