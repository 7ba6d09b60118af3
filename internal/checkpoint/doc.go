// Package checkpoint reads and writes files of tensors, and directories that
// are never incomplete.
//
// The tensors are in the safetensors format: eight bytes of little-endian
// header length, a JSON header, then one buffer that the tensors fill without
// overlap or gap (https://huggingface.co/docs/safetensors). [Open] maps one
// file, and [OpenModel] maps a model folder in the layout of the Hugging Face
// hub, with one file or with shards. [Write] writes the same bytes as the
// reference implementation.
//
// A directory is written beside its final place, listed in a checksum manifest,
// flushed to the disk and only then renamed ([WriteDir]). A reader therefore
// sees the old directory, the new one, or, if the disk lost flushed data, one
// whose checksums do not match ([VerifyDir], [Latest]).
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
