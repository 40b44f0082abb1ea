/** `npm run words`: a line for each finding, and exit code 1 where there is one. `npm run words -- PATH…` tells of these alone. */
import { findingsHere } from './project-words.ts'
import { withoutExceptions } from './words.ts'

const asked = process.argv.slice(2)
const found = withoutExceptions(findingsHere()).filter(
  ({ path }) => asked.length === 0 || asked.some((part) => path.startsWith(part)),
)
for (const { path, line, kind, text } of found) {
  process.stdout.write(`${path}:${line}: ${kind}: ${text}\n`)
}
if (found.length > 0) process.exitCode = 1
