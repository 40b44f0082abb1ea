/** Pid file, log, admin socket, signals and ends, with real processes and a real file system. */
import { type ChildProcess, execFileSync, spawnSync } from 'node:child_process'
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import t, { type Test } from 'tap'
import {
  adminSocketPath,
  keepStanding,
  listenOnSocket,
  openDaemonLog,
  takePidFile,
} from '../../../lib/daemon/index.ts'
import { ownerOf } from '../../../lib/daemon/pidfile.ts'
import { RotatingFile } from '../../../lib/daemon/rotating-file.ts'
import { leave } from '../../../lib/daemon/run.ts'
import { patienceMs } from '../../support/pace.ts'
import { childEnv, closed, type End, hasEnded, start } from '../../support/processes.ts'
import { until } from '../../support/until.ts'

const CHILD = fileURLToPath(new URL('../../support/daemon-child.js', import.meta.url))

/** Short, since sockets live in it: tap's own test directories have long names. */
function temporary(t: Test): string {
  const dir = mkdtempSync(join(tmpdir(), 'tajo-daemon-'))
  t.teardown(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

interface Child {
  readonly process: ChildProcess
  readonly pid: number
  readonly said: () => string
  ended(): Promise<End>
}

async function startChild(t: Test, dir: string, ...mode: string[]): Promise<Child> {
  const child = start([process.execPath, CHILD, join(dir, 'x.pid'), join(dir, 'x.log'), ...mode])
  let said = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said += text
  })
  t.teardown(() => void child.kill('SIGKILL'))
  await until('the child is up or ended', () => said.includes('up\n') || hasEnded(child))
  return { process: child, pid: child.pid ?? 0, said: () => said, ended: () => closed(child) }
}

t.test('the pid file', async (t) => {
  t.test('has one owner, and the second is told which', async (t) => {
    const dir = temporary(t)
    const path = join(dir, 'run', 'x.pid')
    const mine = await takePidFile(path, '/root')
    t.equal(readFileSync(path, 'utf8'), `${process.pid}\n`)
    await t.rejects(takePidFile(path, '/root'), {
      message: new RegExp(`already running as pid ${process.pid}, says .*x\\.pid`),
    })
    mine.remove()
    t.notOk(existsSync(path))
    t.same(readdirSync(join(dir, 'run')), [], 'nothing is left beside it')
  })
  t.test('that is removed is put back by its owner, more than once', async (t) => {
    const path = join(temporary(t), 'x.pid')
    const mine = await takePidFile(path, '/root')
    const said: string[] = []
    const { stop } = keepStanding(
      { path, what: 'the pid file', make: () => mine.putBack() },
      (_level, text) => void said.push(text),
      10,
    )
    for (const times of [1, 2]) {
      rmSync(path)
      await until('it is put back, and told', () => existsSync(path) && said.length === times)
      t.equal(ownerOf(path), process.pid)
    }
    t.match(said[0], `the pid file ${path} was removed, and was made again`)
    stop()
    mine.remove()
    t.notOk(existsSync(path), 'the one that was put back is removed')
    mine.remove()
  })
  t.test('of a living child names it; of a killed one is replaced', async (t) => {
    const dir = temporary(t)
    const child = await startChild(t, dir)
    t.equal(ownerOf(join(dir, 'x.pid')), child.pid)
    const second = await startChild(t, dir)
    t.match(second.said(), `already running as pid ${child.pid}`)
    t.equal((await second.ended())[0], 1)
    child.process.kill('SIGKILL')
    await child.ended()
    const path = join(dir, 'x.pid')
    t.ok(existsSync(path))
    const mine = await takePidFile(path, '/root')
    t.equal(ownerOf(path), process.pid)
    mine.remove()
  })
  t.test('of a pid that is used again by somebody else is replaced', async (t) => {
    const path = join(temporary(t), 'x.pid')
    for (const text of [`${process.ppid}\n`, '1\n', 'garbage\n', '', '-1\n', '99999999999\n']) {
      writeFileSync(path, text)
      const mine = await takePidFile(path, '/root')
      t.equal(readFileSync(path, 'utf8'), `${process.pid}\n`, JSON.stringify(text))
      mine.remove()
    }
  })
  t.test('is removed only by its owner', async (t) => {
    const path = join(temporary(t), 'x.pid')
    const mine = await takePidFile(path, '/root')
    rmSync(path)
    writeFileSync(path, '1\n')
    mine.remove()
    t.equal(readFileSync(path, 'utf8'), '1\n')
  })
  t.test('of many that want it at once goes to one', async (t) => {
    const path = join(temporary(t), 'x.pid')
    writeFileSync(path, '1\n')
    const tries = await Promise.allSettled(
      Array.from({ length: 8 }, () => takePidFile(path, '/root')),
    )
    t.equal(tries.filter(({ status }) => status === 'fulfilled').length, 1)
  })
  t.test('that can not be written is one clear error', async (t) => {
    const dir = temporary(t)
    writeFileSync(join(dir, 'file'), '')
    await t.rejects(takePidFile(join(dir, 'file', 'x.pid'), '/root'), {
      message: /can't write the pid file/,
    })
  })
})

t.test('the log file', async (t) => {
  const lostLine = (count: number): string => `lost ${count}\n`
  t.test('is put aside before it grows too large, and old ones go', async (t) => {
    const path = join(temporary(t), 'x.log')
    const file = new RotatingFile(path, {
      maxBytes: 100,
      keep: 2,
      lostLine,
      onTrouble: (error) => t.fail(error.message),
    })
    for (let i = 0; i < 10; i += 1) {
      file.write(`${i}`.padEnd(39, '.').concat('\n'))
      await file.flushed()
    }
    t.same(readdirSync(join(path, '..')).sort(), ['x.log', 'x.log.1', 'x.log.2'])
    t.match(readFileSync(path, 'utf8'), /^8\.+\n9\.+\n$/)
    t.match(readFileSync(`${path}.2`, 'utf8'), /^4\.+\n5\.+\n$/)
    file.limit({ maxBytes: 50, keep: 0 })
    file.write('last\n')
    await file.flushed()
    t.equal(readFileSync(path, 'utf8'), 'last\n')
  })
  t.test('with two writers: no line is lost, nor written where nobody looks', async (t) => {
    const path = join(temporary(t), 'x.log')
    const options = { maxBytes: 400, lostLine, onTrouble: (error: Error) => t.fail(error.message) }
    const [one, two, quiet] = [60, 60, 60].map(
      (keep) => new RotatingFile(path, { ...options, keep }),
    )
    quiet?.write('quiet 0\n')
    await quiet?.flushed()
    const wanted = ['quiet 0', 'quiet 1', 'quiet 2']
    for (let i = 0; i < 200; i += 1) {
      one?.write(`one ${i} `.padEnd(38, '.').concat('\n'))
      two?.write(`two ${i} `.padEnd(38, '.').concat('\n'))
      wanted.push(`one ${i}`, `two ${i}`)
      await (i % 3 === 0 ? Promise.all([one?.flushed(), two?.flushed()]) : one?.flushed())
    }
    await Promise.all([one?.flushed(), two?.flushed()])
    quiet?.write('quiet 1\n')
    await quiet?.flushed()
    t.match(readFileSync(path, 'utf8'), /^quiet 1$/m, 'in the file that has the name now')
    renameSync(path, `${path}.60`)
    quiet?.writeNow('quiet 2\n')
    t.equal(readFileSync(path, 'utf8'), 'quiet 2\n')
    const names = readdirSync(join(path, '..')).filter((name) => name.startsWith('x.log'))
    const lines = names.flatMap((name) => readFileSync(join(path, '..', name), 'utf8').split('\n'))
    const found = lines.filter((line) => line !== '').map((line) => line.split(' ', 2).join(' '))
    t.same(found.sort(), wanted.sort())
    t.ok(names.length > 30, `${names.length} files`)
  })
  t.test('is opened anew after somebody else has rotated it', async (t) => {
    const path = join(temporary(t), 'x.log')
    const file = new RotatingFile(path, {
      maxBytes: 1000,
      keep: 2,
      lostLine,
      onTrouble: (error) => t.fail(error.message),
    })
    file.write('one\n')
    await file.flushed()
    renameSync(path, `${path}.old`)
    file.reopen()
    file.write('two\n')
    await file.flushed()
    t.equal(readFileSync(`${path}.old`, 'utf8'), 'one\n')
    t.equal(readFileSync(path, 'utf8'), 'two\n')
    file.writeNow('three\n')
    t.equal(readFileSync(path, 'utf8'), 'two\nthree\n')
  })
  t.test('on a full disk loses lines, tells it once, and never stops its writer', async (t) => {
    const troubles: string[] = []
    const file = new RotatingFile('/dev/full', {
      maxBytes: 1_000_000,
      keep: 2,
      lostLine,
      onTrouble: (error) => troubles.push(error.message),
    })
    for (let i = 0; i < 5; i += 1) {
      file.write('line\n')
      await file.flushed()
    }
    file.write('x'.repeat(5_000_000))
    await file.flushed()
    t.match(troubles, [/ENOSPC/])
    t.equal(troubles.length, 1)
    t.match(file.trouble, /ENOSPC/, 'for as long as it lasts')
  })
  t.test('holds one JSON document a line, from its level up', async (t) => {
    const path = join(temporary(t), 'x.log')
    const terminal: string[] = []
    const log = openDaemonLog({
      file: path,
      level: 'info',
      maxBytes: 100_000,
      keep: 1,
      base: { master: 'm' },
      terminal: { write: (text) => terminal.push(text) },
      onTrouble: (message) => t.fail(message),
    })
    log.log('debug', 'not this', { event: 'peer-silent' })
    log.log('warn', 'a thing\nhappened', {
      event: 'peer-untold',
      count: 3,
      error: new Error('why'),
    })
    log.limit({ level: 'debug', maxBytes: 100_000, keep: 1 })
    log.log('debug', 'but this', { event: 'peer-connected' })
    await log.flush(5000)
    log.lastWords('the end', { event: 'daemon-crashed' })
    const lines = readFileSync(path, 'utf8').trimEnd().split('\n')
    t.match(
      lines.map((line) => JSON.parse(line)),
      [
        {
          level: 'warn',
          event: 'peer-untold',
          master: 'm',
          msg: 'a thing\nhappened',
          count: 3,
          error: { message: 'why' },
          time: /^\d{4}-\d\d-\d\dT.*Z$/,
        },
        { level: 'debug', event: 'peer-connected', msg: 'but this' },
        { level: 'error', event: 'daemon-crashed', msg: 'the end' },
      ],
    )
    t.equal(terminal[0], 'WARN  a thing\nhappened\n')
  })
  t.test('that can not be opened is one clear error', async (t) => {
    const options = { maxBytes: 1, keep: 1, lostLine, onTrouble: () => {} }
    t.throws(() => new RotatingFile('/dev/null/x.log', options), {
      message: /can't write the log file \/dev\/null\/x\.log: /,
    })
  })
})

t.test('the admin socket', async (t) => {
  const serve = async (t: Test, path: string): Promise<void> => {
    const server = createServer()
    t.teardown(() => void server.close())
    await listenOnSocket(server, path)
  }
  t.test('has mode 0600 whatever the umask, and replaces what a dead process left', async (t) => {
    const path = join(temporary(t), 'x.sock')
    const before = process.umask(0)
    t.teardown(() => void process.umask(before))
    const listen = `require('net').createServer().listen(process.argv[1], () => process.kill(process.pid, 'SIGKILL'))`
    spawnSync(process.execPath, ['-e', listen, path], { env: childEnv() })
    t.ok(statSync(path).isSocket(), 'a killed process leaves its socket file')
    await serve(t, path)
    t.equal(statSync(path).mode & 0o777, 0o600)
    t.equal(process.umask(), 0, 'the umask is as before')
  })
  t.test('of a living process is left alone', async (t) => {
    const path = join(temporary(t), 'x.sock')
    await serve(t, path)
    await t.rejects(serve(t, path), { message: /can't open the admin socket .*living process/ })
  })
  t.test('never replaces what is no socket, nor lives where others may write', async (t) => {
    const dir = temporary(t)
    writeFileSync(join(dir, 'x.sock'), 'precious')
    await t.rejects(serve(t, join(dir, 'x.sock')), { message: /no socket/ })
    mkdirSync(join(dir, 'open'))
    chmodSync(join(dir, 'open'), 0o777)
    await t.rejects(serve(t, join(dir, 'open', 'x.sock')), {
      code: 'UNSAFE',
      message: /TAJO_PID_DIR .*\/open is not this user's alone \(mode 0777/,
    })
  })
  t.test('has a path that fits into a socket address', async (t) => {
    t.equal(adminSocketPath('/run/tajo', 'tajo-u-master', 7), '/run/tajo/tajo-u-master.sock')
    const long = adminSocketPath(`/${'d'.repeat(200)}`, 'tajo-u-master', 7)
    t.match(long, /^\/tmp\/tajo-7\/[0-9a-f]{32}\.sock$/)
    t.not(long, adminSocketPath(`/${'e'.repeat(200)}`, 'tajo-u-master', 7))
  })
})

t.test('an end', async (t) => {
  t.test('has its exit code where no file call hangs, and is SIGKILL where one does', async (t) => {
    const ends: string[] = []
    let busy = ['FSReqCallback']
    const ending = {
      busy: () => busy,
      exit: (code: number) => ends.push(`exit ${code}`) as never,
      kill: () => void ends.push('kill'),
    }
    await leave(3, 30, ending)
    t.same(ends, ['kill'])
    ends.length = 0
    setTimeout(() => {
      busy = []
    }, 20)
    await leave(3, patienceMs(), ending)
    t.equal(ends[0], 'exit 3')
  })
  t.test('by TERM is in good order', async (t) => {
    const dir = temporary(t)
    const child = await startChild(t, dir)
    child.process.kill('SIGTERM')
    t.same(await child.ended(), [0, null])
    t.notOk(existsSync(join(dir, 'x.pid')))
    t.match(readFileSync(join(dir, 'x.log'), 'utf8'), /got SIGTERM.*\n.*ended/)
  })
  t.test('by a second signal comes at once', async (t) => {
    const dir = temporary(t)
    const child = await startChild(t, dir, 'slow')
    child.process.kill('SIGTERM')
    await until('the first is heard', () =>
      readFileSync(join(dir, 'x.log')).includes('got SIGTERM'),
    )
    child.process.kill('SIGINT')
    t.same(await child.ended(), [130, null])
    t.notOk(existsSync(join(dir, 'x.pid')))
  })
  t.test('comes even when a file call hangs', async (t) => {
    const dir = temporary(t)
    const fifo = join(dir, 'fifo')
    execFileSync('mkfifo', [fifo])
    const child = await startChild(t, dir, 'hang', fifo)
    child.process.kill('SIGTERM')
    t.same(await child.ended(), [null, 'SIGKILL'])
    t.notOk(existsSync(join(dir, 'x.pid')))
  })
  t.test('by a mistake is told and has a code of its own', async (t) => {
    const dir = temporary(t)
    const child = await startChild(t, dir, 'crash')
    t.same(await child.ended(), [1, null])
    t.match(child.said(), /a mistake/)
    t.match(readFileSync(join(dir, 'x.log'), 'utf8'), /"level":"error".*a mistake/)
  })
  t.test('does not come by HUP: the log is opened anew', async (t) => {
    const dir = temporary(t)
    const path = join(dir, 'x.log')
    const child = await startChild(t, dir)
    renameSync(path, `${path}.old`)
    child.process.kill('SIGHUP')
    await until('it is there again', () => existsSync(path) && statSync(path).size > 0)
    await until('the configuration is looked at', () => child.said().includes('reloaded'))
    child.process.kill('SIGTERM')
    t.same(await child.ended(), [0, null])
  })
})
