"""Write docs/facts.md, the table fact → test: `python -m dev.fact_table`.

The facts are numbered; a test that attacks one carries `@pytest.mark.fact(n)`. A test of the
project keeps the page current, and every fact attacked.
"""

from __future__ import annotations

import ast
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

PAGE = ROOT / "docs" / "facts.md"

HEAD = """\
# Facts and tests

What Likeness promises, one fact at a time, and the tests that attack it: the long form of
[SECURITY.md](../SECURITY.md). A test carries its fact as a marker, `@pytest.mark.fact(7)`.

Made by `python -m dev.fact_table`; a test keeps this page current.

"""

FACTS = {
    1: "any flipped byte of a stored file is found",
    2: "a cut file is found, at segment borders too",
    3: "segments swapped, doubled, dropped or appended are found",
    4: "a file renamed or moved to another session does not open",
    5: "Tink reads our files, we read Tink's",
    6: "10,000 writes, no salt and nonce prefix twice",
    7: "no canary of photo, adapter or portrait in volume, database, temp or log",
    8: "volume and M without S open nothing but what waits to be handed in",
    9: "volume and S without M open nothing",
    10: "a badly kept key file stops the start",
    11: "killed at any step of a write: the old file or the new one, never half",
    12: "killed at any step of an erasure: the next start finishes it",
    13: "after days of standstill, overdue sessions are gone before the port opens",
    14: "a clock set back does not lengthen a life",
    15: "a clock set forward erases early, without a crash",
    16: "overdue but not yet swept: 404",
    17: "an undelivered session dies at its maximum age",
    18: "delete during training stops it within 5 s and nothing is written after",
    19: "delete twice, or during a download: the same result",
    20: "files without rows and rows without files are reconciled",
    21: "another's ids answer like ids that never existed, on every route",
    22: "Gradio's file route serves no other session's image and no path of the machine",
    23: "no name leads out of a session's folder",
    24: "pixel bombs, many frames, giant chunks: refused in bounded memory and time",
    25: "EPS, TIFF, SVG renamed to .jpg are refused",
    26: "GPS, XMP, ICC, comments, extra frames, appended bytes are in nothing stored or delivered; "
    "a download carries the mark that says how it was made, and nothing else",
    27: "5,000 mutated images: only refusals, and the server lives",
    28: "disk full during an upload: a sentence, no plaintext, nothing lost",
    29: "rate and size limits hold",
    30: "the whole job runs with outgoing sockets forbidden",
    31: "no pixel of the room behind a person is kept: only their own colours and alpha",
    32: "a decoder that a photo took over opens no file, starts and signals no process, reaches no "
    "network, gets no other photo and ends with the server, as root neither",
    33: "what takes long to open costs nobody else: scans are counted before, processor time is "
    "bounded per photo and per session and hour, and sessions take turns",
    34: "bodies are bounded before any session: 16 KB and ten seconds, uploads by a common budget",
    35: "silent connections stop neither the erasure nor the next visitor",
    36: "on plain HTTP the server answers to addresses, to names that nobody can buy and to those "
    "it was given: a page that rebinds its own name drives nothing",
    37: "the shipped proxy serves beside thousands of silent connections, and passes on nothing "
    "that a client says of its address",
    38: "sample photos asked for many times at once come once, in the same turns as uploads",
    39: "where a visitor is, is said by a declared proxy alone; a forged header changes nothing",
    40: "the queue cannot be filled by one address or with samples: addresses take turns, samples "
    "are small and last, and no order is overtaken more than ten times",
    41: "only names that the server signed vote, one for each opened link and browser, and an "
    "address gets few new ones",
    42: "an order that a kill cut off goes on with its visitor, and what nobody asked for is gone "
    "at the next start",
    43: "a damaged database stops the start or is said aloud, one command erases everything, and "
    "while erasure is late nobody new is let in",
    46: "a limit stops guessing and floods, not whoever comes back; a person reads a page that "
    "says so, with Retry-After",
    47: "downloads, previews, samples, goodbyes and stops in masses leave threads for others",
    48: "an answer that nobody reads is dropped after half a minute, and what it held is free",
    49: "one session holds at most a quarter of the memory for uploads, and its waiting photos "
    "keep nobody else from a first verdict",
    50: "a signed download says how it was made, and a reader that others wrote tells a changed "
    "pixel, a changed statement and a foreign signature",
    51: "a signing key that is badly kept, foreign or expired stops the start; one that expires "
    "later stops no download",
    52: "`/check` tells own downloads from changed, foreign and unmarked ones; a hostile file is "
    "one sentence, in bounded memory and time, and nothing of a file is kept or logged",
    53: "what was agreed to is told to its person alone, is ciphertext on the disk, and is erased "
    "with everything else",
    54: "a signing key may stay in an HSM, and a program sign by it: one that fails is a sentence, "
    "never a download without its signature",
    60: "what a brand kit says is shown as text; its logo is served as pixels made anew, and its "
    "link leads to https: or mailto: alone",
    61: "a brand kit with a mistake stops the start, in one sentence that names file and key",
    55: "where invitations are asked for, one starts as many sessions as it says: none when it is "
    "forged, foreign, expired, revoked or used up, and a failed start costs none",
    56: "of an invitation only a keyed hash and a count are kept, until it expires; its secret "
    "stands in no address that a server sees, no log and on no disk",
    57: "where a portal says who comes, only a trusted proxy is believed, and nobody starts more "
    "sessions a day than one person may",
    58: "who a portal says comes is on no disk, in no log and beside no session; the hash that "
    "counts their starts dies with the day",
    59: "where people sign in, a sign-in that is forged, replayed, another browser's, expired, for "
    "another server or signed by an unknown key starts nothing, and no token is kept",
    62: "whom the operator names gets exactly what was shown, of one's own portraits, at most "
    "three, and only by their own person's word",
    63: "what was taken back does not go, and what may have arrived is never told as taken back",
    64: "what waits to be handed in goes in time or is erased with its session; a receiver that "
    "fails, hangs, redirects or floods costs nothing but another try, and its visitor is told",
    65: "no picture and no name that is handed in lies readable on the disk or in a log; packed "
    "for a public key, nobody here opens it",
    66: "the way back to a portal is signed, carries no picture, name or session, leads where the "
    "operator's file says and nowhere else, and cannot be forged in a browser",
    67: "without `LIKENESS_ADMIN` and groups of admins `/admin` and `/metrics` are not there; with "
    "them only the token or a member of the group comes in, and guessing reaches a limit",
    68: "an admin's pass is good on `/admin` alone and for half an hour, a visitor's cookie opens "
    "nothing there, and no foreign page makes or revokes invitations",
    69: "`/admin`, `/metrics` and the counts on the disk hold no picture, name, look, session id "
    "or address: numbers by day, for 30 days",
    70: "what `/admin` and `/metrics` count is right, under 200 pages at once too, and what is "
    "counted by day survives a restart",
    71: "a moving portrait is encrypted and erased as a portrait is",
    72: "what travels to a worker of a cluster and back is ciphertext to whoever carries it, and "
    "nothing else of a job lies on a worker's disk, in Ray's object store or in its logs",
    73: "a worker gets a session's key only if a machine of the cluster signed for it now; the "
    "envelope opens there, once, within a minute, for that job",
    74: "a worker that was taken over reaches no session but the one whose job it has, and can "
    "keep or delete nothing there but what a job makes",
    75: "Delete everything ends the worker that has a part of the session; after a job nothing of "
    "it is in a worker's memory",
    76: "Ray runs in processes of its own that have no key; without `LIKENESS_CLUSTER` nothing of "
    "a cluster is imported",
    77: "a film that is made takes no priority over the rest of the machine, also where the server "
    "runs as root",
}


def attacks(folder: Path) -> dict[int, list[str]]:
    """Fact number -> tests that carry it, as `file::name`, in the order of the files."""
    found: dict[int, list[str]] = defaultdict(list)
    for file in sorted(folder.rglob("test_*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_"):
                for number in _facts(node):
                    found[number].append(f"{file.relative_to(folder.parent)}::{node.name}")
    return dict(found)


def _facts(test: ast.FunctionDef) -> list[int]:
    return [
        argument.value
        for decorator in test.decorator_list
        if isinstance(decorator, ast.Call)
        and isinstance(decorator.func, ast.Attribute)
        and decorator.func.attr == "fact"
        for argument in decorator.args
        if isinstance(argument, ast.Constant) and isinstance(argument.value, int)
    ]


def page() -> str:
    """The whole of docs/facts.md."""
    return f"{HEAD}{table()}\n"


def table() -> str:
    """A row for each fact; one that nothing attacks says so."""
    found = attacks(ROOT / "tests")
    lines = ["| fact | what holds | attacked by |", "|---|---|---|"]
    for number, words in FACTS.items():
        tests = "<br>".join(f"`{name}`" for name in sorted(set(found.get(number, []))))
        lines.append(f"| {number} | {words} | {tests or '**no test yet**'} |")
    return "\n".join(lines)


if __name__ == "__main__":
    PAGE.write_text(page())
