/**
 * The pictures of the manual: each view, light and dark, of a made-up cluster: `npm run screenshots`. Not a test: it
 * writes to docs/screenshots.
 */
import { mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import { CHROMIUM, openPage, show, VIEWS } from '../support/browser.ts'
import { fakeWeb, queryIdOf } from '../support/fake-web.ts'
import { muchOf } from '../support/fake-web-much.ts'
import { HOME } from '../support/install.ts'

const TOTALS = [
  ['Seoul', 2481, '31204.50'],
  ['Busan', 1730, '22019.25'],
  ['Daegu', 964, '11870.00'],
]

const folder = join(HOME, 'docs/screenshots')
mkdirSync(folder, { recursive: true })
const facts = muchOf({ workers: 200, queries: 5000, tables: 12, terms: 12 })
facts.run = async (_request, _signal, out) => {
  out.say({ queryId: queryIdOf(0) })
  out.say({
    columns: [
      { name: 'shop', type: 'TEXT' },
      { name: 'n', type: 'INT8' },
      { name: 'total', type: 'NUMERIC(10,2)' },
    ],
  })
  await out.rows({ rows: TOTALS })
  const session = { database: 'default', variables: {} }
  out.say({ end: { rows: TOTALS.length, truncated: false, message: null, session } })
}
const web = await fakeWeb(facts)
const browser = await chromium.launch({ executablePath: CHROMIUM, args: ['--disable-gpu'] })
for (const colorScheme of ['light', 'dark'] as const) {
  const viewport = { width: 1000, height: 640 }
  const { page } = await openPage(browser, { colorScheme, viewport })
  for (const view of VIEWS) {
    await show(page, web.url, view)
    if (view === 'query') {
      await page.getByLabel('Statement').fill(facts.queries[0]?.sql ?? '')
      await page.getByRole('button', { name: 'Run' }).click()
      await page.getByText('3 rows in').waitFor()
    }
    const path = join(folder, `${view}-${colorScheme}.png`)
    await page.screenshot({ path })
    process.stdout.write(`${path}: ${Math.ceil(statSync(path).size / 1000)} kB\n`)
  }
  await page.context().close()
}
const phone = await openPage(browser, { viewport: { width: 390, height: 760 } })
await show(phone.page, web.url, 'cluster')
await phone.page.screenshot({ path: join(folder, 'cluster-phone.png') })
await browser.close()
await web.close()
