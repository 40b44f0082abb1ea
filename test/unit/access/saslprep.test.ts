/** Passwords as both sides prepare them: RFC 4013's own examples, and what is used as it was typed. */
import t from 'tap'
import { prepared } from '../../../lib/access/saslprep.ts'

t.test('the examples of RFC 4013', async (t) => {
  t.equal(prepared('I\u00adX'), 'IX', 'SOFT HYPHEN mapped to nothing')
  t.equal(prepared('user'), 'user')
  t.equal(prepared('USER'), 'USER', 'case preserved')
  t.equal(prepared('\u00aa'), 'a', 'output is NFKC')
  t.equal(prepared('\u2168'), 'IX', 'will match the first')
})

t.test('what SASLprep has no answer for is used as it was typed', async (t) => {
  for (const [password, why] of [
    ['\u0007', 'a prohibited character of ASCII'],
    ['\u00fc\u0007', 'a prohibited character beside others'],
    ['\u0627\u0031', 'writing from the right that does not end so'],
    ['\u0627a\u0628', 'two directions'],
    ['\u00ad', 'nothing is left'],
    ['\u2168\u{1f600}', 'a sign that is younger than Unicode 3.2'],
    ['\u2168\ud800', 'half a sign'],
    ['\u2168\ue000', 'private use'],
  ] as const) {
    t.equal(prepared(password), password, why)
  }
})

t.test('spaces, accents and directions', async (t) => {
  t.equal(prepared('a\u00a0\u3000b'), 'a  b')
  t.equal(prepared('u\u0308'), '\u00fc', 'typed in two ways')
  t.equal(prepared('\u0627\u0031\u0628'), '\u0627\u0031\u0628')
  t.equal(prepared('한글'.normalize('NFD')), '한글')
})
