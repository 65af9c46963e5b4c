# Copyright (c) 2026 Datapath Lab contributors
# GNU General Public License v3.0 or later (see LICENSES/GPL-3.0-or-later.txt or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Prove on a node that the patched ip_vs and ipvsadm show what the unpatched ones show, and that dumps survive changes.

Run as root on a node that has the patched ip_vs loaded. It works in a network namespace of its own, so that nobody's services are touched.
Prints one JSON object; the exit status is 0 if all held, 1 if something did not, 2 if it could not be tested.

Same output: both programs list the same table, byte for byte, in each way of listing. Destinations have distinct weights, so that one in
the place of another shows.

Races: a table is listed again and again while destinations or services come and go after a pause of 0 to 9 ms. Each listing must end in
time and hold everything that was there before and after exactly once, and nothing that was never there.
"""

from __future__ import annotations

import argparse
import ctypes
import json
import os
import random
import subprocess
import sys
import threading
import time

CLONE_NEWNET = 0x40000000
LIST_TIMEOUT_S = 120
FAMILIES = ("tcp", "udp", "ipv6", "fwmark added to tcp", "fwmark")
LISTINGS = (
    ("-Ln",),
    ("-Ln", "--nosort"),
    ("-Sn",),
    ("-Ln", "--stats"),
    ("-Ln", "--rate"),
    ("-Ln", "--thresholds"),
    ("-Ln", "--persistent-conn"),
    ("-Ln", "--stats", "--exact"),
    ("-Ln", "--tun-info"),
)
SIZES = ((100, 4), (10, 100))


class NotTestable(Exception):
    """The node is not in a state in which the test means anything."""


def run(argv, text=None, timeout=LIST_TIMEOUT_S):
    """Return what a command printed; raise if it failed or did not end."""
    done = subprocess.run(argv, input=text, capture_output=True, text=True, timeout=timeout, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)} ended with {done.returncode}: {(done.stderr or done.stdout).strip()[:300]}")
    return done.stdout


def service(family, number):
    """Return the option that names a service of a family."""
    port = 30000 + number
    return {"tcp": f"-t 10.0.0.1:{port}", "udp": f"-u 10.0.0.1:{port}", "ipv6": f"-t [2001:db8::1]:{port}", "fwmark": f"-f {number + 1}"}[
        family
    ]


def destination(family, number):
    """Return the address of a real server; the order of numbers is not the order of addresses."""
    if family == "ipv6":
        return f"[2001:db8:1::{(number * 37) % 251 + 1:x}]:{10000 + number}"
    return f"10.1.{(number * 37) % 251}.{number % 250 + 1}:{10000 + number}"


def service_lines(family, number, destinations):
    """Return the lines of a service, as ``ipvsadm -R`` takes them and ``-Sn`` sorts them."""
    name = service(family, number)
    return [f"-A {name} -s rr", *(f"-a {name} -r {destination(family, n)} -m -w {n % 97 + 1}" for n in range(destinations))]


def rules_of(family, services, destinations):
    """Return the lines of a table."""
    families = {"fwmark added to tcp": ("tcp", "fwmark")}.get(family, (family,))
    return [line for one in families for number in range(services) for line in service_lines(one, number, destinations)]


class Tester:
    """Runs the checks and collects their results."""

    def __init__(self, base, patched, seed):
        """Keep the programs."""
        self.base, self.patched = base, patched
        self.random = random.Random(seed)
        self.checks, self.failures = [], []

    def load(self, lines):
        """Make the table these lines and nothing else."""
        run([self.base, "-C"])
        run([self.patched, "-R"], "".join(f"{line}\n" for line in lines))

    def check(self, name, problem, **facts):
        """Record a check."""
        self.checks.append({"name": name, "ok": not problem, **facts})
        if problem:
            self.failures.append(f"{name}: {problem}")

    def list_both(self, listing):
        """Return what both print of a table at rest.

        All namespaces share the kernel's tables, and the unpatched dump counts the services of all of them: it loses or repeats some when
        another namespace changes its own meanwhile.
        """
        for _attempt in range(5):
            base, patched, again = (run([program, *listing]) for program in (self.base, self.patched, self.base))
            if base == again:
                return base, patched
        raise NotTestable("The unpatched listing is another one each time: something else changes IPVS services on this node; stop it.")

    def same_output(self):
        """Compare both programs in each way of listing."""
        for family in FAMILIES:
            for services, destinations in SIZES:
                lines = rules_of(family, services, destinations)
                self.load(lines)
                different, printed = [], 0
                for listing in LISTINGS:
                    base, patched = self.list_both(listing)
                    printed += len(base)
                    if base != patched:
                        different.append(" ".join(listing))
                saved = run([self.patched, "-Sn"]).splitlines()
                if sorted(line.rstrip() for line in saved) != sorted(lines):
                    different.append("-Sn against what was loaded")
                for one in ("-t 10.0.0.1:30003", "-f 4"):
                    if f"-A {one} -s rr" not in lines:
                        continue
                    if run([self.base, "-Ln", *one.split()]) != run([self.patched, "-Ln", *one.split()]):
                        different.append(f"-Ln {one}")
                self.check(
                    f"same output, {family}, {services}×{destinations}", different and f"differs in {', '.join(different)}", bytes=printed
                )

    def pause(self):
        """Wait as long as to come in the midst of another batch each time."""
        time.sleep(self.random.randrange(10) / 1000)

    def race(self, name, stable, changes, rounds, volatile):
        """List the table while it changes.

        :param stable: lines that stay all the time.
        :param changes: function of the round that returns argv lists to run one after the other.
        :param volatile: lines that may be there or not.
        """
        stop, listed, problems = threading.Event(), [0], []
        want, allowed = set(stable), set(stable) | set(volatile)

        def listing():
            # Bounded by the changes, which are bounded themselves.
            while not stop.is_set() and not problems:
                try:
                    lines = [line.rstrip() for line in run([self.patched, "-Sn"]).splitlines()]
                except (RuntimeError, subprocess.TimeoutExpired) as error:
                    problems.append(str(error)[:300])
                    return
                listed[0] += 1
                have = set(lines)
                for problem, found in (
                    ("lost", want - have),
                    ("invented", have - allowed),
                    ("repeated", {line for line in have if lines.count(line) > 1} if len(have) != len(lines) else set()),
                ):
                    if found:
                        problems.append(f"{problem} {len(found)}, such as {sorted(found)[0]!r}")

        reader = threading.Thread(target=listing)
        reader.start()
        done = 0
        try:
            for number in range(rounds):
                if problems:
                    break
                for argv in changes(number):
                    self.pause()
                    run([self.base, *argv])
                done += 1
        except RuntimeError as error:
            problems.append(str(error))
        finally:
            stop.set()
            reader.join(2 * LIST_TIMEOUT_S)
        if reader.is_alive():
            problems.append("a listing did not end")
        self.check(name, "; ".join(problems[:2]), rounds=done, listings=listed[0])

    def races(self, factor):
        """Let dumps race against changes."""
        table = rules_of("tcp", 200, 4)
        name = service("tcp", 77)
        extra = destination("tcp", 200)
        self.load(table)
        self.race(
            "add and remove a destination",
            table,
            lambda _number: ([["-a", *name.split(), "-r", extra, "-m", "-w", "1"], ["-d", *name.split(), "-r", extra]]),
            max(1, 100 // factor),
            [f"-a {name} -r {extra} -m -w 1"],
        )

        # Ports that are 256 apart share a row of the kernel's table more often than not.
        self.load(table)
        news = [service("tcp", 300 + 64 * (number % 8)) for number in range(8)]
        self.race(
            "add and remove a service",
            table,
            lambda number: ([["-A", *news[number % 8].split(), "-s", "rr"], ["-D", *news[number % 8].split()]]),
            max(1, 200 // factor),
            [f"-A {one} -s rr" for one in news],
        )

        for services, destinations in ((500, 2), (5, 100)):
            table = rules_of("tcp", services, destinations)
            self.load(table)
            doomed = self.random.sample(range(services), max(1, min(services - 1, 50 // factor)))
            gone = [line for number in doomed for line in service_lines("tcp", number, destinations)]
            self.race(
                f"remove services, {services}×{destinations}",
                [line for line in table if line not in set(gone)],
                lambda number, doomed=doomed: ([["-D", *service("tcp", doomed[number]).split()]]),
                len(doomed),
                gone,
            )

            # One service that fills several messages, and loses and gains destinations all over.
            count = 1200
            long_service = service_lines("udp", 0, count)
            self.load([*rules_of("tcp", services, destinations), *long_service])
            victims = self.random.sample(range(count), max(1, 60 // factor))
            lost = [long_service[1 + victim] for victim in victims]
            self.race(
                f"remove destinations of a service of several messages, {services}×{destinations}",
                [*rules_of("tcp", services, destinations), *(line for line in long_service if line not in set(lost))],
                lambda number, victims=victims: ([["-d", *service("udp", 0).split(), "-r", destination("udp", victims[number])]]),
                len(victims),
                lost,
            )


def kernel_complaints():
    """Return the lines of the kernel's log that tell of a fault."""
    words = ("WARNING:", "BUG:", "Oops", "general protection", "rcu: INFO", "UBSAN", "KASAN", "refcount_t")
    return [line for line in run(["dmesg"]).splitlines() if any(word in line for word in words)]


def requests_of(program):
    """Return how many netlink requests a listing makes, None without strace."""
    try:
        done = subprocess.run(
            ["strace", "-f", "-e", "trace=sendmsg,sendto", program, "-Sn"],
            capture_output=True,
            text=True,
            timeout=LIST_TIMEOUT_S,
            check=True,
        )
    except (FileNotFoundError, subprocess.CalledProcessError):
        return None
    return sum(1 for line in done.stderr.splitlines() if line.startswith(("sendmsg(", "sendto(")))


def main():
    """Run all checks."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--base", default="/usr/local/sbin/ipvsadm-base", help="the unpatched ipvsadm (default: %(default)s)")
    parser.add_argument("--patched", default="/usr/local/sbin/ipvsadm-patched", help="the patched ipvsadm (default: %(default)s)")
    parser.add_argument("--quick", action="store_true", help="a tenth of the changes")
    parser.add_argument("--seed", type=int, default=1, help="of the pauses and of what is removed (default: %(default)s)")
    parser.add_argument("--slow-path", action="store_true", help="accept an ip_vs without the patch, to test how ipvsadm falls back")
    options = parser.parse_args()
    began = time.monotonic()
    result = {"ok": False, "checks": [], "failures": [], "requests": {}, "kernel": os.uname().release}
    status = 2
    try:
        if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
            raise NotTestable(f"Cannot make a network namespace: {os.strerror(ctypes.get_errno())}; run it as root.")
        # Without any local route the kernel takes every address for a broadcast, which no destination may be.
        run(["ip", "link", "set", "lo", "up"])
        before = kernel_complaints()
        tester = Tester(options.base, options.patched, options.seed)
        tester.load(rules_of("tcp", 20, 1))
        result["requests"] = {"base": requests_of(options.base), "patched": requests_of(options.patched)}
        fast = result["requests"]["patched"]
        if fast is not None and fast > 10 and not options.slow_path:
            raise NotTestable(f"The patched ipvsadm makes {fast} requests for 20 services: the loaded ip_vs is not the patched one.")
        tester.same_output()
        tester.races(10 if options.quick else 1)
        run([options.base, "-C"])
        complaints = [line for line in kernel_complaints() if line not in before]
        tester.check("no kernel warning", complaints and complaints[0])
        result.update(ok=not tester.failures, checks=tester.checks, failures=tester.failures)
        status = 0 if result["ok"] else 1
    except (NotTestable, RuntimeError, OSError, subprocess.SubprocessError) as error:
        result["failures"] = [str(error)]
    result["seconds"] = round(time.monotonic() - began, 1)
    print(json.dumps(result, indent=1, ensure_ascii=False))
    return status


if __name__ == "__main__":
    sys.exit(main())
