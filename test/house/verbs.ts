/**
 * Whether an English sentence has a finite verb, by lists and by what stands before a word. It errs on one side: what may be
 * a verb is taken for one, so that whoever is told of a sentence has to mend it. Pure.
 */
import { withoutCode } from './prose.ts'

const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/))

/** They are finite wherever they stand. */
const AUXILIARIES = words(`
  is are was were am has have had does do did can cannot could may might must shall should will would let's
  isn't aren't wasn't weren't hasn't haven't hadn't doesn't don't didn't can't couldn't mustn't shouldn't won't wouldn't
  it's that's there's what's who's nobody's he's they're we're
`)

/** The same of other verbs, whatever stands before them but "to". */
const PLAIN = words(`
  took went came spoke knew saw gave wrote ate fell began grew broke became thought
  come go lose keep take nest begin become exist contain belong know see happen depend consist understand throw need serve say
`)

/** Third persons that our texts have as verbs only. */
const VERBS = words(`
  abandons accepts acknowledges acts adds adopts agrees allows announces applies arrives asks balances bars bears becomes
  begins behaves believes belongs breaks brings builds carries catches ceases closes comes commits compares computes concludes
  conducts connects consists contains converts covers creates decides delegates deletes delivers denies depends deserves
  determines dies differs disturbs divides does drains drops empties enables encloses endangers enters equals escapes evaluates
  excludes executes exists expects explains fails falls feeds fetches fills finds finishes fits follows forbids forgets freezes
  gathers gets gives goes grows hands hangs happens has hears helps hides holds ignores includes insists interprets is joins
  judges keeps kills knows lacks lasts learns leaves lends lets listens lives loses makes mangles matches matters
  means meets mends merges migrates misses needs obeys occupies occurs omits opens outlives overtakes overwrites owes owns
  parses permits persists postpones prefers prevents prints proceeds produces promises proves provides publishes purges puts
  quotes reaches receives recognises recovers refuses regards rejects releases relies remains remembers removes renames renews
  repairs repeats reopens replaces replies requires resolves restores resumes retries returns rewrites rolls saves says searches sees seems
  sends serves shares shows sits skips sorts spares speaks spends spoils stands stays stores submits succeeds suffers
  supersedes supplies survives suspends swallows takes tells tends throws tolerates trusts understands unlinks uses vanishes
  waits wakes wants warns wins withdraws yields
`)

/** Third persons that are plurals of nouns as well. */
const MAYBE_VERBS = words(`
  acts aborts adds alerts answers attempts backs beats begins blames blocks bounds calls cares causes changes charges checks
  chooses claims clears compares completes copies costs counts cuts cycles delays drafts draws dumps effects ends equals
  examines exits expects fails fields files fires fixes forces forks forms forwards frees groups guards handles heads hints
  hosts images interests joins keys kills leads leans lies lifts limits lines links lists loads locks logs looks maps marks
  masks measures moves names notes notices numbers offers orders outcomes owns parts passes paths pauses pays pings places
  plans plays points polls probes promises proofs pulls pulses pushes queries questions queues ranks reads reasons records
  refers reports requests rests results reviews rises routes rows rules runs samples scans schedules scopes seals sets settles
  shifts signals sizes sleeps slices sounds splits spreads stalls stamps starts states stems steps stops streams strikes
  sums supports sweeps switches tables terms tests ticks times touches tracks trades treats trials tries trims turns types
  values votes walks watches wishes words works worries wraps writes
`)

/** Behind these a word in -s is a noun. */
const BEFORE_NOUNS = words(`
  a an the of its his her their our your whose these those other another both all some any no each every many few more most
  several two three four five ten hundred thousand in on at by for from with without to into onto over under above below
  between among behind beside before after as than and or nor but not also only new old older newer same such own last first
  next one's master's worker's keeper's cluster's term's per via whole open empty small large long short
`)

/** Behind these a past tense or a plain form is a verb. */
const SUBJECTS = words(`
  i you we they he she it who that which what whoever whatever nobody somebody everybody nothing something everything
  this these those there one others both all some
`)

/** Past tenses, and plain forms of verbs, that tell nothing without a subject. */
const OTHER_FORMS = words(`
  came went took began made stood knew saw gave wrote held lost heard said told found left put set kept brought ran fell won
  got sent met lay read cut let grew broke chose drove became thought meant
  come go take begin make stand know see give write hold lose hear say tell find leave keep bring run fall win get send meet
  lie look wait need want ask mean live stay show end start belong serve follow hang fail die exist use work share rest wake
  listen agree differ act name claim have answer count turn move stop open close apply happen matter depend read write
`)

/** An order begins with one of these. */
const ORDERS = words(`
  see call use look keep put take read write run set start stop say add remove let give make wait try ask leave note mind
  choose copy count go move never be open hand
`)

/** `sentence` may have spans of code: they count as nouns. */
export function hasVerb(sentence: string): boolean {
  const found = withoutCode(sentence)
    .replace(/’/g, "'")
    .toLowerCase()
    .match(/[\p{L}\p{N}'-]+|[,.;:()]/gu)
  const tokens = found ?? []
  return tokens.some((token, at) => isVerb(token, tokens[at - 1], tokens[at + 1]))
}

function isVerb(token: string, before: string | undefined, after: string | undefined): boolean {
  if (AUXILIARIES.has(token) || VERBS.has(token)) return true
  if (PLAIN.has(token) && before !== undefined && before !== 'to') return true
  const isFirst = before === undefined || /^[;:(]$/.test(before)
  if (MAYBE_VERBS.has(token)) {
    if (isFirst)
      return after !== undefined && !/^(?:of|that|which|whose|who|and|or|[,.;:()])$/.test(after)
    return !BEFORE_NOUNS.has(before) && after !== undefined && after !== 'of'
  }
  if (isFirst) return ORDERS.has(token)
  return SUBJECTS.has(before) && (OTHER_FORMS.has(token) || /[a-z]ed$/.test(token))
}
