/**
 * Reads statements for all queries of a worker, in an engine that opens nothing and runs none of them: a statement is a
 * parameter there. An engine that has failed inside refuses every statement from then on, whoever sent the one that it
 * failed by; so it is replaced.
 */

/** What is used of an EngineConnection. */
interface Connection {
  readonly failed: boolean
  rows(sql: string, values: readonly string[]): Promise<unknown[][]>
  close(): Promise<void>
}

export interface ReadingEngine {
  connect(): Promise<Connection>
  close(): Promise<void>
}

export class StatementReader {
  readonly #make: () => Promise<ReadingEngine>
  #room: Promise<Room>

  /** `make` is called at once, and again for each engine that has failed. */
  constructor(make: () => Promise<ReadingEngine>) {
    this.#make = make
    this.#room = this.#open()
  }

  /** Rejects with EngineError. */
  async ready(): Promise<void> {
    await this.#room
  }

  /** Resolves to the engine's reading of it, as JSON. Rejects with EngineError. */
  async serialized(statement: string): Promise<string> {
    const { connection, leave } = await this.#enter()
    try {
      const [[answer] = []] = await connection.rows(SERIALIZE, [statement])
      return String(answer)
    } finally {
      await leave()
    }
  }

  /** One that can't be opened, or entered, is tried anew for the next statement. */
  async #enter(): Promise<Entered> {
    for (;;) {
      const opening = this.#room
      try {
        const entered = await (await opening).enter()
        if (entered !== null) return { ...entered, leave: () => this.#leave(opening, entered) }
      } catch (error) {
        this.#openAnew(opening)
        throw error
      }
      this.#openAnew(opening)
    }
  }

  async #leave(opening: Promise<Room>, { connection, leave }: Entered): Promise<void> {
    if (connection.failed) this.#openAnew(opening)
    await leave()
  }

  #openAnew(failed: Promise<Room>): void {
    if (this.#room === failed) this.#room = this.#open()
  }

  /** Nothing may be read any more. */
  async close(): Promise<void> {
    const room = await this.#room.catch(() => null)
    await room?.close()
  }

  #open(): Promise<Room> {
    const room = this.#make().then((engine) => new Room(engine))
    // Told to whoever asks for it.
    room.catch(() => undefined)
    return room
  }
}

const SERIALIZE = 'SELECT json_serialize_sql(?::VARCHAR)'

interface Entered {
  readonly connection: Connection
  readonly leave: () => Promise<void>
}

/** An engine, and its connections that nobody uses at the moment. */
class Room {
  readonly #engine: ReadingEngine
  readonly #free: Connection[] = []
  #inside = 0
  #failed = false

  constructor(engine: ReadingEngine) {
    this.#engine = engine
  }

  /** Null: it has failed, and another one takes its place. */
  async enter(): Promise<Entered | null> {
    if (this.#failed) return null
    this.#inside += 1
    try {
      const connection = this.#free.pop() ?? (await this.#engine.connect())
      return { connection, leave: () => this.#leave(connection) }
    } catch (error) {
      await this.#out(true)
      throw error
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#free.splice(0).map((one) => one.close()))
    await this.#engine.close()
  }

  async #leave(connection: Connection): Promise<void> {
    this.#free.push(connection)
    await this.#out(connection.failed)
  }

  async #out(failed: boolean): Promise<void> {
    this.#inside -= 1
    this.#failed ||= failed
    if (this.#failed && this.#inside === 0) await this.close()
  }
}
