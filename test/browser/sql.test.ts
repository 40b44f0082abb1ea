/** SQL from the page: progress, rows, errors at their place, cancelling, and what the configuration does not allow. */
import t, { type Test } from 'tap'
import { openBrowser, openPage, show } from '../support/browser.ts'
import { emptyFacts, type FakeFacts, type FakeWeb, queryIdOf, webOf } from '../support/fake-web.ts'
import { hasParts } from '../support/parts.ts'
import { until } from '../support/until.ts'

const END = {
  rows: 0,
  truncated: false,
  message: null,
  session: { database: 'default', variables: {} },
}

const web = (t: Test, change: (facts: FakeFacts) => void): Promise<FakeWeb> => {
  const facts = emptyFacts()
  change(facts)
  return webOf(t, facts)
}

t.test('SQL from the page', async (t) => {
  if (!hasParts(t, 'chromium')) return
  const browser = await openBrowser(t)

  await t.test('progress is seen, and cancelling ends it in the cluster', async (t) => {
    let ended = false
    const { url } = await web(t, (facts) => {
      facts.run = async (_request, signal, out) => {
        out.say({ queryId: queryIdOf(1) })
        out.say({ progress: { state: 'running', progress: 0.25, worker: 'node1:28092' } })
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
        ended = true
      }
    })
    const { page, faults } = await openPage(browser)
    await show(page, url, 'query')
    await page.getByLabel('Statement').fill('SELECT * FROM big')
    await page.keyboard.press('Control+Enter')
    await page.getByText('25 %').waitFor()
    t.equal(await page.getByRole('progressbar').getAttribute('value'), '0.25')
    t.ok(await page.getByRole('button', { name: 'Run' }).isDisabled())
    await page.keyboard.press('Escape')
    await page.getByText('cancelled').waitFor()
    await until('the statement is ended', () => ended)
    t.same(faults, [])
    await page.context().close()
  })

  await t.test('rows come by the page, and an error leads to its place', async (t) => {
    const { url } = await web(t, (facts) => {
      facts.run = async ({ sql }, _signal, out) => {
        out.say({ queryId: queryIdOf(1) })
        if (sql.includes('shops')) {
          const error = { message: 'Table shops does not exist', kind: 'user' }
          out.say({ error: { ...error, place: { line: 2, column: 6 } } })
          return
        }
        out.say({
          columns: [
            { name: 'n', type: 'INT8' },
            { name: 'name', type: 'TEXT' },
          ],
        })
        for (let from = 0; from < 250; from += 50) {
          const rows = Array.from({ length: 50 }, (_, at) => [
            from + at,
            at === 0 ? null : `row ${from + at}`,
          ])
          await out.rows({ rows })
        }
        out.say({ end: { ...END, rows: 250, truncated: true } })
      }
    })
    const { page, faults } = await openPage(browser)
    await show(page, url, 'query')
    const box = page.getByLabel('Statement')
    await box.fill('SELECT n, name FROM t')
    await page.getByRole('button', { name: 'Run' }).click()
    await page.getByText('there are more rows').waitFor()
    t.equal(await page.locator('tbody tr').count(), 100, 'a hundred at a time')
    await page.getByRole('button', { name: 'Next' }).click()
    await page.getByText('101–200 of 250').waitFor()
    t.equal(await page.locator('.null').first().innerText(), 'NULL')

    await box.fill('SELECT *\nFROM shops')
    await page.getByRole('button', { name: 'Run' }).click()
    await page
      .getByRole('alert')
      .getByText('Line 2, column 6: Table shops does not exist')
      .waitFor()
    const focused = "document.activeElement.id === 'sql'"
    await until('the caret is at the place', () => page.evaluate(focused))
    t.equal(
      await page.evaluate("document.getElementById('sql').selectionStart"),
      'SELECT *\nFROM '.length,
    )
    t.same(faults, [])
    await page.context().close()
  })

  await t.test('an answer that is cut is told as such', async (t) => {
    const { url } = await web(t, (facts) => {
      facts.run = async (_request, _signal, out) => out.say({ queryId: queryIdOf(1) })
    })
    const { page } = await openPage(browser)
    await show(page, url, 'query')
    await page.getByLabel('Statement').fill('SELECT 1')
    await page.getByRole('button', { name: 'Run' }).click()
    await page.getByText('The master died before the end of the answer').waitFor()
    await page.context().close()
  })

  await t.test('so is one that is cut in the middle, as by kill -9', async (t) => {
    const { url, cut } = await web(t, (facts) => {
      facts.run = async (_request, signal, out) => {
        out.say({ queryId: queryIdOf(1) })
        await new Promise((resolve) => signal.addEventListener('abort', resolve))
      }
    })
    const { page } = await openPage(browser)
    await show(page, url, 'query')
    await page.getByLabel('Statement').fill('SELECT 1')
    await page.getByRole('button', { name: 'Run' }).click()
    await page.getByRole('link', { name: 'Its details' }).waitFor()
    cut()
    await page.getByText('The master died before the end of the answer').waitFor()
    await page.context().close()
  })

  await t.test('what is being typed is not disturbed by what is said above it', async (t) => {
    const { url } = await web(t, () => undefined)
    const { page, faults } = await openPage(browser)
    let hear = (): void => undefined
    const heard = new Promise<void>((resolve) => {
      hear = resolve
    })
    await page.route('**/api/v1/events', async (route) => {
      await heard
      await route.continue()
    })
    await page.goto(`${url}/#/query`)
    await page.getByText('Only statements that read are taken here').waitFor()
    await page.getByLabel('Statement').fill('SELECT 1')
    await page.keyboard.press('ArrowLeft')
    hear()
    await page.getByText('active · term').waitFor()
    t.equal(await page.getByText('Only statements that read').count(), 0, 'all are taken')
    const focused = "document.activeElement.id === 'sql'"
    t.ok(await page.evaluate(focused), 'the box has the focus still')
    await page.keyboard.type('0')
    t.equal(await page.getByLabel('Statement').inputValue(), 'SELECT 01')
    t.same(faults, [])
    await page.context().close()
  })

  await t.test('only what the configuration allows', async (t) => {
    const reading = await web(t, (facts) => {
      facts.sql = 'read'
    })
    const off = await web(t, (facts) => {
      facts.sql = 'off'
    })
    const { page } = await openPage(browser)
    await page.goto(`${reading.url}/#/query`)
    await page.getByText('Only statements that read are taken here').waitFor()
    await page.getByLabel('Statement').fill('DROP TABLE t')
    await page.getByRole('button', { name: 'Run' }).click()
    await page
      .getByRole('alert')
      .getByText(/tajo\.master\.info-http\.sql/)
      .waitFor()
    await page.goto(`${off.url}/#/query`)
    await page.getByText('SQL from this page is off').waitFor()
    t.equal(await page.getByLabel('Statement').count(), 0)
    await page.context().close()
  })
})
