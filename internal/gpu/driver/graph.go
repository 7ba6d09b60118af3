//go:build cuda && cgo && linux && amd64

package driver

import "unsafe"

// Graph is captured work that can be launched again and again.
type Graph struct{ exec unsafe.Pointer }

// Capture records what do gives to the stream, which is not carried out, as a
// graph. Until it returns, the calling thread may not allocate or free memory
// nor wait for the device. The error of do goes before the driver's.
func (s Stream) Capture(do func() error) (Graph, error) {
	if err := fault("cuStreamBeginCapture", beginCapture(s)); err != nil {
		return Graph{}, err
	}
	failed := do()
	// Also after a failure, or the stream would stay in capture.
	template, code := endCapture(s)
	if template != nil {
		defer destroyTemplate(template)
	}
	if failed != nil {
		return Graph{}, failed
	}
	if err := fault("cuStreamEndCapture", code); err != nil {
		return Graph{}, err
	}
	exec, code := instantiate(template)
	return Graph{exec}, fault("cuGraphInstantiate", code)
}

// Launch gives the graph to the stream.
func (g Graph) Launch(s Stream) error { return fault("cuGraphLaunch", launchGraph(g.exec, s)) }

// Destroy frees the graph. What has been launched goes on.
func (g Graph) Destroy() error { return fault("cuGraphExecDestroy", destroyGraph(g.exec)) }
