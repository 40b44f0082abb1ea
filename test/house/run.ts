/**
 * The house in figures, beside those of an earlier commit: `npm run house -- COMMIT`. Without one only today's are told,
 * with `--list` also which files, imports and names they count. Reads git, and changes nothing.
 */
import {
  circles,
  codeLines,
  deadExports,
  houseOf,
  importedByOne,
  pastDoors,
  type Tree,
  twinLines,
} from './house.ts'
import { treeHere, treeOf } from './tree.ts'

/** What the package gives to others. */
const PUBLIC = ['lib/ha/index.ts', 'lib/client/index.ts']
const LONG_LINES = 400

function figuresOf(tree: Tree): [string, readonly string[] | number][] {
  const house = houseOf(tree)
  const code = house.files.reduce((sum, file) => sum + codeLines(file.code).length, 0)
  return [
    ['lines of code, without comments and blanks', code],
    ['files', house.files.length],
    [
      'files above 400 lines',
      house.files
        .filter((file) => file.lines > LONG_LINES)
        .map(({ path, lines }) => `${path} ${lines}`),
    ],
    ['files that one other file imports', importedByOne(house)],
    ['imports past a door', pastDoors(house).map(({ from, to }) => `${from} → ${to}`)],
    [
      'exports that nobody asks for',
      deadExports(house, (path) => PUBLIC.includes(path)).map(
        ({ path, name }) => `${path} ${name}`,
      ),
    ],
    ['lines that stand twice', twinLines(house)],
    ['circles of imports', circles(house).map((circle) => circle.join(' → '))],
  ]
}

const sizeOf = (one: readonly string[] | number): number =>
  typeof one === 'number' ? one : one.length

const [commit] = process.argv.slice(2).filter((argument) => argument !== '--list')
const now = figuresOf(treeHere())
const before = commit === undefined ? null : figuresOf(treeOf(commit))
for (const [at, [name, figure]] of now.entries()) {
  const earlier = before?.[at]
  const was = earlier === undefined ? '' : `${String(sizeOf(earlier[1])).padStart(8)} →`
  const part =
    earlier === undefined || sizeOf(earlier[1]) === 0
      ? ''
      : `  ${((100 * sizeOf(figure)) / sizeOf(earlier[1])).toFixed(1)} %`
  process.stdout.write(`${name.padEnd(44)}${was}${String(sizeOf(figure)).padStart(8)}${part}\n`)
  if (process.argv.includes('--list') && typeof figure !== 'number') {
    for (const line of figure) process.stdout.write(`    ${line}\n`)
  }
}
