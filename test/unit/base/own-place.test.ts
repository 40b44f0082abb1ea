/** Whose a place may be: what the system says goes in, a sentence comes out; and the scripts say the same. */
import {
  chmodSync,
  lchownSync,
  mkdirSync,
  readFileSync,
  rmdirSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t from 'tap'
import { objectionTo, type Place, shellWord, type Trust } from '../../../lib/base/own-place.ts'
import { requireOwn } from '../../../lib/base/own-place-look.ts'
import { SBIN } from '../../support/install.ts'
import { runAsOther } from '../../support/other-user.ts'
import { hasParts } from '../../support/parts.ts'
import { run } from '../../support/run.ts'
import { testdirOf } from '../../support/testdir.ts'

const OWN = 1000
const OTHER = 65_534
const judge = (place: Partial<Place>, trust: Partial<Trust> = {}): string | null =>
  objectionTo(
    { what: 'TAJO_PID_DIR', path: '/run/tajo', kind: 'directory', uid: OWN, mode: 0o755, ...place },
    { uid: OWN, ...trust },
  )
const mend = (objection: string | null): string => objection?.split('Mend it: ')[1] ?? ''

t.test('nobody else may own it or write there; who reads is not asked', async (t) => {
  for (const mode of [0o700, 0o750, 0o755, 0o2755, 0o400]) t.equal(judge({ mode }), null)
  t.equal(judge({ uid: 0 }), null, 'root can do all of it anyhow')
  for (const mode of [0o777, 0o770, 0o720, 0o702, 0o1777, 0o2775]) {
    t.match(judge({ mode }), 'not this user', mode.toString(8))
    t.match(judge({ mode, uid: 0 }), 'not this user', 'root’s too')
  }
  t.match(judge({ uid: OTHER, mode: 0o700 }), `owner uid ${OTHER}; this runs as uid ${OWN}`)
  t.match(judge({ uid: OTHER }, { uid: 0 }), 'this runs as uid 0', 'for root as well')
})

t.test('the sentence has what, where, mode, owner, what is allowed and the command', async (t) => {
  t.equal(
    judge({ mode: 0o040_777, uid: OTHER }),
    "TAJO_PID_DIR /run/tajo is not this user's alone (mode 0777, owner uid 65534; this runs as uid 1000): whoever else may write there can put his own commands, links and data in place of the cluster's. Allowed is a directory of uid 1000 or root that nobody else may write. Mend it: run this as uid 65534, whose it is, or make it this user's: chown 1000 /run/tajo && chmod go-w /run/tajo",
  )
  t.equal(mend(judge({ mode: 0o770 })), 'chmod go-w /run/tajo')
  const or = `run this as uid ${OTHER}, whose it is, or make it this user's: `
  t.equal(mend(judge({ uid: OTHER })), `${or}chown 1000 /run/tajo`)
  t.equal(mend(judge({ uid: OTHER, kind: 'file' })), 'chown 1000 /run/tajo')
  t.equal(
    mend(judge({ uid: 0, mode: 0o775 })),
    'chown 1000 /run/tajo && chmod go-w /run/tajo',
    'who wrote by the group’s bit writes as the owner',
  )
  t.equal(mend(judge({ uid: 0, mode: 0o664, kind: 'file' })), 'chmod go-w /run/tajo')
  t.equal(
    mend(judge({ mode: 0o666, uid: OTHER, path: "/a b/it's" }, { tree: '/a b' })),
    "chown -R 1000 '/a b' && chmod -R go-w '/a b'",
  )
  t.equal(
    mend(judge({ path: '/tmp', uid: 0, mode: 0o1777 })),
    'mkdir -m 700 /tmp/tajo-1000, and name that in TAJO_PID_DIR',
    'what is everybody’s stays so',
  )
  t.equal(judge({ mode: 0o1777 }, { isJudgedBelow: true }), null, 'where others only add names')
  t.match(judge({ mode: 0o777 }, { isJudgedBelow: true }), 'chmod go-w')
  t.match(judge({ mode: 0o1777, uid: OTHER }, { isJudgedBelow: true }), 'chown')
  t.match(judge({ kind: 'file', mode: 0o666 }), 'Allowed is a file of uid 1000')
})

t.test('a link is its maker’s, whatever its mode', async (t) => {
  t.equal(judge({ kind: 'link', mode: 0o120_777 }), null)
  t.equal(mend(judge({ kind: 'link', mode: 0o120_777, uid: OTHER })), 'rm /run/tajo')
})

t.test('a mount’s other name of this user, and others who are let in', async (t) => {
  t.equal(judge({ uid: OTHER }, { also: [OTHER] }), null)
  t.match(judge({ uid: 1001 }, { also: [OTHER] }), 'not this user')
  t.equal(judge({ uid: OTHER, mode: 0o775 }, { writers: 0o020 }), null)
  t.match(judge({ mode: 0o777 }, { writers: 0o020 }), 'chmod go-w', 'the group, not everybody')
  t.equal(judge({ mode: 0o777 }, { writers: 0o022 }), null)
  t.match(judge({ uid: OTHER }, { writers: 0, otherwise: ', or else' }), /chown 1000 \S+, or else$/)
})

t.test('the scripts judge and say the same', async (t) => {
  if (!hasParts(t, 'users')) return
  const dir = testdirOf(t)
  const cases: [name: string, kind: 'directory' | 'file' | 'link', uid: number, mode: number][] = [
    ['good', 'directory', 0, 0o755],
    ['open', 'directory', 0, 0o777],
    ["it's", 'directory', OTHER, 0o775],
    ['his', 'directory', OTHER, 0o700],
    ['sticky', 'directory', 0, 0o1777],
    ['fine-file', 'file', 0, 0o644],
    ['file', 'file', OTHER, 0o666],
    ['link', 'link', 0, 0],
    ['his-link', 'link', OTHER, 0],
    ['link-to-open', 'link', 0, 1],
  ]
  for (const [name, kind, uid, mode] of cases) {
    const path = join(dir, name)
    if (kind === 'directory') mkdirSync(path)
    else if (kind === 'file') writeFileSync(path, '')
    else symlinkSync(join(dir, mode === 0 ? 'good' : 'open'), path)
    if (kind !== 'link') chmodSync(path, mode)
    lchownSync(path, uid, uid)
    const script = `set -euo pipefail; set --; . "$SBIN/tajo-config.sh"; require_own TAJO_X "$AT"`
    const said = await run(['bash', '-c', script, 'script'], { env: { SBIN, AT: path } })
    let message = ''
    try {
      requireOwn('TAJO_X', path)
    } catch (error) {
      message = (error as Error).message
    }
    t.equal(said.stderr, message === '' ? '' : `script: ${message}\n`, name)
    t.equal(said.code, message === '' ? 0 : 1)
    t.equal(message === '', ['good', 'fine-file', 'link'].includes(name), name)
  }
})

t.test('the scripts say of root’s directories what is said in Node', async (t) => {
  if (!hasParts(t, 'users')) return
  const text = readFileSync(join(SBIN, 'tajo-config.sh'), 'utf8')
  const path = join(tmpdir(), `tajo-own-${process.pid}`)
  mkdirSync(path)
  t.teardown(() => rmdirSync(path))
  chmodSync(path, 0o775)
  // The functions alone, by their text: the install may lie where he can't read.
  const line = `${text.slice(0, text.indexOf('tajo_take_arguments()'))}\nrequire_own TAJO_X "$1"`
  const said = await runAsOther(line, [path])
  const judged = objectionTo(
    { what: 'TAJO_X', path, kind: 'directory', uid: 0, mode: 0o775 },
    { uid: OTHER },
  )
  t.equal(said.stderr, `bash: ${judged}\n`)
  t.match(said.stderr, `Mend it: chown ${OTHER} ${path} && chmod go-w ${path}`)
})

t.test('a word for a shell', async (t) => {
  t.equal(shellWord('/srv/tajo-1'), '/srv/tajo-1')
  for (const word of ["it's", 'a b', '$(x)', '-', '', 'é']) {
    const { stdout } = await run(['sh', '-c', `printf %s ${shellWord(word)}`])
    t.equal(stdout, word)
  }
})
