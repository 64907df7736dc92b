#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""Do --help, man pages, completion, headers and Documentation/ say the same as the code?

The help text is the reference for commands and options; the code is it for names,
defaults and limits.  Arguments: the top of the sources, the command.  Speaks TAP.
"""
import glob
import os
import re
import subprocess
import sys

TOP, CHARIOT = sys.argv[1:3]
MAN = "tools/man/"
nr = failed = 0


def ok(good, what, why=""):
    global nr, failed
    nr += 1
    failed += not good
    print("ok" if good else "not ok", nr, "-", what)
    if not good and why:
        print("#   " + why)


def same(text, code, what):
    """Are these two sets of names equal?"""
    text, code = set(text), set(code)
    ok(text == code, what, "only in the text: %s; missing in it: %s" %
       (sorted(text - code), sorted(code - text)))


def read(path):
    """A file, or what a command says: "help OBJECT"."""
    if path.startswith("help"):
        return help_of(*path.split()[1:])
    with open(os.path.join(TOP, path), encoding="utf-8") as f:
        return f.read()


def joined(text):
    """On one line, and without the marks of C strings and roff."""
    text = re.sub(r'"\s*\n\s*"|\\n"?\s*\\?\n?\s*"?', " ", text)
    text = re.sub(r"\\f[A-Z]|^\.[BIRTP]{1,2}\b ?|``|^ \* ?", "", text, flags=re.M)
    return re.sub(r"\s+", " ", text.replace(r"\-", "-")).replace(" ,", ",")


# ---- commands and options: help, man pages ---------------------------------------

def help_of(*objects):
    return subprocess.run([CHARIOT, *objects, "help"], check=True, text=True,
                          capture_output=True).stdout


def plain(line):
    """A line of roff as it reads."""
    line = re.sub(r"\\f[A-Z]|\\&", "", line).replace(r"\-", "-")
    m = re.match(r"\.([A-Z]+)\b ?(.*)", line)
    if not m:
        return line
    if m[1] in ("B", "I"):
        return m[2].replace('"', "")
    return "".join(a or b for a, b in re.findall(r'"([^"]*)"|(\S+)', m[2]))


def section(page, name):
    m = re.search(r"^\.SH %s\n(.*?)(?=^\.SH |\Z)" % name, page, re.M | re.S)
    return m[1] if m else ""


def page_of(obj):
    page = read(MAN + "chariot-%s.8" % obj)
    m = re.match(r"\.so man8/(\S+)", page)
    return read(MAN + m[1]) if m else page


def synopsis(page, obj):
    """Its commands without any space: how they are wrapped does not matter."""
    commands = section(page, "SYNOPSIS").split(".br\n")
    commands = (" ".join(map(plain, c.splitlines())) for c in commands)
    return [re.sub(r"\s", "", c) for c in commands
            if re.match(r"chariot %s\b" % obj, c)]


def usage(text):
    """The same of a help text."""
    lines = re.split(r"\n? {7}(?=chariot )", text.split("\n\n")[0]
                     .replace("Usage:", "      "))
    return [re.sub(r"\s", "", l) for l in lines if l and not l.endswith(" help")]


def options(text):
    return re.findall(r"--[a-z-]*[a-z]", text)


def explained(page, obj):
    """The options that a page explains, of those of @obj if it is of others as well."""
    heads = re.findall(r"^\.TP\n(.*)", section(page, "OPTIONS"), re.M)
    found = [o for h in heads for o in options(plain(h))]
    if not page.startswith(".so") and "-%s " % obj in section(page, "NAME").split(",")[0]:
        return found
    return set(found) & set(options(" ".join(synopsis(page, obj))))


def test_objects(objects):
    pages = [re.sub(r".*/chariot-(.*)\.8", r"\1", p)
             for p in glob.glob(os.path.join(TOP, MAN, "chariot-*.8"))]
    same(pages, objects + ["load", "exporter"], "each object has a man page, and the reverse")
    m = re.search(r":= \{(.*?)\}", " ".join(
        map(plain, section(read(MAN + "chariot.8"), "SYNOPSIS").splitlines())))
    same(m[1].replace("|", " ").split(), objects + ["version"],
         "chariot(8) names the objects")
    for o in objects:
        text, page = help_of(o), page_of(o)
        same(synopsis(page, o), usage(text), "chariot-%s(8): commands of the help" % o)
        heads = re.findall(r"^  (--[a-z-]+)", text, re.M)
        same(explained(page, o), heads, "chariot-%s(8): options of the help" % o)
        same(heads, options(text.split("\n\n")[0]), "%s help: explains its options" % o)


# ---- the completion ---------------------------------------------------------------

def complete(last, *words):
    """What bash offers for @last behind @words.  There is no command chariot to ask."""
    script = '. "$1"; shift; COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)); _chariot; ' \
             'echo "${COMPREPLY[@]}"'
    return subprocess.run(
        ["/bin/bash", "-c", script, "-", TOP + "/tools/chariot.bash-completion",
         "chariot", *words, last], check=True, text=True, capture_output=True,
        env={"PATH": "/nonexistent"}).stdout.split()


def test_completion(objects, names):
    same(complete(""), objects + ["version", "help"], "completion: objects")
    same(complete("", "help"), objects, "completion: help OBJECT")
    everywhere = options(help_of())
    for o in objects:
        text = help_of(o)
        same(complete("--", o), everywhere + re.findall(r"^  (--[a-z-]+)", text, re.M),
             "completion: options of %s" % o)
        if complete("", o):
            same(complete("", o), re.findall(r"chariot %s ([a-z]+)" % o,
                                             text.split("\n\n")[0]),
                 "completion: commands of %s" % o)
    for kind, words in (("guard-verdict", "guard a b --verdict"), ("verdict", "verdict set a b"),
                        ("source", "act show a b --source"),
                        ("event", "event watch --type"), ("fault", "inject a b --type")):
        same(complete("", *words.split()), names[kind], "completion: %s" % words)


# ---- names, defaults and limits: the code -------------------------------------------

def names_in(path, array):
    m = re.search(r"\*const %s\[.*?\] = \{(.*?)\};" % array, read(path), re.S)
    return re.findall(r'= "([a-z-]+)"', m[1])


def all_names():
    event_c = "libchariot/event.c"
    m = re.search(r"--type TYPE +a fault of that type: (.*?)\n  --", help_of("inject"), re.S)
    return {
        "verdict": names_in(event_c, "verdicts"),
        "guard-verdict": names_in(event_c, "verdicts") + ["auto"],
        # These two have no rows in an ACT.
        "source": set(names_in(event_c, "sources")) - {"none", "stack"},
        "event": names_in(event_c, "events"),
        "fault": re.sub(r"\bor\b|,", " ", m[1]).split(),
    }


# Which text lists all names of a kind, and between which words?
LISTS = (
    ("guard-verdict", "help guard", r"--verdict VERDICT +(.*?) --"),
    ("guard-verdict", "help attach", r"--verdict VERDICT +(.*?) --"),
    ("verdict", "help verdict", r"set VM DRIVER \{ (.*?) \}"),
    ("verdict", "tools/cli.h", r'VERDICTS "(.*?)"'),
    ("guard-verdict", "tools/libvirt/hook.c", r'verdict=\\"%s\\" is none of (.*?)"'),
    ("guard-verdict", "qemu-plugin/device.c", r'VERDICTS "(.*?)"'),
    ("guard-verdict", "Documentation/qemu.rst", r"verdict=(\w+\|\S*)"),
    ("guard-verdict", MAN + "chariot-guard.8", r'--verdict " VERDICT" (.*?), see'),
    ("guard-verdict", MAN + "chariot-attach.8", r'--verdict " VERDICT" (.*?), see'),
    ("guard-verdict", MAN + "chariot-libvirt.7", r"verdict= is (.*?)\. on-restore="),
    ("source", "help act", r"--source SOURCE +only (.*?) OPTIONS"),
    ("source", "tools/act.c", r'--source: .*? is none of (.*?)"'),
    ("event", "help event", r"--type TYPE,\.\.\. +only (.*?) --journal"),
)

# What text says of a default, and what the code says.
DEFAULTS = (
    ("help guard", r"\b(\w+) \(default\)", "libchariot:CHARIOT_VERDICT_DEFAULT"),
    ("help attach", r"\b(\w+) \(default\)", "libchariot:CHARIOT_VERDICT_DEFAULT"),
    (MAN + "chariot-guard.8", r"\b(\w+) \(default\), see", "libchariot:CHARIOT_VERDICT_DEFAULT"),
    (MAN + "chariot-attach.8", r"\b(\w+) \(default\), see", "libchariot:CHARIOT_VERDICT_DEFAULT"),
    (MAN + "chariot-libvirt.7", r"\b(\w+) \(default\)\. on-", "libchariot:CHARIOT_VERDICT_DEFAULT"),
    ("qemu-plugin/device.c", r"\(default: (\w+); can be changed",
     "libchariot:CHARIOT_VERDICT_DEFAULT"),
    ("Documentation/qemu.rst", r"about a violation; default (\w+)",
     "libchariot:CHARIOT_VERDICT_DEFAULT"),
    (MAN + "chariot-vm.8", r"the guard has set \((\d+) s\)", "libchariot:DEFAULT_TIMEOUT/1000"),
    ("libchariot/include/chariot.h", r"vCPU waits at most; 0: (\d+)", "libchariot:DEFAULT_TIMEOUT"),
    (MAN + "chariot-isolate.8", r"for at most S seconds \((\d+)\)", "tools:RELEASE_MS/1000"),
    ("help release", r"wait for the end for at most S seconds \((\d+)\)",
     "tools:RELEASE_MS/1000"),
    (MAN + "chariot-inject.8", r"low bytes of N \((\w+):", "tools:DEFAULT_VALUE"),
    ("help inject", r"what is stored \((\w+)\)", "tools:DEFAULT_VALUE"),
    ("Documentation/api.rst", r"queue of (\d+) \(CHARIOT_EVENT_DEPTH", "kmod:CHARIOT_EVENT_DEPTH"),
    ("Documentation/policy.rst", r"or (\d+) other objects were handed over", "kmod:MAX_HANDED"),
    ("Documentation/design.rst", r"The last (\d+) are kept", "kmod:MAX_HANDED"),
    ("Documentation/limits.rst", r"objects handed by arguments (\d+) of", "kmod:MAX_HANDED"),
    ("Documentation/limits.rst", r"events of a handle (\d+)", "kmod:CHARIOT_EVENT_DEPTH"),
    ("Documentation/limits.rst", r"at most the oldest goes (\d+)", "kmod:CHARIOT_MAX_DEFER"),
    ("Documentation/limits.rst", r"words of stack searched (\d+)", "kmod:MAX_WORDS"),
    ("Documentation/limits.rst", r"emulated ahead (\d+)", "kmod:MAX_AHEAD"),
    ("Documentation/design.rst", r"interrupted the driver (\d+) times", "kmod:MAX_TICKS"),
    ("Documentation/design.rst", r"or (\d+) times since it was called", "kmod:MAX_ATOMIC"),
    ("Documentation/design.rst", r"(\d+) times the same place", "kmod:MAX_CALLS"),
    ("Documentation/policy.rst", r"counts \(probation (\d+) \d+:", "libchariot:DEFAULT_ENTRIES"),
    ("Documentation/policy.rst", r"counts \(probation \d+ (\d+):", "libchariot:DEFAULT_PROBATION"),
    ("Documentation/limits.rst", r"builds of drivers that a (\d+)", "libchariot:MAX_BUILDS"),
    ("Documentation/limits.rst", r"files of builds in a (\d+)", "libchariot:FILES_MAX"),
    ("README", r"After a day and ([\d,]+) calls", "libchariot:DEFAULT_ENTRIES"),
    ("Documentation/policy.rst", r"has failed N times \(0 to (\d+)\)", "libchariot:POLICY_MAX_RESTARTS"),
)


def constant(where):
    """The value of DIRECTORY:MACRO[/DIVISOR], in whichever file there it stands."""
    folder, name, by = re.match(r"(\w+):(\w+)/?(\d*)", where).groups()
    found = set()
    for path in glob.glob("%s/%s/**/*.[ch]" % (TOP, folder), recursive=True):
        found |= set(re.findall(r"^#define\s+%s\s+(\w+)" % name, read(path), re.M))
    if len(found) != 1:
        return "has %d values of %s in %s/" % (len(found), name, folder)
    value = found.pop().lower().replace("chariot_verdict_", "")
    return str(int(value) // int(by)) if by else value


def test_code(names):
    for kind, path, pattern in LISTS:
        m = re.search(pattern, joined(read(path)))
        words = re.sub(r"\bor\b|\(default\)|[,|.]", " ", m[1]).split() if m else []
        same(words, names[kind], "%s: names of a %s" % (path, kind))
    faults = section(read(MAN + "chariot-inject.8"), "FAULTS BY TYPE AND SEED")
    same([plain(w) for w in re.findall(r"^\.TP\n\.B (\S+)$", faults, re.M)], names["fault"],
         "chariot-inject(8): names of a fault")
    for path, pattern, where in DEFAULTS:
        m = re.search(pattern, joined(read(path)))
        said = m[1].replace(",", "") if m else 'nothing like "%s"' % pattern
        code = constant(where)
        ok(said == code, "%s: %s" % (path, where), "it says %s, the code %s" % (said, code))
    ok(re.search(r'MESSAGE_ID\s"(\w{30})"', read("tools/journal.c"))[1] in
       read(MAN + "chariot-event.8"), "chariot-event(8): MESSAGE_ID")
    for path in "tools/guard.c", "tools/libvirt/hook.c", "qemu-plugin/device.c":
        ok("CHARIOT_VERDICT_DEFAULT" in read(path), path + ": takes the one default")
    ok("strict without one" in joined(read("Documentation/policy.rst")) and
       not re.search(r"^mode", read("libchariot/policy/core.policy"), re.M),
       "policy.rst: mode strict without a statement")


def test_overview():
    """It says which function is in which file: ``name()`` (path)."""
    pairs = re.findall(r"``(\w+)\(\)``,? \(([\w/-]+\.c)\)",
                       re.sub(r"\s+", " ", read("Documentation/overview.rst")))
    # A definition: not indented, and what follows the arguments is a body.
    gone = [p for p in pairs if not os.path.exists(os.path.join(TOP, p[1])) or not re.search(
        r"^(?:\w[^\n;]*[ *])?%s\([^;{]*\)\n\{" % p[0], read(p[1]), re.M)]
    ok(len(pairs) > 30 and not gone, "overview.rst: %d functions are where it says" %
       len(pairs), "not there: " + ", ".join("%s() in %s" % p for p in gone))
    texts = [os.path.relpath(p, TOP) for p in glob.glob(TOP + "/Documentation/*.*")]
    ok(all(os.path.basename(t) in read("Documentation/overview.rst") for t in texts
           if not t.endswith((".svg", "overview.rst"))), "overview.rst lists all documents")
    gone = [(t, n) for t in texts for n in re.findall(r"\b([a-z]+\.rst)\b", read(t))
            if not os.path.exists(os.path.join(TOP, "Documentation", n))]
    ok(not gone, "documents that are named are there", str(gone))
    test_names(texts)
    for t in sorted(t for t in texts if t.endswith(".rst")):
        r = subprocess.run(["rst2html", "--halt=2", os.path.join(TOP, t)], text=True,
                           capture_output=True)
        ok(not r.returncode, t + " is well-formed", r.stderr.strip())


def test_names(texts):
    """Functions of ours that the documents name have that name, all of it."""
    code = "".join(read(os.path.relpath(p, TOP)) for d in
                   ("kmod", "libchariot", "tools", "qemu-plugin", "selftests")
                   for p in glob.glob("%s/%s/**/*.[ch]" % (TOP, d), recursive=True))
    have = set(re.findall(r"\b(\w+)\(", code))
    gone = sorted({(t, n) for t in texts for n in re.findall(r"``(\w+)\(\)``", read(t))
                   if n not in have and (n.startswith("chariot_") or "chariot_" + n in have)})
    ok(not gone, "functions that documents name are called that", str(gone))


def test_pictures():
    """Those of the tutorial are made of what was recorded."""
    folder = os.path.join(TOP, "Documentation")
    shown = re.findall(r"^\.\. image:: (\S+)", read("Documentation/tutorial.rst"), re.M)
    there = [os.path.relpath(p, folder) for p in glob.glob(folder + "/tutorial/*.svg")]
    ok(shown and set(shown) <= set(there), "tutorial.rst: its pictures are there")
    for rec in sorted(glob.glob(folder + "/tutorial/*.rec")):
        svg = os.path.relpath(rec[:-3] + "svg", TOP)
        r = subprocess.run(["/usr/bin/python3", TOP + "/selftests/picture.py", rec,
                            "/dev/stdout"], text=True, capture_output=True)
        if "No module named 'pyte'" in r.stderr:
            print("ok - pictures # SKIP no python3-pyte")
            return
        ok(r.stdout == read(svg), svg + ": is of its recording, see make tutorial", r.stderr)


def main():
    objects = [o for o in re.findall(r"^  ([a-z]+) ", help_of(), re.M) if o != "version"]
    names = all_names()
    test_objects(objects)
    test_completion(objects, names)
    test_code(names)
    test_overview()
    test_pictures()
    print("1..%d" % nr)
    return failed != 0


sys.exit(main())
