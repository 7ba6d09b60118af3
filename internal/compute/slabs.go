package compute

import "fmt"

// Slabs is a step arena in the memory of a device. B is the type by which the device refers to memory that it
// allocated. There is one slab, unless the arena has grown in this step. The zero value is an empty arena.
type Slabs[B comparable] struct {
	arena    Arena
	slabs    []slab[B] // in the order of start
	reserved int64     // bytes of the only slab; 0 if the arena may grow
	grown    int64
}

// slab is the memory of the arena's bytes [start, start+bytes).
type slab[B comparable] struct {
	memory       B
	start, bytes int64
}

// ArenaError reports that an arena of reserved size has no room for a tensor.
type ArenaError struct {
	Needed, Reserved int64 // bytes
	Shape            Shape // of the tensor that did not fit
}

// Error names the tensor, the bytes that the step needs and those that are reserved.
func (e *ArenaError) Error() string {
	return fmt.Sprintf(
		"step arena: with a tensor of %v it needs %d bytes, %d are reserved; reserve what the largest step needs",
		e.Shape, e.Needed, e.Reserved)
}

// Temp returns the memory of a tensor of the given shape whose elements have size bytes, and the byte at which it
// begins. If the arena has no room it grows by a slab from allocate, unless its size is reserved; then the error is
// an *ArenaError.
func (s *Slabs[B]) Temp(shape Shape, size int64, allocate func(bytes int64) B) (memory B, at int64, err error) {
	n := int64(shape.Len()) * size
	offset := s.arena.Alloc(n)
	found := s.find(offset, n)
	if found == nil {
		if s.reserved > 0 {
			return memory, 0, &ArenaError{Needed: offset + n, Reserved: s.reserved, Shape: shape}
		}
		// Each slab is at least as large as all earlier ones together, so that few are needed.
		const least = 1 << 20
		bytes := max(n, offset, least)
		s.slabs = append(s.slabs, slab[B]{allocate(bytes), offset, bytes})
		s.grown++
		found = &s.slabs[len(s.slabs)-1]
	}
	return found.memory, offset - found.start, nil
}

// find returns the slab that contains the n bytes at offset, or nil. The newest slab comes first: it begins where a
// tensor begins, so that no tensor crosses its start.
func (s *Slabs[B]) find(offset, n int64) *slab[B] {
	for i := len(s.slabs) - 1; i >= 0; i-- {
		if b := &s.slabs[i]; offset >= b.start && offset+n <= b.start+b.bytes {
			return b
		}
	}
	return nil
}

// Release frees the n bytes that begin at byte `at` of memory. It has no effect on memory from before Reserve or
// Reset.
func (s *Slabs[B]) Release(memory B, at, n int64) {
	for i := range s.slabs {
		if b := &s.slabs[i]; b.memory == memory && s.find(b.start+at, n) == b {
			s.arena.Free(b.start+at, n)
			return
		}
	}
}

// Reserve makes the arena one slab of at least the given size and empties it. From then on Temp returns an error for
// a tensor that does not fit.
func (s *Slabs[B]) Reserve(bytes int64, allocate func(bytes int64) B, free func(B)) {
	s.arena.Reset()
	if len(s.slabs) != 1 || s.slabs[0].bytes < bytes {
		s.replace(bytes, allocate, free)
	}
	s.reserved = s.slabs[0].bytes
}

// Reset empties the arena, and makes it one slab if it has grown.
func (s *Slabs[B]) Reset(allocate func(bytes int64) B, free func(B)) {
	s.arena.Reset()
	if len(s.slabs) > 1 {
		s.replace(s.arena.Peak(), allocate, free)
	}
}

// replace frees all slabs and allocates one of the given size.
func (s *Slabs[B]) replace(bytes int64, allocate func(bytes int64) B, free func(B)) {
	for _, b := range s.slabs {
		free(b.memory)
	}
	s.slabs = []slab[B]{{allocate(bytes), 0, bytes}}
}

// Count sets the counters of the arena in the counters of a device.
func (s *Slabs[B]) Count(to *Stats) {
	to.ArenaPeak, to.Grown = s.arena.Peak(), s.grown
	for _, b := range s.slabs {
		to.ArenaBytes += b.bytes
	}
}
