# SPDX-License-Identifier: GPL-2.0-or-later
"""How to run a program that dies of SIGSYS as soon as it asks certain clocks for the time, or a timer of theirs."""

import platform
import sys

# linux/time.h. Setting the time of day moves the first three. It moves CLOCK_REALTIME_COARSE and time(2), too, but
# those tell seconds or ticks, and libnl takes one of them for the number of its first message.
REALTIME, REALTIME_ALARM, TAI, MONOTONIC = 0, 8, 11, 1
THAT_JUMP = (REALTIME, REALTIME_ALARM, TAI)
# clock_gettime, timer_create and timerfd_create, whose first argument is the clock; gettimeofday.
BY_CLOCK = {"x86_64": (228, 222, 283), "aarch64": (113, 107, 85)}
OF_THE_DAY = {"x86_64": (96,), "aarch64": (169,)}
# Clocks are read in the vDSO, where no filter sees it. A program that is not told where that is asks the kernel:
# its address is taken out of what the kernel has put onto the stack, before the first instruction.
RUN = """
import ctypes, os, struct, sys
TRACEME, DETACH, SYSINFO_EHDR, IGNORE = 0, 17, 33, 1
allow, kill = (6, 0, 0, 0x7FFF0000), (6, 0, 0, 0x80000000)
by_clock, of_the_day, clocks = ([int(word) for word in words.split(",") if word] for words in sys.argv[1:4])
libc = ctypes.CDLL(None, use_errno=True)
steps = [(0x20, 0, 0, 0)]
for number in of_the_day:
    steps += [(0x15, 0, 1, number), kill]
for number in by_clock:
    steps += [(0x15, 0, 2 + 2 * len(clocks), number), (0x20, 0, 0, 16)]
    for clock in clocks:
        steps += [(0x15, 0, 1, clock), kill]
    steps += [allow]
steps += [allow]
code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
pid = os.fork()
if pid == 0:
    if libc.ptrace(TRACEME, 0, None, None) or libc.prctl(22, 2, program, 0, 0):
        os.abort()
    os.execv(sys.argv[4], sys.argv[4:])
_, status = os.waitpid(pid, 0)
if not os.WIFSTOPPED(status):
    sys.exit("the program was not started")
with open(f"/proc/{pid}/auxv", "rb") as file:
    words = file.read()
with open(f"/proc/{pid}/maps") as file:
    begin, end = next([int(word, 16) for word in line.split()[0].split("-")] for line in file if "[stack]" in line)
places = [at for at in range(0, len(words), 16) if struct.unpack_from("Q", words, at)[0] == SYSINFO_EHDR]
with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
    memory.seek(begin)
    at = begin + memory.read(end - begin).index(words) + places[0]
    memory.seek(at)
    memory.write(struct.pack("Q", IGNORE))
libc.ptrace(DETACH, pid, None, None)
_, status = os.waitpid(pid, 0)
if os.WIFSIGNALED(status):
    os.kill(os.getpid(), os.WTERMSIG(status))
sys.exit(os.WEXITSTATUS(status))
"""


def without_clocks(clocks):
    """What to put before the program."""
    machine = platform.machine()
    of_the_day = OF_THE_DAY[machine] if REALTIME in clocks else ()
    lists = (",".join(map(str, numbers)) for numbers in (BY_CLOCK[machine], of_the_day, clocks))
    return (sys.executable, "-c", RUN, *lists)
