//go:build !amd64

package sgemm

// BestTiles returns nil: this architecture has no tile unit.
func BestTiles() *Tiles { return nil }

const noTiles = "sgemm: this architecture has no tile unit"

func tiles1(int, *uint16, *uint16, *float32, int, float32, int, int, uint32, *float32) {
	panic(noTiles)
}
func tiles2(int, *uint16, *uint16, *float32, int, float32, int, int, uint32, *float32) {
	panic(noTiles)
}
func tiles3(int, *uint16, *uint16, *float32, int, float32, int, int, uint32, *float32) {
	panic(noTiles)
}

func split1(*uint16, *float32, int, int, int) { panic(noTiles) }
func split2(*uint16, *float32, int, int, int) { panic(noTiles) }
func split3(*uint16, *float32, int, int, int) { panic(noTiles) }
