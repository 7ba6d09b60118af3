//go:build !linux

package sgemm

// tileUnit returns false: lor2c asks no other system than Linux for the tile unit.
func tileUnit() bool { return false }
