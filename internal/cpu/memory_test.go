package cpu

import (
	"math"
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
)

// TestReserveExceeded checks that the error names the bytes needed and reserved, remains the error of the device, and
// makes all methods do nothing.
func TestReserveExceeded(t *testing.T) {
	d := Open[float32](1)
	keep := d.Alloc(compute.Shape{4}, compute.Working)
	d.Reserve(1024)
	d.Temp(compute.Shape{100}, compute.Working)
	lost := d.Temp(compute.Shape{10, 20}, compute.Working)
	const want = "cpu: step arena: with a tensor of [10 20] it needs 1312 bytes, 1024 are reserved; " +
		"reserve what the largest step needs"
	if err := d.Err(); err == nil || err.Error() != want {
		t.Fatalf("Err() = %v, want %s", err, want)
	}
	if !lost.Present() {
		t.Error("a tensor that does not fit is absent; callers would read this as an option that was left out")
	}
	d.Fill(keep, 1)
	d.Axpy(lost, 1, keep)
	d.Release(lost)
	d.Reset()
	d.Temp(compute.Shape{1}, compute.Working)
	if err := d.Sync(); err == nil || err.Error() != want {
		t.Errorf("Sync() = %v, want the first error", err)
	}
	if got := Data[float32](keep)[0]; got != 0 {
		t.Errorf("Fill wrote %v on a device that had failed", got)
	}
	if err := d.Close(); err == nil || err.Error() != want {
		t.Errorf("Close() = %v, want the first error", err)
	}
}

// TestGrowth checks that tensors keep their place while the arena grows, and that the next step has one slab for all
// of them.
func TestGrowth(t *testing.T) {
	d := Open[float64](1)
	var live []compute.Tensor
	for i := range 40 {
		x := d.Temp(compute.Shape{10000 * (i + 1)}, compute.Working)
		d.Fill(x, float32(i))
		live = append(live, x)
	}
	for i, x := range live {
		for _, v := range Data[float64](x) {
			if v != float64(i) {
				t.Fatalf("tensor %d contains %v", i, v)
			}
		}
	}
	grown := d.Stats().Grown
	if grown < 2 || grown > 12 {
		t.Errorf("the arena grew %d times, want a few", grown)
	}
	d.Release(live[7])
	if again := d.Temp(live[7].Shape, compute.Working); again.Buf != live[7].Buf || again.Off != live[7].Off {
		t.Error("Temp after Release does not reuse the memory")
	}
	d.Reset()
	s := d.Stats()
	if s.ArenaBytes != s.ArenaPeak {
		t.Errorf("after Reset the arena is %d bytes, want %d", s.ArenaBytes, s.ArenaPeak)
	}
	d.Release(live[3]) // from the previous step; must not affect this one
	x, y := d.Temp(live[3].Shape, compute.Working), d.Temp(live[3].Shape, compute.Working)
	if x.Off == y.Off {
		t.Error("two live tensors share memory")
	}
	if got := d.Stats().Grown; got != grown {
		t.Errorf("Grown went from %d to %d though the step is smaller", grown, got)
	}
}

func TestClose(t *testing.T) {
	d := Open[float32](1)
	for range 2 {
		if err := d.Close(); err != nil {
			t.Errorf("Close() = %v", err)
		}
	}
	if err := d.Err(); err == nil || err.Error() != "cpu: device is closed" {
		t.Errorf("Err() = %v after Close", err)
	}
}

// TestPoison checks that with the tag invariants, memory that was never written is NaN.
func TestPoison(t *testing.T) {
	d := Open[float32](1)
	x := d.Temp(compute.Shape{3}, compute.Working)
	y := d.Temp(compute.Shape{3}, compute.Int)
	poison[float32](x)
	poison[float32](y)
	if v := Data[float32](x)[2]; v == v {
		t.Errorf("float is %v, want NaN", v)
	}
	if v := ints[float32](y)[2]; v != math.MinInt32 {
		t.Errorf("int is %v", v)
	}
	d.Fill(x, 1)
	d.Reset()
	if v := Data[float32](d.Temp(compute.Shape{3}, compute.Working))[2]; invariants != (v != v) {
		t.Errorf("a new tensor contains %v, invariants is %t", v, invariants)
	}
}
