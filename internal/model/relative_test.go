package model

import (
	"encoding/json"
	"os"
	"testing"
)

// TestRelativeBucket: every distance has the bucket that transformers computes for it.
func TestRelativeBucket(t *testing.T) {
	raw, err := os.ReadFile("testdata/relative_buckets.json")
	if err != nil {
		t.Fatal(err)
	}
	var golden struct {
		First   int
		Buckets []int32
	}
	if err := json.Unmarshal(raw, &golden); err != nil {
		t.Fatal(err)
	}
	if len(golden.Buckets) != 1201 {
		t.Fatalf("%d distances; want 1201", len(golden.Buckets))
	}
	for i, want := range golden.Buckets {
		if got := relativeBucket(golden.First + i); got != want {
			t.Errorf("distance %d has bucket %d; want %d", golden.First+i, got, want)
		}
	}
}
