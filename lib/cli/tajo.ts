/**
 * The command `tajo`: reads the command line, loads the one command that is meant, and turns whatever comes out of it
 * into a line on stderr and an exit code.
 *
 * What scripts call often (version, getconf, --help) is answered before the argument parser is even loaded. A command
 * that has finished ends the process at once, after its output is flushed: no timer or socket left open can keep a
 * shell waiting. Only `master` never comes here alive: it ends itself.
 */
import { join, resolve } from 'node:path'
import { INSTALL } from '../base/install.ts'
import type { CommandContext, Invocation, Run } from './arguments.ts'
import { takePrecedence } from './daemon/precedence.ts'
import { EXIT } from './exit.ts'
import { standardOutput } from './print.ts'
import { runProgram } from './program.ts'

const HELP = new Set(['-h', '-help', '--help'])
/** In a command's place they are one. */
const VERSION = new Set(['-version', '--version'])

async function main(words: readonly string[]): Promise<number> {
  // What is made is this user's alone; a worker has tables' files to make, and sets another one.
  process.umask(0o077)
  const argv = VERSION.has(words[0] ?? '') ? ['version', ...words.slice(1)] : words
  if (argv.length === 0 || argv.some((word) => HELP.has(word))) {
    const { helpText } = await import('./help.ts')
    const text = helpText(argv.find((word) => !word.startsWith('-')) ?? null)
    if (argv.length > 0) standardOutput.out(text)
    else standardOutput.err(text)
    return argv.length > 0 ? EXIT.done : EXIT.usage
  }
  const invocation = simpleInvocation(argv) ?? (await import('./arguments.ts')).parseArguments(argv)
  const context = await contextOf(invocation)
  if (invocation.command === 'master') takePrecedence(context.env.TAJO_NICENESS)
  const run = await load(invocation)
  return run(context)
}

/** `tajo version` and `tajo getconf KEY` as scripts type them; null sends everything else to the parser. */
function simpleInvocation(argv: readonly string[]): Invocation | null {
  const [command, ...args] = argv
  if (args.some((word) => word.startsWith('-'))) return null
  const base = { config: null, json: false, options: {}, args }
  if (command === 'version' && args.length === 0) return { ...base, command }
  if (command === 'getconf' && args.length === 1) return { ...base, command }
  return null
}

async function contextOf(invocation: Invocation): Promise<CommandContext> {
  const home = resolve(process.env.TAJO_HOME || INSTALL)
  const confDir = resolve(invocation.config ?? (process.env.TAJO_CONF_DIR || join(home, 'conf')))
  const plainEnv = { ...process.env, TAJO_HOME: home, TAJO_CONF_DIR: confDir }
  const usesEnvFile = invocation.command !== 'version' && invocation.command !== 'demo'
  const env = usesEnvFile
    ? (await import('./env-file.ts')).withEnvFile(confDir, plainEnv, isDaemon(invocation))
    : plainEnv
  return {
    args: invocation.args,
    options: invocation.options,
    json: invocation.json,
    confDir,
    home,
    env,
    output: standardOutput,
  }
}

const isDaemon = ({ command }: Invocation): boolean => command === 'master' || command === 'worker'

async function load(invocation: Invocation): Promise<Run> {
  switch (invocation.command) {
    case 'version':
      return (await import('./program.ts')).run
    case 'getconf':
      return (await import('./getconf.ts')).run
    case 'haadmin':
      return (await import('./haadmin/haadmin.ts')).run
    case 'catalog':
      return (await import('./catalog/catalog.ts')).run
    case 'user':
      return (await import('./user.ts')).run
    case 'master':
      return (await import('./daemon/master.ts')).run
    case 'worker':
      return (await import('./daemon/worker.ts')).run
    case 'demo':
      return (await import('./demo/demo.ts')).run
  }
}

await runProgram({ name: 'tajo', main })
