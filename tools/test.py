#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Builds and runs the rings of tests, cheapest first, and counts.

    tools/test.py [--build DIR] [--only WORD] RING...

A ring is one of
    gates      tools/tidy, tools/purity and tools/manpages --check, each after a test of itself
    unit golden trace
               test/<ring>/*_test.c, each a cmocka program, with the sanitizers on
    fuzz       fuzz/*.c on fuzz/corpus/<name>/, and --time seconds (3) of new inputs each
    sim        the sanitized reeve-sim, once per line of test/seeds.txt: a seed, then any options
    e2e        pytest in test/e2e, on the programs in the build folder; two workers
    all        the above in this order
or, not part of all, a long run:
    fuzz-long  every fuzzer for --time seconds (60)
    sim-long   reeve-sim on --seeds new seeds (100), or for --time seconds

A ring goes on after a failure and prints what failed with the end of its output; everything that
was printed is kept in <build>/test-logs. A ring without files counts nothing. What cannot be
built, crashes, runs too long, or runs no test at all counts as one failed test. The last line is
`N passed, N failed`, and the exit code is 0 only when nothing failed.

Test programs run in the top folder of the tree; REEVE_BUILD names the build folder, and for e2e
REEVE_BIN the server and REEVE_CACHE a folder for what the tests download.
"""
import argparse
import concurrent.futures
import glob
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import traceback
import xml.etree.ElementTree

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
PYTHON = "/usr/bin/python3"
RINGS = ["gates", "unit", "golden", "trace", "fuzz", "sim", "e2e"]
LONG_RINGS = ["fuzz-long", "sim-long"]

# Seconds after which something is taken for hung.
BUILD_TIMEOUT = 900
PROGRAM_TIMEOUT = 120
SEED_TIMEOUT = 180
E2E_TIMEOUT = 1500
TAIL_LINES = 40
# The simulator runs so many seeds per process, and says this in its summary.
SIM_BLOCK = 20
SIM_TOTAL = "simulated hours"


class Result:
    """The count of one ring. Failures are (name, log file) and are printed as they come."""

    def __init__(self, ring):
        self.ring = ring
        self.passed = 0
        self.failed = 0
        self.skipped = 0

    def add(self, name, passed, failed, output, skipped=0):
        self.passed += passed
        self.failed += failed
        self.skipped += skipped
        if failed:
            lines = output.rstrip().splitlines()
            print(f"--- FAILED: {self.ring}: {name}")
            if len(lines) > TAIL_LINES:
                print(f"    ({len(lines) - TAIL_LINES} lines more in the log)")
            for line in lines[-TAIL_LINES:]:
                print("    " + line)
            sys.stdout.flush()


class Runner:
    def __init__(self, args):
        self.args = args
        self.build = os.path.abspath(args.build)
        self.logs = os.path.join(self.build, "test-logs")
        self.jobs = os.cpu_count() or 1
        os.makedirs(self.logs, exist_ok=True)

    # -- running programs -------------------------------------------------------------------------

    def run(self, name, argv, timeout, env=None):
        """Returns (exit code, output). Never waits longer than the timeout and a bit."""
        full = dict(os.environ)
        for key in ("MAKEFLAGS", "MFLAGS", "MAKELEVEL"):
            full.pop(key, None)
        full.update({
            "REEVE_BUILD": self.build,
            "ASAN_OPTIONS": "detect_leaks=1:abort_on_error=0:detect_stack_use_after_return=1",
            "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
        })
        full.update(env or {})
        path = os.path.join(self.logs, re.sub(r"[^A-Za-z0-9_.-]+", "_", name) + ".log")
        with open(path, "wb") as log:
            try:
                proc = subprocess.Popen(argv, cwd=TOP, env=full, stdin=subprocess.DEVNULL,
                                        stdout=log, stderr=subprocess.STDOUT,
                                        start_new_session=True)
            except OSError as why:
                return 127, f"cannot start {argv[0]}: {why}"
            code, note = self.wait(proc, timeout)
        with open(path, "rb") as log:
            return code, log.read().decode("utf-8", "replace") + note

    @staticmethod
    def wait(proc, timeout):
        """Waits; asks a hung process group to end, and ends it if it will not."""
        note = ""
        try:
            return proc.wait(timeout), note
        except subprocess.TimeoutExpired:
            note = f"\nran longer than {timeout} s and was stopped"
        except KeyboardInterrupt:
            os.killpg(proc.pid, signal.SIGKILL)
            raise
        for sig, grace in ((signal.SIGINT, 20), (signal.SIGKILL, 20)):
            try:
                os.killpg(proc.pid, sig)
                proc.wait(grace)
            except (subprocess.TimeoutExpired, ProcessLookupError):
                continue
        try:
            os.killpg(proc.pid, signal.SIGKILL)  # what its children left behind
        except ProcessLookupError:
            pass
        return proc.returncode or 124, note

    def make(self, name, targets, extra=()):
        argv = ["make", "--no-print-directory", "-k", f"-j{self.jobs}", f"BUILD={self.args.build}",
                f"CC={self.args.cc}", f"CLANG={self.args.clang}", *extra, *targets]
        return self.run(name, argv, BUILD_TIMEOUT)

    def built(self, result, targets):
        """Builds the targets; those that are up to date afterwards are returned, the others are
        counted as failed, so that a stale program is never taken for a new one."""
        if not targets:
            return []
        code, output = self.make(result.ring + "-build", targets)
        if code == 0:
            return targets
        good = [t for t in targets if self.make("make-q", [t], ["-q"])[0] == 0]
        bad = [os.path.relpath(t, self.args.build) for t in targets if t not in good]
        result.add("build of " + " ".join(bad), 0, max(1, len(bad)), errors_of(output))
        return good

    def each(self, work, items):
        """Runs work(item) for all items, as many at a time as there are processors."""
        with concurrent.futures.ThreadPoolExecutor(self.jobs) as pool:
            return list(pool.map(work, items))

    def wanted(self, names):
        return sorted(n for n in names if not self.args.only or self.args.only in n)

    # -- rings ------------------------------------------------------------------------------------

    def ring_gates(self, result):
        lib = os.path.join(self.args.build, "rel", "lib")
        code, output = self.make("pure-archives", ["pure-archives"])
        if code != 0:
            result.add("build of the archives", 0, 1, errors_of(output))
        gates = [("tidy --self-test", ["tools/tidy", "--self-test"]),
                 ("tidy", ["tools/tidy"]),
                 ("purity --self-test", ["tools/purity", "--self-test"]),
                 ("manpages --self-test", ["tools/manpages", "--self-test"]),
                 ("manpages --check", ["tools/manpages", "--check"])]
        if code == 0:
            gates.append(("purity", ["tools/purity", lib]))
        for name, argv in gates:
            code, output = self.run(name, [PYTHON] + argv, PROGRAM_TIMEOUT)
            result.add(name, int(code == 0), int(code != 0), output)

    def ring_cmocka(self, result):
        sources = self.wanted(glob.glob(f"test/{result.ring}/*_test.c", root_dir=TOP))
        bins = self.built(result, [f"{self.args.build}/san/{s[:-2]}" for s in sources])

        def one(binary):
            name = os.path.basename(binary)
            return name, *self.run(f"{result.ring}-{name}", [os.path.abspath(binary)],
                                   PROGRAM_TIMEOUT)

        for name, code, output in self.each(one, bins):
            passed, failed, skipped = count_cmocka(code, output)
            result.add(name, passed, failed, output, skipped)

    # The ring of every run has seed 1: what it finds once it finds again, and nothing by chance.
    def fuzz(self, result, seconds, seed):
        names = self.wanted(os.path.basename(f)[:-2] for f in glob.glob(TOP + "/fuzz/*.c"))
        bins = self.built(result, [f"{self.args.build}/fuzz/bin/{n}" for n in names])

        def one(binary):
            name = os.path.basename(binary)
            grown = os.path.join(self.build, "fuzz", "corpus", name)
            crash = os.path.join(self.build, "fuzz", f"crash-{name}-")
            os.makedirs(grown, exist_ok=True)
            known = os.path.join(TOP, "fuzz", "corpus", name)
            dictionary = os.path.join(TOP, "fuzz", "dict", name + ".dict")
            options = [f"-artifact_prefix={crash}", "-timeout=10", "-rss_limit_mb=1024",
                       f"-seed={seed}"]
            if os.path.isfile(dictionary):
                options.append(f"-dict={dictionary}")
            folders = [grown] + ([known] if os.path.isdir(known) else [])
            program = os.path.abspath(binary)
            code, output = self.run(f"fuzz-{name}-replay", [program, *options, "-runs=0", *folders],
                                    PROGRAM_TIMEOUT)
            if code == 0:
                code, output = self.run(
                    f"fuzz-{name}", [program, *options, f"-max_total_time={seconds}", *folders],
                    seconds + PROGRAM_TIMEOUT)
            return name, code, output

        for name, code, output in self.each(one, bins):
            result.add(name, int(code == 0), int(code != 0), output)

    def ring_fuzz(self, result):
        self.fuzz(result, self.args.time or 3, 1)

    def ring_fuzz_long(self, result):
        self.fuzz(result, self.args.time or 60, 0)

    def ring_sim(self, result):
        if not (os.path.isfile(TOP + "/sim/main.c") and os.path.isfile(TOP + "/test/seeds.txt")):
            return
        if not self.built(result, [f"{self.args.build}/san/reeve-sim"]):
            return
        program = os.path.join(self.build, "san", "reeve-sim")
        with open(TOP + "/test/seeds.txt", encoding="utf-8") as file:
            lines = [line.split("#")[0].split() for line in file]

        def one(words):
            name = "-".join(words)
            return name, *self.run("sim-" + name, [program, "--seed", *words], SEED_TIMEOUT)

        for name, code, output in self.each(one, [words for words in lines if words]):
            result.add("seed " + name, int(code == 0), int(code != 0), output)

    def ring_sim_long(self, result):
        if not self.built(result, [f"{self.args.build}/reeve-sim"]):
            return
        program = os.path.join(self.build, "reeve-sim")
        start = time.monotonic()
        end = start + self.args.time if self.args.time else None
        want = self.args.seeds or (1 << 40 if end else 100)
        total = SimTotal()
        first = random.getrandbits(40)
        blocks = iter(range(first, first + want, SIM_BLOCK))

        def over():
            return (end is not None and time.monotonic() >= end) or result.failed >= 20

        def worker(_):
            while not over():
                with total.lock:
                    at = next(blocks, None)
                if at is None:
                    return
                last = min(at + SIM_BLOCK, first + want) - 1
                self.sim_block(result, program, at, last, total, over)

        self.each(worker, range(self.jobs))
        total.show(time.monotonic() - start)

    # Seeds one after the other in one process, which goes on after a failure but not after an
    # abort: then the rest is for another process.
    def sim_block(self, result, program, at, last, total, over):
        while at <= last and not over():
            code, output = self.run(f"sim-{at}", [program, "--seeds", f"{at}..{last}"],
                                    SEED_TIMEOUT)
            begun = [int(n) for n in re.findall(r"^seed (\d+)$", output, re.M)]
            bad = {int(n) for n in re.findall(r"^seed (\d+) failed", output, re.M)}
            whole = SIM_TOTAL in output
            if not whole:  # the last one that began has ended the process
                bad.add(begun[-1] if begun else at)
            with total.lock:
                total.add(output)
                result.passed += len(set(begun) - bad)
                for seed in sorted(bad):
                    result.add(f"seed {seed} (reeve-sim --seed {seed})", 0, 1,
                               seed_output(output, seed))
            if code == 0:
                os.unlink(os.path.join(self.logs, f"sim-{at}.log"))
            at = last + 1 if whole else (begun[-1] if begun else at) + 1

    def ring_e2e(self, result):
        if not glob.glob(TOP + "/test/e2e/**/test_*.py", recursive=True):
            return
        code, output = self.make("e2e-build", ["all"])
        if code != 0:
            result.add("build of the programs", 0, 1, errors_of(output))
            return
        report = os.path.join(self.logs, "e2e.xml")
        if os.path.exists(report):
            os.unlink(report)
        argv = [PYTHON, "-m", "pytest", "-q", "-ra", "-p", "no:cacheprovider", "-o", "timeout=300",
                f"--junitxml={report}", "test/e2e"]
        if (os.cpu_count() or 1) > 1:  # tests mostly wait; a file stays with one worker
            argv += ["-n", "2", "--dist", "loadfile"]
        if self.args.only:
            argv += ["-k", self.args.only]
        env = {"REEVE_BIN": os.path.join(self.build, "reeved"),
               "REEVE_CACHE": os.path.join(self.build, "cache"),
               "PYTHONDONTWRITEBYTECODE": "1"}
        code, output = self.run("e2e", argv, E2E_TIMEOUT, env)
        passed, failed, skipped = count_junit(report)
        if code not in (0, 5) and failed == 0:
            failed = 1
        result.add("pytest", passed, failed, output, skipped)
        for line in output.splitlines():
            if line.startswith("SKIPPED"):
                print("    " + line)

    def ring(self, name):
        result = Result(name)
        start = time.monotonic()
        method = {"unit": self.ring_cmocka, "golden": self.ring_cmocka, "trace": self.ring_cmocka}
        work = method.get(name) or getattr(self, "ring_" + name.replace("-", "_"))
        try:
            work(result)
        except Exception:  # the other rings still run, and this one is not taken for good
            result.add("the ring itself", 0, 1, traceback.format_exc())
        skipped = f", {result.skipped} skipped" if result.skipped else ""
        print(f"{name + ':':10} {result.passed} ok, {result.failed} bad{skipped}"
              f"  ({time.monotonic() - start:.1f} s)", flush=True)
        return result


class SimTotal:
    """What the simulator says it has done, summed over its processes."""

    def __init__(self):
        self.lock = threading.Lock()
        self.counts = {}
        self.faults = {}

    def add(self, output):
        for line in output.splitlines():
            if SIM_TOTAL in line:
                for n, what in re.findall(r"([\d.]+) ([a-z ]+)", line):
                    self.counts[what] = self.counts.get(what, 0) + float(n)
            elif line.startswith("faults:"):
                for what, n in re.findall(r"(\S+) (\d+)", line[len("faults:"):]):
                    self.faults[what] = self.faults.get(what, 0) + int(n)

    def show(self, seconds):
        if not self.counts:
            return
        for what, n in self.counts.items():
            text = f"{n:.1f}" if "hours" in what else f"{n:.0f}"
            print(f"    {what:18} {text:>12}   {n / seconds:10.2f} per second")
        print(f"    faults injected    {sum(self.faults.values()):12}")
        for what, n in sorted(self.faults.items(), key=lambda item: -item[1]):
            print(f"      {what:16} {n:12}")


def seed_output(output, seed):
    """What was printed while this seed ran."""
    at = output.find(f"seed {seed}\n")
    end = re.compile(r"^seed \d+$", re.M).search(output, at + len(f"seed {seed}\n"))
    return output[max(at, 0):end.start() if end else len(output)]


def errors_of(output):
    """The errors and warnings of a build first of all; its whole output if it has none."""
    lines = output.splitlines()
    bad = [i for i, line in enumerate(lines) if re.search(r"error:|undefined|\*\*\*", line)]
    keep = sorted({j for i in bad for j in range(i, min(i + 3, len(lines)))})
    return "\n".join(lines[i] for i in keep[:TAIL_LINES]) if keep else output


def count_cmocka(code, output):
    """(passed, failed, skipped) of what a cmocka program printed and how it ended."""
    passed = len(re.findall(r"^\[       OK \] ", output, re.M))
    skipped = sum(int(n) for n in re.findall(r"^\[  SKIPPED \] (\d+) test\(s\)", output, re.M))
    failed = sum(int(n) for n in re.findall(r"^\[  FAILED  \] (\d+) test\(s\)", output, re.M))
    if failed == 0 and (code != 0 or passed + skipped == 0):
        failed = 1
    return passed, failed, skipped


def count_junit(path):
    try:
        suites = xml.etree.ElementTree.parse(path).getroot().iter("testsuite")
    except (OSError, xml.etree.ElementTree.ParseError):
        return 0, 1, 0
    tests = failed = skipped = 0
    for suite in suites:
        tests += int(suite.get("tests", 0))
        failed += int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        skipped += int(suite.get("skipped", 0))
    return max(0, tests - failed - skipped), failed, skipped


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--build", default="build")
    parser.add_argument("--cc", default="cc")
    parser.add_argument("--clang", default="clang")
    parser.add_argument("--only", help="only tests whose name contains this word")
    parser.add_argument("--time", type=int, help="seconds for each fuzzer, or for sim-long")
    parser.add_argument("--seeds", type=int, help="how many seeds sim-long tries")
    parser.add_argument("rings", nargs="+", choices=RINGS + LONG_RINGS + ["all"], metavar="RING")
    args = parser.parse_args()
    os.chdir(TOP)
    if shutil.which("make") is None:
        sys.exit("make is not installed")
    runner = Runner(args)
    rings = [r for name in args.rings for r in (RINGS if name == "all" else [name])]
    results = [runner.ring(name) for name in rings]
    passed = sum(r.passed for r in results)
    failed = sum(r.failed for r in results)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
