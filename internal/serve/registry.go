package serve

import (
	"net/http"
	"regexp"
	"slices"
	"sync"

	"github.com/lor2c/lor2c/internal/place"
)

// named is an adapter, or another thing that requests name.
type named[M any] struct {
	name    string
	dir     string // that it was read from
	model   M
	users   int
	removed bool
}

// registry has the adapters of a server in the order in which they were added. An adapter that is removed or replaced
// stays until the requests that use it are answered.
type registry[M any] struct {
	noun    string // what requests name, for errors
	mu      sync.Mutex
	list    []*named[M]
	loading sync.Mutex                  // one adapter is loaded or removed at a time
	load    func(dir string) (M, error) // reads an adapter to the device
	unload  func(M)                     // called for an adapter that no request uses any more
	fixed   func(M) bool                // reports what requests cannot change; nil if they can change all
}

// acquire returns the adapter with a name, or the first if the name is empty. The caller releases it.
func (g *registry[M]) acquire(name string) (*named[M], error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.list) == 0 {
		return nil, refusal(http.StatusNotFound, "serve: the server has no %s; put one with PUT /adapters/NAME", g.noun)
	}
	i := max(0, g.index(name))
	if name != "" && g.index(name) < 0 {
		err := refusal(http.StatusNotFound, "serve: there is no %s %s; want one of %s", g.noun, place.Quote(name),
			place.List(names(g.list)))
		err.param, err.code = g.noun, g.noun+"_not_found"
		return nil, err
	}
	g.list[i].users++
	return g.list[i], nil
}

// release ends the use of an adapter.
func (g *registry[M]) release(n *named[M]) {
	g.mu.Lock()
	n.users--
	idle := n.removed && n.users == 0
	g.mu.Unlock()
	if idle {
		g.unload(n.model)
	}
}

// put adds an adapter. It replaces one with the same name, in its place, and reports whether there was one.
func (g *registry[M]) put(n *named[M]) (replaced bool) {
	g.mu.Lock()
	i := g.index(n.name)
	var old *named[M]
	if i < 0 {
		g.list = append(g.list, n)
	} else {
		old, g.list[i] = g.list[i], n
	}
	idle := old != nil && g.retire(old)
	g.mu.Unlock()
	if idle {
		g.unload(old.model)
	}
	return old != nil
}

// remove removes an adapter, and reports whether it was there.
func (g *registry[M]) remove(name string) bool {
	g.mu.Lock()
	i := g.index(name)
	if i < 0 {
		g.mu.Unlock()
		return false
	}
	old := g.list[i]
	g.list = slices.Delete(g.list, i, i+1)
	idle := g.retire(old)
	g.mu.Unlock()
	if idle {
		g.unload(old.model)
	}
	return true
}

// mayChange returns an error if requests cannot change what has a name.
func (g *registry[M]) mayChange(name string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if i := g.index(name); i >= 0 && g.fixed != nil && g.fixed(g.list[i].model) {
		return refusal(http.StatusForbidden, "serve: requests cannot change %s, which is the base model or has one of its "+
			"own; want the name of another adapter", place.Quote(name))
	}
	return nil
}

// room returns an error if an adapter with a name would be one more than most. A request that replaces one is allowed.
func (g *registry[M]) room(name string, most int) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.index(name) >= 0 || len(g.list) < most {
		return nil
	}
	return refusal(http.StatusConflict, "serve: load an adapter: the server has %s, and --max-adapters is %d; replace or "+
		"DELETE one that GET /adapters lists", place.Count(len(g.list), "adapter", "adapters"), most)
}

// retire marks an adapter that is no longer in the list, and reports whether no request uses it.
func (g *registry[M]) retire(n *named[M]) bool {
	n.removed = true
	return n.users == 0
}

// all returns the adapters.
func (g *registry[M]) all() []*named[M] {
	g.mu.Lock()
	defer g.mu.Unlock()
	return slices.Clone(g.list)
}

func (g *registry[M]) index(name string) int {
	return slices.IndexFunc(g.list, func(n *named[M]) bool { return n.name == name })
}

// names returns the names in a list. The caller holds mu, or is the only one with the list.
func names[M any](all []*named[M]) (list []string) {
	for _, n := range all {
		list = append(list, n.name)
	}
	return list
}

// adapterName matches the names of adapters.
var adapterName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// CheckName returns an error if an adapter cannot have a name.
func CheckName(name string) error {
	if adapterName.MatchString(name) {
		return nil
	}
	return refusal(http.StatusBadRequest, "serve: the name of an adapter is %s; want up to 64 letters, digits, dots, "+
		"dashes and underscores, a letter or digit first", place.Quote(name))
}
