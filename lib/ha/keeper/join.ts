/** This is the keeper's way into the directory: made or joined, understood, and with no other master under its address. */
import type { Looker } from '../directory/look.ts'
import { refuseSameAddress } from '../directory/namesakes.ts'
import { leaveRefusal } from '../directory/refusals.ts'
import { joinDirectory, type Membership } from '../directory/setup.ts'
import { HaError, messageOf } from '../words/errors.ts'
import type { Start } from '../words/messages.ts'
import type { BackupOptions } from './backup.ts'

interface JoinOptions extends Pick<BackupOptions, 'clock' | 'disk' | 'processes' | 'log' | 'self'> {
  readonly start: Start
  readonly looker: Looker
}

/** Rejects BAD_DIRECTORY, BAD_STORAGE, CATALOG_DIFFERS or ADDRESS_IN_USE. */
export async function joinAs(options: JoinOptions): Promise<Membership> {
  const { clock, self, start } = options
  const createdAt = new Date(clock.wallMs()).toISOString()
  try {
    const joined = await joinDirectory(options, { ...start, createdAt })
    await refuseStrange(options)
    await refuseSameAddress(options, self, start.timing)
    return joined
  } catch (error) {
    if (error instanceof HaError && error.code === 'CATALOG_DIFFERS') {
      await leaveWord(options, createdAt)
    }
    throw error
  }
}

/** What no look can understand is told at the start, when somebody is there to mend it. */
async function refuseStrange({ looker, start }: JoinOptions): Promise<void> {
  try {
    await looker.look()
  } catch (error) {
    const why = `the HA directory ${start.directory} can't be used: ${messageOf(error)}`
    throw new HaError('BAD_DIRECTORY', why, { cause: error })
  }
}

/** It is for the page of the active master. The refusal itself is what counts, and is told in any case. */
async function leaveWord({ disk, log, self, start }: JoinOptions, at: string): Promise<void> {
  const { address, hostname } = self
  try {
    await leaveRefusal(disk, { address, hostname, at, catalog: start.catalog })
  } catch (error) {
    log('warn', `no word of it could be left for the other masters: ${messageOf(error)}`, {
      event: 'refusal-unrecorded',
    })
  }
}
