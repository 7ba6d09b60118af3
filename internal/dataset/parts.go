package dataset

// Parts divides the examples with the given indices, in their order, into parts of at most size examples. If tokens is
// not 0, a part has at most that many tokens as well, unless it is a single example with more.
func (e *Encoded) Parts(indices []int32, size, tokens int) (parts [][]int32) {
	start, sum := 0, 0
	for i, x := range indices {
		n := e.Tokens(x)
		if i > start && (i-start == size || tokens > 0 && sum+n > tokens) {
			parts = append(parts, indices[start:i])
			start, sum = i, 0
		}
		sum += n
	}
	if start < len(indices) {
		parts = append(parts, indices[start:])
	}
	return parts
}

// Tokens returns the number of tokens of example i.
func (e *Encoded) Tokens(i int32) int { return int(e.Cu[i+1] - e.Cu[i]) }
