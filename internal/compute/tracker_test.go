package compute_test

import (
	"testing"

	"github.com/lor2c/lor2c/internal/compute"
	"github.com/lor2c/lor2c/internal/cpu"
)

// TestTracker: FreeAll gives back what was allocated through the tracker, and nothing else.
func TestTracker(t *testing.T) {
	dev := cpu.Open[float32](1)
	before := dev.Alloc(compute.Shape{3}, compute.Working)
	bytes := dev.Stats().PersistentBytes
	tr := &compute.Tracker{Device: dev}
	first := tr.Alloc(compute.Shape{5, 7}, compute.Working)
	tr.Alloc(compute.Shape{5}, compute.Exact)
	tr.AllocFrozen(compute.Shape{16, 16}, compute.Working)
	tr.Free(first)
	tr.FreeAll()
	if got := dev.Stats().PersistentBytes; got != bytes {
		t.Errorf("%d bytes are allocated; want the %d from before", got, bytes)
	}
	tr.FreeAll()
	got := make([]float32, 3)
	if dev.Download(got, before); dev.Err() != nil {
		t.Error(dev.Err())
	}
}
