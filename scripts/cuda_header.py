"""Write what package culazy needs to stand in for libcuda: the declarations
that gorgonia.org/cu uses (include/cuda.h), the table of entry points (names.h)
and the jumps through it (jump_amd64.S).

The facts come from the header of a CUDA toolkit: names, parameter types,
values, layouts. No text of it is copied. Version 11.8 names the oldest entry
points that every later driver keeps. Each size, offset and value is compared
between the two headers by the C compiler before anything is written.

Run from the repository root, with pycparser installed:
  pip download --no-deps nvidia-cuda-runtime-cu11==11.8.89 && unzip nvidia_cuda_runtime_cu11*.whl
  python scripts/cuda_header.py nvidia/cuda_runtime/include
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from pycparser import c_ast, c_generator, c_parser

OUT = Path("internal/gpu/culazy")

# These entry points are missing in cu. Package driver declares them, under the names of
# the ABI.
EXTRA = """
cuFuncGetParamInfo cuFuncSetAttribute cuGetErrorName cuGraphDestroy cuGraphExecDestroy
cuGraphInstantiateWithFlags cuGraphLaunch cuLaunchKernelEx cuMemHostAlloc cuStreamBeginCapture_v2
cuStreamEndCapture cuTensorMapEncodeTiled
""".split()

# culazy.c defines these itself.
OWN = ["cuDeviceGetCount", "cuInit"]


def run(*args, text=None):
    return subprocess.run(args, input=text, capture_output=True, text=True, check=True).stdout


def used_by_cu():
    """Every identifier of the C side of cu, as it is written in Go and C files."""
    template = '{{.Dir}}{{range .CgoFiles}} {{.}}{{end}}|{{range .CFiles}} {{.}}{{end}}{{range .HFiles}} {{.}}{{end}}'
    go, c = run("go", "list", "-f", template, "gorgonia.org/cu").split("|")
    folder, *go = go.split()
    words = set()
    for name in go:
        words.update(re.findall(r"\bC\.(\w+)", Path(folder, name).read_text()))
    for name in c.split():
        words.update(re.findall(r"\w+", Path(folder, name).read_text()))
    return {w for w in words if re.match(r"cu[A-Z]|CU|cuuint", w)}


class Header:
    """The declarations of a cuda.h, by name."""

    def __init__(self, folder):
        with tempfile.TemporaryDirectory() as fake:
            Path(fake, "stdlib.h").write_text("typedef unsigned long size_t;\n")
            Path(fake, "stdint.h").write_text(
                "typedef unsigned int uint32_t; typedef unsigned long uint64_t; typedef unsigned long uintptr_t;\n"
            )
            flags = ["-nostdinc", "-I", fake, "-I", folder, "-D__attribute__(x)=", "-D__inline__=", "-x", "c", "-"]
            source = run("gcc", "-E", "-P", *flags, text="#include <cuda.h>\n")
            macros = run("gcc", "-E", "-dM", *flags, text="#include <cuda.h>\n")
        # The macros for per-thread default streams do not change the name.
        self.renamed = dict(re.findall(r"^#define (cu\w+) (?:__CUDA_API_PT\w+\()?(cu\w+)\)?$", macros, re.M))
        self.numbers = dict(re.findall(r"^#define (CU\w+) (\(?-?\d[\dxA-Fa-f]*\)?)$", macros, re.M))
        self.functions, self.types, self.enums, self.structs = {}, {}, {}, {}
        for node in c_parser.CParser().parse(source).ext:
            self.tagged(node)
            if isinstance(node, c_ast.Typedef):
                self.types[node.name] = node.type
            elif isinstance(node, c_ast.Decl) and isinstance(node.type, c_ast.FuncDecl):
                self.functions[node.name] = node.type

    def tagged(self, node):
        for _, child in node.children():
            self.tagged(child)
        if isinstance(node, c_ast.Enum) and node.values:
            self.enums[node.name] = [e.name for e in node.values.enumerators]
        if isinstance(node, (c_ast.Struct, c_ast.Union)) and node.decls:
            self.structs[node.name] = node


class Nameless(c_generator.CGenerator):
    """A printer that omits the names of parameters."""

    def visit_FuncDecl(self, n):
        return self._generate_type(n)

    def visit_ParamList(self, n):
        for p in n.params:
            inner = p.type
            while isinstance(inner, (c_ast.PtrDecl, c_ast.ArrayDecl)):
                inner = inner.type
            p.name = inner.declname = None
        return super().visit_ParamList(n)


def declare(header, wanted):
    """The text of the declarations of wanted and of everything that they use."""
    printer, lines, seen = Nameless(), [], set()

    def need(node):
        """Declares every type below node first."""
        for _, child in node.children():
            need(child)
        if isinstance(node, c_ast.IdentifierType):
            for name in node.names:
                type_name(name)
        elif isinstance(node, (c_ast.Struct, c_ast.Union)) and node.name in header.structs:
            struct(node.name)

    def struct(tag):
        if tag in seen:
            return
        seen.add(tag)
        need(header.structs[tag])
        lines.append(printer.visit(header.structs[tag]) + ";")

    def type_name(name):
        if name in seen or name not in header.types or name in ("size_t", "uint32_t", "uint64_t", "uintptr_t"):
            return
        seen.add(name)
        node = header.types[name]
        if isinstance(node, c_ast.TypeDecl) and isinstance(node.type, c_ast.Enum):
            lines.append(f"typedef unsigned int {name};")
            return
        if isinstance(node, c_ast.TypeDecl) and isinstance(node.type, (c_ast.Struct, c_ast.Union)):
            need(node)
            lines.append(f"typedef {'struct' if isinstance(node.type, c_ast.Struct) else 'union'} {node.type.name} {name};")
            return
        need(node)
        lines.append(printer.visit(c_ast.Typedef(name, [], ["typedef"], node)) + ";")

    functions = []
    for word in sorted(wanted):
        if word in header.types:
            type_name(word)
        real = header.renamed.get(word, word)
        if real in header.functions:
            need(header.functions[real])
            functions.append(printer.visit(c_ast.Decl(real, [], [], [], [], header.functions[real], None, None)) + ";")
            if real != word:
                functions.append(f"#define {word} {real}")
    return lines, functions, sorted(s for s in seen if s in header.types)


def values(folder, names):
    """The values of constants according to the compiler."""
    lines = ["#include <stdio.h>", "#include <cuda.h>", "int main(void) {"]
    lines += [f'  printf("{n} %lld\\n", (long long)({n}));' for n in names] + ["}"]
    return {n: int(v) for n, v in (line.split() for line in execute(folder, "\n".join(lines)).splitlines())}


def execute(folder, source):
    with tempfile.TemporaryDirectory() as build:
        binary = str(Path(build, "a"))
        run("gcc", "-w", "-I", str(folder), "-x", "c", "-", "-o", binary, text=source)
        return run(binary)


def layout(folder, header, names):
    """Sizes of types, offsets of fields."""
    lines = ["#include <stddef.h>", "#include <stdio.h>", "#include <cuda.h>", "int main(void) {"]
    for name in names:
        node = header.types[name]
        if isinstance(node, c_ast.FuncDecl):
            continue
        lines.append(f'  printf("{name} %zu\\n", sizeof({name}));')
        inner = getattr(node, "type", None)
        if isinstance(inner, c_ast.Struct) and inner.name in header.structs:
            for field in header.structs[inner.name].decls:
                if field.name:
                    lines.append(f'  printf("{name}.{field.name} %zu\\n", offsetof({name}, {field.name}));')
    return execute(folder, "\n".join(lines + ["}"]))


def prototypes(header, real):
    printer = Nameless()
    return [printer.visit(header.functions[f]) for f in real]


def main():
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    theirs = sys.argv[1]
    header = Header(theirs)
    words = used_by_cu()
    # cu also declares functions of its own in the same style, which are in no header.
    functions = sorted({header.renamed.get(w, w) for w in words if header.renamed.get(w, w) in header.functions})
    constants = [c for names in header.enums.values() for c in names if c in words]
    constants += sorted(c for c in words if c in header.numbers)
    lines, declared, types = declare(header, words)
    numbers = [f"#define {name} {v}" for name, v in values(theirs, constants).items()]
    text = "\n".join([
        "// The CUDA driver's binary interface as far as gorgonia.org/cu names it.",
        "// Written by scripts/cuda_header.py.",
        "#pragma once", "#include <stdint.h>", "#include <stdlib.h>", "", *numbers, "", *lines, "", *declared, "",
    ])
    (OUT / "include").mkdir(parents=True, exist_ok=True)
    ours = OUT / "include" / "cuda.h"
    ours.write_text(text)
    again = Header(str(ours.parent))
    if values(theirs, constants) != values(ours.parent, constants):
        sys.exit("a constant differs")
    if layout(theirs, header, types) != layout(ours.parent, header, types):
        sys.exit("a size or an offset differs")
    if prototypes(header, functions) != prototypes(again, functions):
        sys.exit("a prototype differs")

    table = sorted(set(functions) | set(EXTRA) | set(OWN))
    (OUT / "names.h").write_text("\n".join([
        "// The entry points of the table. Written by scripts/cuda_header.py.",
        *(f"#define AT_{name} {table.index(name)}" for name in OWN),
        f"#define ENTRIES {len(table)}",
        "static const char *const names[ENTRIES] = {", *(f'    "{name}",' for name in table), "};", "",
    ]))
    jumps = ["// Each entry point jumps to where culazy_entry points.", "// Written by scripts/cuda_header.py.", "",
             "//go:build cuda && linux && amd64", "", '\t.section .note.GNU-stack,"",@progbits', "\t.text"]
    for i, name in enumerate(table):
        if name not in OWN:
            jumps += [f"\t.globl {name}", f"\t.hidden {name}", f"\t.type {name}, @function", f"{name}:",
                      "\tendbr64", f"\tjmp *culazy_entry+{8 * i}(%rip)", f"\t.size {name}, .-{name}"]
    (OUT / "jump_amd64.S").write_text("\n".join(jumps) + "\n")
    print(f"{len(functions)} functions, {len(constants)} constants, {len(types)} types; {len(table)} entry points")


main()
