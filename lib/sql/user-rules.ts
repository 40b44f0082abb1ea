/** It knows the statements about users and what they may do. A password never gets into an error (complaint.ts). */
import type { Privilege } from '../catalog/index.ts'
import { CommonRules } from './common-rules.ts'
import { faultOfName, nameOf } from './names.ts'
import type { Granted, Location, Named, Statement } from './statement.ts'
import * as T from './tokens.ts'

const LONGEST_PASSWORD = 1024

export class UserRules extends CommonRules {
  readonly createUser = this.RULE('createUser', (): Statement => {
    this.CONSUME(T.User)
    const ifNotExists = this.OPTION(() => this.SUBRULE(this.ifNotExists) ?? true) === true
    const named = this.SUBRULE(this.userName)
    return { is: 'create-user', ...named, ifNotExists, password: this.SUBRULE(this.password) }
  })

  readonly alterUser = this.RULE('alterUser', (): Statement => {
    this.CONSUME(T.User)
    const named = this.SUBRULE(this.userName)
    return { is: 'alter-user', ...named, password: this.SUBRULE(this.password) }
  })

  readonly dropUser = this.RULE('dropUser', (): Statement => {
    this.CONSUME(T.User)
    const ifExists = this.OPTION(() => this.SUBRULE(this.ifExists) ?? true) === true
    return { is: 'drop-user', ...this.SUBRULE(this.userName), ifExists }
  })

  readonly password = this.RULE('password', (): string => {
    this.CONSUME(T.Password)
    const at = this.LA(1).startOffset
    const password = this.SUBRULE(this.text)
    return this.ACTION(() => {
      if (password === '') this.fail('a password can not be empty', at)
      if (password.length > LONGEST_PASSWORD) {
        this.fail(`a password has at most ${LONGEST_PASSWORD} characters`, at)
      }
      return password
    })
  })

  readonly userName = this.RULE('userName', (): Named => {
    const token = this.CONSUME(T.Name)
    return this.ACTION(() => {
      const name = nameOf(token.image)
      const fault = faultOfName(name)
      if (fault !== null) this.fail(fault, token.startOffset)
      return { name, place: this.placeAt(token.startOffset) }
    })
  })

  readonly grantStatement = this.RULE('grantStatement', (): Statement => {
    this.CONSUME(T.Grant)
    const what = this.SUBRULE(this.granted)
    this.CONSUME(T.To)
    return { is: 'grant', what, user: this.SUBRULE(this.userName) }
  })

  readonly revokeStatement = this.RULE('revokeStatement', (): Statement => {
    this.CONSUME(T.Revoke)
    const what = this.SUBRULE(this.granted)
    this.CONSUME(T.From)
    return { is: 'revoke', what, user: this.SUBRULE(this.userName) }
  })

  readonly granted = this.RULE('granted', (): Granted => {
    return this.OR<Granted>([
      { ALT: () => ({ on: 'location', location: this.SUBRULE(this.location) }) },
      {
        ALT: () => {
          const at = this.LA(1).startOffset
          const privileges = this.SUBRULE(this.privileges)
          this.CONSUME(T.On)
          return this.SUBRULE(this.grantedOn, { ARGS: [privileges, at] })
        },
      },
    ])
  })

  readonly grantedOn = this.RULE(
    'grantedOn',
    (privileges: readonly Privilege[], at: number): Granted =>
      this.OR<Granted>([
        {
          ALT: () => {
            this.CONSUME(T.Database)
            return { on: 'database', database: this.SUBRULE(this.databaseName), privileges }
          },
        },
        {
          ALT: () => {
            this.CONSUME(T.Table)
            const table = this.SUBRULE(this.tableName)
            return this.ACTION((): Granted => {
              if (privileges.includes('CREATE')) {
                this.fail('CREATE is a privilege on a database: tables are made in it', at)
              }
              return { on: 'table', table, privileges }
            })
          },
        },
      ]),
  )

  readonly privileges = this.RULE('privileges', (): readonly Privilege[] => {
    const some = new Set<Privilege>()
    const take = (one: Privilege): void => {
      this.ACTION(() => some.add(one))
    }
    this.AT_LEAST_ONE_SEP({
      SEP: T.Comma,
      DEF: () => take(this.SUBRULE(this.privilege)),
    })
    return [...some]
  })

  readonly privilege = this.RULE(
    'privilege',
    (): Privilege =>
      this.OR<Privilege>([
        {
          ALT: () => {
            this.CONSUME(T.Select)
            return 'SELECT'
          },
        },
        {
          ALT: () => {
            this.CONSUME(T.Insert)
            return 'INSERT'
          },
        },
        {
          ALT: () => {
            this.CONSUME(T.Create)
            return 'CREATE'
          },
        },
        {
          ALT: () => {
            this.CONSUME(T.All)
            this.OPTION(() => this.CONSUME(T.Privileges))
            return 'ALL'
          },
        },
      ]),
  )

  readonly location = this.RULE('location', (): Location => {
    this.CONSUME(T.Location)
    this.OPTION(() => this.CONSUME(T.Equal))
    const at = this.LA(1).startOffset
    const path = this.SUBRULE(this.text)
    return this.ACTION(() => {
      if (path === '') this.fail('a location can not be empty', at)
      return { path, place: this.placeAt(at) }
    })
  })
}
