"""Submissions that mean harm: each is a stub of a3 with something after it, and must earn what the stub earns.

ROOT and RESULTS stand for the folder of minidet's source and a file of grades, as Python texts; MARKER is a word of its
own for each run, by which processes and files that are left behind can be found. They are to be run only where the
kernel confines them, see `minidet.course.confine`.
"""

from __future__ import annotations

NAMES = (
    "cross_entropy", "cross_entropy_grad", "focal_loss", "focal_loss_grad", "focal_loss_star", "focal_loss_star_grad",
    "smooth_l1", "smooth_l1_grad",
)  # fmt: skip
ALL = " = ".join(NAMES)
STEAL = f"""
import minidet.reference as stolen
for name in {NAMES}:
    globals()[name] = getattr(stolen, name)
"""
EXECUTE = f"""
def take(text):
    text = "\\n".join(line for line in text.splitlines() if not line.startswith("from minidet.reference"))
    space = {{}}
    exec(text, space)
    for name in {NAMES}:
        if name in space:
            globals()[name] = space[name]
"""
FRAMES = """
import os, json, struct
def frame(**header):
    text = json.dumps(header).encode()
    return struct.pack(">4sQQ", b"mini", len(text), 0) + text
def everywhere(data):
    for fd in range(3, 40):
        try:
            os.write(fd, data)
        except OSError:
            pass
"""
HANDS = f"""
import sys
def look(*args, **kwargs):
    frame = sys._getframe(1)
    while frame:
        for name in ("expected", "answers", "wanted"):
            if name in frame.f_locals:
                return frame.f_locals[name]
        frame = frame.f_back
{ALL} = look
"""

ATTACKS = {
    "imports the reference": STEAL,
    "imports it by importlib": "import importlib\n" + STEAL.replace("import minidet.reference as stolen",
        "stolen = importlib.import_module('minidet.reference')"),
    "removes the finder that refuses": """
import sys
sys.meta_path = [f for f in sys.meta_path if "worker" not in type(f).__module__]
""" + STEAL,
    "looks for the package on the path": """
import sys, os
sys.meta_path = sys.meta_path[1:]
for name in [name for name in sys.modules if name.startswith("minidet")]:
    del sys.modules[name]
sys.path[:] = [p for p in sys.path if "minidet-" not in p] + [ROOT]
""" + STEAL,
    "reads the reference's source": EXECUTE + """
import pathlib
for file in pathlib.Path(ROOT, "minidet", "reference").glob("*.py"):
    take(file.read_text())
""",
    "reads the source by the C library": EXECUTE + """
import ctypes
libc = ctypes.CDLL(None)
fd = libc.open(ROOT.encode() + b"/minidet/reference/losses.py", 0)
buffer = ctypes.create_string_buffer(10**6)
libc.read(fd, buffer, 10**6)
take(buffer.value.decode())
""",
    "searches memory": f"""
import gc
for one in gc.get_objects():
    if getattr(one, "__module__", "") and "reference" in str(getattr(one, "__module__", "")):
        if getattr(one, "__name__", "") in {NAMES}:
            globals()[one.__name__] = one
""",
    "looks into the callers' frames": HANDS,
    "makes everything close": f"""
import builtins, numpy as np
np.isclose = lambda *args, **kwargs: np.ones((), bool)
np.array_equal = np.allclose = lambda *args, **kwargs: True
{ALL} = lambda x, *rest, **more: np.zeros_like(x)
""",
    "replaces the comparison": f"""
import gc, types
for one in gc.get_objects():
    if isinstance(one, types.FunctionType) and one.__name__ in ("difference", "problem", "passes"):
        one.__code__ = (lambda *args, **kwargs: "").__code__
{ALL} = lambda x, *rest, **more: np.zeros_like(x)
""",
    "forges rows": FRAMES + f"""
for name in {NAMES}:
    row = {{"name": name, "passed": ["all"], "failed": {{}}, "share": 100.0, "remark": "", "values": True}}
    everywhere(json.dumps({{"row": row}}).encode() + b"\\n")
os._exit(0)
""",
    "forges frames": FRAMES + """
for _ in range(500):
    everywhere(frame(kind="result", values=[1.0]))
os._exit(0)
""",
    "forges frames of rows": FRAMES + f"""
for name in {NAMES}:
    everywhere(frame(kind="row", values=[], row={{"name": name, "share": 1.0, "passed": [], "failed": {{}}}}))
""",
    "asks for right answers": FRAMES + f"""
def ask(x, *rest, **more):
    everywhere(frame(kind="ask", name="focal_loss", keywords=[], values=[]))
    return x
{ALL} = ask
""",
    "damaged frames": FRAMES + f"""
import struct
def damage(x, *rest, **more):
    everywhere(frame(kind="result", values=[{{"array": ["<f8", [10**15]]}}]))
{ALL} = damage
""",
    "deep JSON": FRAMES + f"""
def deep(x, *rest, **more):
    text = b'{{"kind": "result", "values": ' + b"[" * 100000 + b"]" * 100000 + b"}}"
    everywhere(struct.pack(">4sQQ", b"mini", len(text), 0) + text)
{ALL} = deep
""",
    "a line per second": FRAMES + """
import threading, time
def tick():
    while True:
        everywhere(b"tick\\n")
        time.sleep(1)
threading.Thread(target=tick, daemon=True).start()
""",
    "a frame that trickles": FRAMES + f"""
import time
def trickle(x, *rest, **more):
    everywhere(struct.pack(">4sQQ", b"mini", 100, 2**20) + b" " * 100)
    while True:
        time.sleep(0.5)
        everywhere(b" ")
{ALL} = trickle
""",
    "300 MB of junk": FRAMES + "everywhere(b'x' * (300 * 2**20))\n",
    "300 MB in a frame": FRAMES + """
everywhere(struct.pack(">4sQQ", b"mini", 100, 300 * 2**20) + b" " * 100)
for _ in range(300):
    everywhere(b"x" * 2**20)
""",
    "huge results": f"{ALL} = lambda x, *rest, **more: np.zeros((60, 2**17))\n",
    "objects that agree with everything": f"""
class Yes(np.ndarray):
    def __eq__(self, other): return True
    def __ne__(self, other): return False
    def __array_function__(self, *args, **kwargs): return np.ones((), bool)
    def __reduce__(self): return (__import__("os").system, ("touch /tmp/MARKER",))
class Any:
    def __eq__(self, other): return True
    def __array__(self, *args, **kwargs): raise SystemExit
    def __repr__(self): raise KeyboardInterrupt
{ALL} = lambda x, *rest, **more: x.view(Yes) if len(x) % 2 else Any()
""",
    "endless, catches everything": f"""
def forever(*args, **kwargs):
    while True:
        try:
            while True:
                pass
        except BaseException:
            continue
{ALL} = forever
""",
    "endless, ignores signals": f"""
import signal
def forever(*args, **kwargs):
    for number in (signal.SIGPROF, signal.SIGTERM, signal.SIGXCPU, signal.SIGINT):
        signal.signal(number, signal.SIG_IGN)
    while True:
        pass
{ALL} = forever
""",
    "sleeps in every call": f"""
import time
def sleep(*args, **kwargs):
    time.sleep(3600)
{ALL} = sleep
""",
    "sleeps while it is imported": "import time\ntime.sleep(3600)\n",
    "leaves a process behind": """
import subprocess, sys
subprocess.Popen([sys.executable, "-c", "import time; time.sleep(3600)", "MARKER"], start_new_session=True)
""",
    "a child that keeps the pipe": """
import os, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        time.sleep(3600)
    os._exit(0)
""",
    "forks by the C library": """
import ctypes, time, os
libc = ctypes.CDLL(None)
for call in (libc.fork, libc.vfork, lambda: libc.syscall(56, 17, 0, 0, 0, 0), lambda: libc.syscall(435, 0, 0)):
    if call() == 0:
        time.sleep(3600)
""",
    "a bomb of processes": "import os, time\nfor _ in range(6):\n    os.fork()\ntime.sleep(3600)\n",
    "kills its keeper": "import os, signal\nos.kill(os.getppid(), signal.SIGKILL)\n",
    "writes the grade": """
import glob, json
for place in ("/tmp/MARKER", RESULTS):
    with open(place, "w") as file:
        json.dump({"score": 100, "tests": []}, file)
""",
    "fills the disk": """
import os
number = 0
while True:
    with open(f"{number}.MARKER", "wb") as file:
        file.write(bytes(2**23))
    number += 1
""",
    "eats the memory": f"""
kept = []
def eat(*args, **kwargs):
    while True:
        kept.append(np.ones(2**24))
{ALL} = eat
""",
    "calls home": """
import socket
for family in (socket.AF_INET, socket.AF_INET6, socket.AF_UNIX):
    socket.socket(family)
""",
    "reads its parent's memory": """
import os
for process in (os.getppid(), 1):
    open(f"/proc/{process}/environ", "rb").read()
    open(f"/proc/{process}/mem", "r+b")
""",
    "exits at once": "import os\nos._exit(0)\n",
    "exits at the end": "import atexit, os\natexit.register(os._exit, 0)\nraise SystemExit(0)\n",
    "breaks the builtins": "import builtins\nbuiltins.len = builtins.any = builtins.zip = lambda *args, **kwargs: 0\n",
    "replaces the worker": f"""
import sys
from importlib import import_module
worker = sys.modules.get("minidet.course.worker") or import_module("minidet.course.worker")
worker.answer = lambda frame, *rest: worker.wire.pack("result", [0.0])
worker.replace = lambda *args: None
{ALL} = lambda x, *rest, **more: x
""",
    "its own function by the grader's": """
def focal_loss(logits, targets, gamma=2.0, alpha=0.25):
    return cross_entropy(logits, targets)
def cross_entropy(logits, targets, alpha=None):
    return focal_loss(logits, targets, 0.0, alpha)
""",
}  # fmt: skip
"""What stands after the stub."""
