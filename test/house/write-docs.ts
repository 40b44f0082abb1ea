/** Writes the pages that are made from tables of the code: `npm run docs`. A test compares them with what this makes. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { generatedFiles } from '../../lib/conf/generate.ts'
import { HOME } from '../support/install.ts'
import { apiPages, apiReports } from './api-page.ts'
import { withAudit } from './audit-table.ts'
import { errorsPage } from './errors-page.ts'
import { withFirewall } from './firewall.ts'
import { logEventsPage } from './log-events-page.ts'
import { noticePage } from './notice.ts'
import { WITH_PERIODS, withPeriods } from './periods.ts'

const PAGES = {
  ...generatedFiles(),
  'docs/errors.md': errorsPage(),
  'docs/log-events.md': logEventsPage(),
  'docs/operations.md': withAudit(readFileSync(join(HOME, 'docs/operations.md'), 'utf8')),
  NOTICE: noticePage(),
  'SECURITY.md': withFirewall(readFileSync(join(HOME, 'SECURITY.md'), 'utf8')),
  ...apiPages(apiReports()),
}
for (const [path, text] of Object.entries(PAGES)) writeFileSync(join(HOME, path), text)
for (const path of WITH_PERIODS) {
  const file = join(HOME, path)
  writeFileSync(file, withPeriods(readFileSync(file, 'utf8')))
}
