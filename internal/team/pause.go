//go:build amd64 || arm64

package team

// pause tells the processor that this thread waits for another one, so that a thread on the same core gets its share.
//
//go:noescape
func pause()
