// Package checkpoint reads and writes files of tensors, and directories that
// are never half-written.
//
// Tensors live in the safetensors format: eight bytes of little-endian header
// length, a JSON header, then one buffer that the tensors fill without overlap
// or gap (https://huggingface.co/docs/safetensors). [Open] maps one file,
// [OpenModel] a model folder as the Hugging Face hub lays it out, in one file
// or in shards; [Write] produces the bytes the reference implementation
// produces.
//
// Directories are written beside their final place, listed in a checksum
// manifest, flushed to the disk and only then renamed ([WriteDir]). A reader
// therefore sees the old directory, the new one, or, if the disk lost flushed
// data, one whose checksums do not match ([VerifyDir], [Latest]).
package checkpoint

import "fmt"

// Misuse is the panic value of this package if its caller breaks a contract,
// such as reading from a closed file or writing a tensor whose shape does not
// fit its data. No content of a file and no state of a disk causes it.
type Misuse struct {
	Call    string // function that was misused
	Problem string // what is wrong, with the value
}

// Error describes the broken contract in one line.
func (m Misuse) Error() string { return fmt.Sprintf("checkpoint: %s: %s", m.Call, m.Problem) }
