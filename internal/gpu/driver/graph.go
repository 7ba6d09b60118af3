//go:build cuda && cgo && linux && amd64

package driver

import "unsafe"

// Graph is captured work that can be launched any number of times.
type Graph struct{ exec unsafe.Pointer }

// Capture calls do and returns the work that it gives to the stream as a graph, without executing it. do may not
// allocate or free memory or wait for the device. If do fails Capture returns its error, even if the driver fails
// too.
func (s Stream) Capture(do func() error) (Graph, error) {
	if err := fault("cuStreamBeginCapture", beginCapture(s)); err != nil {
		return Graph{}, err
	}
	failed := do()
	// End the capture after a failure too, or the stream would remain in capture mode.
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

// Launch queues the graph on the stream.
func (g Graph) Launch(s Stream) error { return fault("cuGraphLaunch", launchGraph(g.exec, s)) }

// Destroy frees the graph. Launches that are in progress continue.
func (g Graph) Destroy() error { return fault("cuGraphExecDestroy", destroyGraph(g.exec)) }
