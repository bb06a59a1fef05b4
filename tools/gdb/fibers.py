"""gdb -x tools/gdb/fibers.py -p PID (or with a core), then:

    fibers            every fiber with its name, note and what it waits for
    fibers bt         the same, each with its backtrace
    fibers bt TEXT    only those with TEXT in their name or note

In a live process gdb unwinds a fiber from the registers it left on its stack; they are put back afterwards. A core's
registers cannot be set: there the chain of frame pointers is followed (pail is compiled with them). The core must be
the kernel's: gdb's own generate-core-file gives up where a stack's guard cannot be read.
"""
import gdb

LAYOUTS = {  # as src/run/switch_*.S writes them: register -> offset from fiber.sp; where sp is after the return
    "i386:x86-64": (["r15", "r14", "r13", "r12", "rbx", "rbp", "rip"], 8, "rsp", 64, "rbp", "rip"),
    "aarch64": (["x%d" % i for i in range(19, 31)], 0, "sp", 176, "x29", "x30"),
}


def word(address):
    return int(gdb.parse_and_eval("*(unsigned long *)%d" % address))


def saved(sp):
    names, first, stack, size, frame, ret = LAYOUTS[gdb.selected_frame().architecture().name()]
    registers = {name: word(sp + first + 8 * i) for i, name in enumerate(names)}
    registers[stack] = sp + size
    registers["pc"] = registers[ret]
    return registers, registers[frame]


def set_all(registers):
    for name, value in registers.items():
        gdb.execute("set $%s = %d" % (name, value))


def backtrace(sp):
    registers, frame = saved(sp)
    gdb.execute("frame 0", to_string=True)
    before = {name: int(gdb.parse_and_eval("(unsigned long)$%s" % name)) for name in registers}
    try:
        set_all(registers)
        gdb.execute("bt")
    except gdb.error:  # a core
        pc = registers["pc"]
        while pc:
            print("    %s" % gdb.execute("info symbol %d" % pc, to_string=True).strip(),
                  gdb.find_pc_line(pc - 1).symtab or "", gdb.find_pc_line(pc - 1).line or "")
            frame, pc = (word(frame), word(frame + 8)) if frame else (0, 0)
    finally:
        try:
            set_all(before)
        except gdb.error:
            pass


class Fibers(gdb.Command):
    def __init__(self):
        super().__init__("fibers", gdb.COMMAND_STACK)

    def invoke(self, argument, from_tty):
        words = argument.split()
        gdb.execute("thread 1", to_string=True)  # the one that runs fibers
        fiber = gdb.parse_and_eval("'fiber.c'::fibers.youngest")
        while fiber:
            f = fiber.dereference()
            name, note = f["name"].string(), f["note"].string()
            state = str(f["state"]).replace("FIBER_", "").lower()
            if len(words) < 2 or words[1] in name + " " + note:
                print("fiber=%s note=%s %s: %s" % (name, note or "-", state, f["what"].string()))
                if words and state != "running":
                    backtrace(int(f["sp"]))
                elif words:
                    print("    (it is the thread's own backtrace: bt)")
            fiber = f["older"]


Fibers()
