/**
 * Another user of the same host: the system's `nobody`, whom no test has to make or to remove. What runs as him has no
 * groups of anybody else's.
 */
import { type Ran, type RunOptions, run } from './run.ts'

export const OTHER_USER = 65_534

/** Words that run a program as him. */
export const asOther = (...words: readonly string[]): string[] => [
  ...['setpriv', `--reuid=${OTHER_USER}`, `--regid=${OTHER_USER}`, '--clear-groups', '--'],
  ...words,
]

/** A line of bash as him; its `$1` and so on are `args`. */
export const runAsOther = (
  line: string,
  args: readonly string[] = [],
  options: RunOptions = {},
): Promise<Ran> => run(asOther('bash', '-c', line, 'bash', ...args), { cwd: '/', ...options })
