/**
 * `npm run soak -- --faults process|ground|network|claims|hdfs|hosts|mounts|day …`: which faults, each with a program of its own. `process` (the
 * default) strikes the masters themselves, `network` the clients' network, `ground` what they stand on; `claims` lets claims
 * fail for as long as one likes; `hdfs` strikes hosts over a real HDFS, `hosts` times how soon a lost one is followed; `mounts` starts two masters over a mount that caches;
 * `day` puts a day's INSERTs into a few tables.
 * `ground` and `claims` get a mount namespace of their own, so that their mounts are nobody else's and end with them.
 */
import { spawn } from 'node:child_process'
import { fileURLToPath } from 'node:url'

const PROGRAMS = {
  process: './failover.js',
  ground: './ground/run.js',
  network: './network/run.js',
  claims: './claims.js',
  hdfs: './hdfs/run.js',
  hosts: './hosts/run.js',
  mounts: './mounts.js',
  day: './day/run.js',
} as const

const words = process.argv.slice(2)
const at = words.indexOf('--faults')
const name = at === -1 ? 'process' : (words[at + 1] ?? '')
if (!Object.hasOwn(PROGRAMS, name)) {
  process.stderr.write(
    `--faults is ${JSON.stringify(name)}: it is one of ${Object.keys(PROGRAMS).join(', ')}\n`,
  )
  process.exit(2)
}
const rest = at === -1 ? words : words.toSpliced(at, 2)
const program = fileURLToPath(new URL(PROGRAMS[name as keyof typeof PROGRAMS], import.meta.url))
const command = [process.execPath, program, ...rest]
const own = ['unshare', '--mount', '--propagation', 'private', '--', ...command]
const [file = '', ...args] = ['ground', 'claims'].includes(name) ? own : command
spawn(file, args, { stdio: 'inherit' }).once('exit', (code, signal) => {
  process.exitCode = code ?? 1
  if (signal !== null) process.stderr.write(`ended by ${signal}\n`)
})
