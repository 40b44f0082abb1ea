/**
 * A real browser for a test file: Debian's Chromium, started once, headless. Each page collects what must never happen:
 * uncaught errors, console errors, violations of the page's own policy.
 */
import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'
import type { Test } from 'tap'
import { patienceMs } from './pace.ts'
import { until } from './until.ts'

export const CHROMIUM = '/usr/bin/chromium'

/** Closed at the end of the test. */
export async function openBrowser(t: Test): Promise<Browser> {
  const browser = await chromium.launch({
    executablePath: CHROMIUM,
    args: ['--disable-gpu'],
    timeout: patienceMs(2),
  })
  t.teardown(async () => {
    if (!t.passing()) await tellPages(t, browser)
    await browser.close()
  })
  return browser
}

/** What is open in a test that has failed: a wait of the browser's tells only what it did not see. */
async function tellPages(t: Test, browser: Browser): Promise<void> {
  for (const page of browser.contexts().flatMap((context) => context.pages())) {
    const text = await page.evaluate('document.body.innerText').catch((error) => error)
    t.comment(`open at the end: ${page.url()}\n${text}`)
  }
}

export interface OpenPage {
  readonly page: Page
  /** What went wrong in it, but for connections that were refused: those the page has to live with. */
  readonly faults: string[]
}

export async function openPage(
  browser: Browser,
  options: BrowserContextOptions = {},
): Promise<OpenPage> {
  const context = await browser.newContext({ locale: 'en', timezoneId: 'UTC', ...options })
  const page = await context.newPage()
  page.setDefaultTimeout(patienceMs())
  const faults: string[] = []
  page.on('pageerror', (error) => faults.push(String(error.stack ?? error)))
  page.on('dialog', (dialog) => {
    faults.push(`a script ran: ${dialog.message()}`)
    void dialog.dismiss()
  })
  page.on('console', (message) => {
    const text = message.text()
    if (message.type() === 'error' && !/^Failed to load resource|net::ERR_/.test(text)) {
      faults.push(text)
    }
  })
  return { page, faults }
}

/** As in the address bar. */
export const VIEWS = [
  'cluster',
  'failovers',
  'lease',
  'workers',
  'queries',
  'catalog',
  'query',
  'configuration',
] as const

/** Opens a view and waits until it shows more than that it is loading: what comes later may move what is clicked. */
export async function show(page: Page, url: string, view: string): Promise<void> {
  await page.goto(`${url}/#/${view}`)
  await page.locator(`.view.${view.split(/[/?]/)[0]} h1`).waitFor()
  const over = '!/Connecting…|Loading…|Asking the master/.test(document.body.innerText)'
  await until(`${view} has loaded`, () => page.evaluate(over))
}
