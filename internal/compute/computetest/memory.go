package computetest

import (
	"github.com/lor2c/lor2c/internal/compute"
)

func memoryCases() []testCase {
	return []testCase{
		{name: "op=Name", run: func(s *suite) {
			if s.dev.Name() == "" {
				s.Errorf("Name() is empty")
			}
		}},
		{name: "op=Bytes", run: checkBytes},
		{name: "op=Alloc", run: checkAlloc, own: true},
		{name: "op=Upload", run: checkUpload},
		{name: "op=Temp", run: checkTemp, own: true},
		{name: "op=Reserve", run: checkReserve, own: true},
		{name: "op=View", run: checkView},
	}
}

// checkBytes checks that Exact is wide enough, and that Working has the same or half the size.
func checkBytes(s *suite) {
	full := int64(4)
	if s.cfg.double() {
		full = 8
	}
	float := full
	if s.cfg.Bits > 0 {
		float = 2
	}
	for d, want := range map[compute.DType]int64{compute.Int: 4, compute.Working: float, compute.Exact: full} {
		if got := s.dev.Bytes(d); got != want {
			s.Errorf("Bytes(%v) = %d, want %d", d, got, want)
		}
	}
}

// checkAlloc checks that tensors of Alloc start at zero, survive Reset, are counted, and are no longer counted after
// Free.
func checkAlloc(s *suite) {
	before := s.dev.Stats().PersistentBytes
	const n = 1025
	keep := s.dev.Alloc(compute.Shape{n}, compute.Working)
	got := make([]float32, n)
	s.dev.Download(got, keep)
	for i, v := range got {
		if v != 0 {
			s.Fatalf("element %d of a new tensor is %v, want 0", i, v)
		}
	}
	if d := s.dev.Stats().PersistentBytes - before; d < s.dev.Bytes(compute.Working)*n {
		s.Errorf("PersistentBytes grew by %d for %d elements", d, n)
	}
	s.dev.Fill(keep, 3)
	s.dev.Reset()
	s.dev.Fill(s.dev.Temp(compute.Shape{4 * n}, compute.Working), 5)
	s.dev.Download(got, keep)
	for i, v := range got {
		if v != 3 {
			s.Fatalf("element %d is %v after Reset, want 3", i, v)
		}
	}
	s.dev.Free(keep)
	if d := s.dev.Stats().PersistentBytes; d != before {
		s.Errorf("PersistentBytes = %d after Free, want %d", d, before)
	}
}

// checkUpload checks that Download returns what was uploaded even if the source changes right after Upload, and that
// Download counts as a wait.
func checkUpload(s *suite) {
	for _, n := range []int{1, 3, 17, 33, 257, 1025} {
		x := s.exact.normal(n, 1)
		b, whole := s.working.inout("x", make([]float64, n), n), s.exact.inout("Exact x", make([]float64, n), n)
		src := make([]float32, n)
		for i := range src {
			src[i] = float32(x[i])
		}
		s.dev.Upload(b.Tensor, src)
		s.dev.Upload(whole.Tensor, src)
		clear(src)
		s.same(whole, x)
		for i, v := range x {
			x[i] = s.working.round(v)
		}
		s.same(b, x)
		ids := s.below(n, n)
		want := make([]float64, n)
		for i, j := range ids {
			want[i] = x[j]
		}
		idx := s.dev.Temp(compute.Shape{n}, compute.Int)
		s.dev.UploadInts(idx, ids)
		clear(ids)
		dst := s.working.output("gathered", n, 1)
		s.dev.Gather(dst.Tensor, b.Slice(0, compute.Shape{n, 1}), idx)
		s.same(dst, want)
	}
	before := s.dev.Stats().Syncs
	s.dev.Download(make([]float32, 1), s.dev.Temp(compute.Shape{1}, compute.Working))
	s.dev.Sync()
	if got := s.dev.Stats().Syncs - before; got != 2 {
		s.Errorf("Syncs grew by %d for a Download and a Sync, want 2", got)
	}
}

// checkTemp checks that tensors that live at the same time do not overlap, that Release makes room, and that a second
// equal step neither grows the arena nor raises the peak.
func checkTemp(s *suite) {
	sizes := []int{1, 3, 17, 33, 257, 1025, 300000}
	step := func() {
		s.dev.Reset()
		var live []compute.Tensor
		for i, n := range sizes {
			t := s.dev.Temp(compute.Shape{n}, compute.Working)
			s.dev.Fill(t, float32(i+1))
			live = append(live, t)
		}
		for i, t := range live {
			got := make([]float32, sizes[i])
			s.dev.Download(got, t)
			for j, v := range got {
				if v != float32(i+1) {
					s.Fatalf("tensor %d overlaps another: element %d is %v", i, j, v)
				}
			}
		}
		peak := s.dev.Stats().ArenaPeak
		for _, t := range live {
			s.dev.Release(t)
		}
		for _, n := range sizes {
			s.dev.Temp(compute.Shape{n}, compute.Working)
		}
		if got := s.dev.Stats().ArenaPeak; got != peak {
			s.Errorf("ArenaPeak went from %d to %d, though all was released", peak, got)
		}
	}
	step()
	first := s.dev.Stats()
	step()
	s.dev.Reset()
	second := s.dev.Stats()
	if second.Grown != first.Grown {
		s.Errorf("Grown = %d after one step and %d after two equal ones", first.Grown, second.Grown)
	}
	if second.ArenaBytes < second.ArenaPeak {
		s.Errorf("ArenaBytes = %d after Reset, less than ArenaPeak %d", second.ArenaBytes, second.ArenaPeak)
	}
}

// checkReserve checks that the arena does not grow within the reserved size, and that the peak is that of
// compute.Arena.
func checkReserve(s *suite) {
	sizes := []int{33, 1, 1025, 257}
	var plan compute.Arena
	types := []compute.DType{compute.Working, compute.Int, compute.Exact}
	for _, n := range sizes {
		for _, d := range types {
			plan.Alloc(int64(n) * s.dev.Bytes(d))
		}
	}
	s.dev.Reserve(plan.Peak())
	before := s.dev.Stats().Grown
	for range 2 {
		s.dev.Reset()
		for _, n := range sizes {
			for _, d := range types {
				if t := s.dev.Temp(compute.Shape{n}, d); d != compute.Int {
					s.dev.Fill(t, 1)
				}
			}
		}
	}
	got := s.dev.Stats()
	if got.Grown != before || got.ArenaPeak != plan.Peak() {
		s.Errorf("Grown = %d, ArenaPeak = %d; want %d, %d", got.Grown, got.ArenaPeak, before, plan.Peak())
	}
	if err := s.dev.Err(); err != nil {
		s.Errorf("Err() = %v within what was reserved", err)
	}
}

// checkView checks that methods use the offset of a view.
func checkView(s *suite) {
	x := s.working.normal(15, 1)
	b := s.working.inout("x", x, 5, 3)
	s.dev.Fill(b.View(1, 3), 7)
	for i := 3; i < 9; i++ {
		x[i] = 7
	}
	s.same(b, x)
}
