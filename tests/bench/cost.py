"""cost - what a running stage has cost so far."""
import os
import re


def cost(stage):
    """(CPU seconds, peak MiB)"""
    with open(f"/proc/{stage.process.pid}/stat", encoding="ascii") as f:
        words = f.read().rsplit(")", 1)[1].split()
    with open(f"/proc/{stage.process.pid}/status", encoding="ascii") as f:
        peak = int(re.search(r"VmHWM:\s+(\d+)", f.read())[1]) / 1024
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK"), peak
