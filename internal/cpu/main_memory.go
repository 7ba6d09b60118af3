package cpu

// MainMemory is what this process could have of the machine's memory, in bytes.
type MainMemory struct {
	Total int64 // of the machine, or the limit that is set for this process
	Free  int64 // not used by anybody
	Swap  int64 // that could be freed besides, by moving other data to disk
}

// bound applies a limit, of which so much is left.
func (m *MainMemory) bound(limit, left int64) {
	left = max(left, 0)
	m.Total, m.Free = min(m.Total, limit), min(m.Free, left)
	m.Swap = min(m.Swap, left-m.Free)
}
