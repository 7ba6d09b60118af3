package cpu

// MainMemory is the main memory that this process can use, in bytes.
type MainMemory struct {
	Total int64 // of the machine, or the limit for this process
	Free  int64 // not in use
	Swap  int64 // that could also be freed by moving other data to disk
}

// bound applies a limit, of which `left` bytes are unused.
func (m *MainMemory) bound(limit, left int64) {
	left = max(left, 0)
	m.Total, m.Free = min(m.Total, limit), min(m.Free, left)
	m.Swap = min(m.Swap, left-m.Free)
}
