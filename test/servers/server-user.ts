/**
 * The user that servers run as: `nobody` when this process is root (Postgres refuses root, and no test server needs
 * it), else absent, which means this process' own user.
 */
export function serverUser(): { uid: number; gid: number } | undefined {
  return process.getuid?.() === 0 ? { uid: NOBODY, gid: NOBODY } : undefined;
}

/** `nobody` and `nogroup` on Debian. The number has to be in the password file: Postgres looks it up. */
const NOBODY = 65534;
