import { execFileSync } from 'node:child_process'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type HostFacts, isThisHost, sameMachine, thisHost } from '../../../lib/cli/address.ts'
import { quoteWord, splitShellWords, withEnvFile } from '../../../lib/cli/env-file.ts'
import { CliError } from '../../../lib/cli/exit.ts'
import { sshArguments } from '../../../lib/cli/start/ssh.ts'
import { testdirOf } from '../../support/testdir.ts'

t.test('TAJO_SSH_OPTS is split as shell words, and nothing in it is run', async (t) => {
  const of = (text: string) => splitShellWords(text, 'TAJO_SSH_OPTS')
  t.same(of(''), [])
  t.same(of('  -p 2222\t-i /k '), ['-p', '2222', '-i', '/k'])
  t.same(of(`-o 'ProxyCommand=nc -x a b' -i "my key"`), [
    '-o',
    'ProxyCommand=nc -x a b',
    '-i',
    'my key',
  ])
  t.same(of(`a\\ b "c\\"d\\e" '' ""`), ['a b', 'c"d\\e', '', ''])
  t.same(of('$(id) `id` $HOME ;'), ['$(id)', '`id`', '$HOME', ';'])
  t.throws(() => of(`-i 'key`), /TAJO_SSH_OPTS has a ' without its end/)
  t.throws(() => of('-i key\\'), /ends with a lone backslash/)
})

t.test('a quoted word comes out of a shell as it went in', async (t) => {
  const hostile = [
    'plain',
    '',
    "it's",
    'a b',
    '$(touch /tmp/x)',
    '`id`',
    '"; rm -rf / #',
    '!history',
    '\\',
    '*',
    '~root',
    '-n',
    "'\\''",
    'ä\u00a0ö',
  ]
  const line = hostile.map(quoteWord).join(' ')
  for (const shell of ['sh', 'bash']) {
    const script = `for word in ${line}; do printf '%s\\0' "$word"; done`
    const out = execFileSync(shell, ['-c', script], { encoding: 'utf8' })
    t.same(out.split('\0').slice(0, -1), hostile, shell)
  }
  t.throws(() => quoteWord('a\nb'), CliError)
  t.throws(() => quoteWord('a\0b'), CliError)
})

t.test('the ssh command line', async (t) => {
  const base = {
    host: 'host2',
    sshOptions: '-p 2222',
    env: { TAJO_CONF_DIR: '/et c/tajo' },
    pathDir: '/opt/node/bin',
    words: ['/opt/tajo/bin/tajo', 'haadmin', '-transitionToActive', 'host2:26001'],
  }
  const args = sshArguments(base)
  t.same(args.slice(0, 2), ['-p', '2222'], "the operator's options win, being first")
  t.ok(args.includes('BatchMode=yes'))
  t.ok(args.some((arg) => arg.startsWith('ConnectTimeout=')))
  t.same(args.slice(-3), [
    '--',
    'host2',
    `env PATH="$PATH":/opt/node/bin 'TAJO_CONF_DIR=/et c/tajo' /opt/tajo/bin/tajo haadmin -transitionToActive host2:26001`,
  ])
  for (const host of ['-oProxyCommand=id', 'a b', 'user@host', 'a;id', '$(id)', '', 'a\nb']) {
    t.throws(() => sshArguments({ ...base, host }), CliError, JSON.stringify(host))
  }
})

t.test('is that host this one?', async (t) => {
  const names: Record<string, string[]> = {
    me: ['10.0.0.1'],
    alias: ['10.0.0.1'],
    other: ['10.0.0.2'],
    debian: ['127.0.1.1'],
  }
  const facts: HostFacts = {
    hostname: 'Me.example',
    addresses: new Set(['127.0.0.1', '::1', '10.0.0.1']),
    resolve: async (host) => names[host] ?? [],
  }
  for (const host of [
    'localhost',
    'LOCALHOST.',
    'me.example',
    'alias',
    '10.0.0.1',
    '127.0.0.9',
    '::1',
    'debian',
  ]) {
    t.ok(await isThisHost(host, facts), host)
  }
  for (const host of ['other', '10.0.0.2', 'unknown', '::2']) {
    t.notOk(await isThisHost(host, facts), host)
  }
  t.ok(await sameMachine('localhost', 'me.example', facts))
  t.notOk(await sameMachine('localhost', 'other', facts), "another host's localhost")
  t.notOk(await sameMachine('debian', 'debian', facts), 'a name that only loops back')
  t.ok(await sameMachine('alias', 'somename', facts), 'a real address of ours')
  t.ok(await sameMachine('localhost', null, facts))
  t.ok(await isThisHost('localhost', thisHost()))
  t.ok(await isThisHost(thisHost().hostname, thisHost()))
  t.same(await thisHost().resolve('no-such-host.invalid'), [])
})

t.test('conf/tajo-env.sh sets the environment', async (t) => {
  const dir = testdirOf(t)
  const env = { PATH: process.env.PATH ?? '', OWN: 'kept', TAJO_HOME: '/home' }
  t.equal(withEnvFile(dir, env, true), env, 'no file, nothing changes')
  const withFile = (name: string, text: string) => {
    const conf = join(dir, name)
    mkdirSync(conf)
    writeFileSync(join(conf, 'tajo-env.sh'), text)
    return withEnvFile(conf, env, true)
  }
  const after = withFile(
    'good dir',
    `echo noise\nexport TAJO_PID_DIR="$TAJO_HOME/a b"\nexport TAJO_SSH_OPTS=$'-i "x"\\n'\nNOT_EXPORTED=1\n`,
  )
  t.equal(after.TAJO_PID_DIR, '/home/a b')
  t.equal(after.TAJO_SSH_OPTS, '-i "x"\n')
  t.equal(after.OWN, 'kept')
  t.notOk('NOT_EXPORTED' in after)
  t.notOk('SHLVL' in after)
  t.throws(
    () => withFile('bad', 'export A=(\n'),
    /tajo-env.sh can't be sourced by bash: .*tajo-env.sh: line 1: /,
  )
  t.throws(() => withFile('fails', 'echo no >&2; exit 3\n'), /can't be sourced by bash: no/)
})
