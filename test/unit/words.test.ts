/** The words of the house: what the finder finds, and that it finds nothing here. */
import t from 'tap'
import { docCommentsIn } from '../house/doc-comments.ts'
import { findingsHere } from '../house/project-words.ts'
import { sentencesIn } from '../house/prose.ts'
import { hasVerb } from '../house/verbs.ts'
import {
  EXCEPTIONS,
  findingsInSource,
  findingsInText,
  needlessExceptions,
  withoutExceptions,
} from '../house/words.ts'

t.test('nothing is left to be mended, and no exception is needless', async (t) => {
  const found = findingsHere()
  t.same(withoutExceptions(found), [], 'npm run words lists these')
  t.same(needlessExceptions(found), [])
  t.ok(EXCEPTIONS.length < 10, 'the list of exceptions is short')
})

t.test('sentences of Markdown, with their lines', async (t) => {
  const text = `# No sentence here

One goes on
over two lines. Another: \`a. B.\` is code! tsql begins one.

| a table. Has. | none. |
    nor has code. None.

\`\`\`
Nor here. None.
\`\`\`
1. An item, e.g. this one. It has [two](docs/a.md).
- Another item of M = 5 s. It has 1.5 of them.`
  t.same(
    sentencesIn(text).map(({ line, words, text }) => [line, words, text]),
    [
      [3, 6, 'One goes on over two lines.'],
      [4, 4, 'Another: `a. B.` is code!'],
      [4, 3, 'tsql begins one.'],
      [12, 5, 'An item, e.g. this one.'],
      [12, 3, 'It has [two](docs/a.md).'],
      [13, 6, 'Another item of M = 5 s.'],
      [13, 5, 'It has 1.5 of them.'],
    ],
  )
})

t.test('verbs', async (t) => {
  for (const text of [
    'The keeper renews it.',
    'Returns what was asked for.',
    'Whoever held it has lost it.',
    'Nobody can tell.',
    'Files that failed are left out.',
    'See docs.',
    'Names come later.',
  ]) {
    t.ok(hasVerb(text), text)
  }
  for (const text of [
    'The names of all files.',
    'Newest first.',
    'For people.',
    'Of the term, and of its holder.',
    'Names of files, replaced by others.',
    'The `is` of it.',
  ]) {
    t.notOk(hasVerb(text), text)
  }
})

t.test('doc comments, and what each is of', async (t) => {
  const source = `/** The header. */
import { a } from './a.ts'

/** Of a function. */
export async function b(): Promise<void> {}
interface C {
  /** Of a field. */
  readonly d: number
  /** Of a method. */
  e(): void
  /**
   * Of a field,
   * at length.
   */
  f: string
}
`
  t.same(
    docCommentsIn(source).map(({ line, of, text }) => [line, of, text]),
    [
      [1, 'header', 'The header.'],
      [4, 'code', 'Of a function.'],
      [7, 'label', 'Of a field.'],
      [9, 'code', 'Of a method.'],
      [11, 'code', 'Of a field,\nat length.'],
    ],
  )
})

t.test('what is found', async (t) => {
  const inSource = (source: string): string[] =>
    findingsInSource('lib/worker/x.ts', source).map(({ line, kind, text }) =>
      [line, kind, text].join(' '),
    )
  t.same(inSource('/** Words of a header. */\nconst a = 1\n'), ['1 no verb Words of a header.'])
  t.same(inSource('/** It has words. */\nconst a = 1\n'), [])
  const behind = '/** It has one. */\n\n'
  t.same(inSource(`${behind}/** Milliseconds. */\nconst b = 1\n`), [], 'a label')
  const long = 'A label of more words than those of a unit or a shape, and then some.'
  t.same(inSource(`${behind}/** ${long} */\nconst b = 1\n`), [`3 no verb ${long}`])
  t.same(inSource(`${behind}/** The way back. */\nfunction b() {}\n`), ['3 no verb The way back.'])
  t.same(inSource(`${behind}/** \`b\`: of the file. It goes. */\nfunction a(b) {}\n`), [])
  t.match(inSource('/** It counts heartbeats. */\n'), [/^1 word "heartbeats" is "report/])
  t.same(inSource('/** It is `tracker.heartbeat`. */\n'), [], 'names are not words')
  t.match(inSource('const a = "http://x" // the next heartbeat\n'), [/^1 word "heartbeat"/])

  const inText = (text: string, isForOperators = true): string[] =>
    findingsInText('docs/x.md', text, isForOperators).map(({ line, kind }) => `${line} ${kind}`)
  const words = (count: number): string => `${'Go '.repeat(count).trim()}.`
  t.same(inText(words(25)), [])
  t.same(inText(`\n${words(26)}`), ['2 long'])
  t.same(inText(words(26), false), [])
  t.same(inText('The epoch of its leader.'), ['1 word', '1 word'])
  t.same(inText('The directory epoch-42 of the Unix epoch.'), [])
})
