# Turns the logs of ptxas -v into lines of CSV and fails where a kernel spills
# registers to memory.
function flush() {
    if (kernel) rows[kernel "," target] = registers "," stack "," stores "," loads "," shared
    kernel = ""
}
BEGIN { print "kernel,target,registers,stack_bytes,spill_store_bytes,spill_load_bytes,static_shared_bytes" }
/Compiling entry function/ {
    flush()
    split($0, quoted, "'")
    kernel = quoted[2]; target = quoted[4]; shared = 0
}
/bytes stack frame/ && kernel {
    match($0, /[0-9]+ bytes stack/); stack = $0; gsub(/^ +/, "", stack)
    split(stack, n, /[^0-9]+/); stack = n[1]; stores = n[2]; loads = n[3]
}
/Used [0-9]+ registers/ && kernel {
    match($0, /Used [0-9]+/); registers = substr($0, RSTART + 5, RLENGTH - 5)
    if (match($0, /[0-9]+ bytes smem/)) shared = substr($0, RSTART, RLENGTH - 11)
}
END {
    flush()
    sorted = "sort -t, -k1,1 -k2,2V"
    for (k in rows) {
        print k "," rows[k] | sorted
        split(rows[k], n, ",")
        if (n[3] + n[4] > 0) { print "spills: " k ": " n[3] " bytes stored, " n[4] " loaded" > "/dev/stderr"; bad = 1 }
        count++
    }
    close(sorted)
    if (!count) { print "no kernel in the logs" > "/dev/stderr"; bad = 1 }
    exit bad
}
