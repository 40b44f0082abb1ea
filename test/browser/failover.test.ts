/**
 * Pages of real masters while the active one is killed: the page on the backup turns, the one on the master that dies
 * finds another by itself and says so. Then a real query is run, watched and killed from the page.
 */
import { join } from 'node:path'
import type { Page } from 'playwright-core'
import t from 'tap'
import { openBrowser, openPage } from '../support/browser.ts'
import { monitorMs } from '../support/pace.ts'
import { hasParts } from '../support/parts.ts'
import { ask, makeCluster, type TestMaster } from '../support/test-masters.ts'
import { TestWorker } from '../support/test-worker.ts'
import { until } from '../support/until.ts'

const urlOf = ({ ports }: TestMaster): string => `http://127.0.0.1:${ports.info}`

/** Notes in the page when its heading first names `active`. */
const NOTE = (active: string): string => `new Promise((resolve) => {
  const look = () => document.querySelector('h1')?.textContent === ${JSON.stringify(active)}
    ? resolve(Date.now()) : undefined
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, characterData: true })
  look()
})`

t.test('two masters, kill -9 of the active', async (t) => {
  if (!hasParts(t, 'chromium')) return
  const { root, masters, settled } = await makeCluster(t, {
    count: 2,
    monitorMs: monitorMs(2000),
    site: { 'tajo.security.authentication': 'none', 'tajo.master.info-http.sql': 'all' },
  })
  const worker = await TestWorker.make({ dir: join(root, '..', 'worker'), root, masters })
  t.teardown(() => worker.destroy())
  await worker.start()
  const browser = await openBrowser(t)
  const before = await settled()
  const backup = before.backups[0] as TestMaster
  const onBackup = await openPage(browser)
  const onActive = await openPage(browser)
  const active = before.active
  for (const [{ page }, master] of [
    [onBackup, backup],
    [onActive, active],
  ] as [{ page: Page }, TestMaster][]) {
    await page.goto(urlOf(master))
    await page.locator('h1', { hasText: active.address }).waitFor()
    await page.getByText(`${backup.address} would take over`).first().waitFor()
  }
  await onBackup.page.getByRole('link', { name: 'Open the active’s page' }).waitFor()

  const turned = onBackup.page.evaluate(NOTE(backup.address)) as Promise<number>
  const found = onActive.page.evaluate(NOTE(backup.address)) as Promise<number>
  const killedMs = Date.now()
  process.kill(active.pid, 'SIGKILL')
  const serving = until('the backup serves', () => backup.health('active'), { everyMs: 2 })
  const servedMs = await serving.then(() => Date.now())
  const [turnedMs, foundMs] = await Promise.all([turned, found])
  t.comment(
    `served after ${servedMs - killedMs} ms, shown on its page after ${turnedMs - killedMs} ms, ` +
      `on the page of the killed one after ${foundMs - killedMs} ms`,
  )
  await onActive.page
    .getByRole('status')
    .getByText(`${active.address}, which served this page, has not answered since`)
    .waitFor()
  await onActive.page
    .locator('#said', { hasText: `The page follows ${backup.address} now` })
    .waitFor()
  await until('the title names the active one', async () =>
    (await onActive.page.title()).includes(`${backup.address} active`),
  )
  const there = onActive.page.getByRole('link', { name: `open the page of ${backup.address}` })
  t.match(await there.getAttribute('href'), `:${backup.ports.info}/`)
  await onBackup.page.getByText('This is its page.').waitFor()
  await onActive.page.getByText(`You see what ${backup.address} tells.`).waitFor()
  await onActive.page.getByText('This is its page.').waitFor({ state: 'detached' })

  await onActive.page.getByRole('link', { name: 'Failovers' }).click()
  const newest = onActive.page.locator('details').first()
  await newest.getByText('Catalog open, serving').waitFor()
  t.match(await newest.locator('summary').innerText(), /its process died/)

  await t.test('the killed one comes back, and its page goes home', async () => {
    await active.start()
    await onActive.page.getByText('which served this page').waitFor({ state: 'detached' })
    await onActive.page.getByRole('link', { name: 'Cluster', exact: true }).click()
    await onActive.page.getByText(`You see what ${active.address} tells.`).waitFor()
  })

  await t.test('a query is run, watched and killed from the page of the backup', async (t) => {
    const { page } = onActive
    await until('the worker is known', async () =>
      (
        await ask(backup.ports.info, '/api/v1/workers', { headers: backup.administrator })
      ).text.includes('"live"'),
    )
    await page.getByRole('link', { name: 'Query', exact: true }).click()
    const box = page.getByLabel('Statement')
    await box.fill('SELECT n, n * 2 AS twice FROM generate_series(1, 150) AS t(n)')
    await page.keyboard.press('Control+Enter')
    await page.getByText('150 rows in').waitFor()
    await box.fill('SELECT count(*) FROM range(100000000000) a(x) WHERE x % 7 = 3')
    await page.keyboard.press('Control+Enter')
    await page.locator('.outcome', { hasText: 'running' }).waitFor()
    await onBackup.page.goto(`${urlOf(backup)}/#/queries?state=running`)
    await onBackup.page.getByRole('button', { name: /^Kill SELECT count/ }).click()
    await onBackup.page.getByRole('button', { name: 'Kill it' }).click()
    await page.locator('.outcome', { hasText: 'failed' }).waitFor()

    await page.keyboard.press('Control+Enter')
    await page.locator('.outcome', { hasText: 'running' }).waitFor()
    await page.getByRole('button', { name: 'Cancel' }).click()
    await page.locator('.outcome', { hasText: 'cancelled' }).waitFor()
    await onBackup.page.goto(`${urlOf(backup)}/#/queries?state=killed`)
    await until('both are listed as killed', async () => {
      return (await onBackup.page.locator('tbody a').count()) === 2
    })
    await page.locator('.outcome').waitFor()
    // Opened by IP address, a page tries the others under both names, of which they know one.
    const faults = [...onBackup.faults, ...onActive.faults]
    t.same(
      faults.filter((fault) => !/blocked by CORS policy/.test(fault)),
      [],
    )
  })
})
