/** The page that somebody wanted before they were asked to log in. It survives a reload, and not the tab. */

/** `key` is the application's own: what was wanted of one leads nowhere in another. */
export function wantedPage(key: string) {
  return {
    /** Remembers a page for after the login. */
    remember(path: string) {
      try {
        sessionStorage.setItem(key, path)
      } catch {
        // Then the login leads to the first page.
      }
    },

    /** Where the login leads. */
    wanted(): string {
      try {
        const path = sessionStorage.getItem(key)
        return path?.startsWith('/') ? path : '/'
      } catch {
        return '/'
      }
    },

    forgetWanted() {
      try {
        sessionStorage.removeItem(key)
      } catch {
        // Nothing was remembered.
      }
    },
  }
}
