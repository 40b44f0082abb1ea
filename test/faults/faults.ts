/**
 * Faults to put into the product on purpose, and which tests have to notice each: the table of `npm run faults`.
 *
 * A fault is an edit of the built product, as a mistake in a change could make it: product code has no switch for it.
 * The text that is replaced must be there exactly once, so that a fault can't go on being "found" after the code that it
 * broke has moved. `says` has to match what a failing assertion says (names of the tests around it, its message, its
 * diagnostics): a test that fails for another reason has not found the fault.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { PartName } from '../support/parts.ts'

export type Kind =
  | 'lost acknowledgement'
  | 'two actives'
  | 'hang'
  | 'too slow'
  | 'done twice'
  | 'lost request'
  | 'damage unseen'
  | 'wrong exit code'
  | 'let in'
  | 'silence'
  | 'left behind'

export interface Edit {
  /** From the install's own directory. */
  readonly file: string
  readonly find: string
  readonly replace: string
}

export interface Fault {
  /** What is wrong then, as a sentence. */
  readonly name: string
  readonly kind: Kind
  readonly edits: readonly Edit[]
  /** Few and cheap ones of `npm test`, from build/test on. */
  readonly tests: readonly string[]
  readonly says: RegExp
  /** What these tests need from the system. */
  readonly parts?: readonly PartName[]
}

export const FAULTS: readonly Fault[] = [
  {
    name: 'a message for another cluster is let in',
    kind: 'two actives',
    edits: [
      {
        file: 'build/lib/rpc/cluster-id.js',
        find: 'if (named === own)',
        replace: 'if (named != null)',
      },
    ],
    tests: ['unit/rpc/rpc.test.js'],
    says: /two clusters: refused before secrets and terms are compared/,
  },
  {
    name: "another cluster's answer is taken",
    kind: 'two actives',
    edits: [
      {
        file: 'build/lib/rpc/cluster-id.js',
        find: 'wanted === null || named === wanted',
        replace: 'true',
      },
    ],
    tests: ['unit/client/client.test.js'],
    says: /never goes to another cluster/,
  },
  {
    name: 'of two clusters in one list of masters the first that answers is taken',
    kind: 'two actives',
    edits: [
      {
        file: 'build/lib/client/cluster.js',
        find: 'clusters.size > 1',
        replace: 'clusters.size > 9',
      },
    ],
    tests: ['unit/client/client.test.js'],
    says: /two ids are refused/,
  },
  {
    name: 'a master of another cluster counts in -status',
    kind: 'silence',
    edits: [
      {
        file: 'build/lib/cli/sight/sight.js',
        find: 'return told === clusterId',
        replace: 'return true',
      },
    ],
    tests: ['unit/cli/cluster-view.test.js'],
    says: /a master of another cluster is told as that/,
  },
  {
    name: 'a change is acknowledged before it is durable',
    kind: 'lost acknowledgement',
    edits: [
      {
        file: 'build/lib/catalog/open-term.js',
        find: 'await this.#appendSurely(batch);',
        replace: 'this.#appendSurely(batch).catch((error) => this.end(this.#endingOf(error)));',
      },
    ],
    tests: ['unit/catalog/shared-store.test.js'],
    says: /nothing acknowledged > crash in call .* are lost/,
  },
  {
    name: 'a change is acknowledged without the renewal that makes it binding',
    kind: 'lost acknowledgement',
    edits: [
      {
        file: 'build/lib/catalog/open-term.js',
        find: 'await this.#options.commit();',
        replace: 'this.#options.commit().catch((error) => this.end(notActive(error)));',
      },
    ],
    tests: ['unit/catalog/catalog.test.js'],
    says: /readers see a change only when .* > durable is not enough/,
  },
  {
    name: 'a master serves on after its lease has run out',
    kind: 'two actives',
    edits: [
      {
        file: 'build/lib/ha/member/held-term.js',
        find: 'return this.#clock.nowMs() < this.#untilMs;',
        replace: 'return true;',
      },
    ],
    // The first sees it where the master wakes before its keeper has found the term over, the second in any case.
    tests: ['integration/master-failover.test.js', 'unit/ha/member.test.js'],
    says: /nothing (sent while it was frozen is served|is served after)|core\.mayServe\(\)/,
  },
  {
    name: 'a holder answers to its deadline under a term that another serves above',
    kind: 'two actives',
    edits: [
      {
        file: 'build/lib/ha/rules/elector-lease.js',
        find: "if (above !== null && phase.name !== 'releasing')\n        return `",
        replace: 'if (above === undefined)\n        return `',
      },
    ],
    tests: ['unit/ha/elector.test.js'],
    says: /steps down once a higher term serves > .*nothing is answered from there on/,
  },
  {
    name: 'a renewal from before a higher term was seen to serve lets its holder answer again',
    kind: 'two actives',
    edits: [
      {
        file: 'build/lib/ha/rules/elector-lease.js',
        find: 'if (t.s.contest.yielded !== null || above !== null)',
        replace: 'if (t.s.contest.yielded !== null)',
      },
    ],
    tests: ['unit/ha/elector.test.js'],
    says: /a renewal that began before a higher term was seen to serve resumes nothing/,
  },
  {
    name: 'a master whose term was ended by a higher one renews it all the same',
    kind: 'two actives',
    edits: [
      {
        file: 'build/lib/ha/rules/elector-lease.js',
        find: "if (input.outcome === 'missing') {",
        replace: "if (input.outcome === 'gone') {",
      },
    ],
    tests: ['integration/master-failover.test.js'],
    says: /processes that freeze > .* > nothing (sent while it was frozen is served|is served after)/,
  },
  {
    name: 'nobody takes over from a master that died',
    kind: 'hang',
    edits: [
      {
        file: 'build/lib/ha/rules/watch.js',
        find: 'if (beat !== null && alone && quiet)',
        replace: 'if (beat === null && alone && quiet)',
      },
      {
        file: 'build/lib/ha/rules/watch.js',
        find: "return watch.startedMs >= expiryMs(watch) ? { is: 'expired' } : { is: 'live' };",
        replace: "return { is: 'live' };",
      },
    ],
    tests: ['integration/master-failover.test.js'],
    says: /kill -9 of the active.*another master serves after kill -9/,
  },
  {
    name: 'a take-over takes three monitor intervals',
    kind: 'too slow',
    edits: [
      {
        file: 'build/lib/ha/rules/elector-claim.js',
        find: 'const untilMs = input.proven ? t.now : t.now + input.settleMs;',
        replace: 'const untilMs = t.now + (input.proven ? 3 : 4) * t.s.timing.monitorMs;',
      },
    ],
    tests: ['integration/master-failover.test.js'],
    says: /kill -9: .* promised within/,
  },
  {
    name: 'claims that fail are tried again as fast as ever',
    kind: 'left behind',
    edits: [
      {
        file: 'build/lib/ha/rules/elector-claim.js',
        find: '(monitorMs / 4) * 2 ** s.failedClaims',
        replace: 'monitorMs / 4',
      },
    ],
    tests: ['unit/ha/elector.test.js'],
    says: /claims that fail get rarer/,
  },
  {
    name: 'an opening that a quota refuses keeps the room that was kept for it',
    kind: 'hang',
    edits: [
      {
        file: 'build/lib/ha/keeper/keeper.js',
        find: "message.type === 'no-room'",
        replace: 'false',
      },
    ],
    tests: ['unit/ha/opening-room.test.js'],
    says: /an opening that finds no room gets what was kept/,
  },
  {
    name: 'a statement is sent to the next master under another id',
    kind: 'done twice',
    edits: [
      {
        file: 'build/lib/client/query.js',
        find: 'return next ?? this.#submit();',
        replace:
          'if (next === null) this.#options.queryId = crypto.randomUUID();\n        return next ?? this.#submit();',
      },
    ],
    tests: ['unit/client/client.test.js'],
    says: /a failover is not noticed: the same id is asked for again elsewhere > .*queryId/s,
  },
  {
    name: 'a write that has ended is applied again when a worker comes back with it',
    kind: 'done twice',
    edits: [
      {
        file: 'build/lib/master/queries/run/write-end.js',
        find: 'throw new AlreadyEnded(outcome);',
        replace: '{}',
      },
      {
        file: 'build/lib/catalog/apply.js',
        find: 'this.#refuseKnown(outcome);',
        replace: '{}',
      },
      {
        file: 'build/lib/master/queries/run/tracker-service.js',
        find: 'if (catalog.state().outcome(task.queryId) !== null)',
        replace: 'if (false)',
      },
    ],
    tests: ['unit/master/queries.test.js'],
    says: /a failover: what runs is adopted.*\n +-2\n +\+3\b/s,
  },
  {
    name: 'an attempt that was given up is applied when its worker lives after all',
    kind: 'done twice',
    edits: [
      {
        file: 'build/lib/master/queries/run/write-end.js',
        find: 'refuseGivenUp(state, task);',
        replace: '',
      },
      {
        file: 'build/lib/master/queries/run/tracker-service.js',
        find: 'if (isGivenUp(catalog.state(), task.queryId, task.attempt))',
        replace: 'if (false)',
      },
    ],
    tests: ['unit/master/deaths.test.js'],
    says: /the next master knows which attempt was given up > /,
  },
  {
    name: 'a change that ends its worker is given to the next one',
    kind: 'damage unseen',
    edits: [
      {
        file: 'build/lib/master/queries/run/losses.js',
        find: 'if (!death.explained)',
        replace: 'if (false)',
      },
    ],
    tests: ['unit/master/deaths.test.js'],
    says: /a worker that died alone under it ends it with that word > nobody else is given it/,
  },
  {
    name: 'an OVERWRITE replaces what it has not read',
    kind: 'lost acknowledgement',
    edits: [
      {
        file: 'build/lib/catalog/apply.js',
        find: 'basedOn !== undefined && (isAltered || basedOn !== contentVersionOf(table))',
        replace: 'false',
      },
    ],
    tests: ['unit/master/isolation.test.js'],
    says: /an INSERT that is done while an OVERWRITE of what it reads runs is not lost > /,
  },
  {
    name: 'nobody waits for an OVERWRITE that was overtaken twice',
    kind: 'hang',
    edits: [
      {
        file: 'build/lib/master/queries/run/recorder.js',
        find: 'refuseHeld(list.unended(), queryId, transaction);',
        replace: '',
      },
    ],
    tests: ['unit/master/isolation.test.js'],
    says: /the same, in its third run, meanwhile INSERT > .*2nd waits/s,
  },
  {
    name: 'a change does not wait for a result that is still to take the place of its files',
    kind: 'lost acknowledgement',
    edits: [
      {
        file: 'build/lib/master/queries/run/recorder.js',
        find: 'refuseMoving(state, transaction, () => catalog.state());',
        replace: '',
      },
    ],
    tests: ['unit/master/publications.test.js'],
    says: /an INSERT into an external table at, above or below the place waits > /,
  },
  {
    name: 'what a change reads is looked for by name when its worker begins',
    kind: 'lost acknowledgement',
    edits: [
      {
        file: 'build/lib/master/queries/statements/names.js',
        find: 'return { databases, tables, nextTableId: state.nextTableId };',
        replace: 'return { databases, tables: [], nextTableId: 0 };',
      },
    ],
    tests: ['unit/master/isolation.test.js'],
    says: /names mean what they meant at the submit, whatever is renamed before the worker reads > /,
  },
  {
    name: 'a hand-over does not wait for the requests that were accepted',
    kind: 'lost request',
    edits: [
      {
        file: 'build/lib/master/master.js',
        find: 'await this.#gate.drained();',
        replace: '',
      },
    ],
    tests: ['unit/master/master.test.js'],
    says: /a hand-over waits for the answer .* > one request has no answer yet/,
  },
  {
    name: 'a client does not follow a backup to the active master',
    kind: 'lost request',
    edits: [
      {
        file: 'build/lib/client/masters.js',
        find: 'this.#learn(error.active);',
        replace: 'this.#active = null;',
      },
    ],
    tests: ['unit/client/client.test.js'],
    says: /hints are followed/,
  },
  {
    name: 'a look reads a group of the journal that is still being written',
    kind: 'hang',
    edits: [
      {
        file: 'build/lib/catalog/shared/found-journal.js',
        find: 'files.readWhole(path, sizeBytes)',
        replace: 'files.read(path)',
      },
    ],
    tests: ['unit/catalog/segments.test.js'],
    says: /a backup that looks in any moment spoils nothing/,
  },
  {
    name: 'a backup reads the query log while it grows, where that spoils it',
    kind: 'damage unseen',
    edits: [
      {
        file: 'build/lib/master/queries/run/query-history.js',
        find: 'if (!isSealed || takesOver) {',
        replace: '{',
      },
    ],
    tests: ['unit/master/query-log-sealed.test.js'],
    says: /whoever looks beside the active reads nothing/,
  },
  {
    name: 'the active reads its own query log while it grows',
    kind: 'damage unseen',
    edits: [
      {
        file: 'build/lib/master/queries/run/query-history.js',
        find: 'if (this.#own.has(name) || this.#files.has(name))',
        replace: 'if (this.#files.has(name))',
      },
    ],
    tests: ['unit/master/query-log-sealed.test.js'],
    says: /once, and its own never|a part is never gone on with/,
  },
  {
    name: 'a backup that may not read the query log says that there were no queries',
    kind: 'silence',
    edits: [
      {
        file: 'build/lib/master/queries/services.js',
        find: 'if (history.isSealed && this.#term === null) {',
        replace: 'if (history.isSealed && this.#term === undefined) {',
      },
    ],
    tests: ['unit/master/query-log-sealed.test.js'],
    says: /the services of a backup name the active/,
  },
  {
    name: 'a part of the query log that may have been read is gone on with',
    kind: 'damage unseen',
    edits: [
      {
        file: 'build/lib/master/queries/run/query-log.js',
        find: 'this.#listener === null ? Math.max(1, last) : last + 1',
        replace: 'Math.max(1, last)',
      },
    ],
    tests: ['unit/master/query-log-sealed.test.js'],
    says: /a part is never gone on with/,
  },
  {
    name: 'a file that a gateway has spoilt is asked for again and again',
    kind: 'hang',
    edits: [
      {
        file: 'build/lib/catalog/shared/files.js',
        find: 'if (spoilt.has(path))',
        replace: 'if (spoilt.has(path) && path === "")',
      },
    ],
    tests: ['unit/catalog/segments.test.js', 'unit/master/query-log-sealed.test.js'],
    says: /each try would begin the ten minutes of the gateway anew/,
  },
  {
    name: 'a spoilt part of the query log is removed unread',
    kind: 'lost request',
    edits: [
      {
        file: 'build/lib/master/queries/run/query-history.js',
        find: ' || this.#spoilt.has(name)',
        replace: '',
      },
    ],
    tests: ['unit/master/query-log-sealed.test.js'],
    says: /nothing is removed that nobody has read/,
  },
  {
    name: "a dump reads the journal that an earlier version's active still writes",
    kind: 'hang',
    edits: [
      {
        file: 'build/lib/catalog/shared/found-journal.js',
        find: 'if (!mayGrow && look.besideMasters === true)',
        replace: 'if (false)',
      },
    ],
    tests: ['unit/catalog/segments.test.js'],
    says: /journals of earlier versions, and of masters on other mounts/,
  },
  {
    name: 'readers of earlier formats are not stopped by a term of today',
    kind: 'lost acknowledgement',
    edits: [
      {
        file: 'build/lib/catalog/shared/begin-part.js',
        find: 'encodeStop(term, part)',
        replace: 'Buffer.alloc(0)',
      },
    ],
    tests: ['unit/catalog/segments.test.js'],
    says: /earlier versions refuse all of them/,
  },
  {
    name: 'an older journal of the chain is read to its end',
    kind: 'lost acknowledgement',
    edits: [
      {
        file: 'build/lib/catalog/shared/chain.js',
        find: 'upTo: basis.position }',
        replace: 'upTo: null }',
      },
    ],
    tests: ['unit/catalog/chain.test.js'],
    says: /does not count/,
  },
  {
    name: 'a change of several records stands in a part that versions without such changes read',
    kind: 'damage unseen',
    edits: [
      {
        file: 'build/lib/catalog/shared/shared-store.js',
        find: 'journal.format >= format',
        replace: 'true',
      },
    ],
    tests: ['unit/catalog/long-changes.test.js'],
    says: /an older reader is stopped at its part/,
  },
  {
    name: 'closed files of a long change that found no space stay',
    kind: 'damage unseen',
    edits: [
      {
        file: 'build/lib/catalog/shared/journal.js',
        find: 'await this.#files.unlink(last.path);',
        replace: '',
      },
    ],
    tests: ['unit/catalog/long-changes.test.js'],
    says: /without space nothing of it stays/,
  },
  {
    name: 'a checkpoint is made of what nobody has acknowledged',
    kind: 'lost acknowledgement',
    edits: [
      {
        file: 'build/lib/catalog/shared/shared-store.js',
        find: 'session.state = after;',
        replace: 'session.state = after; this.confirmed(session.journal.position.seq);',
      },
    ],
    tests: ['unit/catalog/chain.test.js'],
    says: /made of what was acknowledged/,
  },
  {
    name: 'a master that has lost its term takes what is missing for damage, or for a beginning',
    kind: 'lost acknowledgement',
    edits: [
      {
        file: 'build/lib/catalog/shared/newest.js',
        find: 'const { renewed = async () => { } } = finding;',
        replace: 'const renewed = async () => { };',
      },
    ],
    tests: ['unit/catalog/chain.test.js'],
    says: /only by who still has the term/,
  },
  {
    name: 'a backup goes on from what its memory has read beyond the chain',
    kind: 'lost acknowledgement',
    edits: [
      {
        file: 'build/lib/catalog/shared/chain.js',
        find: 'known.position.bytes <= upTo.bytes',
        replace: 'true',
      },
      // What a reference names is compared as well.
      {
        file: 'build/lib/catalog/shared/journal-read.js',
        find: 'requireNamed(path, end, upTo);',
        replace: '{ }',
      },
    ],
    tests: ['unit/catalog/chain.test.js'],
    says: /is forgotten/,
  },
  {
    name: 'a backup does not notice that what it has read was cut off and replaced',
    kind: 'lost acknowledgement',
    edits: [
      {
        file: 'build/lib/catalog/shared/journal-read.js',
        find: 'if (!next.subarray(0, known).equals(tail))',
        replace: 'if (false)',
      },
    ],
    tests: ['unit/catalog/chain.test.js'],
    says: /cut off and replaced/,
  },
  {
    name: 'two lists of files that were made of the same one go on in the same arrays',
    kind: 'damage unseen',
    edits: [
      {
        file: 'build/lib/catalog/file-partition.js',
        find: 'const isLast = this.#rows.length === this.length;',
        replace: 'const isLast = true;',
      },
    ],
    tests: ['unit/catalog/file-list.test.js'],
    says: /what an array would be/,
  },
  {
    name: 'a list of files is changed where it stands, though others have it',
    kind: 'damage unseen',
    edits: [
      {
        file: 'build/lib/catalog/int-trie.js',
        find: 'fresh?.has(node) === true',
        replace: 'fresh !== undefined',
      },
    ],
    tests: ['unit/catalog/file-list.test.js'],
    says: /what an array would be/,
  },
  {
    name: 'a take-over reads the whole catalog beside the first look of its backup',
    kind: 'too slow',
    edits: [
      {
        file: 'build/lib/catalog/shared/memory.js',
        find: "look.listen(found === 'stuck' ? givenUp : () => { });",
        replace: 'look.listen(() => { });',
      },
    ],
    tests: ['unit/catalog/memory.test.js'],
    says: /ends as soon as it comes unstuck/,
  },
  {
    name: 'what the checkpoint before the last needs is removed',
    kind: 'damage unseen',
    edits: [
      {
        file: 'build/lib/catalog/shared/checkpointer.js',
        find: 'await this.#sweep(before);',
        replace: 'await this.#sweep(ground.base);',
      },
    ],
    tests: ['unit/catalog/shared-store.test.js'],
    says: /below the checkpoint before the last/,
  },
  {
    name: 'a damaged record of the catalog is taken for a whole one',
    kind: 'damage unseen',
    edits: [
      {
        file: 'build/lib/catalog/shared/records.js',
        find: 'return crc32(json) === crc ? json : null;',
        replace: 'return json;',
      },
    ],
    tests: ['unit/catalog/shared-store.test.js'],
    says: /damage is told, never taken for the end of a file/,
  },
  {
    name: 'an unsafe order that was refused exits with 1',
    kind: 'wrong exit code',
    edits: [
      {
        file: 'build/lib/cli/exit.js',
        find: "code === 'UNSAFE' ? EXIT.unsafe : EXIT.failed;",
        replace: 'EXIT.failed;',
      },
    ],
    tests: ['integration/haadmin.test.js'],
    says: /a master that stands still is not handed the role > .*\+1/s,
  },
  {
    name: 'stop-tajo.sh exits with 0 though not everything could be stopped',
    kind: 'wrong exit code',
    edits: [{ file: 'sbin/stop-tajo.sh', find: 'exit "$exit_code"', replace: 'exit 0' }],
    tests: ['integration/scripts.test.js'],
    says: /keeps nothing from being stopped > other hosts are not known/,
    parts: ['netns'],
  },
  {
    name: 'a start that fails does not say why',
    kind: 'silence',
    edits: [
      {
        file: 'build/lib/cli/daemon/daemon-command.js',
        // biome-ignore lint/suspicious/noTemplateCurlyInString: it is the code's
        find: 'output.err(`tajo: ${oneLine(message)}`);',
        replace: '',
      },
    ],
    tests: ['integration/master-failover.test.js'],
    says: /starts that must fail: .* > should match pattern/,
  },
  {
    name: 'a keeper outlives its killed master',
    kind: 'left behind',
    edits: [
      {
        file: 'build/lib/ha/keeper-process.js',
        find: "process.once('disconnect', listener);",
        replace: '',
      },
    ],
    tests: ['integration/master-failover.test.js'],
    says: /the keeper of the killed one has ended/,
  },
  {
    name: 'a pid file stays after an orderly stop',
    kind: 'left behind',
    edits: [
      {
        file: 'build/lib/cli/daemon/daemon-command.js',
        find: 'pidFile.remove();',
        replace: '',
      },
    ],
    tests: ['integration/master-failover.test.js'],
    says: /TERM of the active: .* > neither pid file nor socket/,
  },
  {
    name: 'masters that are refused by their catalog claim without a pause',
    kind: 'left behind',
    edits: [
      {
        file: 'build/lib/ha/rules/elector-decision.js',
        find: "if (verdict.is === 'refused') {",
        replace: 'if (false) {',
      },
    ],
    tests: ['sim/refused.test.js'],
    says: /two claims within M/,
  },
  {
    name: 'a backup goes on with a database of another history',
    kind: 'damage unseen',
    edits: [
      {
        file: 'build/lib/catalog/database/sql-known.js',
        find: 'if (follows !== this.#mark)',
        replace: 'if (false)',
      },
    ],
    tests: ['unit/catalog/sql-known.test.js'],
    says: /what does not fit is refused/,
  },
  {
    name: 'an older state of a catalog in a database is served',
    kind: 'damage unseen',
    edits: [
      {
        file: 'build/lib/catalog/database/sql-term.js',
        find: 'if (begun !== null && row.term < begun.term) {',
        replace: 'if (false) {',
      },
    ],
    tests: ['contract/embedded-store.test.js'],
    says: /older than what has served/,
  },
  {
    name: 'without high availability a catalog that was removed looks like a first start',
    kind: 'damage unseen',
    edits: [
      {
        file: 'build/lib/cli/daemon/other-catalogs.js',
        find: 'const lost = term > 0 ? null : lostHere(start);',
        replace: 'const lost = null;',
      },
    ],
    tests: ['unit/cli/default-rootdir.test.js'],
    says: /a catalog that was removed/,
  },
  {
    name: 'a stand-down lasts for ever',
    kind: 'hang',
    edits: [
      {
        file: 'build/lib/ha/rules/elector-decision.js',
        find: 'if (s.standDown !== null && seen.servedTerm > s.standDown) {',
        replace: 'if (false) {',
      },
    ],
    tests: ['sim/scenarios.test.js'],
    says: /stand-down > .*none of them serves/s,
  },
  {
    name: 'the role is handed over to a master that can not make its files',
    kind: 'hang',
    edits: [
      {
        file: 'build/lib/ha/rules/elector-hand-over.js',
        find: "t.act({ do: 'ask-proof', id, address: heir.address });",
        replace:
          "s.handOver = null;\n        drain(t, phase.term, { reason: 'handed-over', successor: heir.address, by, commandId: id });",
      },
    ],
    tests: ['sim/scenarios.test.js'],
    says: /successor-without-room > .*it is 3/s,
  },
  {
    name: 'a role that its successor did not take belongs to nobody',
    kind: 'hang',
    edits: [
      {
        file: 'build/lib/ha/rules/elector-decision.js',
        find: 'return verdict.successor === s.address ? 0 : s.timing.graceMs + turn;',
        replace: 'return verdict.successor === s.address ? 0 : 1e9;',
      },
    ],
    tests: ['sim/scenarios.test.js'],
    says: /successor-dies > .*none of them serves/s,
  },
  {
    name: 'a term is claimed in the directory of another cluster',
    kind: 'two actives',
    edits: [
      {
        file: 'build/lib/ha/keeper/term.js',
        find: "if (whose.is === 'foreign') {",
        replace: 'if (false) {',
      },
    ],
    tests: ['sim/scenarios.test.js'],
    says: /foreign-directory > .*somebody serves/s,
  },
  {
    name: 'another id in cluster.json counts as a format',
    kind: 'hang',
    edits: [
      {
        file: 'build/lib/ha/keeper/term.js',
        find: "if (whose.is === 'formatted') {",
        replace: "if (whose.is !== 'ours' && whose.is !== 'lost') {",
      },
    ],
    tests: ['sim/scenarios.test.js'],
    says: /foreign-directory > .*none of them serves/s,
  },
  {
    name: 'nobody puts cluster.json back',
    kind: 'hang',
    edits: [
      {
        file: 'build/lib/ha/keeper/upkeep.js',
        find: 'await this.#inPlace(CLUSTER_FILE, () => this.#keepCluster(joined));',
        replace: '',
      },
    ],
    tests: ['sim/scenarios.test.js'],
    says: /(foreign-directory|removed-files) > .*none of them serves/s,
  },
  {
    name: 'nobody puts the secret back',
    kind: 'hang',
    edits: [
      {
        file: 'build/lib/ha/keeper/upkeep.js',
        find: 'await this.#inPlace(SECRET_FILE, () => this.#keepSecret(joined, names));',
        replace: '',
      },
    ],
    tests: ['sim/scenarios.test.js'],
    says: /removed-files > .*none of them serves/s,
  },
  {
    name: 'nobody puts history/ back',
    kind: 'two actives',
    edits: [
      {
        file: 'build/lib/ha/keeper/upkeep.js',
        find: 'for (const name of [BACKUP_DIR, HISTORY_DIR]) {',
        replace: 'for (const name of [BACKUP_DIR]) {',
      },
    ],
    tests: ['sim/scenarios.test.js'],
    says: /history-gone > .*one term, one master/s,
  },
  {
    name: 'nobody puts the files of a term back',
    kind: 'two actives',
    edits: [
      {
        file: 'build/lib/ha/keeper/upkeep.js',
        find: 'await this.#inPlace(path, () => this.#keepOwn(path, now));',
        replace: ';',
      },
    ],
    tests: ['sim/scenarios.test.js'],
    says: /put-back > .*none of them serves/s,
  },
  {
    name: 'terms are made where the directory is not mounted',
    kind: 'two actives',
    edits: [
      {
        file: 'build/lib/ha/keeper/upkeep.js',
        find: 'if (joined === null || found === null || !isSame(found, joined.cluster))',
        replace: 'if (joined === null)',
      },
    ],
    tests: ['sim/scenarios.test.js'],
    says: /directory-gone > .*somebody serves/s,
  },
  {
    name: 'a term answers before it is on record',
    kind: 'lost acknowledgement',
    edits: [
      {
        file: 'build/lib/ha/keeper/term-files.js',
        find: "const text = await this.#makeServed({ purpose: 'mark', path, text: encode(served) });",
        replace: 'const text = encode(served);',
      },
    ],
    tests: ['sim/scenarios.test.js'],
    says: /the history does not say that it serves/,
  },
  {
    name: 'a term answers before it was renewed on record',
    kind: 'lost acknowledgement',
    edits: [
      {
        file: 'build/lib/ha/rules/elector-serve.js',
        find: 't.s.lease = { ...lease, waiting: [...lease.waiting, TO_SERVE] };',
        replace: 'serve(t, term);',
      },
    ],
    tests: ['sim/scenarios.test.js'],
    says: /it was not renewed since it is on record/,
  },
  {
    name: 'a keeper that is started anew is not told of a term that waits to serve',
    kind: 'hang',
    edits: [
      {
        file: 'build/lib/ha/member/member.js',
        find: "if (this.#term.is === 'opened')\n            this.#duty.tellOpened();",
        replace: '',
      },
    ],
    tests: ['sim/scenarios.test.js'],
    says: /keeper-dies-on-record > .*none of them serves/s,
  },
  {
    name: 'a claim above an obituary takes it away',
    kind: 'too slow',
    edits: [
      {
        file: 'build/lib/ha/rules/watch.js',
        find: 'if (mtimeMs !== null)\n            return { term, mtimeMs };',
        replace: 'return mtimeMs === null ? null : { term, mtimeMs };',
      },
    ],
    tests: ['sim/scenarios.test.js'],
    says: /(claims-above-an-obituary|burnt-terms) > .*none of them serves/s,
  },
  {
    name: 'each claim that fails takes another number',
    kind: 'left behind',
    edits: [
      {
        file: 'build/lib/ha/rules/elector-claim.js',
        find: 'return unfinished > (newestBeat(seen)?.term ?? 0) ? unfinished : next;',
        replace: 'return next;',
      },
    ],
    tests: ['sim/scenarios.test.js'],
    says: /full-disk-in-a-claim > .*it is 3/s,
  },
  {
    name: 'a claim that goes on does so under another nonce',
    kind: 'left behind',
    edits: [
      {
        file: 'build/lib/ha/keeper/term.js',
        find: 'if (before?.record.term === term && canGoOn(before))',
        replace: 'if (false)',
      },
    ],
    tests: ['sim/scenarios.test.js'],
    says: /full-disk-in-a-claim > .*it is 3/s,
  },
  {
    name: 'terms that nobody opened stay',
    kind: 'left behind',
    edits: [
      {
        file: 'build/lib/ha/directory/void-terms.js',
        find: 'const done = await voidTerms(disk, terms, how);',
        replace: 'const done = [];',
      },
    ],
    tests: ['sim/scenarios.test.js'],
    says: /burnt-terms > .*there are \d+/s,
  },
  {
    name: 'a holder whose heartbeat was removed is judged by the periods of who looks',
    kind: 'two actives',
    edits: [
      {
        file: 'build/lib/ha/rules/watch.js',
        find: 'return pulse.mtimeMs === null && pulse.periods !== undefined ? [pulse.periods] : [];',
        replace: 'return [];',
      },
    ],
    tests: ['sim/scenarios.test.js'],
    says: /heartbeat-removed > .*serve at the same instant/s,
  },
  {
    name: 'a number is taken again once its directory is gone',
    kind: 'two actives',
    edits: [
      {
        file: 'build/lib/ha/directory/look.js',
        find: 'this.#newest = Math.max(this.#newest, top, this.#recorded);',
        replace: 'this.#newest = top;',
      },
    ],
    tests: ['sim/scenarios.test.js'],
    says: /removed-files > .*one term, one master/s,
  },
  {
    name: 'a successor whose answer was no better is offered the role again at once',
    kind: 'left behind',
    edits: [
      {
        file: 'build/lib/ha/rules/network-offer.js',
        find: 'compareRanks(rank, offer.own) > 0',
        replace: 'rank !== undefined',
      },
    ],
    tests: ['sim/network.test.js'],
    says: /vain: the role is offered/,
  },
  {
    name: 'a silence that breaks no stream is never noticed',
    kind: 'silence',
    edits: [
      {
        file: 'build/lib/ha/member/network-ear.js',
        find: 'if (quiet)',
        replace: 'if (false)',
      },
    ],
    tests: ['unit/ha/network.test.js'],
    says: /at rest a silence begins with the request that had no answer > /,
  },
  {
    name: 'its own stall after a request at rest is taken for silence',
    kind: 'two actives',
    edits: [
      {
        file: 'build/lib/ha/member/network-ear.js',
        find: 'const stalled = nowMs - askedMs > silenceMs(timing) + 2 * timing.pollMs;',
        replace: 'const stalled = false;',
      },
    ],
    tests: ['unit/ha/network.test.js'],
    says: /its own stall after a request at rest is nobody/,
  },
  {
    name: 'a claim under way goes on, whatever is learnt of the others meanwhile',
    kind: 'two actives',
    edits: [
      {
        file: 'build/lib/ha/rules/elector-claim.js',
        find: 'const bar = barOfClaim(t.s, cause, t.now);',
        replace: 'const bar = null;',
      },
    ],
    tests: ['unit/ha/elector-contest.test.js'],
    says: /a claim under way is given up once a mismatch is known/,
  },
  {
    name: 'a mismatch of the directories bars nobody',
    kind: 'two actives',
    edits: [
      {
        file: 'build/lib/ha/rules/contest-rules.js',
        find: 'mismatch !== null && mismatch.ours <= mismatch.theirs',
        replace: 'false',
      },
    ],
    tests: ['unit/ha/elector-contest.test.js'],
    says: /a mismatch bars it, and says so/,
  },
  {
    name: 'the contest of one side is enough',
    kind: 'two actives',
    edits: [
      {
        file: 'build/lib/ha/rules/contest-state.js',
        find: "mine === 'exists' && theirs === 'exists';",
        replace: "mine === 'exists';",
      },
    ],
    tests: ['unit/ha/contest.test.js'],
    says: /a peer whose own contest never comes|what had passed|one directory/,
  },
  {
    name: 'a master runs at the niceness of any program',
    kind: 'too slow',
    edits: [
      {
        file: 'build/lib/cli/daemon/precedence.js',
        find: 'own.set(thread, niceness)',
        replace: 'own.set(thread, 0)',
      },
    ],
    tests: ['integration/scripts-input.test.js'],
    says: /a master and its keeper come before other programs > each thread of the master/,
    parts: ['netns'],
  },
  {
    name: "the channel to a master's keeper is closed after its watches",
    kind: 'too slow',
    edits: [{ file: 'build/lib/ha/join.js', find: '    makeInotify(log);\n', replace: '' }],
    tests: ['integration/master-failover.test.js'],
    says: /the channel to the keeper is closed before|channels \d/,
  },
  {
    name: 'the contest is made anew where nothing has changed',
    kind: 'too slow',
    edits: [
      {
        file: 'build/lib/ha/rules/contest.js',
        find: 'if (next === was)\n            return;',
        replace: '',
      },
    ],
    tests: ['unit/ha/contest.test.js'],
    says: /a step in which nothing is due/,
  },
  {
    name: "a file that could be created counts as the other's",
    kind: 'two actives',
    edits: [
      {
        file: 'build/lib/ha/keeper/contest.js',
        find: "return 'created';",
        replace: "return 'exists';",
      },
    ],
    tests: ['unit/ha/keeper-contest.test.js'],
    says: /one that could be created is gone again/,
  },
  {
    name: 'an active whose term is not in the own directory is not minded',
    kind: 'two actives',
    edits: [
      {
        file: 'build/lib/ha/rules/contest-rules.js',
        find: 'return peer.mismatch !== null || holder?.term !== holds.term || holder.by !== holds.by;',
        replace: 'return peer.mismatch !== null;',
      },
    ],
    tests: ['unit/ha/contest.test.js'],
    says: /found by its term, which is not in our directory/,
  },
  {
    name: 'of two actives in two directories none stands back',
    kind: 'two actives',
    edits: [
      {
        file: 'build/lib/ha/rules/elector-contest.js',
        find: 'const other = standsBackFor(s.contest, s);',
        replace: 'const other = null;',
      },
    ],
    tests: ['unit/ha/elector-contest.test.js'],
    says: /stands back/,
  },
  {
    name: 'another mount under a master voids nothing that was proven',
    kind: 'two actives',
    edits: [
      {
        file: 'build/lib/ha/rules/contest.js',
        find: 'if (s.place === place)',
        replace: 'if (s.place !== null)',
      },
    ],
    tests: ['unit/ha/contest.test.js'],
    says: /another mount under the same process is another incarnation/,
  },
  {
    name: 'a started master claims before it has tried the others',
    kind: 'two actives',
    edits: [
      {
        file: 'build/lib/ha/rules/contest-rules.js',
        find: 'untried !== undefined && nowMs',
        replace: 'false && nowMs',
      },
    ],
    tests: ['unit/ha/elector-contest.test.js'],
    says: /claims nothing before M\/2/,
  },
  {
    name: 'a contest that comes to nothing blocks for ever',
    kind: 'hang',
    edits: [
      {
        file: 'build/lib/ha/rules/contest-state.js',
        find: 'nowMs < peer.openSinceMs + openLimitMs(timing);',
        replace: 'true;',
      },
    ],
    tests: ['unit/ha/contest.test.js'],
    says: /waited for until M\/2/,
  },
  {
    name: 'a letter without the seal of the own secret is believed',
    kind: 'two actives',
    edits: [
      {
        file: 'build/lib/master/network/contest-letters.js',
        find: "isSealed(seal, secret(), 'letter', letter)",
        replace: 'true',
      },
    ],
    tests: ['unit/master/contest-letters.test.js'],
    says: /another secret: nothing is taken/,
  },
  {
    name: 'cluster.json is absent for a moment while a directory of an older format is migrated',
    kind: 'two actives',
    edits: [
      {
        file: 'build/lib/ha/directory/migrate.js',
        find: "(await disk.replace('setup', CLUSTER_FILE, aside)) === 'refused'",
        replace: 'true',
      },
    ],
    tests: ['unit/ha/migrate.test.js'],
    says: /an older master that starts at any moment takes it for no new cluster/,
  },
  {
    name: 'a checkpoint below a reference is read to see where it stands, and again for what is in it',
    kind: 'too slow',
    edits: [
      {
        file: 'build/lib/catalog/shared/chain.js',
        find: '(seq) => seq === position.seq);',
        replace:
          '(seq) => seq <= position.seq);\n    if (read?.position.seq !== position.seq) return null;',
      },
    ],
    tests: ['unit/catalog/chain.test.js'],
    says: /a checkpoint is read once/,
  },
  {
    name: 'a file that was listed while it was written is not looked at again',
    kind: 'too slow',
    edits: [
      {
        file: 'build/lib/catalog/shared/newest.js',
        find: 'segment?.name ?? journalFile(part)',
        replace: 'journalFile(part)',
      },
    ],
    tests: ['unit/catalog/chain.test.js'],
    says: /another glance when it is whole/,
  },
  {
    name: 'a backup looks for nothing but the length of the journal that it knows',
    kind: 'too slow',
    edits: [
      {
        file: 'build/lib/catalog/shared/newest.js',
        find: 'JSON.stringify([terms, names, journal])',
        replace: 'JSON.stringify([journal])',
      },
    ],
    tests: ['unit/catalog/chain.test.js'],
    says: /a backup at rest reads nothing, and sees whatever has come/,
  },
  {
    name: 'columns of one name are one, whatever their types',
    kind: 'damage unseen',
    edits: [
      {
        file: 'build/lib/catalog/interned-columns.js',
        find: 'known.get(type);',
        replace: "known.get('');",
      },
      {
        file: 'build/lib/catalog/interned-columns.js',
        find: 'known.set(type, names);',
        replace: "known.set('', names);",
      },
      {
        file: 'build/lib/catalog/interned-columns.js',
        find: 'known.get(type) ??',
        replace: "known.get('') ??",
      },
    ],
    tests: ['unit/catalog/interned-columns.test.js'],
    says: /one name of another type is another column/,
  },
  {
    name: 'columns that are read are kept as they come',
    kind: 'too slow',
    edits: [
      {
        file: 'build/lib/catalog/state.js',
        find: 'withInternedColumns(table)',
        replace: 'table',
      },
    ],
    tests: ['unit/catalog/interned-columns.test.js'],
    says: /those of tables that are made, altered, and read/,
  },
  {
    name: 'a rehearsal opens one term, which begins with no reference',
    kind: 'too slow',
    edits: [
      {
        file: 'build/lib/master/queries/catalog/rehearsal.js',
        find: 'TERMS = 2',
        replace: 'TERMS = 1',
      },
    ],
    tests: ['unit/master/rehearsal.test.js'],
    says: /two terms with their statements/,
  },
  {
    name: 'whoever has had a term rehearses one',
    kind: 'too slow',
    edits: [
      {
        file: 'build/lib/master/queries/services.js',
        find: 'if (this.#inEarnest.signal.aborted)',
        replace: 'if (this.#isClosed)',
      },
      {
        file: 'build/lib/master/queries/services.js',
        find: 'if (signal.aborted)',
        replace: 'if (this.#isClosed)',
      },
    ],
    tests: ['unit/master/rehearsal.test.js'],
    says: /whoever has had a term does not/,
  },
  {
    name: 'what a rehearsal has made stays',
    kind: 'left behind',
    edits: [
      {
        file: 'build/lib/master/queries/catalog/rehearsal.js',
        find: 'await remove(root);',
        replace: '',
      },
    ],
    tests: ['unit/master/rehearsal.test.js'],
    says: /and then nothing is left/,
  },
  {
    name: 'what is left over is removed before the queries of earlier terms are known',
    kind: 'damage unseen',
    edits: [
      {
        file: 'build/lib/master/queries/term.js',
        find: 'void this.#records.inherit().then(() => {',
        replace: 'this.sweeper.start();\n        void this.#records.inherit().then(() => {',
      },
    ],
    tests: ['unit/master/queries-files.test.js'],
    says: /one of them may read it/,
  },
  {
    name: 'a term removes nothing in its first minute',
    kind: 'left behind',
    edits: [
      {
        file: 'build/lib/master/queries/files/sweeper.js',
        find: '#rounds === 0 ? FIRST_MS',
        replace: '#rounds < 0 ? FIRST_MS',
      },
    ],
    tests: ['unit/master/queries-files.test.js'],
    says: /500 paths are left/,
  },
  {
    name: 'schemas inside of lists are made for the first message that has such a list',
    kind: 'too slow',
    edits: [
      {
        file: 'build/lib/contract/prepare.js',
        find: 'schema instanceof z.ZodArray',
        replace: 'schema === z.ZodArray',
      },
    ],
    tests: ['unit/rpc/prepare.test.js'],
    says: /messages that come after it find their schemas ready/,
  },
  {
    name: 'a heap that was to be lean stays so for good',
    kind: 'too slow',
    edits: [
      {
        file: 'build/lib/master/lean-heap.js',
        find: 'lean ? LEAN_PERCENT : 0',
        replace: 'LEAN_PERCENT',
      },
    ],
    tests: ['unit/master/lean-heap.test.js'],
    says: /a lean heap keeps less garbage, until it may grow again/,
  },
  {
    name: 'a recursive WITH query is seen where it begins',
    kind: 'let in',
    edits: [
      {
        file: 'build/lib/worker/analyse.js',
        find: 'this.#later(left, scope);',
        replace: 'this.#later(left, seeing(scope, name));',
      },
    ],
    tests: ['unit/worker/inside.test.js'],
    says: /a name of a WITH query is a name of a file nowhere > /,
  },
  {
    name: 'letters are made small that are none to the engine',
    kind: 'let in',
    edits: [
      {
        file: 'build/lib/worker/analyse.js',
        find: 'name.replace(/[A-Z]/g, (letter) => letter.toLowerCase())',
        replace: 'name.toLowerCase()',
      },
    ],
    tests: ['unit/worker/inside.test.js'],
    says: /letters that only JavaScript knows two cases of > /,
  },
  {
    name: 'a WITH query may be called like a view of the engine',
    kind: 'let in',
    edits: [
      {
        file: 'build/lib/worker/analyse.js',
        find: 'if (!isOfTheEngine(name))',
        replace: 'if (true)',
      },
    ],
    tests: ['unit/worker/inside.test.js'],
    says: /nor one of the views of the engine > /,
  },
  {
    name: 'an engine opens whatever its user may open',
    kind: 'let in',
    edits: [
      {
        file: 'build/lib/worker/duckdb.js',
        find: "'SET enable_external_access = false',",
        replace: '',
      },
    ],
    tests: ['unit/worker/inside.test.js'],
    says: /the second wall stands without the first > /,
  },
  {
    name: 'an engine that is locked for other files is used again',
    kind: 'let in',
    edits: [
      {
        file: 'build/lib/worker/engine-host.js',
        find: 'one.key === key',
        replace: 'true',
      },
    ],
    tests: ['unit/worker/engines.test.js'],
    says: /an engine is used again for the same files, and for no others > /,
  },
  {
    name: 'an error tells where an engine spills',
    kind: 'let in',
    edits: [
      {
        file: 'build/lib/worker/duckdb.js',
        find: "error.message.replaceAll(this.#parts.secret, 'the spill directory')",
        replace: 'error.message',
      },
    ],
    tests: ['unit/worker/engines.test.js'],
    says: /no error tells where an engine spills > /,
  },
  {
    name: "an external table's directory is opened for its files",
    kind: 'let in',
    edits: [
      {
        file: 'build/lib/worker/reach.js',
        find: "table.kind !== 'managed' || paths.length",
        replace: 'paths.length',
      },
    ],
    tests: ['unit/worker/inside.test.js'],
    says: /of very many files the directory of their table stands for them > /,
  },
  {
    name: 'a directory is opened in which the cluster lies',
    kind: 'let in',
    edits: [
      {
        file: 'build/lib/worker/reach.js',
        find: '!roots.isOpen(directory)',
        replace: 'false',
      },
    ],
    tests: ['unit/worker/inside.test.js'],
    says: /of very many files the directory of their table stands for them > /,
  },
  {
    name: "an engine's process has no bound of memory",
    kind: 'hang',
    edits: [
      {
        file: 'build/lib/worker/engine-link.js',
        find: 'ulimit -d "$1"',
        replace: 'true "$1"',
      },
    ],
    tests: ['unit/worker/engine-process.test.js'],
    says: /it has a bound, gives way to others, and is the first that the kernel ends > /,
  },
  {
    name: "an engine's process outlives its worker",
    kind: 'hang',
    edits: [
      {
        file: 'build/lib/worker/engine-process.js',
        find: "process.on('disconnect', vanish)",
        replace: '',
      },
    ],
    tests: ['unit/worker/engine-process.test.js'],
    says: /engines end with their worker, whatever they do/,
  },
  {
    name: 'the calls of an engine that has died wait for ever',
    kind: 'hang',
    edits: [
      {
        file: 'build/lib/worker/engine-link.js',
        find: 'reject(gone)',
        replace: 'void reject',
      },
    ],
    tests: ['unit/worker/engine-process.test.js'],
    says: /an engine that dies of SIGKILL ends its own query/,
  },
  {
    name: 'a row of any length is made in one piece of the event loop',
    kind: 'hang',
    edits: [
      {
        file: 'build/lib/worker/duckdb-stream.js',
        find: 'if (!slices.isOver)',
        replace: 'if (true)',
      },
    ],
    tests: ['unit/worker/rows.test.js'],
    says: /a long list is told up to a bound, and in slices, so that it can be interrupted > /,
  },
  {
    name: 'a statement needs no privilege',
    kind: 'let in',
    edits: [
      {
        file: 'build/lib/master/queries/statements/needs.js',
        find: 'if (why !== null)',
        replace: 'if (false)',
      },
    ],
    tests: ['unit/master/privileges.test.js'],
    says: /who was granted nothing can do nothing, and learns of nothing > /,
  },
  {
    name: 'workers are given tables that their query may not read',
    kind: 'let in',
    edits: [
      {
        file: 'build/lib/master/queries/catalog/catalog-service.js',
        find: 'whys[at] === null ? resolved(state, one) : null',
        replace: 'resolved(state, one)',
      },
    ],
    tests: ['unit/master/privileges.test.js'],
    says: /what a query reads is asked for on behalf of its user > /,
  },
  {
    name: 'what was granted on a dropped table stays',
    kind: 'let in',
    edits: [
      {
        file: 'build/lib/catalog/apply.js',
        find: 'this.forgetGrants(table);',
        replace: '',
      },
    ],
    tests: ['unit/catalog/users.test.js'],
    says: /what is granted on a table or a database goes with it > /,
  },
  {
    name: 'a password is kept in the history of queries',
    kind: 'let in',
    edits: [
      {
        file: 'build/lib/master/queries/client-service.js',
        find: 'const sql = withoutPasswords(request.sql);',
        replace: 'const sql = request.sql;',
      },
    ],
    tests: ['unit/master/privileges.test.js'],
    says: /passwords become verifiers, and are kept nowhere > /,
  },
  {
    name: "links in a user's directory lead anywhere",
    kind: 'let in',
    edits: [
      {
        file: 'build/lib/worker/roots.js',
        find: 'confined === undefined ? roots',
        replace: 'true ? roots',
      },
    ],
    tests: ['unit/worker/confined.test.js'],
    says: /what he reads > a link to a file/,
  },
  {
    name: 'two owners share the place of an external table',
    kind: 'let in',
    edits: [
      {
        file: 'build/lib/master/queries/statements/ddl.js',
        find: "one.kind === 'external' && one.owner !== owner && overlap(path, one.location)",
        replace: 'false',
      },
    ],
    tests: ['unit/master/privileges.test.js'],
    says: /a path is a privilege, and two owners have no place in common > /,
  },
  {
    name: "a user is told of another one's query, and ends it",
    kind: 'let in',
    edits: [
      {
        file: 'build/lib/master/queries/client-service.js',
        find: 'if (query == null || mayTouch(principal, query.asUser))',
        replace: 'if (true)',
      },
    ],
    tests: ['unit/master/owners.test.js'],
    says: /another user neither sees nor ends it/,
  },
  {
    name: 'whoever knows its id is given a result',
    kind: 'let in',
    edits: [
      {
        file: 'build/lib/worker/result-service.js',
        find: 'caller === null || mayTouch(caller.principal, found?.task.asUser)',
        replace: 'true',
      },
    ],
    tests: ['unit/worker/result-service.test.js'],
    says: /an id is no key to a result/,
  },
  {
    name: 'who names the cluster and is shown its certificate counts as proven',
    kind: 'let in',
    edits: [
      {
        file: 'build/lib/serve/keyed-port.js',
        find: "if (!socket.getCipher().name.includes('PSK'))",
        replace: 'if (false)',
      },
    ],
    tests: ['unit/rpc/keyed-port.test.js'],
    says: /whoever names the cluster and is shown its certificate has proven nothing/,
  },
  {
    name: 'a token that has ended lets in',
    kind: 'let in',
    edits: [
      {
        file: 'build/lib/access/token.js',
        find: 'if (end <= nowMs)',
        replace: 'if (false)',
      },
    ],
    tests: ['unit/rpc/users.test.js'],
    says: /with passwords a token is asked for/,
  },
  {
    name: 'a token that somebody has changed lets in',
    kind: 'let in',
    edits: [
      {
        file: 'build/lib/access/seal.js',
        find: ' || !timingSafeEqual(shown, right)',
        replace: '',
      },
    ],
    tests: ['unit/access/token.test.js'],
    says: /whoever changes one has none|a token is known at every master of the cluster/,
  },
  {
    name: 'passwords may be guessed as fast as they can be sent',
    kind: 'let in',
    edits: [
      {
        file: 'build/lib/access/log-in.js',
        find: 'if (retryMs === 0)',
        replace: 'if (true)',
      },
    ],
    tests: ['unit/access/log-in.test.js'],
    says: /guesses slow down|guesses that begin at the same time/,
  },
  {
    name: 'the last message of a log-in is good twice',
    kind: 'let in',
    edits: [
      {
        file: 'build/lib/access/log-in.js',
        find: ' || this.#spent.has(sealed)',
        replace: '',
      },
    ],
    tests: ['unit/access/log-in.test.js'],
    says: /a last message is good once/,
  },
  {
    name: "a false server is told a user's statements",
    kind: 'let in',
    edits: [
      {
        file: 'build/lib/access/scram.js',
        find: 'expected !== null && same(Buffer.from(signed), Buffer.from(expected))',
        replace: 'true',
      },
    ],
    tests: ['unit/access/scram.test.js'],
    says: /a server that knows none/,
  },
  {
    name: "the info port tells a user everybody's queries",
    kind: 'let in',
    edits: [
      {
        file: 'build/lib/web/visitors.js',
        find: 'visitor === null || mayTouch(visitor.principal, asUser)',
        replace: 'true',
      },
    ],
    tests: ['unit/web/visitors.test.js'],
    says: /a user is told of his own queries/,
  },
  {
    name: "another cluster is shown an administrator's token",
    kind: 'let in',
    edits: [
      {
        file: 'build/lib/client/credentials.js',
        find: 'known.clusterId !== clusterId || known.authority === null)',
        replace: 'known.authority === null)',
      },
    ],
    tests: ['unit/client/credentials.test.js'],
    says: /another cluster is shown no token/,
  },
]

/** A fault that can't be put in: the table has to be brought in line with the code. */
export class Misfit extends Error {
  override readonly name = 'Misfit'
}

/** The broken text of each file. Throws Misfit when a text to replace is not there exactly once. */
export function broken(fault: Fault, home: string): Map<string, string> {
  const texts = new Map<string, string>()
  for (const { file, find, replace } of fault.edits) {
    const text = texts.get(file) ?? readFileSync(join(home, file), 'utf8')
    const parts = text.split(find)
    if (parts.length !== 2) {
      const times = parts.length - 1
      throw new Misfit(
        `the fault '${fault.name}' does not fit ${file} any more: ${JSON.stringify(find)} is there ${times} times, not once`,
      )
    }
    texts.set(file, parts.join(replace))
  }
  return texts
}
