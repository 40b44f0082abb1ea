/** The page for everybody: before the judges of accessibility, by keyboard alone, on a phone, light and dark. */
import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import type { Browser, Page } from 'playwright-core'
import t, { type Test } from 'tap'
import { openBrowser, openPage, show, VIEWS } from '../support/browser.ts'
import { emptyFacts, queryIdOf, webOf } from '../support/fake-web.ts'
import { muchOf } from '../support/fake-web-much.ts'
import { hasParts } from '../support/parts.ts'
import { until } from '../support/until.ts'

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8')

/** Serious and critical findings, each in a line. */
async function findings(page: Page, rules: readonly string[] | null = null): Promise<string[]> {
  const only = rules === null ? '' : `runOnly: ${JSON.stringify(rules)},`
  await page.evaluate(AXE)
  const found = (await page.evaluate(
    `axe.run({ ${only} resultTypes: ['violations'] }).then(({ violations }) => violations.map(
      ({ id, impact, nodes }) => [impact, id + ': ' + nodes.map((node) => node.html + ' ' + node.failureSummary)]))`,
  )) as [string, string][]
  return found
    .filter(([impact]) => impact === 'serious' || impact === 'critical')
    .map(([, text]) => text)
}

t.test('the page for everybody', async (t) => {
  if (!hasParts(t, 'chromium')) return
  const browser = await openBrowser(t)
  await t.test('accessibility, light and dark', (t) => accessible(t, browser))
  await t.test('by keyboard alone', (t) => keyboard(t, browser))
  await t.test('on a phone nothing is wider than the screen', (t) => phone(t, browser))
})

async function accessible(t: Test, browser: Browser): Promise<void> {
  const full = await webOf(t, muchOf({ workers: 12, queries: 60, tables: 8, terms: 8 }))
  const none = await webOf(t, emptyFacts())
  for (const colorScheme of ['light', 'dark'] as const) {
    const { page } = await openPage(browser, { colorScheme })
    for (const view of [...VIEWS, `queries/${queryIdOf(17)}`, 'catalog/default/sales']) {
      await show(page, full.url, view)
      // Only colours differ in the dark.
      const rules = colorScheme === 'dark' ? ['color-contrast'] : null
      t.same(await findings(page, rules), [], `${view}, ${colorScheme}`)
    }
    await page.context().close()
  }
  const { page } = await openPage(browser)
  for (const view of VIEWS) {
    await show(page, none.url, view)
    t.same(await findings(page), [], `${view}, empty`)
  }
  await page.context().close()
}

async function keyboard(t: Test, browser: Browser): Promise<void> {
  const { url, facts } = await webOf(t, muchOf({ workers: 3, queries: 30, tables: 5, terms: 5 }))
  const { page, faults } = await openPage(browser)
  const focused = (): Promise<string> =>
    page.evaluate("document.activeElement.textContent || document.activeElement.id || ''")
  const tabTo = async (text: string): Promise<void> => {
    for (let i = 0; i < 80; i += 1) {
      if ((await focused()) === text) return
      await page.keyboard.press('Tab')
    }
    t.fail(`no Tab leads to ${text}`)
  }
  await show(page, url, 'cluster')
  await page.keyboard.press('Tab')
  t.equal(await focused(), 'Skip to the view', 'first the way past the head')
  await page.keyboard.press('Enter')
  t.equal(await page.evaluate('document.activeElement.id'), 'view')

  await page.reload()
  await show(page, url, 'cluster')
  await tabTo('Queries')
  await page.keyboard.press('Enter')
  await page.getByRole('heading', { level: 1, name: 'Queries' }).waitFor()
  t.equal(await page.evaluate('document.activeElement.id'), 'view', 'a new view takes the focus')
  await page.locator('tbody tr').first().waitFor()
  await tabTo('Kill')
  await page.keyboard.press('Enter')
  await page.getByRole('dialog').waitFor()
  t.equal(await focused(), 'No, go back', 'the harmless answer has the focus')
  await page.keyboard.press('Escape')
  await page.getByRole('dialog').waitFor({ state: 'detached' })
  t.same(facts.killed, [])
  await tabTo('Kill')
  await page.keyboard.press('Enter')
  await page.getByRole('dialog').waitFor()
  await page.keyboard.press('Shift+Tab')
  t.equal(await focused(), 'Kill it')
  await page.keyboard.press('Enter')
  await page.getByText('being killed…').waitFor()
  // The page says so as soon as it begins to ask.
  await until('the master was asked', () => facts.killed.length > 0)
  t.same(facts.killed, [queryIdOf(0)])

  await page.keyboard.press('Control+Home')
  await tabTo('Failovers')
  await page.keyboard.press('Enter')
  const second = page.locator('details').nth(1)
  await second.waitFor()
  await second.locator('summary').focus()
  await page.keyboard.press('Enter')
  await second.getByRole('table').waitFor()
  await page.waitForTimeout(1200)
  t.equal(await second.getAttribute('open'), '', 'it stays open while the page goes on')

  const theme = page.getByRole('button', { name: 'Theme' })
  await theme.focus()
  await page.keyboard.press('Enter')
  await page.keyboard.press('Enter')
  t.equal(await theme.innerText(), 'Theme: dark')
  await page.reload()
  await show(page, url, 'cluster')
  t.equal(await page.evaluate('document.documentElement.dataset.theme'), 'dark', 'it is kept')
  t.same(faults, [])
  await page.context().close()
}

const PHONE = { width: 360, height: 700 }

async function phone(t: Test, browser: Browser): Promise<void> {
  const amounts = { workers: 12, queries: 60, tables: 8, terms: 8 }
  const long = await webOf(t, muchOf(amounts, 'n'.repeat(90)))
  const usual = await webOf(t, muchOf(amounts))
  const { page } = await openPage(browser, { viewport: PHONE })
  for (const view of VIEWS) {
    await show(page, long.url, view)
    const wide = await page.evaluate('document.documentElement.scrollWidth')
    t.ok(Number(wide) <= PHONE.width, `${view}: ${wide} px`)
    await show(page, usual.url, view)
    t.same(await page.evaluate(HIDDEN_TABS), [], `${view}: each tab can be seen and touched`)
    t.same(await page.evaluate(TORN_WORDS), [], `${view}: nothing is squeezed`)
  }
  await show(page, usual.url, 'queries')
  const first = page.locator('tbody tr').first()
  for (const shown of [
    page.getByRole('columnheader', { name: 'State' }),
    first.getByText('running', { exact: true }),
    first.getByRole('button', { name: /^Kill/ }),
  ]) {
    const { x, width } = (await shown.boundingBox()) ?? { x: -1, width: 0 }
    t.ok(x >= 0 && x + width <= PHONE.width, `${x} to ${x + width} px`)
  }
  await page.context().close()
}

/** Tabs of which a finger in their middle would not hit them, and the view's own if it isn't marked. */
const HIDDEN_TABS = `[...document.querySelectorAll('#nav a')]
  .filter((tab) => {
    const { left, right, top, bottom } = tab.getBoundingClientRect()
    const hit = document.elementFromPoint((left + right) / 2, (top + bottom) / 2) === tab
    const current = tab.hash.slice(2) === location.hash.slice(2)
    return !hit || left < 0 || right > innerWidth || current !== tab.hasAttribute('aria-current')
  })
  .map((tab) => tab.textContent)`

/** Words of usual length that stand in two lines: their element is narrower than they are. */
const TORN_WORDS = `(() => {
  const torn = []
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT)
  for (let node = walk.nextNode(); node !== null; node = walk.nextNode()) {
    if (node.parentElement.closest('.unseen') !== null) continue
    for (const { 0: word, index } of node.data.matchAll(/(?<!\\S)\\S{2,20}(?!\\S)/g)) {
      const range = document.createRange()
      range.setStart(node, index)
      range.setEnd(node, index + word.length)
      if (range.getClientRects().length > 1) torn.push(word + ' of ' + node.data)
    }
  }
  return torn
})()`
