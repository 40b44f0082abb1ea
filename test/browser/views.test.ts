/**
 * Each view of the page in a real browser: with nothing to show, with very much, with names that try to be markup.
 */
import type { Browser } from 'playwright-core'
import t, { type Test } from 'tap'
import { openBrowser, openPage, show, VIEWS } from '../support/browser.ts'
import { emptyFacts, queryIdOf, webOf } from '../support/fake-web.ts'
import { muchOf } from '../support/fake-web-much.ts'
import { hasParts } from '../support/parts.ts'

const HOSTILE = `<script>alert(1)</script><img src=x onerror=alert(2)>"'&\u202E${'ä'.repeat(60)}`

/**
 * What a name's U+202E has turned round: text of ours that follows it in the same text, and text that runs from right to
 * left. Both as they are laid out, not as they are written.
 */
const TURNED_ROUND = `(() => {
  const turned = []
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  for (let node = walk.nextNode(); node !== null; node = walk.nextNode()) {
    const text = node.data
    if (node.parentElement.closest('option, textarea') !== null) continue
    if (text.includes('\u202E')) {
      if (!/[ä…]$/.test(text)) turned.push('follows: ' + text)
      continue
    }
    const places = [...text.trim()].slice(0, 2).map((_, at) => {
      const range = document.createRange()
      const start = text.length - text.trimStart().length + at
      range.setStart(node, start)
      range.setEnd(node, start + 1)
      return range.getBoundingClientRect()
    })
    const [one, two] = places
    if (two !== undefined && two.top === one.top && two.left < one.left) turned.push('turned: ' + text)
  }
  return turned
})()`

const AMOUNTS = { workers: 200, queries: 5000, tables: 300, terms: 200 }

t.test('the page in a browser', async (t) => {
  if (!hasParts(t, 'chromium')) return
  const browser = await openBrowser(t)
  await t.test('with nothing to show, each view says so', (t) => nothing(t, browser))
  await t.test('with very much', (t) => much(t, browser))
  await t.test('plots fill their panel', (t) => plots(t, browser))
  await t.test('names that try to be markup stay text', (t) => hostile(t, browser))
})

async function nothing(t: Test, browser: Browser): Promise<void> {
  const { url, facts, tell } = await webOf(t, emptyFacts())
  const { page, faults } = await openPage(browser)
  const says = {
    failovers: 'No master has been active yet.',
    lease: 'No master has told of a renewal yet.',
    workers: 'No worker has registered.',
    queries: 'No query was submitted yet.',
    catalog: 'This database has no tables.',
    configuration: 'No setting fits.',
  }
  for (const [view, text] of Object.entries(says)) {
    await show(page, url, view)
    await page.getByText(text).waitFor()
  }
  await show(page, url, 'cluster')
  t.equal(await page.locator('h1').innerText(), 'host1:26001')
  await page.locator('.panel', { hasText: 'host2:26001 would take over' }).waitFor()
  await page.getByText('No warnings.').waitFor()

  facts.cluster = {
    ...facts.cluster,
    active: null,
    activePage: null,
    activeSinceMs: null,
    ifActiveDied: { successor: null, processDeathMs: null, hostLossMs: null, why: 'All failed.' },
    alerts: [{ kind: 'no-active', level: 'critical', text: 'No master is active.' }],
  }
  tell()
  await page.locator('h1', { hasText: 'None' }).waitFor()
  await page.getByText('Nobody would take over').waitFor()
  await page.getByText('All failed.').waitFor()
  t.match(await page.title(), /no active master/)
  t.same(faults, [])
  await page.context().close()
}

async function much(t: Test, browser: Browser): Promise<void> {
  const { url } = await webOf(t, muchOf(AMOUNTS))
  const { page, faults } = await openPage(browser)
  for (const view of VIEWS) {
    await show(page, url, view)
    const elements = Number(await page.evaluate('document.querySelectorAll("*").length'))
    t.ok(elements < 5000, `${view}: ${elements} elements`)
  }
  await show(page, url, 'queries')
  const first = page.locator('tbody tr').first()
  await first.getByRole('button', { name: /^Kill/ }).waitFor()
  await page.getByRole('link', { name: 'Last', exact: true }).click()
  await page.getByText('4,951–5,000 of 5,000').waitFor()
  await page.getByRole('link', { name: /^failed/ }).click()
  await page.getByText('1–50 of 294').waitFor()
  await page.locator('tbody a').first().click()
  await page.getByText('Line 1, column 15: Table "shops" does not exist').waitFor()
  await page.goBack()
  await page.getByRole('searchbox').fill('orders_2026')
  await page.getByText('1–50 of 73').waitFor()

  await show(page, url, 'failovers')
  await page.getByRole('link', { name: 'Older terms' }).click()
  await page.getByText('1–25 of 200').waitFor()
  await page.getByRole('link', { name: 'Last', exact: true }).click()
  const oldest = page.locator('details').last()
  await oldest.locator('summary').click()
  await oldest.getByText('no term, this is the first').waitFor()
  t.notMatch(await oldest.innerText(), /without a word/, 'nobody was there to say one')
  await show(page, url, 'catalog')
  await page.getByRole('link', { name: 'orders', exact: true }).click()
  await page.getByRole('rowheader', { name: 'amount' }).waitFor()
  await show(page, url, 'workers')
  await page.getByText('1–100 of 200').waitFor()

  await page.goto('about:blank')
  await show(page, url, 'queries')
  const took = await page.evaluate(
    "Math.round(performance.getEntriesByName('first-contentful-paint')[0].startTime)",
  )
  t.comment(`first paint of the page after ${took} ms`)
  t.same(faults, [])
  await page.context().close()
}

/** Plots fill their panel, whatever its width, and never leave it. */
async function plots(t: Test, browser: Browser): Promise<void> {
  const { url } = await webOf(t, muchOf({ workers: 3, queries: 30, tables: 5, terms: 5 }))
  for (const width of [360, 1000, 1600]) {
    const { page } = await openPage(browser, { viewport: { width, height: 800 } })
    await show(page, url, 'lease')
    const left = await page.evaluate(`[...document.querySelectorAll('figure')].map((figure) => {
      const { paddingLeft, paddingRight } = getComputedStyle(figure)
      const room = figure.clientWidth - parseFloat(paddingLeft) - parseFloat(paddingRight)
      return room - figure.querySelector('svg').getAttribute('width')
    })`)
    for (const pixels of left as number[]) {
      t.ok(pixels >= -0.5 && pixels <= 2, `${width} px: ${pixels} px are left`)
    }
    await page.context().close()
  }
}

async function hostile(t: Test, browser: Browser): Promise<void> {
  const server = await webOf(t, muchOf({ workers: 3, queries: 30, tables: 5, terms: 5 }, HOSTILE))
  const { url, facts } = server
  const { page, faults } = await openPage(browser)
  facts.run = async (_request, _signal, out) => {
    out.say({ queryId: queryIdOf(0) })
    out.say({ columns: [{ name: HOSTILE, type: 'TEXT' }] })
    await out.rows({ rows: [[HOSTILE]] })
    const session = { database: HOSTILE, variables: { [HOSTILE]: HOSTILE } }
    out.say({ end: { rows: 1, truncated: false, message: HOSTILE, session } })
  }
  const views = [
    ...VIEWS,
    `queries/${queryIdOf(17)}`,
    `catalog/default/${encodeURIComponent(`sales ${HOSTILE}`)}`,
  ]
  for (const view of views) {
    await show(page, url, view)
    if (view === 'query') {
      await page.getByLabel('Statement').fill('SELECT 1')
      await page.getByRole('button', { name: 'Run' }).click()
      await page.locator('tbody td', { hasText: 'alert(1)' }).waitFor()
    }
    // The page has one image and two scripts' worth of elements of its own, all outside of the view.
    const made = await page.evaluate(
      "document.querySelectorAll('main script, main img, footer script, #strip img').length",
    )
    t.equal(made, 0, `${view}: no element was made of a name`)
    t.same(await page.evaluate(TURNED_ROUND), [], `${view}: names turn nothing round`)
    if (view !== 'lease')
      t.match(
        await page.locator('main').innerText(),
        /<script>alert\(1\)/,
        `${view}: it is shown as text`,
      )
  }
  const hash = `catalog/${encodeURIComponent(HOSTILE)}`
  await page.goto(`${url}/#/${hash}`)
  await page.getByRole('heading', { level: 1, name: 'Catalog' }).waitFor()
  t.same(faults, [], 'nothing ran, and nothing was even refused by the policy')
  await page.context().close()
}
