# Writes registers, memory and instructions of compiled kernels as CSV and fails
# if a kernel spills registers to memory. Reads the logs of ptxas -v, and
# disassemblies in which the section of a kernel precedes its instructions.
function flush() {
    if (kernel) made[kernel "," target] = registers "," stack "," stores "," loads "," shared
    kernel = ""
}
BEGIN {
    print "kernel,target,registers,stack_bytes,spill_store_bytes,spill_load_bytes,static_shared_bytes," \
          "loads_16_bytes,loads_smaller,stores_16_bytes,stores_smaller,tensor_core"
}
FNR == 1 {
    flush()
    parts = split(FILENAME, folder, "/")
    target = folder[parts - 1]; section = ""
}

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
        if (seen[name[2]]) line = line sprintf(",%d,%d,%d,%d,%d", count[k, "load1"], count[k, "load0"], count[k, "store1"], count[k, "store0"], count[k, "mma"])
        else line = line ",,,,,"
        print line | sorted
        split(made[k], n, ",")
        if (n[3] + n[4] > 0) { print "spills: " k ": " n[3] " bytes stored, " n[4] " loaded" > "/dev/stderr"; bad = 1 }
        kernels++
    }
    close(sorted)
    if (!kernels) { print "no kernel in the logs" > "/dev/stderr"; bad = 1 }
    exit bad
}
