#!/usr/bin/python3
"""Refuses an arrow between rooms that turns back, a private header of another room, and a third-party header
outside the shims. Reads the #include lines of every source file of the rooms; knows nothing of the compiler.

    arrows.py [ROOT]      check the tree, one line per breach, exit 1 when there is one
    arrows.py --self-test plant each kind of breach in a folder of its own and see it found
"""
import os
import re
import sys
import tempfile

# What each room may use besides itself: the arrows of the architecture page, written out.
LOWER = {
    "base": set(),
    "wire": {"base"},
    "audit": {"base", "wire"},
    "blocklist": {"base", "wire", "audit"},
    "cases": {"base", "wire", "audit", "blocklist"},
    "classifier": {"base", "wire"},
    "ingest": {"base", "wire"},
}
LEDGER = LOWER["cases"] | {"cases"}
LOWER["engine"] = LEDGER | {"classifier", "ingest"}
LOWER["api"] = set(LEDGER)
LOWER["keep"] = set(LEDGER)
LOWER["app"] = LOWER["engine"] | {"engine", "api", "keep"}

# The face a room shows to the others.
FACE = {room: {f"{room}/{room}.h"} for room in LOWER}
FACE["base"].add("base/bounds.h")

# The only files outside wire/ that may include a third-party header.
SHIMS = {
    "base/phone.cc",
    "base/yaml.c",
    "base/crypto.c",
    "base/sign.c",
    "base/password.c",
    "classifier/scan_hs.c",
    "classifier/re_pcre2.c",
    "classifier/unicode.c",
    "api/http_mhd.c",
    "api/http_request.c",
    "api/http_answer.c",
    "api/http_refusal.c",
    "api/scratch.c",  # zlib: a snapshot is compressed while it is written
}

SYSTEM = set("""
assert.h complex.h ctype.h errno.h fenv.h float.h inttypes.h iso646.h limits.h locale.h math.h setjmp.h signal.h
stdalign.h stdarg.h stdatomic.h stdbool.h stddef.h stdint.h stdio.h stdlib.h stdnoreturn.h string.h tgmath.h threads.h
time.h uchar.h wchar.h wctype.h
dirent.h dlfcn.h fcntl.h ftw.h getopt.h glob.h grp.h ifaddrs.h langinfo.h malloc.h netdb.h poll.h pthread.h pwd.h
regex.h sched.h semaphore.h spawn.h strings.h syslog.h termios.h unistd.h endian.h byteswap.h sysexits.h execinfo.h
""".split())
SYSTEM_FOLDERS = {"sys", "arpa", "netinet", "net", "linux", "asm", "sanitizer"}

INCLUDE = re.compile(r'^\s*#\s*include\s*(?:"([^"]+)"|<([^>]+)>)')


def is_system(name, path):
    if name in SYSTEM or name.split("/")[0] in SYSTEM_FOLDERS:
        return True
    # The C++ standard library has names without a dot.
    return path.endswith(".cc") and "." not in name and "/" not in name


def includes(root, path):
    """The quoted includes of a file; none when there is no such file."""
    try:
        with open(os.path.join(root, path), encoding="utf-8") as source:
            return [found[1] for found in map(INCLUDE.match, source) if found and found[1]]
    except FileNotFoundError:
        return []


def shown(root, room):
    """Every header of the room that others get to see: its face, and what that includes."""
    seen, todo = set(), sorted(FACE[room])
    while todo:
        path = todo.pop()
        if path not in seen and path.startswith(room + "/"):
            seen.add(path)
            todo += includes(root, path)
    return seen


def third_party(room, path, name, faces):
    if is_system(name, path):
        return None
    # A header private to wire/ is seen by nobody else and may speak the libraries' words.
    if path.endswith(".h") and (room != "wire" or path in faces):
        return f"third-party header <{name}> in a header"
    if room != "wire" and path not in SHIMS:
        return f"third-party header <{name}> outside wire/ and the named shims"
    return None


def ours(room, name):
    other = name.split("/")[0]
    if "/" not in name or other not in LOWER:
        return f'"{name}" is not written as ROOM/HEADER'
    if other == room:
        return None
    if other not in LOWER[room]:
        return f'"{name}": the arrow {room} -> {other} turns back'
    if name not in FACE[other]:
        return f'"{name}" is private to {other}; include {other}/{other}.h'
    return None


def breaches(root):
    """Yields (path, line, what) and counts the files read."""
    for room in sorted(LOWER):
        faces = shown(root, room)
        for folder, _, names in os.walk(os.path.join(root, room)):
            for name in sorted(names):
                if not name.endswith((".c", ".cc", ".h")):
                    continue
                path = os.path.relpath(os.path.join(folder, name), root)
                with open(os.path.join(root, path), encoding="utf-8") as source:
                    for number, line in enumerate(source, 1):
                        found = INCLUDE.match(line)
                        if not found:
                            continue
                        what = ours(room, found[1]) if found[1] else third_party(room, path, found[2], faces)
                        if what:
                            yield path, number, what


def check(root):
    found = list(breaches(root))
    for path, number, what in found:
        print(f"{path}:{number}: {what}")
    rooms = [room for room in LOWER if os.path.isdir(os.path.join(root, room))]
    if not rooms:
        print(f"arrows: no room below {root}")
        return 1
    return 1 if found else 0


SELF_TEST = [
    # file, line, what must be said ("" = nothing)
    ("base/a.c", '#include "base/sender.h"', ""),
    ("base/a.c", "#include <sys/stat.h>", ""),
    ("wire/a.c", '#include "base/bounds.h"', ""),
    ("wire/a.c", "#include <libpq-fe.h>", ""),
    ("base/phone.cc", "#include <phonenumbers/phonenumberutil.h>", ""),
    ("base/phone.cc", "#include <string>", ""),
    ("engine/a.c", '#include "classifier/classifier.h"', ""),
    ("app/a.c", '  #  include "api/api.h"', ""),
    ("base/a.c", '#include "wire/wire.h"', "turns back"),
    ("blocklist/a.c", '#include "cases/cases.h"', "turns back"),
    ("classifier/a.h", '#include "audit/audit.h"', "turns back"),
    ("api/a.c", '#include "engine/engine.h"', "turns back"),
    ("api/console/a.c", '#include "app/app.h"', "turns back"),
    ("cases/a.c", '#include "base/sender.h"', "private to base"),
    ("cases/a.c", '#include "wire/pg.h"', "private to wire"),
    ("cases/a.c", '#include "cases.h"', "not written as"),
    ("cases/a.c", '#include "../base/base.h"', "not written as"),
    ("cases/a.c", "#include <libpq-fe.h>", "outside wire/"),
    ("base/a.c", "#include <string>", "outside wire/"),
    ("wire/private.h", "#include <hiredis/hiredis.h>", ""),
    ("wire/wire.h", "#include <hiredis/hiredis.h>", "in a header"),
    ("wire/shown.h", "#include <hiredis/hiredis.h>", "in a header"),
    ("classifier/scan_hs.h", "#include <hs/hs.h>", "in a header"),
]


def self_test():
    failed = 0
    for path, line, want in SELF_TEST:
        with tempfile.TemporaryDirectory() as root:
            os.makedirs(os.path.dirname(os.path.join(root, path)))
            if path == "wire/shown.h":
                with open(os.path.join(root, "wire/wire.h"), "w", encoding="utf-8") as face:
                    face.write('#include "wire/shown.h"\n')
            with open(os.path.join(root, path), "w", encoding="utf-8") as out:
                out.write("/* a planted file */\n" + line + "\n")
            got = list(breaches(root))
        good = not got if not want else len(got) == 1 and got[0][:2] == (path, 2) and want in got[0][2]
        if not good:
            failed += 1
            print(f"{path}: {line}: got {got}, want {want or 'nothing'}")
    print(f"arrows: {len(SELF_TEST) - failed} of {len(SELF_TEST)} planted files judged right")
    return 1 if failed else 0


def main():
    if sys.argv[1:] == ["--self-test"]:
        return self_test()
    here = os.path.dirname(os.path.abspath(__file__))
    return check(sys.argv[1] if len(sys.argv) > 1 else os.path.join(here, "..", ".."))


if __name__ == "__main__":
    sys.exit(main())
