package sgemm

// BestTiles returns the kernels of the tile unit, or nil if the processor or the system has none, or if AVX-512 is not
// to be used.
func BestTiles() *Tiles {
	if vectors := Best(); vectors == avx512 && tileUnit() {
		return &Tiles{vectors}
	}
	return nil
}
