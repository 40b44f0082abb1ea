/** docs/errors.md, made from the tables of errors: `npm run docs` writes it, and a test compares. */
import { CATALOG_ERRORS } from '../../lib/catalog/errors.ts'
import { EXIT, EXIT_MEANS } from '../../lib/cli/exit.ts'
import { CLIENT_ERRORS } from '../../lib/client/errors.ts'
import { HA_ERRORS } from '../../lib/ha/words/errors.ts'
import { QUERY_ERRORS, RPC_ERRORS } from '../../lib/rpc/errors.ts'
import { table } from './markdown.ts'

export function errorsPage(): string {
  const withState = (errors: Readonly<Record<string, { sqlState: string; means: string }>>) =>
    Object.entries(errors).map(([code, { sqlState, means }]) => [`\`${code}\``, sqlState, means])
  return [
    '# Errors',
    'This file is generated from the tables of errors (`npm run docs`). Codes are stable, messages are for people and may change.',
    '## Exit codes of the commands',
    table(
      ['code', 'meaning'],
      Object.entries(EXIT).map(([name, code]) => [code, EXIT_MEANS[name as keyof typeof EXIT]]),
    ),
    '## What ends a statement',
    "`QueryError.kind` of the client library, `kind` in the HTTP interface's lines and in the list of queries. The SQLSTATE is the one of PostgreSQL's list that comes nearest.",
    table(['kind', 'SQLSTATE', 'meaning'], withState(QUERY_ERRORS)),
    '## What the client library throws besides',
    table(['code', 'SQLSTATE', 'meaning'], withState(CLIENT_ERRORS)),
    '## What a call between the daemons is refused with',
    'The body of such an answer is `{code, message, active, epoch}`.',
    table(
      ['code', 'HTTP', 'meaning'],
      Object.entries(RPC_ERRORS).map(([code, { status, means }]) => [`\`${code}\``, status, means]),
    ),
    '## The catalog',
    table(['code', 'SQLSTATE', 'meaning'], withState(CATALOG_ERRORS)),
    '## The HA library',
    '`HaError.code` of `tajo-ha/ha`. `UNSAFE` is exit code 4 of a command, every other one is 1.',
    table(
      ['code', 'meaning'],
      Object.entries(HA_ERRORS).map(([code, means]) => [`\`${code}\``, means]),
    ),
    '',
  ]
    .join('\n\n')
    .replace(/\n+$/, '\n')
}
