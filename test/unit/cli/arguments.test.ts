import t from 'tap'
import { nearest } from '../../../lib/base/nearest.ts'
import {
  formatAddress,
  isAddress,
  isHostName,
  parseAddress,
  sameAddress,
} from '../../../lib/cli/address.ts'
import { parseArguments } from '../../../lib/cli/arguments.ts'
import { CliError } from '../../../lib/cli/exit.ts'
import { haadminCall } from '../../../lib/cli/haadmin/call.ts'
import { helpText } from '../../../lib/cli/help.ts'

const read = (line: string) => parseArguments(line.split(' ').filter((word) => word !== ''))
const call = (line: string) => haadminCall(read(`haadmin ${line}`).options)

/** The sentence of the usage error, with its exit code checked. */
function usageOf(run: () => unknown): string {
  try {
    run()
  } catch (error) {
    if (error instanceof CliError) {
      t.equal(error.exitCode, 2)
      return error.message
    }
    throw error
  }
  throw new Error('no error was thrown')
}

t.test('long options take one dash or two, anywhere', async (t) => {
  t.same(call('-getState host1:26001'), {
    verb: 'getState',
    address: { host: 'host1', port: 26001 },
  })
  t.same(call('--getState=host1:26001'), call('-getState host1:26001'))
  t.match(read('--config /a/b haadmin -status -json'), {
    command: 'haadmin',
    config: '/a/b',
    json: true,
  })
  t.match(read('haadmin -status --config haadmin'), { command: 'haadmin', config: 'haadmin' })
  t.match(read('getconf tajo.rootdir --json'), { args: ['tajo.rootdir'], json: true })
})

t.test('each verb with what belongs to it', async (t) => {
  t.match(call('-transitionToActive h:1 --force'), { verb: 'transitionToActive', force: true })
  t.match(call('-transitionToBackup h:1'), { force: false, by: null, here: false })
  t.match(call('-transitionToBackup h:1 -by me@there -here'), { by: 'me@there', here: true })
  t.same(call('-formatHA -yes'), { verb: 'formatHA', yes: true })
  t.same(call('-status'), { verb: 'status' })
  t.same(call('-history'), { verb: 'history', limit: 50 })
  t.same(call('-history --limit 3'), { verb: 'history', limit: 3 })
  t.same(call('-checkSharedDir --peer host2'), { verb: 'checkSharedDir', peer: 'host2' })
})

t.test('what is not understood names what is, and the nearest', async (t) => {
  t.match(
    usageOf(() => read('hadmin -status')),
    /unknown command 'hadmin', did you mean 'haadmin'\?/,
  )
  t.match(
    usageOf(() => read('zzz')),
    /unknown command 'zzz' \(allowed are master, worker/,
  )
  t.match(
    usageOf(() => read('-json')),
    /a command is missing/,
  )
  t.match(
    usageOf(() => read('haadmin -getstate h:1')),
    /'-getstate', did you mean -getState\?/,
  )
  t.match(
    usageOf(() => read('haadmin -transitiontostandby h:1')),
    /did you mean -transitionTo/,
  )
  t.match(
    usageOf(() => read('haadmin status')),
    /'status', did you mean -status\?/,
  )
  t.notMatch(
    usageOf(() => read('haadmin -xyz')),
    /-here|-by/,
    'hidden options stay hidden',
  )
  t.match(
    usageOf(() => read('haadmin -getState')),
    /-getState needs a value: a master's umbilical/,
  )
  t.match(
    usageOf(() => read('haadmin -getState -force')),
    /-getState needs a value/,
  )
  t.match(
    usageOf(() => read('getconf')),
    /needs a key, such as tajo.rootdir/,
  )
  t.match(
    usageOf(() => read('getconf a b')),
    /does not know 'b'/,
  )
  t.match(
    usageOf(() => read('master --frob')),
    /does not know '--frob'/,
  )
  t.match(
    usageOf(() => read('haadmin -bogus')),
    /does not know '-bogus'/,
    'as it was typed',
  )
  t.match(
    usageOf(() => read('haadmin -formatHA --yes=perhaps')),
    /-yes takes no value/,
  )
  t.match(
    usageOf(() => read('version --config=')),
    /--config needs the name of a directory/,
  )
})

t.test('verbs that are missing, doubled or mixed', async (t) => {
  t.match(
    usageOf(() => call('')),
    /needs one of -getState/,
  )
  t.match(
    usageOf(() => call('-force')),
    /needs one of/,
  )
  t.match(
    usageOf(() => call('-status -history')),
    /exclude each other/,
  )
  t.match(
    usageOf(() => call('-getState a:1 -getState b:1')),
    /given twice/,
  )
  t.match(
    usageOf(() => call('-status -force')),
    /-force does not belong to -status/,
  )
  t.match(
    usageOf(() => call('-getState h:1 -yes')),
    /-yes does not belong to -getState/,
  )
  t.match(
    usageOf(() => call('-history -limit 0')),
    /'0' is not a number of terms/,
  )
  t.match(
    usageOf(() => call('-history -limit 1e3')),
    /'1e3' is not a number of terms/,
  )
  t.match(
    usageOf(() => call('-checkSharedDir -peer a;b')),
    /'a;b' is not a host name/,
  )
})

t.test('addresses', async (t) => {
  const of = (text: string) => parseAddress(text, '-getState')
  t.same(of('[::1]:26001'), { host: '::1', port: 26001 })
  t.equal(formatAddress(of('[::1]:26001')), '[::1]:26001')
  t.same(of('a_b.c-d.example:1'), { host: 'a_b.c-d.example', port: 1 })
  const hostile = [
    'host',
    'host:',
    ':26001',
    'host:0',
    'host:65536',
    'host:1a',
    'host:-1',
    'a:b:1',
    '-oProxyCommand=x:22',
    'a b:1',
    'u@h:1',
    '[host]:1',
    '$(id):1',
    'h\n:1',
    '',
  ]
  for (const text of hostile)
    t.match(
      usageOf(() => of(text)),
      /-getState: '.*' (is not|has no)/s,
    )
  t.ok(sameAddress('Host1:26001', 'host1.:26001'))
  t.notOk(sameAddress('host1:26001', 'host1:27001'))
  t.ok(isAddress('h:1'))
  for (const foreign of ['formatHA', 'h', 'h:99999', 7, null]) t.notOk(isAddress(foreign))
  t.notOk(isHostName('-l'))
  t.notOk(isHostName('a'.repeat(254)))
})

t.test('the nearest word', async (t) => {
  const words = ['getState', 'status', 'history']
  t.equal(nearest('getstat', words), 'getState')
  t.equal(nearest('sttaus', words), 'status')
  t.equal(nearest('hist', words), 'history')
  t.equal(nearest('frobnicate', words), null)
  t.equal(nearest('x'.repeat(100_000), words), null)
})

t.test('help tells every verb, option and exit code', async (t) => {
  const text = helpText('haadmin')
  for (const word of [
    '-getState',
    '-status',
    '-history',
    '-transitionToActive',
    '-transitionToBackup',
    '-formatHA',
    '-checkSharedDir',
    '--peer',
    '--force',
    '--yes',
    '--json',
    '--config',
    '4 refused',
  ]) {
    t.ok(text.includes(word), word)
  }
  t.equal(helpText('nonsense'), helpText(null))
})
