# Writes registers, memory and instructions of compiled kernels as CSV. Reads the
# logs of ptxas -v, and disassemblies in which the section of a kernel precedes
# its instructions. It fails
#   - if a kernel uses local memory, because registers spill or an array is
#     indexed by a variable,
#   - if ptxas warns, or notes that it serialises wgmma or adds waits to it
#     (C7510 to C7519),
#   - if a kernel of the report in the file `before` has more indirect branches or
#     more accesses of unknown address space now.
function flush() {
    if (kernel) made[kernel "," target] = registers "," stack "," stores "," loads "," shared
    kernel = ""
}
BEGIN {
    print "kernel,target,registers,stack_bytes,spill_store_bytes,spill_load_bytes,static_shared_bytes," \
          "loads_16_bytes,loads_smaller,stores_16_bytes,stores_smaller,tensor_core,generic,indirect_branches"
    while (before && (getline row < before) > 0) {
        split(row, field, ",")
        if (field[13] != "") { was[field[1] "," field[2], "generic"] = field[13]; was[field[1] "," field[2], "branch"] = field[14] }
    }
}
function fault(text) { print text > "/dev/stderr"; bad = 1 }
function rise(k, kind, what) {
    if ((k, kind) in was && count[k, kind] + 0 > was[k, kind] + 0)
        fault(what ": " k ": " count[k, kind] + 0 "; the report has " was[k, kind])
}
FNR == 1 {
    flush()
    parts = split(FILENAME, folder, "/")
    target = folder[parts - 1]; section = ""
}

FILENAME !~ /\.sass/ && (/[Ww]arning/ || /C75[0-9][0-9]/) { fault("ptxas: " FILENAME ": " $0) }
/Compiling entry function/ {
    flush()
    split($0, quoted, "'")
    kernel = quoted[2]; shared = 0
}
/bytes stack frame/ && kernel { stack = $1; stores = $5; loads = $9 }
/Used [0-9]+ registers/ && kernel {
    match($0, /Used [0-9]+/); registers = substr($0, RSTART + 5, RLENGTH - 5)
    if (match($0, /[0-9]+ bytes smem/)) shared = substr($0, RSTART, RLENGTH - 11)
}

/^[ \t]*\.section[ \t]*\.text\./ { section = $2; sub(/^\.text\./, "", section); sub(/,.*/, "", section) }
# LD and ST are accesses whose address space the compiler does not know. In the
# kernels they are accesses to global memory.
section && /[ \t](LDL|STL)[. ]/ { count[section "," target, "local"]++ }
section && /[ \t](BRX|JMX)[. ]/ { count[section "," target, "branch"]++ }
section && /[ \t](LD|ST)\./ { count[section "," target, "generic"]++ }
section && match($0, /[ \t](LDG|STG|LDGSTS|LD|ST|HMMA|IMMA|HGMMA)\.[.A-Z0-9a-z_]*/) {
    op = substr($0, RSTART + 1, RLENGTH - 1)
    wide = op ~ /\.128/
    kind = op ~ /MMA/ ? "mma" : (op ~ /^ST/ ? "store" : "load") wide
    count[section "," target, kind]++
    seen[target] = 1
}

END {
    flush()
    sorted = "sort -t, -k1,1 -k2,2V"
    for (k in made) {
        split(k, name, ",")
        line = k "," made[k]
        if (seen[name[2]]) {
            line = line sprintf(",%d,%d,%d,%d,%d", count[k, "load1"], count[k, "load0"], count[k, "store1"], count[k, "store0"], count[k, "mma"])
            line = line sprintf(",%d,%d", count[k, "generic"], count[k, "branch"])
        } else line = line ",,,,,,,"
        print line | sorted
        split(made[k], n, ",")
        if (n[3] + n[4] > 0) fault("spills: " k ": " n[3] " bytes stored, " n[4] " loaded")
        if (n[2] + count[k, "local"] > 0) fault("local memory: " k ": " n[2] " bytes, " count[k, "local"] + 0 " instructions")
        rise(k, "generic", "accesses of unknown address space")
        rise(k, "branch", "indirect branches")
        kernels++
    }
    close(sorted)
    if (!kernels) fault("no kernel in the logs")
    exit bad
}
