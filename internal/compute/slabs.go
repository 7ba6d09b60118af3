package compute

import "fmt"

// Slabs is a step arena in the memory of a device. B is how the device refers to memory that it allocated. There is one
// slab, unless the arena grew in this step. The zero value is an empty arena.
type Slabs[B comparable] struct {
	arena    Arena
	slabs    []slab[B] // by start
	reserved int64     // bytes of the only slab; 0: the arena may grow
	grown    int64
}

// slab is memory for the arena's bytes from start on.
type slab[B comparable] struct {
	memory       B
	start, bytes int64
}

// ArenaError is the failure to find room in an arena of reserved size.
type ArenaError struct {
	Needed, Reserved int64 // bytes
	Shape            Shape // of the tensor that did not fit
}

// Error says how much memory a step needs.
func (e *ArenaError) Error() string {
	return fmt.Sprintf("step arena: with a tensor of %v it needs %d bytes, %d are reserved; reserve what the largest step needs",
		e.Shape, e.Needed, e.Reserved)
}

// Temp returns memory with room for elements of the given size in bytes, as many as shape has, and the byte at which
// they begin. If the arena has no room it grows by a slab of allocate, unless its size is reserved.
func (s *Slabs[B]) Temp(shape Shape, size int64, allocate func(bytes int64) B) (memory B, at int64, err error) {
	n := int64(shape.Len()) * size
	offset := s.arena.Alloc(n)
	found := s.find(offset, n)
	if found == nil {
		if s.reserved > 0 {
			return memory, 0, &ArenaError{Needed: offset + n, Reserved: s.reserved, Shape: shape}
		}
		// Each slab is at least as large as all before it, so that few are needed.
		const least = 1 << 20
		bytes := max(n, offset, least)
		s.slabs = append(s.slabs, slab[B]{allocate(bytes), offset, bytes})
		s.grown++
		found = &s.slabs[len(s.slabs)-1]
	}
	return found.memory, offset - found.start, nil
}

// find returns the slab with the n bytes at offset, or nil. The newest is asked first: it begins at a tensor, so that no
// tensor lies across its start.
func (s *Slabs[B]) find(offset, n int64) *slab[B] {
	for i := len(s.slabs) - 1; i >= 0; i-- {
		if b := &s.slabs[i]; offset >= b.start && offset+n <= b.start+b.bytes {
			return b
		}
	}
	return nil
}

// Release returns n bytes early, which begin at byte at of memory. Memory from before Reserve or Reset has no effect.
func (s *Slabs[B]) Release(memory B, at, n int64) {
	for i := range s.slabs {
		if b := &s.slabs[i]; b.memory == memory && s.find(b.start+at, n) == b {
			s.arena.Free(b.start+at, n)
			return
		}
	}
}

// Reserve makes the arena one slab of at least the given size, empty as after Reset. From then on a Temp that does not
// fit is an error.
func (s *Slabs[B]) Reserve(bytes int64, allocate func(bytes int64) B, free func(B)) {
	s.arena.Reset()
	if len(s.slabs) != 1 || s.slabs[0].bytes < bytes {
		s.replace(bytes, allocate, free)
	}
	s.reserved = s.slabs[0].bytes
}

// Reset empties the arena, and makes it one slab if it grew.
func (s *Slabs[B]) Reset(allocate func(bytes int64) B, free func(B)) {
	s.arena.Reset()
	if len(s.slabs) > 1 {
		s.replace(s.arena.Peak(), allocate, free)
	}
}

// replace frees all slabs and allocates one.
func (s *Slabs[B]) replace(bytes int64, allocate func(bytes int64) B, free func(B)) {
	for _, b := range s.slabs {
		free(b.memory)
	}
	s.slabs = []slab[B]{{allocate(bytes), 0, bytes}}
}

// Count adds what the arena knows to the counters of a device.
func (s *Slabs[B]) Count(to *Stats) {
	to.ArenaPeak, to.Grown = s.arena.Peak(), s.grown
	for _, b := range s.slabs {
		to.ArenaBytes += b.bytes
	}
}
