package tokenizer

// truncate cuts a and b from the right so that together they hold at most room
// ids, by Hugging Face's longest_first rule: the longer text is cut down to the
// shorter first; if both must be cut they share room evenly, and an odd id goes
// to the text that was longer (the second on a tie). If b is nil there is a
// single text.
func truncate(a, b []int32, room int) (keptA, keptB []int32) {
	if len(a)+len(b) <= room {
		return a, b
	}
	if b == nil {
		return a[:room], nil
	}
	short, long := len(a), len(b)
	swapped := short > long
	if swapped {
		short, long = long, short
	}
	if 2*short <= room {
		long = room - short
	} else {
		short = room / 2
		long = room - short
	}
	if swapped {
		short, long = long, short
	}
	return a[:short], b[:long]
}
