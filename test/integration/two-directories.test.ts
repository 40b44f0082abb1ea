/**
 * Two hosts with one path and two directories behind it: started while the network between them is cut, then healed, then
 * mended; a mount that is missing at the start, and one that goes away under a backup. What operators see of it is on the
 * page, on `/plain`, in the metrics and in `haadmin -status` of both hosts.
 */
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { processesOf } from '../soak/leaks.ts'
import { mountHangFs } from '../support/hangfs.ts'
import { clusterOf, criticalOf, makeSite, pageOf, watchActives } from '../support/mount-site.ts'
import { monitorMs } from '../support/pace.ts'
import { hasParts } from '../support/parts.ts'
import { judgeTime, StallWatch } from '../support/stall.ts'
import { until } from '../support/until.ts'

const M = monitorMs(2000)
const RENEW_MS = M / 10

/** When a master's log said that for the first time, ms of the wall clock. */
function saidMs(dir: string, host: string, words: RegExp): number {
  const text = readFileSync(join(dir, host, 'logs', `tajo-test-master-${host}.log`), 'utf8')
  const lines = text.trimEnd().split('\n')
  const said = lines.map((line) => JSON.parse(line)).find(({ msg }) => words.test(msg))
  return Date.parse(said?.time ?? '')
}

t.test(
  'two directories under one path, from a cut network to a backup that is mended',
  async (t) => {
    if (!hasParts(t, 'netns', 'hangfs')) return
    const site = await makeSite(t, { monitorMs: M })
    const { dir, root, ma, mb } = site
    site.set({ 'tajo.master.ha.unproven-mount': 'warn' })
    await mountHangFs(t, join(dir, 'backing'), { path: root, host: ma })
    const pids = (): number[] => [...processesOf(join(dir, 'ma')), ...processesOf(join(dir, 'mb'))]
    const differs = (address: string): string => `${address}:26001 works on another directory`

    const missing = await site.daemon(mb, 'start')
    t.equal(missing.code, 1, 'a missing mount is refused at the start')
    t.match(missing.stdout + missing.stderr, /is a local file system .*mount the shared directory/)

    mkdirSync(join(dir, 'other'))
    await mountHangFs(t, join(dir, 'other'), { path: root, host: mb })
    await mb.setLink('down')
    const started = await Promise.all([site.daemon(ma, 'start'), site.daemon(mb, 'start')])
    for (const { code, stdout, stderr } of started) t.equal(code, 0, stdout + stderr)
    for (const [host, other] of [
      [ma, 'mb'],
      [mb, 'ma'],
    ] as const) {
      await until(
        `${host.name}, which hears nobody, serves and says of whom it knows nothing`,
        async () => {
          const cluster = await clusterOf(host)
          const alert = cluster?.alerts.find(({ kind }) => kind === 'directory-unproven')
          return cluster?.active === `${host.name}:26001` && alert?.text.includes(`${other}:26001`)
        },
      )
    }

    const stall = new StallWatch(pids())
    const watch = watchActives(site, 20)
    const healedMs = await mb.setLink('up')
    for (const [host, other] of [
      [ma, 'mb'],
      [mb, 'ma'],
    ] as const) {
      const told = await until(`${host.name} tells it`, async () => {
        const text = criticalOf(await clusterOf(host), 'other-directory')
        return text.includes(differs(other)) && text
      })
      t.match(told, `(${root}/system/ha here, ${root}/system/ha there)`)
    }
    const toldMs = Date.now()
    const stands = /two masters are active in two directories: this one stands back for ma:26001/
    const backMs = await until('mb stands back', () => saidMs(dir, 'mb', stands))
    const stalled = stall.stop(pids())
    await new Promise((done) => setTimeout(done, M))
    const seen = (await watch.end()).filter(({ atMs }) => atMs > healedMs)
    const lastMs = seen.findLast((one) => one.mb)?.atMs ?? healedMs
    const knewMs = saidMs(dir, 'mb', new RegExp(differs('ma')))
    t.ok(seen.length > 10, `${seen.length} answers`)
    t.ok(seen.at(-1)?.ma, 'the one with the lower address goes on')
    t.comment(`mb knew after ${knewMs - healedMs} ms, and stood back after ${backMs - healedMs} ms`)
    judgeTime(t, 'mb says "active" after it knew for', {
      ...{ tookMs: Math.max(0, lastMs - knewMs), promisedMs: 2 * RENEW_MS, stalled },
    })
    judgeTime(t, 'both tell it after', { tookMs: toldMs - healedMs, promisedMs: M, stalled })

    const [onA, onB] = await Promise.all([
      site.sql(ma, 'CREATE DATABASE here'),
      site.sql(mb, 'CREATE DATABASE there'),
    ])
    t.equal(onA.code, 0, onA.stderr)
    t.not(onB.code, 0, 'no change that the other host would not see is acknowledged')
    for (const [host, other] of [
      [ma, 'mb'],
      [mb, 'ma'],
    ] as const) {
      const status = await site.haadmin(host, '-status')
      const line = new RegExp(
        `^CRITICAL, ${host.name}:26001 says: ${differs(other)} .*${root}`,
        'm',
      )
      t.match(status.stdout, line)
      t.match(await pageOf(host, '/plain'), differs(other))
      t.match(await pageOf(host, '/metrics'), /^tajo_master_other_directory 1$/m)
    }

    await site.daemon(mb, 'stop')
    await mb.mustRun(['umount', '-l', root])
    await mountHangFs(t, join(dir, 'backing'), { path: root, host: mb })
    t.equal((await site.daemon(mb, 'start')).code, 0)
    await until('nobody says it any more', async () => {
      const all = await Promise.all([ma, mb].map((host) => clusterOf(host)))
      return all.every(
        (one) => one?.active === 'ma:26001' && criticalOf(one, 'other-directory') === '',
      )
    })
    t.match(await pageOf(ma, '/metrics'), /^tajo_master_other_directory 0$/m)
    t.match(await pageOf(ma, '/metrics'), /^tajo_master_directory_unproven 0$/m)

    await mb.mustRun(['umount', '-l', root])
    await until('a backup whose mount has gone says so', async () =>
      /was on hangfs on .* it was unmounted: now it is on/.test(criticalOf(await clusterOf(mb))),
    )
    await until('and the page of the active names it', async () => {
      const cluster = await clusterOf(ma)
      const told = cluster?.alerts.find(({ kind }) => kind === 'backup-hindered')?.text ?? ''
      return cluster?.active === 'ma:26001' && /^mb:26001 on mb can't .* unmounted/.test(told)
    })
    for (const host of [ma, mb]) await site.daemon(host, 'stop')
  },
)
