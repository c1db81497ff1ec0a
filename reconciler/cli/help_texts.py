"""What `--help` says beyond a line: the longer texts of the command line."""

from __future__ import annotations

# In these texts \b keeps the line breaks of the paragraph that follows.
ABOUT = """\
Keep every Bitrix24 contact with the owner of its company.

Without a command this is the service: it looks at the portal now, then every ten minutes, and corrects each contact
whose owner is not its company's.

\b
Try it, no account needed:
  reconciler demo

\b
On your portal, with the address of an inbound webhook:
  export RECONCILER_PORTAL__WEBHOOK_URL=https://<portal>/rest/<user>/<code>/
  reconciler check      is everything right?
  reconciler plan       what would change, and why?
  reconciler --once     change it, after a question
  reconciler            and keep it so

\b
Exit codes:
  0  done, or in sync
  1  failed, or incomplete and nothing written; or the answer could not be written whole
  2  wrong usage or settings
  3  held back by the guard, or refused by you when asked; or the portal is at another address
     now, is another one, or has a new name (--accept-portal); nothing of that is written
  4  finished, but some changes were denied or failed, or their result is unknown
  5  another run is at work on the same journal
"""
PLAN_EXAMPLES = """\
\b
Examples:
  reconciler plan --company 42             one company
  reconciler plan --owner 5 --owner 7      the companies of two people
  reconciler plan --output plan.html       for somebody else to read
  reconciler plan --json | jq .drift       for a script
  reconciler plan --standing --output work.csv
                                           whose companies need another owner first
"""
SHOW_EXAMPLES = """\
\b
Examples:
  reconciler show latest
  reconciler show 17 --output run-17.csv
"""
APPROVE_EXAMPLES = """\
On a terminal the changes are shown, and you are asked; elsewhere add --yes. To look only: `reconciler show RUN`.
An approval is of changes, not of a plan: what you were shown goes through with the next run, whatever else has come
up; the rest is guarded as usual. It lasts until it is used up, or for guard.approval_days.

\b
Examples:
  reconciler approve                       what waits
  reconciler approve 1f9d3a7c20b4
  reconciler approve 1f9d3a7c20b4 --withdraw
"""
UNDO_EXAMPLES = """\
What somebody changed since is left as it is, and listed. What was put back is left alone from then on
(`reconciler exceptions`).

\b
Examples:
  reconciler undo 17
  reconciler undo latest
  reconciler undo --company 42
"""
EXCEPTIONS_NOTES = """\
\b
Kinds, and what ends them besides a release:
  undone       our change was taken back: another owner of the company
  respected    a person chose this owner: another owner of the company
  quarantined  somebody keeps changing it back: time, or another owner of the company
  kept         a person added it (`exceptions add`): nothing else

\b
Examples:
  reconciler exceptions --kind undone --company 42
  reconciler exceptions --run latest --json
"""
RELEASE_EXAMPLES = """\
On a terminal the exceptions are shown, and you are asked; elsewhere add --yes. What is given is taken together:
`--kind undone --company 42` is what was taken back at company 42. From the next sweep on the settings alone decide
about these contacts, so what an undo took back may be written again.

\b
Examples:
  reconciler exceptions release 15 16
  reconciler exceptions release --run 17   what run 17, or its undo, left alone
  reconciler exceptions release --kind respected
  reconciler exceptions release --all --yes
"""
ADD_EXAMPLES = """\
Nothing is written to the portal. No sweep and no undo writes these contacts then, also when their company gets another
owner, until `reconciler exceptions release` is given. Where the portal can be asked, a number that is no contact there
is refused.

\b
Example:
  reconciler exceptions add 15 16 --reason "key accounts, stay with Ada"
"""
HEALTH_NOTES = """\
The service is alive when its heartbeat file beside the journal is fresh, its runs begin on time and the current run
makes progress. Whether it is ready is another question: see /readyz. Exit code 0: alive, 1: not alive.

\b
In a Dockerfile:
  HEALTHCHECK --interval=20s --timeout=10s --retries=3 CMD ["reconciler", "health"]
"""
DEMO_EXAMPLES = """\
\b
Examples:
  reconciler demo --companies 200 --contacts 1000 --drift 0.2
  reconciler demo --profile cloud          as slow as a real portal
"""
SIMULATE_EXAMPLES = """\
With --json the first line says where it is: webhook_url, stats_url, host, port, tls_certificate.

\b
Example, in two terminals:
  reconciler simulate
  RECONCILER_PORTAL__WEBHOOK_URL=http://127.0.0.1:8024/rest/1/simulatedtoken0/ reconciler plan
"""
