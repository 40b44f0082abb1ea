/** What a process that has the time makes ahead of its first statement. */
import t from 'tap'
import { EmbeddedActionsParser } from '../../../lib/sql/chevrotain.ts'
import { parseStatement, prepareParser } from '../../../lib/sql/index.ts'

t.test('no statement waits for the parser to be made', async (t) => {
  const parsers = EmbeddedActionsParser.prototype as unknown as { performSelfAnalysis(): void }
  const made = t.capture(parsers, 'performSelfAnalysis', parsers.performSelfAnalysis)
  prepareParser()
  t.equal(made().length, 1)
  const statements = ['SELECT 1', 'INSERT INTO t VALUES (1)', 'CREATE TABLE t (a INT4)']
  for (const sql of statements) parseStatement(sql)
  t.equal(made().length, 0, 'it is there')
})
