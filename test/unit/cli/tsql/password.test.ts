/** Where tsql takes a password from: ~/.tajopass in .pgpass's form, TAJO_PASSWORD, the terminal, and no file that others read. */
import { chmodSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { type PasswordAsked, passwordFor, passwordIn } from '../../../../lib/cli/tsql/password.ts'

const ANNA: PasswordAsked = {
  user: 'anna',
  masters: ['localhost:26002', 'b:26002'],
  database: 'default',
}

t.test('the first line that fits counts', async (t) => {
  const of = (text: string, more: Partial<PasswordAsked> = {}): string | null =>
    passwordIn(text, { ...ANNA, ...more })
  t.equal(of('localhost:26002:default:anna:one'), 'one')
  t.equal(of('*:*:*:*:one\n*:*:*:anna:two'), 'one')
  t.equal(of('c:*:*:anna:no\nb:26002:*:anna:yes'), 'yes', 'any of the masters')
  t.equal(of('*:*:*:bert:no\n*:1:*:anna:no\n*:*:other:anna:no'), null)
  t.equal(of('# *:*:*:anna:no\r\n*:*:*:anna:yes\r\n'), 'yes')
  t.equal(of('*:*:*:anna:a\\:b\\\\c:d\\e'), 'a:b\\c:d\\e', 'escapes, and colons of the password')
  t.equal(of('*:*:*:a\\:b:one', { user: 'a:b' }), 'one')
  t.equal(
    of('[::1]:26002:*:anna:no\n\\:\\:1:26002:*:anna:yes', { masters: ['[::1]:26002'] }),
    'yes',
  )
  t.equal(of('\nanna\n*:*:*:anna\n*:*:*:anna:'), null, 'lines that are none')
})

t.test('which of them is asked first', async (t) => {
  const home = t.testdir()
  const file = join(home, '.tajopass')
  const ask = async (question: string): Promise<string> => `typed after ${question}`
  const around = { env: {}, home, ask }
  t.equal(await passwordFor(ANNA, around), 'typed after Password for user anna: ')
  writeFileSync(file, '*:*:*:anna:kept\n', { mode: 0o600 })
  t.equal(await passwordFor(ANNA, around), 'kept')
  const env = { TAJO_PASSWORD: 'given' }
  t.equal(await passwordFor(ANNA, { ...around, env }), 'given')
  const bert = { ...ANNA, user: 'bert' }
  t.equal(await passwordFor(bert, around), 'typed after Password for user bert: ')
  await t.rejects(passwordFor(bert, { ...around, ask: null }), {
    kind: 'refused',
    message: /^log in: tajo user add bert, which the administrator has to type, /,
  })
})

t.test('a file that others may read is refused, with the command that mends it', async (t) => {
  const home = t.testdir({ '.tajopass': '*:*:*:anna:kept\n' })
  const file = join(home, '.tajopass')
  for (const mode of [0o640, 0o604, 0o620]) {
    chmodSync(file, mode)
    await t.rejects(passwordFor(ANNA, { env: {}, home, ask: null }), {
      message: `${file} may be read by others (mode 0${mode.toString(8)}), and holds passwords; allowed is 0600. Mend it: chmod 600 ${file}`,
    })
  }
  chmodSync(file, 0o600)
  t.equal(await passwordFor(ANNA, { env: {}, home, ask: null }), 'kept')
  t.match(
    await passwordFor(ANNA, { env: {}, home: '/dev/null', ask: async () => 'typed' }),
    'typed',
    'a home that is none',
  )
})
