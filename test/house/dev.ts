/**
 * `npm run dev`: builds at each change of a file, and starts one master anew on what was built. The master's files lie in
 * data/dev of this clone, its ports are Tajo's less 5000, so it meets no cluster that runs beside it. Ctrl-C ends
 * both. What it prints of the build is the compiler's own word.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { HOME } from '../support/install.ts'
import { siteXml } from '../support/test-daemon.ts'

const DIRECTORY = join(HOME, 'data', 'dev')
const MASTER = 'localhost:21001'

let master: ChildProcess | null = null
/** Restarts come one after the other, and one that is wanted meanwhile is not forgotten. */
let turn: Promise<void> = Promise.resolve()

function say(text: string): void {
  process.stdout.write(`dev: ${text}\n`)
}

function configure(): void {
  for (const name of ['conf', 'logs', 'run'])
    mkdirSync(join(DIRECTORY, name), { recursive: true, mode: 0o700 })
  const site = { 'tajo.rootdir': join(DIRECTORY, 'root'), 'tajo.master.ha.enable': 'true' }
  writeFileSync(join(DIRECTORY, 'conf', 'tajo-site.xml'), siteXml(site))
  writeFileSync(join(DIRECTORY, 'conf', 'masters'), `${MASTER}\n`)
  writeFileSync(join(DIRECTORY, 'conf', 'workers'), '')
}

async function restart(): Promise<void> {
  const bundled = spawnSync(process.execPath, ['build/lib/cli/bundle.js'], {
    cwd: HOME,
    stdio: 'inherit',
  })
  if (bundled.status !== 0) {
    say('the bundle failed: the master goes on as it is')
    return
  }
  await end()
  const env = {
    ...process.env,
    TAJO_CONF_DIR: join(DIRECTORY, 'conf'),
    TAJO_LOG_DIR: join(DIRECTORY, 'logs'),
    TAJO_PID_DIR: join(DIRECTORY, 'run'),
    TAJO_MASTER_NAME: MASTER,
  }
  master = spawn(process.execPath, ['build/programs/tajo.js', 'master'], {
    cwd: HOME,
    env,
    stdio: ['ignore', 'inherit', 'inherit'],
  })
}

async function end(): Promise<void> {
  const child = master
  master = null
  if (child === null || child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.kill('SIGTERM')
  await ended
}

configure()
const compiler = spawn(
  process.execPath,
  ['node_modules/typescript/bin/tsc', '-p', '.', '--watch', '--preserveWatchOutput'],
  { cwd: HOME, stdio: ['ignore', 'pipe', 'inherit'] },
)
createInterface({ input: compiler.stdout }).on('line', (line) => {
  process.stdout.write(`${line}\n`)
  if (/Found 0 errors/.test(line)) turn = turn.then(restart)
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    compiler.kill()
    void turn.then(end).then(() => process.exit(0))
  })
}
compiler.once('exit', () => void turn.then(end))
