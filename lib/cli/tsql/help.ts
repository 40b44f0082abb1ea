/** This is what `tsql --help` and `\?` print. */

export const USAGE = `Usage: tsql [options] [DATABASE]

  -c SQL              run these statements and end
  -f, --file FILE     run the statements of a file and end; - is the standard input
  -h, --host HOST     a master; else those of conf/masters. Whichever is active is found from there
  -p, --port PORT     its client port (default 26002)
  -U, --user USER     log in as this user of the cluster: the password comes from TAJO_PASSWORD, ~/.tajopass or the terminal.
                      Without it whoever can read the cluster's secret is its administrator, others log in by their OS name
  -B, --background    never touch the terminal: no prompt, no progress bar
  -param NAME=VALUE   what \${NAME} stands for in -c and -f; may be repeated
  --format FORMAT     table (default), csv or json: one document for each statement (jq -s makes a list of them)
  --json              the same as --format json
  --config DIR        the configuration directory (else TAJO_CONF_DIR, else conf/ of this install)

Without -c and -f statements are read from the terminal, or from a pipe. A script stops at the first statement that
fails, unless it says \\set ON_ERROR_STOP off. Ctrl-C ends the running query; \\? lists the commands of the shell.
Exit codes: 0 all done, 1 a statement failed, 2 wrong usage, 3 no active master was found, 130 cancelled.`

export const META_HELP = `General
  \\version            show the version
  \\?, \\help           show this help
  \\q                  quit

Informational
  \\l                  list databases
  \\c [DATABASE]       show or change the current database
  \\d [[DATABASE.]TABLE]
                      list tables, or describe one
  \\df [NAME]          list functions

Tools
  \\! [COMMAND]        run a command of the operating system, or its shell
  \\dfs -ls|-du|-cat|-mkdir|-rm [-r] [PATH ...]
                      look at and change files; paths are below the warehouse directory unless absolute
  \\admin -list|-desc ID|-kill ID|-cluster|-showmasters
                      queries and masters
  \\haadmin VERB ...   as 'tajo haadmin'

Variables
  \\set [NAME [VALUE]] list all, or set one of the session, or of the shell: CLI_FORMAT (table, csv, json),
                      CLI_NULL_CHAR (what stands for NULL), ON_ERROR_STOP (on, off; for scripts)
  \\unset NAME         back to the default`
