/**
 * Who somebody is to the cluster: the administrator, who may do everything, or a user by name, who may do what was
 * granted to him. Log-in finds out which one a session has, and everything that asks whether something is allowed takes
 * the answer from here, so that no part of the product invents a second notion of "who".
 */

export const administrator = (name: string): Principal => ({ kind: 'administrator', name })

export type Principal =
  | { readonly kind: 'administrator'; readonly name: string }
  | { readonly kind: 'user'; readonly name: string }

/** Whether this one may see a query of that user's, end it and read its result; undefined: it is the administrator's. */
export const mayTouch = (who: Principal, asUser: string | undefined): boolean =>
  who.kind === 'administrator' || who.name === asUser
