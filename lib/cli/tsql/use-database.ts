import type { TajoClient } from '../../client/index.ts'

/** Goes to the database of that name as it is written, or else as SQL reads it. Rejects as TajoClient.use does. */
export async function useDatabase(client: TajoClient, wanted: string): Promise<void> {
  const exact = (await client.databases()).includes(wanted)
  await client.use(exact ? wanted : wanted.toLowerCase())
}
